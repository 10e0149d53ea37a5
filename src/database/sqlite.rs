//! Connections to SQLite: one that writes, and those that read.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::{Mutex, OwnedMappedMutexGuard, OwnedMutexGuard};

use super::pool::{Opened, Pool, Stop};
use super::statement::{ACQUIRE_TIMEOUT, Lent};
use super::writes::Writes;

/// How many read at the same time: eight lists, and two for all else.
const READERS: u32 = 10;

/// A reader looks after about so many steps of its program whether it is to stop: less than a millisecond, and nothing that is noticed.
const STEPS_BETWEEN_LOOKS: i32 = 1000;

/// How many rows a connection's thread reads before somebody must have taken one: a whole page of a list.
const ROWS_READ_AHEAD: usize = 128;

/// Connections that only read.
pub(super) type ReadConnections = Pool<SqliteConnection>;

/// Opens the first of them, to see that it can.
pub(super) async fn read_connections(options: SqliteConnectOptions) -> Result<ReadConnections, sqlx::Error> {
    Pool::open(options.read_only(true).row_buffer_size(ROWS_READ_AHEAD), READERS).await
}

impl Opened for SqliteConnection {
    type Way = SqliteConnectOptions;
    type Stop = Flag;

    async fn open(options: &SqliteConnectOptions) -> Result<(Self, Flag), sqlx::Error> {
        let mut connection = options.connect().await?;
        let flag = Flag::default();
        let looked_at = flag.0.clone();
        connection.lock_handle().await?.set_progress_handler(STEPS_BETWEEN_LOOKS, move || !looked_at.load(Ordering::Relaxed));
        Ok((connection, flag))
    }
}

/// Raised while a reader is to stop. Its thread goes on when a caller goes away, and would to the end.
#[derive(Debug, Default)]
pub(super) struct Flag(Arc<AtomicBool>);

impl Stop for Flag {
    fn wish(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    async fn tell(&self) -> bool {
        true
    }

    fn done(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// The connection that writes, for one at a time.
#[derive(Debug)]
pub(super) struct WriteConnection {
    options: SqliteConnectOptions,
    /// The file that was opened; `None` for a database in memory.
    opened: Option<FileIdentity>,
    current: Arc<Mutex<Option<Writing>>>,
    closed: AtomicBool,
    writes: Writes,
}

/// Device and inode: what a file is, whatever its path names by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileIdentity(u64, u64);

impl FileIdentity {
    fn at(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|file| Self(file.dev(), file.ino()))
    }
}

/// The open connection, and whether it can be used again.
#[derive(Debug)]
pub(super) struct Writing {
    connection: SqliteConnection,
    given_up: bool,
}

/// The right to write, until it is dropped.
pub(super) struct Held(OwnedMappedMutexGuard<Option<Writing>, Writing>);

impl WriteConnection {
    pub(super) async fn open(options: SqliteConnectOptions) -> Result<Self, sqlx::Error> {
        let writing = Writing { connection: options.connect().await?, given_up: false };
        let opened = FileIdentity::at(options.get_filename());
        Ok(Self {
            options,
            opened,
            current: Arc::new(Mutex::new(Some(writing))),
            closed: AtomicBool::new(false),
            writes: Writes::default(),
        })
    }

    /// Waits for the lock.
    pub(super) async fn acquire(&self) -> Result<Held, sqlx::Error> {
        let waited = tokio::time::timeout(ACQUIRE_TIMEOUT, self.current.clone().lock_owned()).await;
        let mut current = waited.map_err(|_| sqlx::Error::PoolTimedOut)?;
        if self.closed.load(Ordering::Relaxed) {
            return Err(sqlx::Error::PoolClosed);
        }
        // What is written to a file without a name is gone with this process.
        if self.is_elsewhere() {
            return Err(sqlx::Error::Io(std::io::Error::other("the database file was removed or replaced")));
        }
        // When the disk is full, SQLite ends a transaction by itself and sqlx' own rollback fails: sqlx would take every following
        // transaction for a part of that one and acknowledge commits that never happen.
        let usable = current.as_ref().is_some_and(|writing| !writing.given_up && !writing.connection.is_in_transaction());
        if !usable {
            // The old one first: it may hold the lock that the new one needs.
            if let Some(old) = current.take() {
                let _ = tokio::time::timeout(ACQUIRE_TIMEOUT, old.connection.close_hard()).await;
            }
            *current = Some(Writing { connection: self.options.connect().await?, given_up: false });
        }
        OwnedMutexGuard::try_map(current, Option::as_mut).map(Held).map_err(|_| sqlx::Error::PoolClosed)
    }

    /// Whether the path names no file any more, or another one than that which was opened.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.opened.is_some() && FileIdentity::at(self.options.get_filename()) != self.opened
    }

    /// Where the file is; `None` for a database in memory.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        let folder = self.opened.and_then(|_| self.options.get_filename().parent())?;
        Some(if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_path_buf() })
    }

    /// Whether writes succeed.
    pub(super) fn writes(&self) -> &Writes {
        &self.writes
    }

    /// Whether somebody writes now.
    pub(super) fn is_held(&self) -> bool {
        self.current.try_lock().is_err()
    }

    /// Ends the connection after what is under way.
    pub(super) async fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        if let Some(writing) = self.current.lock().await.take() {
            let _ = writing.connection.close().await;
        }
    }
}

impl Lent for Held {
    type Connection = SqliteConnection;

    fn connection(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        Ok(&mut self.0.connection)
    }

    fn answered(self) {}

    fn failed(self) {}

    fn give_up(mut self) {
        self.0.given_up = true;
    }
}
