//! `Content-Disposition`: what a part or a body is called (RFC 6266, RFC 7578, RFC 8187), as clients really write it.

use percent_encoding::percent_decode_str;

/// The names in a header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::api) struct Named {
    /// The field.
    pub(in crate::api) name: Option<String>,
    /// The file; an empty text is one too.
    pub(in crate::api) file_name: Option<String>,
}

impl Named {
    /// Those of a request's header: in quotes, as tokens, or in UTF-8 as RFC 8187 has it, which wins.
    pub(in crate::api) fn in_header(value: &[u8]) -> Self {
        let mut named = Self::default();
        let mut extended = None;
        for (key, text, is_quoted) in parameters(&decoded(value)) {
            match key.as_str() {
                "name" => _ = named.name.get_or_insert(text),
                "filename" => _ = named.file_name.get_or_insert(text),
                // What cannot be read is passed over (RFC 6266, section 4.3).
                "filename*" if !is_quoted || text.contains('\'') => extended = extended.or_else(|| extended_value(&text)),
                _ => {}
            }
        }
        named.file_name = extended.or(named.file_name);
        named
    }

    /// Those of a part of a form. There browsers write quotes and line ends as `%22`, `%0D` and `%0A`, and nothing else so.
    pub(in crate::api) fn in_part(value: &[u8]) -> Self {
        let mut named = Self::in_header(value);
        let has_extended = parameters(&decoded(value)).iter().any(|(key, text, _)| key == "filename*" && extended_value(text).is_some());
        named.name = named.name.map(|name| unescaped(&name));
        if !has_extended {
            named.file_name = named.file_name.map(|name| unescaped(&name));
        }
        named
    }
}

/// UTF-8 where it is that; otherwise every byte is a character, as HTTP was once said to be.
fn decoded(value: &[u8]) -> String {
    std::str::from_utf8(value).map_or_else(|_| value.iter().map(|byte| char::from(*byte)).collect(), str::to_owned)
}

/// What follows the first semicolon: keys in small letters, values without quotes, and whether there were any.
fn parameters(header: &str) -> Vec<(String, String, bool)> {
    let mut found = Vec::new();
    let mut rest = header.split_once(';').map_or("", |(_, rest)| rest);
    while !rest.trim().is_empty() {
        let end = rest.find([';', '=']).unwrap_or(rest.len());
        let key = rest.get(..end).unwrap_or_default().trim().to_ascii_lowercase();
        rest = rest.get(end..).unwrap_or_default();
        let Some(value) = rest.strip_prefix('=') else {
            rest = rest.strip_prefix(';').unwrap_or_default();
            continue;
        };
        let value = value.trim_start();
        if let Some(quoted) = value.strip_prefix('"') {
            let (text, behind) = quoted_text(quoted);
            rest = behind.split_once(';').map_or("", |(_, behind)| behind);
            found.push((key, text, true));
        } else {
            let (text, behind) = value.split_once(';').unwrap_or((value, ""));
            rest = behind;
            found.push((key, text.trim().to_owned(), false));
        }
    }
    found
}

/// A text up to its closing quote, and what follows. A backslash stands for itself unless it is before a quote or another one: browsers
/// of before send paths of Windows with single ones.
fn quoted_text(quoted: &str) -> (String, &str) {
    let mut text = String::new();
    let mut chars = quoted.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (text, quoted.get(at + 1..).unwrap_or_default()),
            '\\' => text.push(chars.next_if(|(_, next)| matches!(next, '"' | '\\')).map_or('\\', |(_, next)| next)),
            _ => text.push(c),
        }
    }
    (text, "")
}

/// RFC 8187, section 3.2: `UTF-8'en'%e2%82%ac.txt`, or the same in ISO-8859-1.
fn extended_value(text: &str) -> Option<String> {
    let (charset, rest) = text.split_once('\'')?;
    let (_language, encoded) = rest.split_once('\'')?;
    let bytes: Vec<u8> = percent_decode_str(encoded).collect();
    match charset.trim().to_ascii_lowercase().as_str() {
        "utf-8" => String::from_utf8(bytes).ok(),
        "iso-8859-1" => Some(bytes.into_iter().map(char::from).collect()),
        _ => None,
    }
}

/// A name as the HTML standard escapes it in forms.
fn unescaped(name: &str) -> String {
    name.replace("%22", "\"").replace("%0D", "\r").replace("%0d", "\r").replace("%0A", "\n").replace("%0a", "\n")
}
