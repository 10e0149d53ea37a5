//! What must be true of the headers of a download; see `crate::fuzzing`.

use axum::http::header::{IF_NONE_MATCH, IF_RANGE, RANGE};
use axum::http::{HeaderMap, HeaderValue, Method};

use super::{is_known, may_be, tags_in, wanted};
use crate::domain::byte_range::ByteRange;

/// An entity tag is known where it stands in the list as a whole, and not where it does not stand at all.
pub(crate) fn entity_tags(bytes: &[u8]) {
    let list = String::from_utf8_lossy(bytes);
    let names = |list: &str, etag: &str| tags_in(list).any(|(_, tag)| tag == etag);
    for etag in ["\"a\"", "\"90ed4b711e911cd190bb62894c1c7fa4-2\"", "\"\""] {
        let known = names(&list, etag);
        assert!(!known || list.contains(etag), "{etag} is not in {list:?}");
        assert!(names(&format!("{etag}, {list}"), etag) && names(&format!("W/{etag},{list}"), etag));
        if list.matches('"').count().is_multiple_of(2) {
            assert!(names(&format!("{list}, {etag}"), etag), "{etag} behind {list:?}");
        }
    }
    if let Ok(value) = HeaderValue::from_bytes(bytes) {
        let asked: HeaderMap = [(RANGE, value.clone()), (IF_RANGE, value.clone()), (IF_NONE_MATCH, value)].into_iter().collect();
        assert_eq!(wanted(&Method::HEAD, &asked, "\"a\"", 100), ByteRange::Whole);
        let _ = is_known(&asked, "\"a\"");
        assert!(may_be(&asked, "\"a\""), "nothing was asked of it");
    }
}
