//! Teamwork Desk's files API, v2: asking for a slip, confirming an upload, reading a file.
//!
//! Served under `/v2` and `/desk/api/v2`. Bodies come bare or wrapped in `{"file": ...}`, and unknown members are ignored, because
//! the official clients send whole objects back. Beyond Desk a request may carry `size` and `checksumSHA256`, and the answer
//! carries `expiresAt`.

mod answer;
mod parts;
mod request;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
use axum::{Json, Router};
use serde::Serialize;
use time::OffsetDateTime;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use super::body::{BODY_TIMEOUT, MAX_BODY_BYTES, read_body};
use super::{AppState, Fault, IDEMPOTENCY_KEY, rendered};
use crate::broker::Authorized;
use crate::domain::{Caller, FieldErrors, FileId};
use answer::{Envelope, FileBody, SlipBody};
use request::{not_json, parse_new_file};

const PREFIXES: [&str; 2] = ["/v2", "/desk/api/v2"];

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
        .route("/files/{file}/parts.json", get(parts::list).post(parts::sign).delete(parts::abort))
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

// ---- handlers ----

async fn authorize(State(state): State<AppState>, caller: Caller, request: Request<Body>) -> Result<Response<Body>, Fault> {
    let key = idempotency_key(request.headers()).map_err(Fault::Invalid)?;
    let body = read_body(request).await?;
    let new = parse_new_file(&body).map_err(Fault::Invalid)?;
    match state.broker.authorize(&caller, &new, key.as_deref(), OffsetDateTime::now_utc()).await? {
        Authorized::Slip(file, slip) => Ok((StatusCode::CREATED, Json(SlipBody::new(&file, slip))).into_response()),
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
    let (file, slip) = state.broker.reissue(&caller, id, OffsetDateTime::now_utc()).await?;
    Ok((StatusCode::CREATED, Json(SlipBody::new(&file, slip))))
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

// ---- error body ----

/// Desk's validator: an object of field to messages, for every fault.
fn error_body(fault: &Fault) -> Vec<u8> {
    #[derive(Serialize)]
    struct Errors<'a> {
        errors: &'a std::collections::BTreeMap<String, Vec<String>>,
    }
    let fields = match fault {
        Fault::Invalid(fields) | Fault::Refused(fields) | Fault::Conflict(fields) => fields.clone(),
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
