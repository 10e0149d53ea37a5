//! A copy of the database for a backup: `SQLite`'s, as it is at one moment. Postgres has its own tools.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use super::DatabaseError;
use crate::random;

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
    Database(#[from] DatabaseError),
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
    let (made, partial) = Partial::beside(target).map_err(failed)?;
    // SQLite gets the name as a text, which it takes for a URL where it begins like one.
    let name = partial.0.to_str().ok_or_else(|| failed(io::Error::new(io::ErrorKind::InvalidInput, "its name must be UTF-8")))?;
    let name = if name.starts_with("file:") { format!("./{name}") } else { name.to_owned() };
    let options = SqliteConnectOptions::from_str(url).map_err(DatabaseError::from)?.read_only(true).create_if_missing(false);
    let mut connection = options.connect().await.map_err(DatabaseError::from)?;
    let copied = sqlx::query("VACUUM INTO $1").bind(name).execute(&mut connection).await;
    let _ = connection.close().await;
    copied.map_err(DatabaseError::from)?;
    keep(&made, partial, target).map_err(failed)
}

/// A copy under way; gone when dropped.
struct Partial(PathBuf);

impl Partial {
    /// A file of its own, whatever lies there: one that was there before could be a link, or be read by others.
    fn beside(target: &Path) -> io::Result<(File, Self)> {
        let mut name = target.as_os_str().to_owned();
        name.push(format!(".{}.partial", hex::encode(random::bytes::<8>())));
        let path = PathBuf::from(name);
        // It holds hashes of tokens and names of files.
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok((made, Self(path)))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn keep(made: &File, partial: Partial, target: &Path) -> io::Result<()> {
    made.sync_all()?;
    // Not a rename: it would replace what came there meanwhile.
    std::fs::hard_link(&partial.0, target)?;
    drop(partial);
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
