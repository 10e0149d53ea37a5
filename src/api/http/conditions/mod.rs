//! Conditions and ranges: what a client has already, and which bytes it asks for.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;

use axum::http::header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE};
use axum::http::{HeaderMap, Method};

use crate::domain::byte_range::ByteRange;

/// Whether `If-Match`, where there is one, names the entity tag or any. Weak ones are none here.
pub(in crate::api) fn may_be(asked: &HeaderMap, etag: &str) -> bool {
    let mut tags = asked.get_all(IF_MATCH).iter().peekable();
    tags.peek().is_none()
        || tags.filter_map(|value| value.to_str().ok()).any(|value| value.trim() == "*" || tags_in(value).any(|tag| tag == (false, etag)))
}

/// Whether `If-None-Match` names the entity tag (in its quotes), compared weakly, or any.
pub(in crate::api) fn is_known(asked: &HeaderMap, etag: &str) -> bool {
    let tags = asked.get_all(IF_NONE_MATCH).iter();
    tags.filter_map(|value| value.to_str().ok()).any(|value| value.trim() == "*" || tags_in(value).any(|(_, tag)| tag == etag))
}

/// The entity tags of a list in their quotes, and whether each is a weak one; a comma may be a part of a tag.
pub(in crate::api) fn tags_in(list: &str) -> impl Iterator<Item = (bool, &str)> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let begin = rest.find('"')?;
        let length = rest.get(begin + 1..)?.find('"')?;
        let end = begin + length + 2;
        let found = (rest.get(..begin)?.ends_with("W/"), rest.get(begin..end)?);
        rest = rest.get(end..)?;
        Some(found)
    })
}

/// The bytes that are asked for; a range is for GET, and for the object that the client has a part of already.
pub(in crate::api) fn wanted(method: &Method, asked: &HeaderMap, etag: &str, size: u64) -> ByteRange {
    let mut ranges = asked.get_all(RANGE).iter();
    let (Some(range), None) = (ranges.next().and_then(|range| range.to_str().ok()), ranges.next()) else { return ByteRange::Whole };
    // Dates are never sent, so one in If-Range is about something else.
    let same = asked.get(IF_RANGE).is_none_or(|known| known.as_bytes() == etag.as_bytes());
    if method == Method::GET && same { ByteRange::of(range, size) } else { ByteRange::Whole }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn entity_tags_are_found_in_lists_and_weak_ones_too() {
        for known in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "\"b\",W/\"a\"", "  *  ", "\"x,\", \"a\"", "\"b\"\"a\""] {
            let asked = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_str(known).unwrap())]);
            assert!(is_known(&asked, "\"a\""), "{known}");
        }
        for other in ["", "a", "\"b\"", "\"a", "\"", "**", "\"b\", a", "\"b, \\\"a\\\"\"", "\"A\""] {
            let asked = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_str(other).unwrap())]);
            assert!(!is_known(&asked, "\"a\""), "{other}");
        }
        for (known, may) in
            [("\"a\"", true), ("\"b\", \"a\"", true), ("*", true), ("W/\"a\"", false), ("\"b\"", false), ("a", false), ("", false)]
        {
            let asked = HeaderMap::from_iter([(IF_MATCH, HeaderValue::from_static(known))]);
            assert_eq!(may_be(&asked, "\"a\""), may, "{known}");
        }
        assert!(may_be(&HeaderMap::new(), "\"a\""));
        let two = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static("\"b\""))]);
        assert!(!is_known(&two, "\"a\"") && !is_known(&HeaderMap::new(), "\"a\""));
    }
}
