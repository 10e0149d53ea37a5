//! Names as they are searched for: the columns `search_name` and `search_name_of`.

use std::borrow::Cow;

use crate::domain::composed;

/// A name as it is compared with others. What was made from another name than the row has now says nothing.
pub(super) const SEARCHED: &str = "COALESCE(CASE WHEN search_name_of = name THEN search_name END, name)";

/// Beside a name stands the name itself; `None` of one in ASCII, which has one spelling.
pub(super) fn search_name_of(name: &str) -> Option<&str> {
    Some(name).filter(|name| !name.is_ascii())
}

/// Beside a name stands its other spelling; `None` where the name has it already.
pub(super) fn search_name(name: &str) -> Option<String> {
    match composed(name) {
        Cow::Owned(composed) => Some(composed),
        Cow::Borrowed(_) => None,
    }
}
