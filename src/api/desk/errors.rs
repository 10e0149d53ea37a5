//! Refusals as Desk's clients read them: messages by field.

use crate::api::http::Fault;
use crate::api::http::body::{BODY_TIMEOUT, MAX_BODY_BYTES};
use crate::api::http::openapi::Errors;
use crate::domain::FieldErrors;

/// Desk's validator: an object of field to messages, for every fault.
pub(in crate::api) fn error_body(fault: &Fault) -> Vec<u8> {
    let fields = match fault {
        Fault::Invalid(fields) | Fault::Refused(fields) | Fault::Conflict(fields) => fields.clone(),
        Fault::Unauthenticated => FieldErrors::one("authorization", "must be a good token, as Bearer or as the user of Basic"),
        Fault::Forbidden(scope) => FieldErrors::one("authorization", format!("must have the scope {}", scope.as_str())),
        Fault::ForbiddenType(name) => FieldErrors::one("authorization", format!("must be for the file type ‘{name}’")),
        Fault::NotFound => FieldErrors::one("id", "not found"),
        Fault::MethodNotAllowed => FieldErrors::one("method", "not allowed here"),
        Fault::NotUploaded => FieldErrors::one("state", "nothing was uploaded yet"),
        Fault::AlreadyActive => FieldErrors::one("state", "is active already"),
        Fault::Changing => FieldErrors::one("state", "the upload keeps changing, try again"),
        Fault::TooSlow => FieldErrors::one("body", format!("must arrive within {} seconds", BODY_TIMEOUT.as_secs())),
        Fault::LimitExceeded(exceeded) => {
            FieldErrors::one("limit", format!("too many {}, try again in {} s", exceeded.what, exceeded.retry_after_seconds))
        }
        Fault::RangeNotSatisfiable(size) => FieldErrors::one("range", format!("must begin below {size}")),
        Fault::PreconditionFailed => FieldErrors::one("etag", "must be that of the file"),
        Fault::BodyTooLarge => FieldErrors::one("body", format!("must be {MAX_BODY_BYTES} bytes or shorter")),
        Fault::Coded(coding) => {
            FieldErrors::one("body", format!("must be sent as it is, without Content-Encoding: ‘{coding}’ is not read"))
        }
        Fault::Internal(_) => FieldErrors::one("server", "failed"),
        Fault::Unavailable(_) => FieldErrors::one("server", "not available now, try again"),
    };
    serde_json::to_vec(&Errors { errors: fields.by_field().clone() }).unwrap_or_default()
}
