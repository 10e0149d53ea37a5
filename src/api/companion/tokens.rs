//! Upload tokens, as URLs for pages.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::response::IntoResponse;
use time::OffsetDateTime;

use super::auth::Maker;
use super::errors::Refusal;
use super::request::{UploadTokenRequest, upload_token_terms};
use super::response::TokenBody;
use crate::api::http::body::read_json;
use crate::api::http::instants::Seconds;
use crate::api::http::openapi::{AnyCall, WithBody};
use crate::api::http::{AppState, Fault};
use crate::domain::Scope;

/// Make an upload token
///
/// For a page: a URL that may upload files of some types, for a time, in the name of the token that asks, and nothing else. It ends with
/// that token.
#[utoipa::path(
    post,
    path = "/tokens.json",
    operation_id = "makeUploadToken",
    request_body(content = UploadTokenRequest),
    responses(
        (status = 201, body = TokenBody, description = "The token, in a URL."),
        (status = 400, body = Refusal, description = "There is no such file type, or it is not such JSON.",
            example = json!({"message": "seconds must be a whole number from 1 to 86400", "errors": {"seconds": ["must be a whole number from 1 to 86400"]}})),
        WithBody, AnyCall
    )
)]
pub(super) async fn make_token(
    State(state): State<AppState>,
    Maker(holder): Maker,
    request: Request<Body>,
) -> Result<impl IntoResponse, Fault> {
    if !holder.caller.scopes.contains(Scope::FilesWrite) {
        return Err(Fault::Forbidden(Scope::FilesWrite));
    }
    let wish = upload_token_terms(&read_json(request).await?).map_err(Fault::Invalid)?;
    state.broker.know_types(&wish.types)?;
    if let Some(other) = wish.types.iter().find(|name| !holder.caller.types.allows(name)) {
        return Err(Fault::ForbiddenType(other.clone()));
    }
    let (token, expires_at) = state.tokens.upload_token(&holder, &wish.types, OffsetDateTime::now_utc() + wish.life)?;
    let body =
        TokenBody { companion_endpoint: format!("{}/u/{token}", state.public_url), expires_at: Seconds(expires_at), types: wish.types };
    Ok((StatusCode::CREATED, Json(body)))
}
