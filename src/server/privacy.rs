//! What lies on disk from before is made private: folders 0700, files 0600, whatever the umask was when they were made.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{Config, Storage};
use crate::domain::sqlite_url::path_in;
use crate::private::{Mended, Own};

/// Beginnings of the names of all files that dropslip keeps in its data folder.
const FILES: [&str; 5] = [super::DEVELOPMENT_TOKEN_FILE, super::signing::FILE, super::signing::FILE_BEFORE, "embedded-s3", "dropslip.db"];

/// The embedded store's objects.
const OBJECTS: &str = "bucket";

/// What operators put beside them, and file systems.
const BESIDE: [&str; 2] = ["policies", "lost+found"];

/// What SQLite puts beside a database, and the lock of who starts.
const SIDE_FILES: [&str; 4] = ["-wal", "-shm", "-journal", ".starting"];

/// How long a start waits for a large bucket to be looked through. After that it is looked through beside the first requests.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Makes private what a broker keeps, but for the embedded store's objects; those can be many.
#[must_use]
pub fn mend(config: &Config) -> Mended {
    mended(config, &[], &[OBJECTS, BESIDE[0], BESIDE[1]])
}

/// Makes private what a broker keeps, and says so in the log.
pub(super) async fn mend_all(config: &Config) {
    let config = config.clone();
    let mending = tokio::task::spawn_blocking(move || log(mended(&config, &[OBJECTS], &BESIDE)));
    if tokio::time::timeout(TIMEOUT, mending).await.is_err() {
        tracing::info!("whether all objects are private is still being looked at");
    }
}

fn mended(config: &Config, trees: &[&str], beside: &[&str]) -> Mended {
    let mut mended = Mended::default();
    let database = sqlite_file(config);
    // With a real bucket the folder is only the place of the database, if that.
    let data_dir = match &config.storage {
        Storage::Embedded { data_dir, .. } => Some(data_dir.as_path()),
        Storage::Bucket { .. } if config.database_url.is_in_data_dir() => database.as_deref().and_then(Path::parent),
        Storage::Bucket { .. } => None,
    };
    if let Some(data_dir) = data_dir {
        let here = if data_dir.as_os_str().is_empty() { Path::new(".") } else { data_dir };
        mended.own_folder(here, Own { files: &FILES, trees, beside });
    }
    if let Some(database) = database.filter(|_| !config.database_url.is_in_data_dir()) {
        // The setting names it, so a link in its place is the operator's.
        mended.file(&database.canonicalize().unwrap_or(database), &SIDE_FILES);
    }
    mended
}

fn sqlite_file(config: &Config) -> Option<PathBuf> {
    let url = config.database_url.reveal();
    // SQLite takes a name that begins so for a URL of its own.
    let path = url.starts_with("sqlite:").then(|| path_in(url))?;
    Some(PathBuf::from(path.strip_prefix("file:").unwrap_or(&path)))
}

fn log(mended: Mended) {
    let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    if mended.any() {
        let (files, folders, example) = (mended.files, mended.folders, shown(&mended.example));
        tracing::warn!(files, folders, example, "others on this machine could get at what dropslip keeps; it is private now");
    }
    if let Some(folder) = shown(&mended.shared) {
        tracing::warn!(
            folder,
            "the data folder stays open to others on this machine, as it holds what is not dropslip's: set DROPSLIP_DATA_DIR to a folder \
             of its own. What dropslip keeps in it is private"
        );
    }
    if let Some(refusal) = mended.refusal {
        let (path, error, count) = (refusal.path.display(), refusal.error, mended.refused);
        tracing::warn!(%path, %error, count, "others on this machine may get at what dropslip keeps, and that cannot be changed");
    }
}
