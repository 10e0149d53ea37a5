//! How Kayako Classic says its faults: short plain text, a line for each complaint, and few statuses.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};

use super::fields::field_name;
use crate::api::http::Fault;
use crate::api::http::field_errors::{FieldErrors, Subject};
use crate::api::http::rendering::{BEARER, Rendering};
use crate::api::http::wording::wording;

/// What a 401 says, whatever it is that is missing or wrong.
const UNSIGNED: &str = "apikey, salt and signature must be those of a good key";

/// What a client can do whose bytes came too slowly.
const TOO_SLOW: &str = "contents must arrive without long pauses; a slow client must send apikey, salt and signature before them";

/// How Kayako Classic says its faults.
pub(in crate::api) static FAULTS: Rendering =
    Rendering { status, content_type: "text/plain; charset=utf-8", body, challenges: &["Signature realm=\"dropslip\"", BEARER], finish };

/// What a refusal is about, where the fault does not say it: an extension of an answer.
#[derive(Clone)]
pub(super) struct About(pub(super) &'static str);

/// Old clients know these alone: what is no matter of the way is 400.
fn status(fault: &Fault) -> StatusCode {
    match fault {
        Fault::Refused(_) | Fault::Conflict(_) | Fault::NotUploaded | Fault::AlreadyActive | Fault::Coded(_) => StatusCode::BAD_REQUEST,
        Fault::Changing => StatusCode::SERVICE_UNAVAILABLE,
        other => other.status(),
    }
}

fn body(fault: &Fault) -> Vec<u8> {
    match fault {
        Fault::Invalid(fields) | Fault::Refused(fields) | Fault::Conflict(fields) => lines(fields),
        Fault::Unauthenticated => format!("{UNSIGNED}\n"),
        Fault::ContentTooSlow => format!("{TOO_SLOW}\n"),
        other => format!("{}\n", wording(other).sentence(field_name)),
    }
    .into_bytes()
}

fn lines(fields: &FieldErrors) -> String {
    let line = |(subject, message): (&Subject, &str)| match subject {
        Subject::Core(field) => format!("{} {message}\n", field_name(*field)),
        Subject::Own(own) => format!("{own} {message}\n"),
    };
    fields.iter().map(line).collect()
}

fn finish(response: &mut Response<Body>, fault: Option<&Fault>) {
    let about = response.extensions_mut().remove::<About>();
    if let (Some(About(name)), Some(fault)) = (about, fault) {
        let said = [name.as_bytes(), b" ", &body(fault)].concat();
        *response.body_mut() = Body::from(said);
    }
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().entry(header::RETRY_AFTER).or_insert(HeaderValue::from_static("2"));
    }
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Complaints, Field};

    #[test]
    fn each_complaint_has_a_line_that_begins_with_its_name() {
        let mut errors = FieldErrors::one("ticketid", "must be set");
        errors.merge(Complaints::one(Field::Name, "must not end in ‘.exe’"));
        assert_eq!(lines(&errors), "ticketid must be set\nfilename must not end in ‘.exe’\n");
        assert_eq!(body(&Fault::NotFound), b"not found\n");
    }

    #[test]
    fn old_clients_meet_statuses_that_they_know() {
        assert_eq!(status(&Fault::Refused(FieldErrors::new())), StatusCode::BAD_REQUEST);
        assert_eq!(status(&Fault::NotUploaded), StatusCode::BAD_REQUEST);
        assert_eq!(status(&Fault::Changing), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status(&Fault::ContentTooLarge(1)), StatusCode::PAYLOAD_TOO_LARGE);
    }
}
