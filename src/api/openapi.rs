//! The OpenAPI 3.1 document: what it says of the whole, around what each dialect says of its routes.
//!
//! A route is added with its documentation or not at all: [`OpenApiRouter`](utoipa_axum::router::OpenApiRouter) takes both from the
//! attribute on the handler. Types come from the wire structs, statuses and bodies of errors from [`Fault`] itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::{KnownFormat, Object, OpenApi, Ref, RefOr, Required, SchemaFormat, Type};
use utoipa::{IntoResponses, ToSchema};

use super::downloads::is_known;
use super::{AppState, Fault, bucket_events, companion, desk};
use crate::domain::{FieldErrors, FileTypes, Scope};
use crate::limits::Exceeded;

/// What was not done and why: messages by field, all at once.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"errors": {"filename": ["must not end in ‘.exe’"], "size": ["must be 104857600 or lower"]}}))]
pub(super) struct Errors {
    /// Messages by the name of the field that they are about.
    pub(super) errors: BTreeMap<String, Vec<String>>,
}

// ---- what schemas of several dialects share ----

/// What `str::trim` takes away, for a regular expression.
const BLANKS: &str = r"\t-\r \x85\xA0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000";

/// RFC 6838 section 4.2, as `MediaType` reads it.
const RESTRICTED_NAME: &str = "[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}";

/// A text that is not blank.
pub(super) fn not_blank() -> String {
    format!("[^{BLANKS}]")
}

/// A content type, or a blank.
pub(super) fn media_type() -> String {
    format!(r"^[{BLANKS}]*$|^[{BLANKS}]*{RESTRICTED_NAME}/{RESTRICTED_NAME}[{BLANKS}]*(;[\s\S]*)?$")
}

// ---- errors that many operations share ----

/// The errors of every request that needs a token.
pub(super) struct AnyCall;

/// The errors of every request that names a file.
pub(super) struct AnyFile;

/// The errors of every request that may have a body, beside those about what is in it.
pub(super) struct WithBody;

/// The same where nothing that could be in it would matter.
pub(super) struct IgnoredBody;

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

/// The errors that [`AnyCall`] and the others stand for, in the words of one dialect: `schema` names what `error_body` writes.
pub(super) fn shared_responses(prefix: &str, schema: &str, error_body: fn(&Fault) -> Vec<u8>) -> Map<String, Value> {
    let answer = |fault: &Fault, means: &str| {
        let example: Value = serde_json::from_slice(&error_body(fault)).unwrap_or_default();
        json!({
            "description": means,
            "headers": headers(fault.status().as_str()),
            "content": {"application/json": {"schema": {"$ref": format!("#/components/schemas/{schema}")}, "example": example}},
        })
    };
    shared_faults().into_iter().map(|(name, fault, means)| (format!("{prefix}{name}"), answer(&fault, means))).collect()
}

/// The headers of an answer with this status.
fn headers(status: &str) -> Value {
    let names = match status {
        "401" => ["X-Request-Id", "WWW-Authenticate"].as_slice(),
        "415" => &["X-Request-Id", "Accept-Encoding"],
        "429" | "503" => &["X-Request-Id", "Retry-After"],
        _ => &["X-Request-Id"],
    };
    names.iter().map(|name| ((*name).to_owned(), json!({"$ref": format!("#/components/headers/{name}")}))).collect::<Map<_, _>>().into()
}

/// A file's number in a path.
pub(super) fn id_parameter(name: &str, description: &str) -> Parameter {
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

// ---- the whole ----

/// What one router adds to the document.
pub(super) struct Part {
    /// Path items by their path from the server's root.
    pub(super) paths: Map<String, Value>,
    /// Schemas by name.
    pub(super) schemas: Map<String, Value>,
    /// Responses by name, see [`shared_responses`].
    pub(super) responses: Map<String, Value>,
}

impl From<OpenApi> for Part {
    fn from(described: OpenApi) -> Self {
        let mut whole = serde_json::to_value(described).unwrap_or_default();
        let mut taken = |pointer: &str| match whole.pointer_mut(pointer).map(Value::take) {
            Some(Value::Object(members)) => members,
            _ => Map::new(),
        };
        Self { paths: taken("/paths"), schemas: taken("/components/schemas"), responses: Map::new() }
    }
}

/// The document as it is served.
pub(super) struct Document {
    json: Bytes,
    etag: HeaderValue,
}

/// The document for the rules there are, made again when these were replaced.
pub(super) struct Documents {
    operating: OpenApi,
    latest: Mutex<(Arc<FileTypes>, Arc<Document>)>,
}

impl Documents {
    /// With what is documented of the routes that belong to no dialect.
    pub(super) fn of(state: &AppState, operating: OpenApi) -> Self {
        let rules = state.broker.file_types();
        let document = whole(state, &operating, &rules);
        Self { operating, latest: Mutex::new((rules, document)) }
    }

    fn current(&self, state: &AppState) -> Arc<Document> {
        let rules = state.broker.file_types();
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&latest.0, &rules) {
            let document = whole(state, &self.operating, &rules);
            *latest = (rules, document);
        }
        latest.1.clone()
    }
}

fn whole(state: &AppState, operating: &OpenApi, rules: &FileTypes) -> Arc<Document> {
    let mut parts = vec![Part::from(operating.clone()), desk::described(rules, state.broker.method()), companion::described(rules)];
    parts.extend(state.notifications.as_ref().map(|_| bucket_events::described()));
    document(&state.public_url, parts)
}

/// Puts the parts together for a server that is reached under `public_url`.
fn document(public_url: &str, parts: Vec<Part>) -> Arc<Document> {
    let (mut paths, mut schemas, mut responses) = (Map::new(), Map::new(), Map::new());
    for part in parts {
        paths.extend(part.paths);
        schemas.extend(part.schemas);
        responses.extend(part.responses);
    }
    for (path, item) in &mut paths {
        if let Some(prefix) = desk::other_prefix(path) {
            item["servers"] = json!([server(public_url, ""), server(public_url, prefix)]);
        }
        let operations = item.as_object_mut().into_iter().flatten().filter_map(|(_, operation)| operation.pointer_mut("/responses"));
        for (status, response) in operations.filter_map(Value::as_object_mut).flatten() {
            if response.get("$ref").is_none() {
                response["headers"] = headers(status);
            }
        }
        let operations = item.as_object_mut().into_iter().flatten().filter_map(|(_, operation)| operation.pointer_mut("/parameters"));
        for parameter in operations.filter_map(Value::as_array_mut).flatten() {
            // A header that is not sent is absent, never null.
            if parameter["schema"]["type"].is_array() {
                parameter["schema"]["type"] = parameter["schema"]["type"][0].take();
            }
        }
    }
    let whole = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "dropslip",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A broker for presigned direct-to-S3 uploads",
            "description": ABOUT,
            "license": {"name": "MIT or Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [server(public_url, "")],
        "security": [{"bearer": []}, {"basic": []}],
        "tags": [
            {"name": "Files", "description": "The three steps: ask for a slip, drop the bytes into the store, confirm."},
            {"name": "Uppy", "description": "The same for `@uppy/aws-s3`, which asks what it would ask Companion. Refusals have a `message` for \
                people; HTTP/1.1 also says it as the reason phrase of the status line."},
            {"name": "Operating", "description": "What load balancers, monitoring and generators of clients ask for."},
        ],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": responses,
            "headers": {
                "X-Request-Id": header(&json!({"type": "string"}), "The id of this request in the log: yours if you sent one."),
                "WWW-Authenticate": header(&json!({"type": "string"}), "How to authenticate."),
                "Accept-Encoding": header(&json!({"const": "identity"}), "How a body may come: as it is."),
                "Retry-After": header(&json!({"type": "integer", "minimum": 1}), "When to ask again, in seconds."),
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A token of `dropslip token create` or of the operator's token file, or a JSON Web Token where the \
                    installation takes those of its issuer."},
                "basic": {"type": "http", "scheme": "basic", "description": "The same token as the user name, with any password."},
                "notifications": {"type": "http", "scheme": "bearer", "description": "The secret of `DROPSLIP_NOTIFICATIONS_TOKEN`, for the store."},
                "notificationsBasic": {"type": "http", "scheme": "basic", "description": "The same secret as the user name, with any password."},
                "proxyKey": {"type": "apiKey", "in": "query", "name": "proxyKey", "description": "The `proxyKey` of a file, for its download alone; `downloadURL` has it."},
            },
        },
    });
    let json = Bytes::from(whole.to_string());
    let etag = format!("\"{}\"", hex::encode(&Sha256::digest(&json)[..16]));
    Arc::new(Document { json, etag: HeaderValue::try_from(etag).unwrap_or_else(|_| HeaderValue::from_static("\"\"")) })
}

const ABOUT: &str = "Ask for a slip, send the bytes to the store with it, confirm. Every error of a dialect has the same shape: \
    messages by field, and for Uppy one message for a person. A path that knows other methods answers 405 with `Allow`. Bodies are JSON in UTF-8 whatever their `Content-Type` says, and never compressed.";

fn server(public_url: &str, prefix: &str) -> Value {
    json!({"url": format!("{public_url}{prefix}")})
}

fn header(schema: &Value, description: &str) -> Value {
    json!({"required": true, "description": description, "schema": schema})
}

/// This document
///
/// It needs no token and holds no secret. It changes with the version and the configuration of the server; ask with `If-None-Match`.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "openapi",
    tag = "Operating",
    security(()),
    params(("If-None-Match" = Option<String>, Header, description = "The `ETag` of the document that you have.")),
    responses(
        (status = 200, body = Value, description = "The OpenAPI 3.1 document."),
        (status = 304, description = "You have it already.")
    )
)]
pub(super) async fn serve(
    State(state): State<AppState>,
    Extension(documents): Extension<Arc<Documents>>,
    asked: HeaderMap,
) -> Response<Body> {
    let document = documents.current(&state);
    let known = document.etag.to_str().is_ok_and(|etag| is_known(&asked, etag));
    let mut response = Response::new(if known { Body::empty() } else { Body::from(document.json.clone()) });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response.headers_mut().insert(header::ETAG, document.etag.clone());
    // To be kept, and asked about each time.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
