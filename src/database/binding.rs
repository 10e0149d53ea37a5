//! Values of statements that are put together.

use std::borrow::Cow;

use time::OffsetDateTime;

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
