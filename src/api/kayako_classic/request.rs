//! What a call says beside its path: members of the query and fields of the form alike.

use url::form_urlencoded;

use super::paths::{CONTROLLER, PREFIX, named};
use crate::api::http::Fault;
use crate::api::http::field_errors::FieldErrors;

pub(super) const MUST_BE_SET: &str = "must be set";

/// Most of them in one call: each is compared with others of its name.
pub(super) const MOST: usize = 100;

/// Names and values in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Arguments(Vec<(String, String)>);

impl Arguments {
    /// What a query or a short form says.
    ///
    /// # Errors
    /// When it says too much.
    pub(super) fn of(query: &[u8]) -> Result<Self, Fault> {
        let mut arguments = Self::default();
        arguments.add_all(query)?;
        Ok(arguments)
    }

    pub(super) fn add_all(&mut self, form: &[u8]) -> Result<(), Fault> {
        form_urlencoded::parse(form).try_for_each(|(name, value)| self.add(name.into_owned(), value.into_owned()))
    }

    /// One more.
    ///
    /// # Errors
    /// When there are as many as there may be.
    pub(super) fn add(&mut self, name: String, value: String) -> Result<(), Fault> {
        if self.0.len() >= MOST {
            return Err(Fault::Invalid(FieldErrors::one("body", format!("must have {MOST} parameters or fewer, with those of the query"))));
        }
        self.0.push((name, value));
        Ok(())
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
        let mut arguments = Arguments::of(b"salt=-1&apikey=a%20b&salt=-1&e=/Core/Test").unwrap();
        assert_eq!((arguments.one("salt").unwrap(), arguments.one("apikey").unwrap()), (Some("-1"), Some("a b")));
        assert_eq!(arguments.one("x").unwrap(), None);
        arguments.add("apikey".to_owned(), "c".to_owned()).unwrap();
        assert!(matches!(arguments.one("apikey"), Err(Fault::Invalid(_))));
        assert!(arguments.agree_with("/api/Core/Test").is_ok() && arguments.agree_with("/api/index.php").is_ok());
        assert!(arguments.agree_with("/api/Core/TestAPI").is_err());
    }

    #[test]
    fn there_are_only_so_many() {
        assert!(Arguments::of("a&".repeat(MOST).as_bytes()).is_ok());
        assert!(Arguments::of("a&".repeat(MOST + 1).as_bytes()).is_err());
    }
}
