//! Files that are deleted, brought back and purged.
//!
//! A deleted file keeps its record and owns its sealed object. Both go when it is purged: the record at once, the object by way of the
//! doomed list.

use std::sync::LazyLock;

use serde_json::json;
use sqlx::Connection as _;
use time::OffsetDateTime;

use super::audit_log::{record, unreadable};
use super::churn::{self, Changed};
use super::doomed_keys::doom;
use super::file_row::{COLUMNS, FileRow};
use super::instant::Instant;
use super::{Database, DatabaseError, Engine, on_pool};
use crate::domain::{Action, By, Change, Deletion, File, Origin};

/// Deletes an active file in a transaction; `None` when it is not `active`.
macro_rules! delete {
    ($database:expr, $transaction:expr, $id:expr, $tenant:expr, $by:expr, $at:expr) => {{
        let by: $crate::domain::By = $by;
        let query = sqlx::query_as($crate::database::deletion::DELETE.as_str());
        let query = query.bind($crate::database::instant::Instant($at)).bind(by.actor.id).bind(by.actor.kind.as_str());
        let row: Option<$crate::database::file_row::FileRow> =
            query.bind($id.0).bind($tenant.as_str()).fetch_optional(&mut *$transaction).await?;
        let deleted = row.map(File::try_from).transpose().map_err($crate::database::audit_log::unreadable)?;
        if let Some(file) = &deleted {
            let change = $crate::domain::Change::new(file, $crate::domain::Action::Deleted, $crate::domain::Origin::Request(by), $at);
            $crate::database::audit_log::record!($database, $transaction, &change);
        }
        deleted
    }};
}
pub(super) use delete;

/// What it sends.
pub(super) static DELETE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "UPDATE files SET state = 'deleted', deleted_at = CASE WHEN created_at > $1 THEN created_at ELSE $1 END, \
         deleted_by_id = $2, deleted_by_kind = $3 WHERE id = $4 AND tenant = $5 AND state = 'active' RETURNING {COLUMNS}"
    )
});

impl Database {
    /// Deletes an active file. `None` when it is not `active` any more.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn delete_file(
        &self,
        file: &File,
        deletion: &Deletion,
        dialect: Option<&'static str>,
    ) -> Result<Option<File>, DatabaseError> {
        let by = By { actor: deletion.by, dialect };
        let deleted: Option<File> = on_pool!(self, write connection => {
            let mut transaction = connection.begin().await?;
            let deleted = delete!(self, transaction, file.id, file.tenant, by, deletion.at);
            transaction.commit().await?;
            Ok(deleted)
        })?;
        self.announce();
        Ok(deleted)
    }

    /// Makes a deleted file what it was before, 60 times an hour at most, and for good: whoever brings it back wants it. Outdated is what somebody else brought back, and what was purged.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn restore_file(&self, file: &File, by: impl Into<By>, at: OffsetDateTime) -> Result<Changed, DatabaseError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE files SET state = 'active', deleted_at = NULL, deleted_by_id = NULL, deleted_by_kind = NULL, keep_until = NULL \
             WHERE id = $1 AND tenant = $2 AND state = 'deleted' RETURNING {COLUMNS}"
        ));
        let restored = on_pool!(self, write connection => {
            let mut transaction = connection.begin().await?;
            let query = sqlx::query_as(sql).bind(file.id.0).bind(file.tenant.as_str());
            let row: Option<FileRow> = query.fetch_optional(&mut *transaction).await?;
            let Some(file) = row.map(File::try_from).transpose().map_err(unreadable)? else {
                transaction.rollback().await?;
                return Ok(Changed::Outdated);
            };
            let change = Change::new(&file, Action::Restored, Origin::Request(by.into()), at);
            if let Some(wait) = churn::wait!(transaction, &change) {
                transaction.rollback().await?;
                return Ok(Changed::TooOften(wait));
            }
            record!(self, transaction, &change);
            transaction.commit().await?;
            Ok(Changed::Done(Box::new(file)))
        })?;
        self.announce();
        Ok(restored)
    }

    /// Deletes active files whose time came by `now` and that nobody holds, all or nothing. At most `limit`, those that ended first; answers
    /// how many were looked at, and which were deleted. What somebody holds all the same, as a broker of the version before lets them, has no end from now on.
    ///
    /// On Postgres those that somebody works on at the moment are passed over.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn end_files(&self, now: OffsetDateTime, limit: u32) -> Result<(usize, Vec<File>), DatabaseError> {
        let due = sqlx::AssertSqlSafe(format!("{ENDING} {}", self.skip_locked()));
        let those = match &self.engine {
            Engine::Sqlite { .. } => "IN (SELECT value FROM json_each($1))",
            Engine::Postgres(_) => "= ANY(ARRAY(SELECT json_array_elements_text($1::json)::bigint))",
        };
        let held = "EXISTS (SELECT 1 FROM ticket_files WHERE file_id = files.id)";
        let keep = sqlx::AssertSqlSafe(format!("UPDATE files SET keep_until = NULL WHERE id {those} AND {held}"));
        let end = sqlx::AssertSqlSafe(format!(
            "UPDATE files SET state = 'deleted', deleted_at = CASE WHEN created_at > $2 THEN created_at ELSE $2 END, \
             deleted_by_id = created_by_id, deleted_by_kind = created_by_kind \
             WHERE id {those} AND state = 'active' AND keep_until <= $2 AND NOT {held} RETURNING {COLUMNS}"
        ));
        let ended = on_pool!(self, write connection => {
            let mut transaction = connection.begin().await?;
            // They are locked before anybody looks at who holds them: what is attached meanwhile waits, or is seen.
            let due: Vec<i64> = sqlx::query_scalar(due).bind(Instant(now)).bind(i64::from(limit)).fetch_all(&mut *transaction).await?;
            let ids = json!(due).to_string();
            sqlx::query(keep).bind(&ids).execute(&mut *transaction).await?;
            let rows: Vec<FileRow> = sqlx::query_as(end).bind(&ids).bind(Instant(now)).fetch_all(&mut *transaction).await?;
            let ended = rows.into_iter().map(|row| File::try_from(row).map_err(unreadable)).collect::<Result<Vec<_>, _>>()?;
            for file in &ended {
                record!(self, transaction, &Change::new(file, Action::Deleted, Origin::Sweep, now));
            }
            transaction.commit().await?;
            Ok((due.len(), ended))
        })?;
        self.announce();
        Ok(ended)
    }

    /// Forgets files that were deleted at `deleted_until` or before and dooms their sealed keys, all or nothing. At most `limit`,
    /// those that were deleted first; answers which.
    ///
    /// On Postgres those that somebody works on at the moment are passed over.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn purge_files(&self, deleted_until: OffsetDateTime, now: OffsetDateTime, limit: u32) -> Result<Vec<File>, DatabaseError> {
        let (which, doom) = match &self.engine {
            Engine::Sqlite { .. } => (format!("IN ({PURGEABLE})"), doom!("SELECT value, $2, NULL FROM json_each($1) WHERE true")),
            // An array and no subquery to join with, which a planner might run more than once: it locks.
            Engine::Postgres(_) => (
                format!("= ANY(ARRAY({PURGEABLE} FOR UPDATE SKIP LOCKED))"),
                doom!("SELECT key, $2, NULL FROM json_array_elements_text($1::json) AS keys (key) ORDER BY key"),
            ),
        };
        let sql = sqlx::AssertSqlSafe(format!("DELETE FROM files WHERE id {which} RETURNING {COLUMNS}"));
        let purged = on_pool!(self, write connection => {
            let mut transaction = connection.begin().await?;
            let rows: Vec<FileRow> =
                sqlx::query_as(sql).bind(Instant(deleted_until)).bind(i64::from(limit)).fetch_all(&mut *transaction).await?;
            let keys = json!(rows.iter().filter_map(FileRow::sealed_key).collect::<Vec<_>>());
            sqlx::query(doom).bind(keys.to_string()).bind(Instant(now)).execute(&mut *transaction).await?;
            let purged = rows.into_iter().map(|row| File::try_from(row).map_err(unreadable)).collect::<Result<Vec<_>, _>>()?;
            for file in &purged {
                record!(self, transaction, &Change::new(file, Action::Purged, Origin::Sweep, now));
            }
            transaction.commit().await?;
            Ok(purged)
        })?;
        Ok(purged)
    }
}

const ENDING: &str = "SELECT id FROM files WHERE state = 'active' AND keep_until <= $1 ORDER BY keep_until, id LIMIT $2";

const PURGEABLE: &str = "SELECT id FROM files WHERE state = 'deleted' AND deleted_at <= $1 ORDER BY deleted_at, id LIMIT $2";
