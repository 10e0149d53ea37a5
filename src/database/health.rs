//! What an operator watches: connections, the queue of slips, what is due, and whether the tables are the right ones.

use time::OffsetDateTime;

use super::instant::Instant;
use super::{Database, DatabaseError, Engine, on_pool};

/// How busy the database's connections are, and who waits for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Connections that somebody works on.
    pub in_use: u32,
    /// Connections that wait for work.
    pub idle: u32,
    /// Most connections.
    pub most: u32,
    /// Temp records that wait to be written.
    pub queued: usize,
}

/// When the oldest thing was due that waits for a sweep; `None` where nothing waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Oldest {
    /// The end of the oldest slip.
    pub expired: Option<OffsetDateTime>,
    /// When the oldest object should have been deleted.
    pub doomed: Option<OffsetDateTime>,
}

/// What keeps a database that answers from being used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// Its file was removed or replaced since it was opened.
    File,
    /// Its tables are older than this program, or not there at all.
    Tables,
    /// Its records speak of this other storage.
    Storage(String),
}

impl Database {
    /// How busy it is; asks nobody.
    #[must_use]
    pub fn load(&self) -> Load {
        let (in_use, idle, most) = match &self.engine {
            Engine::Sqlite { read, write } => {
                let ((in_use, idle, most), writes) = (read.load(), u32::from(write.is_held()));
                (in_use + writes, idle + 1 - writes, most + 1)
            }
            Engine::Postgres(connections) => connections.load(),
        };
        Load { in_use, idle, most, queued: self.records.waiting() }
    }

    /// What has waited longest for a sweep.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn oldest_due(&self) -> Result<Oldest, DatabaseError> {
        let expired = "SELECT MIN(expires_at) FROM files WHERE state = 'temp'";
        let doomed = "SELECT MIN(delete_after) FROM doomed_objects";
        let (expired, doomed): (Option<Instant>, Option<Instant>) = on_pool!(self, read connection => {
            let expired = sqlx::query_scalar(expired).fetch_one(&mut *connection).await?;
            Ok((expired, sqlx::query_scalar(doomed).fetch_one(connection).await?))
        })?;
        Ok(Oldest { expired: expired.map(|at| at.0), doomed: doomed.map(|at| at.0) })
    }

    /// Why it cannot be used for that storage although it answers; `None` when all is well.
    ///
    /// Tables that are newer than this program are all right: migrations only add, and another broker may be upgraded first.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] when it does not answer.
    pub async fn unfit(&self, storage: &str) -> Result<Option<Unfit>, DatabaseError> {
        // Connections that are open know nothing of that.
        if let Engine::Sqlite { write, .. } = &self.engine
            && write.is_elsewhere()
        {
            return Ok(Some(Unfit::File));
        }
        let wanted = match &self.engine {
            Engine::Sqlite { .. } => super::SQLITE_MIGRATIONS.iter().map(|migration| migration.version).max(),
            Engine::Postgres(_) => super::POSTGRES_MIGRATIONS.iter().map(|migration| migration.version).max(),
        };
        let sql = "SELECT (SELECT MAX(version) FROM _sqlx_migrations WHERE success), (SELECT identity FROM storage)";
        let found: Result<(Option<i64>, Option<String>), sqlx::Error> =
            on_pool!(self, read connection => sqlx::query_as(sql).fetch_one(connection).await);
        match found.map_err(DatabaseError::from) {
            Ok((version, _)) if version < wanted => Ok(Some(Unfit::Tables)),
            Ok((_, Some(bound))) if bound != storage => Ok(Some(Unfit::Storage(bound))),
            Ok((_, bound)) => Ok(bound.is_none().then_some(Unfit::Tables)),
            Err(DatabaseError::Broken(_)) => Ok(Some(Unfit::Tables)),
            Err(away) => Err(away),
        }
    }
}
