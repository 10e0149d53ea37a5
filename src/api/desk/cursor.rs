//! Cursors: a place in a list as a text without meaning to clients. It is no key: what is listed from there is what one may read.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use time::OffsetDateTime;

use crate::api::http::field_errors::FieldErrors;
use crate::domain::selection::{Kind, Value};
use crate::domain::{Attribute, FileId, Order, Position};

/// What the first byte of a cursor says: a file's number follows, and the list, newest first, goes on below it.
const BELOW_ID: u8 = 1;

/// Order, number and value follow.
const IN_ORDER: u8 = 2;

const ABSENT: u8 = 0;
const PRESENT: u8 = 1;

/// The longest cursor, in characters: names have 255 bytes at most.
const MOST_CHARS: usize = 600;

pub(super) fn cursor_of(order: Order, position: &Position) -> String {
    let id = position.id.0.to_be_bytes();
    if order == Order::NEWEST {
        return URL_SAFE_NO_PAD.encode([&[BELOW_ID][..], &id].concat());
    }
    let value = match &position.value {
        None => vec![ABSENT],
        Some(Value::Number(number)) => [&[PRESENT][..], &number.to_be_bytes()].concat(),
        Some(Value::Text(text)) => [&[PRESENT], text.as_bytes()].concat(),
        Some(Value::Instant(at)) => [&[PRESENT][..], &at.unix_timestamp_nanos().to_be_bytes()].concat(),
    };
    URL_SAFE_NO_PAD.encode([&[IN_ORDER, number_of(order.by), order.descending.into()][..], &id, &value].concat())
}

/// The place that a page of a list in this order has in its answer.
pub(super) fn position_of(order: Order, cursor: &str) -> Result<Position, FieldErrors> {
    let bytes = if cursor.len() > MOST_CHARS { Vec::new() } else { URL_SAFE_NO_PAD.decode(cursor).unwrap_or_default() };
    let position = match bytes.split_first() {
        Some((&BELOW_ID, id)) if order == Order::NEWEST => whole_id(id).map(|id| Position { id, value: None }),
        Some((&IN_ORDER, [by, descending, rest @ ..])) if *by == number_of(order.by) && *descending == u8::from(order.descending) => {
            in_order(order.by, rest)
        }
        _ => None,
    };
    position.ok_or_else(|| FieldErrors::one("cursor", "must be the nextCursor of a page in the same order"))
}

fn in_order(by: Attribute, bytes: &[u8]) -> Option<Position> {
    let (id, value) = bytes.split_at_checked(8)?;
    let value = match value.split_first()? {
        (&ABSENT, []) if by.may_be_absent() => None,
        (&PRESENT, value) => Some(match by.kind() {
            Kind::Number => Value::Number(i64::from_be_bytes(value.try_into().ok()?)),
            Kind::Text | Kind::Word => Value::Text(String::from_utf8(value.to_vec()).ok().filter(|text| !text.contains('\0'))?),
            Kind::Instant => {
                let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from_be_bytes(value.try_into().ok()?)).ok()?;
                // What every database can hold.
                Value::Instant(Some(at).filter(|at| (0..=9999).contains(&at.year()))?)
            }
        }),
        _ => return None,
    };
    Some(Position { id: whole_id(id)?, value })
}

fn whole_id(bytes: &[u8]) -> Option<FileId> {
    bytes.try_into().ok().map(i64::from_be_bytes).filter(|id| *id > 0).map(FileId)
}

fn number_of(by: Attribute) -> u8 {
    Attribute::ALL.iter().position(|attribute| *attribute == by).and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_in_its_own_order_and_nothing_else_is_one() {
        let at = OffsetDateTime::from_unix_timestamp_nanos(1_767_323_045_123_456_000).unwrap();
        let mut all = vec![(Order::NEWEST, Position { id: FileId(i64::MAX), value: None })];
        for by in Attribute::ALL {
            let value = match by.kind() {
                Kind::Number => Value::Number(-5),
                Kind::Instant => Value::Instant(at),
                Kind::Text | Kind::Word => Value::Text("ü".to_owned()),
            };
            for descending in [true, false] {
                let order = Order { by, descending };
                if order != Order::NEWEST {
                    all.push((order, Position { id: FileId(41), value: Some(value.clone()) }));
                }
                if by.may_be_absent() {
                    all.push((order, Position { id: FileId(41), value: None }));
                }
            }
        }
        for (order, position) in &all {
            let cursor = cursor_of(*order, position);
            for (other, _) in &all {
                assert_eq!(position_of(*other, &cursor).ok().as_ref(), Some(position).filter(|_| other == order), "{cursor}");
            }
            let mut bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
            bytes.pop();
            let cut = position_of(*order, &URL_SAFE_NO_PAD.encode(&bytes));
            assert!(cut.is_err() || matches!(cut, Ok(Position { value: Some(Value::Text(_)), .. })), "{order:?}");
        }
        let zero = URL_SAFE_NO_PAD.encode([BELOW_ID, 0, 0, 0, 0, 0, 0, 0, 0]);
        let negative = URL_SAFE_NO_PAD.encode([BELOW_ID, 255, 0, 0, 0, 0, 0, 0, 0]);
        let later = URL_SAFE_NO_PAD.encode([3, 0, 0, 0, 0, 0, 0, 0, 9]);
        let long = format!("{}AA", cursor_of(Order::NEWEST, &all[0].1));
        for bad in ["", "1", "AQ", "AQAAAAAAAAAp=", "?", "ü", &zero, &negative, &later, &long, &"A".repeat(5000)] {
            assert!(position_of(Order::NEWEST, bad).is_err(), "{bad}");
        }
        let nul = Position { id: FileId(1), value: Some(Value::Text("\0".to_owned())) };
        let order = Order { by: Attribute::Name, descending: false };
        assert!(position_of(order, &cursor_of(order, &nul)).is_err(), "Postgres takes no such text");
    }
}
