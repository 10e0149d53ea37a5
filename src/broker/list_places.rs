//! Who looks at lists: few at the same time, one tenant after the other, and within a tenant one actor after the other.
//!
//! Few at once end sooner than many that take each other's turns: the last 1 % most of all. And all else that is asked of the database
//! must have connections meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::{Broker, BrokerError};
use crate::database::{Holding, Selected};
use crate::domain::Caller;
use crate::fair::{Permit, Refused};
use crate::limits::Exceeded;
use crate::metrics;

/// Whoever hangs up in the middle of a search waits with the next one for as long as that one took, and no shorter and no longer than this:
/// else to ask and hang up, again and again, would get more than to wait.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// When another try may help whoever has its share, in seconds: one of its own must end first.
const RETRY_AFTER: u64 = 2;

/// The right to have the database look at a list. It lasts until the database is done, also when whoever asked is gone by then.
pub(super) struct Looking(Arc<Held>);

struct Held {
    permit: Option<Permit>,
    since: Instant,
    is_answered: AtomicBool,
}

impl Broker {
    /// Waits for the right to look at that list.
    ///
    /// # Errors
    /// [`BrokerError::LimitExceeded`] when the caller's actor or tenant has its share under way, [`BrokerError::Busy`] when others have all
    /// permits and none was free in time.
    pub(super) async fn may_look(&self, caller: &Caller, selected: &Selected<'_>) -> Result<Looking, BrokerError> {
        let permits = if selected.is_bounded() { &self.lists.pages } else { &self.lists.searches };
        let waiting = metrics::connecting();
        let permit = permits.acquire(&caller.tenant, &caller.actor).await;
        drop(waiting);
        let permit = permit.map_err(|refused| {
            if refused == Refused::TooMany || permits.is_share_taken(&caller.tenant, &caller.actor) {
                BrokerError::LimitExceeded(Exceeded { what: "lists at the same time", retry_after_seconds: RETRY_AFTER })
            } else {
                BrokerError::Busy("lists")
            }
        })?;
        Ok(Looking(Arc::new(Held { permit: Some(permit), since: Instant::now(), is_answered: AtomicBool::new(false) })))
    }
}

impl Looking {
    /// For the store.
    pub(super) fn holding(&self) -> Holding {
        self.0.clone()
    }

    /// Nobody went away.
    pub(super) fn answered(self) {
        self.0.is_answered.store(true, Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let (Some(mut permit), Ok(runtime)) = (self.permit.take(), Handle::try_current()) else { return };
        if !self.is_answered.load(Ordering::Relaxed) {
            permit.lend();
            let wait = self.since.elapsed().clamp(SHORTEST_WAIT, LONGEST_WAIT);
            runtime.spawn(async move {
                tokio::time::sleep(wait).await;
                drop(permit);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::list_permits::SEARCHES;
    use super::*;
    use crate::domain::{Actor, ActorKind, Tenant};
    use crate::fair::{Bounds, FairPermits};

    #[tokio::test]
    async fn whoever_went_away_waits_and_nobody_else_does() {
        let permits = FairPermits::new(Bounds { at_once: 1, ..SEARCHES });
        let tenant: Tenant = "one".parse().unwrap();
        let (one, other) = (Actor { id: 1, kind: ActorKind::Users }, Actor { id: 2, kind: ActorKind::Users });
        let looking = async |actor| {
            let permit = Some(permits.acquire(&tenant, actor).await.unwrap());
            Looking(Arc::new(Held { permit, since: Instant::now(), is_answered: AtomicBool::new(false) }))
        };
        looking(&one).await.answered();
        assert!(!permits.is_share_taken(&tenant, &one));
        let left = looking(&one).await;
        let holding = left.holding();
        drop(left);
        // The database is still at it: the place is taken.
        let waiting = permits.acquire(&tenant, &other);
        tokio::pin!(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(holding);
        assert!(permits.is_share_taken(&tenant, &one));
        drop(waiting.await.unwrap());
        // And in the end its own next one comes.
        drop(permits.acquire(&tenant, &one).await.unwrap());
    }
}
