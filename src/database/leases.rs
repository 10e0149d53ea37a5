//! Leases: for how long a broker has something to itself, by the clock of the database.
//!
//! The clocks of brokers differ, and each may be set forward or back. The database's is one for all of them. Should that one go back, a
//! lease would last longer by as much: so one that ends later than any could that was taken lately is over, too.

use std::time::Instant;

use time::{Duration, OffsetDateTime};

use super::{Database, DatabaseError, Engine, instant, on_pool};

/// For how long the time of the database is counted on from here.
const COUNTED_ON: std::time::Duration = std::time::Duration::from_mins(1);

/// From when to when somebody has something to himself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Now, by the database's clock.
    pub from: OffsetDateTime,
    /// When another may go on.
    pub until: OffsetDateTime,
}

impl Lease {
    /// One that begins now.
    #[must_use]
    pub fn of(length: Duration, from: OffsetDateTime) -> Self {
        Self { from, until: from + length }
    }

    /// No lease that is not over ends later: twice as long, for brokers that go by their own clocks.
    pub(super) fn latest_end(self) -> OffsetDateTime {
        self.until + (self.until - self.from)
    }
}

/// The clock of a database, as somebody knows it who asks it seldom.
#[derive(Debug, Default)]
pub struct DatabaseClock(Option<(OffsetDateTime, Instant)>);

impl DatabaseClock {
    /// What it shows now.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn now(&mut self, database: &Database) -> Result<OffsetDateTime, DatabaseError> {
        match self.0 {
            Some((then, at)) if at.elapsed() < COUNTED_ON => Ok(then + at.elapsed()),
            _ => {
                let now = database.clock().await?;
                self.0 = Some((now, Instant::now()));
                Ok(now)
            }
        }
    }
}

impl Database {
    /// What the database's clock shows.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn clock(&self) -> Result<OffsetDateTime, DatabaseError> {
        let sql = match &self.engine {
            Engine::Sqlite { .. } => "SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
            Engine::Postgres(_) => "SELECT clock_timestamp()",
        };
        let now: instant::Instant = on_pool!(self, read connection => sqlx::query_scalar(sql).fetch_one(connection).await)?;
        Ok(now.0)
    }
}
