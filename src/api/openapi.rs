//! The OpenAPI 3.1 document: what it says of the whole, around what each dialect says of its routes.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use utoipa::openapi::OpenApi;

use super::bucket_events;
use super::http::AppState;
use super::http::conditions::is_known;
use super::http::dialect::Dialects;
use super::http::openapi::{Installation, Part, headers, server};
use crate::domain::FileTypes;

/// The document as it is served.
pub(super) struct Document {
    json: Bytes,
    etag: HeaderValue,
}

/// The document for the rules there are, made again when these were replaced.
pub(super) struct Documents {
    dialects: Dialects,
    operating: OpenApi,
    latest: Mutex<(Arc<FileTypes>, Arc<Document>)>,
}

impl Documents {
    /// Of these dialects, with what is documented of the routes that belong to none.
    pub(super) fn of(state: &AppState, dialects: Dialects, operating: OpenApi) -> Self {
        let rules = state.broker.file_types();
        let document = whole(state, &dialects, &operating, &rules);
        Self { dialects, operating, latest: Mutex::new((rules, document)) }
    }

    fn current(&self, state: &AppState) -> Arc<Document> {
        let rules = state.broker.file_types();
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&latest.0, &rules) {
            let document = whole(state, &self.dialects, &self.operating, &rules);
            *latest = (rules, document);
        }
        latest.1.clone()
    }
}

fn whole(state: &AppState, dialects: &Dialects, operating: &OpenApi, rules: &FileTypes) -> Arc<Document> {
    let installation =
        Installation { rules, method: state.broker.method(), public_url: &state.public_url, has_links: state.files.is_some() };
    let mut parts = vec![Part::from(operating.clone())];
    parts.extend(dialects.iter().map(|dialect| (dialect.described)(&installation)));
    parts.extend(state.notifications.as_ref().map(|_| bucket_events::described()));
    document(&state.public_url, dialects, parts)
}

/// Puts the parts together for a server that is reached under `public_url`.
fn document(public_url: &str, dialects: &Dialects, parts: Vec<Part>) -> Arc<Document> {
    let (mut paths, mut schemas, mut responses) = (Map::new(), Map::new(), Map::new());
    let mut security_schemes = security_schemes();
    for part in parts {
        paths.extend(part.paths);
        schemas.extend(part.schemas);
        responses.extend(part.responses);
        security_schemes.extend(part.security_schemes);
    }
    for (_, item) in &mut paths {
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
            "description": about(dialects),
            "license": {"name": "MIT or Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [server(public_url, "")],
        "security": [{"bearer": []}, {"basic": []}],
        "tags": tags(dialects),
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
            "securitySchemes": security_schemes,
        },
    });
    let json = Bytes::from(whole.to_string());
    let etag = format!("\"{}\"", hex::encode(&Sha256::digest(&json)[..16]));
    Arc::new(Document { json, etag: HeaderValue::try_from(etag).unwrap_or_else(|_| HeaderValue::from_static("\"\"")) })
}

fn about(dialects: &Dialects) -> String {
    let refusals: Vec<_> = dialects.iter().map(|dialect| dialect.refusals).collect();
    format!(
        "Ask for a slip, send the bytes to the store with it, confirm. Every error of a dialect has the same shape: {}. A path that knows \
         other methods answers 405 with `Allow`. Bodies are JSON in UTF-8 whatever their `Content-Type` says, and never compressed.",
        refusals.join(", and ")
    )
}

fn tags(dialects: &Dialects) -> Value {
    let operating = ("Operating", "What load balancers, monitoring and generators of clients ask for.");
    let tags = dialects.iter().map(|dialect| dialect.tag).chain([operating]);
    tags.map(|(name, description)| json!({"name": name, "description": description})).collect()
}

/// What opens which operation, whatever dialects there are.
fn security_schemes() -> Map<String, Value> {
    let schemes = [
        (
            "bearer",
            "bearer",
            "A token of `dropslip token create` or of the operator's token file, or a JSON Web Token where the installation takes those of \
             its issuer.",
        ),
        ("basic", "basic", "The same token as the user name, with any password."),
        ("notifications", "bearer", "The secret of `DROPSLIP_NOTIFICATIONS_TOKEN`, for the store."),
        ("notificationsBasic", "basic", "The same secret as the user name, with any password."),
    ];
    let scheme = |scheme, description| json!({"type": "http", "scheme": scheme, "description": description});
    schemes.map(|(name, kind, description)| (name.to_owned(), scheme(kind, description))).into_iter().collect()
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
