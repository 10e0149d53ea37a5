//! Words of several commands: numbers, times and actors as people type them, and texts that a terminal may be shown.

use std::fmt::Write as _;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::domain::{Actor, FileId};
use crate::store::AuditedActor;

/// UTC, to the second.
pub(super) fn instant(at: OffsetDateTime) -> String {
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default()
}

/// A moment, or a time before now.
pub(super) fn when(text: &str) -> Result<OffsetDateTime, String> {
    if let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(at);
    }
    let ago = humantime::parse_duration(text).ok().and_then(|ago| OffsetDateTime::now_utc().checked_sub(ago.try_into().ok()?));
    ago.ok_or_else(|| "must be a moment such as 2026-01-31T12:00:00Z, or a time ago such as 2h or 7d".to_owned())
}

pub(super) fn file_id(text: &str) -> Result<FileId, String> {
    text.parse().map(FileId).map_err(|_| "must be the number of a file".to_owned())
}

pub(super) fn actor(text: &str) -> Result<AuditedActor, String> {
    if text == "system" {
        return Ok(AuditedActor::System);
    }
    let found = text.split_once(':').and_then(|(kind, id)| Some(Actor { id: id.parse().ok()?, kind: kind.parse().ok()? }));
    found.map(AuditedActor::Actor).ok_or_else(|| "must be users:ID, customers:ID or system".to_owned())
}

/// A text that a terminal can be shown: what would move its cursor, change its colours or turn the direction of writing is escaped
/// as JSON does it, so that JSON stays JSON.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_invisible(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Marks of direction, joiners and other characters without a glyph.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_terminal_is_shown_as_it_is() {
        assert_eq!(printable("a\u{1b}[2Jb\u{202e}c\u{9b}d\u{e0041}"), "a\\u001b[2Jb\\u202ec\\u009bd\\udb40\\udc41");
        assert_eq!(printable("Größe 日本 🙂"), "Größe 日本 🙂");
    }

    #[test]
    fn actors_and_times_are_read_as_typed() {
        assert!(matches!(actor("customers:5"), Ok(AuditedActor::Actor(Actor { id: 5, .. }))));
        assert_eq!(actor("system"), Ok(AuditedActor::System));
        assert!(actor("users").is_err() && actor("users:x").is_err() && actor("nobody:1").is_err());
        assert!(when("2026-01-31T12:00:00Z").is_ok() && when("2h").unwrap() < OffsetDateTime::now_utc());
        assert!(when("yesterday").is_err() && when("99999999999999 years").is_err());
    }
}
