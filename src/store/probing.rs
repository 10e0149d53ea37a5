//! Looking at a database without changing it: no file is made and no table.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, PgConnection, SqliteConnection};

use super::StoreError;
use super::postgres::{options, refuse_shared_sessions};

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

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
pub async fn look(url: &str) -> Result<Found, StoreError> {
    match tokio::time::timeout(PATIENCE, asked(url)).await {
        Ok(found) => found,
        Err(_) => Err(StoreError::Unavailable(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))),
    }
}

async fn asked(url: &str) -> Result<Found, StoreError> {
    const IDENTITY: &str = "SELECT identity FROM storage";
    let identity: Result<Option<String>, sqlx::Error> = if url.starts_with("sqlite:") {
        let options = SqliteConnectOptions::from_str(url)?;
        if !options.get_filename().exists() {
            return Ok(Found::NoFile);
        }
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
