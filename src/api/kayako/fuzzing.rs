//! What must be true of what clients of this dialect send; see `crate::fuzzing`.

use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::case::{Case, snake};
use super::credentials::{authorization, uuid};
use super::ids::{MOST_IDS, ids_in};
use super::list_query::ListQuery;
use super::partial::Shown;
use super::paths::leads_to;
use super::request::Arguments;

/// A token comes from a header that has one, and a URL leads nowhere but below the prefix.
pub(crate) fn head(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let encoded = format!("Basic {}", BASE64.encode(&*text));
    for header in [&*text, &encoded] {
        if let Some((token, is_basic)) = authorization(header) {
            let whole = header.to_ascii_lowercase();
            assert!(whole.trim_start().starts_with(if is_basic { "basic " } else { "bearer " }), "{header:?}");
            assert!(token.len() <= header.len());
        }
    }
    if uuid(&text).is_some() {
        assert_eq!(text.len(), 36, "{text:?}");
    }
    if let Ok(uri) = format!("/api/index.php?{text}").parse::<Uri>()
        && let Some(uri) = leads_to(&uri)
    {
        assert!(uri.path().starts_with("/api/v1/"), "{uri}");
        assert_eq!(leads_to(&uri), None, "{uri}");
    }
    let name = snake(&text);
    assert_eq!(snake(&name), name, "{text:?}");
    assert_eq!(Case::Snake.name(&name), name);
}

/// A list has a bounded page, whose links ask for pages again; of numbers there are few, each once.
pub(crate) fn query(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let arguments = Arguments::parsed(&text);
    if let Ok(mut ids) = ids_in(&arguments) {
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert!(ids.len() == all && (1..=MOST_IDS).contains(&all), "{text:?}");
    }
    if let Ok(wanted) = ListQuery::parse(&text) {
        assert!((1..=100).contains(&wanted.limit), "{text:?}");
        for (_, url) in wanted.links("/f", 1000) {
            let again = ListQuery::parse(url.strip_prefix("/f?").unwrap_or_default());
            assert!(again.is_ok_and(|again| again.limit == wanted.limit && again.offset <= wanted.offset.max(1000)), "{text:?}: {url}");
        }
    }
    let shown = Shown::asked(&arguments, &axum::http::HeaderMap::new());
    assert_eq!(shown.has("content_type"), shown.has("ContentType"), "{text:?}");
}
