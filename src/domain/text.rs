//! Texts as programs write them down: with a mark before them, in another encoding, with half a character in them.

use std::borrow::Cow;

/// What Windows programs and some editors write before a text in UTF-8. It is no part of the text.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Why bytes are no text. Nothing of them is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotText {
    /// As PowerShell's `>` and Notepad's “Unicode” write it.
    #[error("must be UTF-8, but is UTF-16: save it as UTF-8")]
    Utf16,
    /// Some other encoding, or no text at all; where that shows first, in bytes from 1.
    #[error("must be UTF-8, but is not from byte {0} on")]
    Unknown(usize),
}

/// The text in UTF-8, without the mark that may stand before it.
///
/// # Errors
/// Why it is none.
pub fn utf8(bytes: &[u8]) -> Result<&str, NotText> {
    let text = bytes.strip_prefix(MARK).unwrap_or(bytes);
    match bytes {
        // Marks of UTF-16 and UTF-32; and texts without one, which begin with an ASCII character.
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => Err(NotText::Utf16),
        _ => std::str::from_utf8(text).map_err(|error| NotText::Unknown(bytes.len() - text.len() + error.valid_up_to() + 1)),
    }
}

/// The text of a setting or secret, without the mark that came along from a file.
#[must_use]
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// JSON that can be parsed where the bytes hold any: without a mark before it, and without halves of characters.
///
/// # Errors
/// Why it is no text. Whether it is JSON is for the parser to say.
pub fn json(bytes: &[u8]) -> Result<Cow<'_, str>, NotText> {
    utf8(bytes).map(whole_characters)
}

/// JSON with U+FFFD for each half of a character, such as is left of an emoji where a program cuts a text between two units of UTF-16.
/// It is as long as it was, so that complaints name the same place.
#[must_use]
pub fn whole_characters(json: &str) -> Cow<'_, str> {
    let mut mended = String::new();
    let (mut done, mut at) = (0, 0);
    // A backslash is JSON inside of strings alone, so one elsewhere need not be looked for: the parser refuses it in any case. So it does
    // where `at` comes to stand within a character, which ends the search.
    while let Some((rest, found)) = json.get(at..).and_then(|rest| Some((rest, rest.find('\\')?))) {
        at += found;
        let escape = rest.get(found..).unwrap_or_default();
        let next = escape.get(6..).and_then(unit);
        at += match unit(escape) {
            Some(0xd800..=0xdbff) if matches!(next, Some(0xdc00..=0xdfff)) => 12,
            Some(0xd800..=0xdfff) => {
                mended.push_str(json.get(done..at).unwrap_or_default());
                mended.push_str(r"\ufffd");
                done = at + 6;
                6
            }
            Some(_) => 6,
            None => 2,
        };
    }
    if done == 0 {
        return Cow::Borrowed(json);
    }
    mended.push_str(json.get(done..).unwrap_or_default());
    Cow::Owned(mended)
}

/// The unit of UTF-16 that a text begins with as `\u12ab`.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix(r"\u")?.get(..4)?;
    // A plus is no digit, though `from_str_radix` takes one.
    digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_mark_is_no_part_of_a_text_and_another_encoding_is_named() {
        assert_eq!(utf8(b"\xef\xbb\xbfa"), Ok("a"));
        for text in ["", "a", "é", "\0", "ab\0", "\u{feff}", "ab\0\0"] {
            assert_eq!(utf8(text.as_bytes()), Ok(without_mark(text)), "{text:?}");
        }
        assert_eq!(utf8(b"\xef\xbb\xbf\xef\xbb\xbfa"), Ok("\u{feff}a"), "one mark is one too many");
        for bytes in [&b"\xff\xfea\0"[..], b"\xfe\xff\0a", b"\xff\xfe\0\0a\0\0\0", b"\0\0\xfe\xff\0\0\0a", b"{\0}\0", b"\0{\0}", b"\0\0\0{"]
        {
            assert_eq!(utf8(bytes), Err(NotText::Utf16), "{bytes:?}");
        }
        for (bytes, place) in [(&b"\xff"[..], 1), (b"a\xe9b", 2), (b"\xef\xbb\xbfa\xe9", 5), (b"\xef\xbb", 1), (b"ab\xed\xa0\xbd", 3)] {
            assert_eq!(utf8(bytes), Err(NotText::Unknown(place)), "{bytes:?}");
        }
    }

    #[test]
    fn half_a_character_is_replaced_and_nothing_else() {
        for (given, read) in [
            (r#""x\ud83d.png""#, "x\u{fffd}.png"),
            (r#""x\uD83D.png""#, "x\u{fffd}.png"),
            (r#""\ude00""#, "\u{fffd}"),
            (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\ud83d\ude00""#, "😀"),
            (r#""\ud83d\ude00\ude00""#, "😀\u{fffd}"),
            (r#""\uD83D\u0041""#, "\u{fffd}A"),
            (r#""\ud83d\\ude00""#, "\u{fffd}\\ude00"),
            (r#""\ud83d\n\ude00""#, "\u{fffd}\n\u{fffd}"),
            (r#""\\ud83d""#, "\\ud83d"),
            (r#""\\\ud83d""#, "\\\u{fffd}"),
            (r#""\\\\ud83d""#, "\\\\ud83d"),
            (r#""\"\ud83d\"""#, "\"\u{fffd}\""),
            (r#""ü\ud83dü""#, "ü\u{fffd}ü"),
            (r#""\ud7ff\ue000\uffff""#, "\u{d7ff}\u{e000}\u{ffff}"),
        ] {
            let mended = whole_characters(given);
            assert_eq!(serde_json::from_str::<String>(&mended).unwrap(), read, "{given}");
            assert_eq!(mended.len(), given.len(), "{given}");
            assert_eq!(matches!(mended, Cow::Owned(_)), serde_json::from_str::<String>(given).is_err(), "{given}");
        }
        let members: Value = serde_json::from_str(&whole_characters(r#"{"\ud83d":{"a\udc00":["\ud800"]}}"#)).unwrap();
        assert_eq!(members, serde_json::json!({"\u{fffd}": {"a\u{fffd}": ["\u{fffd}"]}}));
    }

    #[test]
    fn what_was_no_json_is_none_afterwards() {
        for bad in
            [r#""\ud83"#, r#""\ud83d"#, r#""\u+83d""#, r#""\ud8é""#, r#""\é\ud83d""#, r"\ud83d", r#""\"#, r#""\xd83d""#, "\"\u{7}\\ud83d\""]
        {
            assert!(serde_json::from_str::<Value>(&whole_characters(bad)).is_err(), "{bad}");
        }
    }
}
