//! A slip again: a fresh form for the same temp file, asked for by number or by Idempotency-Key.

use sqlx::Connection as _;
use time::OffsetDateTime;

use super::doomed_keys::DOOM;
use super::file_row::{COLUMNS, FileRow, upload_id};
use super::instant::Instant;
use super::{Database, DatabaseError, on_pool};
use crate::domain::{Caller, File, FileId, StagingKey};

/// A fresh form for a temp file.
#[derive(Debug)]
pub struct Reissued<'a> {
    /// The key the new form may write; may be the old one.
    pub staging_key: &'a StagingKey,
    /// When the new form dies.
    pub expires_at: OffsetDateTime,
    /// Who asked.
    pub caller: &'a Caller,
    /// Now.
    pub at: OffsetDateTime,
    /// When the old staging object is to be deleted, if the key is another.
    pub old_doomed_until: OffsetDateTime,
}

/// What an Idempotency-Key was used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// The file it made.
    pub file_id: FileId,
    /// What was asked for.
    pub request_sha256: Vec<u8>,
    /// When.
    pub created_at: OffsetDateTime,
}

impl Database {
    /// Gives a temp file a new staging key and expiry, and dooms the old key, all or nothing.
    ///
    /// `None` when the file is not `temp` any more, or was given another key meanwhile.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn reissue(&self, file: &File, new: &Reissued<'_>) -> Result<Option<File>, DatabaseError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE files SET staging_key = $1, expires_at = $2, updated_at = CASE WHEN created_at > $3 THEN created_at ELSE $3 END, updated_by_id = $4, updated_by_kind = $5, \
             reissued = reissued + CASE WHEN staging_key = $1 THEN 0 ELSE 1 END, \
             upload_id = CASE WHEN staging_key = $1 OR upload_id IS NULL THEN upload_id ELSE '' END \
             WHERE id = $6 AND tenant = $7 AND state = 'temp' AND staging_key = $8 AND expires_at = $9 \
             AND COALESCE(upload_id, '') = $10 RETURNING {COLUMNS}"
        ));
        let row: Option<FileRow> = on_pool!(self, write connection => {
            let mut transaction = connection.begin().await?;
            let row = sqlx::query_as(sql)
                .bind(new.staging_key.as_str())
                .bind(Instant(new.expires_at))
                .bind(Instant(new.at))
                .bind(new.caller.actor.id)
                .bind(new.caller.actor.kind.as_str())
                .bind(file.id.0)
                .bind(file.tenant.as_str())
                .bind(file.staging_key.as_str())
                .bind(Instant(file.expires_at))
                .bind(upload_id(file.multipart.as_ref()).unwrap_or_default())
                .fetch_optional(&mut *transaction)
                .await?;
            if row.is_some() && file.staging_key != *new.staging_key {
                let doom = sqlx::query(DOOM).bind(file.staging_key.as_str()).bind(Instant(new.old_doomed_until));
                doom.bind(upload_id(file.multipart.as_ref())).execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
            Ok(row)
        })?;
        row.map(File::try_from).transpose()
    }

    /// What the caller used that Idempotency-Key for.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn find_idempotency_key(&self, caller: &Caller, key: &str) -> Result<Option<Used>, DatabaseError> {
        let sql = "SELECT file_id, request_sha256, created_at FROM idempotency_keys \
                   WHERE tenant = $1 AND actor_kind = $2 AND actor_id = $3 AND key = $4";
        let row: Option<(i64, Vec<u8>, Instant)> = on_pool!(self, read connection => {
            sqlx::query_as(sql)
                .bind(caller.tenant.as_str())
                .bind(caller.actor.kind.as_str())
                .bind(caller.actor.id)
                .bind(key)
                .fetch_optional(connection)
                .await
        })?;
        Ok(row.map(|(id, request_sha256, at)| Used { file_id: FileId(id), request_sha256, created_at: at.0 }))
    }
}
