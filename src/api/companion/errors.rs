//! Refusals as Uppy can show them to a person.
//!
//! Uppy 5 and older show `message` of the body. Uppy 6 shows nothing but the reason phrase of the status line, so it says the
//! same. HTTP/2 has none: behind a proxy that speaks it, Uppy 6 shows its own words alone.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use hyper::ext::ReasonPhrase;
use serde::Serialize;
use utoipa::ToSchema;

use super::fields::field_name;
use crate::api::http::Fault;
use crate::api::http::rendering::{BEARER, JSON, Rendering};
use crate::api::http::wording::{Wording, wording};

/// The longest reason phrase, in bytes: some proxies refuse longer status lines than a few hundred.
const LONGEST_PHRASE: usize = 250;

/// How Companion says its faults.
pub(in crate::api) static FAULTS: Rendering =
    Rendering { status: Fault::status, content_type: JSON, body: error_body, challenges: &[BEARER], finish };

/// Says the fault in the status line too. The URL is a secret, whatever is answered.
fn finish(response: &mut Response<Body>, fault: Option<&Fault>) {
    if let Some(phrase) = fault.and_then(|fault| ReasonPhrase::try_from(ascii(&message(fault))).ok()) {
        response.extensions_mut().insert(phrase);
    }
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// One sentence for a person; of headers and limits of bytes they need not know.
fn message(fault: &Fault) -> String {
    match fault {
        Fault::Unauthenticated => "this page may not upload (any more): load it again".to_owned(),
        Fault::RangeNotSatisfiable(size) => format!("there is nothing from byte {size} on"),
        Fault::PreconditionFailed => "the file has another entity tag".to_owned(),
        Fault::BodyTooLarge => "the request is too long".to_owned(),
        other => wording(other).sentence(field_name),
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
fn error_body(fault: &Fault) -> Vec<u8> {
    let errors = match wording(fault) {
        by_field @ Wording::Fields(_) => Some(by_field.by_field(field_name).errors),
        Wording::One(_) => None,
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
