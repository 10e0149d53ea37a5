//! File records and the doomed list.
//!
//! Clocks go back, and those of two brokers differ: nothing is written down as changed before it was made.

use serde_json::json;
use sqlx::Connection as _;
use time::OffsetDateTime;

use super::audit_log::{record, unreadable};
use super::churn::{self, Changed};
use super::doomed_keys::DOOM;
use super::file_row::{COLUMNS, FileRow};
use super::instant::Instant;
use super::search_name::{search_name, search_name_of};
use super::{Database, DatabaseError, on_pool};
use crate::domain::{Action, By, Change, File, FileId, Origin, SealedKey, StagingKey, Tenant};

impl Database {
    /// The tenant's file of that number.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn find_file(&self, tenant: &Tenant, id: FileId) -> Result<Option<File>, DatabaseError> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM files WHERE id = $1 AND tenant = $2"));
        let row: Option<FileRow> =
            on_pool!(self, read connection => sqlx::query_as(sql).bind(id.0).bind(tenant.as_str()).fetch_optional(connection).await)?;
        row.map(File::try_from).transpose()
    }

    /// The tenant's file whose current form may write that key, or could before it became active.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn find_upload(&self, tenant: &Tenant, staging_key: &StagingKey) -> Result<Option<File>, DatabaseError> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM files WHERE staging_key = $1 AND tenant = $2"));
        let row: Option<FileRow> = on_pool!(self, read connection => sqlx::query_as(sql).bind(staging_key.as_str()).bind(tenant.as_str()).fetch_optional(connection).await)?;
        row.map(File::try_from).transpose()
    }

    /// The file of any tenant whose current form may write that key, or could before it became active.
    ///
    /// Without a tenant: a bucket says which key was written, and not whose it is. What is done then is done for the file's owner.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn find_by_staging_key(&self, staging_key: &StagingKey) -> Result<Option<File>, DatabaseError> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM files WHERE staging_key = $1"));
        let row: Option<FileRow> =
            on_pool!(self, read connection => sqlx::query_as(sql).bind(staging_key.as_str()).fetch_optional(connection).await)?;
        row.map(File::try_from).transpose()
    }

    /// Puts `key`, of either kind, on the doomed list: to be deleted after `delete_after`, unless a file claims it first. With `in_parts`, an
    /// upload in parts may be open on it.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn doom(&self, key: &str, delete_after: OffsetDateTime, in_parts: bool) -> Result<(), DatabaseError> {
        on_pool!(self, write connection => {
            let query = sqlx::query(DOOM).bind(key).bind(Instant(delete_after)).bind(in_parts.then_some(""));
            query.execute(connection).await.map(drop)
        })?;
        Ok(())
    }

    /// Remembers the object store's name for the upload in parts that is open on a doomed key.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn name_upload(&self, key: &SealedKey, upload_id: &str) -> Result<(), DatabaseError> {
        let sql = "UPDATE doomed_objects SET upload_id = $2 WHERE key = $1";
        on_pool!(self, write connection => sqlx::query(sql).bind(key.as_str()).bind(upload_id).execute(connection).await.map(drop))?;
        Ok(())
    }

    /// Lets a temp file end then, unless somebody holds it once it is active.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn keep_until(&self, file: &File, until: OffsetDateTime) -> Result<(), DatabaseError> {
        let sql = "UPDATE files SET keep_until = $3 WHERE id = $1 AND tenant = $2 AND state = 'temp'";
        on_pool!(self, write connection => {
            sqlx::query(sql).bind(file.id.0).bind(file.tenant.as_str()).bind(Instant(until)).execute(connection).await.map(drop)
        })?;
        Ok(())
    }

    /// Gives an active file the name and disposition of `wished`, 60 times an hour at most.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn describe(&self, seen: &File, wished: &File, by: impl Into<By>, at: OffsetDateTime) -> Result<Changed, DatabaseError> {
        let by = by.into();
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
                .bind(by.actor.id)
                .bind(by.actor.kind.as_str())
                .bind(seen.id.0)
                .bind(seen.tenant.as_str())
                .bind(seen.name.as_str())
                .bind(seen.disposition.as_str())
                .bind(search_name_of(wished.name.as_str()))
                .bind(search_name(wished.name.as_str()))
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
