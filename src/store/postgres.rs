//! Connections to Postgres over a network that may stop in the middle of anything, or through a pooler.

use std::str::FromStr as _;

use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _};

use super::kept::{Kept, Opened};
use super::{PATIENCE, StoreError};
use crate::random;

/// How long Postgres may work on one statement, and wait for the next one while it holds locks. A transaction whose commit got
/// lost on the way would otherwise lock its file until the operating system gives up the connection, in hours.
///
/// Said by a statement and not when the connection is opened: poolers refuse what they cannot keep track of.
const BOUNDS: &str = "SET statement_timeout = '5s'; SET idle_in_transaction_session_timeout = '5s'";

/// How many there may be.
const CONNECTIONS: u32 = 16;

/// How often it is looked whether a session is one's own. A pooler that is in use may by chance give the same one again: every second
/// time where it has two.
const ROUNDS: usize = 12;

/// Connections that do all there is to do.
pub(super) type Connections = Kept<PgConnection>;

/// What a `postgres:` URL says, with nothing at the start of a session that a pooler does not know; in the database's own lists the
/// connections are named `name`.
pub(super) fn options(url: &str, name: &str) -> Result<PgConnectOptions, sqlx::Error> {
    // Digits of floats: there are none here.
    Ok(PgConnectOptions::from_str(url)?.extra_float_digits(None).application_name(name))
}

/// Opens the first connection, to see that it can.
pub(super) async fn connections(options: PgConnectOptions) -> Result<Connections, sqlx::Error> {
    Kept::open(options, CONNECTIONS).await
}

impl Opened for PgConnection {
    async fn open(options: &PgConnectOptions) -> Result<Self, sqlx::Error> {
        let mut connection = options.connect().await?;
        sqlx::raw_sql(BOUNDS).execute(&mut connection).await?;
        Ok(connection)
    }
}

/// Connects, and refuses what gives each transaction or statement to another session: bounds of time, prepared statements and the
/// lock of migrations belong to a session, and would be somebody else's.
pub(super) async fn refuse_shared_sessions(options: &PgConnectOptions) -> Result<(), StoreError> {
    match tokio::time::timeout(PATIENCE, has_shared_sessions(options)).await {
        Ok(Ok(false)) => Ok(()),
        Ok(Ok(true)) => Err(StoreError::Pooled),
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
