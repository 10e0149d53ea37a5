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
        let turn = self.of(id);
        turn.lock_owned().await
    }

    fn of(&self, id: K) -> Arc<tokio::sync::Mutex<T>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(&id).and_then(Weak::upgrade) {
            return turn;
        }
        if turns.len() >= KEPT {
            turns.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = Arc::new(tokio::sync::Mutex::default());
        turns.insert(id, Arc::downgrade(&turn));
        turn
    }
}
