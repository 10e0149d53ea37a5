//! Files in parts: which arrived, URLs for those that did not, and giving up. `PATCH` puts them together.

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa::openapi::{Array, Object, Type};

use super::auth::Authenticated;
use super::request::{IGNORED, IdInPath, ignore_body};
use super::response::{ArrivedBody, SignedPartsBody};

use crate::api::http::body::{json, object, or_empty, read_json, whole};
use crate::api::http::field_errors::FieldErrors;
use crate::api::http::openapi::{AnyCall, AnyFile, IgnoredBody, WithBody};
use crate::api::http::wording::Errors;
use crate::api::http::{AppState, Fault};
use crate::domain::multipart::MAX_PARTS;

/// How many parts are signed for one request.
const MOST_AT_ONCE: usize = 100;

/// Which parts to sign.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PartNumbers {
    /// 1 to 100 numbers of parts, each from 1 to the slip's `partCount`.
    #[schema(required, schema_with = part_numbers_schema)]
    part_numbers: Option<Value>,
}

fn part_numbers_schema() -> Array {
    let number = Object::builder().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(MAX_PARTS));
    Array::builder().items(number).min_items(Some(1)).max_items(Some(MOST_AT_ONCE)).build()
}

/// List the parts that arrived
#[utoipa::path(
    get,
    path = "/files/{id}/parts.json",
    operation_id = "listParts",
    params(IdInPath),
    responses(
        (status = 200, body = ArrivedBody, description = "What is there; all of them once they were put together."),
        (status = 409, body = Errors, description = "`parts`: the file comes in one request. `state`: it is active already.",
            example = json!({"errors": {"parts": ["there are none: this file comes in one request"]}})),
        AnyFile, AnyCall
    )
)]
pub(super) async fn list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    IdInPath(id): IdInPath,
) -> Result<Response<Body>, Fault> {
    let arrived = state.broker.list_parts(&caller, id).await?;
    Ok(json(StatusCode::OK, &ArrivedBody::new(&arrived)))
}

/// Sign some parts
///
/// `PUT` the bytes of each part to its URL. The slip lives on from now, for at most a week.
#[utoipa::path(
    post,
    path = "/files/{id}/parts.json",
    operation_id = "signParts",
    params(IdInPath),
    request_body(content = PartNumbers),
    responses(
        (status = 200, body = SignedPartsBody, description = "Where the bytes of each part go."),
        (status = 400, body = Errors, description = "The file has no such parts, or it is not such JSON.",
            example = json!({"errors": {"partNumbers": ["must be 1 to 7"]}})),
        (status = 409, body = Errors, description = "`parts`: the file comes in one request. `state`: it is active already.",
            example = json!({"errors": {"parts": ["there are none: this file comes in one request"]}})),
        AnyFile, WithBody, AnyCall
    )
)]
pub(super) async fn sign(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    IdInPath(id): IdInPath,
    request: Request<Body>,
) -> Result<Response<Body>, Fault> {
    let body = read_json(request).await?;
    let numbers = part_numbers(&body).map_err(Fault::Invalid)?;
    let (_, signed) = state.broker.sign_parts(&caller, id, &numbers, OffsetDateTime::now_utc()).await?;
    Ok(json(StatusCode::OK, &SignedPartsBody::new(signed)))
}

/// Give up a file that is still `temp`
///
/// Its record is forgotten, and what was uploaded of it is deleted.
#[utoipa::path(
    delete,
    path = "/files/{id}/parts.json",
    operation_id = "giveUp",
    params(IdInPath),
    request_body(content = Option<serde_json::Value>, description = IGNORED),
    responses(
        (status = 204, description = "It is gone."),
        (status = 409, body = Errors, description = "`state`: the file is active already, or it keeps changing.",
            example = json!({"errors": {"state": ["is active already"]}})),
        AnyFile, IgnoredBody, AnyCall
    )
)]
pub(super) async fn abort(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    IdInPath(id): IdInPath,
    request: Request<Body>,
) -> Result<StatusCode, Fault> {
    ignore_body(request).await?;
    state.broker.abort(&caller, id, OffsetDateTime::now_utc()).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn part_numbers(body: &[u8]) -> Result<Vec<u32>, FieldErrors> {
    let wanted: PartNumbers = object(or_empty(body))?;
    let must_be = || FieldErrors::one("partNumbers", format!("must be a list of 1 to {MOST_AT_ONCE} whole numbers"));
    let Some(Value::Array(numbers)) = wanted.part_numbers else { return Err(must_be()) };
    if numbers.is_empty() || numbers.len() > MOST_AT_ONCE {
        return Err(must_be());
    }
    // A whole number that is too large for a part's is too large for the file as well: the broker says how many it has.
    let number = |value: &Value| whole(value).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    numbers.iter().map(number).collect::<Option<Vec<u32>>>().ok_or_else(must_be)
}
