//! Connections to Postgres over a network that may stop in the middle of anything, or through a pooler.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _};
use tokio::sync::Mutex;

use super::error::DatabaseError;
use super::pool::{Opened, Pool, Stop};
use super::statement::ACQUIRE_TIMEOUT;
use crate::random;

/// How long Postgres may work on one statement, and wait for the next one while it holds locks. A transaction whose commit got
/// lost on the way would otherwise lock its file until the operating system gives up the connection, in hours.
///
/// Said by a statement and not when the connection is opened: poolers refuse what they cannot keep track of.
///
/// One processor for each statement: a search that took them all would keep everybody else waiting.
const BOUNDS: &str = "SET statement_timeout = '5s'; SET idle_in_transaction_session_timeout = '5s'; \
     SET max_parallel_workers_per_gather = 0; SELECT pg_backend_pid()";

/// How many there may be, beside one by which statements are cancelled.
const CONNECTIONS: u32 = 16;

/// How long it may take to cancel one; then it goes on until Postgres gives it up by itself.
const CANCELLED_WITHIN: Duration = Duration::from_secs(2);

/// How often it is looked whether a session is one's own. A pooler that is in use may by chance give the same one again: every second
/// time where it has two.
const ROUNDS: usize = 12;

/// Connections that do all there is to do.
pub(super) type Connections = Pool<PgConnection>;

/// What a `postgres:` URL says, with nothing at the start of a session that a pooler does not know; in the database's own lists the
/// connections are named `name`.
pub(super) fn options(url: &str, name: &str) -> Result<PgConnectOptions, sqlx::Error> {
    // Digits of floats: there are none here.
    Ok(PgConnectOptions::from_str(url)?.extra_float_digits(None).application_name(name))
}

/// Opens the first connection, to see that it can.
pub(super) async fn connections(options: PgConnectOptions) -> Result<Connections, sqlx::Error> {
    let canceller = Arc::new(Canceller { options: options.clone(), connection: Mutex::default() });
    Pool::open(Way { options, canceller }, CONNECTIONS).await
}

/// Where connections lead to, and what cancels their statements.
pub(super) struct Way {
    options: PgConnectOptions,
    canceller: Arc<Canceller>,
}

impl Opened for PgConnection {
    type Way = Way;
    type Stop = Backend;

    async fn open(Way { options, canceller }: &Way) -> Result<(Self, Backend), sqlx::Error> {
        let mut connection = options.connect().await?;
        let number: i32 = sqlx::raw_sql(BOUNDS).fetch_one(&mut connection).await?.try_get(0)?;
        Ok((connection, Backend { number, canceller: canceller.clone() }))
    }
}

/// The server's process behind a connection.
pub(super) struct Backend {
    number: i32,
    canceller: Arc<Canceller>,
}

impl Stop for Backend {
    fn wish(&self) {}

    async fn tell(&self) -> bool {
        self.canceller.cancel(self.number).await
    }

    fn done(&self) {}
}

/// A connection of its own, opened when it is needed first: to cancel a statement must wait for none.
struct Canceller {
    options: PgConnectOptions,
    connection: Mutex<Option<PgConnection>>,
}

impl Canceller {
    /// Cancels what a process of the server is doing. Answers whether that was heard; else nobody knows whether it will be.
    async fn cancel(&self, process: i32) -> bool {
        let cancelled = async {
            let mut kept = self.connection.lock().await;
            // The one that was kept may have been closed meanwhile.
            for _ in 0..2 {
                let taken = match kept.take() {
                    Some(connection) => Ok(connection),
                    None => self.options.connect().await,
                };
                let Ok(mut connection) = taken else { return false };
                let cancel = sqlx::query("SELECT pg_cancel_backend($1)").bind(process);
                if cancel.execute(&mut connection).await.is_ok() {
                    *kept = Some(connection);
                    return true;
                }
            }
            false
        };
        tokio::time::timeout(CANCELLED_WITHIN, cancelled).await.unwrap_or(false)
    }
}

/// Connects, and refuses what gives each transaction or statement to another session: bounds of time, prepared statements and the
/// lock of migrations belong to a session, and would be somebody else's.
pub(super) async fn refuse_shared_sessions(options: &PgConnectOptions) -> Result<(), DatabaseError> {
    match tokio::time::timeout(ACQUIRE_TIMEOUT, has_shared_sessions(options)).await {
        Ok(Ok(false)) => Ok(()),
        Ok(Ok(true)) => Err(DatabaseError::Pooled),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()).into()),
    }
}

/// Leaves a mark in a session, and looks whether another connection meets it there, or it is missed while that one has a transaction.
async fn has_shared_sessions(options: &PgConnectOptions) -> Result<bool, sqlx::Error> {
    let (mut ours, mut other) = (options.connect().await?, options.connect().await?);
    let mark = hex::encode(random::bytes::<8>());
    read(&mut ours, &format!("SELECT set_config('dropslip.session', '{mark}', false)")).await?;
    let mut shared = false;
    for _ in 0..ROUNDS {
        // In this order: a pooler may have one session for both.
        let met = match read(&mut other, &format!("BEGIN; {MARK}")).await {
            Ok(met) => met,
            // PgBouncer that pools by statement has no transactions at all.
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("08P01") => return Ok(true),
            Err(error) => return Err(error),
        };
        shared = met.as_deref() == Some(mark.as_str()) || read(&mut ours, MARK).await?.as_deref() != Some(mark.as_str());
        sqlx::raw_sql("ROLLBACK").execute(&mut other).await?;
        if shared {
            break;
        }
    }
    for connection in [ours, other] {
        let _ = connection.close().await;
    }
    Ok(shared)
}

/// Asks for the mark of a session.
const MARK: &str = "SELECT current_setting('dropslip.session', true)";

/// The first text; not by a prepared statement, which belongs to a session too.
async fn read(connection: &mut PgConnection, sql: &str) -> Result<Option<String>, sqlx::Error> {
    let row: PgRow = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_one(connection).await?;
    row.try_get(0)
}
