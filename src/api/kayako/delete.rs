//! Deleting: one file, or several by their numbers in the query. Deleted files can be restored by whoever reads them otherwise.
//!
//! Clients send bodies here that say nothing, empty ones of JSON among them: nobody reads them.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{Response, StatusCode};
use serde_json::Map;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::auth::Asking;
use super::case::Case;
use super::conditions::{is_meant, quoted};
use super::errors::ErrorsBody;
use super::ids::{id_of, ids_in};
use super::request::Arguments;
use super::response::enveloped;
use crate::api::http::openapi::{AnyCall, AnyFile};
use crate::api::http::{AppState, Fault, to_its_end};
use crate::broker::BrokerError;

/// It is done.
#[derive(ToSchema)]
#[schema(as = KayakoDone)]
#[expect(dead_code, reason = "the schema of what is made member by member")]
pub(super) struct DoneBody {
    #[schema(minimum = 200, maximum = 200)]
    status: u16,
}

/// So many files were deleted.
#[derive(ToSchema)]
#[schema(as = KayakoDeleted)]
#[expect(dead_code, reason = "the schema of what is made member by member")]
pub(super) struct DeletedBody {
    #[schema(minimum = 200, maximum = 200)]
    status: u16,
    /// How many there were among them that are deleted now.
    total_count: usize,
}

/// Delete a file
///
/// It can be restored through `/v2` until its retention is over. What is gone already is 404: of several requests at once exactly one is 200.
#[utoipa::path(
    delete,
    path = "/files/{id}",
    operation_id = "kayakoDeleteFile",
    params(
        ("id" = i64, Path, description = "The file's number."),
        ("If-Match" = Option<String>, Header, description = "The entity tag of the file that is meant: another one is left alone."),
    ),
    responses(
        (status = 200, body = DoneBody, description = "It is deleted.", example = json!({"status": 200})),
        (status = 412, body = ErrorsBody, description = "It has changed. Nothing was deleted."),
        AnyFile, AnyCall
    )
)]
pub(super) async fn delete(
    State(state): State<AppState>,
    asking: Asking,
    Extension(case): Extension<Case>,
    Path(segment): Path<String>,
    request: Request,
) -> Result<Response<Body>, Fault> {
    let (id, asked) = (id_of(&segment)?, quoted(request.headers().clone()));
    let (broker, caller, now) = (state.broker.clone(), asking.caller.clone(), OffsetDateTime::now_utc());
    let deleted = to_its_end(async move { broker.delete_active(&caller, id, |file| is_meant(file, &asked), now).await }).await?;
    if !deleted {
        return Err(Fault::PreconditionFailed);
    }
    Ok(enveloped(&asking, case, StatusCode::OK, Map::new()))
}

/// Delete several files by their numbers in the query
///
/// One after the other. Numbers of no file are passed over; a request that is refused deletes none.
#[utoipa::path(
    delete,
    path = "/files.json",
    operation_id = "kayakoDeleteFiles",
    params(("ids" = String, Query, pattern = "^[0-9]{1,18}(,[0-9]{1,18})*$", description = "1 to 1000 numbers of files, each once, commas between them. Also as `ids[]`.")),
    responses(
        (status = 200, body = DeletedBody, description = "So many were deleted.", example = json!({"status": 200, "total_count": 2})),
        (status = 400, body = ErrorsBody, description = "`ids` are no 1 to 1000 whole numbers, or one is there twice."),
        AnyCall
    )
)]
pub(super) async fn delete_listed(
    State(state): State<AppState>,
    asking: Asking,
    Extension(case): Extension<Case>,
    request: Request,
) -> Result<Response<Body>, Fault> {
    let ids = ids_in(&Arguments::parsed(request.uri().query().unwrap_or_default()))?;
    let (broker, caller, now) = (state.broker.clone(), asking.caller.clone(), OffsetDateTime::now_utc());
    let deleted = to_its_end(async move {
        let mut deleted: u64 = 0;
        for id in ids {
            match broker.delete_active(&caller, id, |_| true, now).await {
                Ok(_) => deleted += 1,
                Err(BrokerError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(deleted)
    });
    let members = [("total_count".to_owned(), deleted.await?.into())].into_iter().collect();
    Ok(enveloped(&asking, case, StatusCode::OK, members))
}
