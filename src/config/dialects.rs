//! Which dialects are spoken. Their names are checked by whoever has the table of them.

use std::borrow::Cow;

use super::given::Given;
use super::settings::Readings;
use super::variables::env_name;

/// What stands for every dialect.
const ALL: &str = "all";

/// The dialect that the upload page speaks.
const OF_PAGE: &str = "desk";

/// An upgrade opens nothing where others may reach it: a new dialect is for the operator to switch on.
pub(super) fn dialects(given: &Given) -> Cow<'static, str> {
    if given.text("s3_bucket").is_none() { ALL.into() } else { "desk,companion".into() }
}

pub(super) fn dialect_names(text: &str) -> Result<Vec<String>, String> {
    let names: Vec<_> = text.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if names.is_empty() { Err("must name at least one dialect, such as desk".to_owned()) } else { Ok(names) }
}

/// Whether the page has somebody to speak with; both defaults have.
pub(super) fn speaks_desk(given: &Given) -> bool {
    given.text("dialects").is_none_or(|text| text.split([',', ' ']).any(|name| [ALL, OF_PAGE].contains(&name)))
}

/// A page that is asked for has somebody to speak with.
pub(super) fn judge_page(readings: &Readings, given: &mut Given) {
    if readings.page == Some(true) && readings.dialects.is_some() && !speaks_desk(given) {
        given.complain("page", &format!("the page speaks the dialect {OF_PAGE}, which {} does not name", env_name("dialects")));
    }
}
