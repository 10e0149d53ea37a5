//! `GET /me.json`: who asks. It is what clients log in with.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::auth::Asking;
use super::case::Case;
use super::response::enveloped;
use crate::api::http::openapi::AnyCall;
use crate::api::http::{AppState, Fault};

/// Who asks.
#[derive(Serialize, ToSchema)]
#[schema(as = KayakoMe)]
pub(super) struct MeBody {
    /// The same as the answer's.
    status: u16,
    data: UserBody,
    /// `user`.
    resource: String,
    /// With Basic: what to send as `X-Session-ID` from now on. It is a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    session_id: Option<String>,
}

/// A user, by number.
#[derive(Serialize, ToSchema)]
#[schema(as = KayakoUser)]
struct UserBody {
    /// The actor's number.
    id: i64,
    /// `user`.
    resource_type: String,
}

/// Log in
///
/// Who asks. With Basic the answer also begins a session, where the installation can sign one.
#[utoipa::path(
    get,
    path = "/me.json",
    operation_id = "kayakoMe",
    responses((status = 200, body = MeBody, description = "The caller's number."), AnyCall)
)]
pub(super) async fn read(State(_): State<AppState>, asking: Asking, Extension(case): Extension<Case>) -> Result<Response<Body>, Fault> {
    let id = asking.reads()?.caller.actor.id;
    let data = json!({"id": id, "resource_type": "user"});
    let members = [("data".to_owned(), data), ("resource".to_owned(), json!("user"))].into_iter().collect();
    Ok(enveloped(&asking, case, StatusCode::OK, members))
}
