//! Names as they are searched for: the columns `search_name` and `search_name_of`.

use std::borrow::Cow;

use crate::domain::{FileName, composed};

/// A name as it is compared with others. What was made from another name than the row has now says nothing.
pub(super) const SEARCHED: &str = "COALESCE(CASE WHEN search_name_of = name THEN search_name END, name)";

/// What stands beside a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SearchName<'a> {
    /// The name itself; `None` of one in ASCII, which has one spelling.
    pub(super) of: Option<&'a str>,
    /// Its other spelling; `None` where the name has it already.
    pub(super) composed: Option<String>,
}

impl<'a> SearchName<'a> {
    pub(super) fn of(name: &'a FileName) -> Self {
        Self::of_text(name.as_str())
    }

    pub(super) fn of_text(name: &'a str) -> Self {
        let composed = match composed(name) {
            Cow::Owned(composed) => Some(composed),
            Cow::Borrowed(_) => None,
        };
        Self { of: Some(name).filter(|name| !name.is_ascii()), composed }
    }
}
