//! What Desk's clients send: bare or wrapped, with every complaint at once.

use axum::body::Body;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Request};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa::openapi::path::{Parameter, ParameterIn};

use super::description::Description;
use crate::api::http::Fault;
use crate::api::http::body::{not_json, object, or_empty, read_json, whole};
use crate::api::http::field_errors::FieldErrors;
use crate::api::http::instants::parse_instant;
use crate::api::http::openapi::id_parameter;
use crate::domain::file::ChecksumSha256;
use crate::domain::media_type::declared_type;
use crate::domain::{FileId, FileName, NewFile, PartSizes};

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What the document says of bodies that [`ignore_body`] reads.
pub(super) const IGNORED: &str = "Any JSON, or nothing. It is ignored: the official clients send the whole file object back.";

/// What the document says of bodies that [`parse_description`] reads.
pub(super) const DESCRIBING: &str = "Nothing; or the file object, bare or in `file`, as the official clients send it back. `filename` (or `fileName`) and `disposition` \
    are read, and the rest is ignored. What is absent, null or blank changes nothing.";

/// The members of a request that mean something; each may have any JSON type, so that every complaint can name its field.
///
/// What the document says of them, beyond types, is in `document.rs`: it depends on the rules.
#[derive(Deserialize, Default, ToSchema)]
#[schema(as = NewFile, description = "What is to be uploaded. Members that are not listed here are ignored.")]
#[serde(rename_all = "camelCase")]
pub(super) struct FileFields {
    /// Name of the file; it is cleaned. This or `fileName` is needed; if both are there, they are the same.
    #[schema(value_type = Option<String>, pattern = r"[^\t-\r \x85\xA0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]")]
    filename: Option<Value>,
    /// Another spelling of `filename`.
    #[serde(rename = "fileName")]
    #[schema(value_type = Option<String>, pattern = r"[^\t-\r \x85\xA0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]")]
    file_name: Option<Value>,
    /// The content type that the client thinks it is; blank means "you find out".
    #[schema(value_type = String, required)]
    mime_type: Option<Value>,
    /// The name of a file type of this installation.
    #[schema(value_type = String, required)]
    r#type: Option<Value>,
    /// Listed below a message (`attachment`, the default) or shown inside it. Blank is the default too.
    #[schema(value_type = Option<String>)]
    disposition: Option<Value>,
    /// Exact number of bytes; the form then takes no other size.
    #[schema(value_type = Option<u64>)]
    size: Option<Value>,
    /// Base64 of the SHA-256 of the bytes, 44 characters; the form then takes no other bytes. Blank is the same as absent.
    #[serde(rename = "checksumSHA256")]
    #[schema(value_type = Option<String>, pattern = "^([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)?$")]
    checksum_sha256: Option<Value>,
    /// Whether the client can upload in parts. Large files then come as `MULTIPART`; `size` is needed for that.
    #[schema(value_type = Option<bool>)]
    multipart: Option<Value>,
}

/// The members of a file object that can be changed afterwards. Everything else that clients send back with them is read past, and
/// so is JSON of any other shape.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Describing<'a> {
    #[serde(borrow)]
    filename: Option<&'a RawValue>,
    #[serde(borrow, rename = "fileName")]
    file_name: Option<&'a RawValue>,
    #[serde(borrow)]
    disposition: Option<&'a RawValue>,
    #[serde(borrow)]
    updated_at: Option<&'a RawValue>,
}

/// Reads what a confirmation says of the file, bare or wrapped. What is not set, null or blank changes nothing: the official clients send
/// back the whole object, and their unset texts are blank.
pub(super) fn parse_description(body: &[u8]) -> Result<Description, FieldErrors> {
    let body = body.trim_ascii();
    if body.is_empty() {
        return Ok(Description::default());
    }
    serde_json::from_slice::<IgnoredAny>(body).map_err(|error| not_json(&error))?;
    if !body.starts_with(b"{") {
        return Ok(Description::default());
    }
    let Wrapper { file } = object(body)?;
    let inner = file.map(|file| file.get().as_bytes()).filter(|inner| inner.starts_with(b"{"));
    let fields: Describing<'_> = object(inner.unwrap_or(body))?;
    let mut errors = FieldErrors::new();
    // What holds more than a text holds no text, however deep it is.
    let value = |raw: Option<&RawValue>| raw.map(|raw| serde_json::from_str(raw.get()).unwrap_or(Value::Array(Vec::new())));
    let spellings = [("filename", fields.filename), ("fileName", fields.file_name)];
    let names = spellings.into_iter().filter_map(|(field, raw)| text(&mut errors, field, value(raw)));
    let names = names.filter(|name| !name.trim().is_empty()).map(|name| FileName::sanitized(&name)).collect();
    let disposition = parsed(&mut errors, "disposition", value(fields.disposition));
    // What is no moment is none of an answer of ours.
    let as_of = fields.updated_at.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    let as_of = as_of.and_then(|text| parse_instant(&text));
    errors.or_ok(Description { names, as_of, disposition })
}

#[derive(Deserialize)]
pub(super) struct Wrapper<'a> {
    #[serde(borrow)]
    file: Option<&'a RawValue>,
}

/// Reads a request bare or wrapped, with every complaint at once.
pub(super) fn parse_new_file(body: &[u8]) -> Result<NewFile, FieldErrors> {
    let body = or_empty(body);
    let envelope: Wrapper<'_> = object(body)?;
    let (mut fields, wrapped): (FileFields, bool) = match envelope.file {
        Some(inner) => (object(inner.get().as_bytes())?, true),
        None => (object(body)?, false),
    };
    if wrapped && fields.size.as_ref().is_some_and(|size| size == 0) {
        // The wrapped shape comes from a client whose unset numbers are zeros.
        fields.size = None;
    }
    NewFile::try_from(fields)
}

impl TryFrom<FileFields> for NewFile {
    type Error = FieldErrors;

    fn try_from(fields: FileFields) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::new();
        let filename = text(&mut errors, "filename", fields.filename);
        let other_spelling = text(&mut errors, "fileName", fields.file_name);
        if let (Some(one), Some(other)) = (&filename, &other_spelling)
            && one != other
        {
            errors.add("filename", "must be the same as fileName");
        }
        let name = filename.or(other_spelling).filter(|name| !name.trim().is_empty());
        if name.is_none() && !["filename", "fileName"].iter().any(|field| errors.has(field)) {
            errors.add("filename", MUST_BE_SET);
        }
        let declared = required_text(&mut errors, "mimeType", fields.mime_type).unwrap_or_default();
        let declared_type = declared_type(&declared).unwrap_or_else(|why| {
            errors.merge(why);
            None
        });
        let type_name = required_text(&mut errors, "type", fields.r#type).unwrap_or_default();
        if type_name.is_empty() && !errors.has("type") {
            errors.add("type", MUST_BE_SET);
        }
        let disposition = parsed(&mut errors, "disposition", fields.disposition).unwrap_or_default();
        let checksum_sha256: Option<ChecksumSha256> = parsed(&mut errors, "checksumSHA256", fields.checksum_sha256);
        let size = whole_number(&mut errors, "size", fields.size);
        let in_parts = boolean(&mut errors, "multipart", fields.multipart).unwrap_or_default();
        let multipart = in_parts.then_some(PartSizes::Granted);
        let name = FileName::sanitized(&name.unwrap_or_default());
        errors.or_ok(Self { type_name, name, declared_type, disposition, size, checksum_sha256, multipart })
    }
}

const MUST_BE_SET: &str = "must be set";

fn text(errors: &mut FieldErrors, field: &str, value: Option<Value>) -> Option<String> {
    match value? {
        Value::Null => None,
        Value::String(text) => Some(text),
        _ => {
            errors.add(field, "must be a text");
            None
        }
    }
}

fn required_text(errors: &mut FieldErrors, field: &str, value: Option<Value>) -> Option<String> {
    if value.as_ref().is_none_or(Value::is_null) {
        errors.add(field, MUST_BE_SET);
    }
    text(errors, field, value)
}

/// A text that stands for something; blank is the same as absent.
fn parsed<T: std::str::FromStr<Err = String>>(errors: &mut FieldErrors, field: &str, value: Option<Value>) -> Option<T> {
    let text = text(errors, field, value).filter(|text| !text.is_empty())?;
    text.parse().map_err(|why: String| errors.add(field, why)).ok()
}

fn boolean(errors: &mut FieldErrors, field: &str, value: Option<Value>) -> Option<bool> {
    let value = value.filter(|value| !value.is_null())?;
    let yes = value.as_bool();
    if yes.is_none() {
        errors.add(field, "must be true or false");
    }
    yes
}

fn whole_number(errors: &mut FieldErrors, field: &str, value: Option<Value>) -> Option<u64> {
    let value = value.filter(|value| !value.is_null())?;
    let number = whole(&value);
    if number.is_none() {
        let negative = value.as_f64().is_some_and(|number| number < 0.0);
        errors.add(field, if negative { "must be 0 or higher" } else { "must be a whole number" });
    }
    number
}

/// `{id}.json`; what is no number of a file is no file.
pub(super) struct IdInPath(pub(super) FileId);

impl utoipa::IntoParams for IdInPath {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![id_parameter("id", "The file's number.")]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdInPath {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let Path(segment) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| Fault::NotFound)?;
        let digits = segment.strip_suffix(".json").unwrap_or(&segment);
        let plain = digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse().ok().filter(|_| plain).map(|id| Self(FileId(id))).ok_or(Fault::NotFound)
    }
}

/// Desk's clients send nothing, or the whole object back; nothing in it can be changed here.
pub(super) async fn ignore_body(request: Request<Body>) -> Result<(), Fault> {
    let body = read_json(request).await?;
    if !body.trim_ascii().is_empty() {
        serde_json::from_slice::<serde::de::IgnoredAny>(&body).map_err(|error| Fault::Invalid(not_json(&error)))?;
    }
    Ok(())
}

/// The caller's word for this request, 1 to 255 visible characters.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, FieldErrors> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().unwrap_or_default();
    if values.next().is_some() || !(1..=255).contains(&key.len()) || !key.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return Err(FieldErrors::one("Idempotency-Key", "must be one text of 1 to 255 visible characters"));
    }
    Ok(Some(key.to_owned()))
}
