//! Where dropslip remembers: SQLite on a laptop, Postgres in production, one text of SQL for both.
//!
//! # The promise
//! - What a method acknowledges is durable: SQLite runs in WAL mode with `synchronous=FULL`, Postgres commits as configured.
//! - Every query for a caller is bound to a tenant; a file of another tenant is the same as no file. Sweeps, audits and the bucket's
//!   notifications ask for everybody's.
//! - Both engines behave the same. `tests/it/store_contract.rs` runs one set of tests on each, which takes the place of
//!   statements checked at compile time (those bind a crate to a single database).
//!
//! # The refusal
//! [`StoreError::Unavailable`] means that the database cannot be reached, does not answer or has no room now: asking again later is
//! safe. A change is made as a whole or not at all; when the answer to its commit got lost, only asking again tells which. Every
//! other failure is [`StoreError::Broken`].

mod audit_retention;
mod auditing;
mod churn;
pub mod copying;
mod deleting;
mod files;
mod history;
mod inserting;
mod instant;
mod kept;
mod leasing;
mod listing;
mod multipart;
mod outbox;
mod postgres;
pub mod probing;
mod reissuing;
mod replaying;
mod reservations;
mod searching;
mod selecting;
mod sharing;
mod sqlite;
mod sweeping;
mod tickets;
mod tokens;
mod watching;
mod writes;
mod writing;

use std::any::Any;
use std::fs::File;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tracing::Instrument as _;

use history::Subscribers;
use inserting::{PostgresRecords, SqliteRecords};
use postgres::{Connections, connections, refuse_shared_sessions};
use sqlite::{ReadConnections, WriteConnection, read_connections};
use writing::Writer;

use crate::disk;
use crate::metrics::{self, Statement};
use crate::trace;

pub use audit_retention::Mark;
pub use churn::Changed;
pub use files::{NewRow, Sealed};
pub use history::{AuditFilter, Audited, AuditedActor};
pub use leasing::{DatabaseClock, Lease};
pub use outbox::{Backlog, COUNTED, EventFilter, EventRow, EventState, Leased, Outcome};
pub use reissuing::{Idempotency, Reissued, Used};
pub use replaying::Replay;
pub use reservations::{NewForm, ReservedBytes};
pub use searching::Filled;
pub use selecting::Selected;
pub use sweeping::{Doomed, OpenUpload, Waiting};
pub use tickets::Attached;
pub use tokens::{NewToken, TokenRow};
pub use watching::{Load, Oldest, Unfit};

/// How long a caller waits for a free connection, or SQLite for another writer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a connection may take for all that one method does on it. Postgres itself gives up a little sooner.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(7);

/// Most files and connections that a store has open: 17 connections to Postgres, or 11 to SQLite with three files each, and the
/// one that migrates.
pub const MOST_HANDLES: u32 = 36;

/// How many batches of records Postgres takes at the same time; SQLite has one writer.
const BATCHES_IN_FLIGHT: usize = 4;

/// The schema of each engine, step by step.
static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES_MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// What somebody holds until the database is done with what they asked, also when they are gone by then.
pub type Holding = Arc<dyn Any + Send + Sync>;

/// The database.
#[derive(Debug, Clone)]
pub struct Store {
    engine: Engine,
    /// The way of every temp record.
    records: Writer,
    /// Who is told of changes.
    subscribers: Subscribers,
}

#[derive(Debug, Clone)]
enum Engine {
    /// One connection writes, so that writers queue here instead of failing as busy; many read.
    Sqlite {
        read: Arc<ReadConnections>,
        write: Arc<WriteConnection>,
    },
    Postgres(Arc<Connections>),
}

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, does not answer or has no room; a commit whose answer got lost may have happened. Tells its cause itself.
    #[error("the database is not available: {0}")]
    Unavailable(sqlx::Error),
    /// A pooler before it has no sessions: settings and locks of one caller would be another's.
    #[error(
        "the pooler before the database hands its sessions on with each transaction or statement: let it pool by session \
         (PgBouncer: pool_mode = session), or name the database itself"
    )]
    Pooled,
    /// It holds or did something it never should.
    #[error("the database misbehaved: {0}")]
    Broken(String),
}

impl StoreError {
    /// Whether the database is not available now.
    fn is_away(error: &sqlx::Error) -> bool {
        match error {
            // Protocol: a connection that ends while it is being opened looks like an answer that makes no sense.
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => true,
            sqlx::Error::Database(database) => database.code().is_some_and(|code| is_passing(&code)),
            _ => false,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if Self::is_away(&error) { Self::Unavailable(error) } else { Self::Broken(error.to_string()) }
    }
}

/// Codes that say "not now" instead of "never": SQLite's primary result codes, Postgres' classes.
fn is_passing(code: &str) -> bool {
    // SQLITE_BUSY, LOCKED, IOERR, FULL, CANTOPEN; extended codes keep theirs in the low byte.
    let sqlite = code.len() < 5 && code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13 | 14));
    // 08 connection, 25006 read-only standby, 40 rollback, 53 resources, 57 intervention, 58 system error.
    let postgres = code.len() == 5 && (code == "25006" || ["08", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class)));
    sqlite || postgres
}

/// Runs the same statements on a connection to whichever database there is, within [`ANSWER_TIMEOUT`].
macro_rules! on_pool {
    ($store:expr, read $connection:ident => $body:expr) => {
        match &$store.engine {
            $crate::store::Engine::Sqlite { read, .. } => $crate::store::within_time!(@Read read, $connection => $body),
            $crate::store::Engine::Postgres(pool) => $crate::store::within_time!(@Read pool, $connection => $body),
        }
    };
    ($store:expr, read $holding:expr, $connection:ident => $body:expr) => {
        match &$store.engine {
            $crate::store::Engine::Sqlite { read, .. } => $crate::store::within_time!(@Read read, Some($holding), $connection => $body),
            $crate::store::Engine::Postgres(pool) => $crate::store::within_time!(@Read pool, Some($holding), $connection => $body),
        }
    };
    ($store:expr, write $connection:ident => $body:expr) => {
        match &$store.engine {
            $crate::store::Engine::Sqlite { write, .. } => $crate::store::within_time!(write, $connection => $body),
            $crate::store::Engine::Postgres(pool) => $crate::store::within_time!(pool, $connection => $body),
        }
    };
}

/// Runs `body`, which ends in a `Result<_, sqlx::Error>`; a connection that does not answer is never used again.
///
/// What is written is a change unless it says `@Read` or, for temp records, `@Slips`: times are told apart by that. With a [`Holding`], the
/// statement is stopped when whoever asked is gone, and that is held until it has.
macro_rules! within_time {
    ($pool:expr, $connection:ident => $body:expr) => {
        $crate::store::within_time!(@Write $pool, $connection => $body)
    };
    (@$kind:ident $pool:expr, $connection:ident => $body:expr) => {
        $crate::store::within_time!(@$kind $pool, None::<&$crate::store::Holding>, $connection => $body)
    };
    (@$kind:ident $pool:expr, $holding:expr, $connection:ident => $body:expr) => {{
        let connecting = $crate::metrics::connecting();
        let acquired = $pool.acquire().await;
        drop(connecting);
        let answer = match $crate::store::counted(acquired) {
            Ok(mut held) => {
                if let Some(holding) = $holding {
                    $crate::store::Lent::stoppable(&mut held, holding.clone());
                }
                let work = async {
                    let $connection = $crate::store::Lent::connection(&mut held)?;
                    $body
                };
                match $crate::store::in_time($crate::metrics::Statement::$kind, work).await {
                    Some(Ok(answer)) => {
                        $crate::store::Lent::answered(held);
                        Ok(answer)
                    }
                    Some(Err(error)) => {
                        $crate::store::Lent::failed(held);
                        Err(error)
                    }
                    None => {
                        $crate::store::Lent::give_up(held);
                        Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))
                    }
                }
            }
            Err(error) => Err(error),
        };
        $pool.writes().note($crate::metrics::Statement::$kind, &answer);
        answer
    }};
}
use {on_pool, within_time};

/// A connection that somebody has for a while.
trait Lent {
    type Connection;

    /// To work on.
    fn connection(&mut self) -> Result<&mut Self::Connection, sqlx::Error>;

    /// When its caller goes away, it leaves what it is doing, and that is held until then.
    fn stoppable(&mut self, _holding: Holding) {}

    /// It did what it was asked.
    fn answered(self);

    /// It answered that it could not.
    fn failed(self);

    /// It does not answer: nobody knows what it is doing, so it is never used again.
    fn give_up(self);
}

async fn in_time<T>(kind: Statement, work: impl Future<Output = Result<T, sqlx::Error>>) -> Option<Result<T, sqlx::Error>> {
    let timed = metrics::statement(kind);
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, work.instrument(trace::database(kind.name()))).await.ok();
    drop(timed);
    if !matches!(answer, Some(Ok(_))) {
        metrics::database_failed();
    }
    answer
}

/// Counts what failed.
fn counted<T>(answer: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
    if answer.is_err() {
        metrics::database_failed();
    }
    answer
}

impl Store {
    /// Connects and brings the schema up to date; safe when several brokers start at once.
    ///
    /// `url` is `sqlite:PATH` (created when missing, its folder too) or `postgres://...`.
    ///
    /// # Errors
    /// When the database cannot be reached, or refuses a migration.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let engine = if url.starts_with("sqlite:") { Self::open_sqlite(url).await? } else { Self::open_postgres(url).await? };
        let records = match &engine {
            Engine::Sqlite { write, .. } => Writer::start([SqliteRecords(write.clone())]),
            Engine::Postgres(connections) => Writer::start([(); BATCHES_IN_FLIGHT].map(|()| PostgresRecords(connections.clone()))),
        };
        writes::watch(&engine);
        Ok(Self { engine, records, subscribers: Subscribers::default() })
    }

    async fn open_sqlite(url: &str) -> Result<Engine, StoreError> {
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE)
            .foreign_keys(true);
        if let Some(folder) = options.get_filename().parent() {
            disk::make_folders(folder).map_err(|error| StoreError::Unavailable(error.into()))?;
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

    async fn open_postgres(url: &str) -> Result<Engine, StoreError> {
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
    /// See [`StoreError`].
    pub async fn bind_storage(&self, identity: &str) -> Result<String, StoreError> {
        let insert = "INSERT INTO storage (only_one, identity) VALUES (1, $1) ON CONFLICT DO NOTHING";
        on_pool!(self, write pool => sqlx::query(insert).bind(identity).execute(pool).await.map(drop))?;
        let bound = on_pool!(self, write pool => sqlx::query_scalar("SELECT identity FROM storage").fetch_one(pool).await)?;
        Ok(bound)
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
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
async fn starting_lock(database: PathBuf) -> Result<File, StoreError> {
    let locked = tokio::task::spawn_blocking(move || {
        let file = File::create(starting_file(database))?;
        file.lock()?;
        Ok(file)
    });
    let locked: std::io::Result<File> = locked.await.map_err(|error| StoreError::Broken(error.to_string()))?;
    locked.map_err(|error| StoreError::Unavailable(error.into()))
}

fn migrated(result: Result<(), sqlx::migrate::MigrateError>) -> Result<(), StoreError> {
    use sqlx::migrate::MigrateError;
    result.map_err(|error| match error {
        MigrateError::Execute(error) => error.into(),
        MigrateError::VersionMismatch(_) | MigrateError::VersionMissing(_) => StoreError::Broken(format!(
            "its tables were made by another version of dropslip ({error}); run that version, or use a fresh database"
        )),
        other => StoreError::Broken(other.to_string()),
    })
}
