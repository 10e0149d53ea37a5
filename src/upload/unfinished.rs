//! Which uploads in parts began and did not end, so that `--resume` finds them, also after the process or the machine died.
//!
//! A file each in the user's state folder. Its name is a hash of the broker's address and of the file's path, size and time of last
//! change; all it holds is the number that the broker gave. Which parts arrived is the broker's to say: a list kept here could be
//! wrong, and would have to be written with every part. A file that changed has another name and begins anew.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};

use super::failure::Unfinished;
use super::source::Source;
use crate::output::complain;
use crate::private::{Mended, Own};

/// Longer than brokers let any upload live; what is older is thrown away.
const LONGEST_LIFE: Duration = Duration::from_hours(14 * 24);

/// What is remembered, and what of it this process works on.
pub(super) struct Memory {
    server: String,
    folder: Option<PathBuf>,
    open: Mutex<BTreeMap<PathBuf, Unfinished>>,
}

impl Memory {
    /// The memory of uploads to `server`, below the folder where programs keep their state.
    pub(super) fn new(server: &str, state_home: Option<&Path>) -> Self {
        let folder = state_home.map(|home| home.join("dropslip").join("uploads"));
        if let Some(state) = folder.as_deref().and_then(Path::parent) {
            let mut mended = Mended::default();
            mended.own_folder(state, Own { files: &[], trees: &["uploads"], beside: &[] });
            if mended.any() {
                complain!("dropslip: {mended}");
            }
        }
        Self { server: server.to_owned(), folder, open: Mutex::default() }
    }

    /// The number of the upload of this very file that did not end.
    pub(super) async fn find(&self, source: &Source) -> Option<i64> {
        self.read(&self.place(source).await?).await
    }

    /// Remembers an upload until it is forgotten. Without a place for it, it can still be gone on with by its number.
    pub(super) async fn remember(&self, source: &Source, id: i64) -> Unfinished {
        let written = match self.place(source).await {
            Some(place) => write(&place, id).await,
            None => Err(io::ErrorKind::NotFound.into()),
        };
        let unfinished = Unfinished { id, remembered: written.is_ok() };
        if let Ok(mut open) = self.open.lock() {
            open.insert(source.path().to_path_buf(), unfinished);
        }
        unfinished
    }

    /// Forgets an upload that is over, one way or the other.
    pub(super) async fn forget(&self, source: &Source, id: i64) {
        if let Ok(mut open) = self.open.lock() {
            open.remove(source.path());
        }
        // Another process may have begun to upload the same file since.
        if let Some(place) = self.place(source).await
            && self.read(&place).await == Some(id)
        {
            let _ = tokio::fs::remove_file(place).await;
        }
    }

    /// What this process has not ended, by path.
    pub(super) fn open(&self) -> BTreeMap<PathBuf, Unfinished> {
        self.open.lock().map(|open| open.clone()).unwrap_or_default()
    }

    async fn read(&self, place: &Path) -> Option<i64> {
        tokio::fs::read_to_string(place).await.ok()?.trim().parse().ok()
    }

    async fn place(&self, source: &Source) -> Option<PathBuf> {
        let folder = self.folder.as_ref()?;
        let path = tokio::fs::canonicalize(source.path()).await.ok()?;
        let modified = source.modified()?.duration_since(UNIX_EPOCH).ok()?;
        let mut hasher = Sha256::new();
        for part in [self.server.as_bytes(), path.as_os_str().as_encoded_bytes()] {
            hasher.update(part);
            hasher.update([0]);
        }
        hasher.update(source.size().to_be_bytes());
        hasher.update(modified.as_nanos().to_be_bytes());
        Some(folder.join(hex::encode(hasher.finalize())))
    }
}

async fn write(place: &Path, id: i64) -> io::Result<()> {
    let Some(folder) = place.parent() else { return Err(io::ErrorKind::NotFound.into()) };
    let mut builder = tokio::fs::DirBuilder::new();
    #[cfg(unix)]
    builder.mode(0o700);
    builder.recursive(true).create(folder).await?;
    tidy(folder).await;
    // Renamed, so that nobody ever reads half a number.
    let draft = place.with_extension(std::process::id().to_string());
    tokio::fs::write(&draft, format!("{id}\n")).await?;
    tokio::fs::rename(&draft, place).await
}

/// Throws away what no broker can still know.
async fn tidy(folder: &Path) {
    let Ok(mut entries) = tokio::fs::read_dir(folder).await else { return };
    while let Ok(Some(entry)) = entries.next_entry().await {
        let modified = entry.metadata().await.and_then(|metadata| metadata.modified());
        let age = modified.map(|modified| SystemTime::now().duration_since(modified).unwrap_or_default());
        if age.is_ok_and(|age| age > LONGEST_LIFE) {
            let _ = tokio::fs::remove_file(entry.path()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn source(path: &Path) -> Source {
        Source::open(path).await.unwrap()
    }

    #[tokio::test]
    async fn an_upload_is_found_by_broker_path_size_and_time_and_by_nothing_less() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        std::fs::write(&path, "hello").unwrap();
        let memory = Memory::new("http://a", Some(folder.path()));
        assert_eq!(memory.find(&source(&path).await).await, None);
        let unfinished = memory.remember(&source(&path).await, 7).await;
        assert_eq!(unfinished, Unfinished { id: 7, remembered: true });
        assert_eq!(memory.open(), BTreeMap::from([(path.clone(), unfinished)]));

        // Another process.
        let memory = Memory::new("http://a", Some(folder.path()));
        assert_eq!(memory.find(&source(&path).await).await, Some(7));
        assert_eq!(Memory::new("http://b", Some(folder.path())).find(&source(&path).await).await, None);
        let copy = folder.path().join("b.bin");
        std::fs::copy(&path, &copy).unwrap();
        assert_eq!(memory.find(&source(&copy).await).await, None);

        let file = std::fs::File::options().write(true).open(&path).unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        file.set_modified(modified + Duration::from_micros(1)).unwrap();
        assert_eq!(memory.find(&source(&path).await).await, None);
        file.set_modified(modified).unwrap();
        assert_eq!(memory.find(&source(&path).await).await, Some(7));

        memory.forget(&source(&path).await, 8).await;
        assert_eq!(memory.find(&source(&path).await).await, Some(7), "that was another upload");
        memory.forget(&source(&path).await, 7).await;
        assert_eq!(memory.find(&source(&path).await).await, None);
        assert!(memory.open().is_empty());
    }

    #[tokio::test]
    async fn without_a_place_the_number_is_all_there_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        std::fs::write(&path, "hello").unwrap();
        for home in [None, Some(path.as_path())] {
            let memory = Memory::new("http://a", home);
            assert_eq!(memory.remember(&source(&path).await, 7).await, Unfinished { id: 7, remembered: false });
            assert_eq!(memory.find(&source(&path).await).await, None);
        }
    }

    #[tokio::test]
    async fn what_is_too_old_is_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        std::fs::write(&path, "hello").unwrap();
        let memory = Memory::new("http://a", Some(folder.path()));
        let place = memory.place(&source(&path).await).await.unwrap();
        let old = place.with_file_name("old");
        memory.remember(&source(&path).await, 7).await;
        std::fs::write(&old, "6\n").unwrap();
        let file = std::fs::File::options().write(true).open(&old).unwrap();
        file.set_modified(SystemTime::now() - LONGEST_LIFE - Duration::from_mins(1)).unwrap();
        memory.remember(&source(&path).await, 7).await;
        assert!(place.exists() && !old.exists());
    }
}
