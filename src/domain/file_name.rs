//! Hostile file names made safe, and their `Content-Disposition`.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Disposition;
use super::media_type::MediaType;

/// Longest name kept, in bytes: what common file systems take.
const MAX_BYTES: usize = 255;

/// Longest extension kept whole when a name is cut, in bytes with its dot.
const MAX_EXTENSION_BYTES: usize = 32;

/// RFC 8187 section 3.2.1, `attr-char`: what stays as it is in `filename*`.
const NOT_ATTR_CHAR: AsciiSet = NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// A file's name as people see it: one path component, no control or direction characters, 1 to 255 bytes.
///
/// A hostile name is not an error: browsers and phones send paths, line breaks and right-to-left overrides without their user's
/// doing. What is left after cleaning is the name; a name that nothing is left of becomes `file`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileName(String);

impl FileName {
    /// Keeps what is safe of `text`.
    #[must_use]
    pub fn sanitized(text: &str) -> Self {
        let last = text.rsplit(['/', '\\']).next().unwrap_or_default();
        // A colon names a stream of another file to Windows: `a.exe::$DATA` is `a.exe`.
        let visible: String = last.chars().filter(|c| !is_deceptive(*c)).map(|c| if c == ':' { '_' } else { c }).collect();
        // Windows drops trailing dots and spaces, so two different names could become one there.
        let trimmed = visible.trim_start().trim_end_matches(|c: char| c == '.' || c.is_whitespace());
        // Cutting trims once more: of three hundred dots before a long ending nothing is left either.
        let kept = shortened(trimmed);
        if kept.is_empty() { Self("file".to_owned()) } else { Self(kept) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows the last dot, lower case; `None` for `README` and `.profile`.
    #[must_use]
    pub fn extension(&self) -> Option<String> {
        let (stem, extension) = self.0.rsplit_once('.')?;
        (!stem.is_empty() && !extension.is_empty()).then(|| extension.to_lowercase())
    }

    /// The `Content-Disposition` header of the sealed object (RFC 6266, RFC 8187).
    ///
    /// `inline` only for types that cannot run anything and were uploaded to be shown; always ASCII, never a raw quote,
    /// backslash or percent sign of the name's.
    #[must_use]
    pub fn content_disposition(&self, disposition: Disposition, content_type: &MediaType) -> String {
        self.offered(disposition == Disposition::AttachmentInline && content_type.is_inline_safe())
    }

    /// The same header where it was decided already whether it is `shown` or saved.
    #[must_use]
    pub fn offered(&self, shown: bool) -> String {
        let mut header = String::from(if shown { "inline" } else { "attachment" });
        let fallback: String = self.0.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
        let _ = write!(header, "; filename=\"{fallback}\"");
        if fallback != self.0 {
            let _ = write!(header, "; filename*=UTF-8''{}", utf8_percent_encode(&self.0, &NOT_ATTR_CHAR));
        }
        header
    }
}

/// Safe inside a quoted string for every parser, also those that decode percent signs or `=?utf-8?...`, or read backslashes as paths.
fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~') && !matches!(c, '"' | '\\' | '%' | '?')
}

/// Characters that change how the others read, or that no name needs: controls, line separators, direction overrides,
/// invisible spaces. The joiners U+200C and U+200D stay: Persian and emoji are written with them.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{e0000}'..='\u{e007f}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}')
}

/// At most [`MAX_BYTES`], cut between characters and before the extension.
fn shortened(name: &str) -> String {
    if name.len() <= MAX_BYTES {
        return name.to_owned();
    }
    let extension = name.rfind('.').map(|dot| &name[dot..]).filter(|e| e.len() <= MAX_EXTENSION_BYTES).unwrap_or_default();
    let mut end = MAX_BYTES - extension.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let stem = name[..end].trim_end_matches(|c: char| c == '.' || c.is_whitespace());
    format!("{stem}{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str) -> String {
        FileName::sanitized(name).content_disposition(Disposition::Attachment, &MediaType::octet_stream())
    }

    #[test]
    fn paths_controls_and_directions_go() {
        for (hostile, kept) in [
            (r"C:\fakepath\photo.png", "photo.png"),
            ("../../etc/passwd", "passwd"),
            ("a\r\nSet-Cookie: x.txt", "aSet-Cookie_ x.txt"),
            ("a.exe::$DATA", "a.exe__$DATA"),
            ("a.exe\u{ad}", "a.exe"),
            ("gpj.\u{202e}exe", "gpj.exe"),
            ("  spaced  name .txt. . ", "spaced  name .txt"),
            ("..", "file"),
            ("/", "file"),
            ("\u{202e}\u{0}", "file"),
            ("👩\u{200d}🔬.png", "👩\u{200d}🔬.png"),
        ] {
            assert_eq!(FileName::sanitized(hostile).as_str(), kept, "{hostile:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_extension_and_whole_characters() {
        let name = FileName::sanitized(&format!("{}.tar.gz", "ü".repeat(300)));
        assert!(name.as_str().len() <= 255);
        assert!(name.as_str().ends_with("ü.gz"));
        assert_eq!(FileName::sanitized(&format!("a.{}", "x".repeat(400))).as_str().len(), 255);
        assert_eq!(FileName::sanitized(&format!("{}{}", ".".repeat(300), "x".repeat(40))).as_str(), "file");
    }

    #[test]
    fn the_header_is_ascii_and_has_a_fallback() {
        assert_eq!(header("plain name.txt"), r#"attachment; filename="plain name.txt""#);
        assert_eq!(header("na\"ïve%41.txt"), r#"attachment; filename="na__ve_41.txt"; filename*=UTF-8''na%22%C3%AFve%2541.txt"#);
    }

    #[test]
    fn only_harmless_types_are_shown_inline() {
        let shown = |t: &str| {
            FileName::sanitized("a").content_disposition(Disposition::AttachmentInline, &t.parse().unwrap()).starts_with("inline")
        };
        assert!(shown("image/png"));
        assert!(!shown("image/svg+xml") && !shown("text/html") && !shown("application/pdf"));
    }

    #[test]
    fn the_extension_is_what_follows_the_last_dot() {
        assert_eq!(FileName::sanitized("a.tar.GZ").extension().as_deref(), Some("gz"));
        assert_eq!(FileName::sanitized("README").extension(), None);
        assert_eq!(FileName::sanitized(".profile").extension(), None);
    }
}
