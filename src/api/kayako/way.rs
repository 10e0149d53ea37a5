//! In which way a body carries files.

use axum::extract::Request;
use axum::http::{HeaderMap, header};

use crate::api::http::Fault;
use crate::api::http::content::{ContentReader, Limits};

/// The member that has a file's bytes as base64.
pub(super) const CONTENT: &[&str] = &["content", "Content"];

/// What complaints about the files of a form are about.
const FILES: &str = "files";

/// How a body says what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// It is the file.
    Raw,
    /// Files and fields are its parts.
    Parts,
    /// A member of one object is the file, as base64.
    Json,
    /// A field is the file, as base64.
    Form,
}

impl Way {
    /// Whatever has no type, or another than these, is the file itself.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let named = headers.get(header::CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase());
        let named = named.unwrap_or_default();
        match named.split(';').next().unwrap_or_default().trim() {
            "multipart/form-data" => Self::Parts,
            "application/json" => Self::Json,
            "application/x-www-form-urlencoded" => Self::Form,
            _ => Self::Raw,
        }
    }

    pub(super) fn reader(self, request: Request, limits: Limits) -> Result<ContentReader, Fault> {
        match self {
            Self::Raw => ContentReader::raw(request, limits),
            Self::Parts => ContentReader::multipart(request, FILES, limits),
            Self::Json => ContentReader::json(request, CONTENT, limits),
            Self::Form => ContentReader::form(request, CONTENT, limits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_has_another_type_is_the_file() {
        let of = |value: Option<&str>| Way::of(&value.map(|value| (header::CONTENT_TYPE, value.parse().unwrap())).into_iter().collect());
        for raw in
            [None, Some(""), Some("image/png"), Some("text/plain; charset=utf-8"), Some("application/json2"), Some("multipart/mixed")]
        {
            assert_eq!(of(raw), Way::Raw, "{raw:?}");
        }
        assert_eq!(of(Some("multipart/form-data; boundary=x")), Way::Parts);
        assert_eq!(of(Some("Application/JSON;charset=UTF-8")), Way::Json);
        assert_eq!(of(Some(" application/x-www-form-urlencoded ")), Way::Form);
    }
}
