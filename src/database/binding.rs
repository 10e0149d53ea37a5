//! Values of statements that are put together.

use std::borrow::Cow;

use time::OffsetDateTime;

use crate::domain::TypeLimit;

/// A value that takes the place of `$1`, `$2`, ...
#[derive(Debug, Clone)]
pub(super) enum Bound<'a> {
    Number(i64),
    Text(&'a str),
    /// A text that may be another than was given.
    Made(Cow<'a, str>),
    Time(OffsetDateTime),
}

/// Binds each value in its own type.
macro_rules! bind_all {
    ($query:expr, $bound:expr) => {
        $bound.iter().fold($query, |query, bound| match bound {
            $crate::database::binding::Bound::Number(number) => query.bind(*number),
            $crate::database::binding::Bound::Text(text) => query.bind(*text),
            $crate::database::binding::Bound::Made(text) => query.bind(text.as_ref()),
            $crate::database::binding::Bound::Time(at) => query.bind($crate::database::instant::Instant(*at)),
        })
    };
}
pub(super) use bind_all;

/// The condition that a file is of one of these types, whose names are bound from parameter `first` on; nothing for all types.
pub(super) fn of_types(types: &TypeLimit, first: usize) -> String {
    match types.names() {
        None => String::new(),
        // `IN ()` is no SQL to Postgres.
        Some([]) => " AND FALSE".to_owned(),
        Some(names) => {
            let parameters: Vec<_> = (first..first + names.len()).map(|number| format!("${number}")).collect();
            format!(" AND type_name IN ({})", parameters.join(", "))
        }
    }
}
