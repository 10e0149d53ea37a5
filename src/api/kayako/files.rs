//! One file, its bytes, and lists of files.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{CACHE_CONTROL, ETAG, LAST_MODIFIED};
use axum::http::{HeaderValue, Response, StatusCode};
use utoipa::ToSchema;

use super::auth::Asking;
use super::case::Case;
use super::conditions::{is_unchanged, last_modified, quoted};
use super::errors::ErrorsBody;
use super::file::{FileBody, RESOURCE, Showing, tag_part, version};
use super::ids::id_of;
use super::list_query::ListQuery;
use super::partial::Shown;
use super::paths::PREFIX;
use super::request::Arguments;
use super::response::{push_file, session_id, streamed, told};
use super::settings::KayakoSettings;
use crate::api::http::conditions::is_known;
use crate::api::http::downloads::places::{Link, What};
use crate::api::http::downloads::{AskedDisposition, answer, header, of_unknown_length};
use crate::api::http::openapi::{AnyCall, AnyFile};
use crate::api::http::streamed::Streamed;
use crate::api::http::{AppState, Fault};
use crate::broker::{PageWanted, Reader};
use crate::domain::{Selection, Start};

/// One file in its envelope.
#[derive(ToSchema)]
#[schema(as = KayakoOne)]
#[expect(dead_code, reason = "the schema of what is written member by member")]
pub(super) struct OneBody {
    #[schema(minimum = 200, maximum = 201)]
    status: u16,
    data: FileBody,
    #[schema(pattern = "^file$")]
    resource: String,
}

/// A page of files.
#[derive(ToSchema)]
#[schema(as = KayakoPage)]
#[expect(dead_code, reason = "the schema of what is written member by member")]
pub(super) struct PageBody {
    #[schema(minimum = 200, maximum = 200)]
    status: u16,
    /// Newest first.
    data: Vec<FileBody>,
    #[schema(pattern = "^file$")]
    resource: String,
    offset: u64,
    #[schema(minimum = 1, maximum = 100)]
    limit: u32,
    /// How many there are on all pages; counted up to 100,000, and where counting took too long, at least so many.
    total_count: u32,
    first_url: String,
    /// Absent on the first page.
    #[schema(nullable = false)]
    previous_url: Option<String>,
    /// Absent on the last page.
    #[schema(nullable = false)]
    next_url: Option<String>,
    last_url: String,
}

/// List files
///
/// Those that the caller may read, of every dialect, newest first. Their bytes are written while they are read from the bucket;
/// `fields=-content` leaves them out, and then nothing is read.
#[utoipa::path(
    get,
    path = "/files.json",
    operation_id = "kayakoListFiles",
    params(
        ("offset" = Option<i64>, Query, minimum = 0, description = "So many files are passed over. At most once."),
        ("limit" = Option<i64>, Query, minimum = 1, description = "Most files of the page, 10 when absent; what is over 100 means 100. At most once."),
        ("fields" = Option<String>, Query, description = "`a,b`: these members alone. `-a`: all but this one."),
    ),
    responses((status = 200, body = PageBody, description = "A page of files."), (status = 400, body = ErrorsBody, description = "`offset` or `limit` are no such numbers."), AnyCall)
)]
pub(super) async fn list(
    State(state): State<AppState>,
    asking: Asking,
    Extension(case): Extension<Case>,
    request: Request,
) -> Result<Response<Body>, Fault> {
    let (parts, _) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    let wanted = ListQuery::parse(query)?;
    let skipped = wanted.skipped();
    // Whoever asks from behind the last file that can be reached still wants to know how many there are.
    let (start, size) = (Start::Skip(skipped.unwrap_or_default()), if skipped.is_some() { wanted.limit } else { 1 });
    let page = PageWanted { selection: Selection::newest(), start, size, counted: true };
    let page = state.broker.list(&asking.caller, &page).await?;
    let total = page.records.unwrap_or_default();

    let (shown, mut text) = (Shown::asked(&Arguments::parsed(query), &parts.headers), Streamed::default());
    let showing = showing(&state, &asking, &shown);
    text.push(&format!("{{\"{}\":200,\"{}\":[", case.name("status"), case.name("data")));
    let files = page.files.iter().filter(|_| skipped.is_some());
    for (place, file) in files.enumerate() {
        text.push(if place == 0 { "" } else { "," });
        push_file(&mut text, file, &showing, case);
    }
    text.push("]");
    let counts = [("offset", wanted.offset), ("limit", wanted.limit.into()), ("total_count", total.into())];
    let links = wanted.links(&format!("{}{PREFIX}/files.json", state.public_url), total);
    let after = [("resource", RESOURCE.into())].into_iter().chain(counts.map(|(name, number)| (name, number.into())));
    for (name, value) in after.chain(links.into_iter().map(|(name, url)| (name, serde_json::Value::from(url)))) {
        text.push(&format!(",\"{}\":{value}", case.name(name)));
    }
    end(&mut text, &asking, case);
    let link = Link { tenant: asking.caller.tenant.clone(), actor: Some(asking.caller.actor), what: What::List };
    let mut response = streamed(text, &state, link, &parts).await?;
    told(&asking, &mut response);
    Ok(response)
}

/// Read a file
///
/// An active file that the caller may read, of whatever dialect.
#[utoipa::path(
    get,
    path = "/files/{id}",
    operation_id = "kayakoReadFile",
    params(
        ("id" = i64, Path, description = "The file's number."),
        ("fields" = Option<String>, Query, description = "`a,b`: these members alone. `-a`: all but this one."),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags of what you have."),
    ),
    responses(
        (status = 200, body = OneBody, description = "The file."),
        (status = 304, description = "You have it already."),
        AnyFile, AnyCall
    )
)]
pub(super) async fn read(
    State(state): State<AppState>,
    asking: Asking,
    Extension(case): Extension<Case>,
    Path(segment): Path<String>,
    request: Request,
) -> Result<Response<Body>, Fault> {
    let (parts, _) = request.into_parts();
    let file = state.broker.readable(&Reader::Caller(asking.caller.clone()), id_of(&segment)?).await?;
    let shown = Shown::asked(&Arguments::parsed(parts.uri.query().unwrap_or_default()), &parts.headers);
    let mut text = Streamed::default();
    text.push(&format!("{{\"{}\":200,\"{}\":", case.name("status"), case.name("data")));
    push_file(&mut text, &file, &showing(&state, &asking, &shown), case);
    text.push(&format!(",\"{}\":\"{RESOURCE}\"", case.name("resource")));
    // What is said of one file depends on who asks and how: so does the tag.
    let etag = format!("\"{}.{}\"", version(&file), tag_part(&text.texts()));
    let asked = quoted(parts.headers.clone());
    let mut response = if is_known(&asked, &etag) || is_unchanged(&file, &asked) {
        let mut unchanged = Response::new(of_unknown_length());
        *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
        unchanged.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        unchanged
    } else {
        let link = Link { tenant: file.tenant.clone(), actor: Some(asking.caller.actor), what: What::File(file.id) };
        end(&mut text, &asking, case);
        let mut answer = streamed(text, &state, link, &parts).await?;
        told(&asking, &mut answer);
        answer
    };
    response.headers_mut().insert(ETAG, header(&etag)?);
    response.headers_mut().insert(LAST_MODIFIED, header(&httpdate::fmt_http_date(last_modified(&file)))?);
    Ok(response)
}

/// Download a file
///
/// Its bytes, or where they are, as `DROPSLIP_DOWNLOADS` says; one range of them where the broker sends them. `HEAD` works too.
#[utoipa::path(
    get,
    path = "/files/{id}/content.json",
    operation_id = "kayakoDownloadFile",
    params(
        ("id" = i64, Path, description = "The file's number."),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags of what you have."),
        ("Range" = Option<String>, Header, description = "One range of bytes. Only where the broker sends them."),
    ),
    responses(
        (status = 200, body = inline(Vec<u8>), content_type = "*/*", description = "The bytes, where they go through the broker."),
        (status = 206, body = inline(Vec<u8>), content_type = "*/*", description = "The range of them that was asked for."),
        (status = 302, description = "The bytes are at `Location`, without a token, for a short time."),
        (status = 304, description = "You have it already."),
        (status = 412, body = ErrorsBody, description = "The file has none of the entity tags in `If-Match`. Only where the broker sends the bytes."),
        (status = 416, body = ErrorsBody, description = "The file has no such bytes."),
        AnyFile, AnyCall
    )
)]
pub(super) async fn content(
    State(state): State<AppState>,
    asking: Asking,
    Path(segment): Path<String>,
    request: Request,
) -> Result<Response<Body>, Fault> {
    let reader = Reader::Caller(asking.caller);
    let file = state.broker.readable(&reader, id_of(&segment)?).await?;
    let (mut parts, _) = request.into_parts();
    parts.headers = quoted(parts.headers);
    answer(&state, &reader, &file, AskedDisposition::SAVED, &parts).await
}

/// What stands behind all else of an envelope: the session of whoever logged in. No entity tag knows of it, as it is another each time.
pub(super) fn end(text: &mut Streamed, asking: &Asking, case: Case) {
    if let Some(session) = session_id(asking) {
        text.push(&format!(",\"{}\":{}", case.name("session_id"), serde_json::Value::from(session)));
    }
    text.push("}");
}

pub(super) fn showing<'a>(state: &'a AppState, asking: &'a Asking, shown: &'a Shown) -> Showing<'a> {
    Showing { public_url: &state.public_url, group: &asking.group, content_max: KayakoSettings::of(state).content_max, shown }
}
