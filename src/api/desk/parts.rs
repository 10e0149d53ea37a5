//! Files in parts: which arrived, URLs for those that did not, and giving up. `PATCH` puts them together.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::answer::{ArrivedBody, SignedPartsBody};
use super::request::object;
use super::{IdInPath, ignore_body};
use crate::api::body::read_body;
use crate::api::{AppState, Fault};
use crate::domain::{Caller, FieldErrors};

/// How many parts are signed for one request.
const MOST_AT_ONCE: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PartNumbers {
    part_numbers: Option<Value>,
}

pub(super) async fn list(State(state): State<AppState>, caller: Caller, id: Result<IdInPath, Fault>) -> Result<Json<ArrivedBody>, Fault> {
    let IdInPath(id) = id?;
    let arrived = state.broker.list_parts(&caller, id).await?;
    Ok(Json(ArrivedBody::new(arrived)))
}

pub(super) async fn sign(
    State(state): State<AppState>,
    caller: Caller,
    id: Result<IdInPath, Fault>,
    request: Request<Body>,
) -> Result<Json<SignedPartsBody>, Fault> {
    let IdInPath(id) = id?;
    let body = read_body(request).await?;
    let numbers = part_numbers(&body).map_err(Fault::Invalid)?;
    let (_, signed) = state.broker.sign_parts(&caller, id, &numbers, OffsetDateTime::now_utc()).await?;
    Ok(Json(SignedPartsBody::new(signed)))
}

pub(super) async fn abort(
    State(state): State<AppState>,
    caller: Caller,
    id: Result<IdInPath, Fault>,
    request: Request<Body>,
) -> Result<StatusCode, Fault> {
    let IdInPath(id) = id?;
    ignore_body(request).await?;
    state.broker.abort(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn part_numbers(body: &[u8]) -> Result<Vec<u32>, FieldErrors> {
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
    let wanted: PartNumbers = object(body)?;
    let must_be = || FieldErrors::one("partNumbers", format!("must be a list of 1 to {MOST_AT_ONCE} whole numbers"));
    let Some(Value::Array(numbers)) = wanted.part_numbers else { return Err(must_be()) };
    if numbers.is_empty() || numbers.len() > MOST_AT_ONCE {
        return Err(must_be());
    }
    // A whole number that is too large for a part's is too large for the file as well: the broker says how many it has.
    let number = |value: &Value| value.as_u64().map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    numbers.iter().map(number).collect::<Option<Vec<u32>>>().ok_or_else(must_be)
}
