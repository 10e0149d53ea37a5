//! Which types agree with each other: what shares a container, and what people mean by one name or the other.
//!
//! First bytes show a container and seldom more, and what a browser declares is what its operating system believes.

use super::detection::has_signature;
use super::media_type::MediaType;

/// Texts that may hold a whole page, or begin with one.
const HOLDS_PAGES: [&str; 9] = [
    "application/x-httpd-php",
    "application/x-php",
    "text/markdown",
    "text/x-asp",
    "text/x-handlebars-template",
    "text/x-jsp",
    "text/x-php",
    "text/x-template",
    "text/x-vue",
];

/// Texts that are no XML: where a document of it comes instead, that is something else.
const NO_MARKUP: [&str; 11] = [
    "application/json",
    "application/yaml",
    "text/calendar",
    "text/css",
    "text/csv",
    "text/html",
    "text/javascript",
    "text/plain",
    "text/tab-separated-values",
    "text/vcard",
    "text/vtt",
];

/// Whether bytes that show `detected` may be what was granted.
pub(super) fn is_consistent(granted: &MediaType, detected: Option<&MediaType>) -> bool {
    match detected {
        _ if granted.is_unknown() => true,
        Some(detected) => {
            is_one_family(granted, detected)
                || is_encrypted_office(granted, detected)
                || holds(granted, detected)
                || is_some_document(granted) && matches!(family(detected), Some("zip" | "ole"))
        }
        // Texts have no signature. What has one must show it.
        None => granted.is_text() || granted.is_scriptable() || !has_signature(granted),
    }
}

/// Whether two types share one container format, which is all that the first bytes can show for sure.
pub(super) fn is_one_family(one: &MediaType, other: &MediaType) -> bool {
    one.is_same(other) || family(one).is_some_and(|name| family(other) == Some(name))
}

/// Whether a file may be called both: by its name and by who sends it.
pub(super) fn may_be_both(declared: &MediaType, named: &MediaType) -> bool {
    let either = |one: &[&str], other: &[&str]| {
        declared.is_one_of(one) && named.is_one_of(other) || declared.is_one_of(other) && named.is_one_of(one)
    };
    is_one_family(declared, named)
        || is_readable(declared) && is_readable(named)
        || is_office(declared) && is_office(named)
        || either(&["application/vnd.ms-excel"], &["text/csv", "text/tab-separated-values"])
        || either(&["application/pdf"], &["application/postscript"])
        || either(&["application/msword"], &["application/rtf"])
        || either(&["application/gzip"], &["application/x-tar"])
}

/// Whether one container holds sound as well as film, and these two are one of each.
pub(super) fn is_sound_and_film(one: &MediaType, other: &MediaType) -> bool {
    let kind = |media_type: &MediaType| media_type.essence().split_once('/').map(|(kind, _)| kind.to_owned());
    is_one_family(one, other)
        && kind(one) != kind(other)
        && [one, other].iter().all(|t| matches!(kind(t).as_deref(), Some("audio" | "video")))
}

fn family(media_type: &MediaType) -> Option<&'static str> {
    let canonical = media_type.canonical();
    Some(match canonical.essence() {
        // One box format, but a picture is no film.
        "image/avif" => return None,
        "image/heic" | "image/heif" => "heif",
        "video/mpeg" | "video/mp2p" | "video/mp1s" | "video/x-vob" => "mpeg",
        "font/collection" => "sfnt",
        "application/x-ole-storage" => "ole",
        // A text is no other text, and what lies in a RIFF file is known.
        _ => return media_type.container().filter(|container| !["text", "riff"].contains(container)),
    })
}

/// Office Open XML behind a password is encrypted in an OLE container.
fn is_encrypted_office(granted: &MediaType, detected: &MediaType) -> bool {
    family(detected) == Some("ole") && is_office_open_xml(granted)
}

/// Whether nobody here knows how such a file begins. Programs keep documents of their own in ZIP archives and OLE containers.
fn is_some_document(media_type: &MediaType) -> bool {
    let is_application = ["application/", "model/"].iter().any(|kind| media_type.essence().starts_with(kind));
    is_application && media_type.container().is_none() && !media_type.is_scriptable() && !has_signature(media_type)
}

fn is_office_open_xml(media_type: &MediaType) -> bool {
    let name = media_type.canonical();
    let name = name.essence();
    family(media_type) == Some("zip")
        && (name.starts_with("application/vnd.openxmlformats-") || name.starts_with("application/vnd.ms-") || name.contains("macroenabled"))
}

fn is_office(media_type: &MediaType) -> bool {
    family(media_type) == Some("ole") || is_office_open_xml(media_type)
}

/// Whether texts of the granted type may be, or begin with, a document of markup.
fn holds(granted: &MediaType, detected: &MediaType) -> bool {
    let is_page = detected.is_one_of(&["text/html"]);
    granted.is_one_of(&["text/html"]) && detected.is_one_of(&["application/xhtml+xml"])
        || (is_page || family(detected) == Some("xml")) && granted.is_one_of(&HOLDS_PAGES)
        || family(detected) == Some("xml") && granted.is_text() && !granted.is_one_of(&NO_MARKUP)
}

/// Whether a person can read it in an editor.
fn is_readable(media_type: &MediaType) -> bool {
    media_type.is_text()
        || family(media_type) == Some("xml")
        || media_type.is_one_of(&["application/rtf", "application/postscript", "message/rfc822"])
}
