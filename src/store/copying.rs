//! A copy of the database for a backup: `SQLite`'s, as it is at one moment. Postgres has its own tools.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use super::StoreError;

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Another tool does it.
    #[error("that is a matter of Postgres' own tools: pg_dump, or a base backup with its write-ahead log")]
    Postgres,
    /// The copy could not be written.
    #[error("{}: {error}", .path.display())]
    Target {
        /// Where it was to be.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
    /// The database could not be read, or there was no room.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Copies the database at `url` to the new file `target`: complete and durable, or not there. Brokers may go on meanwhile.
///
/// # Errors
/// See [`CopyError`]; a file that exists is never replaced.
pub async fn copy(url: &str, target: &Path) -> Result<(), CopyError> {
    if !url.starts_with("sqlite:") {
        return Err(CopyError::Postgres);
    }
    let failed = |error| CopyError::Target { path: target.to_owned(), error };
    if target.try_exists().map_err(failed)? {
        return Err(failed(io::ErrorKind::AlreadyExists.into()));
    }
    let mut partial = target.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    // It holds hashes of tokens and names of files.
    let made = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial);
    let made = made.map_err(failed)?;
    let options = SqliteConnectOptions::from_str(url).map_err(StoreError::from)?.read_only(true).create_if_missing(false);
    let mut connection = options.connect().await.map_err(StoreError::from)?;
    let copied = sqlx::query("VACUUM INTO $1").bind(partial.to_string_lossy().into_owned()).execute(&mut connection).await;
    let _ = connection.close().await;
    let kept = copied.map_err(|error| CopyError::from(StoreError::from(error))).and_then(|_| keep(&made, &partial, target).map_err(failed));
    if kept.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    kept
}

fn keep(made: &File, partial: &Path, target: &Path) -> io::Result<()> {
    made.sync_all()?;
    // Not a rename: it would replace what came there meanwhile.
    std::fs::hard_link(partial, target)?;
    std::fs::remove_file(partial)?;
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
