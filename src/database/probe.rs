//! Looking at a database without changing it: no file is made and no table.

use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, PgConnection, SqliteConnection};

use super::postgres::{options, refuse_shared_sessions};
use super::{DatabaseError, starting_file};

/// How long it may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How often it is looked whether whoever starts has done so.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What a database is to dropslip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A file that is not there yet.
    NoFile,
    /// It answers and has no tables of dropslip's.
    Empty,
    /// It has tables and is about no storage yet: no broker ran on it.
    Unbound,
    /// It is about that storage.
    About(String),
}

/// Asks the database what it is about.
///
/// # Errors
/// When it cannot be reached or does not answer within five seconds.
pub async fn look(url: &str) -> Result<Found, DatabaseError> {
    match tokio::time::timeout(TIMEOUT, asked(url)).await {
        Ok(found) => found,
        Err(_) => Err(DatabaseError::Unavailable(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))),
    }
}

async fn asked(url: &str) -> Result<Found, DatabaseError> {
    const IDENTITY: &str = "SELECT identity FROM storage";
    let identity: Result<Option<String>, sqlx::Error> = if url.starts_with("sqlite:") {
        let options = SqliteConnectOptions::from_str(url)?;
        if !options.get_filename().exists() {
            return Ok(Found::NoFile);
        }
        let _starting = nobody_starts(options.get_filename().to_path_buf()).await?;
        // Not read-only: who reads a database in WAL mode so leaves two files beside it.
        let mut connection = SqliteConnection::connect_with(&options.create_if_missing(false)).await?;
        let identity = sqlx::query_scalar(IDENTITY).fetch_optional(&mut connection).await;
        let _ = connection.close().await;
        identity
    } else {
        let options = options(url, "dropslip check")?;
        refuse_shared_sessions(&options).await?;
        let mut connection = PgConnection::connect_with(&options).await?;
        let identity = sqlx::query_scalar(IDENTITY).fetch_optional(&mut connection).await;
        let _ = connection.close().await;
        identity
    };
    match identity {
        Ok(identity) => Ok(identity.map_or(Found::Unbound, Found::About)),
        // SQLite has one code for all that is wrong with a statement; Postgres says "undefined table".
        Err(sqlx::Error::Database(error)) if matches!(error.code().as_deref(), Some("1" | "42P01")) => Ok(Found::Empty),
        Err(error) => Err(error.into()),
    }
}

/// Waits until nobody opens that database for the first time: SQLite's own locks do not wait for a change to WAL mode. Where no broker
/// was there is nobody to wait for.
async fn nobody_starts(database: PathBuf) -> Result<Option<File>, DatabaseError> {
    let away = |error: std::io::Error| DatabaseError::Unavailable(error.into());
    let file = match File::open(starting_file(database)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(away(error)),
    };
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            // A thread that waits for the lock could not be stopped.
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOOK_AGAIN).await,
            Err(TryLockError::Error(error)) => return Err(away(error)),
        }
    }
}
