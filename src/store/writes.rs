//! Whether the database takes writes.
//!
//! A database may answer and yet keep nothing: its disk is full, another process has locked it, it was made read-only. A write that
//! fails says so. From then on a probe each second writes next to nothing, until one succeeds: so it is known that writes succeed again
//! although nobody asks for one.

use std::sync::{Arc, Weak};
use std::time::Duration;

use sqlx::Connection as _;
use tokio::sync::watch;

use super::postgres::Connections;
use super::sqlite::WriteConnection;
use super::{Engine, StoreError, within_time};
use crate::metrics::Statement;

/// How long after a failed probe the next one is sent.
const PAUSE: Duration = Duration::from_secs(1);

/// Writes a row as it is: that takes the lock, and room on the disk.
const TOUCH: &str = "UPDATE storage SET identity = identity";

/// Writes no row, and is refused to whoever may not write slips.
const MAY_WRITE: &str = "INSERT INTO files (tenant) SELECT tenant FROM files WHERE 1 = 0";

/// What became of the writes on some connections.
#[derive(Debug, Default)]
pub(super) struct Writes(watch::Sender<Failures>);

/// How many failed, and how many had when a probe began that succeeded.
#[derive(Debug, Default, Clone, Copy)]
struct Failures {
    all: u64,
    over: u64,
}

impl Failures {
    fn are_over(&self) -> bool {
        self.all == self.over
    }
}

impl Writes {
    /// Whether no write failed, or a probe has succeeded that began after the last failure.
    pub(super) fn succeed(&self) -> bool {
        self.0.borrow().are_over()
    }

    /// Looks at what came of a statement.
    pub(super) fn note<T>(&self, kind: Statement, answer: &Result<T, sqlx::Error>) {
        let Err(error) = answer else { return };
        if kind == Statement::Read || !is_about_writing(error) {
            return;
        }
        let mut is_first = false;
        self.0.send_modify(|failures| {
            is_first = failures.are_over();
            failures.all += 1;
        });
        if is_first {
            tracing::warn!(%error, "a write failed: the broker is not ready until the database takes writes again");
        }
    }

    fn are_back(&self, before: Failures) {
        self.0.send_modify(|failures| failures.over = before.all);
        if self.succeed() {
            tracing::info!("the database takes writes again");
        }
    }
}

/// Whether other writes fail alike, and not only that one.
fn is_about_writing(error: &sqlx::Error) -> bool {
    match error {
        // Two that got in each other's way: who asks again may succeed at once.
        sqlx::Error::Database(database) if database.code().is_some_and(|code| code.starts_with("40")) => false,
        // It lacks a permission.
        sqlx::Error::Database(database) if database.code().as_deref() == Some("42501") => true,
        sqlx::Error::Database(database) => database.code().is_some_and(|code| super::is_passing(&code)),
        error => StoreError::is_away(error),
    }
}

/// Connections that may be gone.
enum Watched {
    Sqlite(Weak<WriteConnection>),
    Postgres(Weak<Connections>),
}

/// Begins to send probes when a write fails, as long as there is the store.
pub(super) fn watch(engine: &Engine) {
    let (watched, mut failed) = match engine {
        Engine::Sqlite { write, .. } => (Watched::Sqlite(Arc::downgrade(write)), write.writes().0.subscribe()),
        Engine::Postgres(connections) => (Watched::Postgres(Arc::downgrade(connections)), connections.writes().0.subscribe()),
    };
    tokio::spawn(async move {
        while failed.wait_for(|failures| !failures.are_over()).await.is_ok() {
            if watched.probe().await.is_none() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    });
}

impl Watched {
    /// Writes, and takes note of it if that succeeds; `None` when the store was closed.
    async fn probe(&self) -> Option<()> {
        macro_rules! probe {
            ($connections:ident) => {{
                let connections = $connections.upgrade()?;
                let before = *connections.writes().0.borrow();
                let written = within_time!(connections, connection => {
                    let mut transaction = connection.begin().await?;
                    sqlx::query(TOUCH).execute(&mut *transaction).await?;
                    sqlx::query(MAY_WRITE).execute(&mut *transaction).await?;
                    transaction.commit().await
                });
                match written {
                    Ok(()) => connections.writes().are_back(before),
                    Err(sqlx::Error::PoolClosed) => return None,
                    Err(_) => {}
                }
            }};
        }
        match self {
            Self::Sqlite(write) => probe!(write),
            Self::Postgres(connections) => probe!(connections),
        }
        Some(())
    }
}
