//! What every request of this dialect goes through.

use axum::body::Body;
use axum::http::{Request, Response};
use axum::middleware::Next;

use crate::api::http::lingering::lingering;

/// A client that is still sending reads why it is refused.
pub(super) async fn answered(request: Request<Body>, next: Next) -> Response<Body> {
    next.run(lingering(request)).await
}
