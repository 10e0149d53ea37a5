//! What is wrong with a request, field by field.

use std::collections::BTreeMap;
use std::fmt;

/// Messages by field name, in the wording of Teamwork Desk's validator.
///
/// Collects every complaint instead of stopping at the first: a person who fixes a form wants to see all of them at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldErrors(BTreeMap<String, Vec<String>>);

impl FieldErrors {
    /// No complaint yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Exactly one complaint.
    #[must_use]
    pub fn one(field: &str, message: impl Into<String>) -> Self {
        let mut errors = Self::new();
        errors.add(field, message);
        errors
    }

    /// Adds a complaint about `field`.
    pub fn add(&mut self, field: &str, message: impl Into<String>) {
        self.0.entry(field.to_owned()).or_default().push(message.into());
    }

    /// Adds every complaint of `other`.
    pub fn merge(&mut self, other: Self) {
        for (field, messages) in other.0 {
            self.0.entry(field).or_default().extend(messages);
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The complaints, fields in alphabetical order.
    #[must_use]
    pub fn by_field(&self) -> &BTreeMap<String, Vec<String>> {
        &self.0
    }

    /// `Ok(value)` when nothing is wrong, the complaints otherwise.
    ///
    /// # Errors
    /// The collected complaints.
    pub fn or_ok<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for FieldErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.0.iter().flat_map(|(field, messages)| messages.iter().map(move |m| format!("{field} {m}")));
        f.write_str(&lines.collect::<Vec<_>>().join("; "))
    }
}

impl std::error::Error for FieldErrors {}

/// The longest word from outside in a complaint, in characters: it is read on a phone.
const LONGEST_WORD: usize = 40;

/// A word from outside, cut where it is too long to be read.
pub(super) fn short(word: &str) -> String {
    match word.char_indices().nth(LONGEST_WORD) {
        Some((end, _)) => format!("{}…", &word[..end]),
        None => word.to_owned(),
    }
}

/// `must be one of ‘a, b’`, the validator's wording for a closed list.
#[must_use]
pub fn one_of<'a>(allowed: impl IntoIterator<Item = &'a str>) -> String {
    format!("must be one of ‘{}’", allowed.into_iter().collect::<Vec<_>>().join(", "))
}
