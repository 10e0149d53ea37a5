//! Companion's S3 routes, as `@uppy/aws-s3` asks them: Uppy uploads through dropslip as it is.
//!
//! Served under `/u/{upload token}/s3`, for clients that can send nothing but a URL (`companionEndpoint` of Uppy 6), and under
//! `/companion/s3` and `/s3` for those that can send an `Authorization` header. `POST /companion/tokens.json` makes upload tokens.
//!
//! An upload is named by its staging key, which nobody knows but whom it was told: numbers of files can be counted up, so they
//! prove nothing among the many who may share one access token. Beyond Companion, `POST s3/confirm` confirms a single upload; the
//! end of a multipart upload confirms by itself.

mod document;
mod errors;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod multipart;
mod request;

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::routing::any;
use axum::{Json, Router};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::{Object, Required, Type};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{UPLOAD_TOKEN, Uploader};
use super::body::{read_body, read_json};
use super::openapi::{AnyCall, AnyFile, Part, WithBody};
use super::query::Query;
use super::{AppState, Fault, answered, to_its_end};
use crate::broker::{Authorized, Slip};
use crate::domain::{Caller, FieldErrors, File, FileTypes, Scope};
use crate::tokens::Holder;
use errors::Refusal;
use request::{UploadTokenRequest, new_file_of_query, upload_token_terms};

/// Every URL of this dialect, with its own answer to unknown paths, wrong methods and panics.
pub(super) fn router() -> Router<AppState> {
    let (s3, tokens): (Router<AppState>, Router<AppState>) = (s3().into(), tokens().into());
    let by_token = by_token();
    let prefixes = [(by_token.as_str(), s3.clone()), (WITH_HEADER, s3.clone().merge(tokens))];
    // Companion itself answers at the root: who puts dropslip in its place changes no path.
    let at_root = in_our_words(s3.method_not_allowed_fallback(|| async { Fault::MethodNotAllowed }));
    prefixes.into_iter().fold(at_root, |router, (prefix, routes)| {
        // A nested router is not asked about its prefix with nothing but a slash behind it.
        let bare = Router::new().route(&format!("{prefix}/"), any(|| async { Fault::NotFound }));
        router.nest(prefix, in_our_words(in_our_shape(routes))).merge(in_our_words(bare))
    })
}

/// What is documented of them.
pub(super) fn described(rules: &FileTypes) -> Part {
    document::part(s3().into_openapi(), tokens().into_openapi(), &by_token(), rules)
}

fn by_token() -> String {
    format!("/u/{{{UPLOAD_TOKEN}}}")
}

fn tokens() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(make_token))
}

fn s3() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(params)).routes(routes!(confirm)).merge(multipart::routes())
}

/// Where an `Authorization` header is asked for.
const WITH_HEADER: &str = "/companion";

fn in_our_shape(router: Router<AppState>) -> Router<AppState> {
    router.fallback(|| async { Fault::NotFound }).method_not_allowed_fallback(|| async { Fault::MethodNotAllowed })
}

fn in_our_words(router: Router<AppState>) -> Router<AppState> {
    router.layer(axum::middleware::from_fn(async |request, next: Next| {
        let mut response = answered(next, request, errors::rendered).await;
        // The URL is a secret.
        response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        response
    }))
}

// ---- wire ----

/// A slip for one request. Uppy 6 sends a form whatever `method` says.
#[derive(Serialize, ToSchema)]
#[schema(as = UppyParams, description = "A slip for one request.")]
struct ParamsBody {
    /// `POST`: a form for `url`. `PUT`: the bytes go to `url`, with `headers`.
    #[schema(schema_with = methods)]
    method: &'static str,
    /// Where the bytes go, without a token.
    #[schema(format = "uri")]
    url: String,
    /// With `POST`, the fields of the form, to be sent before `file`. `key` names the upload from now on, also with `PUT`.
    #[schema(value_type = BTreeMap<String, String>)]
    fields: BTreeMap<&'static str, String>,
    /// With `PUT`, the headers to send exactly so. Else empty.
    #[schema(value_type = BTreeMap<String, String>)]
    headers: BTreeMap<&'static str, String>,
}

fn methods() -> Object {
    Object::builder().schema_type(Type::String).enum_values(Some(["POST", "PUT"])).build()
}

/// A confirmed upload.
#[derive(Serialize, ToSchema)]
#[schema(as = UppyDone)]
struct DoneBody {
    /// Where the file's record is read, with a token.
    #[schema(format = "uri")]
    location: String,
    /// The upload's key.
    key: String,
    /// The file's number.
    #[schema(minimum = 1)]
    id: i64,
}

/// An upload token, as the URL that Uppy is given.
#[derive(Serialize, ToSchema)]
#[schema(as = UploadToken)]
#[serde(rename_all = "camelCase")]
struct TokenBody {
    /// For Uppy's option of this name. It is a secret.
    #[schema(format = "uri")]
    companion_endpoint: String,
    /// When the token ends, UTC.
    #[schema(format = DateTime)]
    expires_at: String,
    /// Names of the file types that may be uploaded with it, each once.
    types: Vec<String>,
}

impl DoneBody {
    /// `location` is where the file's record is read: the object itself is for nobody but dropslip.
    fn new(file: &File, state: &AppState) -> Self {
        let location = format!("{}/v2/files/{}.json", state.public_url, file.id);
        Self { location, key: file.staging_key.clone(), id: file.id.0 }
    }
}

// ---- handlers ----

/// The path's name for the number of the file, which is an upload's name in this dialect.
const UPLOAD_ID: &str = "upload_id";

/// An upload of the caller's own, found by the `key` it was told.
struct Upload {
    caller: Caller,
    file: File,
}

impl FromRequestParts<AppState> for Upload {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Fault> {
        let Uploader(caller) = Uploader::from_request_parts(parts, state).await?;
        let key = Query::of(parts).one("key").map_err(Fault::Invalid)?;
        let file = state.broker.upload(&caller, &key).await?;
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| Fault::NotFound)?;
        let named = params.iter().filter(|(name, _)| *name == UPLOAD_ID).all(|(_, id)| id == file.id.to_string());
        if named { Ok(Self { caller, file }) } else { Err(Fault::NotFound) }
    }
}

impl utoipa::IntoParams for Upload {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let key = Parameter::builder()
            .name("key")
            .parameter_in(ParameterIn::Query)
            .required(Required::True)
            .description(Some("The upload's key, once. Nobody knows it but whom it was told."))
            .schema(Some(Object::builder().schema_type(Type::String).examples([EXAMPLE_KEY])));
        vec![key.build()]
    }
}

const EXAMPLE_KEY: &str = "temp/01a20173b129-a49807ba1f6e4c3d8b5a9e0c7d2f4b61";

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
async fn params(State(state): State<AppState>, Uploader(caller): Uploader, request: Request<Body>) -> Result<Json<ParamsBody>, Fault> {
    let (parts, _) = request.into_parts();
    let new = new_file_of_query(&Query::of(&parts), caller.types.names()).map_err(Fault::Invalid)?;
    match state.broker.authorize(&caller, &new, None, OffsetDateTime::now_utc()).await? {
        Authorized::Slip(_, Slip::Form(post)) => {
            Ok(Json(ParamsBody { method: "POST", url: post.url, fields: post.fields.into_iter().collect(), headers: BTreeMap::new() }))
        }
        Authorized::Slip(file, Slip::Put(put)) if knows_put(&parts) => {
            // The key is for the page, which confirms with it.
            let fields = BTreeMap::from([("key", file.staging_key)]);
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

/// Uppy 5 and older go by `method`, and are told by the `Accept` that 6 does not send.
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
async fn confirm(State(state): State<AppState>, upload: Upload, request: Request<Body>) -> Result<Json<DoneBody>, Fault> {
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

/// Make an upload token
///
/// For a page: a URL that may upload files of some types, for a time, in the name of the token that asks, and nothing else. It ends with
/// that token.
#[utoipa::path(
    post,
    path = "/tokens.json",
    operation_id = "makeUploadToken",
    request_body(content = UploadTokenRequest),
    responses(
        (status = 201, body = TokenBody, description = "The token, in a URL."),
        (status = 400, body = Refusal, description = "There is no such file type, or it is not such JSON.",
            example = json!({"message": "seconds must be a whole number from 1 to 86400", "errors": {"seconds": ["must be a whole number from 1 to 86400"]}})),
        WithBody, AnyCall
    )
)]
async fn make_token(State(state): State<AppState>, holder: Holder, request: Request<Body>) -> Result<impl IntoResponse, Fault> {
    if !holder.caller.scopes.contains(Scope::FilesWrite) {
        return Err(Fault::Forbidden(Scope::FilesWrite));
    }
    let wish = upload_token_terms(&read_json(request).await?).map_err(Fault::Invalid)?;
    state.broker.know_types(&wish.types)?;
    if let Some(other) = wish.types.iter().find(|name| !holder.caller.types.allows(name)) {
        return Err(Fault::ForbiddenType(other.clone()));
    }
    let (token, expires_at) = state.tokens.upload_token(&holder, &wish.types, OffsetDateTime::now_utc() + wish.life)?;
    let body = TokenBody {
        companion_endpoint: format!("{}/u/{token}", state.public_url),
        expires_at: expires_at.format(SECONDS).unwrap_or_default(),
        types: wish.types,
    };
    Ok((StatusCode::CREATED, Json(body)))
}

const SECONDS: &[time::format_description::BorrowedFormatItem<'_>] =
    time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
