//! One file: asking for its slip, confirming, renaming and reading it.

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::auth::Authenticated;
use super::members::{Included, Members, SomeOf};
use super::request::{DESCRIBING, FileFields, IGNORED, IdInPath, idempotency_key, ignore_body, parse_description, parse_new_file};
use super::response::{Envelope, SlipBody, one};
use crate::api::http::body::{json, read_json};
use crate::api::http::downloads::Links;
use crate::api::http::openapi::{AnyCall, AnyFile, IgnoredBody, WithBody};
use crate::api::http::wording::Errors;
use crate::api::http::{AppState, Fault, to_its_end};
use crate::broker::Authorized;

/// Ask for a slip
///
/// Records the file as `temp` and answers what to upload it with. All complaints come at once, by field.
#[utoipa::path(
    post,
    path = "/files/ref.json",
    operation_id = "createSlip",
    params((
        "Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]([ -~]*[!-~])?$",
        description = "A key of your own choice. The same key with the same request answers the same file for 24 hours."
    )),
    request_body(content = FileFields),
    responses(
        (status = 201, body = SlipBody, description = "What to upload the bytes with."),
        (status = 200, body = Envelope, description = "The file that the `Idempotency-Key` stands for; it needs no form any more."),
        (status = 400, body = Errors, description = "The rules of this installation do not grant it, or it is not such JSON.",
            example = json!({"errors": {"filename": ["must not end in ‘.exe’"], "size": ["must be 104857600 or lower"]}})),
        (status = 409, body = Errors, description = "The record behind the `Idempotency-Key` keeps changing: try again.",
            example = json!({"errors": {"state": ["the upload keeps changing, try again"]}})),
        (status = 422, body = Errors, description = "The `Idempotency-Key` was used for another request: use a new one.",
            example = json!({"errors": {"Idempotency-Key": ["was used for another request"]}})),
        WithBody, AnyCall
    )
)]
pub(super) async fn authorize(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    request: Request<Body>,
) -> Result<Response<Body>, Fault> {
    let key = idempotency_key(request.headers()).map_err(Fault::Invalid)?;
    let body = read_json(request).await?;
    let new = parse_new_file(&body).map_err(Fault::Invalid)?;
    match state.broker.authorize(&caller, &new, key.as_deref(), OffsetDateTime::now_utc()).await? {
        Authorized::Slip(file, slip) => Ok(json(StatusCode::CREATED, &SlipBody::new(&file, slip))),
        Authorized::Already(file) => Ok(one(&state, &caller, &file)),
    }
}

/// Replace a slip
///
/// Answers a fresh slip for a file that is still `temp`, on a new key: what the old one wrote can no longer become the file. A file
/// in parts starts over. At most 20 times for each file.
#[utoipa::path(
    post,
    path = "/files/{id}/ref.json",
    operation_id = "reissueSlip",
    params(IdInPath),
    request_body(content = Option<serde_json::Value>, description = IGNORED),
    responses(
        (status = 201, body = SlipBody, description = "A fresh slip for the same file."),
        (status = 409, body = Errors, description = "`state`: the file is active already, or its record keeps changing.",
            example = json!({"errors": {"state": ["is active already"]}})),
        AnyFile, IgnoredBody, AnyCall
    )
)]
pub(super) async fn reissue(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    IdInPath(id): IdInPath,
    request: Request<Body>,
) -> Result<Response<Body>, Fault> {
    ignore_body(request).await?;
    let (file, slip) = state.broker.reissue(&caller, id, OffsetDateTime::now_utc()).await?;
    Ok(json(StatusCode::CREATED, &SlipBody::new(&file, slip)))
}

/// Confirm an upload, rename a file
///
/// Puts together what came in parts and looks at what landed. Only what is as granted becomes `active`. It can be repeated at will:
/// it answers the same file each time. Where the body has another name or disposition than the file, the file gets it in the same step, also
/// when it is active already: what is not granted under its file type is refused, and nothing is done then.
#[utoipa::path(
    method(patch, put),
    path = "/files/{id}",
    operation_id = "confirmFile",
    params(IdInPath),
    request_body(content = Option<serde_json::Value>, description = DESCRIBING),
    responses(
        (status = 200, body = Envelope, description = "The active file."),
        (status = 400, body = Errors, description = "The file's rule takes no such name or disposition, or the body is not JSON.",
            example = json!({"errors": {"filename": ["must not end in ‘.exe’"]}})),
        (status = 409, body = Errors, description = "`state`: nothing was uploaded yet, the upload keeps changing, or the file is deleted. `parts`: which are missing.",
            example = json!({"errors": {"state": ["nothing was uploaded yet"]}})),
        (status = 422, body = Errors, description = "What landed is not what was granted. It is deleted; the slip stays good.",
            example = json!({"errors": {"size": ["must be 17 or lower, but 18 bytes landed"]}})),
        AnyFile, WithBody, AnyCall
    )
)]
pub(super) async fn confirm(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    IdInPath(id): IdInPath,
    request: Request<Body>,
) -> Result<Response<Body>, Fault> {
    let wished = parse_description(&read_json(request).await?).map_err(Fault::Invalid)?;
    let (broker, asking) = (state.broker.clone(), caller.clone());
    let permit = broker.may_confirm(&caller).await?;
    let file = to_its_end(async move {
        let _permit = permit;
        broker.confirm_as(&asking, id, &|file| wished.changes(file), OffsetDateTime::now_utc()).await
    });
    let file = file.await?;
    Ok(one(&state, &caller, &file))
}

/// Read one file
#[utoipa::path(
    get,
    path = "/files/{id}",
    operation_id = "readFile",
    params(IdInPath, Members),
    responses((status = 200, body = FoundBody, description = "The file, also a deleted one."), AnyFile, AnyCall)
)]
pub(super) async fn read(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    IdInPath(id): IdInPath,
    members: Members,
) -> Result<Response<Body>, Fault> {
    let file = state.broker.get(&caller, id).await?;
    let links = Links::new(&state, &caller, OffsetDateTime::now_utc());
    Ok(json(StatusCode::OK, &FoundBody { file: members.of(&file, &links), included: members.included([&file]) }))
}

/// One file, and what was asked for beside it.
#[derive(Serialize, ToSchema)]
#[schema(as = FoundFile)]
pub(super) struct FoundBody<'a> {
    file: SomeOf<'a>,
    /// The actors that `includes` asks for; absent when it asks for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    included: Option<Included>,
}
