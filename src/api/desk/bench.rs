//! A door for `benches/`: the pure parts of this dialect's first step. It promises nothing to anybody else.

use super::request::parse_new_file;
use super::response::SlipBody;
use crate::api::http::body::to_json;
use crate::api::http::field_errors::FieldErrors;
use crate::broker::Slip;
use crate::domain::{File, NewFile};

/// What a request's body asks for.
///
/// # Errors
/// Every complaint, by field.
pub fn parse(body: &[u8]) -> Result<NewFile, FieldErrors> {
    parse_new_file(body)
}

/// The body of the answer, as JSON.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn render(file: &File, slip: Slip) -> serde_json::Result<Vec<u8>> {
    to_json(&SlipBody::new(file, slip))
}
