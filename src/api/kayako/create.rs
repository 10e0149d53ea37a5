//! `POST /files.json`: files with their bytes, in whichever of four ways a client sends them.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use time::OffsetDateTime;

use super::auth::Asking;
use super::case::Case;
use super::errors::ErrorsBody;
use super::file::{FileBody, RESOURCE};
use super::files::{end, showing};
use super::incoming::Incoming;
use super::partial::Shown;
use super::request::Arguments;
use super::response::{push_file, streamed, told};
use super::settings::KayakoSettings;
use super::way::Way;
use crate::api::http::content::Limits;
use crate::api::http::downloads::places::{Link, What};
use crate::api::http::openapi::{AnyCall, WithBody};
use crate::api::http::streamed::Streamed;
use crate::api::http::{AppState, Fault, to_its_end};
use crate::domain::File;

/// Add files
///
/// The body is the file, with its name in `Content-Disposition` or `_filename`; or a form whose parts are files; or JSON or a form with
/// `name` and, as base64, `content`. Several files in one form become files together, or none does. Large files go faster without the
/// broker: see `files/ref.json`.
#[utoipa::path(
    post,
    path = "/files.json",
    operation_id = "kayakoCreateFile",
    params(
        ("_filename" = Option<String>, Query, description = "The name, where the body is the file. The same as in `Content-Disposition`, where both say it."),
        ("_md5" = Option<String>, Query, description = "MD5 of the bytes, in hex or base64; of several files in their order, commas between them."),
        ("fields" = Option<String>, Query, description = "`a,b`: these members alone. `-a`: all but this one."),
    ),
    request_body(content(
        (NewFileBody = "application/json"),
        (NewFileBody = "application/x-www-form-urlencoded"),
        (FormBody = "multipart/form-data"),
        (Vec<u8> = "application/octet-stream")
    )),
    responses(
        (status = 201, body = CreatedBody, description = "The file. Of several, `data` is a list and `total_count` their number."),
        (status = 400, body = ErrorsBody, description = "Something is missing, the body cannot be read, the file type does not take the file, or its bytes are not what was meant."),
        WithBody, AnyCall
    )
)]
pub(super) async fn create(
    State(state): State<AppState>,
    asking: Asking,
    Extension(case): Extension<Case>,
    request: Request,
) -> Result<Response<Body>, Fault> {
    let (parts, body) = request.into_parts();
    let way = Way::of(&parts.headers);
    let arguments = Arguments::parsed(parts.uri.query().unwrap_or_default());
    let incoming = Incoming::new(way, &arguments, &parts.headers)?;
    let settings = KayakoSettings::of(&state);
    let receiving = state.broker.receive(&asking.caller, &settings.file_type, OffsetDateTime::now_utc()).await?;
    let whole = Request::from_parts(parts.clone(), body);
    let most = state.broker.max_received();
    let reader = way.reader(whole, Limits::of(most)).map_err(|fault| fault.of_content(most))?;
    let receiving = incoming.take(reader, receiving).await.map_err(|fault| fault.of_content(most))?;
    let lifetime = settings.file_lifetime.map(|lifetime| time::Duration::try_from(lifetime).unwrap_or(time::Duration::MAX));
    let files = to_its_end(receiving.claim(lifetime)).await?;
    answer(&state, &asking, case, StatusCode::CREATED, &files, &parts).await
}

/// The files in their envelope: one is an object, several are a list.
pub(super) async fn answer(
    state: &AppState,
    asking: &Asking,
    case: Case,
    status: StatusCode,
    files: &[File],
    parts: &Parts,
) -> Result<Response<Body>, Fault> {
    let shown = Shown::asked(&Arguments::parsed(parts.uri.query().unwrap_or_default()), &parts.headers);
    let mut showing = showing(state, asking, &shown);
    let link = Link { tenant: asking.caller.tenant.clone(), actor: Some(asking.caller.actor), what: What::List };
    let written = |showing: &super::file::Showing<'_>| {
        let mut text = Streamed::default();
        text.push(&format!("{{\"{}\":{},\"{}\":", case.name("status"), status.as_u16(), case.name("data")));
        let is_list = files.len() > 1;
        text.push(if is_list { "[" } else { "" });
        for (place, file) in files.iter().enumerate() {
            text.push(if place == 0 { "" } else { "," });
            push_file(&mut text, file, showing, case);
        }
        text.push(if is_list { "]" } else { "" });
        text.push(&format!(",\"{}\":\"{RESOURCE}\"", case.name("resource")));
        if is_list {
            text.push(&format!(",\"{}\":{}", case.name("total_count"), files.len()));
        }
        end(&mut text, asking, case);
        text
    };
    let mut response = match streamed(written(&showing), state, link.clone(), parts).await {
        Ok(response) => response,
        // The files are there: who asked again for want of an answer would have them twice.
        Err(fault) => {
            tracing::warn!(?fault, "files were made whose bytes are not in the answer");
            showing.content_max = 0;
            streamed(written(&showing), state, link, parts).await?
        }
    };
    *response.status_mut() = status;
    told(asking, &mut response);
    Ok(response)
}

// ---- what is documented of bodies ----

/// A file in one object, or in one form.
#[derive(utoipa::ToSchema)]
#[schema(as = KayakoNewFile)]
#[expect(dead_code, reason = "the schema of what is read piece by piece")]
pub(super) struct NewFileBody {
    /// Its name; it is cleaned.
    name: String,
    /// Its bytes as base64; line breaks are passed over.
    content: String,
    /// The content type that it may have; without one, the name tells.
    #[schema(nullable = false)]
    content_type: Option<String>,
}

/// One file, or several that came in one form.
#[derive(utoipa::ToSchema)]
#[schema(as = KayakoCreated)]
#[expect(dead_code, reason = "the schema of what is written member by member")]
pub(super) struct CreatedBody {
    #[schema(minimum = 201, maximum = 201)]
    status: u16,
    data: CreatedFiles,
    #[schema(pattern = "^file$")]
    resource: String,
    /// Of several, how many.
    #[schema(nullable = false, minimum = 2)]
    total_count: Option<u32>,
}

/// One file, or several.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[schema(as = KayakoCreatedFiles)]
#[serde(untagged)]
#[expect(dead_code, reason = "the schema of what is written member by member")]
enum CreatedFiles {
    One(Box<FileBody>),
    Several(Vec<FileBody>),
}

/// Files as parts, under whatever names.
#[derive(utoipa::ToSchema)]
#[schema(as = KayakoForm)]
#[expect(dead_code, reason = "the schema of what is read piece by piece")]
pub(super) struct FormBody {
    #[schema(max_items = 20, value_type = Vec<String>, format = Binary)]
    files: Vec<Vec<u8>>,
}
