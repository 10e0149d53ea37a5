//! Where dropslip remembers: SQLite on a laptop, Postgres in production, one text of SQL for both.
//!
//! # The promise
//! - What a method acknowledges is durable: SQLite runs in WAL mode with `synchronous=FULL`, Postgres commits as configured.
//! - Every query for a caller is bound to a tenant; a file of another tenant is the same as no file. Sweeps, audits and the bucket's
//!   notifications ask for everybody's.
//! - Both engines behave the same. `tests/it/database/contract.rs` runs one set of tests on each, which takes the place of
//!   statements checked at compile time (those bind a crate to a single database).
//!
//! # The refusal
//! [`DatabaseError::Unavailable`] means that the database cannot be reached, does not answer or has no room now: asking again later is
//! safe. A change is made as a whole or not at all; when the answer to its commit got lost, only asking again tells which. Every
//! other failure is [`DatabaseError::Broken`].

mod activation;
mod attachments;
mod audit_log;
mod audit_retention;
pub mod backup;
mod binding;
mod churn;
mod deletion;
mod doomed_keys;
mod engine;
mod error;
mod expired;
mod file_row;
mod file_table;
mod files;
mod group_commit;
mod health;
mod idempotency;
mod insertion;
mod instant;
mod leases;
mod multipart;
mod outbox;
mod pages;
mod pool;
mod postgres;
pub mod probe;
mod reconciliation;
mod records;
mod reissue;
mod replays;
mod reservations;
mod search_backfill;
mod search_name;
mod selection;
mod shared_keys;
mod sqlite;
mod statement;
mod subscribers;
mod tickets;
mod tokens;
mod write_probe;
mod writes;

use std::fs::File;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use sqlx::migrate::Migrator;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use engine::{Engine, on_pool};
use group_commit::Writer;
use postgres::{connections, refuse_shared_sessions};
use records::{PostgresRecords, SqliteRecords};
use sqlite::{WriteConnection, read_connections};
use statement::{ACQUIRE_TIMEOUT, within_time};
use subscribers::Subscribers;

use crate::disk;

pub use activation::{Activation, Claimed};
pub use audit_log::{AuditFilter, Audited, AuditedActor};
pub use audit_retention::Mark;
pub use churn::Changed;
pub use error::DatabaseError;
pub use expired::{Doomed, OpenUpload, Waiting};
pub use health::{Load, Oldest, Unfit};
pub use idempotency::Idempotency;
pub use insertion::NewRow;
pub use leases::{DatabaseClock, Lease};
pub use outbox::{Backlog, COUNTED, EventFilter, EventRow, EventState, Leased, Outcome};
pub use reissue::{Reissued, Used};
pub use replays::Replay;
pub use reservations::{NewForm, ReservedBytes};
pub use search_backfill::Filled;
pub use selection::Selected;
pub use statement::Holding;
pub use tickets::{Attached, Released};
pub use tokens::{NewToken, TokenRow};

/// Most files and connections that a database has open: 17 connections to Postgres, or 11 to SQLite with three files each, and the
/// one that migrates.
pub const MOST_HANDLES: u32 = 36;

/// How many batches of records Postgres takes at the same time; SQLite has one writer.
const BATCHES_IN_FLIGHT: usize = 4;

/// The schema of each engine, step by step.
static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES_MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// The database.
#[derive(Debug, Clone)]
pub struct Database {
    engine: Engine,
    /// The way of every temp record.
    records: Writer,
    /// Who subscribes to changes.
    subscribers: Subscribers,
}

impl Database {
    /// Connects and brings the schema up to date; safe when several brokers start at once.
    ///
    /// `url` is `sqlite:PATH` (created when missing, its folder too) or `postgres://...`.
    ///
    /// # Errors
    /// When the database cannot be reached, or refuses a migration.
    pub async fn open(url: &str) -> Result<Self, DatabaseError> {
        let engine = if url.starts_with("sqlite:") { Self::open_sqlite(url).await? } else { Self::open_postgres(url).await? };
        let records = match &engine {
            Engine::Sqlite { write, .. } => Writer::start([SqliteRecords(write.clone())]),
            Engine::Postgres(connections) => Writer::start([(); BATCHES_IN_FLIGHT].map(|()| PostgresRecords(connections.clone()))),
        };
        write_probe::watch(&engine);
        Ok(Self { engine, records, subscribers: Subscribers::default() })
    }

    async fn open_sqlite(url: &str) -> Result<Engine, DatabaseError> {
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(ACQUIRE_TIMEOUT)
            .foreign_keys(true);
        if let Some(folder) = options.get_filename().parent() {
            disk::make_folders(folder).map_err(|error| DatabaseError::Unavailable(error.into()))?;
        }
        // One process at a time: SQLite's own locks neither wait for a change to WAL mode nor cover a whole migration.
        let _starting = starting_lock(options.get_filename().to_path_buf()).await?;
        let migrating = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        migrated(SQLITE_MIGRATIONS.run(&migrating).await)?;
        migrating.close().await;
        let write = WriteConnection::open(options.clone()).await?;
        let read = read_connections(options).await?;
        Ok(Engine::Sqlite { read: Arc::new(read), write: Arc::new(write) })
    }

    async fn open_postgres(url: &str) -> Result<Engine, DatabaseError> {
        let options = postgres::options(url, "dropslip")?;
        // Before anything else is asked: a pool asks a server that refuses again and again for half a minute, and does not say why in the end.
        refuse_shared_sessions(&options).await?;
        // On a connection without bounds of time: an index on many rows takes longer, and so does waiting for who builds it.
        let migrating = PgPoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        migrated(POSTGRES_MIGRATIONS.run(&migrating).await)?;
        migrating.close().await;
        Ok(Engine::Postgres(Arc::new(connections(options).await?)))
    }

    /// Binds the database to a storage the first time, and tells which one it is bound to.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn bind_storage(&self, identity: &str) -> Result<String, DatabaseError> {
        let insert = "INSERT INTO storage (only_one, identity) VALUES (1, $1) ON CONFLICT DO NOTHING";
        on_pool!(self, write pool => sqlx::query(insert).bind(identity).execute(pool).await.map(drop))?;
        let bound = on_pool!(self, write pool => sqlx::query_scalar("SELECT identity FROM storage").fetch_one(pool).await)?;
        Ok(bound)
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(&self) -> Result<(), DatabaseError> {
        on_pool!(self, read connection => sqlx::query("SELECT 1").execute(connection).await.map(drop))?;
        Ok(())
    }

    /// Whether what was written last could be, or a probe since then; asks nobody.
    #[must_use]
    pub fn takes_writes(&self) -> bool {
        match &self.engine {
            Engine::Sqlite { write, .. } => write.writes().succeed(),
            Engine::Postgres(connections) => connections.writes().succeed(),
        }
    }

    /// How many batches of slips this broker began to write. While it grows, somebody waits for the database.
    #[must_use]
    pub fn batches_of_slips(&self) -> u64 {
        self.records.batches()
    }

    /// Ends every connection after what is under way.
    pub async fn close(&self) {
        self.records.close();
        match &self.engine {
            Engine::Sqlite { read, write } => {
                read.close().await;
                write.close().await;
            }
            Engine::Postgres(connections) => connections.close().await,
        }
    }
}

/// Beside a database file: locked by whoever opens it and brings its tables up to date.
fn starting_file(database: PathBuf) -> PathBuf {
    let mut name = database.into_os_string();
    name.push(".starting");
    name.into()
}

/// Held by whoever opens the database file and brings its tables up to date.
async fn starting_lock(database: PathBuf) -> Result<File, DatabaseError> {
    let locked = tokio::task::spawn_blocking(move || {
        let file = File::create(starting_file(database))?;
        file.lock()?;
        Ok(file)
    });
    let locked: std::io::Result<File> = locked.await.map_err(|error| DatabaseError::Broken(error.to_string()))?;
    locked.map_err(|error| DatabaseError::Unavailable(error.into()))
}

fn migrated(result: Result<(), sqlx::migrate::MigrateError>) -> Result<(), DatabaseError> {
    use sqlx::migrate::MigrateError;
    result.map_err(|error| match error {
        MigrateError::Execute(error) => error.into(),
        MigrateError::VersionMismatch(_) | MigrateError::VersionMissing(_) => DatabaseError::Broken(format!(
            "its tables were made by another version of dropslip ({error}); run that version, or use a fresh database"
        )),
        other => DatabaseError::Broken(other.to_string()),
    })
}
