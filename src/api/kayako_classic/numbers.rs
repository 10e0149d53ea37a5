//! Numbers of tickets, posts and attachments.

use crate::domain::{FileId, PostId, TicketId};

/// The highest number that no program rounds (2^53).
pub(super) const HIGHEST: i64 = 1 << 53;

/// A number from 1 on, in digits alone.
pub(super) fn number(text: &str) -> Option<i64> {
    let text = text.trim();
    let number = text.parse().ok().filter(|number| (1..=HIGHEST).contains(number))?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then_some(number)
}

pub(super) fn ticket(text: &str) -> Option<TicketId> {
    number(text).map(TicketId)
}

pub(super) fn post(text: &str) -> Option<PostId> {
    number(text).map(PostId)
}

pub(super) fn file(text: &str) -> Option<FileId> {
    number(text).map(FileId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_from_1_to_2_to_the_53() {
        assert_eq!(["1", " 7 ", "007", "9007199254740992"].map(number), [Some(1), Some(7), Some(7), Some(HIGHEST)]);
        for bad in ["", "0", "-1", "+1", "1.0", "9007199254740993", "99999999999999999999", "x", "1 2", "\u{661}"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }
}
