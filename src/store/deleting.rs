//! Files that are deleted, brought back and purged.
//!
//! A deleted file keeps its record and owns its sealed object. Both go when it is purged: the record at once, the object by way of the
//! doomed list.

use sqlx::Connection as _;
use time::OffsetDateTime;

use super::files::{COLUMNS, FileRow, doom};
use super::instant::Instant;
use super::{Engine, Store, StoreError, on_pool, within_time};
use crate::domain::{Deletion, File};

impl Store {
    /// Deletes an active file. `None` when it is not `active` any more.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn delete_file(&self, file: &File, deletion: &Deletion) -> Result<Option<File>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE files SET state = 'deleted', deleted_at = $1, deleted_by_id = $2, deleted_by_kind = $3 \
             WHERE id = $4 AND tenant = $5 AND state = 'active' RETURNING {COLUMNS}"
        ));
        let row: Option<FileRow> = on_pool!(self, write connection => {
            let query = sqlx::query_as(sql).bind(Instant(deletion.at)).bind(deletion.by.id).bind(deletion.by.kind.as_str());
            query.bind(file.id.0).bind(file.tenant.as_str()).fetch_optional(connection).await
        })?;
        row.map(File::try_from).transpose()
    }

    /// Makes a deleted file what it was before. `None` when it is not `deleted` any more: somebody else brought it back, or it was
    /// purged.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn restore_file(&self, file: &File) -> Result<Option<File>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE files SET state = 'active', deleted_at = NULL, deleted_by_id = NULL, deleted_by_kind = NULL \
             WHERE id = $1 AND tenant = $2 AND state = 'deleted' RETURNING {COLUMNS}"
        ));
        let row: Option<FileRow> = on_pool!(self, write connection => {
            sqlx::query_as(sql).bind(file.id.0).bind(file.tenant.as_str()).fetch_optional(connection).await
        })?;
        row.map(File::try_from).transpose()
    }

    /// Forgets files that were deleted at `deleted_until` or before and dooms their sealed keys, all or nothing. At most `limit`,
    /// those that were deleted first; answers which.
    ///
    /// On Postgres those that somebody works on at the moment are passed over.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn purge_files(&self, deleted_until: OffsetDateTime, now: OffsetDateTime, limit: u32) -> Result<Vec<File>, StoreError> {
        let rows: Vec<FileRow> = match &self.engine {
            Engine::Sqlite { write, .. } => {
                let sql = sqlx::AssertSqlSafe(format!("DELETE FROM files WHERE id IN ({PURGEABLE}) RETURNING {COLUMNS}"));
                within_time!(write, connection => {
                    let mut transaction = connection.begin().await?;
                    let rows: Vec<FileRow> =
                        sqlx::query_as(sql).bind(Instant(deleted_until)).bind(i64::from(limit)).fetch_all(&mut *transaction).await?;
                    let keys = serde_json::to_string(&sealed_keys(&rows)).unwrap_or_default();
                    sqlx::query(DOOM_LISTED).bind(keys).bind(Instant(now)).execute(&mut *transaction).await?;
                    transaction.commit().await?;
                    Ok(rows)
                })
            }
            Engine::Postgres(pool) => {
                // An array and no subquery to join with, which a planner might run more than once: it locks.
                let sql = sqlx::AssertSqlSafe(format!(
                    "DELETE FROM files WHERE id = ANY(ARRAY({PURGEABLE} FOR UPDATE SKIP LOCKED)) RETURNING {COLUMNS}"
                ));
                within_time!(pool, connection => {
                    let mut transaction = connection.begin().await?;
                    let rows: Vec<FileRow> =
                        sqlx::query_as(sql).bind(Instant(deleted_until)).bind(i64::from(limit)).fetch_all(&mut *transaction).await?;
                    sqlx::query(DOOM_UNNESTED).bind(sealed_keys(&rows)).bind(Instant(now)).execute(&mut *transaction).await?;
                    transaction.commit().await?;
                    Ok(rows)
                })
            }
        }?;
        rows.into_iter().map(File::try_from).collect()
    }
}

const PURGEABLE: &str = "SELECT id FROM files WHERE state = 'deleted' AND deleted_at <= $1 ORDER BY deleted_at, id LIMIT $2";

/// `$1` is a list of keys.
const DOOM_LISTED: &str = doom!("SELECT value, $2, NULL FROM json_each($1) WHERE true");
const DOOM_UNNESTED: &str = doom!("SELECT key, $2, NULL FROM UNNEST($1::text[]) AS keys (key) ORDER BY key");

fn sealed_keys(rows: &[FileRow]) -> Vec<String> {
    rows.iter().filter_map(FileRow::sealed_key).map(ToOwned::to_owned).collect()
}
