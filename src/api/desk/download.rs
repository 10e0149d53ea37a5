//! `GET /files/{id}/download`: a file's bytes, by token or by the key in its link.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;

use super::request::IdInPath;
use crate::api::http::downloads::{AskedDisposition, answer};
use crate::api::http::openapi::{AnyCall, AnyFile};
use crate::api::http::wording::Errors;
use crate::api::http::{AppState, Fault};
use crate::broker::Reader;

/// Download a file
///
/// Answers where the bytes of an active file are, for a short time, on the store; where downloads go through the broker
/// (`DROPSLIP_DOWNLOADS=proxy`), the bytes themselves, also in ranges. Needs a token, or the `proxyKey` of the file; a `downloadURL` has it.
/// `HEAD` works too.
#[utoipa::path(
    get,
    path = "/files/{id}/download",
    operation_id = "downloadFile",
    security(("bearer" = []), ("basic" = []), ("proxyKey" = [])),
    params(IdInPath, AskedDisposition),
    responses(
        (status = 302, description = "The bytes are at `Location`, without a token, for a short time.",
            headers(("Location" = String, description = "A presigned URL of the store's."))),
        (status = 200, body = inline(Vec<u8>), content_type = "*/*", description = "The bytes, where they go through the broker."),
        (status = 206, body = inline(Vec<u8>), content_type = "*/*", description = "The range of them that was asked for."),
        (status = 304, description = "You have it already."),
        (status = 400, body = Errors, description = "`disposition` is something else.",
            example = json!({"errors": {"disposition": ["must be one of ‘inline, attachment’"]}})),
        (status = 412, body = Errors, description = "The file has none of the entity tags in `If-Match`. Only where the broker sends the bytes.",
            example = json!({"errors": {"etag": ["must be that of the file"]}})),
        (status = 416, body = Errors, description = "The file has no such bytes.",
            example = json!({"errors": {"range": ["must begin below 17"]}})),
        AnyFile, AnyCall
    )
)]
pub(super) async fn download(
    State(state): State<AppState>,
    reader: Reader,
    IdInPath(id): IdInPath,
    wish: AskedDisposition,
    request: Request,
) -> Result<Response<Body>, Fault> {
    let file = state.broker.readable(&reader, id).await?;
    answer(&state, &reader, &file, wish, &request.into_parts().0).await
}
