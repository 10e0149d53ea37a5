//! What a call says beside its path: members of the query and fields of the form alike.

use url::form_urlencoded;

use super::paths::{CONTROLLER, PREFIX, named};
use crate::api::http::Fault;
use crate::api::http::field_errors::FieldErrors;

const MUST_BE_SET: &str = "must be set";

/// Names and values in the order in which they came.
#[derive(Default)]
pub(super) struct Arguments(Vec<(String, String)>);

impl Arguments {
    pub(super) fn of(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    pub(super) fn add(&mut self, name: String, value: String) {
        self.0.push((name, value));
    }

    /// The value of that name, which says the same wherever it stands.
    ///
    /// # Errors
    /// When it says two things.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Fault> {
        let mut found = None;
        for (_, value) in self.0.iter().filter(|(given, _)| given == name) {
            if *found.get_or_insert(value.as_str()) != value {
                return Err(Fault::Invalid(FieldErrors::one(name, "must say the same wherever it is given")));
            }
        }
        Ok(found)
    }

    /// The same of what must be there, and says something.
    ///
    /// # Errors
    /// What is wrong with it is added to `errors`.
    pub(super) fn set<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Option<T>,
        must_be: &str,
        errors: &mut FieldErrors,
    ) -> Result<Option<T>, Fault> {
        match self.one(name)?.filter(|value| !value.trim().is_empty()) {
            None => errors.add(name, MUST_BE_SET),
            Some(value) => match read(value) {
                Some(value) => return Ok(Some(value)),
                None => errors.add(name, must_be),
            },
        }
        Ok(None)
    }

    /// That a call whose path is known names no other one beside it.
    ///
    /// # Errors
    /// When it does.
    pub(super) fn agree_with(&self, path: &str) -> Result<(), Fault> {
        let known = path.strip_prefix(PREFIX).and_then(named);
        match self.one(CONTROLLER)? {
            Some(other) if known.is_some() && named(other) != known => {
                Err(Fault::Invalid(FieldErrors::one(CONTROLLER, "must say the same as the path")))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_in_two_places_is_the_same_or_refused() {
        let mut arguments = Arguments::of("salt=-1&apikey=a%20b&salt=-1&e=/Core/Test");
        assert_eq!((arguments.one("salt").unwrap(), arguments.one("apikey").unwrap()), (Some("-1"), Some("a b")));
        assert_eq!(arguments.one("x").unwrap(), None);
        arguments.add("apikey".to_owned(), "c".to_owned());
        assert!(matches!(arguments.one("apikey"), Err(Fault::Invalid(_))));
        assert!(arguments.agree_with("/api/Core/Test").is_ok() && arguments.agree_with("/api/index.php").is_ok());
        assert!(arguments.agree_with("/api/Core/TestAPI").is_err());
    }
}
