//! Pieces of the OpenAPI document that every dialect is described with.
//!
//! A route is added with its documentation or not at all: [`OpenApiRouter`](utoipa_axum::router::OpenApiRouter) takes both from the
//! attribute on the handler. Types come from the wire structs, statuses and bodies of errors from [`Fault`] itself.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::IntoResponses;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::{KnownFormat, Object, OpenApi, Ref, RefOr, Required, SchemaFormat, Type};

use super::fault::Fault;
use super::field_errors::FieldErrors;
use super::rendering::Rendering;
use crate::domain::{FileTypes, Scope, UploadMethod};
use crate::limits::Exceeded;

// ---- what schemas of several dialects share ----

/// What `str::trim` takes away, for a regular expression.
const BLANKS: &str = r"\t-\r \x85\xA0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000";

/// RFC 6838 section 4.2, as `MediaType` reads it.
const RESTRICTED_NAME: &str = "[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}";

/// A text that is not blank.
pub(in crate::api) fn not_blank() -> String {
    format!("[^{BLANKS}]")
}

/// A content type, or a blank.
pub(in crate::api) fn media_type() -> String {
    format!(r"^[{BLANKS}]*$|^[{BLANKS}]*{RESTRICTED_NAME}/{RESTRICTED_NAME}[{BLANKS}]*(;[\s\S]*)?$")
}

// ---- errors that many operations share ----

/// The errors of every request that needs a token.
pub(in crate::api) struct AnyCall;

/// The errors of every request that names a file.
pub(in crate::api) struct AnyFile;

/// The errors of every request that may have a body, beside those about what is in it.
pub(in crate::api) struct WithBody;

/// The same of a form, whose codings are a complaint like others.
pub(in crate::api) struct WithForm;

/// The same where nothing that could be in it would matter.
pub(in crate::api) struct IgnoredBody;

impl IntoResponses for AnyCall {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        shared(["Unauthenticated", "Forbidden", "LimitExceeded", "Internal", "Unavailable"])
    }
}

impl IntoResponses for AnyFile {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        shared(["NotFound"])
    }
}

impl IntoResponses for WithBody {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        shared(["TooSlow", "BodyTooLarge", "Coded"])
    }
}

impl IntoResponses for WithForm {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        shared(["TooSlow", "BodyTooLarge"])
    }
}

impl IntoResponses for IgnoredBody {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        shared(["NotJson", "TooSlow", "BodyTooLarge", "Coded"])
    }
}

/// Faults that are the same whatever was asked for: their names in the document, an example of each and what it means.
fn shared_faults() -> [(&'static str, Fault, &'static str); 10] {
    let exceeded = Exceeded { what: "requests per second", retry_after_seconds: 1 };
    let not_json = FieldErrors::one("body", "must be JSON, but is not in line 1, column 2");
    [
        ("NotJson", Fault::Invalid(not_json), "There is a body, and it is not JSON."),
        ("Unauthenticated", Fault::Unauthenticated, "No token, a wrong, expired or revoked one, or two of them."),
        ("Forbidden", Fault::Forbidden(Scope::FilesWrite), "The token lacks a scope, or is not for this file type; the message names it."),
        ("NotFound", Fault::NotFound, "No such file, or none that this token may see."),
        ("TooSlow", Fault::TooSlow, "The body took too long to arrive: repeat."),
        ("BodyTooLarge", Fault::BodyTooLarge, "The body is longer than any description of a file."),
        ("Coded", Fault::Coded("gzip".to_owned()), "The body is compressed (`Content-Encoding`): send it as it is."),
        (
            "LimitExceeded",
            Fault::LimitExceeded(exceeded),
            "Your actor or tenant asks for too much, or too many bad tokens come from your address; the message says of what there is too much.",
        ),
        ("Internal", Fault::Internal(String::new()), "A defect of dropslip; its log has the reason, under the request id."),
        ("Unavailable", Fault::Unavailable(String::new()), "Database or bucket cannot be used now: repeat."),
    ]
}

fn shared<const N: usize>(names: [&str; N]) -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
    let faults = shared_faults();
    let wanted = faults.iter().filter(|(name, ..)| names.contains(name));
    wanted.map(|(name, fault, _)| (fault.status().as_str().to_owned(), Ref::from_response_name(*name).into())).collect()
}

/// The errors that [`AnyCall`] and the others stand for, as one dialect says them: `schema` names what is written.
pub(in crate::api) fn shared_responses(prefix: &str, schema: &str, faults: &Rendering) -> Map<String, Value> {
    let answer = |fault: &Fault, means: &str| {
        let body = (faults.body)(fault);
        let example = serde_json::from_slice(&body).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&body)));
        let mut content = Map::new();
        content.insert(
            faults.content_type.to_owned(),
            json!({"schema": {"$ref": format!("#/components/schemas/{schema}")}, "example": example}),
        );
        json!({"description": means, "headers": headers((faults.status)(fault).as_str()), "content": content})
    };
    shared_faults().into_iter().map(|(name, fault, means)| (format!("{prefix}{name}"), answer(&fault, means))).collect()
}

/// The headers of an answer with this status.
pub(in crate::api) fn headers(status: &str) -> Value {
    let names = match status {
        "401" => ["X-Request-Id", "WWW-Authenticate"].as_slice(),
        "415" => &["X-Request-Id", "Accept-Encoding"],
        "429" | "503" => &["X-Request-Id", "Retry-After"],
        _ => &["X-Request-Id"],
    };
    names.iter().map(|name| ((*name).to_owned(), json!({"$ref": format!("#/components/headers/{name}")}))).collect::<Map<_, _>>().into()
}

/// A file's number in a path.
pub(in crate::api) fn id_parameter(name: &str, description: &str) -> Parameter {
    let number = Object::builder()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(1))
        .examples([json!(1)]);
    Parameter::builder()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(description))
        .schema(Some(number))
        .build()
}

/// What one router adds to the document.
pub(in crate::api) struct Part {
    /// Path items by their path from the server's root.
    pub(in crate::api) paths: Map<String, Value>,
    /// Schemas by name.
    pub(in crate::api) schemas: Map<String, Value>,
    /// Responses by name, see [`shared_responses`].
    pub(in crate::api) responses: Map<String, Value>,
    /// Security schemes by name, beside those that all have.
    pub(in crate::api) security_schemes: Map<String, Value>,
}

/// What the document depends on at one installation.
pub(in crate::api) struct Installation<'a> {
    pub(in crate::api) rules: &'a FileTypes,
    pub(in crate::api) method: UploadMethod,
    /// Where the server is reached, without a slash at the end.
    pub(in crate::api) public_url: &'a str,
    /// Whether files can be linked to.
    pub(in crate::api) has_links: bool,
}

/// A server of the document, at a prefix of the broker's.
pub(in crate::api) fn server(public_url: &str, prefix: &str) -> Value {
    json!({"url": format!("{public_url}{prefix}")})
}

impl From<OpenApi> for Part {
    fn from(described: OpenApi) -> Self {
        let mut whole = serde_json::to_value(described).unwrap_or_default();
        let mut taken = |pointer: &str| match whole.pointer_mut(pointer).map(Value::take) {
            Some(Value::Object(members)) => members,
            _ => Map::new(),
        };
        Self { paths: taken("/paths"), schemas: taken("/components/schemas"), responses: Map::new(), security_schemes: Map::new() }
    }
}
