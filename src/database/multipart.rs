//! Files in parts: which upload of the object store's they are, and how long their slip lives.
//!
//! What changes a row and answers it is read to its end: for the first row alone sqlx lets SQLite commit without asking whether it could.

use time::OffsetDateTime;

use super::file_row::{COLUMNS, FileRow, upload_id};
use super::instant::Instant;
use super::{Database, DatabaseError, on_pool};
use crate::domain::File;

impl Database {
    /// Remembers the object store's name for the upload of a temp file that had none.
    ///
    /// `None` when the file is not `temp` any more, was given another key, or somebody else began an upload meanwhile.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn begin_upload(&self, file: &File, upload_id: &str) -> Result<Option<File>, DatabaseError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE files SET upload_id = $1 WHERE id = $2 AND tenant = $3 AND state = 'temp' AND staging_key = $4 AND upload_id = '' \
             RETURNING {COLUMNS}"
        ));
        let rows: Vec<FileRow> = on_pool!(self, write connection => {
            let query = sqlx::query_as(sql).bind(upload_id).bind(file.id.0).bind(file.tenant.as_str()).bind(file.staging_key.as_str());
            query.fetch_all(connection).await
        })?;
        rows.into_iter().next().map(File::try_from).transpose()
    }

    /// Forgets the upload of a temp file: it was put together and refused.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn end_upload(&self, file: &File) -> Result<(), DatabaseError> {
        let sql =
            "UPDATE files SET upload_id = '' WHERE id = $1 AND tenant = $2 AND state = 'temp' AND staging_key = $3 AND upload_id = $4";
        let known = upload_id(file.multipart.as_ref()).unwrap_or_default();
        on_pool!(self, write connection => {
            let query = sqlx::query(sql).bind(file.id.0).bind(file.tenant.as_str()).bind(file.staging_key.as_str()).bind(known);
            query.execute(connection).await.map(drop)
        })?;
        Ok(())
    }

    /// Lets a temp file's slip live until `expires_at`, or longer if it did already.
    ///
    /// `None` when the file is not `temp` any more, or was given another key.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn extend_slip(&self, file: &File, expires_at: OffsetDateTime) -> Result<Option<File>, DatabaseError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE files SET expires_at = CASE WHEN expires_at < $1 THEN $1 ELSE expires_at END \
             WHERE id = $2 AND tenant = $3 AND state = 'temp' AND staging_key = $4 RETURNING {COLUMNS}"
        ));
        let rows: Vec<FileRow> = on_pool!(self, write connection => {
            let query = sqlx::query_as(sql).bind(Instant(expires_at)).bind(file.id.0).bind(file.tenant.as_str()).bind(file.staging_key.as_str());
            query.fetch_all(connection).await
        })?;
        rows.into_iter().next().map(File::try_from).transpose()
    }
}
