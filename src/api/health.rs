//! Whether the broker lives and can work.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse as _;

use super::http::AppState;
use super::http::fault::RETRY_AFTER_SECONDS;

/// Whether the process lives
#[utoipa::path(get, path = "/healthz", operation_id = "alive", tag = "Operating", security(()), responses(
    (status = 200, body = String, content_type = "text/plain", description = "It does.")
))]
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// Whether database and bucket answer
#[utoipa::path(get, path = "/readyz", operation_id = "ready", tag = "Operating", security(()), responses(
    (status = 200, body = String, content_type = "text/plain", description = "Both do, and the database is the right one."),
    (status = 503, body = String, content_type = "text/plain", description = "Something is missing: the text names it, a line each.")
))]
pub(super) async fn ready(State(state): State<AppState>) -> Response<Body> {
    let mut missing = state.broker.missing().await;
    if state.stopping.is_cancelled() {
        missing.push("the broker is stopping".to_owned());
    }
    if missing.is_empty() {
        return "ready\n".into_response();
    }
    let lines: Vec<_> = missing.into_iter().map(|what| what + "\n").collect();
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS))], lines.concat()).into_response()
}
