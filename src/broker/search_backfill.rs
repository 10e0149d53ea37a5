//! Names of before, made ready to be searched for.

use std::time::Instant;

use super::pace::Pace;
use super::{Broker, BrokerError};

/// How many names are looked at in one transaction, and how many while slips are written.
const BATCH: u32 = 500;
const BATCH_AMONG_OTHERS: u32 = 50;

impl Broker {
    /// Looks at every name that was written by a broker of before, so that it is found in each of its spellings; answers how many.
    ///
    /// Safe to repeat, after a crash and by several brokers at once. It gives way to slips as sweeps do.
    ///
    /// # Errors
    /// When the database fails; what was done by then stays done, the rest is found the next time.
    pub async fn fill_search_names(&self) -> Result<u64, BrokerError> {
        let (mut rows, mut below, mut pace) = (0, None, Pace::new(&self.database));
        loop {
            let began = Instant::now();
            let filled = self.database.fill_search_names(below, pace.batch(BATCH, BATCH_AMONG_OTHERS)).await?;
            rows += filled.rows;
            if filled.last.is_none() {
                return Ok(rows);
            }
            below = filled.last;
            pace.rest(began.elapsed()).await;
        }
    }
}
