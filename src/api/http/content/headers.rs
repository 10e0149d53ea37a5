//! Headers that a whole body and a part of a form have alike.

use axum::http::{HeaderMap, HeaderName};

/// The MD5 of a file as headers give it (RFC 1864). No list of names has it.
pub(super) const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// The text of a header, where it is one.
pub(super) fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?.trim();
    (!value.is_empty()).then(|| value.to_owned())
}
