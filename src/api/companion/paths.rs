//! Where Companion has what, and what a request asks for.

use axum::http::Method;

use super::auth::UPLOAD_TOKEN;
use crate::metrics::Operation;

/// Where an `Authorization` header is asked for.
pub(super) const WITH_HEADER: &str = "/companion";

/// Where an upload token stands in the path.
pub(super) fn by_token() -> String {
    format!("/u/{{{UPLOAD_TOKEN}}}")
}

/// What a request asks for, by its path.
pub(super) fn label(_: &Method, path: &str) -> Option<Operation> {
    ["/u/", "/companion/", "/s3/"].iter().any(|prefix| path.starts_with(prefix)).then_some(Operation::Companion)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart_under_every_prefix() {
        for path in ["/u/du2.x/s3/params", "/s3/multipart/1/complete", "/companion/tokens.json", "/s3/nothing"] {
            assert_eq!(label(&Method::GET, path), Some(Operation::Companion), "{path}");
        }
        for path in ["/s3", "/uploads/x", "/files.json", ""] {
            assert_eq!(label(&Method::GET, path), None, "{path}");
        }
    }
}
