//! Connections that go from one statement to the next.
//!
//! sqlx' own pool pings a connection each time it is given back, and mostly also when one is taken: two switches
//! between threads, or a way to the server and back, which a short statement does not cost itself. It waits for that without end, so
//! that a network that swallows everything takes away all its places. Here a connection that did what it was asked is handed on as it
//! is; only one that lay idle, or whose caller went away in the middle, must show that it works, in time.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::Connection;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::statement::{ACQUIRE_TIMEOUT, ANSWER_TIMEOUT, Holding, Lent};
use super::writes::Writes;

/// For how long a connection that answered is taken to be alive.
const FRESH: Duration = Duration::from_millis(500);

/// How long a connection that lay idle for longer may take to show that it still works; then another one is opened.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// For how long a connection that nobody needs is kept.
const LONGEST_IDLE: Duration = Duration::from_mins(10);

/// For how long a connection is used: whatever a server gathers for one, it is free of it then.
const LONGEST: Duration = Duration::from_mins(30);

/// How often it is pinged: what it was doing may fail in between, by our own wish or not.
const SIGNS: usize = 3;

/// How a connection is opened.
pub(super) trait Opened: Connection + Sized {
    /// Where to.
    type Way: Send + Sync + 'static;
    /// What stops it.
    type Stop: Stop;

    /// Opens one and makes it ready for use.
    fn open(way: &Self::Way) -> impl Future<Output = Result<(Self, Self::Stop), sqlx::Error>> + Send;
}

/// Makes one connection leave what it is doing.
pub(super) trait Stop: Send + Sync + 'static {
    /// Says so without waiting, where that is possible.
    fn wish(&self);

    /// Sends it. Answers whether that is over: else it may yet meet what the connection does later.
    fn tell(&self) -> impl Future<Output = bool> + Send;

    /// It has left it, and may do something else.
    fn done(&self);
}

/// Connections to one database, so many at most.
pub(super) struct Pool<C: Opened> {
    way: C::Way,
    most: u32,
    shared: Arc<Shared<C>>,
    writes: Writes,
}

struct Shared<C: Opened> {
    /// One for each connection that is neither at rest nor closed.
    places: Arc<Semaphore>,
    resting: Mutex<Vec<Resting<C>>>,
}

struct Resting<C: Opened> {
    connection: C,
    stop: C::Stop,
    opened: Instant,
    answered: Instant,
}

/// A connection, for one at a time.
pub(super) struct InUse<C: Opened + 'static> {
    /// There until somebody is done with it.
    connection: Option<(C, C::Stop)>,
    opened: Instant,
    shared: Arc<Shared<C>>,
    place: Option<OwnedSemaphorePermit>,
    /// What is held until it is done with its work. With that, it is stopped when its caller goes away.
    holding: Option<Holding>,
    failed: bool,
}

impl<C: Opened + 'static> Pool<C> {
    /// Opens the first connection, to see that it can.
    pub(super) async fn open(way: C::Way, most: u32) -> Result<Self, sqlx::Error> {
        let places = Arc::new(Semaphore::new(most as usize));
        let shared = Arc::new(Shared { places, resting: Mutex::default() });
        let kept = Self { way, most, shared, writes: Writes::default() };
        kept.acquire().await?.answered();
        Ok(kept)
    }

    /// Waits for a free connection.
    pub(super) async fn acquire(&self) -> Result<InUse<C>, sqlx::Error> {
        tokio::time::timeout(ACQUIRE_TIMEOUT, self.next()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    async fn next(&self) -> Result<InUse<C>, sqlx::Error> {
        let place = self.shared.places.clone().acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let (connection, opened) = match self.rested().await {
            Some(Resting { connection, stop, opened, .. }) => ((connection, stop), opened),
            None => (C::open(&self.way).await?, Instant::now()),
        };
        let (connection, place) = (Some(connection), Some(place));
        Ok(InUse { connection, opened, shared: self.shared.clone(), place, holding: None, failed: false })
    }

    /// One that works.
    async fn rested(&self) -> Option<Resting<C>> {
        let mut rested = self.shared.newest(Instant::now())?;
        if rested.answered.elapsed() >= FRESH && !works(&mut rested.connection, SIGN_OF_LIFE).await {
            // The others lay here no shorter: not each of them needs a second to show that it is gone.
            self.shared.resting().clear();
            return None;
        }
        Some(rested)
    }

    /// Whether writes succeed.
    pub(super) fn writes(&self) -> &Writes {
        &self.writes
    }

    /// Connections in use, those at rest, and how many there may be.
    pub(super) fn load(&self) -> (u32, u32, u32) {
        let free = u32::try_from(self.shared.places.available_permits()).unwrap_or(self.most);
        let resting = u32::try_from(self.shared.resting().len()).unwrap_or(self.most);
        (self.most - free.min(self.most), resting, self.most)
    }

    /// Ends all connections after what is under way.
    pub(super) async fn close(&self) {
        // Whoever waits already comes first.
        let _all = tokio::time::timeout(2 * ANSWER_TIMEOUT, self.shared.places.acquire_many(self.most)).await;
        self.shared.places.close();
        let resting = std::mem::take(&mut *self.shared.resting());
        for one in resting {
            let _ = tokio::time::timeout(SIGN_OF_LIFE, one.connection.close()).await;
        }
    }
}

/// Without the way, which has the password.
impl<C: Opened> fmt::Debug for Pool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("most", &self.most).finish_non_exhaustive()
    }
}

impl<C: Opened> Shared<C> {
    fn resting(&self) -> MutexGuard<'_, Vec<Resting<C>>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that answered last, after those that are too old were closed.
    fn newest(&self, now: Instant) -> Option<Resting<C>> {
        let mut resting = self.resting();
        resting.retain(|one| now.duration_since(one.opened) < LONGEST && now.duration_since(one.answered) < LONGEST_IDLE);
        resting.pop()
    }

    /// Keeps a connection that has nothing more to do.
    fn keep(&self, (connection, stop): (C, C::Stop), opened: Instant) {
        // With a transaction on it, or half a request, it is of no use to anybody: closed, it holds no locks.
        if !connection.is_in_transaction() && !connection.should_flush() && !self.places.is_closed() {
            self.resting().push(Resting { connection, stop, opened, answered: Instant::now() });
        }
    }
}

async fn works<C: Connection>(connection: &mut C, patience: Duration) -> bool {
    let signs = async {
        for _ in 0..SIGNS {
            match connection.ping().await {
                // What it did before has failed, and says so first.
                Err(sqlx::Error::Database(_)) => {}
                sign => return sign.is_ok(),
            }
        }
        false
    };
    tokio::time::timeout(patience, signs).await.unwrap_or(false)
}

impl<C: Opened + 'static> Lent for InUse<C> {
    type Connection = C;

    fn connection(&mut self) -> Result<&mut C, sqlx::Error> {
        self.connection.as_mut().map(|(connection, _)| connection).ok_or(sqlx::Error::PoolClosed)
    }

    fn stoppable(&mut self, holding: Holding) {
        self.holding = Some(holding);
    }

    fn answered(mut self) {
        if let Some(connection) = self.connection.take() {
            self.shared.keep(connection, self.opened);
        }
    }

    fn failed(mut self) {
        self.failed = true;
    }

    fn give_up(mut self) {
        if let Some((_, stop)) = self.connection.take() {
            stop.wish();
        }
    }
}

/// Its caller went away, or its statement failed: it may still be at work, and holds its place until it is not.
impl<C: Opened + 'static> Drop for InUse<C> {
    fn drop(&mut self) {
        let (Some((mut connection, stop)), Ok(runtime)) = (self.connection.take(), Handle::try_current()) else { return };
        let (shared, opened, place, holding) = (self.shared.clone(), self.opened, self.place.take(), self.holding.take());
        let is_stopped = holding.is_some() && !self.failed;
        if is_stopped {
            stop.wish();
        }
        runtime.spawn(async move {
            let is_over = !is_stopped || stop.tell().await;
            if works(&mut connection, ANSWER_TIMEOUT).await && is_over {
                stop.done();
                shared.keep((connection, stop), opened);
            }
            drop((place, holding));
        });
    }
}

#[cfg(test)]
mod tests {
    use sqlx::SqliteConnection;
    use sqlx::sqlite::SqliteConnectOptions;

    use super::*;

    const MOST: u32 = 2;

    /// A database in memory for each connection: what one remembers tells which it is.
    async fn kept() -> Pool<SqliteConnection> {
        Pool::open(SqliteConnectOptions::new(), MOST).await.unwrap()
    }

    async fn number(connection: &mut InUse<SqliteConnection>) -> i64 {
        sqlx::query_scalar("PRAGMA user_version").fetch_one(connection.connection().unwrap()).await.unwrap()
    }

    /// Takes a connection and writes a number into it.
    async fn numbered(kept: &Pool<SqliteConnection>, number: u8) -> InUse<SqliteConnection> {
        let mut connection = kept.acquire().await.unwrap();
        let write = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {number}"));
        sqlx::query(write).execute(connection.connection().unwrap()).await.unwrap();
        connection
    }

    async fn settled(kept: &Pool<SqliteConnection>) {
        while kept.load().0 > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_answered_is_handed_on() {
        let kept = kept().await;
        assert_eq!(kept.load(), (0, 1, MOST));
        let connection = numbered(&kept, 7).await;
        assert_eq!(kept.load(), (1, 0, MOST));
        connection.answered();
        assert_eq!(number(&mut kept.acquire().await.unwrap()).await, 7);
    }

    #[tokio::test]
    async fn what_was_dropped_holds_its_place_until_it_shows_that_it_works() {
        let kept = kept().await;
        let (first, second) = (numbered(&kept, 7).await, numbered(&kept, 8).await);
        drop((first, second));
        assert_eq!(kept.load(), (MOST, 0, MOST));
        settled(&kept).await;
        assert_eq!(kept.load(), (0, MOST, MOST));
        assert!([7, 8].contains(&number(&mut kept.acquire().await.unwrap()).await));
    }

    #[tokio::test]
    async fn what_holds_a_transaction_is_closed() {
        let kept = kept().await;
        let mut connection = kept.acquire().await.unwrap();
        // As a transaction that was forgotten: sqlx counts how deep it is in them.
        std::mem::forget(connection.connection().unwrap().begin().await.unwrap());
        connection.answered();
        assert_eq!(kept.load(), (0, 0, MOST));
    }

    #[tokio::test]
    async fn what_is_old_is_closed_and_what_lay_idle_is_asked_for_a_sign_of_life() {
        let kept = kept().await;
        let now = Instant::now();
        assert!(kept.shared.newest(now + LONGEST_IDLE).is_none());
        numbered(&kept, 7).await.answered();
        kept.shared.resting().iter_mut().for_each(|one| one.answered -= 2 * FRESH);
        let mut connection = kept.acquire().await.unwrap();
        assert_eq!(number(&mut connection).await, 7);
        connection.opened -= LONGEST;
        connection.answered();
        assert_eq!(number(&mut kept.acquire().await.unwrap()).await, 0);
    }

    #[tokio::test]
    async fn there_are_as_many_as_places_and_one_that_is_given_up_leaves_its_own() {
        let kept = kept().await;
        for _ in 0..2 * MOST {
            let (first, second) = (kept.acquire().await.unwrap(), kept.acquire().await.unwrap());
            let third = tokio::time::timeout(Duration::from_millis(20), kept.acquire()).await;
            assert!(third.is_err());
            first.give_up();
            second.answered();
        }
        assert_eq!(kept.load(), (0, 1, MOST));
    }

    #[tokio::test]
    async fn closing_waits_for_what_is_under_way_and_then_there_are_none() {
        let kept = kept().await;
        let busy = numbered(&kept, 7).await;
        let (closing, ()) = tokio::join!(tokio::time::timeout(ACQUIRE_TIMEOUT, kept.close()), async {
            tokio::task::yield_now().await;
            busy.answered();
        });
        closing.unwrap();
        assert!(kept.shared.resting().is_empty());
        assert!(matches!(kept.acquire().await, Err(sqlx::Error::PoolClosed)));
    }
}
