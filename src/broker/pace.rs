//! How fast a sweep goes: it has time, and who waits for a slip has not.

use std::time::{Duration, Instant};

use crate::database::Database;

/// Batches of slips that follow each other more slowly hardly ever meet a sweep, so that it needs not give way.
const SELDOM: Duration = Duration::from_millis(10);

/// While it gives way, it leaves the database alone for so many times as long as it used it.
const REST: u32 = 3;

/// Looks at the load of slips from batch to batch.
pub(super) struct Pace<'a> {
    database: &'a Database,
    batches: u64,
    looked: Instant,
    gives_way: bool,
}

impl<'a> Pace<'a> {
    pub(super) fn new(database: &'a Database) -> Self {
        Self { database, batches: database.batches_of_slips(), looked: Instant::now(), gives_way: true }
    }

    /// The size of the next batch: `alone`, or `among_others` while slips are written.
    pub(super) fn batch<T>(&self, alone: T, among_others: T) -> T {
        if self.gives_way { among_others } else { alone }
    }

    /// After each batch, with the time for which it used the database.
    pub(super) async fn rest(&mut self, used: Duration) {
        let batches = self.database.batches_of_slips();
        let since = u32::try_from(batches - self.batches).unwrap_or(u32::MAX);
        self.gives_way = self.looked.elapsed() < SELDOM.saturating_mul(since);
        if self.gives_way {
            tokio::time::sleep(used.saturating_mul(REST)).await;
        }
        (self.batches, self.looked) = (batches, Instant::now());
    }
}
