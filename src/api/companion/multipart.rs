//! Files in parts, as Companion's clients ask for them: they choose the sizes, and their last request confirms.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams, State};
use axum::http::Request;
use axum::http::request::Parts;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::request::{Described, Query, new_file};
use super::{DoneBody, Upload};
use crate::api::auth::Uploader;
use crate::api::body::{read_body, read_body_up_to};
use crate::api::{AppState, Fault};
use crate::broker::Authorized;
use crate::domain::multipart::{MAX_PARTS, MIN_PART_SIZE};
use crate::domain::{FieldErrors, FileState, NewFile, Part, PartSizes};

/// The longest list of parts: 10,000 with their entity tags, in bytes.
const MAX_LIST_BYTES: usize = 1024 * 1024;

/// Most parts signed by one request.
const MAX_BATCH: usize = 100;

/// The path's name for the number of a part.
const PART_NUMBER: &str = "part_number";

/// Said of a part whose entity tag the store does not tell (any more). Uppy takes a part without one for not uploaded.
const NO_ETAG: &str = "done";

pub(super) fn routes(router: Router<AppState>) -> Router<AppState> {
    router
        .route("/s3/multipart", post(create))
        .route("/s3/multipart/{upload_id}", get(list).delete(abort))
        .route("/s3/multipart/{upload_id}/complete", post(complete))
        .route("/s3/multipart/{upload_id}/batch", get(sign_batch))
        .route("/s3/multipart/{upload_id}/{part_number}", get(sign))
}

// ---- wire ----

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CreatedBody {
    key: String,
    upload_id: String,
}

#[derive(Serialize)]
struct SignedBody {
    url: String,
    /// Seconds; Uppy 5 gives up on a part after them.
    expires: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchBody {
    presigned_urls: BTreeMap<u32, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PartBody {
    part_number: u64,
    size: u64,
    #[serde(rename = "ETag")]
    etag: String,
}

#[derive(Deserialize)]
struct Claimed {
    parts: Vec<ClaimedPart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ClaimedPart {
    part_number: u32,
    #[serde(rename = "ETag")]
    etag: String,
}

impl PartBody {
    fn new(part: &Part) -> Self {
        let etag = part.etag.trim_matches('"');
        let etag = if etag.is_empty() { NO_ETAG } else { etag };
        Self { part_number: part.number.into(), size: part.size, etag: etag.to_owned() }
    }
}

// ---- handlers ----

async fn create(State(state): State<AppState>, uploader: Uploader, request: Request<Body>) -> Result<Json<CreatedBody>, Fault> {
    let described: Described = serde_json::from_slice(&read_body(request).await?)
        .map_err(|_| FieldErrors::one("body", "must be one JSON object with filename, type and metadata"))
        .map_err(Fault::Invalid)?;
    let new = new_file(described, uploader.types.as_deref()).map_err(Fault::Invalid)?;
    let new = NewFile { multipart: Some(PartSizes::ChosenByClient), ..new };
    match state.broker.authorize(&uploader.caller, &new, None, OffsetDateTime::now_utc()).await? {
        Authorized::Slip(file, _) => Ok(Json(CreatedBody { upload_id: file.id.to_string(), key: file.staging_key })),
        Authorized::Already(_) => Err(Fault::AlreadyActive),
    }
}

/// The parts that are there. Uppy asks when it goes on after a pause or an error, also when only the last answer got lost: then
/// all are there, however many they were.
async fn list(State(state): State<AppState>, upload: Upload) -> Result<Json<Vec<PartBody>>, Fault> {
    if upload.file.state == FileState::Active {
        return Ok(Json(all_parts(upload.file.size)));
    }
    let arrived = state.broker.list_parts(&upload.caller, upload.file.id).await?;
    if arrived.put_together {
        return Ok(Json(all_parts(arrived.parts.iter().map(|part| part.size).sum())));
    }
    Ok(Json(arrived.parts.iter().map(PartBody::new).collect()))
}

/// As many parts as `bytes` can have: who has fewer does not look at the others.
fn all_parts(bytes: u64) -> Vec<PartBody> {
    let last = bytes.div_ceil(MIN_PART_SIZE).clamp(1, MAX_PARTS);
    (1..=last).map(|part_number| PartBody { part_number, size: MIN_PART_SIZE, etag: NO_ETAG.to_owned() }).collect()
}

async fn sign(State(state): State<AppState>, upload: Upload, number: PartNumber) -> Result<Json<SignedBody>, Fault> {
    let now = OffsetDateTime::now_utc();
    let (_, signed) = state.broker.sign_parts(&upload.caller, upload.file.id, &[number.0], now).await?;
    let put = signed.into_iter().next().map(|part| part.put);
    let put = put.ok_or_else(|| Fault::Internal("no part was signed".to_owned()))?;
    Ok(Json(SignedBody { expires: (put.expires_at - now).whole_seconds(), url: put.url }))
}

async fn sign_batch(State(state): State<AppState>, upload: Upload, numbers: PartNumbers) -> Result<Json<BatchBody>, Fault> {
    let (_, signed) = state.broker.sign_parts(&upload.caller, upload.file.id, &numbers.0, OffsetDateTime::now_utc()).await?;
    Ok(Json(BatchBody { presigned_urls: signed.into_iter().map(|part| (part.number, part.put.url)).collect() }))
}

async fn complete(State(state): State<AppState>, upload: Upload, request: Request<Body>) -> Result<Json<DoneBody>, Fault> {
    let claimed: Claimed = serde_json::from_slice(&read_body_up_to(MAX_LIST_BYTES, request).await?)
        .map_err(|_| FieldErrors::one("parts", "must be a list of objects with PartNumber and ETag"))
        .map_err(Fault::Invalid)?;
    let claimed: Vec<_> = claimed.parts.into_iter().map(|part| (part.part_number, part.etag)).collect();
    let file = state.broker.complete(&upload.caller, upload.file.id, &claimed, OffsetDateTime::now_utc()).await?;
    Ok(Json(DoneBody::new(&file, &state)))
}

async fn abort(State(state): State<AppState>, upload: Upload) -> Result<Json<serde_json::Map<String, serde_json::Value>>, Fault> {
    state.broker.abort(&upload.caller, upload.file.id).await?;
    Ok(Json(serde_json::Map::new()))
}

/// The number of a part at the end of the path.
struct PartNumber(u32);

/// `partNumbers=1,2,3` in the query.
struct PartNumbers(Vec<u32>);

impl<S: Send + Sync> FromRequestParts<S> for PartNumber {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| Fault::NotFound)?;
        let text = params.iter().find(|(name, _)| *name == PART_NUMBER).map(|(_, text)| text).unwrap_or_default();
        number(text).map(Self).map_err(Fault::Invalid)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PartNumbers {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fault> {
        let text = Query::of(parts).one("partNumbers").map_err(Fault::Invalid)?;
        let numbers: Result<Vec<_>, _> = text.split(',').take(MAX_BATCH + 1).map(number).collect();
        let numbers = numbers.map_err(Fault::Invalid)?;
        if numbers.len() > MAX_BATCH {
            return Err(Fault::Invalid(FieldErrors::one("partNumbers", format!("must be {MAX_BATCH} or fewer"))));
        }
        Ok(Self(numbers))
    }
}

fn number(text: &str) -> Result<u32, FieldErrors> {
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|number| plain && (1..=MAX_PARTS).contains(&u64::from(*number)));
    number.ok_or_else(|| FieldErrors::one("partNumber", format!("must be 1 to {MAX_PARTS}")))
}
