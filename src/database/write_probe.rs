//! Asks a database that failed at a write whether it takes writes again.

use std::io::Write as _;
use std::path::{Path, PathBuf};
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

/// How much room there must be for slips to be asked for again: some thirty of them. A row that is written as it is finds room where a
/// slip, with its events and all their indexes, does not.
const ROOM: usize = 256 << 10;

/// Takes that room on Postgres' disk until the transaction ends, for whoever may make a temporary table.
const TAKE_ROOM: &str = "DO $$ BEGIN IF has_database_privilege(current_database(), 'TEMPORARY') THEN \
     CREATE TEMPORARY TABLE dropslip_room ON COMMIT DROP AS SELECT repeat('0', 1000) FROM generate_series(1, 256); \
     END IF; END $$";

/// Connections that may be gone.
enum Watched {
    Sqlite(Weak<WriteConnection>),
    Postgres(Weak<Connections>),
}

/// Begins to send probes when a write fails, as long as the database is open.
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
    /// Writes, and takes note of it if that succeeds; `None` when the database was closed.
    async fn probe(&self) -> Option<()> {
        macro_rules! probe {
            ($connections:ident, $room:expr) => {{
                let before = *$connections.writes().0.borrow();
                let written = within_time!($connections, connection => {
                    let mut transaction = connection.begin().await?;
                    if let Some(room) = $room {
                        sqlx::query(room).execute(&mut *transaction).await?;
                    }
                    sqlx::query(TOUCH).execute(&mut *transaction).await?;
                    sqlx::query(MAY_WRITE).execute(&mut *transaction).await?;
                    transaction.commit().await
                });
                match written {
                    Ok(()) => $connections.writes().are_back(before),
                    Err(sqlx::Error::PoolClosed) => return None,
                    Err(_) => {}
                }
            }};
        }
        match self {
            Self::Sqlite(write) => {
                let write = write.upgrade()?;
                if has_room(write.folder()).await {
                    probe!(write, None::<&str>);
                }
            }
            Self::Postgres(connections) => {
                let connections = connections.upgrade()?;
                probe!(connections, Some(TAKE_ROOM));
            }
        }
        Some(())
    }
}

/// Whether there is room in that folder; a database in memory has none.
async fn has_room(folder: Option<PathBuf>) -> bool {
    let Some(folder) = folder else { return true };
    tokio::task::spawn_blocking(move || take_room(&folder).is_ok()).await.unwrap_or(false)
}

/// Takes that room with a file without a name, which is gone when it is closed, also by a kill.
fn take_room(folder: &Path) -> std::io::Result<()> {
    let mut file = tempfile::tempfile_in(folder)?;
    file.write_all(&vec![0; ROOM])?;
    // Some file systems look for the room only then.
    file.sync_all()
}
