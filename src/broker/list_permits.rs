//! Permits for those who look at lists.

use std::time::Duration;

use crate::fair::{Bounds, FairPermits};

/// Of statements that look at a bounded number of files: milliseconds each.
const PAGES: Bounds =
    Bounds { at_once: 5, of_tenant: 4, of_actor: 3, asked_by_actor: 256, waiting_of_tenant: 512, patience: Duration::from_secs(5) };

/// Of searches, each of which may look at every file of a tenant: one takes a processor for as long.
pub(super) const SEARCHES: Bounds =
    Bounds { at_once: 3, of_tenant: 2, of_actor: 1, asked_by_actor: 32, waiting_of_tenant: 128, patience: Duration::from_secs(5) };

/// Permits for lists.
#[derive(Debug)]
pub(super) struct Lists {
    pub(super) pages: FairPermits,
    pub(super) searches: FairPermits,
}

impl Default for Lists {
    fn default() -> Self {
        Self { pages: FairPermits::new(PAGES), searches: FairPermits::new(SEARCHES) }
    }
}
