//! What attributes cannot say of this dialect's part of the OpenAPI document: where its routes are, and how calls are signed.

use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

use super::errors::FAULTS;
use super::paths::PREFIX;
use crate::api::http::openapi::{Part, shared_responses};

/// What every call carries, and what the document calls it.
const CREDENTIALS: [(&str, &str, &str); 3] = [
    (
        "classicKey",
        "apikey",
        "The name of a pair, as `dropslip token classic` prints it. In a form it may stand in the body. An access token as `Bearer` does in place of all three.",
    ),
    ("classicSalt", "salt", "Any text that is not empty; clients take another one for each call."),
    ("classicSignature", "signature", "HMAC-SHA256 of the salt by the pair's secret, as base64."),
];

/// This dialect's part.
pub(super) fn part(described: OpenApi) -> Part {
    let Part { paths, mut schemas, .. } = Part::from(described);
    schemas.insert(
        "ClassicErrors".to_owned(),
        json!({"type": "string", "description": "A line for each complaint: what it is about, and what it must be."}),
    );
    let mut paths: Map<String, Value> = paths.into_iter().map(|(path, item)| (format!("{PREFIX}{path}"), item)).collect();
    let all_three: Map<String, Value> = CREDENTIALS.iter().map(|(name, ..)| ((*name).to_owned(), json!([]))).collect();
    for operation in paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        operation["tags"] = json!(["Kayako Classic"]);
        operation["security"] = json!([all_three]);
        let responses = operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut);
        for reference in responses.filter_map(|response| response.get_mut("$ref")) {
            *reference = reference.as_str().unwrap_or_default().replace("/responses/", "/responses/Classic").into();
        }
    }
    let scheme = |(name, parameter, about): &(&str, &str, &str)| {
        ((*name).to_owned(), json!({"type": "apiKey", "in": "query", "name": parameter, "description": about}))
    };
    let security_schemes = CREDENTIALS.iter().map(scheme).collect();
    Part { paths, schemas, responses: shared_responses("Classic", "ClassicErrors", &FAULTS), security_schemes }
}
