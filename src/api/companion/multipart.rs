//! Files in parts, as Companion's clients ask for them: they choose the sizes, and their last request confirms.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams, State};
use axum::http::Request;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa::openapi::path::{Parameter, ParameterIn, ParameterStyle};
use utoipa::openapi::{Array, Object, Required, Type};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Uploader;
use super::errors::Refusal;
use super::request::{Described, UPLOAD_ID, Upload, new_file};
use super::response::{DoneBody, EXAMPLE_KEY};
use crate::api::http::body::{object, read_json, read_json_up_to, whole};
use crate::api::http::field_errors::FieldErrors;
use crate::api::http::openapi::{AnyCall, AnyFile, WithBody, id_parameter};
use crate::api::http::query::Query;
use crate::api::http::{AppState, Fault, to_its_end};
use crate::broker::Authorized;
use crate::domain::multipart::{MAX_PARTS, MIN_PART_SIZE};
use crate::domain::{FileState, NewFile, Part, PartSizes};

/// The longest list of parts: 10,000 with their entity tags, in bytes.
const MAX_LIST_BYTES: usize = 1024 * 1024;

/// Most parts signed by one request.
const MAX_BATCH: usize = 100;

/// The path's name for the number of a part.
const PART_NUMBER: &str = "part_number";

/// Said of a part whose entity tag the store does not tell (any more). Uppy takes a part without one for not uploaded.
const NO_ETAG: &str = "done";

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(list, abort))
        .routes(routes!(complete))
        .routes(routes!(sign_batch))
        .routes(routes!(sign))
}

/// Documents the number of the file in the path.
struct UploadId;

impl utoipa::IntoParams for UploadId {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![id_parameter(UPLOAD_ID, "The number of the file; the `key` must be the same file's.")]
    }
}

// ---- wire ----

/// An upload in parts.
#[derive(Serialize, ToSchema)]
#[schema(as = UppyUpload)]
#[serde(rename_all = "camelCase")]
struct CreatedBody {
    /// Names the upload, as a secret.
    key: String,
    /// The number of the file.
    #[schema(pattern = "^[1-9][0-9]*$")]
    upload_id: String,
}

/// Where the bytes of one part go.
#[derive(Serialize, ToSchema)]
#[schema(as = UppyPartUrl)]
struct SignedBody {
    /// For a `PUT`, without a token.
    #[schema(format = "uri")]
    url: String,
    /// Seconds; Uppy 5 gives up on a part after them.
    expires: i64,
}

/// Where the bytes of some parts go.
#[derive(Serialize, ToSchema)]
#[schema(as = UppyPartUrls)]
#[serde(rename_all = "camelCase")]
struct BatchBody {
    /// URLs for `PUT`s by number of the part.
    #[schema(value_type = BTreeMap<String, String>)]
    presigned_urls: BTreeMap<u32, String>,
}

/// A part that arrived.
#[derive(Serialize, ToSchema)]
#[schema(as = UppyPart)]
#[serde(rename_all = "PascalCase")]
struct PartBody {
    /// From 1.
    #[schema(minimum = 1)]
    part_number: u64,
    /// Bytes.
    size: u64,
    /// Entity tag, without quotes; `done` when the store does not tell it.
    #[serde(rename = "ETag")]
    etag: String,
}

/// The parts that make up the file.
#[derive(Deserialize, ToSchema)]
#[schema(as = UppyParts)]
struct Claimed {
    /// At most as many as fit into 1 MiB of JSON: all that a file can have.
    #[schema(value_type = Vec<ClaimedPart>)]
    parts: Vec<Map<String, Value>>,
}

/// A part as the store answered it.
#[derive(Deserialize, ToSchema)]
#[schema(as = UppyUploadedPart)]
#[serde(rename_all = "PascalCase")]
struct ClaimedPart {
    /// From 1 to 10,000.
    #[schema(value_type = u32, minimum = 1, maximum = 10_000)]
    part_number: Value,
    /// Entity tag, with or without quotes.
    #[serde(rename = "ETag")]
    etag: String,
}

/// Numbers and entity tags of a list of parts.
pub(super) fn claimed(body: &[u8]) -> Result<Vec<(u32, String)>, FieldErrors> {
    let must_be = || FieldErrors::one("parts", "must be a list of objects with PartNumber and ETag");
    let list: Claimed = object(body).map_err(|_| must_be())?;
    let part = |members: Map<String, Value>| {
        let ClaimedPart { part_number, etag } = serde_json::from_value(members.into()).map_err(|_| must_be())?;
        Ok((number(&whole(&part_number).ok_or_else(must_be)?.to_string())?, etag))
    };
    list.parts.into_iter().map(part).collect()
}

impl PartBody {
    fn new(part: &Part) -> Self {
        let etag = part.etag.trim_matches('"');
        let etag = if etag.is_empty() { NO_ETAG } else { etag };
        Self { part_number: part.number.into(), size: part.size, etag: etag.to_owned() }
    }
}

// ---- handlers ----

/// Begin an upload in parts
///
/// The client chooses how large its parts are.
#[utoipa::path(
    post,
    path = "/s3/multipart",
    operation_id = "uppyCreateMultipart",
    request_body(content = Described),
    responses(
        (status = 200, body = CreatedBody, description = "What names the upload from now on.",
            example = json!({"key": EXAMPLE_KEY, "uploadId": "42"})),
        (status = 400, body = Refusal, description = "The rules of this installation do not grant it, or it is not such JSON.",
            example = json!({"message": "filename must not end in ‘.exe’", "errors": {"filename": ["must not end in ‘.exe’"]}})),
        WithBody, AnyCall
    )
)]
async fn create(State(state): State<AppState>, Uploader(caller): Uploader, request: Request<Body>) -> Result<Json<CreatedBody>, Fault> {
    let described: Described = object(&read_json(request).await?)
        .map_err(|_| FieldErrors::one("body", "must be one JSON object with filename, type and metadata"))
        .map_err(Fault::Invalid)?;
    let new = new_file(described, caller.types.names()).map_err(Fault::Invalid)?;
    let new = NewFile { multipart: Some(PartSizes::ChosenByClient), ..new };
    match state.broker.authorize(&caller, &new, None, OffsetDateTime::now_utc()).await? {
        Authorized::Slip(file, _) => Ok(Json(CreatedBody { upload_id: file.id.to_string(), key: file.staging_key.into() })),
        Authorized::Already(_) => Err(Fault::AlreadyActive),
    }
}

/// List the parts that arrived
///
/// Those that are there now. Once they were put together, as many as the file can have at most: all are there then.
#[utoipa::path(
    get,
    path = "/s3/multipart/{upload_id}",
    operation_id = "uppyListParts",
    params(UploadId, Upload),
    responses(
        (status = 200, body = Vec<PartBody>, description = "By number."),
        (status = 400, body = Refusal, description = "There is no `key`, or more than one.",
            example = json!({"message": "key must be set", "errors": {"key": ["must be set"]}})),
        (status = 409, body = Refusal, description = "The file comes in one request, or the store dropped its parts.",
            example = json!({"message": "parts there are none: this file comes in one request", "errors": {"parts": ["there are none: this file comes in one request"]}})),
        AnyFile, AnyCall
    )
)]
async fn list(State(state): State<AppState>, upload: Upload) -> Result<Json<Vec<PartBody>>, Fault> {
    // Uppy asks when it goes on after a pause or an error, also when only the last answer got lost.
    if upload.file.state() == FileState::Active {
        return Ok(Json(all_parts(upload.file.size())));
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

/// Sign one part
///
/// `PUT` the bytes of the part to the URL. The slip lives on from now, for at most a week.
#[utoipa::path(
    get,
    path = "/s3/multipart/{upload_id}/{part_number}",
    operation_id = "uppySignPart",
    params(UploadId, ("part_number" = u32, Path, minimum = 1, maximum = 10_000, description = "From 1 to 10,000."), Upload),
    responses(
        (status = 200, body = SignedBody, description = "Where the bytes of the part go."),
        (status = 400, body = Refusal, description = "There is no such part, so many parts make a larger file than granted, or there is no `key`.",
            example = json!({"message": "partNumber must be 1 to 10000", "errors": {"partNumber": ["must be 1 to 10000"]}})),
        (status = 409, body = Refusal, description = "The file comes in one request, or is active already.",
            example = json!({"message": "the file is active already"})),
        AnyFile, AnyCall
    )
)]
async fn sign(State(state): State<AppState>, upload: Upload, number: PartNumber) -> Result<Json<SignedBody>, Fault> {
    let now = OffsetDateTime::now_utc();
    let (_, signed) = state.broker.sign_parts(&upload.caller, upload.file.id, &[number.0], now).await?;
    let put = signed.into_iter().next().map(|part| part.put);
    let put = put.ok_or_else(|| Fault::Internal("no part was signed".to_owned()))?;
    Ok(Json(SignedBody { expires: (put.expires_at - now).whole_seconds(), url: put.url }))
}

/// Sign some parts
///
/// `PUT` the bytes of each part to its URL. The slip lives on from now, for at most a week.
#[utoipa::path(
    get,
    path = "/s3/multipart/{upload_id}/batch",
    operation_id = "uppySignParts",
    params(UploadId, PartNumbers, Upload),
    responses(
        (status = 200, body = BatchBody, description = "Where the bytes of each part go."),
        (status = 400, body = Refusal, description = "There are no such parts, so many parts make a larger file than granted, or there is no `key`.",
            example = json!({"message": "partNumber must be 1 to 10000", "errors": {"partNumber": ["must be 1 to 10000"]}})),
        (status = 409, body = Refusal, description = "The file comes in one request, or is active already.",
            example = json!({"message": "the file is active already"})),
        AnyFile, AnyCall
    )
)]
async fn sign_batch(State(state): State<AppState>, upload: Upload, numbers: PartNumbers) -> Result<Json<BatchBody>, Fault> {
    let (_, signed) = state.broker.sign_parts(&upload.caller, upload.file.id, &numbers.0, OffsetDateTime::now_utc()).await?;
    Ok(Json(BatchBody { presigned_urls: signed.into_iter().map(|part| (part.number, part.put.url)).collect() }))
}

/// Put the parts together and confirm
///
/// Only the parts that are named become the file, and only what is as granted becomes active. It can be repeated at will.
#[utoipa::path(
    post,
    path = "/s3/multipart/{upload_id}/complete",
    operation_id = "uppyComplete",
    params(UploadId, Upload),
    request_body(content = Claimed),
    responses(
        (status = 200, body = DoneBody, description = "The file is active."),
        (status = 400, body = Refusal, description = "It is not such JSON, or there is no `key`.",
            example = json!({"message": "parts must be a list of objects with PartNumber and ETag", "errors": {"parts": ["must be a list of objects with PartNumber and ETag"]}})),
        (status = 409, body = Refusal, description = "Parts are missing or others than named, nothing was uploaded yet, or the upload keeps changing.",
            example = json!({"message": "nothing was uploaded yet"})),
        (status = 422, body = Refusal, description = "What landed is not what was granted. It is deleted.",
            example = json!({"message": "size must be 17 or lower, but 18 bytes landed", "errors": {"size": ["must be 17 or lower, but 18 bytes landed"]}})),
        AnyFile, WithBody, AnyCall
    )
)]
async fn complete(State(state): State<AppState>, upload: Upload, request: Request<Body>) -> Result<Json<DoneBody>, Fault> {
    let claimed = claimed(&read_json_up_to(MAX_LIST_BYTES, request).await?).map_err(Fault::Invalid)?;
    let (broker, caller, id) = (state.broker.clone(), upload.caller, upload.file.id);
    let permit = broker.may_confirm(&caller).await?;
    let file = to_its_end(async move {
        let _permit = permit;
        broker.complete(&caller, id, &claimed, OffsetDateTime::now_utc()).await
    });
    let file = file.await?;
    Ok(Json(DoneBody::new(&file, &state)))
}

/// Give up an upload
///
/// Its record is forgotten, and what was uploaded of it is deleted.
#[utoipa::path(
    delete,
    path = "/s3/multipart/{upload_id}",
    operation_id = "uppyAbort",
    params(UploadId, Upload),
    responses(
        (status = 200, body = BTreeMap<String, Value>, description = "It is gone. The object is empty.", example = json!({})),
        (status = 400, body = Refusal, description = "There is no `key`, or more than one.",
            example = json!({"message": "key must be set", "errors": {"key": ["must be set"]}})),
        (status = 409, body = Refusal, description = "The file is active already, or its record keeps changing.",
            example = json!({"message": "the file is active already"})),
        AnyFile, AnyCall
    )
)]
async fn abort(State(state): State<AppState>, upload: Upload) -> Result<Json<Map<String, Value>>, Fault> {
    state.broker.abort(&upload.caller, upload.file.id, OffsetDateTime::now_utc()).await?;
    Ok(Json(Map::new()))
}

/// The number of a part at the end of the path.
struct PartNumber(u32);

/// `partNumbers=1,2,3` in the query.
struct PartNumbers(Vec<u32>);

impl utoipa::IntoParams for PartNumbers {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let number = Object::builder().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(MAX_PARTS));
        let numbers = Parameter::builder()
            .name("partNumbers")
            .parameter_in(ParameterIn::Query)
            .required(Required::True)
            .description(Some(format!("1 to {MAX_BATCH} numbers of parts, with commas between them.")))
            .style(Some(ParameterStyle::Form))
            .explode(Some(false))
            .schema(Some(Array::builder().items(number).min_items(Some(1)).max_items(Some(MAX_BATCH))));
        vec![numbers.build()]
    }
}

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
        numbers(&Query::of(parts)).map(Self).map_err(Fault::Invalid)
    }
}

/// Those of `partNumbers`.
pub(super) fn numbers(query: &Query) -> Result<Vec<u32>, FieldErrors> {
    let text = query.one("partNumbers")?;
    let numbers: Vec<_> = text.split(',').take(MAX_BATCH + 1).map(number).collect::<Result<_, _>>()?;
    if numbers.len() > MAX_BATCH { Err(FieldErrors::one("partNumbers", format!("must be {MAX_BATCH} or fewer"))) } else { Ok(numbers) }
}

pub(super) fn number(text: &str) -> Result<u32, FieldErrors> {
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|number| plain && (1..=MAX_PARTS).contains(&u64::from(*number)));
    number.ok_or_else(|| FieldErrors::one("partNumber", format!("must be 1 to {MAX_PARTS}")))
}
