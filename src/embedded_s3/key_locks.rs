//! Who writes a key is alone with it.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::sync::Arc;

use s3s::S3Result;
use s3s_fs::FileSystem;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Locks shared by all keys; two keys that share one wait for each other, which costs time and nothing else.
const LOCKS: usize = 64;

/// `s3s-fs`, one writer at a time for each key.
#[derive(Clone)]
pub(super) struct Guarded {
    pub(super) files: Arc<FileSystem>,
    pub(super) root: PathBuf,
    locks: Arc<[RwLock<()>]>,
}

impl Guarded {
    pub(super) fn new(files: FileSystem, root: PathBuf) -> Self {
        let locks = (0..LOCKS).map(|_| RwLock::new(())).collect();
        Self { files: Arc::new(files), root, locks }
    }

    fn lock_number(bucket: &str, key: &str) -> usize {
        let mut hasher = DefaultHasher::new();
        (bucket, key).hash(&mut hasher);
        usize::try_from(hasher.finish() % LOCKS as u64).unwrap_or_default()
    }

    pub(super) async fn reading(&self, bucket: &str, key: &str) -> RwLockReadGuard<'_, ()> {
        self.locks[Self::lock_number(bucket, key)].read().await
    }

    pub(super) async fn writing(&self, bucket: &str, key: &str) -> RwLockWriteGuard<'_, ()> {
        self.locks[Self::lock_number(bucket, key)].write().await
    }

    /// The same for several keys. Each lock is taken once and in rising order, so that there is no deadlock.
    pub(super) async fn writing_all<'k>(&self, keys: impl IntoIterator<Item = (&'k str, &'k str)>) -> Vec<RwLockWriteGuard<'_, ()>> {
        let numbers: BTreeSet<usize> = keys.into_iter().map(|(bucket, key)| Self::lock_number(bucket, key)).collect();
        let mut guards = Vec::with_capacity(numbers.len());
        for number in numbers {
            guards.push(self.locks[number].write().await);
        }
        guards
    }

    /// Whether the bucket's folder is there. `s3s-fs` would make it again, empty, or call deleted what it did not find.
    pub(super) async fn there(&self, bucket: &str) -> S3Result<()> {
        let found = tokio::fs::metadata(self.root.join(bucket)).await;
        if found.is_ok_and(|found| found.is_dir()) { Ok(()) } else { Err(s3s::s3_error!(NoSuchBucket, "The bucket is not there.")) }
    }
}
