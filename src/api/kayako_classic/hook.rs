//! The test hook: whether a key and its signature are good.

use axum::body::Body;
use axum::http::Response;

use super::auth::Signed;
use super::response as xml;
use crate::api::http::Fault;
use crate::api::http::openapi::AnyCall;

/// Test a key
///
/// With whatever method, and with a number behind it or not; `/Core/Test` is the same.
#[utoipa::path(
    get,
    path = "/Core/TestAPI",
    operation_id = "classicTest",
    responses((status = 200, body = inline(String), content_type = "text/xml; charset=utf-8", description = "The key and its signature are good."), AnyCall)
)]
pub(super) async fn test(_: Signed) -> Result<Response<Body>, Fault> {
    Ok(good())
}

/// What whoever has signed well is told.
pub(super) fn good() -> Response<Body> {
    xml::answer(xml::line("testapi", "The key and its signature are good."))
}
