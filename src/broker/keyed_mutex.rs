//! One at a time for each file or list, within this process: whoever comes second finds what the first one did.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

/// How many are kept before those that nobody waits for are thrown away.
const KEPT: usize = 1024;

/// Who works on what, and what they leave for those who wait.
#[derive(Debug)]
pub(super) struct KeyedMutex<K, T = ()>(Mutex<HashMap<K, Weak<tokio::sync::Mutex<T>>>>);

impl<K, T> Default for KeyedMutex<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, T: Default> KeyedMutex<K, T> {
    /// Waits until nobody else works on that.
    pub(super) async fn wait(&self, id: K) -> OwnedMutexGuard<T> {
        let lock = self.of(id);
        lock.lock_owned().await
    }

    fn of(&self, id: K) -> Arc<tokio::sync::Mutex<T>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(&id).and_then(Weak::upgrade) {
            return lock;
        }
        if locks.len() >= KEPT {
            locks.retain(|_, lock| lock.strong_count() > 0);
        }
        let lock = Arc::new(tokio::sync::Mutex::default());
        locks.insert(id, Arc::downgrade(&lock));
        lock
    }
}
