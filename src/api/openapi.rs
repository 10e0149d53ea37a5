//! The OpenAPI 3.1 document: what it says of the whole, around what each dialect says of its routes.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use utoipa::openapi::OpenApi;

use super::http::AppState;
use super::http::downloads::is_known;
use super::http::openapi::{Part, headers};
use super::{bucket_events, companion, desk};
use crate::domain::FileTypes;

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
