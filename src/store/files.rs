//! File records and the doomed list.
//!
//! Clocks go back, and those of two brokers differ: nothing is written down as changed before it was made.

use std::str::FromStr;

use serde_json::json;
use sqlx::{ColumnIndex, Connection as _, Decode, FromRow, Row, Type};
use time::{Duration, OffsetDateTime};

use super::churn::{self, Changed};
use super::history::{record, unreadable};
use super::instant::Instant;
use super::searching::SearchName;
use super::{Store, StoreError, on_pool};
use crate::domain::{
    Action, Actor, Caller, Change, Deletion, Evidence, File, FileId, FileName, FileState, Grant, Multipart, NewFile, Origin, Pixels, Tenant,
};

/// A temp record about to be written.
#[derive(Debug)]
pub struct NewRow<'a> {
    /// What the caller asked for.
    pub new: &'a NewFile,
    /// What was granted.
    pub grant: &'a Grant,
    /// Who asked.
    pub caller: &'a Caller,
    /// The key its form may write.
    pub staging_key: &'a str,
    /// How it is uploaded in parts, if it is; the store was not asked for an upload yet.
    pub multipart: Option<Multipart>,
    /// Now.
    pub created_at: OffsetDateTime,
    /// When its form dies.
    pub expires_at: OffsetDateTime,
}

/// What a file becomes active with.
#[derive(Debug)]
pub struct Sealed<'a> {
    /// The key it was copied to; must still be in the doomed list.
    pub key: &'a str,
    /// Bytes.
    pub size: u64,
    /// The sealed object's entity tag.
    pub etag: &'a str,
    /// What was seen and decided.
    pub evidence: &'a Evidence,
    /// Whose file it is in the record from now on.
    pub actor: Actor,
    /// What made dropslip confirm it.
    pub origin: Origin,
    /// Now.
    pub at: OffsetDateTime,
    /// How long after its form's end the staging object is deleted (again): bytes may still be arriving.
    pub late_uploads: Duration,
}

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
    fn evidence(&self) -> Result<Option<Evidence>, StoreError> {
        let (Some(verdict), Some(decided)) = (&self.verdict, &self.decided_type) else { return Ok(None) };
        let pixels = |side: i64| u32::try_from(side).map_err(|_| StoreError::Broken(format!("{side} is stored where pixels belong")));
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

    fn deleted(&self) -> Result<Option<Deletion>, StoreError> {
        let (Some(at), Some(id), Some(kind)) = (self.deleted_at, self.deleted_by_id, &self.deleted_by_kind) else { return Ok(None) };
        Ok(Some(Deletion { at: at.0, by: Actor { id, kind: parsed(kind)? } }))
    }

    fn multipart(&self) -> Result<Option<Multipart>, StoreError> {
        let Some(upload_id) = &self.upload_id else { return Ok(None) };
        let part_size = self.part_size.map(unsigned).transpose()?;
        Ok(Some(Multipart { upload_id: Some(upload_id.clone()).filter(|id| !id.is_empty()), part_size }))
    }
}

impl TryFrom<FileRow> for File {
    type Error = StoreError;

    fn try_from(row: FileRow) -> Result<Self, StoreError> {
        let id = row.id;
        let evidence = row.evidence()?;
        let multipart = row.multipart()?;
        let deleted = row.deleted()?;
        Ok(Self {
            id: FileId(id),
            tenant: parsed(&row.tenant)?,
            state: parsed(&row.state)?,
            type_name: row.type_name,
            name: FileName::sanitized(&row.name),
            disposition: parsed(&row.disposition)?,
            declared_type: row.declared_type.as_deref().map(parsed).transpose()?,
            granted_type: parsed(&row.granted_type)?,
            min_size: unsigned(row.min_size)?,
            max_size: unsigned(row.max_size)?,
            checksum_sha256: row.checksum_sha256.as_deref().map(parsed).transpose()?,
            staging_key: row.staging_key,
            sealed_key: row.sealed_key,
            multipart,
            reissued: unsigned(row.reissued)?,
            refused: unsigned(row.refused)?,
            size: unsigned(row.size)?,
            etag: row.etag,
            evidence,
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
            expires_at: row.expires_at.0,
            created_by: Actor { id: row.created_by_id, kind: parsed(&row.created_by_kind)? },
            updated_by: Actor { id: row.updated_by_id, kind: parsed(&row.updated_by_kind)? },
            deleted,
        })
    }
}

/// A word this program wrote itself; anything else means that someone else wrote to the database.
pub(super) fn parsed<T: FromStr<Err = String>>(word: &str) -> Result<T, StoreError> {
    word.parse().map_err(|why| StoreError::Broken(format!("‘{word}’ is stored where it {why}")))
}

pub(super) fn unsigned(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Broken(format!("{number} is stored where no number below 0 belongs")))
}

pub(super) fn signed(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Broken(format!("{number} is more than the database can hold")))
}

impl Store {
    /// The tenant's file of that number.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn find_file(&self, tenant: &Tenant, id: FileId) -> Result<Option<File>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM files WHERE id = $1 AND tenant = $2"));
        let row: Option<FileRow> =
            on_pool!(self, read connection => sqlx::query_as(sql).bind(id.0).bind(tenant.as_str()).fetch_optional(connection).await)?;
        row.map(File::try_from).transpose()
    }

    /// The tenant's file whose current form may write that key, or could before it became active.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn find_upload(&self, tenant: &Tenant, staging_key: &str) -> Result<Option<File>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM files WHERE staging_key = $1 AND tenant = $2"));
        let row: Option<FileRow> = on_pool!(self, read connection => sqlx::query_as(sql).bind(staging_key).bind(tenant.as_str()).fetch_optional(connection).await)?;
        row.map(File::try_from).transpose()
    }

    /// The file of any tenant whose current form may write that key, or could before it became active.
    ///
    /// Without a tenant: a bucket says which key was written, and not whose it is. What is done then is done for the file's owner.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn find_by_staging_key(&self, staging_key: &str) -> Result<Option<File>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM files WHERE staging_key = $1"));
        let row: Option<FileRow> =
            on_pool!(self, read connection => sqlx::query_as(sql).bind(staging_key).fetch_optional(connection).await)?;
        row.map(File::try_from).transpose()
    }

    /// Puts `key` on the doomed list: to be deleted after `delete_after`, unless a file claims it first. With `in_parts`, an
    /// upload in parts may be open on it.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn doom(&self, key: &str, delete_after: OffsetDateTime, in_parts: bool) -> Result<(), StoreError> {
        on_pool!(self, write connection => {
            let query = sqlx::query(DOOM).bind(key).bind(Instant(delete_after)).bind(in_parts.then_some(""));
            query.execute(connection).await.map(drop)
        })?;
        Ok(())
    }

    /// Makes a temp file active with the name and disposition of `file`, claims its sealed key and dooms its staging key, all or
    /// nothing.
    ///
    /// `None` when there is nothing to do: the file is not `temp` any more, has another staging key since, or the sealed key is
    /// no longer on the doomed list (its object may be gone).
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn activate(&self, file: &File, sealed: &Sealed<'_>) -> Result<Option<File>, StoreError> {
        let size = signed(sealed.size)?;
        let evidence = sealed.evidence;
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE files SET state = $1, sealed_key = $2, size = $3, etag = $4, updated_at = CASE WHEN created_at > $5 THEN created_at ELSE $5 END, updated_by_id = $6, updated_by_kind = $7, \
             detected_type = $12, decided_type = $13, verdict = $14, pixel_width = $15, pixel_height = $16, \
             upload_id = CASE WHEN upload_id IS NULL THEN NULL ELSE '' END, name = $17, disposition = $18, \
             search_name_of = $19, search_name = $20 \
             WHERE id = $8 AND tenant = $9 AND state = $10 AND staging_key = $11 RETURNING {COLUMNS}"
        ));
        let active: Option<File> = on_pool!(self, write connection => {
            let mut transaction = connection.begin().await?;
            let row: Option<FileRow> = sqlx::query_as(sql)
                .bind(FileState::Active.as_str())
                .bind(sealed.key)
                .bind(size)
                .bind(sealed.etag)
                .bind(Instant(sealed.at))
                .bind(sealed.actor.id)
                .bind(sealed.actor.kind.as_str())
                .bind(file.id.0)
                .bind(file.tenant.as_str())
                .bind(FileState::Temp.as_str())
                .bind(&file.staging_key)
                .bind(evidence.detected.as_ref().map(ToString::to_string))
                .bind(evidence.decided.to_string())
                .bind(evidence.verdict.as_str())
                .bind(evidence.pixels.map(|pixels| i64::from(pixels.width)))
                .bind(evidence.pixels.map(|pixels| i64::from(pixels.height)))
                .bind(file.name.as_str())
                .bind(file.disposition.as_str())
                .bind(SearchName::of(&file.name).of)
                .bind(SearchName::of(&file.name).composed)
                .fetch_optional(&mut *transaction)
                .await?;
            let claimed = sqlx::query(CLAIM).bind(sealed.key).execute(&mut *transaction).await?;
            let (Some(row), 1) = (row, claimed.rows_affected()) else {
                transaction.rollback().await?;
                return Ok(None);
            };
            // By the row's own word: another form for the same key may have been signed since the caller read it.
            let doomed_until = row.expires_at.0 + sealed.late_uploads;
            let doom = sqlx::query(DOOM).bind(&file.staging_key).bind(Instant(doomed_until)).bind(upload_id(file.multipart.as_ref()));
            doom.execute(&mut *transaction).await?;
            let active = File::try_from(row).map_err(unreadable)?;
            record!(self, transaction, &Change::new(&active, Action::Activated, sealed.origin, sealed.at));
            transaction.commit().await?;
            Ok(Some(active))
        })?;
        self.announce();
        Ok(active)
    }

    /// Gives an active file the name and disposition of `wished`, 60 times an hour at most.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn describe(&self, seen: &File, wished: &File, by: Actor, at: OffsetDateTime) -> Result<Changed, StoreError> {
        let before = json!({"filename": seen.name.as_str(), "disposition": seen.disposition.as_str()});
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE files SET name = $1, disposition = $2, updated_at = CASE WHEN created_at > $3 THEN created_at ELSE $3 END, updated_by_id = $4, updated_by_kind = $5, \
             search_name_of = $10, search_name = $11 \
             WHERE id = $6 AND tenant = $7 AND state = 'active' AND name = $8 AND disposition = $9 RETURNING {COLUMNS}"
        ));
        let described = on_pool!(self, write connection => {
            let mut transaction = connection.begin().await?;
            let row: Option<FileRow> = sqlx::query_as(sql)
                .bind(wished.name.as_str())
                .bind(wished.disposition.as_str())
                .bind(Instant(at))
                .bind(by.id)
                .bind(by.kind.as_str())
                .bind(seen.id.0)
                .bind(seen.tenant.as_str())
                .bind(seen.name.as_str())
                .bind(seen.disposition.as_str())
                .bind(SearchName::of(&wished.name).of)
                .bind(SearchName::of(&wished.name).composed)
                .fetch_optional(&mut *transaction)
                .await?;
            let Some(file) = row.map(File::try_from).transpose().map_err(unreadable)? else {
                transaction.rollback().await?;
                return Ok(Changed::Outdated);
            };
            let change = Change::new(&file, Action::Renamed, Origin::Request(by), at).with("disposition", file.disposition.as_str());
            let change = change.with("before", before);
            if let Some(wait) = churn::wait!(transaction, &change) {
                transaction.rollback().await?;
                return Ok(Changed::TooOften(wait));
            }
            record!(self, transaction, &change);
            transaction.commit().await?;
            Ok(Changed::Done(Box::new(file)))
        })?;
        Ok(described)
    }
}

/// Takes a key off the doomed list, unless a sweeper has taken it on: its object may be gone already.
const CLAIM: &str = "DELETE FROM doomed_objects WHERE key = $1 AND leased_until IS NULL";

/// Puts what `$rows` yields on the doomed list. A key doomed twice keeps the later time, and the upload that may be open on it.
macro_rules! doom {
    ($rows:literal) => {
        concat!(
            "INSERT INTO doomed_objects (key, delete_after, upload_id) ",
            $rows,
            " ON CONFLICT (key) DO UPDATE SET upload_id = COALESCE(excluded.upload_id, doomed_objects.upload_id), delete_after = \
             CASE WHEN doomed_objects.delete_after < excluded.delete_after THEN excluded.delete_after ELSE doomed_objects.delete_after END"
        )
    };
}
pub(super) use doom;

pub(super) const DOOM: &str = doom!("VALUES ($1, $2, $3)");

/// How the column `upload_id` tells a multipart upload from none, and one that the store was not asked for yet.
pub(super) fn upload_id(multipart: Option<&Multipart>) -> Option<&str> {
    multipart.map(|multipart| multipart.upload_id.as_deref().unwrap_or_default())
}
