//! A file as this dialect shows it: members in a fixed order, and where its bytes come among them.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use utoipa::ToSchema;

use super::partial::Shown;
use super::paths::PREFIX;
use crate::domain::File;

/// What the answer says a file is.
pub(super) const RESOURCE: &str = "file";

/// A number from UTC and not `Z`: so the documented samples have it.
const INSTANT: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]+00:00");

/// Letters and digits of a `hash`: five bits each.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Bytes of a `hash`, which is 32 letters of five bits.
const HASH_BYTES: usize = 20;

/// Characters of one part of an entity tag.
const TAG_PART: usize = 16;

/// What the answers of a request say alike of each file.
pub(super) struct Showing<'a> {
    pub(super) public_url: &'a str,
    /// What stands in every `group_hash`.
    pub(super) group: &'a str,
    /// Up to how many bytes a file is in the answer itself.
    pub(super) content_max: u64,
    pub(super) shown: &'a Shown,
}

/// The value of a member.
pub(super) enum Member {
    Value(Value),
    /// The file's bytes, as base64.
    Content,
}

impl Showing<'_> {
    /// Its members, those that are asked for.
    pub(super) fn members(&self, file: &File) -> Vec<(&'static str, Member)> {
        let url = format!("{}{PREFIX}/files/{}", self.public_url, file.id);
        let content = match file.size() {
            0 => Member::Value(json!("")),
            size if size <= self.content_max => Member::Content,
            _ => Member::Value(Value::Null),
        };
        let members = [
            ("id", json!(file.id.0)),
            ("name", json!(file.name.as_str())),
            ("size", json!(file.size())),
            ("content_type", json!(file.content_type().to_string())),
            ("content", Value::Null),
            ("content_url", json!(format!("{url}/content"))),
            ("hash", json!(hash(file))),
            ("group_hash", json!(format!("s:{}", self.group))),
            ("created_at", json!(instant(file.created_at))),
            ("expiry_at", json!(expiry_at(file).map(instant))),
            ("resource_type", json!(RESOURCE)),
            ("resource_url", json!(url)),
        ];
        let members = members.into_iter().map(|(name, value)| (name, Member::Value(value)));
        let mut members: Vec<_> = members.filter(|(name, _)| self.shown.has(name)).collect();
        if let Some((_, value)) = members.iter_mut().find(|(name, _)| *name == "content") {
            *value = content;
        }
        members.retain(|(_, member)| if let Member::Value(value) = member { self.shown.keeps(value) } else { true });
        members
    }
}

/// When it ends unless something uses it by then.
fn expiry_at(file: &File) -> Option<OffsetDateTime> {
    file.keep_until
}

/// The same for a file all its life, another one for each, and nothing that anybody could make of what he knows: the sealed key is random,
/// and what is told here does not lead back to it.
fn hash(file: &File) -> String {
    let key = file.sealed_key().map_or("", |key| key.as_str());
    let said = [file.tenant.as_str(), &file.id.to_string(), key].join("\0");
    let hash = Sha256::new().chain_update(b"dropslip hash of a file\0").chain_update(said).finalize();
    letters(hash.get(..HASH_BYTES).unwrap_or_default())
}

/// Five bits a letter, without padding.
fn letters(bytes: &[u8]) -> String {
    let bit = |place: usize| bytes.get(place / 8).is_some_and(|byte| byte >> (7 - place % 8) & 1 == 1);
    let letter = |first: usize| (first..first + 5).fold(0, |value, place| value << 1 | usize::from(bit(place)));
    (0..bytes.len() * 8).step_by(5).filter_map(|first| LETTERS.get(letter(first)).map(|letter| char::from(*letter))).collect()
}

pub(super) fn instant(at: OffsetDateTime) -> String {
    at.to_offset(time::UtcOffset::UTC).format(INSTANT).unwrap_or_default()
}

/// What stands in the entity tag of a record as long as the file is the same: that of its bytes, and one of what else is said of it.
pub(super) fn version(file: &File) -> String {
    let said = format!("{}\0{}\0{:?}", file.name.as_str(), file.updated_at.unix_timestamp_nanos(), expiry_at(file));
    format!("{}.{}", file.etag().unwrap_or_default(), tag_part(&[said.as_bytes()]))
}

/// A part of an entity tag that stands for these texts.
pub(super) fn tag_part<T: AsRef<[u8]>>(said: &[T]) -> String {
    let mut hash = said.iter().fold(Sha256::new(), Sha256::chain_update).finalize();
    let mut text = hex::encode(hash.as_mut_slice());
    text.truncate(TAG_PART);
    text
}

/// A file.
#[derive(serde::Serialize, ToSchema)]
#[schema(as = KayakoFile)]
pub(super) struct FileBody {
    id: i64,
    name: String,
    /// Bytes.
    size: u64,
    content_type: String,
    /// The bytes as base64; `null` for files over `DROPSLIP_KAYAKO_CONTENT_MAX`, whose bytes are at `content_url`.
    content: Option<String>,
    content_url: String,
    /// This file's alone, also beside others of the same bytes.
    #[schema(pattern = "^[a-z0-9]{32}$")]
    hash: String,
    /// The same in all that one session sees. It opens nothing.
    #[schema(pattern = "^s:")]
    group_hash: String,
    #[schema(pattern = "\\+00:00$")]
    created_at: String,
    /// When it ends unless something uses it by then; `null`: it does not end by itself.
    expiry_at: Option<String>,
    #[schema(pattern = "^file$")]
    resource_type: String,
    resource_url: String,
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn letters_are_those_of_base32() {
        // RFC 4648, section 10.
        assert_eq!(letters(b"foobar").to_uppercase(), "MZXW6YTBOI");
        assert_eq!(letters(&[0xff; HASH_BYTES]), "7".repeat(32));
    }

    #[test]
    fn instants_have_their_offset_as_a_number() {
        assert_eq!(instant(datetime!(2026-01-02 05:04:05.9 +2)), "2026-01-02T03:04:05+00:00");
    }
}
