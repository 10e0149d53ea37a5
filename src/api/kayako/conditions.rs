//! Conditions as clients of this dialect write them: entity tags with or without quotes, and dates.

use std::time::{Duration, SystemTime};

use axum::http::header::{HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
use axum::http::{HeaderMap, HeaderValue};

use super::file::version;
use crate::api::http::conditions::tags_in;
use crate::domain::File;

/// The same headers, each entity tag in its quotes.
pub(super) fn quoted(mut headers: HeaderMap) -> HeaderMap {
    for name in [IF_NONE_MATCH, IF_MATCH] {
        let values: Vec<_> = headers.get_all(&name).iter().filter_map(|value| quoted_list(value.to_str().ok()?)).collect();
        headers.remove(&name);
        for value in values {
            headers.append(&name, value);
        }
    }
    headers
}

fn quoted_list(list: &str) -> Option<HeaderValue> {
    if list.contains('"') || list.trim() == "*" {
        return HeaderValue::from_str(list).ok();
    }
    let tags = list.split(',').map(|tag| format!("\"{}\"", tag.trim()));
    HeaderValue::from_str(&tags.collect::<Vec<_>>().join(", ")).ok()
}

/// When it last changed, to the second.
pub(super) fn last_modified(file: &File) -> SystemTime {
    let seconds = u64::try_from(file.updated_at.unix_timestamp()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Whether it has not changed since the client saw it last, by the date that it says. Where it says a tag too, that alone counts.
pub(super) fn is_unchanged(file: &File, asked: &HeaderMap) -> bool {
    !asked.contains_key(IF_NONE_MATCH) && date(asked, &IF_MODIFIED_SINCE).is_some_and(|seen| last_modified(file) <= seen)
}

/// Whether it is the file that is meant: of one of the tags in `If-Match`, that of its bytes or that of its record; or not changed since.
pub(super) fn is_meant(file: &File, asked: &HeaderMap) -> bool {
    let mut tags = asked.get_all(IF_MATCH).iter().peekable();
    if tags.peek().is_none() {
        return date(asked, &IF_UNMODIFIED_SINCE).is_none_or(|seen| last_modified(file) <= seen);
    }
    let (bytes, version) = (file.etag().unwrap_or_default(), version(file));
    let is = |tag: &str| {
        let tag = tag.trim_matches('"');
        tag == bytes || tag.strip_prefix(&version).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    tags.filter_map(|value| value.to_str().ok())
        .any(|value| value.trim() == "*" || tags_in(value).any(|(is_weak, tag)| !is_weak && is(tag)))
}

fn date(asked: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(asked.get(name)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_put_into_quotes_that_have_none() {
        for (given, expected) in
            [("a", "\"a\""), ("\"a\"", "\"a\""), ("W/\"a\"", "W/\"a\""), ("*", "*"), ("a, b", "\"a\", \"b\""), ("\"a\", b", "\"a\", b")]
        {
            for name in [IF_NONE_MATCH, IF_MATCH] {
                let asked = HeaderMap::from_iter([(name.clone(), HeaderValue::from_static(given))]);
                assert_eq!(quoted(asked)[name], expected, "{given}");
            }
        }
        assert!(quoted(HeaderMap::new()).is_empty());
    }
}
