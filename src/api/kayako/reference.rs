//! The way past the broker: a slip for one file, and its confirmation.

use std::collections::BTreeMap;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::auth::Asking;
use super::case::{Case, snake};
use super::create::answer;
use super::errors::ErrorsBody;
use super::file::instant;
use super::files::OneBody;
use super::ids::id_of;
use super::response::{session_id, told};
use super::settings::KayakoSettings;
use crate::api::http::body::{json as written, object, or_empty, read_body, read_json, whole};
use crate::api::http::field_errors::FieldErrors;
use crate::api::http::openapi::{AnyCall, AnyFile, WithBody};
use crate::api::http::{AppState, Fault, to_its_end};
use crate::broker::{Authorized, BrokerError, Slip};
use crate::domain::media_type::declared_type;
use crate::domain::{Complaints, Disposition, Field, File, FileName, NewFile};

/// What a slip is asked for with.
#[derive(Deserialize, Default, ToSchema)]
#[schema(as = KayakoToUpload)]
pub(super) struct ToUpload {
    /// The file's name; it is cleaned.
    #[schema(required, nullable = false, value_type = String)]
    name: Option<Value>,
    /// Its bytes, where they are known. A store that takes no forms needs them.
    #[schema(nullable = false, value_type = Option<u64>)]
    size: Option<Value>,
    /// The content type that it may have; without one, the name tells.
    #[schema(nullable = false, value_type = Option<String>)]
    content_type: Option<Value>,
}

/// A slip in its envelope.
#[derive(Serialize, ToSchema)]
#[schema(as = KayakoReference)]
pub(super) struct ReferenceBody {
    #[schema(minimum = 201, maximum = 201)]
    status: u16,
    data: SlipBody,
    #[schema(pattern = "^file_ref$")]
    resource: String,
}

/// What the bytes are uploaded with, without a token.
#[derive(Serialize, ToSchema)]
#[schema(as = KayakoSlip)]
struct SlipBody {
    /// `POST`: a form of `fields`, then `file`. `PUT`: the bytes alone, with `headers`.
    #[schema(pattern = "^(POST|PUT)$")]
    method: &'static str,
    #[schema(format = "uri")]
    url: String,
    #[schema(value_type = BTreeMap<String, String>)]
    fields: BTreeMap<&'static str, String>,
    #[schema(value_type = BTreeMap<String, String>)]
    headers: BTreeMap<&'static str, String>,
    expires_at: String,
    file: PendingBody,
}

/// The file that is to come.
#[derive(Serialize, ToSchema)]
#[schema(as = KayakoPendingFile)]
struct PendingBody {
    id: i64,
    name: String,
    content_type: String,
    #[schema(pattern = "^file$")]
    resource_type: &'static str,
}

/// Ask for a slip
///
/// Large files go straight to the object store with it: no byte passes the broker. Confirm with `PUT` when they are there.
#[utoipa::path(
    post,
    path = "/files/ref.json",
    operation_id = "kayakoReference",
    request_body = ToUpload,
    responses(
        (status = 201, body = ReferenceBody, description = "What to upload the bytes with."),
        (status = 400, body = ErrorsBody, description = "Something is missing, or the file type does not take such a file."),
        WithBody, AnyCall
    )
)]
pub(super) async fn refer(
    State(state): State<AppState>,
    asking: Asking,
    Extension(case): Extension<Case>,
    request: Request,
) -> Result<Response<Body>, Fault> {
    let settings = KayakoSettings::of(&state).clone();
    let new = new_file(&read_json(request).await?, &settings.file_type).map_err(Fault::Invalid)?;
    let now = OffsetDateTime::now_utc();
    let keep_until = settings.file_lifetime.and_then(|lifetime| now.checked_add(lifetime.try_into().ok()?));
    let authorized = state.broker.authorize_until(&asking.caller, &new, keep_until, now).await;
    let (file, slip) = match authorized.map_err(spelled)? {
        Authorized::Slip(file, slip) => (file, slip),
        Authorized::Already(_) => return Err(Fault::AlreadyActive),
    };
    let expires_at = instant(slip.expires_at());
    let (method, url, fields, headers) = match slip {
        Slip::Form(post) => ("POST", post.url, post.fields.into_iter().collect(), BTreeMap::new()),
        Slip::Put(put) => ("PUT", put.url, BTreeMap::new(), put.headers.into_iter().collect()),
        Slip::Parts(_) => return Err(Fault::Internal("a slip in parts that nobody asked for".to_owned())),
    };
    let data = SlipBody { method, url, fields, headers, expires_at, file: pending(&file) };
    let mut data = serde_json::to_value(data).map_err(|error| Fault::Internal(error.to_string()))?;
    // What the store reads is no name of this dialect's.
    let exact = ["fields", "headers"].map(|name| (name, data[name].take()));
    data = case.spell(data);
    for (name, value) in exact {
        data[case.name(name)] = value;
    }
    let status = StatusCode::CREATED;
    let members = [("status", json!(status.as_u16())), ("data", data), ("resource", json!("file_ref"))].into_iter();
    let members = members.chain(session_id(&asking).map(|session| ("session_id", session.into())));
    let body: Map<String, Value> = members.map(|(name, value)| (case.name(name), value)).collect();
    let mut response = written(status, &body);
    told(&asking, &mut response);
    Ok(response)
}

/// Confirm an upload
///
/// Looks at what landed; only what is as granted becomes a file. It can be repeated at will. A body is ignored.
#[utoipa::path(
    put,
    path = "/files/{id}",
    operation_id = "kayakoConfirm",
    params(("id" = i64, Path, description = "The file's number.")),
    responses(
        (status = 200, body = OneBody, description = "The file."),
        (status = 400, body = ErrorsBody, description = "What landed is not what was granted. It is deleted; the slip stays good."),
        (status = 409, body = ErrorsBody, description = "The upload keeps changing."),
        AnyFile, WithBody, AnyCall
    )
)]
pub(super) async fn confirm(
    State(state): State<AppState>,
    asking: Asking,
    Extension(case): Extension<Case>,
    Path(segment): Path<String>,
    request: Request,
) -> Result<Response<Body>, Fault> {
    let id = id_of(&segment)?;
    let (parts, body) = request.into_parts();
    read_body(Request::from_parts(parts.clone(), body)).await?;
    let (broker, caller) = (state.broker.clone(), asking.caller.clone());
    let permit = broker.may_confirm(&caller).await?;
    let confirmed = to_its_end(async move {
        let _permit = permit;
        broker.confirm(&caller, id, OffsetDateTime::now_utc()).await
    });
    let file = match confirmed.await {
        // Whoever may see a deleted file is told that it is there no more.
        Err(Fault::Conflict(errors)) if errors.is_about(Field::State) => return Err(Fault::NotFound),
        other => other?,
    };
    answer(&state, &asking, case, StatusCode::OK, &[file], &parts).await
}

fn pending(file: &File) -> PendingBody {
    PendingBody {
        id: file.id.0,
        name: file.name.as_str().to_owned(),
        content_type: file.content_type().to_string(),
        resource_type: super::file::RESOURCE,
    }
}

/// Reads a description with every complaint at once. Names of members are taken in every case.
fn new_file(body: &[u8], file_type: &str) -> Result<NewFile, FieldErrors> {
    let given: Map<String, Value> = object(or_empty(body))?;
    let given: Map<String, Value> = given.into_iter().map(|(name, value)| (snake(&name), value)).collect();
    let ToUpload { name, size, content_type } = serde_json::from_value(Value::Object(given)).unwrap_or_default();
    let mut errors = FieldErrors::new();
    let name = match name.filter(|name| !name.is_null()) {
        Some(Value::String(name)) if !name.trim().is_empty() => name,
        None | Some(Value::String(_)) => {
            errors.add("name", "must be set");
            String::new()
        }
        Some(_) => {
            errors.add("name", "must be a text");
            String::new()
        }
    };
    let size = size.filter(|size| !size.is_null()).and_then(|size| {
        let number = whole(&size);
        if number.is_none() {
            errors.add("size", "must be a whole number of bytes");
        }
        number
    });
    let declared = match content_type.filter(|declared| !declared.is_null()) {
        None => None,
        Some(Value::String(text)) => declared_type(&text).unwrap_or_else(|why| {
            errors.merge(own(why));
            None
        }),
        Some(_) => {
            errors.add("content_type", "must be a text");
            None
        }
    };
    let (type_name, name, disposition) = (file_type.to_owned(), FileName::sanitized(&name), Disposition::default());
    errors.or_ok(NewFile { type_name, name, declared_type: declared, disposition, size, checksum_sha256: None, multipart: None })
}

/// Complaints of the core under the names that this request has for them.
fn spelled(error: BrokerError) -> Fault {
    match error {
        BrokerError::Invalid(complaints) => Fault::Invalid(own(complaints)),
        other => other.into(),
    }
}

fn own(complaints: Complaints) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for (field, message) in complaints {
        match field {
            Field::Size => errors.add("size", message),
            Field::DeclaredType => errors.add("content_type", message),
            other => errors.merge(Complaints::one(other, message)),
        }
    }
    errors
}
