//! Files as rows, and numbers and words as both engines have them.

use std::str::FromStr;

use sqlx::postgres::PgArguments;
use sqlx::query::{Query, QueryAs};
use sqlx::sqlite::SqliteArguments;
use sqlx::{Postgres, Sqlite};
use time::OffsetDateTime;

use super::error::DatabaseError;
use super::file_table::{Inserted, Value, files_table};
use super::instant::Instant;
use super::search_name::{search_name, search_name_of};
use crate::domain::file::ChecksumSha256;
use crate::domain::{Actor, Attempts, Deletion, Evidence, File, FileId, FileName, FileState, Grant, Multipart, Pixels, Sealed, State};

// The columns of `files`, each once. A new one is a line here, a line of its migration, and a line below in what makes a `File` of a row
// if a file is to know of it.
//
// `name: kind` is read, in this order. `= kind of Postgres(value)` is what a new record is written with; `= fixed(sql)` what all new records
// have; `= like(column, value)` the same value as in another column. A column without a kind is written and never read; one without a value
// stays empty until something fills it.
files_table! {
    |file|
    id: i64,
    tenant: String = text(file.tenant.as_str()),
    state: String = fixed("'temp'"),
    type_name: String = text(file.type_name.as_str()),
    name: String = text(file.name.as_str()),
    disposition: String = text(file.disposition.as_str()),
    declared_type: Option<String> = text(file.declared_type.as_ref().map(ToString::to_string)),
    granted_type: String = text(file.grant.content_type.to_string()),
    min_size: i64 = bigint(number(file.grant.min_size)),
    max_size: i64 = bigint(number(file.grant.max_size)),
    checksum_sha256: Option<String> = text(file.checksum_sha256.as_ref().map(ChecksumSha256::as_base64)),
    staging_key: String = text(file.staging_key.as_str()),
    sealed_key: Option<String>,
    upload_id: Option<String> = text(upload_id(file.multipart.as_ref())),
    part_size: Option<i64> = bigint(part_size(file.multipart.as_ref())),
    reissued: i64,
    refused: i64,
    size: i64 = fixed("0"),
    etag: Option<String>,
    detected_type: Option<String>,
    decided_type: Option<String>,
    verdict: Option<String>,
    pixel_width: Option<i64>,
    pixel_height: Option<i64>,
    created_at: Instant = timestamptz(Instant(file.created_at)),
    updated_at: Instant = like(created_at, Instant(file.created_at)),
    expires_at: Instant = timestamptz(Instant(file.expires_at)),
    keep_until: Option<Instant>,
    created_by_id: i64 = bigint(file.created_by.id),
    created_by_kind: String = text(file.created_by.kind.as_str()),
    updated_by_id: i64 = like(created_by_id, file.created_by.id),
    updated_by_kind: String = like(created_by_kind, file.created_by.kind.as_str()),
    deleted_at: Option<Instant>,
    deleted_by_id: Option<i64>,
    deleted_by_kind: Option<String>,
    search_name_of = text(search_name_of(file.name.as_str())),
    search_name = text(search_name(file.name.as_str())),
}

impl FileRow {
    fn evidence(&self) -> Result<Option<Evidence>, DatabaseError> {
        let (verdict, decided) = match (&self.verdict, &self.decided_type) {
            (None, None) => return Ok(None),
            (Some(verdict), Some(decided)) => (verdict, decided),
            _ => return Err(self.contradicts()),
        };
        let pixels = |side: i64| u32::try_from(side).map_err(|_| DatabaseError::Broken(format!("{side} is stored where pixels belong")));
        let pixels = match (self.pixel_width, self.pixel_height) {
            (Some(width), Some(height)) => Some(Pixels { width: pixels(width)?, height: pixels(height)? }),
            _ => None,
        };
        let detected = self.detected_type.as_deref().map(parsed).transpose()?;
        Ok(Some(Evidence { detected, verdict: parsed(verdict)?, decided: parsed(decided)?, pixels }))
    }

    pub(super) fn sealed_key(&self) -> Option<&str> {
        self.sealed_key.as_deref()
    }

    pub(super) fn expires_at(&self) -> OffsetDateTime {
        self.expires_at.0
    }

    /// Where the file is in its life, with all that belongs there. The schema lets no row have less or more.
    fn state(&mut self) -> Result<State, DatabaseError> {
        let evidence = self.evidence()?;
        let sealed = match (self.sealed_key.take(), self.etag.take(), evidence) {
            (None, None, None) => None,
            (Some(sealed), Some(etag), Some(evidence)) => Some(Sealed { key: key(sealed)?, size: unsigned(self.size)?, etag, evidence }),
            _ => return Err(self.contradicts()),
        };
        let deletion = match (self.deleted_at, self.deleted_by_id, &self.deleted_by_kind) {
            (None, None, None) => None,
            (Some(at), Some(id), Some(kind)) => Some(Deletion { at: at.0, by: Actor { id, kind: parsed(kind)? } }),
            _ => return Err(self.contradicts()),
        };
        match (parsed(&self.state)?, sealed, deletion) {
            (FileState::Temp, None, None) => {
                Ok(State::Temp(Attempts { reissued: unsigned(self.reissued)?, refused: unsigned(self.refused)? }))
            }
            (FileState::Active, Some(sealed), None) => Ok(State::Active(sealed)),
            (FileState::Deleted, Some(sealed), Some(deletion)) => Ok(State::Deleted(sealed, deletion)),
            _ => Err(self.contradicts()),
        }
    }

    fn contradicts(&self) -> DatabaseError {
        DatabaseError::Broken(format!(
            "file {} is stored as ‘{}’ with what belongs to another state, or without its own",
            self.id, self.state
        ))
    }

    fn multipart(&self) -> Result<Option<Multipart>, DatabaseError> {
        let Some(upload_id) = &self.upload_id else { return Ok(None) };
        let part_size = self.part_size.map(unsigned).transpose()?;
        Ok(Some(Multipart { upload_id: Some(upload_id.clone()).filter(|id| !id.is_empty()), part_size }))
    }
}

impl TryFrom<FileRow> for File {
    type Error = DatabaseError;

    fn try_from(mut row: FileRow) -> Result<Self, DatabaseError> {
        let state = row.state()?;
        let multipart = row.multipart()?;
        Ok(Self {
            id: FileId(row.id),
            tenant: parsed(&row.tenant)?,
            state,
            type_name: row.type_name,
            name: FileName::sanitized(&row.name),
            disposition: parsed(&row.disposition)?,
            declared_type: row.declared_type.as_deref().map(parsed).transpose()?,
            grant: Grant { content_type: parsed(&row.granted_type)?, min_size: unsigned(row.min_size)?, max_size: unsigned(row.max_size)? },
            checksum_sha256: row.checksum_sha256.as_deref().map(parsed).transpose()?,
            staging_key: key(row.staging_key)?,
            multipart,
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
            expires_at: row.expires_at.0,
            keep_until: row.keep_until.map(|at| at.0),
            created_by: Actor { id: row.created_by_id, kind: parsed(&row.created_by_kind)? },
            updated_by: Actor { id: row.updated_by_id, kind: parsed(&row.updated_by_kind)? },
        })
    }
}

/// A word this program wrote itself; anything else means that someone else wrote to the database.
pub(super) fn parsed<T: FromStr<Err = String>>(word: &str) -> Result<T, DatabaseError> {
    word.parse().map_err(|why| DatabaseError::Broken(format!("‘{word}’ is stored where it {why}")))
}

/// The same of a key, which needs no other text.
fn key<T: TryFrom<String, Error = String>>(text: String) -> Result<T, DatabaseError> {
    text.try_into().map_err(|why| DatabaseError::Broken(format!("a key is stored that {why}")))
}

pub(super) fn unsigned(number: i64) -> Result<u64, DatabaseError> {
    u64::try_from(number).map_err(|_| DatabaseError::Broken(format!("{number} is stored where no number below 0 belongs")))
}

pub(super) fn signed(number: u64) -> Result<i64, DatabaseError> {
    i64::try_from(number).map_err(|_| DatabaseError::Broken(format!("{number} is more than the database can hold")))
}

/// How the column `upload_id` tells a multipart upload from none, and one that the object store was not asked for yet.
pub(super) fn upload_id(multipart: Option<&Multipart>) -> Option<&str> {
    multipart.map(|multipart| multipart.upload_id.as_deref().unwrap_or_default())
}

fn part_size(multipart: Option<&Multipart>) -> Option<i64> {
    multipart.and_then(|multipart| multipart.part_size).map(number)
}

/// A size that was looked at before it was queued.
pub(super) fn number(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    /// A row as SQLite answers it: an active file's, with some columns set otherwise.
    fn read(changes: &[(&str, Json)]) -> Result<File, DatabaseError> {
        let usual = json!({
            "id": 7, "tenant": "default", "state": "active", "type_name": "attachment", "name": "a.txt", "disposition": "attachment",
            "granted_type": "text/plain", "min_size": 1, "max_size": 9, "staging_key": "temp/a", "sealed_key": "files/a", "reissued": 0,
            "refused": 0, "size": 5, "etag": "e", "decided_type": "text/plain", "verdict": "matches", "created_at": 1, "updated_at": 1,
            "expires_at": 2, "created_by_id": 1, "created_by_kind": "users", "updated_by_id": 1, "updated_by_kind": "users",
        });
        let value = |column: &str| changes.iter().find(|(name, _)| *name == column).map_or(&usual[column], |(_, value)| value).clone();
        let row: FileRow = serde_json::from_value(COLUMNS.split(", ").map(value).collect()).unwrap();
        File::try_from(row)
    }

    const NOT_SEALED: [(&str, Json); 4] =
        [("sealed_key", Json::Null), ("etag", Json::Null), ("decided_type", Json::Null), ("verdict", Json::Null)];

    fn deletion() -> [(&'static str, Json); 3] {
        [("deleted_at", json!(3)), ("deleted_by_id", json!(1)), ("deleted_by_kind", json!("users"))]
    }

    #[test]
    fn a_row_has_what_belongs_to_its_state() {
        assert_eq!(read(&[]).unwrap().state(), FileState::Active);
        let temp = [&NOT_SEALED[..], &[("state", json!("temp"))]].concat();
        assert_eq!(read(&temp).unwrap().state(), FileState::Temp);
        let deleted = [&deletion()[..], &[("state", json!("deleted"))]].concat();
        assert_eq!(read(&deleted).unwrap().state(), FileState::Deleted);
    }

    #[test]
    fn a_row_that_contradicts_itself_is_broken() {
        let mut broken = vec![deletion().to_vec(), NOT_SEALED.to_vec(), vec![("state", json!("temp"))], vec![("state", json!("deleted"))]];
        broken.extend(NOT_SEALED.map(|lacking| vec![lacking]));
        broken.extend(deletion().map(|lonely| vec![lonely]));
        broken.extend(
            [("staging_key", "files/a"), ("sealed_key", "temp/a"), ("staging_key", "")].map(|(name, key)| vec![(name, json!(key))]),
        );
        for changes in broken {
            assert!(matches!(read(&changes), Err(DatabaseError::Broken(_))), "{changes:?}");
        }
    }
}
