//! Companion's S3 routes, as `@uppy/aws-s3` asks them: Uppy uploads through dropslip as it is.
//!
//! Served under `/u/{upload token}/s3`, for clients that can send nothing but a URL (`companionEndpoint` of Uppy 6), and under
//! `/companion/s3` and `/s3` for those that can send an `Authorization` header. `POST /companion/tokens.json` makes upload tokens.
//!
//! An upload is named by its staging key, which nobody knows but whom it was told: numbers of files can be counted up, so they
//! prove nothing among the many who may share one access token. Beyond Companion, `POST s3/confirm` confirms a single upload; the
//! end of a multipart upload confirms by itself.

mod multipart;
mod request;
mod words;

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
use axum::{Json, Router};
use serde::Serialize;
use time::OffsetDateTime;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use super::auth::{UPLOAD_TOKEN, Uploader};
use super::body::read_body;
use super::{AppState, Fault};
use crate::broker::{Authorized, Slip};
use crate::domain::{Caller, FieldErrors, File, Scope};
use crate::tokens::Holder;
use request::{Query, new_file_of_query, token_wish};

/// Every URL of this dialect, with its own answer to unknown paths, wrong methods and panics.
pub(super) fn router() -> Router<AppState> {
    let with_header = s3().route("/tokens.json", post(make_token));
    let prefixes = [(format!("/u/{{{UPLOAD_TOKEN}}}"), s3()), ("/companion".to_owned(), with_header)];
    // Companion itself answers at the root: who puts dropslip in its place changes no path.
    let at_root = in_our_words(s3().method_not_allowed_fallback(|| async { Fault::MethodNotAllowed }));
    prefixes.into_iter().fold(at_root, |router, (prefix, routes)| {
        // A nested router is not asked about its prefix with nothing but a slash behind it.
        let bare = Router::new().route(&format!("{prefix}/"), any(|| async { Fault::NotFound }));
        router.nest(&prefix, in_our_words(in_our_shape(routes))).merge(in_our_words(bare))
    })
}

fn s3() -> Router<AppState> {
    multipart::routes(Router::new().route("/s3/params", get(params)).route("/s3/confirm", post(confirm)))
}

fn in_our_shape(router: Router<AppState>) -> Router<AppState> {
    router.fallback(|| async { Fault::NotFound }).method_not_allowed_fallback(|| async { Fault::MethodNotAllowed })
}

fn in_our_words(router: Router<AppState>) -> Router<AppState> {
    let header = SetResponseHeaderLayer::overriding;
    router
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| Fault::Internal("a handler panicked".to_owned()).into_response()))
        .layer(axum::middleware::map_response(async |response: Response<Body>| words::rendered(response)))
        .layer(header(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        // The URL is a secret.
        .layer(header(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")))
}

// ---- wire ----

/// A slip for one request. Uppy 6 sends a form whatever `method` says.
#[derive(Serialize)]
struct ParamsBody {
    method: &'static str,
    url: String,
    fields: BTreeMap<&'static str, String>,
    headers: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct DoneBody {
    location: String,
    key: String,
    id: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TokenBody {
    companion_endpoint: String,
    expires_at: String,
    types: Vec<String>,
}

impl DoneBody {
    /// `location` is where the file's record is read: the object itself is for nobody but dropslip.
    fn new(file: &File, state: &AppState) -> Self {
        let location = format!("{}/v2/files/{}.json", state.public_url, file.id);
        Self { location, key: file.staging_key.clone(), id: file.id.0 }
    }
}

// ---- handlers ----

/// The path's name for the number of the file, which is an upload's name in this dialect.
const UPLOAD_ID: &str = "upload_id";

/// An upload of the caller's own, found by the `key` it was told.
struct Upload {
    caller: Caller,
    file: File,
}

impl FromRequestParts<AppState> for Upload {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Fault> {
        let Uploader { caller, types } = Uploader::from_request_parts(parts, state).await?;
        let key = Query::of(parts).one("key").map_err(Fault::Invalid)?;
        let file = state.broker.upload(&caller, &key).await?;
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| Fault::NotFound)?;
        let named = params.iter().filter(|(name, _)| *name == UPLOAD_ID).all(|(_, id)| id == file.id.to_string());
        let allowed = types.is_none_or(|types| types.contains(&file.type_name));
        if named && allowed { Ok(Self { caller, file }) } else { Err(Fault::NotFound) }
    }
}

/// A slip for a file that comes in one request.
async fn params(State(state): State<AppState>, uploader: Uploader, request: Request<Body>) -> Result<Json<ParamsBody>, Fault> {
    let (parts, _) = request.into_parts();
    let new = new_file_of_query(&Query::of(&parts), uploader.types.as_deref()).map_err(Fault::Invalid)?;
    match state.broker.authorize(&uploader.caller, &new, None, OffsetDateTime::now_utc()).await? {
        Authorized::Slip(_, Slip::Form(post)) => {
            Ok(Json(ParamsBody { method: "POST", url: post.url, fields: post.fields.into_iter().collect(), headers: BTreeMap::new() }))
        }
        Authorized::Slip(file, Slip::Put(put)) if knows_put(&parts) => {
            // The key is for the page, which confirms with it.
            let fields = BTreeMap::from([("key", file.staging_key)]);
            Ok(Json(ParamsBody { method: "PUT", url: put.url, fields, headers: put.headers.into_iter().collect() }))
        }
        Authorized::Slip(file, _) => {
            state.broker.abort(&uploader.caller, file.id).await?;
            let forms = "set shouldUseMultipart to true: the store here takes no forms";
            Err(Fault::Invalid(FieldErrors::one("Uppy", forms)))
        }
        Authorized::Already(_) => Err(Fault::AlreadyActive),
    }
}

/// Uppy 5 and older go by `method`, and are told by the `Accept` that 6 does not send.
fn knows_put(parts: &Parts) -> bool {
    parts.headers.get(header::ACCEPT).is_some_and(|accept| accept == "application/json")
}

async fn confirm(State(state): State<AppState>, upload: Upload, request: Request<Body>) -> Result<Json<DoneBody>, Fault> {
    read_body(request).await?;
    let file = state.broker.confirm(&upload.caller, upload.file.id, OffsetDateTime::now_utc()).await?;
    Ok(Json(DoneBody::new(&file, &state)))
}

async fn make_token(State(state): State<AppState>, holder: Holder, request: Request<Body>) -> Result<impl IntoResponse, Fault> {
    if !holder.caller.scopes.contains(Scope::FilesWrite) {
        return Err(Fault::Forbidden(Scope::FilesWrite));
    }
    let wish = token_wish(&read_body(request).await?).map_err(Fault::Invalid)?;
    state.broker.know_types(&wish.types)?;
    let expires_at = OffsetDateTime::now_utc() + wish.life;
    let token = state.tokens.upload_token(&holder, &wish.types, expires_at);
    let body = TokenBody {
        companion_endpoint: format!("{}/u/{token}", state.public_url),
        expires_at: expires_at.format(SECONDS).unwrap_or_default(),
        types: wish.types,
    };
    Ok((StatusCode::CREATED, Json(body)))
}

const SECONDS: &[time::format_description::BorrowedFormatItem<'_>] =
    time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
