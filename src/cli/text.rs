//! Words of several commands: numbers, times and actors as people type them, and texts that a terminal may be shown.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::database::AuditedActor;
use crate::domain::{Actor, FileId};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actors_and_times_are_read_as_typed() {
        assert!(matches!(actor("customers:5"), Ok(AuditedActor::Actor(Actor { id: 5, .. }))));
        assert_eq!(actor("system"), Ok(AuditedActor::System));
        assert!(actor("users").is_err() && actor("users:x").is_err() && actor("nobody:1").is_err());
        assert!(when("2026-01-31T12:00:00Z").is_ok() && when("2h").unwrap() < OffsetDateTime::now_utc());
        assert!(when("yesterday").is_err() && when("99999999999999 years").is_err());
    }
}
