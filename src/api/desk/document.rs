//! What attributes cannot say of Desk's part of the OpenAPI document: the rules of this installation, and examples, which are
//! made by the same code as the answers.

use serde_json::{Map, Value, json};
use time::macros::datetime;
use utoipa::openapi::OpenApi;

use super::errors::FAULTS;
use super::list::PageBody;
use super::list_query::ListQuery;
use super::paths::{FILES, OTHER_ROOT, VERSION};
use super::response::{Envelope, FileBody, SlipBody};
use crate::api::http::downloads::{Links, PROXY_KEY};
use crate::api::http::openapi::{Installation, Part, media_type, server, shared_responses};
use crate::api::http::query::Query;
use crate::broker::{Page, Slip, TicketPage};
use crate::domain::media_type::MAX_CHARS;
use crate::domain::{
    Actor, ActorKind, Attempts, Disposition, Evidence, File, FileId, FileName, FileType, FileTypes, Grant, MediaType, NewFile, Pixels,
    PostId, Sealed, State, Tenant, UploadMethod, Verdict,
};
use crate::post_policy::PresignedPost;

/// The size of the example of a file in parts, in bytes.
const WORTH_PARTS: u64 = 1_000_000_000;

/// Desk's part, under its shorter prefix.
pub(super) fn part(described: OpenApi, installation: &Installation<'_>) -> Part {
    let (rules, prefix) = (installation.rules, VERSION);
    let Part { paths, mut schemas, .. } = Part::from(described);
    let mut paths: Map<String, Value> = paths.into_iter().map(|(path, item)| (format!("{prefix}{}", as_sent(&path)), item)).collect();
    for (method, operation) in paths.values_mut().filter_map(Value::as_object_mut).flatten() {
        operation["tags"] = json!(["Files"]);
        // One handler, two methods: the document wants two names.
        if method == "put"
            && let Some(Value::String(name)) = operation.get_mut("operationId")
        {
            name.push_str("ByPut");
        }
    }
    let links = links(&paths);
    for item in paths.values_mut() {
        for pointer in ["/post/responses/201", "/get/responses/200"] {
            let Some(content) = item.pointer_mut(&format!("{pointer}/content/application~1json")) else { continue };
            let example = match content["schema"]["$ref"].as_str().and_then(|name| name.strip_prefix("#/components/schemas/")) {
                Some("Slip") => slip_example(),
                Some("FileAnswer" | "FoundFile") => file_example(),
                Some("FilePage") => page_example(),
                Some("TicketFilePage") => ticket_example(),
                _ => None,
            };
            if let Some(example) = example {
                content["example"] = example;
            }
        }
        if let Some(slip) = item.pointer_mut("/post/responses/201") {
            slip["links"] = links.clone().into();
        }
    }
    if let Some(fields) = schemas.get_mut("NewFile") {
        judged(fields, rules);
        if installation.method == UploadMethod::Put {
            sized(fields);
        }
    }
    schemas.insert(
        "WrappedNewFile".to_owned(),
        json!({
            "type": "object",
            "description": "The same in the shape of the official clients, where `size` 0 means that it is not known.",
            "required": ["file"],
            "properties": {"file": {"$ref": "#/components/schemas/NewFile"}},
        }),
    );
    schemas.insert("FileChanges".to_owned(), changes_schema());
    // With `fields`, any member may be missing but the number.
    if let Some(mut some) = schemas.get("File").cloned() {
        some["required"] = json!(["id"]);
        some["description"] = json!("A file object, or with `fields` some of its members.");
        schemas.insert("SomeOfFile".to_owned(), some.clone());
        if let Some(post) = schemas.get("SomeOfTicketFile").and_then(post_of) {
            some["description"] = json!("A file object on a ticket, or with `fields` some of its members.");
            some["properties"]["post"] = post;
            schemas.insert("SomeOfTicketFile".to_owned(), some);
        }
    }
    for method in ["patch", "put"] {
        let body =
            paths.get_mut(&format!("{prefix}/files/{{id}}.json")).and_then(|item| item.pointer_mut(&format!("/{method}/requestBody")));
        if let Some(body) = body {
            body["content"]["application/json"] = json!({
                "schema": {"$ref": "#/components/schemas/FileChanges"},
                "examples": {
                    "confirm": {"summary": "Confirm an upload", "value": {}},
                    "rename": {"summary": "Rename a file", "value": {"filename": "another name.txt"}},
                },
            });
        }
    }
    if let Some(body) = paths.get_mut(&format!("{prefix}/files/ref.json")).and_then(|item| item.pointer_mut("/post/requestBody")) {
        body["required"] = json!(true);
        body["content"]["application/json"] = json!({
            "schema": {"anyOf": [{"$ref": "#/components/schemas/NewFile"}, {"$ref": "#/components/schemas/WrappedNewFile"}]},
            "examples": requests(rules),
        });
    }
    let url = installation.public_url;
    for item in paths.values_mut() {
        item["servers"] = json!([server(url, ""), server(url, OTHER_ROOT)]);
    }
    Part { paths, schemas, responses: shared_responses("", "Errors", &FAULTS), security_schemes: key_in_links() }
}

/// What a file on a ticket has beside all others.
fn post_of(on_ticket: &Value) -> Option<Value> {
    on_ticket["allOf"].as_array()?.iter().find_map(|part| part.pointer("/properties/post").cloned())
}

/// What opens a download beside a token.
fn key_in_links() -> Map<String, Value> {
    let description = "The `proxyKey` of a file, for its download alone; `downloadURL` has it.";
    let key = json!({"type": "apiKey", "in": "query", "name": PROXY_KEY, "description": description});
    Map::from_iter([("proxyKey".to_owned(), key)])
}

/// A parameter of the router is a whole segment; the document shows the ending that clients send.
fn as_sent(path: &str) -> String {
    if path.ends_with("/{id}") { format!("{path}.json") } else { path.to_owned() }
}

/// From a slip to everything that can be asked about its file.
fn links(paths: &Map<String, Value>) -> Map<String, Value> {
    let about_a_file =
        paths.iter().filter(|(path, _)| path.contains("{id}") && !path.contains("{tid}")).filter_map(|(_, item)| item.as_object());
    let names = about_a_file.flat_map(Map::values).filter_map(|operation| operation["operationId"].as_str());
    names.map(|name| (name.to_owned(), json!({"operationId": name, "parameters": {"id": "$response.body#/file/id"}}))).collect()
}

/// What the rules add to the shape of a request. What they demand of name and type together no schema says: that is a 400.
fn judged(fields: &mut Value, rules: &FileTypes) {
    // Inside an allOf: generators of clients take an anyOf beside properties for another shape.
    fields["allOf"] = json!([{"anyOf": [
        {"required": ["filename"], "properties": {"filename": {"type": "string"}}},
        {"required": ["fileName"], "properties": {"fileName": {"type": "string"}}},
    ]}]);
    let properties = &mut fields["properties"];
    properties["type"]["enum"] = rules.iter().map(|rule| rule.name.as_str()).collect();
    properties["mimeType"]["maxLength"] = json!(MAX_CHARS);
    properties["mimeType"]["pattern"] = json!(media_type());
    let known = Disposition::ALL.into_iter().filter(|known| rules.iter().any(|rule| rule.dispositions.contains(known)));
    properties["disposition"]["enum"] = known.map(|known| json!(known.as_str())).chain([json!(""), Value::Null]).collect();
    properties["size"]["maximum"] = json!(rules.iter().map(|rule| rule.max_size).max());
}

/// What a confirmation reads, bare or wrapped; JSON of another shape is read past.
fn changes_schema() -> Value {
    let any = ["object", "array", "string", "number", "boolean", "null"];
    let dispositions: Vec<Value> =
        Disposition::ALL.map(|known| json!(known.as_str())).into_iter().chain([json!(""), Value::Null]).collect();
    let members = json!({
        "filename": {"type": ["string", "null"], "description": "Another name; it is cleaned. Null or blank changes nothing."},
        "fileName": {"type": ["string", "null"], "description": "Another spelling of `filename`. One that is the name already says nothing."},
        "disposition": {"enum": dispositions, "description": "Another disposition."},
    });
    let mut bare = json!({"type": any, "description": "What to change of the file. All other members are ignored.", "properties": members});
    bare["properties"]["file"] = json!({"type": any, "description": "The same in the shape of the official clients; then what stands beside it is ignored.",
        "properties": members});
    bare
}

/// A presigned PUT has no range of sizes.
fn sized(fields: &mut Value) {
    if let Some(required) = fields["required"].as_array_mut() {
        required.push(json!("size"));
    }
    fields["properties"]["size"]["type"] = json!("integer");
}

// ---- examples ----

/// A request for each file type that this installation grants, and one in the other shape.
fn requests(rules: &FileTypes) -> Value {
    let granted = rules.iter().filter_map(|rule| Some((rule, request(rule)?)));
    let mut examples: Map<String, Value> =
        granted.map(|(rule, request)| (rule.name.clone(), json!({"summary": rule.title, "value": request}))).collect();
    let largest = rules.iter().filter(|rule| rule.max_size >= WORTH_PARTS).max_by_key(|rule| rule.max_size);
    if let Some(mut request) = largest.and_then(request) {
        request["size"] = json!(WORTH_PARTS);
        request["multipart"] = json!(true);
        examples.insert("in-parts".to_owned(), json!({"summary": "A large file, in parts", "value": request}));
    }
    if let Some(first) = examples.values().next().map(|example| example["value"].clone()) {
        examples.insert("wrapped".to_owned(), json!({"summary": "In the shape of the official clients", "value": {"file": first}}));
    }
    examples.into()
}

/// What `rule` grants: its first type that has an extension.
fn request(rule: &FileType) -> Option<Value> {
    let extensions = rule.content_types.iter().flat_map(|allowed| allowed.extensions.iter());
    let names = extensions.map(|extension| format!("example.{}", extension.replace('*', "bin")));
    let wish = |name: String| NewFile {
        type_name: rule.name.clone(),
        name: FileName::sanitized(&name),
        declared_type: None,
        disposition: rule.dispositions.first().copied().unwrap_or_default(),
        size: Some(rule.min_size.max(17).min(rule.max_size)),
        checksum_sha256: None,
        multipart: None,
    };
    let (grant, wish) = names.map(wish).find_map(|wish| Some((rule.judge(&wish).ok()?.grant, wish)))?;
    Some(json!({
        "type": wish.type_name, "filename": wish.name.as_str(), "mimeType": grant.content_type.to_string(),
        "disposition": wish.disposition.as_str(), "size": wish.size,
    }))
}

fn slip_example() -> Option<Value> {
    let fields = [
        ("Content-Type", "image/jpeg"),
        ("bucket", "uploads"),
        ("key", "temp/01a20173b129-a49807ba1f6e4c3d8b5a9e0c7d2f4b61"),
        ("success_action_status", "201"),
        ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
        ("x-amz-credential", "AKIAIOSFODNN7EXAMPLE/20260102/us-east-1/s3/aws4_request"),
        ("x-amz-date", "20260102T030405Z"),
        ("policy", "eyJleHBpcmF0aW9uIjoi..."),
        ("x-amz-signature", "c0ca455011c4..."),
    ];
    let post = PresignedPost {
        url: "https://uploads.s3.us-east-1.amazonaws.com/".to_owned(),
        fields: fields.map(|(name, value)| (name, value.to_owned())).into(),
        expires_at: datetime!(2026-01-02 04:04:05 UTC),
    };
    let file = File { state: State::Temp(Attempts::default()), ..photo()? };
    serde_json::to_value(SlipBody::new(&file, Slip::Form(post))).ok()
}

fn file_example() -> Option<Value> {
    let photo = photo()?;
    serde_json::to_value(Envelope { file: FileBody::new(&photo).linked(&photo, &Links::of_example(FILES)) }).ok()
}

fn ticket_example() -> Option<Value> {
    let ticket = TicketPage { page: page()?, posts: [(FileId(1), PostId(31))].into() };
    let wanted = ListQuery::parse(&Query::parsed("")).ok()?;
    serde_json::to_value(PageBody::of_ticket(&ticket, &wanted, &Links::of_example(FILES))).ok()
}

fn page() -> Option<Page> {
    Some(Page { files: vec![photo()?], next: None, records: Some(1) })
}

fn page_example() -> Option<Value> {
    let page = page()?;
    let wanted = ListQuery::parse(&Query::parsed("")).ok()?;
    serde_json::to_value(PageBody::new(&page, &wanted, &Links::of_example(FILES))).ok()
}

fn photo() -> Option<File> {
    let jpeg: MediaType = "image/jpeg".parse().ok()?;
    let somebody = Actor { id: 42, kind: ActorKind::Users };
    Some(File {
        id: FileId(1),
        tenant: Tenant::DEFAULT.parse().ok()?,
        state: State::Active(Sealed {
            key: "files/01a20173b5c4-5f2d1c0b9a8e7f6d4c3b2a1908f7e6d5".parse().ok()?,
            size: 83_415,
            etag: "90ed4b711e911cd190bb62894c1c7fa4".to_owned(),
            evidence: Evidence {
                detected: Some(jpeg.clone()),
                verdict: Verdict::Matches,
                decided: jpeg.clone(),
                pixels: Some(Pixels { width: 1920, height: 1080 }),
            },
        }),
        type_name: "image".to_owned(),
        name: FileName::sanitized("photo.jpg"),
        disposition: Disposition::Attachment,
        declared_type: Some(jpeg.clone()),
        grant: Grant { content_type: jpeg, min_size: 1, max_size: 10 * 1024 * 1024 },
        checksum_sha256: None,
        staging_key: "temp/01a20173b129-a49807ba1f6e4c3d8b5a9e0c7d2f4b61".parse().ok()?,
        multipart: None,
        created_at: datetime!(2026-01-02 03:04:05.789_919 UTC),
        updated_at: datetime!(2026-01-02 03:04:06.913_846 UTC),
        expires_at: datetime!(2026-01-02 04:04:05 UTC),
        keep_until: None,
        created_by: somebody,
        updated_by: somebody,
    })
}
