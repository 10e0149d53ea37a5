//! One at a time for each file, within this process: whoever comes second finds what the first one did.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

use crate::domain::FileId;

/// How many are kept before those that nobody waits for are thrown away.
const KEPT: usize = 1024;

/// Who works on which file.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<FileId, Weak<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits until nobody else works on that file.
    pub(super) async fn wait(&self, id: FileId) -> OwnedMutexGuard<()> {
        let turn = self.of(id);
        turn.lock_owned().await
    }

    fn of(&self, id: FileId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(&id).and_then(Weak::upgrade) {
            return turn;
        }
        if turns.len() >= KEPT {
            turns.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = Arc::default();
        turns.insert(id, Arc::downgrade(&turn));
        turn
    }
}
