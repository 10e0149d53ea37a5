//! Refusals as Uppy can show them to a person.
//!
//! Uppy 5 and older show `message` of the body. Uppy 6 shows nothing but the reason phrase of the status line, so it says the
//! same. HTTP/2 has none: behind a proxy that speaks it, Uppy 6 shows its own words alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;
use hyper::ext::ReasonPhrase;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::http::body::BODY_TIMEOUT;
use crate::api::http::{self, Fault};

/// The longest reason phrase, in bytes: some proxies refuse longer status lines than a few hundred.
const LONGEST_PHRASE: usize = 250;

/// Says the fault of a response in its body and in the status line.
pub(super) fn rendered(mut response: Response<Body>) -> Response<Body> {
    let said = response.extensions().get::<Arc<Fault>>().map(|fault| message(fault));
    if let Some(phrase) = said.and_then(|said| ReasonPhrase::try_from(ascii(&said)).ok()) {
        response.extensions_mut().insert(phrase);
    }
    http::rendered(response, error_body)
}

/// One sentence for a person.
fn message(fault: &Fault) -> String {
    match fault {
        Fault::Invalid(fields) | Fault::Refused(fields) | Fault::Conflict(fields) => fields.to_string(),
        Fault::Unauthenticated => "this page may not upload (any more): load it again".to_owned(),
        Fault::Forbidden(scope) => format!("the token must have the scope {}", scope.as_str()),
        Fault::ForbiddenType(name) => format!("the token must be for the file type ‘{name}’"),
        Fault::NotFound => "not found".to_owned(),
        Fault::MethodNotAllowed => "this method is not allowed here".to_owned(),
        Fault::NotUploaded => "nothing was uploaded yet".to_owned(),
        Fault::AlreadyActive => "the file is active already".to_owned(),
        Fault::Changing => "the upload keeps changing, try again".to_owned(),
        Fault::TooSlow => format!("the request must arrive within {} seconds", BODY_TIMEOUT.as_secs()),
        Fault::LimitExceeded(exceeded) => format!("too many {}, try again in {} s", exceeded.what, exceeded.retry_after_seconds),
        Fault::RangeNotSatisfiable(size) => format!("there is nothing from byte {size} on"),
        Fault::PreconditionFailed => "the file has another entity tag".to_owned(),
        Fault::BodyTooLarge => "the request is too long".to_owned(),
        Fault::Coded(coding) => format!("the request must be sent as it is, without Content-Encoding: ‘{coding}’ is not read"),
        Fault::Internal(_) => "the server failed".to_owned(),
        Fault::Unavailable(_) => "the server is not available now, try again".to_owned(),
    }
}

/// What a status line may hold; a name from outside cannot break out of it.
fn ascii(said: &str) -> Vec<u8> {
    let plain = |c: char| match c {
        '‘' | '’' => b'\'',
        ' '..='~' => u8::try_from(c).unwrap_or(b'?'),
        _ => b'?',
    };
    said.chars().take(LONGEST_PHRASE).map(plain).collect()
}

// ---- error body ----

/// What was not done and why.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"message": "filename must not end in ‘.exe’", "errors": {"filename": ["must not end in ‘.exe’"]}}))]
pub(super) struct Refusal {
    /// For a person; the reason phrase of the status line says it too.
    #[schema(min_length = 1)]
    message: String,
    /// The same by field, where it is about fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    errors: Option<BTreeMap<String, Vec<String>>>,
}

/// Companion's `message`, and the complaints by field where there are any.
pub(super) fn error_body(fault: &Fault) -> Vec<u8> {
    let errors = match fault {
        Fault::Invalid(fields) | Fault::Refused(fields) | Fault::Conflict(fields) => Some(fields.by_field().clone()),
        _ => None,
    };
    serde_json::to_vec(&Refusal { message: message(fault), errors }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_breaks_out_of_the_status_line() {
        assert_eq!(ascii("must not end in ‘.exe’"), b"must not end in '.exe'");
        assert_eq!(ascii("a\r\nSet-Cookie: b\u{7f}\u{202e}"), b"a??Set-Cookie: b??");
        assert_eq!(ascii(&"é".repeat(1000)).len(), LONGEST_PHRASE);
        assert!(ReasonPhrase::try_from(ascii(&(0..=0x2ff).filter_map(char::from_u32).collect::<String>())).is_ok());
    }
}
