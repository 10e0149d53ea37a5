//! Asks a database that failed at a write whether it takes writes again.

use std::sync::{Arc, Weak};
use std::time::Duration;

use sqlx::Connection as _;

use super::engine::Engine;
use super::postgres::Connections;
use super::sqlite::WriteConnection;
use super::statement::within_time;

/// How long after a failed probe the next one is sent.
const PAUSE: Duration = Duration::from_secs(1);

/// Writes a row as it is: that takes the lock, and room on the disk.
const TOUCH: &str = "UPDATE storage SET identity = identity";

/// Writes no row, and is refused to whoever may not write slips.
const MAY_WRITE: &str = "INSERT INTO files (tenant) SELECT tenant FROM files WHERE 1 = 0";

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
