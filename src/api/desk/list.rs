//! `GET /files.json`: files by any condition and in any order, page by page.
//!
//! Pages are asked for by number, as Desk's clients do, or by cursor: then a page far behind costs what the first one costs, new files
//! move nothing, and nothing is counted. Members of the query that it does not know are ignored, as elsewhere.

use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::auth::Authenticated;
use super::cursor::cursor_of;
use super::list_query::ListQuery;
use super::members::{Included, OnTicketBody, SomeOf};
use crate::api::http::body::json_of;
use crate::api::http::downloads::Links;
use crate::api::http::openapi::AnyCall;
use crate::api::http::wording::Errors;
use crate::api::http::{AppState, Fault};
use crate::broker::{Page, TicketPage};
use crate::domain::File;

/// Some files.
#[derive(Serialize, ToSchema)]
#[schema(as = FilePage)]
pub(super) struct PageBody<'a> {
    /// In the order that was asked for; newest first when none was.
    files: Vec<SomeOf<'a>>,
    /// The actors that `includes` asks for.
    included: Included,
    pagination: PaginationBody,
    meta: MetaBody,
}

/// Some files of a ticket, for the document: what is written is a [`PageBody`].
#[derive(ToSchema)]
#[schema(as = TicketFilePage)]
#[expect(dead_code, reason = "it only describes")]
pub(super) struct TicketPageBody<'a> {
    /// In the order that was asked for; newest first when none was.
    files: Vec<OnTicketBody<'a>>,
    /// The actors that `includes` asks for.
    included: Included,
    pagination: PaginationBody,
    meta: MetaBody,
}

/// The page, in the words of Desk's version 2.
#[derive(Serialize, ToSchema)]
#[schema(as = Pagination)]
#[serde(rename_all = "camelCase")]
struct PaginationBody {
    /// How many files there are on all pages; counted up to 100,000, and where counting took too long, at least so many. Absent when they
    /// were not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    records: Option<u32>,
    /// Most files of this page.
    #[schema(minimum = 1, maximum = 100)]
    page_size: u32,
    /// How many pages these are. Absent when they were not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pages: Option<u32>,
    /// Which page this is, from 1. Absent on a page by cursor.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1)]
    page: Option<u32>,
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
    /// The same as `records`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    count: Option<u32>,
    /// Most files of this page.
    #[schema(minimum = 1, maximum = 100)]
    page_size: u32,
    /// Which page this is, from 0. Absent on a page by cursor.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    page_offset: Option<u32>,
    /// How many pages there are. Absent when they were not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pages: Option<u32>,
    /// Whether there are more.
    has_more: bool,
    /// The `cursor` of the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^[A-Za-z0-9_-]+$")]
    next_cursor: Option<String>,
}

/// List files
///
/// Those that the token may read and that are `active`, newest first, unless something else is asked for. For the next page, count `page`
/// up, or send `meta.page.nextCursor` as `cursor`: a walk by cursor meets each file once, also while new ones come. Members of the query
/// that are not listed here are ignored.
#[utoipa::path(
    get,
    path = "/files.json",
    operation_id = "listFiles",
    params(ListQuery),
    responses(
        (status = 200, body = PageBody, description = "A page of files."),
        (status = 400, body = Errors, description = "A member of the query is not as described; of a filter, the place in it is named.",
            example = json!({"errors": {"filter.$or[1].size.$gt": ["must be a whole number of at most 64 bits"], "pageSize": ["must be 1 or higher"]}})),
        AnyCall
    )
)]
pub(super) async fn list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    wanted: ListQuery,
) -> Result<Response<Body>, Fault> {
    // Whoever hangs up drops this, and the search is stopped.
    let page = state.broker.list(&caller, &wanted.page).await?;
    let links = Links::new(&state, &caller, OffsetDateTime::now_utc());
    Ok(json_of(page.files.len(), StatusCode::OK, &PageBody::new(&page, &wanted, &links)))
}

impl<'a> PageBody<'a> {
    pub(super) fn new(page: &'a Page, wanted: &'a ListQuery, links: &'a Links<'a>) -> Self {
        Self::of(page, wanted, |file| wanted.members.of(file, links))
    }

    /// The same with the files of a ticket, which say to which post they belong.
    pub(super) fn of_ticket(ticket: &'a TicketPage, wanted: &'a ListQuery, links: &'a Links<'a>) -> Self {
        let TicketPage { page, posts } = ticket;
        Self::of(page, wanted, |file| wanted.members.on_ticket(file, posts.get(&file.id).copied(), links))
    }

    fn of(page: &'a Page, wanted: &'a ListQuery, body: impl Fn(&'a File) -> SomeOf<'a>) -> Self {
        let ListQuery { page: asked, offset, members } = wanted;
        let (page_size, offset, more) = (asked.size, *offset, page.next.is_some());
        let pages = page.records.map(|records| records.div_ceil(page_size));
        let next_cursor = page.next.as_ref().map(|position| cursor_of(asked.selection.order, position));
        Self {
            files: page.files.iter().map(body).collect(),
            included: members.included(&page.files).unwrap_or_default(),
            pagination: PaginationBody {
                records: page.records,
                page_size,
                pages,
                page: offset.map(|offset| offset + 1),
                has_more_pages: more,
            },
            meta: MetaBody {
                page: MetaPageBody { count: page.records, page_size, page_offset: offset, pages, has_more: more, next_cursor },
            },
        }
    }
}
