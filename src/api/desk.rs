//! Teamwork Desk's files API, v2: asking for a slip, confirming an upload, reading, listing and downloading files.
//!
//! Served under `/v2` and `/desk/api/v2`. Bodies come bare or wrapped in `{"file": ...}`, and unknown members are ignored, because
//! the official clients send whole objects back. Beyond Desk a request may carry `size` and `checksumSHA256`, and the answer
//! carries `expiresAt`.

pub mod bench;
mod cursor;
mod delete;
mod document;
mod download;
mod filter;
mod filter_json;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod ids;
mod list;
mod list_query;
mod members;
mod parts;
mod request;
mod response;
mod tickets;
mod types;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use axum::middleware::Next;
use axum::routing::any;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use super::body::{BODY_TIMEOUT, MAX_BODY_BYTES, json, not_json, read_json};
use super::downloads::Links;
use super::openapi::{AnyCall, AnyFile, Errors, IgnoredBody, Part, WithBody, id_parameter};
use super::{AppState, Fault, IDEMPOTENCY_KEY, answered, rendered, to_its_end};
use crate::broker::Authorized;
use crate::domain::{Caller, FieldErrors, File, FileId, FileTypes, UploadMethod};
use members::{Included, Members, SomeOf};
use request::{parse_description, parse_new_file};
use response::{Envelope, FileBody, SlipBody};

const PREFIXES: [&str; 2] = ["/v2", "/desk/api/v2"];

/// What the document says of bodies that [`ignore_body`] reads.
const IGNORED: &str = "Any JSON, or nothing. It is ignored: the official clients send the whole file object back.";

/// What the document says of bodies that [`parse_description`] reads.
const DESCRIBING: &str = "Nothing; or the file object, bare or in `file`, as the official clients send it back. `filename` (or `fileName`) and `disposition` \
    are read, and the rest is ignored. What is absent, null or blank changes nothing.";

/// The other prefix under which a documented path works too, before its `/v2`.
pub(super) fn other_prefix(path: &str) -> Option<&'static str> {
    path.starts_with("/v2/").then_some("/desk/api")
}

/// Every URL of this dialect, with its own answer to unknown paths, wrong methods and panics.
pub(super) fn router() -> Router<AppState> {
    let router = PREFIXES.into_iter().fold(Router::new(), with_resource);
    let router = router.method_not_allowed_fallback(|| async { Fault::MethodNotAllowed });
    in_our_words(router)
}

/// What is documented of them.
pub(super) fn described(rules: &FileTypes, method: UploadMethod) -> Part {
    let described = resource().into_iter().fold(OpenApiRouter::new(), OpenApiRouter::routes).into_openapi();
    document::part(described, PREFIXES[0], rules, method)
}

/// The resource's routes below a prefix, and an answer to everything else there. Not nested: axum would rewrite each request's URL.
fn with_resource(router: Router<AppState>, prefix: &str) -> Router<AppState> {
    let below = resource().into_iter().flat_map(|(_, paths, methods)| paths.paths.into_keys().map(move |path| (path, methods.clone())));
    let router = below.fold(router, |router, (path, documented)| router.route(&format!("{prefix}{path}"), documented));
    let others = ["", "/", "/{*rest}"];
    others.into_iter().fold(router, |router, path| router.route(&format!("{prefix}{path}"), any(|| async { Fault::NotFound })))
}

/// Routes and their documentation; `document.rs` shows `/{id}` at a path's end as `/{id}.json`.
fn resource() -> [UtoipaMethodRouter<AppState>; 13] {
    [
        routes!(types::list),
        routes!(list::list, delete::delete_listed),
        routes!(delete::delete_many),
        routes!(authorize),
        routes!(reissue),
        routes!(read, confirm, delete::delete),
        routes!(delete::restore),
        routes!(parts::list, parts::sign, parts::abort),
        routes!(download::download),
        routes!(tickets::list, tickets::attach),
        routes!(tickets::detach),
        routes!(tickets::download),
        routes!(tickets::archive),
    ]
}

fn in_our_words(router: Router<AppState>) -> Router<AppState> {
    router.layer(axum::middleware::from_fn(async |request, next: Next| {
        answered(next, request, |response| rendered(response, error_body)).await
    }))
}

// ---- handlers ----

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
    request_body(content = request::FileFields),
    responses(
        (status = 201, body = response::SlipBody, description = "What to upload the bytes with."),
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
async fn authorize(State(state): State<AppState>, caller: Caller, request: Request<Body>) -> Result<Response<Body>, Fault> {
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
        (status = 201, body = response::SlipBody, description = "A fresh slip for the same file."),
        (status = 409, body = Errors, description = "`state`: the file is active already, or its record keeps changing.",
            example = json!({"errors": {"state": ["is active already"]}})),
        AnyFile, IgnoredBody, AnyCall
    )
)]
async fn reissue(
    State(state): State<AppState>,
    caller: Caller,
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
async fn confirm(
    State(state): State<AppState>,
    caller: Caller,
    IdInPath(id): IdInPath,
    request: Request<Body>,
) -> Result<Response<Body>, Fault> {
    let wished = parse_description(&read_json(request).await?).map_err(Fault::Invalid)?;
    let (broker, asking) = (state.broker.clone(), caller.clone());
    let permit = broker.may_confirm(&caller).await?;
    let file = to_its_end(async move {
        let _permit = permit;
        broker.confirm_as(&asking, id, &wished, OffsetDateTime::now_utc()).await
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
async fn read(State(state): State<AppState>, caller: Caller, IdInPath(id): IdInPath, members: Members) -> Result<Response<Body>, Fault> {
    let file = state.broker.get(&caller, id).await?;
    let links = Links::new(&state, &caller, OffsetDateTime::now_utc());
    Ok(json(StatusCode::OK, &FoundBody { file: members.of(&file, &links), included: members.included([&file]) }))
}

/// One file, and what was asked for beside it.
#[derive(Serialize, ToSchema)]
#[schema(as = FoundFile)]
struct FoundBody<'a> {
    file: SomeOf<'a>,
    /// The actors that `includes` asks for; absent when it asks for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    included: Option<Included>,
}

/// One file as an answer.
fn one(state: &AppState, caller: &Caller, file: &File) -> Response<Body> {
    let links = Links::new(state, caller, OffsetDateTime::now_utc());
    json(StatusCode::OK, &Envelope { file: FileBody::new(file).linked(file, &links) })
}

/// `{id}.json`; what is no number of a file is no file.
struct IdInPath(FileId);

impl utoipa::IntoParams for IdInPath {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![id_parameter("id", "The file's number.")]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdInPath {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let Path(segment) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| Fault::NotFound)?;
        let digits = segment.strip_suffix(".json").unwrap_or(&segment);
        let plain = digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse().ok().filter(|_| plain).map(|id| Self(FileId(id))).ok_or(Fault::NotFound)
    }
}

/// Desk's clients send nothing, or the whole object back; nothing in it can be changed here.
async fn ignore_body(request: Request<Body>) -> Result<(), Fault> {
    let body = read_json(request).await?;
    if !body.trim_ascii().is_empty() {
        serde_json::from_slice::<serde::de::IgnoredAny>(&body).map_err(|error| Fault::Invalid(not_json(&error)))?;
    }
    Ok(())
}

/// The caller's word for this request, 1 to 255 visible characters.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, FieldErrors> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().unwrap_or_default();
    if values.next().is_some() || !(1..=255).contains(&key.len()) || !key.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return Err(FieldErrors::one("Idempotency-Key", "must be one text of 1 to 255 visible characters"));
    }
    Ok(Some(key.to_owned()))
}

// ---- error body ----

/// Desk's validator: an object of field to messages, for every fault.
pub(super) fn error_body(fault: &Fault) -> Vec<u8> {
    let fields = match fault {
        Fault::Invalid(fields) | Fault::Refused(fields) | Fault::Conflict(fields) => fields.clone(),
        Fault::Unauthenticated => FieldErrors::one("authorization", "must be a good token, as Bearer or as the user of Basic"),
        Fault::Forbidden(scope) => FieldErrors::one("authorization", format!("must have the scope {}", scope.as_str())),
        Fault::ForbiddenType(name) => FieldErrors::one("authorization", format!("must be for the file type ‘{name}’")),
        Fault::NotFound => FieldErrors::one("id", "not found"),
        Fault::MethodNotAllowed => FieldErrors::one("method", "not allowed here"),
        Fault::NotUploaded => FieldErrors::one("state", "nothing was uploaded yet"),
        Fault::AlreadyActive => FieldErrors::one("state", "is active already"),
        Fault::Changing => FieldErrors::one("state", "the upload keeps changing, try again"),
        Fault::TooSlow => FieldErrors::one("body", format!("must arrive within {} seconds", BODY_TIMEOUT.as_secs())),
        Fault::LimitExceeded(exceeded) => {
            FieldErrors::one("limit", format!("too many {}, try again in {} s", exceeded.what, exceeded.retry_after_seconds))
        }
        Fault::RangeNotSatisfiable(size) => FieldErrors::one("range", format!("must begin below {size}")),
        Fault::PreconditionFailed => FieldErrors::one("etag", "must be that of the file"),
        Fault::BodyTooLarge => FieldErrors::one("body", format!("must be {MAX_BODY_BYTES} bytes or shorter")),
        Fault::Coded(coding) => {
            FieldErrors::one("body", format!("must be sent as it is, without Content-Encoding: ‘{coding}’ is not read"))
        }
        Fault::Internal(_) => FieldErrors::one("server", "failed"),
        Fault::Unavailable(_) => FieldErrors::one("server", "not available now, try again"),
    };
    serde_json::to_vec(&Errors { errors: fields.by_field().clone() }).unwrap_or_default()
}
