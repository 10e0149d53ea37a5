//! Instants, as answers write them and as requests may.

use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

const MICROS: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
const SECONDS: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// Bytes; no year has more than five digits and a sign.
const LONGEST_INSTANT: usize = 32;

/// An instant with microseconds, always six digits: as exact as it is stored.
pub(in crate::api) struct Micros(pub(in crate::api) OffsetDateTime);

/// An instant to the second: forms and tokens live for whole seconds.
pub(in crate::api) struct Seconds(pub(in crate::api) OffsetDateTime);

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        instant(self.0, MICROS, serializer)
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        instant(self.0, SECONDS, serializer)
    }
}

fn instant<S: Serializer>(at: OffsetDateTime, format: &[BorrowedFormatItem<'_>], serializer: S) -> Result<S::Ok, S::Error> {
    let mut text = [0; LONGEST_INSTANT];
    let written = at.format_into(&mut text.as_mut_slice(), format).map_err(S::Error::custom)?;
    let text = text.get(..written).and_then(|text| std::str::from_utf8(text).ok());
    serializer.serialize_str(text.unwrap_or_default())
}

/// An instant in a request, as RFC 3339 writes it.
pub(in crate::api) fn parse_instant(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}
