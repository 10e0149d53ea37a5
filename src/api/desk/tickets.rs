//! Files on tickets. In Desk a ticket's own creation attaches them; here whoever keeps the tickets says so.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{Array, Object, Type};

use super::auth::Authenticated;
use super::fields::field_name;
use super::list::{PageBody, TicketPageBody};
use super::list_query::ListQuery;
use super::request::{IGNORED, ignore_body};
use crate::api::http::archives::answer_archive;
use crate::api::http::body::{json_of, object, or_empty, read_json, whole};
use crate::api::http::downloads::places::{Link, What};
use crate::api::http::downloads::{AskedDisposition, Links, answer};
use crate::api::http::field_errors::FieldErrors;
use crate::api::http::openapi::{AnyCall, AnyFile, IgnoredBody, WithBody, id_parameter};
use crate::api::http::query::Query;
use crate::api::http::wording::Errors;
use crate::api::http::{AppState, Fault, to_its_end};
use crate::broker::{AttachError, BrokerError, Reader};
use crate::domain::{Caller, FileId, PostId, Selection, TicketId, TicketPlace};

/// How many files are attached in one request.
const MOST_AT_ONCE: usize = 100;

/// The highest number of a post: the highest that every client can write in JSON.
const MOST_POST: i64 = 1 << 53;

/// Which files to attach: one of the two members, with 1 to 100 files.
#[derive(Deserialize, ToSchema)]
#[schema(as = FilesToAttach)]
struct ToAttach {
    /// As in Desk's tickets: each with the `id` of a file; other members are ignored.
    #[schema(schema_with = files_schema, required = false)]
    files: Option<Value>,
    /// The same as numbers alone.
    #[schema(schema_with = ids_schema, required = false)]
    ids: Option<Value>,
    /// The post of the ticket that they belong to from now on; null or absent: none, and those that are on the ticket stay where they are.
    #[schema(schema_with = post_schema, required = false)]
    post: Option<Value>,
}

fn post_schema() -> Object {
    let types = SchemaType::from_iter([Type::Integer, Type::Null]);
    Object::builder().schema_type(types).minimum(Some(1)).maximum(Some(MOST_POST)).build()
}

fn id_schema() -> Object {
    Object::builder().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(i64::MAX)).build()
}

/// Null is the same as absent.
fn or_null() -> SchemaType {
    SchemaType::from_iter([Type::Array, Type::Null])
}

fn files_schema() -> Array {
    let file = Object::builder().schema_type(Type::Object).property("id", id_schema()).required("id");
    Array::builder().schema_type(or_null()).items(file).min_items(Some(1)).max_items(Some(MOST_AT_ONCE)).build()
}

fn ids_schema() -> Array {
    Array::builder().schema_type(or_null()).items(id_schema()).min_items(Some(1)).max_items(Some(MOST_AT_ONCE)).build()
}

/// Attach files to a ticket
///
/// They are added to those that are on it, all or none; to attach one again changes nothing. What is still `temp` is confirmed first. Answers the
/// newest files of the ticket. Only for tokens of users.
#[utoipa::path(
    put,
    path = "/tickets/{tid}/files.json",
    operation_id = "attachFiles",
    params(OfTicket),
    request_body(content = ToAttach),
    responses(
        (status = 200, body = TicketPageBody, description = "The first page of the ticket's files."),
        (status = 400, body = Errors, description = "A file is not there or not yours to see, or it is not such JSON.",
            example = json!({"errors": {"files[1].id": ["not found"]}})),
        (status = 409, body = Errors, description = "The bytes of a file have not arrived, or the ticket has as many files as it may.",
            example = json!({"errors": {"files[1].id": ["nothing was uploaded yet"]}})),
        (status = 422, body = Errors, description = "What landed of a file is not what was granted.",
            example = json!({"errors": {"files[1].id": ["is not what was granted: size must be 17 or lower, but 18 bytes landed"]}})),
        AnyFile, WithBody, AnyCall
    )
)]
pub(super) async fn attach(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfTicket(ticket): OfTicket,
    request: Request,
) -> Result<Response<Body>, Fault> {
    let Wanted { ids, places, post } = wanted(&read_json(request).await?).map_err(Fault::Invalid)?;
    let (broker, asking) = (state.broker.clone(), caller.clone());
    // Confirming is what may take long.
    to_its_end(async move {
        let attached = broker.attach(&asking, TicketPlace { ticket, post }, &ids, OffsetDateTime::now_utc()).await;
        attached.map_err(|error| unattached(error, &places))
    })
    .await?;
    let first = ListQuery::parse(&Query::parsed("")).map_err(Fault::Invalid)?;
    page(state, caller, ticket, first).await
}

/// List the files of a ticket
///
/// Those that the token may read, selected, ordered and paged like all files: active ones, newest first, unless something else is asked for.
#[utoipa::path(
    get,
    path = "/tickets/{tid}/files.json",
    operation_id = "listTicketFiles",
    params(OfTicket, ListQuery),
    responses(
        (status = 200, body = TicketPageBody, description = "A page of files; none for a ticket that nothing is attached to."),
        (status = 400, body = Errors, description = "A member of the query is not as described; of a filter, the place in it is named.",
            example = json!({"errors": {"cursor": ["must be the nextCursor of a page in the same order"]}})),
        AnyFile, AnyCall
    )
)]
pub(super) async fn list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfTicket(ticket): OfTicket,
    wanted: ListQuery,
) -> Result<Response<Body>, Fault> {
    page(state, caller, ticket, wanted).await
}

async fn page(state: AppState, caller: Caller, ticket: TicketId, wanted: ListQuery) -> Result<Response<Body>, Fault> {
    let page = state.broker.ticket_files(&caller, ticket, &wanted.page).await?;
    let links = Links::new(&state, &caller, OffsetDateTime::now_utc());
    Ok(json_of(page.page.files.len(), StatusCode::OK, &PageBody::of_ticket(&page, &wanted, &links)))
}

/// Take a file off a ticket
///
/// The file itself stays. Only for tokens of users.
#[utoipa::path(
    delete,
    path = "/tickets/{tid}/files/{id}",
    operation_id = "detachFile",
    params(OnTicket),
    request_body(content = Option<serde_json::Value>, description = IGNORED),
    responses(
        (status = 204, description = "It is off the ticket."),
        AnyFile, IgnoredBody, AnyCall
    )
)]
pub(super) async fn detach(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OnTicket(ticket, id): OnTicket,
    request: Request,
) -> Result<StatusCode, Fault> {
    ignore_body(request).await?;
    state.broker.detach(&caller, ticket, id, OffsetDateTime::now_utc()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Download a file of a ticket
///
/// Like the download of any file, if it is on that ticket. Needs a token.
#[utoipa::path(
    get,
    path = "/tickets/{tid}/files/{id}/download",
    operation_id = "downloadTicketFile",
    params(OnTicket, AskedDisposition),
    responses(
        (status = 302, description = "The bytes are at `Location`, without a token, for a short time.",
            headers(("Location" = String, description = "A presigned URL of the store's."))),
        (status = 200, body = inline(Vec<u8>), content_type = "*/*", description = "The bytes, where they go through the broker."),
        (status = 206, body = inline(Vec<u8>), content_type = "*/*", description = "The range of them that was asked for."),
        (status = 304, description = "You have it already."),
        (status = 400, body = Errors, description = "`disposition` is something else.",
            example = json!({"errors": {"disposition": ["must be one of ‘inline, attachment’"]}})),
        (status = 412, body = Errors, description = "The file has none of the entity tags in `If-Match`. Only where the broker sends the bytes.",
            example = json!({"errors": {"etag": ["must be that of the file"]}})),
        (status = 416, body = Errors, description = "The file has no such bytes.",
            example = json!({"errors": {"range": ["must begin below 17"]}})),
        AnyFile, AnyCall
    )
)]
pub(super) async fn download(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OnTicket(ticket, id): OnTicket,
    wish: AskedDisposition,
    request: Request,
) -> Result<Response<Body>, Fault> {
    state.broker.on_ticket(&caller, ticket, id).await?;
    let reader = Reader::Caller(caller);
    let file = state.broker.readable(&reader, id).await?;
    answer(&state, &reader, &file, wish, &request.into_parts().0).await
}

/// Download all files of a ticket
///
/// As one ZIP archive, made while it is sent. Two files of one name are told apart by a number. When something fails in the middle, the connection
/// breaks: an archive that arrives whole has everything. Needs a token.
#[utoipa::path(
    get,
    path = "/tickets/{tid}/files.zip",
    operation_id = "downloadTicketFiles",
    params(OfTicket),
    responses(
        (status = 200, body = inline(Vec<u8>), content_type = "application/zip", description = "The archive."),
        AnyFile, AnyCall
    )
)]
pub(super) async fn archive(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfTicket(ticket): OfTicket,
    request: Request,
) -> Result<Response<Body>, Fault> {
    let link = Link { tenant: caller.tenant.clone(), actor: Some(caller.actor), what: What::Archive(ticket) };
    let files = state.broker.every(caller, Some(ticket), Selection::newest());
    let archive = state.broker.clone().archive(files).await?;
    let archive = archive.ok_or(Fault::NotFound)?;
    answer_archive(&state, link, archive, &format!("ticket-{}.zip", ticket.0), &request.into_parts().0).await
}

/// Why files were not attached, each file under the name of its place in the request.
fn unattached(error: AttachError, places: &[String]) -> Fault {
    let place = |index: usize| places.get(index).map_or("files", String::as_str);
    let mut errors = FieldErrors::new();
    match error {
        AttachError::Broker(error) => error.into(),
        AttachError::TooMany(most) => Fault::Conflict(FieldErrors::one("files", format!("a ticket has {most} files at most"))),
        AttachError::NotFound(files) => {
            for index in files {
                errors.add(place(index), "not found");
            }
            Fault::Invalid(errors)
        }
        AttachError::Unconfirmed(files) => {
            let mut refused = FieldErrors::new();
            for (index, error) in files {
                match error {
                    BrokerError::Refused(complaints) => {
                        refused.add(place(index), format!("is not what was granted: {}", complaints.spelled(field_name)));
                    }
                    BrokerError::NotUploaded => errors.add(place(index), "nothing was uploaded yet"),
                    BrokerError::Changing => errors.add(place(index), "the upload keeps changing, try again"),
                    BrokerError::Conflict(complaints) => errors.add(place(index), complaints.spelled(field_name).to_string()),
                    BrokerError::NotFound => errors.add(place(index), "is gone"),
                    other => return other.into(),
                }
            }
            if refused.is_empty() { Fault::Conflict(errors) } else { Fault::Refused(refused) }
        }
    }
}

/// What a request wants to attach.
pub(super) struct Wanted {
    /// Each file once.
    pub(super) ids: Vec<FileId>,
    /// The name of each file's place in the request.
    pub(super) places: Vec<String>,
    pub(super) post: Option<PostId>,
}

/// What a request wants to attach, with every complaint.
pub(super) fn wanted(body: &[u8]) -> Result<Wanted, FieldErrors> {
    let ToAttach { files, ids, post } = object(or_empty(body))?;
    let mut errors = FieldErrors::new();
    let post = post.filter(|post| !post.is_null()).and_then(|post| {
        let number = whole(&post).and_then(|post| i64::try_from(post).ok()).filter(|post| (1..=MOST_POST).contains(post));
        if number.is_none() {
            errors.add("post", format!("must be a whole number, 1 to {MOST_POST}"));
        }
        number.map(PostId)
    });
    match listed(files, ids) {
        Ok((ids, places)) => errors.or_ok(Wanted { ids, places, post }),
        Err(mut others) => {
            others.merge(errors);
            Err(others)
        }
    }
}

/// The files of a request, each once, and the name of each one's place in it.
fn listed(files: Option<Value>, ids: Option<Value>) -> Result<(Vec<FileId>, Vec<String>), FieldErrors> {
    let (list, name, member) = match (files.filter(|files| !files.is_null()), ids.filter(|ids| !ids.is_null())) {
        (Some(files), None) => (files, "files", ".id"),
        (None, Some(ids)) => (ids, "ids", ""),
        (None, None) => return Err(FieldErrors::one("files", "must be set")),
        (Some(_), Some(_)) => return Err(FieldErrors::one("ids", "must not be set beside files")),
    };
    let must_be = || FieldErrors::one(name, format!("must be a list of 1 to {MOST_AT_ONCE}"));
    let Value::Array(list) = list else { return Err(must_be()) };
    if list.is_empty() || list.len() > MOST_AT_ONCE {
        return Err(must_be());
    }
    let (mut ids, mut places, mut errors, mut seen) = (Vec::new(), Vec::new(), FieldErrors::new(), BTreeSet::new());
    for (number, item) in list.iter().enumerate() {
        let place = format!("{name}[{number}]{member}");
        let id = if member.is_empty() { Some(item) } else { item.get("id") };
        match id.map(|id| whole(id).and_then(|id| i64::try_from(id).ok()).filter(|id| *id > 0)) {
            None => errors.add(&place, "must be set"),
            Some(None) => errors.add(&place, "must be a whole number, 1 or higher"),
            Some(Some(id)) if seen.insert(id) => {
                ids.push(FileId(id));
                places.push(place);
            }
            Some(Some(_)) => {}
        }
    }
    errors.or_ok((ids, places))
}

/// `/tickets/{tid}/...`; what is no number of a ticket is no ticket.
pub(super) struct OfTicket(TicketId);

/// `/tickets/{tid}/files/{id}...`, with or without `.json`.
pub(super) struct OnTicket(TicketId, FileId);

fn number(segment: &str) -> Option<i64> {
    segment.parse().ok().filter(|number| *number > 0 && segment.bytes().all(|b| b.is_ascii_digit()))
}

impl<S: Send + Sync> FromRequestParts<S> for OfTicket {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let Path(segment) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| Fault::NotFound)?;
        number(&segment).map(|ticket| Self(TicketId(ticket))).ok_or(Fault::NotFound)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OnTicket {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((ticket, file)) = path.map_err(|_| Fault::NotFound)?;
        let file = number(file.strip_suffix(".json").unwrap_or(&file));
        number(&ticket).zip(file).map(|(ticket, file)| Self(TicketId(ticket), FileId(file))).ok_or(Fault::NotFound)
    }
}

impl utoipa::IntoParams for OfTicket {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![id_parameter("tid", "The ticket's number, in the system that keeps tickets.")]
    }
}

impl utoipa::IntoParams for OnTicket {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![id_parameter("tid", "The ticket's number, in the system that keeps tickets."), id_parameter("id", "The file's number.")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_name_files_and_each_complaint_its_place() {
        let places = |body: &str| {
            wanted(body.as_bytes()).map(|wanted| wanted.places.into_iter().zip(wanted.ids.iter().map(|id| id.0)).collect::<Vec<_>>())
        };
        assert_eq!(
            places(r#"{"files":[{"id":7,"x":1},{"id":9.0},{"id":7}]}"#).unwrap(),
            [("files[0].id".to_owned(), 7), ("files[1].id".to_owned(), 9)]
        );
        assert_eq!(places(r#"{"ids":[1],"files":null}"#).unwrap(), [("ids[0]".to_owned(), 1)]);
        for (body, post) in
            [("", None), (",\"post\":null", None), (",\"post\":31.0", Some(31)), (",\"post\":9007199254740992", Some(1 << 53))]
        {
            let wanted = wanted(format!("{{\"ids\":[1]{body}}}").as_bytes()).ok().unwrap();
            assert_eq!(wanted.post.map(|post| post.0), post, "{body}");
        }
        let of_many = |count: usize| format!("{{\"ids\":[{}]}}", vec!["1"; count].join(","));
        assert!(wanted(of_many(100).as_bytes()).is_ok());
        let many = of_many(101);
        for (bad, fields) in [
            ("", vec!["files"]),
            ("{}", vec!["files"]),
            (r#"{"files":[]}"#, vec!["files"]),
            (r#"{"ids":{}}"#, vec!["ids"]),
            (r#"{"ids":[1],"files":[{"id":1}]}"#, vec!["ids"]),
            (r#"{"files":[{"id":1},{},{"id":"2"},3,{"id":0}]}"#, vec!["files[1].id", "files[2].id", "files[3].id", "files[4].id"]),
            (r#"{"ids":[-1,99999999999999999999,1]}"#, vec!["ids[0]", "ids[1]"]),
            (r#"{"ids":[0],"post":0}"#, vec!["ids[0]", "post"]),
            (r#"{"post":"1"}"#, vec!["files", "post"]),
            (r#"{"ids":[1],"post":9007199254740993}"#, vec!["post"]),
            ("[1]", vec!["body"]),
            (&many, vec!["ids"]),
        ] {
            assert_eq!(wanted(bad.as_bytes()).err().unwrap().spelled(field_name).by_name().keys().collect::<Vec<_>>(), fields, "{bad}");
        }
    }
}
