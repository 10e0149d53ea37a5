//! Deleting one file or many, and bringing one back.

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::{Object, Required, Type};

use super::auth::Authenticated;
use super::ids::{IDS_PATTERN, ids_in, ids_of, ids_schema};
use super::request::{IGNORED, IdInPath, ignore_body};
use super::response::{Envelope, one, words};
use crate::api::http::body::{json, not_json, object, or_empty, read_json};
use crate::api::http::field_errors::FieldErrors;
use crate::api::http::openapi::{AnyCall, AnyFile, IgnoredBody, WithBody};
use crate::api::http::query::{Query, flag};
use crate::api::http::wording::Errors;
use crate::api::http::{AppState, Fault, to_its_end};
use crate::broker::{Execution, Removal};
use crate::domain::{Caller, FileId};

const DRY: &str = "bulkDryExecute";

/// Files to delete.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Deletion {
    /// 1 to 100 numbers of files.
    #[schema(required, schema_with = ids_schema)]
    ids: Option<Value>,
    /// `true`: nothing is deleted, and told what would be.
    #[schema(value_type = Option<bool>)]
    bulk_dry_execute: Option<Value>,
    #[schema(ignore)]
    filter: Option<Value>,
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
    words(Removal::ALL.map(removal_word))
}

/// What Desk calls what came of a file.
pub(super) fn removal_word(removal: Removal) -> &'static str {
    match removal {
        Removal::Deleted => "deleted",
        Removal::Forgotten => "forgotten",
        Removal::AlreadyDeleted => "alreadyDeleted",
        Removal::NotFound => "notFound",
    }
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
        (status = 409, body = Errors, description = "`state`: it keeps changing: try again.",
            example = json!({"errors": {"state": ["the upload keeps changing, try again"]}})),
        AnyFile, IgnoredBody, AnyCall
    )
)]
pub(super) async fn delete(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    IdInPath(id): IdInPath,
    request: Request<Body>,
) -> Result<StatusCode, Fault> {
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
        (status = 409, body = Errors, description = "`state`: it is `temp` and was never deleted, or keeps changing.",
            example = json!({"errors": {"state": ["is temp: there is nothing to restore"]}})),
        AnyFile, IgnoredBody, AnyCall
    )
)]
pub(super) async fn restore(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    IdInPath(id): IdInPath,
    request: Request<Body>,
) -> Result<Response<Body>, Fault> {
    ignore_body(request).await?;
    let file = state.broker.restore(&caller, id, OffsetDateTime::now_utc()).await?;
    Ok(one(&state, &caller, &file))
}

/// Delete many files
///
/// One after the other; each as by `deleteFile`, and told by its number what came of it. For clients that send no body with `DELETE`.
#[utoipa::path(
    post,
    path = "/files/delete.json",
    operation_id = "deleteFiles",
    params(("bulkDryExecute" = Option<bool>, Query, description = "As in the body.")),
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
pub(super) async fn delete_many(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    request: Request<Body>,
) -> Result<Response<Body>, Fault> {
    let query = Query::parsed(request.uri().query().unwrap_or_default());
    let wanted = FilesToDelete::in_body(&query, &read_json(request).await?).map_err(Fault::Invalid)?;
    wanted.done(state, caller).await
}

/// Delete many files by their numbers in the query
#[utoipa::path(
    delete,
    path = "/files.json",
    operation_id = "deleteListedFiles",
    params(FilesToDelete),
    request_body(content = Option<serde_json::Value>, description = "Any JSON, or nothing. Only `bulkDryExecute` is read."),
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
    Authenticated(caller): Authenticated,
    request: Request<Body>,
) -> Result<Response<Body>, Fault> {
    let query = Query::parsed(request.uri().query().unwrap_or_default());
    let wanted = FilesToDelete::in_query(&query, &read_json(request).await?).map_err(Fault::Invalid)?;
    wanted.done(state, caller).await
}

/// Which files are to be deleted, and whether they really are.
pub(super) struct FilesToDelete {
    pub(super) ids: Vec<FileId>,
    execution: Execution,
}

impl utoipa::IntoParams for FilesToDelete {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let parameter = |name: &str, required: bool, description: &str, schema: Object| {
            let builder = Parameter::builder().name(name).parameter_in(ParameterIn::Query).description(Some(description));
            builder.required(if required { Required::True } else { Required::False }).schema(Some(schema)).build()
        };
        let ids = Object::builder().schema_type(Type::String).pattern(Some(IDS_PATTERN));
        let dry = Object::builder().schema_type(Type::Boolean);
        vec![
            parameter("ids", true, "1 to 100 numbers of files, commas between them.", ids.build()),
            parameter(DRY, false, "`true`: nothing is deleted, and told what would be. At most once.", dry.build()),
        ]
    }
}

impl FilesToDelete {
    /// Numbers in the query. What the body says beside them still counts: who asked for a dry run there must not lose files.
    pub(super) fn in_query(query: &Query, body: &[u8]) -> Result<Self, FieldErrors> {
        let members = match body.trim_ascii() {
            [] => Deletion::default(),
            body @ [b'{', ..] => object(body)?,
            body => {
                serde_json::from_slice::<IgnoredAny>(body).map_err(|error| not_json(&error))?;
                Deletion::default()
            }
        };
        let ids = match members.ids {
            None => ids_in(query).and_then(|ids| ids.ok_or_else(|| FieldErrors::one("ids", "must be set"))),
            Some(_) => Err(FieldErrors::one("ids", "must be in the query, not in the body")),
        };
        Self::of(ids, query, &members)
    }

    /// Numbers in the body, and again all that is said in either place.
    pub(super) fn in_body(query: &Query, body: &[u8]) -> Result<Self, FieldErrors> {
        let members: Deletion = object(or_empty(body))?;
        let in_query = query.members().iter().any(|(name, _)| name == "ids" || name == "id");
        let ids =
            if in_query { Err(FieldErrors::one("ids", "must be in the body, not in the query")) } else { ids_of(members.ids.as_ref()) };
        Self::of(ids, query, &members)
    }

    fn of(ids: Result<Vec<FileId>, FieldErrors>, query: &Query, members: &Deletion) -> Result<Self, FieldErrors> {
        let dry = query.at_most_one(DRY).and_then(|text| flag(DRY, text.as_deref()));
        let dry_too = match &members.bulk_dry_execute {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(dry)) => Ok(*dry),
            Some(_) => Err(FieldErrors::one(DRY, "must be true or false")),
        };
        // Who means fewer files than are named must not lose the others.
        let in_query = query.members().iter().map(|(name, _)| name.as_str()).find(|name| ["filter", "q"].contains(name));
        let narrowing = in_query.or(members.filter.as_ref().filter(|filter| !filter.is_null()).map(|_| "filter"));
        let named = narrowing.map_or(Ok(()), |name| Err(FieldErrors::one(name, "must not be set: files are deleted by their numbers")));
        match (ids, dry, dry_too, named) {
            (Ok(ids), Ok(dry), Ok(dry_too), Ok(())) => {
                Ok(Self { ids, execution: if dry || dry_too { Execution::Dry } else { Execution::Real } })
            }
            (ids, dry, dry_too, named) => {
                let mut errors = FieldErrors::new();
                [ids.err(), dry.err(), dry_too.err(), named.err()].into_iter().flatten().for_each(|complaint| errors.merge(complaint));
                Err(errors)
            }
        }
    }

    async fn done(self, state: AppState, caller: Caller) -> Result<Response<Body>, Fault> {
        let (Self { ids, execution }, broker) = (self, state.broker.clone());
        let removals = to_its_end(async move { broker.delete_all(&caller, &ids, execution, OffsetDateTime::now_utc()).await }).await?;
        let files = removals.into_iter().map(|(id, removal)| RemovalBody { id: id.0, result: removal_word(removal) });
        Ok(json(StatusCode::OK, &RemovalsBody { files: files.collect(), bulk_dry_execute: execution == Execution::Dry }))
    }
}
