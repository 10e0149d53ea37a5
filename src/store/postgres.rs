//! Connections to Postgres over a network that may stop in the middle of anything.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool, Postgres};

use super::PATIENCE;
use super::kept::{InUse, Kept};

/// How long Postgres may work on one statement, and wait for the next one while it holds locks. A transaction whose commit got
/// lost on the way would otherwise lock its file until the operating system gives up the connection, in hours.
const SERVER_TIMEOUT: &str = "5s";

/// How long a connection that lay idle may take to show that it still works; then another one is opened.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// How many there may be.
const CONNECTIONS: u32 = 16;

/// A connection that lay idle no longer than this is taken to work: sqlx had its sign of life when it went back to the pool.
const FRESH: Duration = Duration::from_millis(500);

/// A pool that is given up when it gives no connection any more.
///
/// sqlx asks a connection for a sign of life before it goes back to the pool and waits for that without end, so that a network
/// that swallows everything can take away all the places that a pool has.
pub(super) struct Connections {
    options: PgConnectOptions,
    current: Mutex<Current>,
    kept: Kept<Postgres>,
}

/// Without the options, which have the password.
impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.current.fmt(f)
    }
}

#[derive(Debug)]
struct Current {
    pool: PgPool,
    last_given: Instant,
}

impl Connections {
    /// Opens the first connection, to see that it can.
    pub(super) async fn open(options: PgConnectOptions) -> Result<Self, sqlx::Error> {
        let options = options
            .options([("statement_timeout", SERVER_TIMEOUT), ("idle_in_transaction_session_timeout", SERVER_TIMEOUT)])
            .application_name("dropslip");
        let pool = pool_options().connect_with(options.clone()).await?;
        let current = Mutex::new(Current { pool, last_given: Instant::now() });
        Ok(Self { options, current, kept: Kept::new(CONNECTIONS) })
    }

    fn pool(&self) -> PgPool {
        self.current().pool.clone()
    }

    pub(super) async fn acquire(&self) -> Result<InUse<Postgres>, sqlx::Error> {
        let asked = Instant::now();
        let acquired = self.kept.acquire(&self.pool()).await;
        let mut current = self.current();
        match &acquired {
            Ok(_) => current.last_given = Instant::now(),
            // Busy is another matter: then others got theirs meanwhile.
            Err(sqlx::Error::PoolTimedOut) if current.last_given < asked => {
                *current = Current { pool: pool_options().connect_lazy_with(self.options.clone()), last_given: Instant::now() };
            }
            Err(_) => {}
        }
        acquired
    }

    /// Open connections, those of them that are idle, and how many there may be.
    pub(super) fn load(&self) -> (u32, usize, u32) {
        let pool = self.pool();
        (pool.size(), pool.num_idle() + self.kept.resting(), CONNECTIONS)
    }

    /// Ends them after what is under way.
    pub(super) async fn close(&self) {
        self.kept.close(&self.pool()).await;
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pool_options() -> PgPoolOptions {
    let alive = async |connection: &mut PgConnection| match tokio::time::timeout(SIGN_OF_LIFE, connection.ping()).await {
        Ok(answer) => answer.map(|()| true),
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    };
    let options = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE).test_before_acquire(false);
    options.before_acquire(move |connection, known| {
        Box::pin(async move { if known.idle_for <= FRESH { Ok(true) } else { alive(connection).await } })
    })
}
