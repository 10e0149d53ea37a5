//! Refusals as Kayako's clients read them: a list of errors, a code each.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::case::Case;
use super::fields::field_name;
use crate::api::http::Fault;
use crate::api::http::field_errors::{FieldErrors, Subject};
use crate::api::http::rendering::{BASIC, JSON, Rendering};
use crate::api::http::wording::wording;
use crate::domain::Field;

/// How messages about what is missing begin.
const MISSING: &str = "must be set";

/// Bytes that are not those which were meant, and what Kayako says of them.
const MISMATCH: &str = "CHECKSUM_MISMATCH";
const ALTERED: &str = "File data has been corrupted or altered during transfer";

/// Where a client learns more: the document says what each code means.
const MORE: &str = "/openapi.json#/components/schemas/KayakoErrors";

/// How Kayako says its faults.
pub(in crate::api) static FAULTS: Rendering =
    Rendering { status, content_type: JSON, body: |fault| body(fault, Case::Snake, ""), challenges: &[BASIC], finish };

/// How an answer is to be written, as its request asked: an extension of each.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) case: Case,
    /// A script asks: a challenge would make its browser ask the person for a password.
    pub(super) is_script: bool,
    pub(super) public_url: Arc<str>,
}

fn status(fault: &Fault) -> StatusCode {
    match fault {
        Fault::Refused(_) => StatusCode::BAD_REQUEST,
        Fault::NotUploaded => StatusCode::NOT_FOUND,
        Fault::UnknownSession => StatusCode::from_u16(454).unwrap_or(StatusCode::UNAUTHORIZED),
        other => other.status(),
    }
}

/// Every answer says its version; a refusal is written as its request asked.
fn finish(response: &mut Response<Body>, fault: Option<&Fault>) {
    let told = response.extensions_mut().remove::<Told>();
    if let (Some(fault), Some(told)) = (fault, told) {
        *response.body_mut() = Body::from(body(fault, told.case, &told.public_url));
        if told.is_script {
            response.headers_mut().remove(header::WWW_AUTHENTICATE);
        }
    }
    response.headers_mut().insert("x-api-version", HeaderValue::from_static("1"));
}

fn code(fault: &Fault) -> &'static str {
    match fault {
        Fault::Invalid(_) | Fault::Refused(_) | Fault::Coded(_) => "FIELD_INVALID",
        Fault::Contradiction(_) => "PARAMETERS_INCONSISTENT",
        Fault::Unauthenticated => "AUTHENTICATION_FAILED",
        Fault::UnknownSession => "SESSION_LOADING_FAILED",
        Fault::CsrfFailed => "CSRF_FAILED",
        Fault::Forbidden(_) | Fault::ForbiddenType(_) => "ACCESS_DENIED",
        Fault::NotFound | Fault::NotUploaded => "RESOURCE_NOT_FOUND",
        Fault::MethodNotAllowed => "METHOD_NOT_SUPPORTED",
        Fault::NotAcceptable => "NOT_ACCEPTABLE",
        Fault::AlreadyActive | Fault::Changing | Fault::Conflict(_) => "RESOURCE_ACTION_NOT_AVAILABLE",
        Fault::TooSlow => "REQUEST_TIMEOUT",
        Fault::PreconditionFailed => "RESOURCE_MODIFIED",
        Fault::BodyTooLarge => "CONTENT_TOO_LARGE",
        Fault::RangeNotSatisfiable(_) => "RANGE_NOT_SATISFIABLE",
        Fault::LimitExceeded(_) => "RATE_LIMIT_REACHED",
        Fault::Internal(_) => "INTERNAL_ERROR",
        Fault::Unavailable(_) => "SERVICE_UNAVAILABLE",
    }
}

fn body(fault: &Fault, case: Case, public_url: &str) -> Vec<u8> {
    let mut errors = match fault {
        Fault::Invalid(fields) | Fault::Refused(fields) | Fault::Conflict(fields) => by_field(fields, code(fault), case),
        Fault::Contradiction(names) => {
            let mut error = json!({"code": code(fault), "message": wording(fault).sentence(field_name)});
            error["parameters"] = names.iter().map(|name| parameter(name, case)).collect();
            vec![error]
        }
        other => vec![json!({"code": code(other), "message": wording(other).sentence(field_name)})],
    };
    if !public_url.is_empty() {
        for error in &mut errors {
            error["more_info"] = format!("{public_url}{MORE}").into();
        }
    }
    let whole = case.spell(json!({"status": status(fault).as_u16(), "errors": errors}));
    serde_json::to_vec(&whole).unwrap_or_default()
}

/// The name of a parameter as the client writes names.
fn parameter(name: &str, case: Case) -> Value {
    // Names of headers are the same in every case.
    if name.contains('-') { name.into() } else { case.name(name).into() }
}

/// One error a complaint.
fn by_field(fields: &FieldErrors, otherwise: &str, case: Case) -> Vec<Value> {
    let error = |(subject, message): (&Subject, &str)| {
        let (name, code) = match subject {
            Subject::Core(Field::Checksum) => (field_name(Field::Checksum), MISMATCH),
            Subject::Core(field) => (field_name(*field), otherwise),
            Subject::Own(own) => (own.as_str(), otherwise),
        };
        let code = if otherwise == "FIELD_INVALID" && message.starts_with(MISSING) { "FIELD_REQUIRED" } else { code };
        let message = if code == MISMATCH { ALTERED.to_owned() } else { format!("{name} {message}") };
        let mut error = json!({"code": code, "parameter": parameter(name, case), "message": message});
        if let Some(file) = fields.file() {
            error["pointer"] = format!("/files/{file}").into();
        }
        error
    };
    fields.iter().map(error).collect()
}

// ---- error body ----

/// What was not done and why. `FIELD_REQUIRED`: something is missing. `FIELD_INVALID`: it cannot be taken. `CHECKSUM_MISMATCH`: the bytes
/// are not those that were meant. `PARAMETERS_INCONSISTENT`: two places say different things. `AUTHENTICATION_FAILED`: no good token.
/// `SESSION_LOADING_FAILED`: log in again. `CSRF_FAILED`: the session needs its `X-CSRF-Token`. `ACCESS_DENIED`: the token lacks a scope
/// or a file type. The others say what their status says.
#[derive(Serialize, ToSchema)]
#[schema(as = KayakoErrors)]
pub(super) struct ErrorsBody {
    /// The same as the answer's.
    status: u16,
    #[schema(min_items = 1)]
    errors: Vec<ErrorBody>,
}

/// One of them.
#[derive(Serialize, ToSchema)]
#[schema(as = KayakoError)]
struct ErrorBody {
    /// What kind it is, for programs.
    code: String,
    /// For a person.
    message: String,
    /// What it is about.
    #[schema(nullable = false)]
    parameter: Option<String>,
    /// The same where it is about several.
    #[schema(nullable = false)]
    parameters: Option<Vec<String>>,
    /// Of several files, which one: `/files/1` is the second.
    #[schema(nullable = false)]
    pointer: Option<String>,
    /// Where codes are explained.
    #[schema(nullable = false)]
    more_info: Option<String>,
}
