//! Where this dialect has what, and which other URLs lead there.

use axum::http::uri::PathAndQuery;
use axum::http::{Method, Uri};

use crate::metrics::Operation;

/// What stands before everything.
pub(super) const PREFIX: &str = "/api/v1";

/// What may stand behind a name.
const SUFFIX: &str = ".json";

/// What everything could be asked through, with the path as the beginning of the query.
const INDEX: &str = "/api/index.php";

/// A path with its suffix, and without it.
pub(super) fn spellings(path: &str) -> Vec<String> {
    let bare = path.strip_suffix(SUFFIX).map(str::to_owned);
    std::iter::once(path.to_owned()).chain(bare).collect()
}

/// What a request asks for, by its path.
pub(super) fn label(_: &Method, path: &str) -> Option<Operation> {
    let below = path.strip_prefix(PREFIX)?;
    (below.is_empty() || below.starts_with('/')).then_some(Operation::Kayako)
}

/// Whether a path is that of bytes, which are answered whatever the client would rather have.
pub(super) fn is_content(path: &str) -> bool {
    path.strip_suffix(SUFFIX).unwrap_or(path).ends_with("/content")
}

/// `/api/index.php?/v1/files.json&limit=3` leads to `/api/v1/files.json?limit=3`. `None` for every other URL.
pub(super) fn leads_to(uri: &Uri) -> Option<Uri> {
    if uri.path() != INDEX {
        return None;
    }
    let query = uri.query()?;
    let end = query.find(['&', '?']).unwrap_or(query.len());
    let (path, rest) = query.split_at_checked(end)?;
    // A program that writes queries gives the path an empty value, and escapes its slashes.
    let path = path.strip_suffix('=').unwrap_or(path).replace("%2F", "/").replace("%2f", "/");
    if !path.starts_with("/v1/") {
        return None;
    }
    let rest = rest.get(1..).filter(|rest| !rest.is_empty());
    let target = rest.map_or_else(|| format!("/api{path}"), |rest| format!("/api{path}?{rest}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target.parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_the_query_of_index_php_leads_to_it() {
        for (from, to) in [
            ("?/v1/files/8.json&limit=3", Some("/api/v1/files/8.json?limit=3")),
            ("?%2Fv1%2ffiles%2F8.json=&limit=3", Some("/api/v1/files/8.json?limit=3")),
            ("?/v1/me.json", Some("/api/v1/me.json")),
            ("?/v1/me.json&", Some("/api/v1/me.json")),
            ("?/v1/files?limit=3&offset=1", Some("/api/v1/files?limit=3&offset=1")),
            ("?/v1/files&_filename=a%2Fb", Some("/api/v1/files?_filename=a%2Fb")),
            ("?/v1", None),
            ("?/v10/files", None),
            ("?/Tickets/Ticket", None),
            ("?limit=3&/v1/files", None),
            ("", None),
        ] {
            let uri: Uri = format!("/api/index.php{from}").parse().unwrap();
            assert_eq!(leads_to(&uri).map(|uri| uri.to_string()).as_deref(), to, "{from}");
        }
        assert_eq!(leads_to(&"/api/?/v1/files".parse().unwrap()), None);
        assert_eq!(leads_to(&"http://a.test/api/index.php?/v1/me".parse().unwrap()).unwrap(), "http://a.test/api/v1/me");
    }

    #[test]
    fn requests_below_the_prefix_are_ours() {
        assert!(["/api/v1", "/api/v1/", "/api/v1/x/y"].iter().all(|path| label(&Method::GET, path) == Some(Operation::Kayako)));
        assert!(["/api/v10", "/api", "/v2/files.json", ""].iter().all(|path| label(&Method::GET, path).is_none()));
        assert!(is_content("/api/v1/files/8/content") && is_content("/api/v1/files/8/content.json") && !is_content("/api/v1/files.json"));
    }
}
