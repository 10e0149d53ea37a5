//! Which type the first bytes of an upload show.
//!
//! Text and other bytes are separated first. Bytes that are text throughout show a text format or nothing: `BM` begins many words, and a
//! table whose first column is called `BMI` is no picture. All others show what they begin with.

mod beginnings;
mod markup;

pub(super) use beginnings::has_signature;

use super::families::is_one_family;
use super::media_type::MediaType;

/// How far into a file `%PDF-` may stand where the file is said to be a PDF: as far as its readers look.
const PDF_HEADER_WITHIN: usize = 1024;

/// The type that the first bytes show, in its canonical spelling; `None` where they show none.
pub(super) fn detect(granted: &MediaType, start: &[u8]) -> Option<MediaType> {
    let shown = if is_text(start) {
        let text = markup::root(start).or_else(|| text_format(granted, start));
        // Beginnings of a few letters count only for who said so: `GIF is pronounced so` is a picture to nobody.
        text.or_else(|| binary_format(granted, start).filter(|kind| is_one_family(granted, &parsed(kind))))
    } else {
        // No text has zero bytes, except in the encodings that begin with their mark.
        let is_binary = granted.is_text() && start.contains(&0) && markup::wide_units(start).is_none();
        binary_format(granted, start).or_else(|| is_binary.then_some("application/octet-stream"))
    };
    shown.map(|kind| parsed(kind).canonical())
}

/// Text that can hold markup and scripts, formats whose whole content is text, and scripts.
fn text_format(granted: &MediaType, start: &[u8]) -> Option<&'static str> {
    let start = without_mark(start);
    let version = start.strip_prefix(b"%PDF-1.").or_else(|| start.strip_prefix(b"%PDF-2."));
    // A header has its line to itself. What goes on is somebody's sentence about it.
    if version.is_some_and(|digits| digits.get(1).is_none_or(|end| matches!(end, b'\r' | b'\n'))) {
        return Some("application/pdf");
    }
    if start.starts_with(b"%!PS-Adobe-") {
        return Some("application/postscript");
    }
    if start.starts_with(b"{\\rtf") {
        return Some("application/rtf");
    }
    // A script is text: where text was granted, that says it already.
    (start.starts_with(b"#!") && !granted.is_text()).then_some("text/x-shellscript")
}

fn binary_format(granted: &MediaType, start: &[u8]) -> Option<&'static str> {
    if let Some(kind) = beginnings::shown(granted, start) {
        return Some(kind);
    }
    let kind = infer::get(start)?.mime_type();
    match kind {
        // Markup and scripts are judged as text, sound by more than two bytes.
        "text/html" | "text/xml" | "text/x-shellscript" | "audio/mpeg" | "audio/aac" => None,
        // Two or three letters begin too much.
        "image/bmp" => is_bitmap(start).then_some(kind),
        "image/gif" => (start.starts_with(b"GIF87a") || start.starts_with(b"GIF89a")).then_some(kind),
        "application/x-llvm" => start.starts_with(b"BC\xc0\xde").then_some(kind),
        // Four letters anywhere in a kilobyte are no beginning.
        "application/pdf" => (is_pdf(start) || granted.essence() == kind && has_pdf_header(start)).then_some(kind),
        _ => Some(kind),
    }
}

/// A bitmap by the size of the header behind its file header: one of those that there are.
fn is_bitmap(start: &[u8]) -> bool {
    let size = start.get(14..18).and_then(|size| size.first_chunk()).map(|size| u32::from_le_bytes(*size));
    size.is_some_and(|size| matches!(size, 12 | 16 | 40 | 52 | 56 | 64 | 108 | 124))
}

fn is_pdf(start: &[u8]) -> bool {
    without_mark(start).trim_ascii_start().starts_with(b"%PDF-")
}

fn has_pdf_header(start: &[u8]) -> bool {
    start[..start.len().min(PDF_HEADER_WITHIN)].windows(5).any(|window| window == b"%PDF-")
}

/// Whether these bytes are text throughout, in any encoding that goes on from ASCII or says which of the wide ones it is
/// (WHATWG MIME Sniffing, section 3: no "binary data byte").
fn is_text(start: &[u8]) -> bool {
    is_wide(start) || start.iter().all(|byte| !matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f))
}

/// Whether the bytes begin with the mark of UTF-16 or UTF-32, and go on with text in it.
///
/// The mark alone also begins sound: an MPEG audio frame of layer I.
fn is_wide(start: &[u8]) -> bool {
    markup::wide_units(start).is_some_and(|mut units| units.all(|unit| !matches!(unit, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f)))
}

fn without_mark(start: &[u8]) -> &[u8] {
    start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start)
}

/// What the tables of this module and of the library below it say, as a type.
fn parsed(kind: &str) -> MediaType {
    kind.parse().unwrap_or_else(|_| MediaType::octet_stream())
}

#[cfg(test)]
mod tests;
