//! Deleting one file or many, and bringing one back.

use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{Request, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::{Object, Required, Type};

use super::answer::{Envelope, words};
use super::ids::{IDS_PATTERN, ids_in, ids_of, ids_schema};
use super::{IGNORED, IdInPath, ignore_body, one};
use crate::api::body::{json, object, read_body};
use crate::api::openapi::{AnyCall, AnyFile, Errors, WithBody};
use crate::api::query::{Query, flag};
use crate::api::{AppState, Fault, to_its_end};
use crate::broker::{Execution, Removal};
use crate::domain::{Caller, FieldErrors, FileId};

/// Files to delete.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Deletion {
    /// 1 to 100 numbers of files.
    #[schema(required, schema_with = ids_schema)]
    ids: Option<Value>,
    /// `true`: nothing is deleted, and told what would be.
    #[schema(value_type = Option<bool>)]
    bulk_dry_execute: Option<Value>,
}

/// What came of each file.
#[derive(Serialize, ToSchema)]
#[schema(as = Removals)]
#[serde(rename_all = "camelCase")]
struct RemovalsBody {
    /// In the order in which they were asked for, each once.
    files: Vec<RemovalBody>,
    /// Whether nothing was done.
    bulk_dry_execute: bool,
}

/// What came of one file.
#[derive(Serialize, ToSchema)]
#[schema(as = Removal)]
struct RemovalBody {
    id: i64,
    /// `deleted`: it was active. `forgotten`: it was temp and is gone. `alreadyDeleted`. `notFound`: there is none that the token may reach.
    #[schema(schema_with = results)]
    result: &'static str,
}

fn results() -> Object {
    words(Removal::ALL.map(Removal::as_str))
}

/// Delete a file
///
/// An active file becomes `deleted`: it can be restored until its retention is over. A file that is still `temp` is forgotten, with what was
/// uploaded of it. It can be repeated at will.
#[utoipa::path(
    delete,
    path = "/files/{id}",
    operation_id = "deleteFile",
    params(IdInPath),
    request_body(content = Option<serde_json::Value>, description = IGNORED),
    responses(
        (status = 204, description = "It is deleted."),
        (status = 400, body = Errors, description = "There is a body, and it is not JSON.",
            example = json!({"errors": {"body": ["must be JSON, but is not in line 1, column 2"]}})),
        (status = 409, body = Errors, description = "`state`: it keeps changing: try again.",
            example = json!({"errors": {"state": ["the upload keeps changing, try again"]}})),
        AnyFile, WithBody, AnyCall
    )
)]
pub(super) async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    id: Result<IdInPath, Fault>,
    request: Request<Body>,
) -> Result<StatusCode, Fault> {
    let IdInPath(id) = id?;
    ignore_body(request).await?;
    state.broker.delete(&caller, id, OffsetDateTime::now_utc()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Restore a deleted file
///
/// It is `active` again, as it was before. It can be repeated at will: an active file is answered.
#[utoipa::path(
    method(post, put),
    path = "/files/{id}/restore.json",
    operation_id = "restoreFile",
    params(IdInPath),
    request_body(content = Option<serde_json::Value>, description = IGNORED),
    responses(
        (status = 200, body = Envelope, description = "The active file."),
        (status = 400, body = Errors, description = "There is a body, and it is not JSON.",
            example = json!({"errors": {"body": ["must be JSON, but is not in line 1, column 2"]}})),
        (status = 409, body = Errors, description = "`state`: it is `temp` and was never deleted, or keeps changing.",
            example = json!({"errors": {"state": ["is temp: there is nothing to restore"]}})),
        AnyFile, WithBody, AnyCall
    )
)]
pub(super) async fn restore(
    State(state): State<AppState>,
    caller: Caller,
    id: Result<IdInPath, Fault>,
    request: Request<Body>,
) -> Result<Response<Body>, Fault> {
    let IdInPath(id) = id?;
    ignore_body(request).await?;
    let file = state.broker.restore(&caller, id, OffsetDateTime::now_utc()).await?;
    Ok(one(&state, &file))
}

/// Delete many files
///
/// One after the other; each as by `deleteFile`, and told by its number what came of it. For clients that send no body with `DELETE`.
#[utoipa::path(
    post,
    path = "/files/delete.json",
    operation_id = "deleteFiles",
    request_body(content = Deletion),
    responses(
        (status = 200, body = RemovalsBody, description = "What came of each, or would.",
            example = json!({"files": [{"id": 41, "result": "deleted"}, {"id": 42, "result": "notFound"}], "bulkDryExecute": false})),
        (status = 400, body = Errors, description = "`ids` are no 1 to 100 whole numbers, or it is not such JSON.",
            example = json!({"errors": {"ids": ["must be 1 to 100 whole numbers, in a list"]}})),
        (status = 409, body = Errors, description = "`state`: one keeps changing; those before it are deleted. Try again.",
            example = json!({"errors": {"state": ["the upload keeps changing, try again"]}})),
        WithBody, AnyCall
    )
)]
pub(super) async fn delete_many(State(state): State<AppState>, caller: Caller, request: Request<Body>) -> Result<Response<Body>, Fault> {
    let wanted = Wanted::in_body(&read_body(request).await?).map_err(Fault::Invalid)?;
    wanted.done(state, caller).await
}

/// Delete many files by their numbers in the query
#[utoipa::path(
    delete,
    path = "/files.json",
    operation_id = "deleteListedFiles",
    params(Wanted),
    request_body(content = Option<serde_json::Value>, description = IGNORED),
    responses(
        (status = 200, body = RemovalsBody, description = "What came of each, or would.",
            example = json!({"files": [{"id": 41, "result": "deleted"}, {"id": 42, "result": "notFound"}], "bulkDryExecute": true})),
        (status = 400, body = Errors, description = "`ids` are no 1 to 100 whole numbers, or there is a body that is not JSON.",
            example = json!({"errors": {"ids": ["must be 1 to 100 whole numbers, commas between them"]}})),
        (status = 409, body = Errors, description = "`state`: one keeps changing; those before it are deleted. Try again.",
            example = json!({"errors": {"state": ["the upload keeps changing, try again"]}})),
        WithBody, AnyCall
    )
)]
pub(super) async fn delete_listed(
    State(state): State<AppState>,
    caller: Caller,
    wanted: Result<Wanted, Fault>,
    request: Request<Body>,
) -> Result<Response<Body>, Fault> {
    let wanted = wanted?;
    ignore_body(request).await?;
    wanted.done(state, caller).await
}

/// Which files are to be deleted, and whether they really are.
pub(super) struct Wanted {
    pub(super) ids: Vec<FileId>,
    execution: Execution,
}

impl<S: Send + Sync> FromRequestParts<S> for Wanted {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fault> {
        Self::in_query(&Query::of(parts)).map_err(Fault::Invalid)
    }
}

impl utoipa::IntoParams for Wanted {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let parameter = |name: &str, required: bool, description: &str, schema: Object| {
            let builder = Parameter::builder().name(name).parameter_in(ParameterIn::Query).description(Some(description));
            builder.required(if required { Required::True } else { Required::False }).schema(Some(schema)).build()
        };
        let ids = Object::builder().schema_type(Type::String).pattern(Some(IDS_PATTERN));
        let dry = Object::builder().schema_type(Type::Boolean);
        vec![
            parameter("ids", true, "1 to 100 numbers of files, commas between them.", ids.build()),
            parameter("bulkDryExecute", false, "`true`: nothing is deleted, and told what would be. At most once.", dry.build()),
        ]
    }
}

impl Wanted {
    pub(super) fn in_query(query: &Query) -> Result<Self, FieldErrors> {
        let ids = ids_in(query).and_then(|ids| ids.ok_or_else(|| FieldErrors::one("ids", "must be set")));
        let dry = query.at_most_one("bulkDryExecute").and_then(|text| flag("bulkDryExecute", text.as_deref()));
        Self::of(ids, dry)
    }

    pub(super) fn in_body(body: &[u8]) -> Result<Self, FieldErrors> {
        let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
        let Deletion { ids, bulk_dry_execute } = object(body)?;
        let dry = match bulk_dry_execute {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(dry)) => Ok(dry),
            Some(_) => Err(FieldErrors::one("bulkDryExecute", "must be true or false")),
        };
        Self::of(ids_of(ids.as_ref()), dry)
    }

    fn of(ids: Result<Vec<FileId>, FieldErrors>, dry: Result<bool, FieldErrors>) -> Result<Self, FieldErrors> {
        match (ids, dry) {
            (Ok(ids), Ok(dry)) => Ok(Self { ids, execution: if dry { Execution::Dry } else { Execution::Real } }),
            (ids, dry) => {
                let mut errors = FieldErrors::new();
                ids.err().into_iter().chain(dry.err()).for_each(|complaint| errors.merge(complaint));
                Err(errors)
            }
        }
    }

    async fn done(self, state: AppState, caller: Caller) -> Result<Response<Body>, Fault> {
        let (Self { ids, execution }, broker) = (self, state.broker.clone());
        let removals = to_its_end(async move { broker.delete_all(&caller, &ids, execution, OffsetDateTime::now_utc()).await }).await?;
        let files = removals.into_iter().map(|(id, removal)| RemovalBody { id: id.0, result: removal.as_str() });
        Ok(json(StatusCode::OK, &RemovalsBody { files: files.collect(), bulk_dry_execute: execution == Execution::Dry }))
    }
}
