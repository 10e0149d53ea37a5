//! Defaults that follow from other settings, which were read before or stand in the environment or the file.

use std::borrow::Cow;
use std::path::Path;

use super::identity::KEYS;
use super::reader::Reader;
use crate::domain::sqlite_url;

const YES: Cow<'static, str> = Cow::Borrowed("true");
const NO: Cow<'static, str> = Cow::Borrowed("false");

/// A file in the folder of data.
pub(super) fn database_file(reader: &Reader) -> Cow<'static, str> {
    sqlite_url(&Path::new(reader.text("data_dir").unwrap_or("data")).join("dropslip.db")).into()
}

/// Stores that are not AWS mostly know no names of buckets in names of hosts.
pub(super) fn path_style(reader: &Reader) -> Cow<'static, str> {
    if reader.text("s3_endpoint").is_some() { YES } else { NO }
}

/// A page that anybody can reach is for the operator to switch on.
pub(super) fn page(reader: &Reader) -> Cow<'static, str> {
    if reader.text("s3_bucket").is_none() { YES } else { NO }
}

/// Whether JSON Web Tokens are taken.
pub(super) fn takes_jwts(reader: &Reader) -> bool {
    KEYS.iter().any(|key| reader.text(key).is_some())
}

/// Whether their keys come in a set, which says of what kind each is.
pub(super) fn takes_key_set(reader: &Reader) -> bool {
    reader.text("jwt_jwks").is_some()
}
