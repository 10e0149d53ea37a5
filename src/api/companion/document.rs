//! What attributes cannot say of Companion's part of the OpenAPI document: the rules of this installation, and the second place of
//! its routes, under an upload token.

use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

use super::auth::UPLOAD_TOKEN;
use super::errors::FAULTS;
use super::paths::{WITH_HEADER, by_token};
use crate::api::http::openapi::{Installation, Part, media_type, not_blank, shared_responses};
use crate::domain::media_type::MAX_CHARS;
use crate::domain::{Disposition, FileTypes};

/// Said of every route for Uppy that takes a header.
const ALSO_AT_ROOT: &str = "Also at the root, without `/companion`.";

/// Said of every route for Uppy that takes an upload token.
const BY_TOKEN: &str =
    "For clients that can send nothing but a URL: the upload token in the path says who asks, a header is not looked at.";

/// How Uppy writes what is not there.
const NOTHING: [&str; 3] = ["", "null", "undefined"];

/// Companion's part: `s3` under the prefix for headers and under that for upload tokens, `tokens` under the first alone.
pub(super) fn part(s3: OpenApi, tokens: OpenApi, installation: &Installation<'_>) -> Part {
    let (rules, by_token) = (installation.rules, by_token());
    let (s3, tokens) = (Part::from(s3), Part::from(tokens));
    let mut schemas: Map<String, Value> = s3.schemas.into_iter().chain(tokens.schemas).collect();
    if let Some(file) = schemas.get_mut("UppyFile") {
        judged(file, rules);
    }
    if let Some(wish) = schemas.get_mut("UploadTokenWish") {
        wish["properties"]["types"]["items"]["enum"] = names(rules);
        wish["example"] = json!({"types": rules.iter().take(1).map(|rule| &rule.name).collect::<Vec<_>>(), "seconds": 3600});
    }
    if !installation.has_links
        && let Some(done) = schemas.get_mut("UppyDone")
    {
        without(done, "location");
    }
    let mut paths = Map::new();
    for (path, mut item) in s3.paths {
        described_by_query(&mut item, rules);
        let mut other = item.clone();
        operations(&mut item).for_each(|operation| add_to_description(operation, ALSO_AT_ROOT));
        operations(&mut other).for_each(under_token);
        paths.insert(format!("{WITH_HEADER}{path}"), item);
        paths.insert(format!("{by_token}{path}"), other);
    }
    paths.extend(tokens.paths.into_iter().map(|(path, item)| (format!("{WITH_HEADER}{path}"), item)));
    for operation in paths.values_mut().flat_map(operations) {
        operation["tags"] = json!(["Uppy"]);
        in_our_words(operation);
    }
    link(&mut paths, WITH_HEADER);
    link(&mut paths, &by_token);
    Part { paths, schemas, responses: shared_responses("Uppy", "Refusal", &FAULTS), security_schemes: Map::new() }
}

/// Takes a member out of the schema of an object.
fn without(object: &mut Value, member: &str) {
    if let Some(properties) = object["properties"].as_object_mut() {
        properties.remove(member);
    }
    if let Some(required) = object["required"].as_array_mut() {
        required.retain(|name| name != member);
    }
}

fn operations(item: &mut Value) -> impl Iterator<Item = &mut Value> {
    item.as_object_mut().into_iter().flat_map(Map::values_mut).filter(|operation| operation.is_object())
}

fn add_to_description(operation: &mut Value, sentence: &str) {
    let said = operation["description"].as_str().unwrap_or_default();
    operation["description"] = format!("{said}\n\n{sentence}").trim_start().into();
}

/// Refusals that dialects share, as this one says them.
fn in_our_words(operation: &mut Value) {
    let responses = operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut);
    for reference in responses.filter_map(|response| response.get_mut("$ref")) {
        *reference = reference.as_str().unwrap_or_default().replace("/responses/", "/responses/Uppy").into();
    }
}

/// Without a header and with a token in the path, which may stand for a file type as well.
fn under_token(operation: &mut Value) {
    add_to_description(operation, BY_TOKEN);
    operation["security"] = json!([]);
    operation["operationId"] = format!("{}ByUploadToken", operation["operationId"].as_str().unwrap_or_default()).into();
    let mut parameters = vec![upload_token()];
    parameters.extend(operation["parameters"].as_array().into_iter().flatten().cloned());
    for parameter in parameters.iter_mut().filter(|parameter| parameter["name"] == "metadata[fileType]") {
        parameter["required"] = json!(false);
        parameter["description"] = json!("The name of a file type that the token is for. It can be left out when there is but one.");
    }
    operation["parameters"] = parameters.into();
}

fn upload_token() -> Value {
    json!({
        "name": UPLOAD_TOKEN, "in": "path", "required": true, "schema": {"type": "string"},
        "description": "An upload token: the last segment of `companionEndpoint`.",
    })
}

/// From an upload to everything that can be asked about it.
fn link(paths: &mut Map<String, Value>, prefix: &str) {
    let by_number = format!("{prefix}/s3/multipart/{{");
    let to = |key: &str, more: &Value, wanted: &dyn Fn(&str) -> bool| -> Value {
        let about = paths.iter().filter(|(path, _)| wanted(path)).filter_map(|(_, item)| item.as_object()).flat_map(Map::values);
        let names = about.filter_map(|operation| operation["operationId"].as_str());
        let link = |name: &str| {
            let mut parameters = more.clone();
            parameters["key"] = key.into();
            (name.to_owned(), json!({"operationId": name, "parameters": parameters}))
        };
        names.map(link).collect::<Map<_, _>>().into()
    };
    let in_parts = to("$response.body#/key", &json!({"upload_id": "$response.body#/uploadId"}), &|path| path.starts_with(&by_number));
    let whole = to("$response.body#/fields/key", &json!({}), &|path| path == format!("{prefix}/s3/confirm"));
    for (path, method, links) in [("multipart", "post", in_parts), ("params", "get", whole)] {
        if let Some(item) = paths.get_mut(&format!("{prefix}/s3/{path}")) {
            item[method]["responses"]["200"]["links"] = links;
        }
    }
}

// ---- what the rules add ----

/// What a page may put into a file's `meta`: name, what it is, and the texts that it can be.
fn metadata(rules: &FileTypes) -> [(&'static str, &'static str, Value); 4] {
    let dispositions = Disposition::ALL.into_iter().filter(|known| rules.iter().any(|rule| rule.dispositions.contains(known)));
    let dispositions: Value = dispositions.map(Disposition::as_str).chain(NOTHING).collect();
    [
        ("fileType", "The name of a file type of this installation.", json!({"type": "string", "enum": names(rules)})),
        (
            "size",
            "Exact number of bytes; the store then takes no other size.",
            json!({"type": "string", "pattern": r"^(\+?0*[0-9]{1,19}|null|undefined)?$"}),
        ),
        (
            "disposition",
            "Listed below a message (`attachment`, the default) or shown inside it.",
            json!({"type": "string", "enum": dispositions}),
        ),
        (
            "checksumSHA256",
            "Base64 of the SHA-256 of the bytes, 44 characters; the store then takes no other bytes. For uploads in one request.",
            json!({"type": "string", "pattern": "^([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=|null|undefined)?$"}),
        ),
    ]
}

fn names(rules: &FileTypes) -> Value {
    rules.iter().map(|rule| rule.name.as_str()).collect()
}

/// The description of a file as JSON. Whether name, type and size go together no schema says: that is a 400.
fn judged(file: &mut Value, rules: &FileTypes) {
    let properties = &mut file["properties"];
    properties["filename"]["pattern"] = not_blank().into();
    properties["type"]["pattern"] = media_type().into();
    properties["type"]["maxLength"] = MAX_CHARS.into();
    let members = metadata(rules).map(|(name, description, text)| {
        let mut kinds = vec![text];
        match name {
            "fileType" => {}
            "size" => kinds.extend([json!({"type": "integer", "minimum": 0, "maximum": largest(rules)}), json!({"type": "null"})]),
            _ => kinds.push(json!({"type": "null"})),
        }
        (name.to_owned(), json!({"description": description, "anyOf": kinds}))
    });
    properties["metadata"] = json!({
        "type": "object",
        "description": "The file's `meta` of the page. Members that are not listed here are ignored.",
        "required": ["fileType"],
        "properties": members.into_iter().collect::<Map<_, _>>(),
    });
    file["example"] = json!({
        "filename": "example.txt", "type": "text/plain",
        "metadata": {"fileType": rules.iter().next().map(|rule| &rule.name), "name": "example.txt", "size": 17},
    });
    // With an upload token for one type no type need be named, and so no metadata at all.
    file["description"] = format!(
        "{} Under an upload token for one file type `metadata.fileType` can be left out.",
        file["description"].as_str().unwrap_or_default()
    )
    .into();
}

fn largest(rules: &FileTypes) -> Option<u64> {
    rules.iter().map(|rule| rule.max_size).max()
}

/// The same as a query, for the operation that takes a file's name in one.
fn described_by_query(item: &mut Value, rules: &FileTypes) {
    let parameters = operations(item).filter_map(|operation| operation.get_mut("parameters")?.as_array_mut());
    for parameters in parameters.filter(|parameters| parameters.iter().any(|parameter| parameter["name"] == "filename")) {
        for parameter in parameters.iter_mut() {
            match parameter["name"].as_str() {
                Some("filename") => parameter["schema"]["pattern"] = not_blank().into(),
                Some("type") => {
                    parameter["schema"]["pattern"] = media_type().into();
                    parameter["schema"]["maxLength"] = MAX_CHARS.into();
                }
                _ => {}
            }
        }
        parameters.extend(metadata(rules).map(|(name, description, schema)| {
            json!({
                "name": format!("metadata[{name}]"), "in": "query", "required": name == "fileType", "schema": schema, "description": description,
            })
        }));
    }
}
