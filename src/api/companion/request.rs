//! What Uppy sends: queries and JSON with everything as text, `metadata` included.

use std::collections::BTreeMap;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use serde::Deserialize;
use serde_json::Value;
use time::Duration;
use utoipa::ToSchema;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::{Object, Required, Type};

use super::auth::Uploader;
use super::response::EXAMPLE_KEY;
use crate::api::http::body::{object, whole};
use crate::api::http::field_errors::FieldErrors;
use crate::api::http::query::Query;
use crate::api::http::{AppState, Fault};
use crate::domain::media_type::declared_type;
use crate::domain::{Caller, File, FileName, NewFile};
use crate::tokens::{LONGEST_LIFE, MOST_UPLOAD_TYPES};

/// How long an upload token lives when nobody says.
const LIFE: Duration = Duration::hours(1);

/// `metadata[name]=value` members, the last of each name.
fn metadata(query: &Query) -> BTreeMap<String, Value> {
    let named = |(name, value): &(String, String)| {
        let name = name.strip_prefix("metadata[")?.strip_suffix(']')?;
        Some((name.to_owned(), Value::String(value.clone())))
    };
    query.members().iter().filter_map(named).collect()
}

const MUST_BE_SET: &str = "must be set";

/// What Uppy says about a file, from query or JSON.
///
/// What the document says of `metadata` is in `document.rs`: it depends on the rules.
#[derive(Deserialize, Default, ToSchema)]
#[schema(as = UppyFile, description = "What is to be uploaded. Members that are not listed here are ignored.")]
pub(super) struct Described {
    /// Name of the file; it is cleaned.
    #[schema(required, nullable = false)]
    pub(super) filename: Option<String>,
    /// The content type that the browser thinks it is; blank means "you find out".
    pub(super) r#type: Option<String>,
    #[schema(required, nullable = false)]
    pub(super) metadata: Option<BTreeMap<String, Value>>,
}

/// The new file that `GET s3/params` describes.
pub(super) fn new_file_of_query(query: &Query, types: Option<&[String]>) -> Result<NewFile, FieldErrors> {
    let described =
        Described { filename: Some(query.one("filename")?), r#type: query.at_most_one("type")?, metadata: Some(metadata(query)) };
    new_file(described, types)
}

/// Reads a description with every complaint at once; `types` are the file types that the caller may upload.
pub(super) fn new_file(described: Described, types: Option<&[String]>) -> Result<NewFile, FieldErrors> {
    let mut errors = FieldErrors::new();
    let name = described.filename.unwrap_or_default();
    if name.trim().is_empty() {
        errors.add("filename", MUST_BE_SET);
    }
    let declared_type = declared_type(&described.r#type.unwrap_or_default()).unwrap_or_else(|why| {
        errors.merge(why);
        None
    });
    let metadata = Metadata(described.metadata.unwrap_or_default());
    let type_name = file_type(&mut errors, &metadata, types);
    let size = metadata.parsed(&mut errors, "size", |text| text.parse().map_err(|_| "must be a whole number".to_owned()));
    let disposition = metadata.parsed(&mut errors, "disposition", str::parse).unwrap_or_default();
    let checksum_sha256 = metadata.parsed(&mut errors, "checksumSHA256", str::parse);
    let name = FileName::sanitized(&name);
    errors.or_ok(NewFile { type_name, name, declared_type, disposition, size, checksum_sha256, multipart: None })
}

/// `metadata.fileType`; a token for one file type needs no other word. `metadata.type` is Uppy's own: the content type.
fn file_type(errors: &mut FieldErrors, metadata: &Metadata, types: Option<&[String]>) -> String {
    let wanted = metadata.text("fileType");
    match (wanted, types) {
        (None, Some([only])) => return only.clone(),
        (None, _) => errors.add("fileType", "must be set in the file's metadata"),
        (Some(wanted), Some(types)) if !types.contains(&wanted) => {
            errors.add("fileType", crate::domain::wording::one_of(types.iter().map(String::as_str)));
        }
        (Some(wanted), _) => return wanted,
    }
    String::new()
}

/// Texts and whatever else pages put into `metadata`.
struct Metadata(BTreeMap<String, Value>);

impl Metadata {
    /// A member as text; Uppy writes what is not there as one of these words.
    fn text(&self, name: &str) -> Option<String> {
        let text = match self.0.get(name)? {
            Value::String(text) => text.clone(),
            number @ Value::Number(_) => whole(number)?.to_string(),
            _ => return None,
        };
        (!["", "null", "undefined"].contains(&text.as_str())).then_some(text)
    }

    fn parsed<T>(&self, errors: &mut FieldErrors, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        // What was meant to bind the upload must not be passed over.
        if self.0.get(name).is_some_and(|value| !value.is_null() && !value.is_string() && whole(value).is_none()) {
            errors.add(name, "must be a text or a whole number");
        }
        parse(&self.text(name)?).map_err(|why| errors.add(name, why)).ok()
    }
}

/// What an upload token is asked for.
pub(super) struct UploadTokenTerms {
    pub(super) types: Vec<String>,
    pub(super) life: Duration,
}

/// What an upload token shall be good for; each member may have any JSON type, so that every complaint can name its field.
#[derive(Deserialize, ToSchema)]
#[schema(as = UploadTokenWish, description = "What an upload token shall be good for.")]
pub(super) struct UploadTokenRequest {
    /// Names of the file types that may be uploaded with it.
    #[schema(value_type = Vec<String>, required, min_items = 1, max_items = 16)]
    types: Option<Value>,
    /// How long it lives, in seconds. 3600 when absent.
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 86_400)]
    seconds: Option<Value>,
}

/// Reads `{"types": ["attachment"], "seconds": 3600}`.
pub(super) fn upload_token_terms(body: &[u8]) -> Result<UploadTokenTerms, FieldErrors> {
    let wish: UploadTokenRequest =
        object(body).map_err(|_| FieldErrors::one("body", "must be one JSON object such as {\"types\": [\"attachment\"]}"))?;
    let mut errors = FieldErrors::new();
    let mut types: Vec<String> = wish.types.and_then(|types| serde_json::from_value(types).ok()).unwrap_or_default();
    if !(1..=MOST_UPLOAD_TYPES).contains(&types.len()) {
        errors.add("types", format!("must be a list of 1 to {MOST_UPLOAD_TYPES} names of file types"));
    }
    types.sort();
    types.dedup();
    let longest = LONGEST_LIFE.whole_seconds();
    let seconds = wish
        .seconds
        .filter(|seconds| !seconds.is_null())
        .map(|seconds| whole(&seconds).and_then(|n| i64::try_from(n).ok()).unwrap_or_default());
    if seconds.is_some_and(|seconds| !(1..=longest).contains(&seconds)) {
        errors.add("seconds", format!("must be a whole number from 1 to {longest}"));
    }
    errors.or_ok(UploadTokenTerms { types, life: seconds.map_or(LIFE, Duration::seconds) })
}

/// The path's name for the number of the file, which is an upload's name in this dialect.
pub(super) const UPLOAD_ID: &str = "upload_id";

/// An upload of the caller's own, found by the `key` it got.
pub(super) struct Upload {
    pub(super) caller: Caller,
    pub(super) file: File,
}

impl FromRequestParts<AppState> for Upload {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Fault> {
        let Uploader(caller) = Uploader::from_request_parts(parts, state).await?;
        let key = Query::of(parts).one("key").map_err(Fault::Invalid)?;
        let file = state.broker.upload(&caller, &key).await?;
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| Fault::NotFound)?;
        let named = params.iter().filter(|(name, _)| *name == UPLOAD_ID).all(|(_, id)| id == file.id.to_string());
        if named { Ok(Self { caller, file }) } else { Err(Fault::NotFound) }
    }
}

impl utoipa::IntoParams for Upload {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let key = Parameter::builder()
            .name("key")
            .parameter_in(ParameterIn::Query)
            .required(Required::True)
            .description(Some("The upload's key, once. Nobody knows it but whom it was told."))
            .schema(Some(Object::builder().schema_type(Type::String).examples([EXAMPLE_KEY])));
        vec![key.build()]
    }
}
