//! Files as rows, and numbers and words as both engines have them.

use std::str::FromStr;

use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};
use time::OffsetDateTime;

use super::error::DatabaseError;
use super::instant::Instant;
use crate::domain::{Actor, Attempts, Deletion, Evidence, File, FileId, FileName, FileState, Grant, Multipart, Pixels, Sealed, State};

/// A row of `files`: the columns, in the order in which they are asked for, as both engines answer them.
///
/// By place and not by name, which a page of a list would look up some 1600 times; SQLite also answers rows as JSON arrays.
macro_rules! file_row {
    ($($column:ident: $kind:ty),+ $(,)?) => {
        /// What a statement asks for that reads a [`FileRow`].
        pub(super) const COLUMNS: &str = file_row!(@joined $($column),+);

        #[derive(serde::Deserialize)]
        pub(super) struct FileRow {
            $($column: $kind),+
        }

        impl<'r, R: Row> FromRow<'r, R> for FileRow
        where
            usize: ColumnIndex<R>,
            $($kind: Decode<'r, R::Database> + Type<R::Database>),+
        {
            fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
                let mut place = 0..;
                let mut next = || place.next().unwrap_or_default();
                Ok(Self { $($column: row.try_get(next())?),+ })
            }
        }
    };
    (@joined $first:ident $(, $other:ident)*) => {
        concat!(stringify!($first) $(, ", ", stringify!($other))*)
    };
}

file_row! {
    id: i64,
    tenant: String,
    state: String,
    type_name: String,
    name: String,
    disposition: String,
    declared_type: Option<String>,
    granted_type: String,
    min_size: i64,
    max_size: i64,
    checksum_sha256: Option<String>,
    staging_key: String,
    sealed_key: Option<String>,
    upload_id: Option<String>,
    part_size: Option<i64>,
    reissued: i64,
    refused: i64,
    size: i64,
    etag: Option<String>,
    detected_type: Option<String>,
    decided_type: Option<String>,
    verdict: Option<String>,
    pixel_width: Option<i64>,
    pixel_height: Option<i64>,
    created_at: Instant,
    updated_at: Instant,
    expires_at: Instant,
    created_by_id: i64,
    created_by_kind: String,
    updated_by_id: i64,
    updated_by_kind: String,
    deleted_at: Option<Instant>,
    deleted_by_id: Option<i64>,
    deleted_by_kind: Option<String>,
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

/// How the column `upload_id` tells a multipart upload from none, and one that the store was not asked for yet.
pub(super) fn upload_id(multipart: Option<&Multipart>) -> Option<&str> {
    multipart.map(|multipart| multipart.upload_id.as_deref().unwrap_or_default())
}
