//! Who subscribes to changes.

use std::sync::{Arc, RwLock};

use tokio::sync::Notify;

use crate::domain::Subscription;

/// Who subscribes; the same for all clones of a database.
#[derive(Debug, Clone, Default)]
pub(super) struct Subscribers {
    pub(super) list: Arc<RwLock<Arc<[Subscription]>>>,
    pub(super) appended: Arc<Notify>,
}
