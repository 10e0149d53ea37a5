//! What attributes cannot say of this dialect's part of the OpenAPI document: where its routes are, its words, and how clients log in.

use serde_json::{Map, Value, json};
use utoipa::openapi::{ComponentsBuilder, OpenApi};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::errors::{ErrorsBody, FAULTS};
use super::paths::PREFIX;
use crate::api::http::openapi::{Part, shared_responses};

/// This dialect's part.
pub(super) fn part(described: OpenApi) -> Part {
    let Part { paths, mut schemas, .. } = Part::from(described);
    let mut errors = Vec::new();
    ErrorsBody::schemas(&mut errors);
    errors.push((ErrorsBody::name().into_owned(), ErrorsBody::schema()));
    let components = ComponentsBuilder::new().schemas_from_iter(errors).build();
    if let Ok(Value::Object(all)) = serde_json::to_value(components).map(|mut all| all["schemas"].take()) {
        schemas.extend(all);
    }
    // `fields` says which of its members are there.
    if let Some(file) = schemas.get_mut("KayakoFile").and_then(Value::as_object_mut) {
        file.remove("required");
    }
    let mut paths: Map<String, Value> = paths.into_iter().map(|(path, item)| (format!("{PREFIX}{path}"), item)).collect();
    for operation in paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        operation["tags"] = json!(["Kayako"]);
        // Whole numbers of any length are understood, however far they are beyond the last file.
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten();
        for counted in parameters.filter(|parameter| ["offset", "limit"].iter().any(|name| parameter["name"] == *name)) {
            if let Some(schema) = counted["schema"].as_object_mut() {
                schema.remove("format");
            }
        }
        operation["security"] = json!([{"bearer": []}, {"basic": []}, {"kayako": []}]);
        let responses = operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut);
        for reference in responses.filter_map(|response| response.get_mut("$ref")) {
            *reference = reference.as_str().unwrap_or_default().replace("/responses/", "/responses/Kayako").into();
        }
    }
    let security_schemes = [(
        "kayako",
        json!({"type": "http", "scheme": "basic", "description": "Any address as the user name, a token as the password. It begins a session, which is good as `X-Session-ID` from then on; changes need its `X-CSRF-Token` too. A session that is over is answered 454."}),
    )];
    let security_schemes = security_schemes.into_iter().map(|(name, scheme)| (name.to_owned(), scheme)).collect();
    Part { paths, schemas, responses: shared_responses("Kayako", "KayakoErrors", &FAULTS), security_schemes }
}
