//! The one connection that writes to SQLite.
//!
//! A pool of one would do, but it asks the connection for a sign of life whenever it is given back: two switches between threads
//! for each batch of records.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::{Mutex, OwnedMappedMutexGuard, OwnedMutexGuard};

use super::{GiveUp, PATIENCE};

/// The connection, for one at a time.
#[derive(Debug)]
pub(super) struct WriteConnection {
    options: SqliteConnectOptions,
    current: Arc<Mutex<Option<Writing>>>,
    closed: AtomicBool,
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
        let opened = Writing { connection: options.connect().await?, given_up: false };
        Ok(Self { options, current: Arc::new(Mutex::new(Some(opened))), closed: AtomicBool::new(false) })
    }

    /// Waits for its turn.
    pub(super) async fn acquire(&self) -> Result<Held, sqlx::Error> {
        let waited = tokio::time::timeout(PATIENCE, self.current.clone().lock_owned()).await;
        let mut current = waited.map_err(|_| sqlx::Error::PoolTimedOut)?;
        if self.closed.load(Ordering::Relaxed) {
            return Err(sqlx::Error::PoolClosed);
        }
        // When the disk is full, SQLite ends a transaction by itself and sqlx' own rollback fails: sqlx would take every following
        // transaction for a part of that one and acknowledge commits that never happen.
        let usable = current.as_ref().is_some_and(|writing| !writing.given_up && !writing.connection.is_in_transaction());
        if !usable {
            // The old one first: it may hold the lock that the new one needs.
            if let Some(old) = current.take() {
                let _ = tokio::time::timeout(PATIENCE, old.connection.close_hard()).await;
            }
            *current = Some(Writing { connection: self.options.connect().await?, given_up: false });
        }
        OwnedMutexGuard::try_map(current, Option::as_mut).map(Held).map_err(|_| sqlx::Error::PoolClosed)
    }

    /// Ends the connection after what is under way.
    pub(super) async fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        if let Some(writing) = self.current.lock().await.take() {
            let _ = writing.connection.close().await;
        }
    }
}

impl GiveUp for Held {
    fn give_up(mut self) {
        self.0.given_up = true;
    }
}

impl Deref for Held {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.0.connection
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.0.connection
    }
}
