//! What an operator's tools ask, on an address of its own: metrics, and the same health as everywhere.
//!
//! Nothing here needs a token, and nothing here is for callers: it listens where only the operator gets at it, or nowhere.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode, header};
use axum::response::IntoResponse as _;
use axum::routing::{any, get};
use time::OffsetDateTime;

use super::health::{alive, ready};
use super::http::AppState;
use super::http::request_log::with_request_id;
use crate::metrics;

/// The URLs of the operator's address.
pub fn router(state: AppState) -> Router {
    let known = Router::new().route("/metrics", get(tell)).route("/healthz", get(alive)).route("/readyz", get(ready));
    known.fallback_service(any(|| async { StatusCode::NOT_FOUND })).layer(axum::middleware::from_fn(with_request_id)).with_state(state)
}

async fn tell(State(state): State<AppState>) -> Response<Body> {
    let gauges = state.broker.gauges(OffsetDateTime::now_utc()).await;
    match metrics::text(gauges) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
