//! What becomes of the audit log as it grows: lines are followed, so that they can be kept elsewhere, and old ones are taken out.

use time::OffsetDateTime;

use super::instant::Instant;
use super::{Database, DatabaseError, Engine, on_pool, within_time};

/// The triggers on `audit_log` let lines go that are older than what stands in `audit_retention`, which takes no time of less than 30 days
/// ago. By the database's clock: one of a broker that is ahead takes nothing too early.
const ALLOW_SQLITE: &str = "INSERT INTO audit_retention (only_one, before) VALUES (1, min($1, (unixepoch() - 30 * 86400) * 1000000))";
const ALLOW_POSTGRES: &str = "INSERT INTO audit_retention (only_one, before) VALUES (1, LEAST($1, now() - interval '30 days'))";

/// The oldest lines, by number: times need not rise with them where clocks differ.
const FORGET: &str = "DELETE FROM audit_log WHERE id IN (SELECT id FROM audit_log ORDER BY id LIMIT $1) \
                      AND at < (SELECT before FROM audit_retention)";

/// Where a log stands, as far as it is known now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The highest number of a line that is there.
    pub last: i64,
    /// On Postgres the transaction that it was made in: whatever had a number for a line by then was begun before.
    transaction: Option<i64>,
}

impl Database {
    /// Takes lines out of the audit log that were written before `before`, and at least 30 days ago: of the `limit` oldest ones those;
    /// answers how many.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn forget_audited(&self, before: OffsetDateTime, limit: u32) -> Result<u64, DatabaseError> {
        let allow = match &self.engine {
            Engine::Sqlite { .. } => ALLOW_SQLITE,
            Engine::Postgres(_) => ALLOW_POSTGRES,
        };
        let gone = on_pool!(self, write connection => {
            let mut transaction = sqlx::Connection::begin(connection).await?;
            // On Postgres, whoever else is at it waits here until this has ended.
            sqlx::query(allow).bind(Instant(before)).execute(&mut *transaction).await?;
            let gone = sqlx::query(FORGET).bind(i64::from(limit)).execute(&mut *transaction).await?.rows_affected();
            sqlx::query("DELETE FROM audit_retention").execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(gone)
        })?;
        Ok(gone)
    }

    /// Where the audit log stands. Lines up to there can still come on Postgres, where numbers are given out before lines are seen: until
    /// [`Database::audit_settled`].
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn audit_mark(&self) -> Result<Mark, DatabaseError> {
        let last = "SELECT COALESCE(MAX(id), 0) FROM audit_log";
        let both = "SELECT (SELECT COALESCE(MAX(id), 0) FROM audit_log), pg_current_xact_id()::text::bigint";
        match &self.engine {
            Engine::Sqlite { read, .. } => {
                let last = within_time!(@Read read, connection => sqlx::query_scalar(last).fetch_one(connection).await)?;
                Ok(Mark { last, transaction: None })
            }
            Engine::Postgres(pool) => {
                let query = sqlx::query_as(both);
                let (last, made_in): (i64, i64) = within_time!(@Read pool, connection => query.fetch_one(connection).await)?;
                Ok(Mark { last, transaction: Some(made_in) })
            }
        }
    }

    /// Whether all lines up to a mark are there: every transaction has ended that was under way when it was made. A transaction writes
    /// other rows before its line, so that one which has a number for a line is among them.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn audit_settled(&self, mark: Mark) -> Result<bool, DatabaseError> {
        let oldest = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint";
        match (&self.engine, mark.transaction) {
            (Engine::Postgres(pool), Some(made_in)) => {
                let oldest: i64 = within_time!(@Read pool, connection => sqlx::query_scalar(oldest).fetch_one(connection).await)?;
                Ok(oldest >= made_in)
            }
            _ => Ok(true),
        }
    }
}
