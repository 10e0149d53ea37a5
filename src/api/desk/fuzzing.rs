//! What must be true of what Desk's clients send; see `crate::fuzzing`.

use std::collections::BTreeSet;

use super::cursor::{cursor_of, position_of};
use super::fields::field_name;
use super::filter::parse_filter;
use super::ids::MOST_IDS;
use super::list_query::ListQuery;
use super::parts::part_numbers;
use super::request::{IDEMPOTENCY_KEY, idempotency_key, parse_description, parse_new_file};
use super::{delete, tickets};
use crate::api::http::body::readable;
use crate::api::http::field_errors::FieldErrors;
use crate::api::http::fuzzing;
use crate::api::http::query::Query;
use crate::domain::fuzzing::clean;
use crate::domain::{Attribute, Condition, NewFile, Order, Start};

/// What is asked for is the same bare and wrapped, and nothing in it is as hostile as it came.
pub(crate) fn body(bytes: &[u8]) {
    let Ok(bytes) = readable(&bytes.to_vec().into()).map_err(|errors| said_well(&errors, &["body"])) else { return };
    let bytes = &*bytes;
    let new = match parse_new_file(bytes) {
        Ok(new) => new,
        Err(errors) => {
            said_well(&errors, &["body", "type", "filename", "fileName", "mimeType", "disposition", "size", "checksumSHA256", "multipart"]);
            return other_bodies(bytes);
        }
    };
    clean(&new.name);
    assert!(!new.type_name.is_empty());
    if serde_json::from_slice::<serde_json::Value>(bytes).is_ok_and(|value| value.get("file").is_none()) {
        let wrapped = parse_new_file(&[b"{\"params\":{},\"file\":", bytes, b"}"].concat());
        // Unset numbers of the client that wraps are zeros.
        let size = new.size.filter(|size| *size > 0);
        assert_eq!(wrapped, Ok(NewFile { size, ..new }), "wrapped it is another");
    }
    other_bodies(bytes);
}

fn other_bodies(bytes: &[u8]) {
    match part_numbers(bytes) {
        Ok(numbers) => assert!((1..=100).contains(&numbers.len())),
        Err(errors) => said_well(&errors, &["body", "partNumbers"]),
    }
    match parse_description(bytes) {
        Ok(description) => description.names.iter().for_each(clean),
        Err(errors) => said_well(&errors, &["body", "filename", "fileName", "disposition"]),
    }
    match tickets::wanted(bytes) {
        Ok(tickets::Wanted { ids, places, post }) => {
            assert!(post.is_none_or(|post| (1..=1 << 53).contains(&post.0)));
            let distinct: BTreeSet<i64> = ids.iter().map(|id| id.0).collect();
            assert!((1..=100).contains(&distinct.len()) && distinct.len() == ids.len() && distinct.iter().all(|id| *id > 0));
            assert_eq!(places.len(), ids.len());
        }
        Err(errors) => said_well(&errors, &["body", "files", "ids", "post"]),
    }
    match delete::FilesToDelete::in_body(&Query::parsed(""), bytes) {
        Ok(wanted) => assert!((1..=MOST_IDS).contains(&wanted.ids.len())),
        Err(errors) => said_well(&errors, &["body", "ids", "bulkDryExecute", "filter", "q"]),
    }
    if let Ok(value) = axum::http::HeaderValue::from_bytes(bytes) {
        let headers = [(IDEMPOTENCY_KEY, value)].into_iter().collect();
        match idempotency_key(&headers) {
            Ok(key) => assert!(key.is_some_and(|key| key.as_bytes() == bytes && (1..=255).contains(&key.len()))),
            Err(errors) => said_well(&errors, &["Idempotency-Key"]),
        }
    }
}

/// A list is bounded, whoever asks for it; a cursor reads back as it was written.
pub(crate) fn list(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let query = Query::parsed(&text);
    match ListQuery::parse(&query) {
        Ok(wanted) => {
            assert!((1..=100).contains(&wanted.page.size));
            assert!(wanted.page.selection.ids.as_ref().is_none_or(|ids| (1..=MOST_IDS).contains(&ids.len())));
            match (&wanted.page.start, wanted.offset) {
                (Start::Skip(files), Some(offset)) => assert_eq!(*files, offset * wanted.page.size),
                (Start::After(position), None) => {
                    assert!(position.id.0 > 0);
                    assert_eq!(query.at_most_one("cursor"), Ok(Some(cursor_of(wanted.page.selection.order, position))));
                }
                (start, offset) => panic!("{start:?} and {offset:?}"),
            }
        }
        Err(errors) => said_well(&errors, &LIST_FIELDS),
    }
    match delete::FilesToDelete::in_query(&query, b"") {
        Ok(wanted) => assert!((1..=MOST_IDS).contains(&wanted.ids.len())),
        Err(errors) => said_well(&errors, &["ids", "bulkDryExecute", "filter", "q"]),
    }
    for by in Attribute::ALL {
        for descending in [false, true] {
            let order = Order { by, descending };
            if let Ok(position) = position_of(order, &text) {
                assert_eq!(cursor_of(order, &position), text, "{position:?}");
            }
        }
    }
}

const LIST_FIELDS: [&str; 10] =
    ["pageSize", "page", "pageOffset", "cursor", "orderBy", "orderMode", "ids", "q", "skipAggregation", "filter"];

/// A filter is bounded, every complaint says where in it, and one in brackets means the same.
pub(crate) fn filter(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let condition = match parse_filter(&text) {
        Ok(condition) => condition,
        Err(errors) => {
            assert!(
                errors.spelled(field_name).by_name().keys().all(|place| place.len() < 4 * 1024),
                "a place that is too long to be answered"
            );
            return said_well(&errors, &["filter"]);
        }
    };
    let (values, depth) = counted(&condition);
    assert!(values <= 200, "{values} values");
    assert!(depth <= 40, "{depth} deep");
    match parse_filter(&format!("{{\"$and\":[{text}]}}")) {
        Ok(bracketed) => assert_eq!(bracketed, Condition::All(vec![condition])),
        Err(errors) => assert!(text.len() > 8_000 || depth >= 8, "{errors:?}"),
    }
}

/// How many values a condition has, and how deep it is.
fn counted(condition: &Condition) -> (usize, usize) {
    match condition {
        Condition::All(inner) | Condition::Any(inner) => {
            let (values, depths): (Vec<_>, Vec<_>) = inner.iter().map(counted).unzip();
            (values.iter().sum(), 1 + depths.into_iter().max().unwrap_or_default())
        }
        Condition::Compare(..) => (1, 0),
        Condition::In(_, values) | Condition::NotIn(_, values) => (values.len(), 0),
    }
}

fn said_well(errors: &FieldErrors, fields: &[&str]) {
    fuzzing::said_well(&errors.spelled(field_name), fields);
}
