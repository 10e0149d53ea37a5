//! The file on disk: as long as it was when it was opened, or an error.

use std::io::{ErrorKind, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{Stream, TryStreamExt as _, stream};
use indicatif::ProgressBar;
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::failure::{Failure, SourceError};

/// How much is read at once, in bytes: what bounds the memory of an upload, times the connections.
const CHUNK: u64 = 128 * 1024;

/// A regular file, and what it was when it was opened first.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    name: String,
    size: u64,
    modified: Option<SystemTime>,
}

impl Source {
    /// Looks at the file and proves that it can be read.
    pub(super) async fn open(path: &Path) -> Result<Self, Failure> {
        // Looked at before it is opened: opening a pipe waits for somebody to write into it.
        let metadata = tokio::fs::metadata(path).await.map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(SourceError::Directory.into());
        }
        if !metadata.is_file() {
            return Err(SourceError::NotRegular.into());
        }
        let opened = File::open(path).await.map_err(unreadable)?.metadata().await.map_err(unreadable)?;
        let (size, modified) = (opened.len(), opened.modified().ok());
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(Self { path: path.to_path_buf(), name, size, modified })
    }

    /// The last component of its path.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// In bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// When it was last written to before it was opened; `None` where files do not tell.
    pub(super) fn modified(&self) -> Option<SystemTime> {
        self.modified
    }

    /// Proves that nobody wrote to it since it was opened: reading it in pieces sees only a change of its length.
    pub(super) async fn is_unchanged(&self) -> Result<(), Failure> {
        let now = tokio::fs::metadata(&self.path).await.map_err(unreadable)?;
        if now.len() == self.size && now.modified().ok() == self.modified { Ok(()) } else { Err(SourceError::Changed.into()) }
    }

    /// Base64 of its SHA-256; the bar follows.
    pub(super) async fn checksum_sha256(&self, bar: &ProgressBar) -> Result<String, Failure> {
        bar.reset();
        let mut hasher = Sha256::new();
        let mut chunks = std::pin::pin!(self.chunks(0..self.size).await?);
        while let Some(chunk) = chunks.try_next().await? {
            hasher.update(&chunk);
            bar.inc(chunk.len() as u64);
        }
        Ok(STANDARD.encode(hasher.finalize()))
    }

    /// Some of its bytes, for a request body; what happens to them on the way is known by the [`Reading`].
    pub(super) async fn read(
        &self,
        range: Range<u64>,
        bar: &ProgressBar,
    ) -> Result<(Arc<Reading>, impl Stream<Item = Result<Vec<u8>, SourceError>> + use<>), Failure> {
        let reading = Arc::new(Reading::default());
        let (moved, failed, bar) = (Arc::clone(&reading), Arc::clone(&reading), bar.clone());
        let chunks = self.chunks(range).await?.inspect_ok(move |chunk| {
            moved.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            bar.inc(chunk.len() as u64);
        });
        let chunks = chunks.map_err(move |error| {
            // The HTTP client wraps errors of a body beyond recognition, so the true one is kept here.
            if let Ok(mut kept) = failed.error.lock() {
                *kept = Some(error);
            }
            SourceError::Unreadable(ErrorKind::Other.into())
        });
        Ok((reading, chunks))
    }

    async fn chunks(&self, range: Range<u64>) -> Result<impl Stream<Item = Result<Vec<u8>, SourceError>> + use<>, SourceError> {
        let mut file = File::open(&self.path).await.map_err(unreadable)?;
        file.seek(SeekFrom::Start(range.start)).await?;
        let (size, start) = (self.size, range.start);
        Ok(stream::try_unfold((file, start), move |(mut file, at)| {
            let end = range.end;
            async move {
                let chunk = next_chunk(&mut file, size, at..end).await?;
                Ok(chunk.map(|chunk| {
                    let at = at + chunk.len() as u64;
                    (chunk, (file, at))
                }))
            }
        }))
    }
}

/// The first bytes of `left` in a file of `size` bytes; `None` at the end, when that is where it should be.
async fn next_chunk(file: &mut File, size: u64, left: Range<u64>) -> Result<Option<Vec<u8>>, SourceError> {
    if left.is_empty() {
        // Asked for one byte more, because a form that ends here would be a good upload of half a file.
        let ends = left.end < size || file.read(&mut [0]).await? == 0;
        return if ends { Ok(None) } else { Err(SourceError::Grew { size }) };
    }
    let wanted = CHUNK.min(left.end - left.start);
    let mut chunk = Vec::with_capacity(usize::try_from(wanted).unwrap_or_default());
    file.take(wanted).read_buf(&mut chunk).await?;
    if chunk.is_empty() { Err(SourceError::Shrank { size, read: left.start }) } else { Ok(Some(chunk)) }
}

fn unreadable(error: std::io::Error) -> SourceError {
    if error.kind() == ErrorKind::NotFound { SourceError::Missing } else { SourceError::Unreadable(error) }
}

/// How far the reading of a file came.
#[derive(Debug, Default)]
pub(super) struct Reading {
    bytes: AtomicU64,
    error: Mutex<Option<SourceError>>,
}

impl Reading {
    /// How many bytes were handed over.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Why reading stopped early, if it did.
    pub(super) fn take_error(&self) -> Option<SourceError> {
        self.error.lock().ok()?.take()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file_of(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    async fn read_all(source: &Source) -> (u64, Option<SourceError>) {
        let (reading, chunks) = source.read(0..source.size(), &ProgressBar::hidden()).await.unwrap();
        let _ = chunks.try_collect::<Vec<_>>().await;
        (reading.bytes(), reading.take_error())
    }

    #[tokio::test]
    async fn a_range_is_read_from_its_offset_and_no_further() {
        let bytes: Vec<u8> = (0..=255).cycle().take(300_001).collect();
        let file = file_of(&bytes);
        let source = Source::open(file.path()).await.unwrap();
        for range in [0..1, 131_070..131_075, 99..300_001, 150_000..300_000] {
            let (reading, chunks) = source.read(range.clone(), &ProgressBar::hidden()).await.unwrap();
            let read = chunks.try_collect::<Vec<_>>().await.unwrap().concat();
            assert_eq!(reading.bytes(), range.end - range.start);
            let (start, end) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
            assert!(read == bytes[start..end], "{range:?}");
        }
    }

    #[tokio::test]
    async fn a_file_that_was_written_to_is_noticed_whatever_its_length() {
        let file = file_of(b"hello");
        let source = Source::open(file.path()).await.unwrap();
        source.is_unchanged().await.unwrap();
        file.as_file().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert!(source.is_unchanged().await.unwrap_err().is_changed_source());
    }

    #[tokio::test]
    async fn a_file_is_read_whole_and_its_checksum_is_that_of_its_bytes() {
        let bytes = vec![7; 300_000];
        let file = file_of(&bytes);
        let source = Source::open(file.path()).await.unwrap();
        let (read, error) = read_all(&source).await;
        assert_eq!((read, source.size()), (300_000, 300_000));
        assert!(error.is_none());
        assert_eq!(source.checksum_sha256(&ProgressBar::hidden()).await.unwrap(), STANDARD.encode(Sha256::digest(&bytes)));
    }

    #[tokio::test]
    async fn a_file_that_changes_its_length_is_an_error_and_not_a_part_of_it() {
        let file = file_of(&vec![7; 300_000]);
        let source = Source::open(file.path()).await.unwrap();
        file.as_file().set_len(200_000).unwrap();
        let (_, error) = read_all(&source).await;
        assert!(matches!(error, Some(SourceError::Shrank { size: 300_000, read: 200_000 })), "{error:?}");
        file.as_file().set_len(300_001).unwrap();
        let (_, error) = read_all(&source).await;
        assert!(matches!(error, Some(SourceError::Grew { size: 300_000 })), "{error:?}");
    }

    #[tokio::test]
    async fn a_file_without_bytes_is_read_and_what_is_no_file_is_told() {
        let (folder, empty) = (tempfile::tempdir().unwrap(), file_of(b""));
        let source = Source::open(empty.path()).await.unwrap();
        assert!(matches!(read_all(&source).await, (0, None)));
        assert_eq!(source.checksum_sha256(&ProgressBar::hidden()).await.unwrap(), STANDARD.encode(Sha256::digest(b"")));
        empty.as_file().set_len(1).unwrap();
        assert!(matches!(read_all(&source).await, (_, Some(SourceError::Grew { size: 0 }))));
        let complaint = async |path: &Path| Source::open(path).await.unwrap_err().to_string();
        assert_eq!(complaint(folder.path()).await, "is a directory; name the files in it");
        assert_eq!(complaint(&folder.path().join("none")).await, "there is no such file");
        assert_eq!(complaint(Path::new("/dev/null")).await, "is neither a file nor a link to one");
    }
}
