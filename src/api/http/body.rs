//! Request bodies: short, in time, and read as JSON in words that a client can act upon.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fault::Fault;
use super::field_errors::FieldErrors;
use crate::domain::text::{self, NotText};

/// The longest request body, in bytes: requests describe files, they never carry them.
pub(in crate::api) const MAX_BODY_BYTES: usize = 64 * 1024;

/// How long a request body may take to arrive.
pub(in crate::api) const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// The longest name of a coding that a complaint repeats, in characters: those that there are have fewer.
const LONGEST_CODING: usize = 40;

/// Room for an answer, in bytes: most slips fit, and one that does not makes it grow.
const ANSWER_BYTES: usize = 2048;

/// Room for each file of a list: one has some 1300, with a name of usual length.
const FILE_BYTES: usize = 1536;

/// JSON, written into one piece of memory that is most likely large enough.
pub(in crate::api) fn to_json(body: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    written(body, ANSWER_BYTES)
}

fn written(body: &impl Serialize, room: usize) -> serde_json::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(room);
    serde_json::to_writer(&mut text, body)?;
    Ok(text)
}

/// An answer in JSON.
pub(in crate::api) fn json(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    json_in(ANSWER_BYTES, status, body)
}

/// An answer in JSON about so many files.
pub(in crate::api) fn json_of(files: usize, status: StatusCode, body: &impl Serialize) -> Response<Body> {
    json_in(ANSWER_BYTES + files * FILE_BYTES, status, body)
}

fn json_in(room: usize, status: StatusCode, body: &impl Serialize) -> Response<Body> {
    let text = match written(body, room) {
        Ok(text) => text,
        Err(error) => return Fault::Internal(error.to_string()).into_response(),
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A whole request body, which nobody reads.
pub(in crate::api) async fn read_body(request: Request<Body>) -> Result<Bytes, Fault> {
    read_body_up_to(MAX_BODY_BYTES, request).await
}

/// A whole request body of JSON, as every parser of it gets it.
pub(in crate::api) async fn read_json(request: Request<Body>) -> Result<Bytes, Fault> {
    read_json_up_to(MAX_BODY_BYTES, request).await
}

/// The same of so many bytes or fewer.
pub(in crate::api) async fn read_json_up_to(bytes: usize, request: Request<Body>) -> Result<Bytes, Fault> {
    readable(&read_body_up_to(bytes, request).await?).map_err(Fault::Invalid)
}

/// What a parser of JSON can read where a body is JSON: in UTF-8, without a mark before it and without halves of characters.
pub(in crate::api) fn readable(body: &Bytes) -> Result<Bytes, FieldErrors> {
    match text::json(body) {
        Ok(Cow::Borrowed(text)) => Ok(body.slice_ref(text.as_bytes())),
        Ok(Cow::Owned(text)) => Ok(text.into()),
        Err(NotText::Utf16) => Err(FieldErrors::one("body", "must be JSON in UTF-8, but is UTF-16")),
        Err(NotText::Unknown(place)) => Err(FieldErrors::one("body", format!("must be JSON in UTF-8, but is not from byte {place} on"))),
    }
}

/// A whole request body of so many bytes or fewer.
pub(in crate::api) async fn read_body_up_to(bytes: usize, request: Request<Body>) -> Result<Bytes, Fault> {
    if let Some(coding) = coding(request.headers())
        && !request.body().is_end_stream()
    {
        return Err(Fault::Coded(coding));
    }
    let whole = Limited::new(request.into_body(), bytes).collect();
    let collected = tokio::time::timeout(BODY_TIMEOUT, whole).await.map_err(|_| Fault::TooSlow)?;
    collected.map(http_body_util::Collected::to_bytes).map_err(|error| {
        if error.is::<LengthLimitError>() { Fault::BodyTooLarge } else { Fault::Invalid(FieldErrors::one("body", "must arrive whole")) }
    })
}

/// What a body is compressed with by its headers. Bodies are short: nothing is won by it, and a short one could stand for gigabytes.
pub(in crate::api) fn coding(headers: &HeaderMap) -> Option<String> {
    let named = headers.get_all(header::CONTENT_ENCODING).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    // A list may have blank entries (RFC 9110, section 5.6.1.2).
    let mut codings = named.flat_map(|list| list.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>());
    let coding = codings.find(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"))?;
    Some(coding.chars().take(LONGEST_CODING).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect())
}

/// One JSON object.
pub(in crate::api) fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, FieldErrors> {
    // Serde would also fill the members from a list, by position.
    if json.trim_ascii_start().starts_with(b"[") {
        return Err(FieldErrors::one("body", "must be one JSON object, not a list"));
    }
    serde_json::from_slice(json).map_err(|error| not_json(&error))
}

/// A body; for an empty one, the object that says nothing either.
pub(in crate::api) fn or_empty(body: &[u8]) -> &[u8] {
    if body.trim_ascii().is_empty() { b"{}" } else { body }
}

/// What is wrong with a body that could not be read.
pub(in crate::api) fn not_json(error: &serde_json::Error) -> FieldErrors {
    // The parser's own words name types of this program.
    let message = match error.classify() {
        serde_json::error::Category::Data => "must be one JSON object, each member at most once".to_owned(),
        _ => format!("must be JSON, but is not in line {}, column {}", error.line(), error.column()),
    };
    FieldErrors::one("body", message)
}

/// A whole number, also as 17.0: it is the same to JSON Schema, and some languages know no other way to write it.
pub(in crate::api) fn whole(value: &Value) -> Option<u64> {
    let written_so = || value.as_f64().filter(|number| *number >= 0.0 && number.fract() == 0.0);
    value.as_u64().or_else(|| format!("{:.0}", written_so()?.abs()).parse().ok())
}
