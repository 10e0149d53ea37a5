//! Request bodies: short, and in time.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Request;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::Fault;
use crate::domain::FieldErrors;

/// The longest request body, in bytes: requests describe files, they never carry them.
pub(super) const MAX_BODY_BYTES: usize = 64 * 1024;

/// How long a request body may take to arrive.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// A whole request body.
pub(super) async fn read_body(request: Request<Body>) -> Result<Bytes, Fault> {
    read_body_up_to(MAX_BODY_BYTES, request).await
}

/// A whole request body of so many bytes or fewer.
pub(super) async fn read_body_up_to(bytes: usize, request: Request<Body>) -> Result<Bytes, Fault> {
    let whole = Limited::new(request.into_body(), bytes).collect();
    let collected = tokio::time::timeout(BODY_TIMEOUT, whole).await.map_err(|_| Fault::TooSlow)?;
    collected.map(http_body_util::Collected::to_bytes).map_err(|error| {
        if error.is::<LengthLimitError>() { Fault::BodyTooLarge } else { Fault::Invalid(FieldErrors::one("body", "must arrive whole")) }
    })
}
