//! Which members of a file are shown: `fields`, `_empty`, `X-Options`.
//!
//! `_flat` and `include` are taken and change nothing: a file has no objects in it, and refers to none.

use axum::http::HeaderMap;
use serde_json::Value;

use super::request::Arguments;

/// What a caller wants to see of each file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    /// These alone; empty: all.
    only: Vec<String>,
    /// All but these.
    without: Vec<String>,
    /// Leaves out what is null or empty.
    no_empty: bool,
}

impl Shown {
    pub(super) fn asked(arguments: &Arguments, headers: &HeaderMap) -> Self {
        let mut shown = Self::default();
        // A name after a plus alone asks for what is there anyway, unless others are named without one.
        let mut more = Vec::new();
        for word in arguments.all("fields").flat_map(|list| list.split(',')) {
            let of = |name: &str| Some(compared(name)).filter(|name| !name.is_empty());
            match word.as_bytes().first() {
                Some(b'-') => shown.without.extend(of(&word[1..])),
                // A plus in a query is read as a space.
                Some(b'+' | b' ') => more.extend(of(&word[1..])),
                _ => shown.only.extend(of(word)),
            }
        }
        if !shown.only.is_empty() {
            shown.only.append(&mut more);
        }
        let options = headers.get_all("x-options").iter().filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(','));
        let mut options = options.map(str::trim);
        shown.no_empty = arguments.all("_empty").any(|value| ["false", "0"].contains(&value)) || options.any(|option| option == "no_empty");
        shown
    }

    /// Whether a member of that name is shown.
    pub(super) fn has(&self, name: &str) -> bool {
        let is = |named: &String| *named == compared(name);
        (self.only.is_empty() || self.only.iter().any(is)) && !self.without.iter().any(is)
    }

    /// Whether one with that value is.
    pub(super) fn keeps(&self, value: &Value) -> bool {
        !self.no_empty || !(value.is_null() || value.as_str().is_some_and(str::is_empty))
    }
}

/// Names are the same in whatever case their words are joined.
fn compared(name: &str) -> String {
    name.trim().chars().filter(|c| *c != '_').map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(query: &str) -> Vec<&'static str> {
        let shown = Shown::asked(&Arguments::parsed(query), &HeaderMap::new());
        ["id", "name", "content", "content_type", "resource_type"].into_iter().filter(|name| shown.has(name)).collect()
    }

    #[test]
    fn names_alone_are_all_and_after_a_minus_left_out() {
        let all = ["id", "name", "content", "content_type", "resource_type"];
        for query in ["", "fields=", "fields=,", "fields=%2Bcontent", "fields=+content", "fields=-", "fields=-unknown", "include=*"] {
            assert_eq!(shown(query), all, "{query}");
        }
        assert_eq!(shown("fields=-content"), ["id", "name", "content_type", "resource_type"]);
        assert_eq!(shown("fields=-content,-name"), ["id", "content_type", "resource_type"]);
        assert_eq!(shown("fields=-content&fields=-name"), ["id", "content_type", "resource_type"]);
        for query in ["fields=id,name", "fields=id,%20name", "fields=id,+name", "fields=id,%2Bname", "fields=id,name,content,-content"] {
            assert_eq!(shown(query), ["id", "name"], "{query}");
        }
        for query in ["fields=content_type", "fields=contentType", "fields=ContentType"] {
            assert_eq!(shown(query), ["content_type"], "{query}");
        }
        assert!(shown("fields=unknown").is_empty());
    }

    #[test]
    fn empty_members_are_left_out_where_that_is_asked_for() {
        let keeps = |query: &str, options: Option<&'static str>| {
            let headers = options.map(|options| ("x-options".parse().unwrap(), options.parse().unwrap())).into_iter().collect();
            let shown = Shown::asked(&Arguments::parsed(query), &headers);
            [json!(null), json!(""), json!("a"), json!(0)].map(|value| shown.keeps(&value))
        };
        let all = [true; 4];
        let full = [false, false, true, true];
        for (query, options, kept) in [
            ("", None, all),
            ("_empty=true&_flat=true", Some("flat"), all),
            ("_empty=false", None, full),
            ("", Some("no_empty"), full),
            ("", Some("flat, no_empty"), full),
        ] {
            assert_eq!(keeps(query, options), kept, "{query} {options:?}");
        }
    }
}
