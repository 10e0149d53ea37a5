//! Files that come in one request.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{Request, header};
use time::OffsetDateTime;

use super::auth::Uploader;
use super::errors::Refusal;
use super::request::{Upload, new_file_of_query};
use super::response::{DoneBody, EXAMPLE_KEY, ParamsBody};
use crate::api::http::body::read_body;
use crate::api::http::field_errors::FieldErrors;
use crate::api::http::openapi::{AnyCall, AnyFile, WithBody};
use crate::api::http::query::Query;
use crate::api::http::{AppState, Fault, to_its_end};
use crate::broker::{Authorized, Slip};

/// Ask for a slip for one request
///
/// What a page puts into the file's `meta` says under which file type it comes. A store that takes no forms answers `PUT`, which needs
/// `metadata[size]` and is for clients with `Accept: application/json`: Uppy 5 and older. Others are told to upload in parts (400).
#[utoipa::path(
    get,
    path = "/s3/params",
    operation_id = "uppyParams",
    params(
        ("filename" = String, Query, description = "Name of the file; it is cleaned. Once."),
        ("type" = Option<String>, Query, description = "The content type that the browser thinks it is; blank means “you find out”.")
    ),
    responses(
        (status = 200, body = ParamsBody, description = "What to upload the bytes with.", example = json!({
            "method": "POST", "url": "https://uploads.s3.us-east-1.amazonaws.com/", "headers": {},
            "fields": {"Content-Type": "text/plain", "key": EXAMPLE_KEY, "policy": "eyJleHBpcmF0aW9uIjoi...", "x-amz-signature": "c0ca455011c4..."}
        })),
        (status = 400, body = Refusal, description = "The rules of this installation do not grant it; the message says why.",
            example = json!({"message": "filename must not end in ‘.exe’", "errors": {"filename": ["must not end in ‘.exe’"]}})),
        AnyCall
    )
)]
pub(super) async fn params(
    State(state): State<AppState>,
    Uploader(caller): Uploader,
    request: Request<Body>,
) -> Result<Json<ParamsBody>, Fault> {
    let (parts, _) = request.into_parts();
    let new = new_file_of_query(&Query::of(&parts), caller.types.names()).map_err(Fault::Invalid)?;
    match state.broker.authorize(&caller, &new, None, OffsetDateTime::now_utc()).await? {
        Authorized::Slip(_, Slip::Form(post)) => {
            Ok(Json(ParamsBody { method: "POST", url: post.url, fields: post.fields.into_iter().collect(), headers: BTreeMap::new() }))
        }
        Authorized::Slip(file, Slip::Put(put)) if knows_put(&parts) => {
            // The key is for the page, which confirms with it.
            let fields = BTreeMap::from([("key", file.staging_key.into())]);
            Ok(Json(ParamsBody { method: "PUT", url: put.url, fields, headers: put.headers.into_iter().collect() }))
        }
        Authorized::Slip(file, _) => {
            state.broker.take_back(&caller, file.id, OffsetDateTime::now_utc()).await?;
            let forms = "set shouldUseMultipart to true: the store here takes no forms";
            Err(Fault::Invalid(FieldErrors::one("Uppy", forms)))
        }
        Authorized::Already(_) => Err(Fault::AlreadyActive),
    }
}

/// Uppy 5 and older go by `method`, and are known by the `Accept` that 6 does not send.
fn knows_put(parts: &Parts) -> bool {
    parts.headers.get(header::ACCEPT).is_some_and(|accept| accept == "application/json")
}

/// Confirm a file that came in one request
///
/// Beyond Companion. Looks at what landed; only what is as granted becomes active. It can be repeated at will. A body is ignored.
#[utoipa::path(
    post,
    path = "/s3/confirm",
    operation_id = "uppyConfirm",
    params(Upload),
    responses(
        (status = 200, body = DoneBody, description = "The file is active."),
        (status = 400, body = Refusal, description = "There is no `key`, or more than one.",
            example = json!({"message": "key must be set", "errors": {"key": ["must be set"]}})),
        (status = 409, body = Refusal, description = "Nothing was uploaded yet, parts are missing, or the upload keeps changing.",
            example = json!({"message": "nothing was uploaded yet"})),
        (status = 422, body = Refusal, description = "What landed is not what was granted. It is deleted; the slip stays good.",
            example = json!({"message": "size must be 17 or lower, but 18 bytes landed", "errors": {"size": ["must be 17 or lower, but 18 bytes landed"]}})),
        AnyFile, WithBody, AnyCall
    )
)]
pub(super) async fn confirm(State(state): State<AppState>, upload: Upload, request: Request<Body>) -> Result<Json<DoneBody>, Fault> {
    read_body(request).await?;
    let (broker, caller, id) = (state.broker.clone(), upload.caller, upload.file.id);
    let permit = broker.may_confirm(&caller).await?;
    let file = to_its_end(async move {
        let _permit = permit;
        broker.confirm(&caller, id, OffsetDateTime::now_utc()).await
    });
    let file = file.await?;
    Ok(Json(DoneBody::new(&file, &state)))
}
