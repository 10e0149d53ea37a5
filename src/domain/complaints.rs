//! What is wrong with a request, field by field.

use std::collections::BTreeMap;
use std::fmt;

use super::field::Field;

/// What somebody outside calls a field.
pub type Spelling = fn(Field) -> &'static str;

/// Messages about fields, in order of arrival.
///
/// Collects every complaint instead of stopping at the first: a person who fixes a form wants to see all of them at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Complaints(Vec<(Field, String)>);

impl Complaints {
    /// No complaint yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Exactly one complaint.
    #[must_use]
    pub fn one(field: Field, message: impl Into<String>) -> Self {
        Self(vec![(field, message.into())])
    }

    /// Adds a complaint about `field`.
    pub fn add(&mut self, field: Field, message: impl Into<String>) {
        self.0.push((field, message.into()));
    }

    /// Adds every complaint of `other`.
    pub fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every complaint, in order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = (Field, &str)> {
        self.0.iter().map(|(field, message)| (*field, message.as_str()))
    }

    /// What is wrong with one field.
    pub fn about(&self, field: Field) -> impl Iterator<Item = &str> {
        self.iter().filter(move |(about, _)| *about == field).map(|(_, message)| message)
    }

    /// The same under the names that somebody has for the fields.
    #[must_use]
    pub fn spelled(&self, name: Spelling) -> Spelled {
        self.iter().map(|(field, message)| (name(field).to_owned(), message.to_owned())).collect()
    }

    /// `Ok(value)` when nothing is wrong, the complaints otherwise.
    ///
    /// # Errors
    /// The collected complaints.
    pub fn or_ok<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl IntoIterator for Complaints {
    type Item = (Field, String);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Messages by the name of their field, names in alphabetical order: complaints as somebody outside reads them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spelled(BTreeMap<String, Vec<String>>);

impl Spelled {
    /// The messages of each name, in order of arrival.
    #[must_use]
    pub fn by_name(&self) -> &BTreeMap<String, Vec<String>> {
        &self.0
    }

    /// The same, to be kept.
    #[must_use]
    pub fn into_names(self) -> BTreeMap<String, Vec<String>> {
        self.0
    }
}

impl FromIterator<(String, String)> for Spelled {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(complaints: I) -> Self {
        let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
        complaints.into_iter().for_each(|(name, message)| names.entry(name).or_default().push(message));
        Self(names)
    }
}

impl fmt::Display for Spelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.0.iter().flat_map(|(name, messages)| messages.iter().map(move |message| format!("{name} {message}")));
        f.write_str(&lines.collect::<Vec<_>>().join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_messages_stay_in_their_order() {
        let mut complaints = Complaints::one(Field::Size, "second");
        complaints.add(Field::Name, "first");
        complaints.merge(Complaints::one(Field::Size, "third"));
        let spelled = complaints.spelled(|field| if field == Field::Name { "a" } else { "b" });
        assert_eq!(spelled.to_string(), "a first; b second; b third");
        assert_eq!(complaints.about(Field::Size).collect::<Vec<_>>(), ["second", "third"]);
    }
}
