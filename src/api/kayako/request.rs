//! Arguments: what stands in the query, under names in any spelling.

use axum::http::HeaderMap;

use super::case::snake;
use crate::api::http::Fault;
use crate::api::http::query::Query;

/// The members of a query by their names in snake case, in their order.
pub(super) struct Arguments(Vec<(String, String)>);

impl Arguments {
    pub(super) fn parsed(query: &str) -> Self {
        let query = Query::parsed(query);
        Self(query.members().iter().map(|(name, value)| (snake(name), value.clone())).collect())
    }

    /// Every value of that name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The value of that name, which says the same wherever it stands.
    ///
    /// # Errors
    /// When it says two things.
    pub(super) fn one<'a>(&'a self, name: &'a str) -> Result<Option<&'a str>, Fault> {
        same(self.all(name), || vec![name.to_owned()])
    }
}

/// What a header and an argument say together.
///
/// # Errors
/// When they do not say the same.
pub(super) fn agreed(headers: &HeaderMap, header: &str, arguments: &Arguments, argument: &str) -> Result<Option<String>, Fault> {
    let in_headers: Vec<_> =
        headers.get_all(header).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned()).collect();
    let both = in_headers.iter().map(String::as_str).chain(arguments.all(argument));
    let value = same(both, || vec![header.to_owned(), argument.to_owned()])?;
    Ok(value.map(ToOwned::to_owned))
}

/// What several places say together.
///
/// # Errors
/// When they do not say the same.
pub(super) fn same<'a>(values: impl Iterator<Item = &'a str>, names: impl FnOnce() -> Vec<String>) -> Result<Option<&'a str>, Fault> {
    let mut found = None;
    for value in values {
        if *found.get_or_insert(value) != value {
            return Err(Fault::Contradiction(names()));
        }
    }
    Ok(found)
}
