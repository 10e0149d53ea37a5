//! Who wants to be told of changes.

use std::sync::{Arc, RwLock};

use tokio::sync::Notify;

use crate::domain::Subscription;

/// Who wants to be told; the same for all clones of a store.
#[derive(Debug, Clone, Default)]
pub(super) struct Subscribers {
    pub(super) list: Arc<RwLock<Arc<[Subscription]>>>,
    pub(super) appended: Arc<Notify>,
}
