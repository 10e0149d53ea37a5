//! The query of a list: which page of which files, in which order.
//!
//! Desk's own clients disagree about names, so some members have two: the documented one and what the official SDK writes.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde_json::json;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::{Object, Type};

use super::attributes::{attribute_named, attribute_names};
use super::cursor::position_of;
use super::filter::parse_filter;
use super::ids::{IDS_PATTERN, ids_in};
use super::members::{Members, members_parameters};
use crate::api::http::Fault;
use crate::api::http::field_errors::FieldErrors;
use crate::api::http::query::{Query, flag, parameter};
use crate::broker::PageWanted;
use crate::domain::wording::one_of;
use crate::domain::{Attribute, Condition, Order, Selection, Start, composed};

/// Files of a page when nobody says how many.
const PAGE_SIZE: u32 = 50;

/// Most files of a page; Desk takes larger numbers for this one.
const MOST: u32 = 100;

/// How many files the pages have that can be asked for by number: twice as many as are counted. What lies deeper is reached by cursor, as
/// to skip files costs as much as to read them.
const MOST_BY_NUMBER: u32 = 200_000;

/// The longest text to look for in names, in bytes: no name is longer.
const MOST_SEARCHED: usize = 255;

/// A list that is asked for.
pub(super) struct ListQuery {
    pub(super) page: PageWanted,
    /// Which of its kind that page is, from 0; `None` when it was asked for by cursor.
    pub(super) offset: Option<u32>,
    pub(super) members: Members,
}

impl<S: Send + Sync> FromRequestParts<S> for ListQuery {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fault> {
        Self::parse(&Query::of(parts)).map_err(Fault::Invalid)
    }
}

impl ListQuery {
    /// Every complaint at once.
    pub(super) fn parse(query: &Query) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::new();
        let order = kept(&mut errors, order(query)).unwrap_or(Order::NEWEST);
        let (size, start, offset) = place(&mut errors, query, order);
        let filter = query.filled("filter").and_then(|text| text.map(|text| parse_filter(&text)).transpose());
        let condition = kept(&mut errors, filter).flatten().unwrap_or_else(Condition::none);
        let name_holds = kept(&mut errors, searched(query)).flatten();
        let ids = kept(&mut errors, ids_in(query)).flatten();
        let uncounted = query.at_most_one("skipAggregation").and_then(|text| flag("skipAggregation", text.as_deref()));
        let counted = !kept(&mut errors, uncounted).unwrap_or_default();
        let members = Members::asked_in(query);
        let selection = Selection { condition, name_holds, ids, order };
        errors.or_ok(Self { page: PageWanted { selection, start, size, counted }, offset, members })
    }
}

/// How many files, from where on, and which page that is if it has a number.
fn place(errors: &mut FieldErrors, query: &Query, order: Order) -> (u32, Start, Option<u32>) {
    let size = kept(errors, query.spelled(&["pageSize", "per_page"]).and_then(page_size)).unwrap_or(PAGE_SIZE);
    let offset = kept(errors, page_offset(query, MOST_BY_NUMBER / size)).flatten();
    let cursor = query.filled("cursor").and_then(|text| text.map(|text| position_of(order, &text)).transpose());
    let cursor = kept(errors, cursor).flatten();
    if cursor.is_some() && offset.is_some() {
        errors.add("cursor", "must come without page and pageOffset");
    }
    match cursor {
        Some(position) => (size, Start::After(position), None),
        None => (size, Start::Skip(offset.unwrap_or_default() * size), Some(offset.unwrap_or_default())),
    }
}

/// Notes a complaint and goes on.
fn kept<T>(errors: &mut FieldErrors, read: Result<T, FieldErrors>) -> Option<T> {
    read.map_err(|complaint| errors.merge(complaint)).ok()
}

fn whole(name: &str, text: &str) -> Result<u64, FieldErrors> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(FieldErrors::one(name, "must be a whole number"));
    }
    // More digits than a number can have are more than the most.
    Ok(text.parse().unwrap_or(u64::MAX))
}

fn page_size(text: Option<String>) -> Result<u32, FieldErrors> {
    let Some(text) = text else { return Ok(PAGE_SIZE) };
    match whole("pageSize", &text)? {
        0 => Err(FieldErrors::one("pageSize", "must be 1 or higher")),
        size => Ok(u32::try_from(size).map_or(MOST, |size| size.min(MOST))),
    }
}

/// `page` counts from 1, `pageOffset` the same pages from 0.
fn page_offset(query: &Query, pages: u32) -> Result<Option<u32>, FieldErrors> {
    let read = |name: &str, first: u64| {
        let Some(text) = query.at_most_one(name)? else { return Ok(None) };
        let number = whole(name, &text)?;
        if number < first {
            return Err(FieldErrors::one(name, format!("must be {first} or higher")));
        }
        let last = u64::from(pages) - 1 + first;
        let offset = u32::try_from(number - first).ok().filter(|offset| *offset < pages);
        offset.map(Some).ok_or_else(|| FieldErrors::one(name, format!("must be {last} or lower; a cursor leads further")))
    };
    match (read("page", 1), read("pageOffset", 0)) {
        (Ok(Some(page)), Ok(Some(offset))) if page != offset => {
            Err(FieldErrors::one("pageOffset", "must be the page less 1: both name the same page"))
        }
        (Ok(page), Ok(offset)) => Ok(page.or(offset)),
        (page, offset) => {
            let mut errors = page.err().unwrap_or_default();
            errors.merge(offset.err().unwrap_or_default());
            Err(errors)
        }
    }
}

fn order(query: &Query) -> Result<Order, FieldErrors> {
    let by = query.spelled(&["orderBy", "sort_by"]).and_then(|name| match name.filter(|name| !name.is_empty()) {
        Some(name) => attribute_named(&name).map(Some).ok_or_else(|| FieldErrors::one("orderBy", one_of(attribute_names()))),
        None => Ok(None),
    });
    let descending =
        query.spelled(&["orderMode", "sort_dir"]).and_then(|mode| match mode.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None | Some("") => Ok(None),
            Some("asc") => Ok(Some(false)),
            Some("desc") => Ok(Some(true)),
            Some(_) => Err(FieldErrors::one("orderMode", one_of(["asc", "desc"]))),
        });
    match (by, descending) {
        // Newest first when nobody says anything; from the smallest on when only the field is said.
        (Ok(by), Ok(descending)) => Ok(Order { by: by.unwrap_or(Attribute::Id), descending: descending.unwrap_or(by.is_none()) }),
        (by, descending) => {
            let mut errors = by.err().unwrap_or_default();
            errors.merge(descending.err().unwrap_or_default());
            Err(errors)
        }
    }
}

/// What names are searched for, as names are compared and in small letters.
fn searched(query: &Query) -> Result<Option<String>, FieldErrors> {
    let Some(text) = query.filled("q")? else { return Ok(None) };
    if text.len() > MOST_SEARCHED || text.contains('\0') {
        return Err(FieldErrors::one("q", format!("must be {MOST_SEARCHED} bytes or shorter, without NUL")));
    }
    Ok(Some(composed(&text).to_ascii_lowercase()))
}

impl utoipa::IntoParams for ListQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let number = |least: u32, most: Option<u32>, default: u32| {
            let builder = Object::builder().schema_type(Type::Integer).minimum(Some(least)).maximum(most);
            builder.default(Some(default.into()))
        };
        let text = || Object::builder().schema_type(Type::String);
        let fields = text().enum_values(Some(attribute_names().chain([""]).collect::<Vec<_>>()));
        let filter =
            text().examples([json!(r#"{"createdAt":{"$gt":"2026-05-01T00:00:00Z"},"$or":[{"size":{"$gt":1000}},{"type":"image"}]}"#)]);
        let mut parameters = vec![
            parameter("pageSize", "Most files of the page. What is over 100 means 100. Also as `per_page`.", number(1, None, PAGE_SIZE)),
            parameter(
                "page",
                "Which page, from 1. The first 200,000 files are reached so, all by `cursor`.",
                number(1, Some(MOST_BY_NUMBER), 1),
            ),
            parameter("pageOffset", "The same, from 0.", number(0, Some(MOST_BY_NUMBER - 1), 0)),
            parameter(
                "cursor",
                "Instead of a page: the `nextCursor` of the page before, with everything else as it was there. Nothing is counted then.",
                text().pattern(Some("^[A-Za-z0-9_-]*$")),
            ),
            parameter(
                "orderBy",
                "By what the list is ordered; files with the same value by `id`. Blank is the same as absent. Also as `sort_by`.",
                fields,
            ),
            parameter(
                "orderMode",
                "From the smallest on or from the largest; `asc` with `orderBy`, else `desc`. Also as `sort_dir`.",
                text().enum_values(Some(["asc", "desc", ""])),
            ),
            parameter(
                "filter",
                "JSON: fields as in `orderBy` with a value, or with operators `$eq $ne $lt $lte $gt $gte $in $nin`; `$and` and `$or` with lists. \
                 Only active files are listed unless it names `state`, `deletedAt` or `deletedBy`.",
                filter,
            ),
            parameter("ids", "1 to 100 numbers of files, commas between them: only these.", text().pattern(Some(IDS_PATTERN))),
            parameter(
                "q",
                "Only files with this in their names; ASCII letters in either case, letters with marks in either spelling of Unicode.",
                text().max_length(Some(MOST_SEARCHED)),
            ),
            parameter("skipAggregation", "`true`: files are not counted.", Object::builder().schema_type(Type::Boolean)),
        ];
        parameters.extend(members_parameters());
        parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_sizes_over_the_most_are_the_most() {
        let read = |text: &str| page_size(Some(text.to_owned()));
        for (text, size) in [("1", 1), ("050", 50), ("100", 100), ("101", 100), ("99999999999999999999999", 100)] {
            assert_eq!(read(text), Ok(size));
        }
        for bad in ["", "0", "000", "-1", "+1", " 1", "1.0", "ten", "١"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pages_are_counted_from_1_or_from_0() {
        let start =
            |text: &str| ListQuery::parse(&Query::parsed(text)).map(|wanted| wanted.page.start).map_err(|errors| format!("{errors:?}"));
        for (query, skip) in [
            ("", 0),
            ("page=1", 0),
            ("cursor=&q=&filter=&orderBy=&orderMode=", 0),
            ("page=3", 100),
            ("pageOffset=2&pageSize=7", 14),
            ("page=3&pageOffset=2&per_page=7", 14),
            ("page=2000&pageSize=100", 199_900),
            ("pageOffset=199999&pageSize=1", 199_999),
        ] {
            assert_eq!(start(query), Ok(Start::Skip(skip)), "{query}");
        }
        for bad in [
            "page=0",
            "page=4001",
            "page=2001&pageSize=500",
            "page=1.0",
            "pageOffset=4000",
            "pageOffset=-1",
            "page=2&pageOffset=2",
            "page=1&cursor=AQAAAAAAAAAp",
        ] {
            assert!(start(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_names_of_the_sdk_are_understood() {
        let order = |text: &str| ListQuery::parse(&Query::parsed(text)).unwrap().page.selection.order;
        assert_eq!(order("sort_by=size&sort_dir=desc"), order("orderBy=size&orderMode=DESC"));
        assert_eq!(order("orderBy=createdAt"), Order { by: Attribute::CreatedAt, descending: false });
        assert_eq!(order("orderBy=&orderMode="), Order::NEWEST);
        assert_eq!(order("orderMode=asc"), Order { by: Attribute::Id, descending: false });
        assert_eq!(order("orderBy=size&sort_by=size"), order("orderBy=size"));
        for bad in ["orderBy=size&sort_by=id", "orderBy=size&orderBy=size", "orderBy=staging_key", "orderMode=up"] {
            assert!(ListQuery::parse(&Query::parsed(bad)).is_err(), "{bad}");
        }
    }
}
