//! Content types in one canonical spelling.
//!
//! Operating systems and browsers disagree about types: HEIC photos arrive blank, CSV files as a spreadsheet, JPEG under four
//! names. This module knows which names are one type; a rule may use any of them.

mod names;

use std::fmt;
use std::str::FromStr;

use super::{Complaints, Field};
use names::{Name, names};

/// A content type: lower-case `type/subtype`, and the charset where it is a text that named one.
///
/// All other parameters are dropped: they say nothing that a rule could judge, and one spelling is what a signed form needs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MediaType {
    essence: String,
    charset: Option<String>,
}

/// What a client that does not know says, under many names; it carries no more information than a blank.
const UNKNOWN: &str = "application/octet-stream";

/// Types a browser may show inside a page of ours without running anything the uploader wrote.
const INLINE_SAFE: [&str; 6] = ["image/avif", "image/bmp", "image/gif", "image/jpeg", "image/png", "image/webp"];

/// Types that a browser may show instead of saving, where the uploader asked for no page to be written around them: the raster
/// images, sound, film and plain text. Never what can hold script, nor PDF, whose viewers run some.
const VIEWABLE: [&str; 15] = [
    "audio/aac",
    "audio/flac",
    "audio/mp4",
    "audio/mpeg",
    "audio/ogg",
    "audio/opus",
    "audio/wav",
    "audio/webm",
    "text/plain",
    "video/mp4",
    "video/mpeg",
    "video/ogg",
    "video/quicktime",
    "video/webm",
    "video/x-matroska",
];

/// How the subtypes of scripts begin: `text/javascript` has fifteen other names that browsers run (WHATWG MIME Sniffing, section 4.6), some
/// with a version behind them.
const SCRIPTS: [&str; 8] = ["javascript", "x-javascript", "ecmascript", "x-ecmascript", "jscript", "x-jscript", "livescript", "vbscript"];

/// What the end of a type's name says of its container (RFC 6838, section 4.2.8).
const SUFFIXES: [(&str, &str); 6] =
    [("+xml", "xml"), ("+zip", "zip"), ("+json", "text"), ("+yaml", "text"), ("+gzip", "gzip"), ("+sqlite3", "sqlite")];

/// How the names of documents begin of which all are kept in ZIP archives.
const ZIPPED: [&str; 2] = ["application/vnd.openxmlformats-", "application/vnd.oasis.opendocument."];

/// The longest text that is read as a content type, in characters.
pub const MAX_CHARS: usize = 512;

impl MediaType {
    /// The type that promises nothing about the bytes.
    #[must_use]
    pub fn octet_stream() -> Self {
        Self { essence: UNKNOWN.to_owned(), charset: None }
    }

    /// `type/subtype`, lower case, without parameters.
    #[must_use]
    pub fn essence(&self) -> &str {
        &self.essence
    }

    /// Whether it says no more than "bytes".
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.is_one_of(&[UNKNOWN])
    }

    /// The same type in the one spelling that this program prefers.
    #[must_use]
    pub fn canonical(&self) -> Self {
        names().of(&self.essence).map_or_else(|| self.clone(), |name| self.spelled(name.canonical()))
    }

    /// The same type in another spelling. Only texts have a charset.
    pub(super) fn spelled(&self, spelling: &str) -> Self {
        Self { essence: spelling.to_owned(), charset: self.charset.clone().filter(|_| spelling.starts_with("text/")) }
    }

    /// Whether both are the same type, in whatever spelling.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.is_one_of(&[&other.essence])
    }

    /// Whether it is one of these types, in whatever spelling.
    #[must_use]
    pub(super) fn is_one_of(&self, others: &[&str]) -> bool {
        let own = names().of(&self.essence);
        others.iter().any(|other| *other == self.essence || own.is_some_and(|own| own.is_spelled(other)))
    }

    /// Every spelling of this type that is known.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let known = names().of(&self.essence).into_iter().flat_map(Name::spellings);
        std::iter::once(self.essence.as_str()).chain(known.map(|known| -> &str { known }))
    }

    /// The container that files of this type are kept in, where one is known: `zip`, `ole`, `xml`, `text` and more.
    pub(super) fn container(&self) -> Option<&'static str> {
        let listed = names().of(&self.essence).and_then(Name::container);
        let by_suffix = || SUFFIXES.iter().find(|(suffix, _)| self.essence.ends_with(suffix)).map(|(_, container)| *container);
        listed.or_else(by_suffix).or_else(|| ZIPPED.iter().any(|family| self.essence.starts_with(family)).then_some("zip"))
    }

    /// Whether a browser that opens such a file could run code its author wrote.
    #[must_use]
    pub fn is_scriptable(&self) -> bool {
        self.names().any(can_run)
    }

    /// Whether it may be shown inside a page at all.
    #[must_use]
    pub fn is_inline_safe(&self) -> bool {
        INLINE_SAFE.contains(&self.essence.as_str())
    }

    /// Whether a download of it may be shown instead of saved.
    #[must_use]
    pub fn is_viewable(&self) -> bool {
        self.is_inline_safe() || VIEWABLE.contains(&self.essence.as_str())
    }

    /// Whether its bytes are text that a person could read.
    #[must_use]
    pub fn is_text(&self) -> bool {
        self.essence.starts_with("text/") || self.container() == Some("text")
    }

    /// The type the sealed object is stored and served as: scriptable types lose their power.
    #[must_use]
    pub fn as_served(&self) -> Self {
        if self.is_scriptable() { Self::octet_stream() } else { self.clone() }
    }
}

/// Whether a type of this name can hold script that a browser runs.
fn can_run(essence: &str) -> bool {
    let subtype = essence.split_once('/').map_or("", |(_, s)| s);
    ["html", "xml", "x-shockwave-flash", "x-mimearchive"].contains(&subtype)
        || SCRIPTS.iter().any(|script| subtype.starts_with(script))
        || subtype.ends_with("+xml")
        || subtype.ends_with("+html")
        || ["text/xsl", "image/svg", "message/rfc822", "multipart/related", "text/cache-manifest"].contains(&essence)
}

/// RFC 6838 section 4.2: 1 to 127 of these characters, the first a letter or digit.
fn is_restricted_name(name: &str) -> bool {
    let starts_well = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    starts_well && name.len() <= 127 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
}

impl FromStr for MediaType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refusal = || "must be a content type such as ‘image/png’".to_owned();
        if text.chars().count() > MAX_CHARS {
            return Err(refusal());
        }
        let mut parts = text.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (family, subtype) = essence.split_once('/').ok_or_else(refusal)?;
        if !is_restricted_name(family) || !is_restricted_name(subtype) {
            return Err(refusal());
        }
        let charset = parts
            .filter_map(|part| part.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))
            .map(|(_, value)| value.trim().trim_matches('"').to_ascii_lowercase())
            .filter(|value| family == "text" && is_restricted_name(value));
        Ok(Self { essence, charset })
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.charset {
            Some(charset) => write!(f, "{}; charset={charset}", self.essence),
            None => f.write_str(&self.essence),
        }
    }
}

/// A declared type as clients send it: blank means that they do not know.
///
/// # Errors
/// A complaint when it is neither blank nor a type.
pub fn declared_type(text: &str) -> Result<Option<MediaType>, Complaints> {
    if text.trim().is_empty() && text.chars().count() <= MAX_CHARS {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|message: String| Complaints::one(Field::DeclaredType, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        text.parse::<MediaType>().unwrap().to_string()
    }

    #[test]
    fn one_spelling_whatever_the_case_and_parameters() {
        assert_eq!(canonical(" IMAGE/PNG ; Foo=bar"), "image/png");
        assert_eq!(canonical("text/plain;charset=UTF-8"), "text/plain; charset=utf-8");
        assert_eq!(canonical("application/json; charset=utf-8"), "application/json");
    }

    #[test]
    fn what_is_no_type_is_refused() {
        let long = |chars: usize| format!("a/b;{}", "x".repeat(chars - 4));
        let name = |chars: usize| format!("a/{}", "b".repeat(chars));
        for good in [long(MAX_CHARS), name(127)] {
            assert!(good.parse::<MediaType>().is_ok(), "{good:?}");
        }
        let too_long = [long(MAX_CHARS + 1), name(128)];
        let bad = ["image", "image/", "/png", "image/*", "*/*", "image/png\r\nx: y", "a/b c", "image/png,text/html", "a/a/a"];
        for bad in bad.into_iter().chain(too_long.iter().map(String::as_str)) {
            assert!(bad.parse::<MediaType>().is_err(), "{bad:?} was taken for a type");
        }
    }

    #[test]
    fn scriptable_types_are_served_as_bytes() {
        for scriptable in ["image/svg+xml", "text/html", "application/xhtml+xml", "text/xml", "application/xml", "text/javascript"] {
            assert_eq!(scriptable.parse::<MediaType>().unwrap().as_served(), MediaType::octet_stream(), "{scriptable}");
        }
        assert_eq!("image/png".parse::<MediaType>().unwrap().as_served().to_string(), "image/png");
        // Every name that browsers run, by the WHATWG's list.
        let versions = ["1.0", "1.1", "1.2", "1.3", "1.4", "1.5"].map(|version| format!("text/javascript{version}"));
        let names = ["javascript", "ecmascript", "x-javascript", "x-ecmascript", "jscript", "livescript"];
        let names = names.into_iter().flat_map(|name| [format!("text/{name}"), format!("application/{name}")]);
        for script in names.chain(versions) {
            assert!(script.parse::<MediaType>().unwrap().is_scriptable(), "{script}");
        }
    }

    #[test]
    fn what_could_run_is_never_viewable() {
        let is_viewable = |text: &str| text.parse::<MediaType>().unwrap().is_viewable();
        for shown in ["image/png", "text/plain; charset=utf-8", "video/webm", "audio/mpeg"] {
            assert!(is_viewable(shown), "{shown}");
        }
        for saved in ["text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "text/javascript", "application/pdf", "text/css"] {
            assert!(!is_viewable(saved), "{saved}");
        }
        for shown in INLINE_SAFE.iter().chain(&VIEWABLE) {
            assert!(!shown.parse::<MediaType>().unwrap().is_scriptable(), "{shown}");
        }
    }
}
