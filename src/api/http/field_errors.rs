//! What is wrong with a request: what the core complains about, and what a dialect does by itself.

use std::fmt;

use crate::domain::complaints::{Spelled, Spelling};
use crate::domain::{Complaints, Field};
use crate::field_names;

/// What a complaint is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A field of the core's, under whatever name the dialect has for it.
    Core(Field),
    /// What the dialect alone knows, such as a member of a query; in its own words.
    Own(String),
}

/// Messages about fields and whatever else a request has, in order of arrival. A dialect spells them when they are answered.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FieldErrors {
    complaints: Vec<(Subject, String)>,
    /// Which of several files it is all about, counted from 0.
    file: Option<usize>,
}

impl FieldErrors {
    /// No complaint yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Exactly one complaint, about what the dialect calls so.
    pub(crate) fn one(name: &str, message: impl Into<String>) -> Self {
        let mut errors = Self::new();
        errors.add(name, message);
        errors
    }

    /// Adds a complaint about what the dialect calls so.
    pub(crate) fn add(&mut self, name: &str, message: impl Into<String>) {
        self.complaints.push((Subject::Own(name.to_owned()), message.into()));
    }

    /// Adds every complaint of `other`.
    pub(crate) fn merge(&mut self, other: impl Into<Self>) {
        self.complaints.extend(other.into().complaints);
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.complaints.is_empty()
    }

    /// Whether the dialect itself has complained about what it calls so.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.complaints.iter().any(|(subject, _)| matches!(subject, Subject::Own(own) if own == name))
    }

    /// Whether the core has complained about that field.
    pub(crate) fn is_about(&self, field: Field) -> bool {
        self.complaints.iter().any(|(subject, _)| *subject == Subject::Core(field))
    }

    /// Every message, in order of arrival.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &str> {
        self.complaints.iter().map(|(_, message)| message.as_str())
    }

    /// What each is about, and its message, in order of arrival.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Subject, &str)> {
        self.complaints.iter().map(|(subject, message)| (subject, message.as_str()))
    }

    /// The same about one of several files, counted from 0.
    pub(crate) fn of_file(self, index: usize) -> Self {
        Self { file: Some(index), ..self }
    }

    /// Which of several files it is about.
    pub(crate) fn file(&self) -> Option<usize> {
        self.file
    }

    /// All under the names of a dialect.
    pub(crate) fn spelled(&self, name: Spelling) -> Spelled {
        let named = |(subject, message): &(Subject, String)| match subject {
            Subject::Core(field) => (name(*field).to_owned(), message.clone()),
            Subject::Own(own) => (own.clone(), message.clone()),
        };
        self.complaints.iter().map(named).collect()
    }

    /// `Ok(value)` when nothing is wrong, the complaints otherwise.
    pub(crate) fn or_ok<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl From<Complaints> for FieldErrors {
    fn from(complaints: Complaints) -> Self {
        Self { complaints: complaints.into_iter().map(|(field, message)| (Subject::Core(field), message)).collect(), file: None }
    }
}

/// As the log tells it, which has no dialect.
impl fmt::Debug for FieldErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FieldErrors").field(self.spelled(field_names::name).by_name()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_has_the_complaints_of_both_in_order_of_arrival() {
        let mut errors = FieldErrors::one("size", "must be a whole number");
        errors.merge(Complaints::one(Field::Size, "must be 1 or higher"));
        errors.add("body", "is odd");
        let spelled = errors.spelled(|field| if field == Field::Size { "size" } else { "?" });
        assert_eq!(spelled.to_string(), "body is odd; size must be a whole number; size must be 1 or higher");
        assert!(errors.has("body") && !errors.has("pixels"));
        assert_eq!(format!("{:?}", FieldErrors::one("ids", "must be set")), r#"FieldErrors({"ids": ["must be set"]})"#);
    }
}
