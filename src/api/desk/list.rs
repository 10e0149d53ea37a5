//! `GET /files.json`: active files, newest first, page by page.
//!
//! Pages are told apart by a cursor, never by an offset: a page far behind costs what the first one costs, and new files move nothing.
//! Members of the query that it does not know are ignored, as elsewhere.

use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::{Object, Type};

use super::answer::FileBody;
use crate::api::body::json;
use crate::api::downloads::Links;
use crate::api::openapi::{AnyCall, Errors};
use crate::api::query::Query;
use crate::api::{AppState, Fault};
use crate::broker::Page;
use crate::domain::{Caller, FieldErrors, FileId};

/// Files of a page when nobody says how many.
const PAGE_SIZE: u32 = 50;

/// Most files of a page; Desk takes larger numbers for this one.
const MOST: u32 = 100;

/// What the first byte of a cursor says: a file's number follows, and the list goes on below it.
const BELOW_ID: u8 = 1;

/// Some files.
#[derive(Serialize, ToSchema)]
#[schema(as = FilePage)]
pub(super) struct PageBody<'a> {
    /// Newest first.
    files: Vec<FileBody<'a>>,
    pagination: PaginationBody,
    meta: MetaBody,
}

/// The page, in the words of Desk's version 2.
#[derive(Serialize, ToSchema)]
#[schema(as = Pagination)]
#[serde(rename_all = "camelCase")]
struct PaginationBody {
    /// Most files of this page.
    #[schema(minimum = 1, maximum = 100)]
    page_size: u32,
    /// Whether there are more.
    has_more_pages: bool,
}

/// What is known about the list.
#[derive(Serialize, ToSchema)]
#[schema(as = Meta)]
struct MetaBody {
    page: MetaPageBody,
}

/// The page, and how to get the next one.
#[derive(Serialize, ToSchema)]
#[schema(as = MetaPage)]
#[serde(rename_all = "camelCase")]
struct MetaPageBody {
    /// Most files of this page.
    #[schema(minimum = 1, maximum = 100)]
    page_size: u32,
    /// Whether there are more.
    has_more: bool,
    /// The `cursor` of the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^[A-Za-z0-9_-]+$")]
    next_cursor: Option<String>,
}

/// List active files
///
/// Those that the token may read, newest first. For the next page, send `meta.page.nextCursor` as `cursor`: a walk meets each file once,
/// also while new ones come. Members of the query that are not listed here are ignored.
#[utoipa::path(
    get,
    path = "/files.json",
    operation_id = "listFiles",
    params(PageWanted),
    responses(
        (status = 200, body = PageBody, description = "A page of files."),
        (status = 400, body = Errors, description = "`cursor` is none that a page told, or `pageSize` is no whole number.",
            example = json!({"errors": {"cursor": ["must be the nextCursor of a page"]}})),
        AnyCall
    )
)]
pub(super) async fn list(State(state): State<AppState>, caller: Caller, wanted: PageWanted) -> Result<Response<Body>, Fault> {
    let page = state.broker.list(&caller, wanted.before, wanted.size).await?;
    let links = Links::new(&state, OffsetDateTime::now_utc());
    Ok(json(StatusCode::OK, &PageBody::new(&page, wanted.size, links)))
}

/// The page that is asked for.
pub(super) struct PageWanted {
    pub(super) size: u32,
    pub(super) before: Option<FileId>,
}

impl<S: Send + Sync> FromRequestParts<S> for PageWanted {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fault> {
        Self::parse(&Query::of(parts)).map_err(Fault::Invalid)
    }
}

impl utoipa::IntoParams for PageWanted {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let parameter = |name: &str, description: &str, schema: Object| {
            let builder = Parameter::builder().name(name).parameter_in(ParameterIn::Query).description(Some(description));
            builder.schema(Some(schema)).build()
        };
        let size = Object::builder().schema_type(Type::Integer).minimum(Some(1)).default(Some(PAGE_SIZE.into()));
        let cursor = Object::builder().schema_type(Type::String).pattern(Some("^[A-Za-z0-9_-]+$"));
        vec![
            parameter("pageSize", "Most files of the page. What is over 100 means 100. At most once.", size.build()),
            parameter("cursor", "The `nextCursor` of the page before; absent for the first page. At most once.", cursor.build()),
        ]
    }
}

impl PageWanted {
    /// When nothing is said.
    pub(super) fn first() -> Self {
        Self { size: PAGE_SIZE, before: None }
    }

    fn parse(query: &Query) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::new();
        let size = query.at_most_one("pageSize").and_then(|text| text.map_or(Ok(PAGE_SIZE), |text| page_size(&text)));
        let before = query.at_most_one("cursor").and_then(|text| text.map(|text| id_of(&text)).transpose());
        let (size, before) = match (size, before) {
            (Ok(size), Ok(before)) => (size, before),
            (size, before) => {
                size.err().into_iter().chain(before.err()).for_each(|complaint| errors.merge(complaint));
                return Err(errors);
            }
        };
        Ok(Self { size, before })
    }
}

fn page_size(text: &str) -> Result<u32, FieldErrors> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(FieldErrors::one("pageSize", "must be a whole number"));
    }
    // More digits than a number can have are more than the most.
    match text.parse::<u64>().unwrap_or(u64::MAX) {
        0 => Err(FieldErrors::one("pageSize", "must be 1 or higher")),
        size => Ok(u32::try_from(size).map_or(MOST, |size| size.min(MOST))),
    }
}

fn cursor_of(id: FileId) -> String {
    let mut bytes = vec![BELOW_ID];
    bytes.extend(id.0.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn id_of(cursor: &str) -> Result<FileId, FieldErrors> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).unwrap_or_default();
    let id = match bytes.split_first() {
        Some((&BELOW_ID, id)) => id.try_into().ok().map(i64::from_be_bytes),
        _ => None,
    };
    id.filter(|id| *id > 0).map(FileId).ok_or_else(|| FieldErrors::one("cursor", "must be the nextCursor of a page"))
}

impl<'a> PageBody<'a> {
    pub(super) fn new(page: &'a Page, page_size: u32, links: Links<'_>) -> Self {
        let (more, next_cursor) = (page.next.is_some(), page.next.map(cursor_of));
        Self {
            files: page.files.iter().map(|file| FileBody::new(file).linked(file, links)).collect(),
            pagination: PaginationBody { page_size, has_more_pages: more },
            meta: MetaBody { page: MetaPageBody { page_size, has_more: more, next_cursor } },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_is_one() {
        for id in [1, 41, i64::MAX] {
            assert_eq!(id_of(&cursor_of(FileId(id))).unwrap(), FileId(id));
        }
        let zero = URL_SAFE_NO_PAD.encode([BELOW_ID, 0, 0, 0, 0, 0, 0, 0, 0]);
        let negative = URL_SAFE_NO_PAD.encode([BELOW_ID, 255, 0, 0, 0, 0, 0, 0, 0]);
        let later = URL_SAFE_NO_PAD.encode([2, 0, 0, 0, 0, 0, 0, 0, 9]);
        let long = format!("{}AA", cursor_of(FileId(9)));
        for bad in ["", "1", "AQ", "AQAAAAAAAAAp=", "?", "ü", &zero, &negative, &later, &long] {
            assert_eq!(id_of(bad).unwrap_err(), FieldErrors::one("cursor", "must be the nextCursor of a page"), "{bad}");
        }
    }

    #[test]
    fn page_sizes_over_the_most_are_the_most() {
        for (text, size) in [("1", 1), ("050", 50), ("100", 100), ("101", 100), ("99999999999999999999999", 100)] {
            assert_eq!(page_size(text), Ok(size));
        }
        for bad in ["", "0", "000", "-1", "+1", " 1", "1.0", "ten", "١"] {
            assert!(page_size(bad).is_err(), "{bad}");
        }
    }
}
