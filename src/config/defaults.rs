//! Defaults that follow from other settings, which were read before or stand in the environment or the file.

use std::borrow::Cow;
use std::path::Path;

use super::dialects::speaks_desk;
use super::given::Given;
use super::identity::KEYS;
use crate::domain::sqlite_url;

const YES: Cow<'static, str> = Cow::Borrowed("true");
const NO: Cow<'static, str> = Cow::Borrowed("false");

/// A file in the folder of data.
pub(super) fn database_file(given: &Given) -> Cow<'static, str> {
    sqlite_url(&Path::new(given.text("data_dir").unwrap_or("data")).join("dropslip.db")).into()
}

/// Stores that are not AWS mostly know no names of buckets in names of hosts.
pub(super) fn path_style(given: &Given) -> Cow<'static, str> {
    if given.text("s3_endpoint").is_some() { YES } else { NO }
}

/// A page that anybody can reach is for the operator to switch on.
pub(super) fn page(given: &Given) -> Cow<'static, str> {
    if given.text("s3_bucket").is_none() && speaks_desk(given) { YES } else { NO }
}

/// Whether JSON Web Tokens are taken.
pub(super) fn takes_jwts(given: &Given) -> bool {
    KEYS.iter().any(|key| given.text(key).is_some())
}

/// Whether their keys come in a set, which says of what kind each is.
pub(super) fn takes_key_set(given: &Given) -> bool {
    given.text("jwt_jwks").is_some()
}
