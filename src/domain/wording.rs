//! How complaints are worded.

/// The longest word from outside in a complaint, in characters: it is read on a phone.
const LONGEST_WORD: usize = 40;

/// A word from outside, cut where it is too long to be read.
pub(super) fn short(word: &str) -> String {
    match word.char_indices().nth(LONGEST_WORD) {
        Some((end, _)) => format!("{}…", &word[..end]),
        None => word.to_owned(),
    }
}

/// `must be one of ‘a, b’`, the wording for a closed list.
#[must_use]
pub fn one_of<'a>(allowed: impl IntoIterator<Item = &'a str>) -> String {
    format!("must be one of ‘{}’", allowed.into_iter().collect::<Vec<_>>().join(", "))
}
