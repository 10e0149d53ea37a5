//! `sqlite:` URLs: a path written as one, and whether one names a file.

use std::fmt::Write as _;
use std::path::Path;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};
use url::form_urlencoded;

/// What means something in such a URL.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#').add(b':');

/// The `sqlite:` URL that is read as exactly this path.
///
/// `%`, `?`, `#`, `:` and controls are percent-encoded, as they have a meaning in a URL; all else stands as it is. A path that is not
/// UTF-8 becomes a URL that is refused when it is opened, as `SQLite` takes names in UTF-8 only.
#[must_use]
pub fn sqlite_url(path: &Path) -> String {
    // SQLite takes a name that begins so for a URL of its own.
    let in_this_folder = if path.as_os_str().as_encoded_bytes().starts_with(b"file:") { "./" } else { "" };
    let mut url = format!("sqlite:{in_this_folder}");
    let Some(text) = path.to_str() else {
        url.extend(percent_encode(path.as_os_str().as_encoded_bytes(), ENCODED));
        return url;
    };
    // Two slashes at the beginning belong to the scheme.
    let text = text.strip_prefix('/').filter(|rest| rest.starts_with('/')).map_or(text, |rest| {
        url.push_str("%2F");
        rest
    });
    for c in text.chars() {
        if matches!(c, '%' | '?' | '#' | ':') || c.is_ascii_control() {
            let _ = write!(url, "%{:02X}", u32::from(c));
        } else {
            url.push(c);
        }
    }
    url
}

/// The path that a `sqlite:` URL names, for people to read.
#[must_use]
pub fn path_in(sqlite_url: &str) -> String {
    percent_decode_str(parts(sqlite_url).0).decode_utf8_lossy().into_owned()
}

/// Whether a `sqlite:` URL names a file: what it names otherwise is gone with the process.
#[must_use]
pub fn names_a_file(sqlite_url: &str) -> bool {
    let path = path_in(sqlite_url);
    let in_memory = form_urlencoded::parse(parts(sqlite_url).1.as_bytes()).any(|(key, value)| key == "mode" && value == "memory");
    // SQLite's own URLs say it in one of two ways.
    let own_in_memory = path.starts_with("file:") && (path.contains(":memory:") || path.contains("mode=memory"));
    !(path.is_empty() || path == ":memory:" || in_memory || own_in_memory)
}

/// Whether all that stands behind the `?` of a `sqlite:` URL are parameters of databases.
#[must_use]
pub fn has_known_parameters(sqlite_url: &str) -> bool {
    form_urlencoded::parse(parts(sqlite_url).1.as_bytes()).all(|(key, _)| ["mode", "cache", "immutable", "vfs"].contains(&&*key))
}

/// Path, still encoded, and parameters.
fn parts(sqlite_url: &str) -> (&str, &str) {
    let rest = sqlite_url.trim_start_matches("sqlite://").trim_start_matches("sqlite:");
    rest.split_once('?').unwrap_or((rest, ""))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_paths_stand_as_they_are() {
        for path in ["data/dropslip.db", "/var/lib/dropslip/dropslip.db", "/home/Zoë Müller/it's (1) \"x\"/dropslip.db"] {
            assert_eq!(sqlite_url(Path::new(path)), format!("sqlite:{path}"));
        }
    }

    #[test]
    fn what_means_something_in_a_url_is_written_otherwise() {
        for (path, url) in [
            ("/a/50%20off/d.db", "sqlite:/a/50%2520off/d.db"),
            ("/a/what?/d.db", "sqlite:/a/what%3F/d.db"),
            ("/a/#1/d.db", "sqlite:/a/%231/d.db"),
            ("//a/d.db", "sqlite:%2F/a/d.db"),
            ("file:a/d.db", "sqlite:./file%3Aa/d.db"),
            ("sqlite:a/d.db", "sqlite:sqlite%3Aa/d.db"),
        ] {
            assert_eq!(sqlite_url(Path::new(path)), url);
        }
    }

    #[test]
    fn a_path_that_is_not_utf_8_is_no_other_path() {
        let url = sqlite_url(Path::new(OsStr::from_bytes(b"/tmp/\xff/d.db")));
        assert_eq!(url, "sqlite:/tmp/%FF/d.db");
    }

    #[test]
    fn what_lives_in_memory_is_told_from_files_that_look_like_it() {
        for url in [
            "sqlite:",
            "sqlite://",
            "sqlite:?mode=rwc",
            "sqlite::memory:",
            "sqlite://:memory:",
            "sqlite:%3Amemory%3A",
            "sqlite:d.db?cache=shared&mode=memory",
            "sqlite:d.db?mode=%6Demory",
            "sqlite:file::memory:",
            "sqlite:file:d.db%3Fmode=memory",
        ] {
            assert!(!names_a_file(url), "{url}");
        }
        for url in
            ["sqlite:d.db", "sqlite:///srv/d.db?mode=rwc", "sqlite:/srv/:memory:/d.db", "sqlite:/srv/mode=memory/d.db", "sqlite:file:d.db"]
        {
            assert!(names_a_file(url), "{url}");
        }
    }

    proptest! {
        #[test]
        fn every_path_is_read_as_it_was(path in "[^\0]{1,40}") {
            let url = sqlite_url(Path::new(&path));
            let expected = if path.starts_with("file:") { format!("./{path}") } else { path };
            prop_assert_eq!(path_in(&url), expected);
            prop_assert!(names_a_file(&url));
        }
    }
}
