//! Teamwork Desk's files API, v2: asking for a slip, confirming an upload, reading a file.
//!
//! Served under `/v2` and `/desk/api/v2`. Bodies come bare or wrapped in `{"file": ...}`, and unknown members are ignored, because
//! the official clients send whole objects back. Beyond Desk a request may carry `size` and `checksumSHA256`, and the answer
//! carries `expiresAt`.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
use axum::{Json, Router};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use super::{AppState, BODY_TIMEOUT, Fault, IDEMPOTENCY_KEY, MAX_BODY_BYTES, rendered};
use crate::broker::Authorized;
use crate::domain::file::ChecksumSha256;
use crate::domain::policy_file::declared_type;
use crate::domain::{Actor, Caller, Evidence, FieldErrors, File, FileId, FileName, FileState, NewFile};
use crate::post_policy::PresignedPost;

const PREFIXES: [&str; 2] = ["/v2", "/desk/api/v2"];

/// Microseconds, always six digits: what Desk's own answers have.
const TIMESTAMP: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
const SECONDS: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// Every URL of this dialect, with its own answer to unknown paths, wrong methods and panics.
pub(super) fn router() -> Router<AppState> {
    PREFIXES.into_iter().fold(Router::new(), |router, prefix| {
        // A nested router is not asked about its prefix with nothing but a slash behind it.
        let bare = Router::new().route(&format!("{prefix}/"), any(|| async { Fault::NotFound }));
        router.nest(prefix, in_our_words(resource())).merge(in_our_words(bare))
    })
}

fn resource() -> Router<AppState> {
    Router::new()
        .route("/files/ref.json", post(authorize))
        .route("/files/{file}/ref.json", post(reissue))
        .route("/files/{file}", get(read).patch(confirm).put(confirm))
        .fallback(|| async { Fault::NotFound })
        .method_not_allowed_fallback(|| async { Fault::MethodNotAllowed })
}

fn in_our_words(router: Router<AppState>) -> Router<AppState> {
    router
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| Fault::Internal("a handler panicked".to_owned()).into_response()))
        .layer(axum::middleware::map_response(async |response: Response<Body>| rendered(response, error_body)))
        .layer(SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
}

// ---- wire ----

/// The members of a request that mean something; each may have any JSON type, so that every complaint can name its field.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct FileFields {
    filename: Option<Value>,
    #[serde(rename = "fileName")]
    file_name: Option<Value>,
    mime_type: Option<Value>,
    r#type: Option<Value>,
    disposition: Option<Value>,
    size: Option<Value>,
    #[serde(rename = "checksumSHA256")]
    checksum_sha256: Option<Value>,
}

#[derive(Deserialize)]
struct Wrapper<'a> {
    #[serde(borrow)]
    file: Option<&'a RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SlipBody {
    url: String,
    params: Params,
    expires_at: String,
    file: FileBody,
}

#[derive(Serialize)]
struct Envelope {
    file: FileBody,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileBody {
    id: i64,
    mime_type: String,
    filename: String,
    #[serde(rename = "fileName")]
    file_name: String,
    size: u64,
    disposition: &'static str,
    r#type: String,
    state: &'static str,
    #[serde(rename = "URL", skip_serializing_if = "Option::is_none")]
    url: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pixel_width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pixel_height: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<EvidenceBody>,
    created_at: String,
    updated_at: String,
    created_by: ActorBody,
    updated_by: ActorBody,
}

/// What was declared, granted, detected and decided: all that an auditor asks about one upload.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EvidenceBody {
    declared_type: Option<String>,
    granted_type: String,
    detected_type: Option<String>,
    decided_type: String,
    served_type: String,
    verdict: &'static str,
    size_range: [u64; 2],
    #[serde(rename = "checksumSHA256")]
    checksum_sha256: Option<String>,
    etag: Option<String>,
}

#[derive(Serialize)]
struct ActorBody {
    id: i64,
    r#type: &'static str,
}

/// The form's fields as one object, in the order in which they are best sent.
struct Params(Vec<(&'static str, String)>);

impl Serialize for Params {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (field, value) in &self.0 {
            map.serialize_entry(field, value)?;
        }
        map.end()
    }
}

impl SlipBody {
    fn new(file: &File, post: PresignedPost) -> Self {
        let expires_at = post.expires_at.format(SECONDS).unwrap_or_default();
        Self { url: post.url, params: Params(post.fields), expires_at, file: FileBody::new(file) }
    }
}

impl EvidenceBody {
    fn new(file: &File, evidence: &Evidence) -> Self {
        Self {
            declared_type: file.declared_type.as_ref().map(ToString::to_string),
            granted_type: file.granted_type.to_string(),
            detected_type: evidence.detected.as_ref().map(ToString::to_string),
            decided_type: evidence.decided.to_string(),
            served_type: evidence.decided.as_served().to_string(),
            verdict: evidence.verdict.as_str(),
            size_range: [file.min_size, file.max_size],
            checksum_sha256: file.checksum_sha256.as_ref().map(|checksum| checksum.as_base64().to_owned()),
            etag: file.etag.clone(),
        }
    }
}

impl FileBody {
    fn new(file: &File) -> Self {
        let instant = |at: OffsetDateTime| at.format(TIMESTAMP).unwrap_or_default();
        let actor = |actor: Actor| ActorBody { id: actor.id, r#type: actor.kind.as_str() };
        let name = file.name.as_str().to_owned();
        let pixels = file.evidence.as_ref().and_then(|evidence| evidence.pixels);
        Self {
            id: file.id.0,
            mime_type: file.content_type().to_string(),
            filename: name.clone(),
            file_name: name,
            size: file.size,
            disposition: file.disposition.as_str(),
            r#type: file.type_name.clone(),
            state: file.state.as_str(),
            url: (file.state != FileState::Temp).then_some(""),
            pixel_width: pixels.map(|pixels| pixels.width),
            pixel_height: pixels.map(|pixels| pixels.height),
            evidence: file.evidence.as_ref().map(|evidence| EvidenceBody::new(file, evidence)),
            created_at: instant(file.created_at),
            updated_at: instant(file.updated_at),
            created_by: actor(file.created_by),
            updated_by: actor(file.updated_by),
        }
    }
}

// ---- handlers ----

async fn authorize(State(state): State<AppState>, caller: Caller, request: Request<Body>) -> Result<Response<Body>, Fault> {
    let key = idempotency_key(request.headers()).map_err(Fault::Invalid)?;
    let body = read_body(request).await?;
    let new = parse_new_file(&body).map_err(Fault::Invalid)?;
    match state.broker.authorize(&caller, &new, key.as_deref(), OffsetDateTime::now_utc()).await? {
        Authorized::Slip(file, post) => Ok((StatusCode::CREATED, Json(SlipBody::new(&file, post))).into_response()),
        Authorized::Already(file) => Ok(Json(Envelope { file: FileBody::new(&file) }).into_response()),
    }
}

async fn reissue(
    State(state): State<AppState>,
    caller: Caller,
    id: Result<IdInPath, Fault>,
    request: Request<Body>,
) -> Result<impl IntoResponse, Fault> {
    let IdInPath(id) = id?;
    ignore_body(request).await?;
    let (file, post) = state.broker.reissue(&caller, id, OffsetDateTime::now_utc()).await?;
    Ok((StatusCode::CREATED, Json(SlipBody::new(&file, post))))
}

async fn confirm(
    State(state): State<AppState>,
    caller: Caller,
    id: Result<IdInPath, Fault>,
    request: Request<Body>,
) -> Result<Json<Envelope>, Fault> {
    let IdInPath(id) = id?;
    ignore_body(request).await?;
    let file = state.broker.confirm(&caller, id, OffsetDateTime::now_utc()).await?;
    Ok(Json(Envelope { file: FileBody::new(&file) }))
}

async fn read(State(state): State<AppState>, caller: Caller, id: Result<IdInPath, Fault>) -> Result<Json<Envelope>, Fault> {
    let IdInPath(id) = id?;
    let file = state.broker.get(&caller, id).await?;
    Ok(Json(Envelope { file: FileBody::new(&file) }))
}

/// `{id}.json`; what is no number of a file is no file.
struct IdInPath(FileId);

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
async fn ignore_body(request: Request<Body>) -> Result<(), Fault> {
    let body = read_body(request).await?;
    if !body.trim_ascii().is_empty() {
        serde_json::from_slice::<serde::de::IgnoredAny>(&body).map_err(|error| Fault::Invalid(not_json(&error)))?;
    }
    Ok(())
}

/// The caller's word for this request, 1 to 255 visible characters.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, FieldErrors> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().unwrap_or_default();
    if values.next().is_some() || !(1..=255).contains(&key.len()) || !key.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return Err(FieldErrors::one("Idempotency-Key", "must be one text of 1 to 255 visible characters"));
    }
    Ok(Some(key.to_owned()))
}

async fn read_body(request: Request<Body>) -> Result<Bytes, Fault> {
    let whole = Limited::new(request.into_body(), MAX_BODY_BYTES).collect();
    let collected = tokio::time::timeout(BODY_TIMEOUT, whole).await.map_err(|_| Fault::TooSlow)?;
    collected.map(http_body_util::Collected::to_bytes).map_err(|error| {
        if error.is::<LengthLimitError>() { Fault::BodyTooLarge } else { Fault::Invalid(FieldErrors::one("body", "must arrive whole")) }
    })
}

/// Reads a request bare or wrapped, with every complaint at once.
fn parse_new_file(body: &[u8]) -> Result<NewFile, FieldErrors> {
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
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

fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, FieldErrors> {
    // Serde would also fill the members from a list, by position.
    if json.trim_ascii_start().starts_with(b"[") {
        return Err(FieldErrors::one("body", "must be one JSON object, not a list"));
    }
    serde_json::from_slice(json).map_err(|error| not_json(&error))
}

fn not_json(error: &serde_json::Error) -> FieldErrors {
    // The parser's own words name types of this program.
    let message = match error.classify() {
        serde_json::error::Category::Data => "must be one JSON object, each member at most once".to_owned(),
        _ => format!("must be JSON, but is not in line {}, column {}", error.line(), error.column()),
    };
    FieldErrors::one("body", message)
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
        if name.is_none() && !["filename", "fileName"].iter().any(|field| errors.by_field().contains_key(*field)) {
            errors.add("filename", MUST_BE_SET);
        }
        let declared = required_text(&mut errors, "mimeType", fields.mime_type).unwrap_or_default();
        let declared_type = declared_type(&declared).unwrap_or_else(|why| {
            errors.merge(why);
            None
        });
        let type_name = required_text(&mut errors, "type", fields.r#type).unwrap_or_default();
        if type_name.is_empty() && !errors.by_field().contains_key("type") {
            errors.add("type", MUST_BE_SET);
        }
        let disposition = parsed(&mut errors, "disposition", fields.disposition).unwrap_or_default();
        let checksum_sha256: Option<ChecksumSha256> = parsed(&mut errors, "checksumSHA256", fields.checksum_sha256);
        let size = whole_number(&mut errors, "size", fields.size);
        let name = FileName::sanitized(&name.unwrap_or_default());
        errors.or_ok(Self { type_name, name, declared_type, disposition, size, checksum_sha256 })
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

fn whole_number(errors: &mut FieldErrors, field: &str, value: Option<Value>) -> Option<u64> {
    let value = value.filter(|value| !value.is_null())?;
    let number = value.as_u64();
    if number.is_none() {
        let negative = value.as_f64().is_some_and(|number| number < 0.0);
        errors.add(field, if negative { "must be 0 or higher" } else { "must be a whole number" });
    }
    number
}

// ---- error body ----

/// Desk's validator: an object of field to messages, for every fault.
fn error_body(fault: &Fault) -> Vec<u8> {
    #[derive(Serialize)]
    struct Errors<'a> {
        errors: &'a std::collections::BTreeMap<String, Vec<String>>,
    }
    let fields = match fault {
        Fault::Invalid(fields) | Fault::Refused(fields) => fields.clone(),
        Fault::Unauthenticated => FieldErrors::one("authorization", "must be a good token, as Bearer or as the user of Basic"),
        Fault::Forbidden(scope) => FieldErrors::one("authorization", format!("must have the scope {}", scope.as_str())),
        Fault::NotFound => FieldErrors::one("id", "not found"),
        Fault::MethodNotAllowed => FieldErrors::one("method", "not allowed here"),
        Fault::NotUploaded => FieldErrors::one("state", "nothing was uploaded yet"),
        Fault::AlreadyActive => FieldErrors::one("state", "is active already"),
        Fault::Changing => FieldErrors::one("state", "the upload keeps changing, try again"),
        Fault::TooSlow => FieldErrors::one("body", format!("must arrive within {} seconds", BODY_TIMEOUT.as_secs())),
        Fault::LimitExceeded(exceeded) => {
            FieldErrors::one("limit", format!("too many {}, try again in {} s", exceeded.what, exceeded.retry_after_seconds))
        }
        Fault::BodyTooLarge => FieldErrors::one("body", format!("must be {MAX_BODY_BYTES} bytes or shorter")),
        Fault::Internal(_) => FieldErrors::one("server", "failed"),
        Fault::Unavailable(_) => FieldErrors::one("server", "not available now, try again"),
    };
    serde_json::to_vec(&Errors { errors: fields.by_field() }).unwrap_or_default()
}
