//! Connections that go from one statement to the next.
//!
//! sqlx' pool asks a connection for a sign of life each time it is given back, SQLite's also each time one is taken: two switches between
//! threads, or a way to the server and back, which a short statement does not cost itself. So a connection that has just done what it
//! was asked stays out of the pool for a moment, for whoever comes next.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, Database, Pool};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Lent, PATIENCE};

/// For how long a connection that answered is taken to be alive.
const FRESH: Duration = Duration::from_millis(500);

/// For how long a connection stays out of the pool at most, which ends those that are old.
const LONGEST: Duration = Duration::from_mins(1);

/// The connections of a pool that are out of it and at rest.
pub(super) struct Kept<DB: Database> {
    /// As many as the pool has connections, so that nobody waits for the pool while one rests here.
    places: Arc<Semaphore>,
    resting: Arc<Mutex<Vec<Resting<DB>>>>,
}

struct Resting<DB: Database> {
    connection: PoolConnection<DB>,
    /// Where it came from, and when.
    pool: Pool<DB>,
    taken: Instant,
    /// When it last answered.
    answered: Instant,
}

/// A connection, for one at a time. Dropped, it goes back to the pool.
pub(super) struct InUse<DB: Database> {
    connection: PoolConnection<DB>,
    pool: Pool<DB>,
    taken: Instant,
    resting: Arc<Mutex<Vec<Resting<DB>>>>,
    _place: OwnedSemaphorePermit,
}

impl<DB: Database> Kept<DB> {
    /// For a pool of so many connections.
    pub(super) fn new(connections: u32) -> Self {
        Self { places: Arc::new(Semaphore::new(connections as usize)), resting: Arc::default() }
    }

    /// Waits for its turn; `pool` gives a connection when none rests here.
    pub(super) async fn acquire(&self, pool: &Pool<DB>) -> Result<InUse<DB>, sqlx::Error> {
        let waited = tokio::time::timeout(PATIENCE, self.places.clone().acquire_owned()).await;
        let place = waited.map_err(|_| sqlx::Error::PoolTimedOut)?.map_err(|_| sqlx::Error::PoolClosed)?;
        let (connection, pool, taken) = match self.rested(Instant::now()) {
            Some(Resting { connection, pool, taken, .. }) => (connection, pool, taken),
            None => (pool.acquire().await?, pool.clone(), Instant::now()),
        };
        Ok(InUse { connection, pool, taken, resting: self.resting.clone(), _place: place })
    }

    /// One that answered lately; the others go back to the pool.
    fn rested(&self, now: Instant) -> Option<Resting<DB>> {
        let is_good = |one: &Resting<DB>| {
            now.duration_since(one.answered) < FRESH && now.duration_since(one.taken) < LONGEST && !one.pool.is_closed()
        };
        let mut resting = locked(&self.resting);
        resting.retain(is_good);
        resting.pop()
    }

    /// How many rest here.
    pub(super) fn resting(&self) -> usize {
        locked(&self.resting).len()
    }

    /// Ends the pool's connections after what is under way.
    pub(super) async fn close(&self, pool: &Pool<DB>) {
        // From here on it is closed, and none of its connections comes to rest any more.
        let closing = pool.close();
        locked(&self.resting).clear();
        closing.await;
    }
}

impl<DB: Database> Lent for InUse<DB> {
    fn answered(self) {
        let Self { connection, pool, taken, resting, _place } = self;
        // A transaction that was dropped ends with the next thing said to the server: the pool sees to that at once.
        if connection.is_in_transaction() || connection.should_flush() {
            return;
        }
        let mut resting = locked(&resting);
        if !pool.is_closed() {
            resting.push(Resting { connection, pool, taken, answered: Instant::now() });
        }
    }

    fn give_up(self) {
        drop(self.connection.detach());
    }
}

impl<DB: Database> Deref for InUse<DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &DB::Connection {
        &self.connection
    }
}

impl<DB: Database> DerefMut for InUse<DB> {
    fn deref_mut(&mut self) -> &mut DB::Connection {
        &mut self.connection
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
    use sqlx::{Sqlite, SqliteConnection, SqlitePool};

    use super::*;

    const PLACES: u32 = 2;

    /// A database in memory for each connection: what one remembers tells which it is.
    async fn pool() -> SqlitePool {
        SqlitePoolOptions::new().max_connections(PLACES).acquire_timeout(PATIENCE).connect_with(SqliteConnectOptions::new()).await.unwrap()
    }

    async fn number(connection: &mut SqliteConnection) -> i64 {
        sqlx::query_scalar("PRAGMA user_version").fetch_one(connection).await.unwrap()
    }

    /// Takes a connection and writes a number into it.
    async fn numbered(kept: &Kept<Sqlite>, pool: &SqlitePool, number: u8) -> InUse<Sqlite> {
        let mut connection = kept.acquire(pool).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA user_version = {number}"))).execute(&mut *connection).await.unwrap();
        connection
    }

    #[tokio::test]
    async fn what_answered_is_handed_on_and_the_pool_does_not_see_it() {
        let (pool, kept) = (pool().await, Kept::new(PLACES));
        numbered(&kept, &pool, 7).await.answered();
        assert_eq!((kept.resting(), pool.num_idle()), (1, 0));
        let mut connection = kept.acquire(&pool).await.unwrap();
        assert_eq!((number(&mut connection).await, kept.resting()), (7, 0));
    }

    #[tokio::test]
    async fn what_failed_or_holds_a_transaction_goes_back_to_the_pool() {
        let (pool, kept) = (pool().await, Kept::new(PLACES));
        drop(numbered(&kept, &pool, 7).await);
        assert_eq!(kept.resting(), 0);
        let mut connection = kept.acquire(&pool).await.unwrap();
        // As a transaction that was forgotten: sqlx counts how deep it is in them.
        std::mem::forget(connection.begin().await.unwrap());
        connection.answered();
        assert_eq!(kept.resting(), 0);
    }

    #[tokio::test]
    async fn what_rested_too_long_or_is_out_too_long_goes_back_to_the_pool() {
        let (pool, kept) = (pool().await, Kept::new(PLACES));
        numbered(&kept, &pool, 7).await.answered();
        assert!(kept.rested(Instant::now() + FRESH).is_none());
        let mut connection = numbered(&kept, &pool, 7).await;
        connection.taken -= LONGEST;
        connection.answered();
        assert!(kept.rested(Instant::now()).is_none());
        assert_eq!(kept.resting(), 0);
    }

    #[tokio::test]
    async fn there_are_as_many_as_places_and_one_that_is_given_up_leaves_its_own() {
        let (pool, kept) = (pool().await, Kept::new(PLACES));
        for _ in 0..2 * PLACES {
            let (first, second) = (kept.acquire(&pool).await.unwrap(), kept.acquire(&pool).await.unwrap());
            assert_eq!(kept.places.available_permits(), 0);
            first.give_up();
            second.answered();
        }
        assert_eq!((kept.places.available_permits(), kept.resting()), (PLACES as usize, 1));
    }

    #[tokio::test]
    async fn a_pool_that_closes_waits_for_none_that_rests_and_gives_no_more() {
        let (pool, kept) = (pool().await, Kept::new(PLACES));
        let busy = kept.acquire(&pool).await.unwrap();
        numbered(&kept, &pool, 7).await.answered();
        let closing = tokio::time::timeout(PATIENCE, async {
            tokio::join!(kept.close(&pool), async {
                tokio::task::yield_now().await;
                busy.answered();
            })
        });
        closing.await.unwrap();
        assert_eq!((kept.resting(), pool.size()), (0, 0));
        assert!(matches!(kept.acquire(&pool).await, Err(sqlx::Error::PoolClosed)));
    }
}
