//! How many confirmations, and how many uploads through the broker, are under way at the same time.
//!
//! One that was begun goes to its end when its client hangs up, so without a bound whoever asks and hangs up would fill the process with
//! them while the store stalls. A permit is held until the confirmation really ends; who waits for one and hangs up is gone.

use std::time::Duration;

use super::{Broker, BrokerError, allowed};
use crate::domain::{Caller, Scope};
use crate::fair::{Bounds, Permit, Refused};
use crate::limits::Exceeded;

/// Each has two requests to the store under way, but while it copies a file in parts: together as many as there may be.
pub(super) const BOUNDS: Bounds =
    Bounds { at_once: 128, of_tenant: 96, of_actor: 64, asked_by_actor: 256, waiting_of_tenant: 512, patience: Duration::from_secs(10) };

/// One in so many places more than a tenant may have is kept for the others.
const KEPT: usize = 4;

/// Uploads through the broker, of which one tenant has so many. Whoever waits for a place has sent nothing yet, so it waits shortly.
pub(super) fn of_uploads(of_tenant: usize) -> Bounds {
    let at_once = places_for_uploads(of_tenant);
    let patience = Duration::from_secs(3);
    Bounds { at_once, of_tenant, of_actor: of_tenant, asked_by_actor: of_tenant + 64, waiting_of_tenant: 256, patience }
}

/// How many uploads come through the broker at the same time where one tenant may have so many.
#[must_use]
pub fn places_for_uploads(of_tenant: usize) -> usize {
    of_tenant + of_tenant.div_ceil(KEPT)
}

/// When another try may help whoever has its share, in seconds: one of its own must end first.
const RETRY_AFTER: u64 = 5;

impl Broker {
    /// The right to confirm one file, to be held until that is done. Tenants and their actors are served round robin.
    ///
    /// # Errors
    /// [`BrokerError::LimitExceeded`] when the caller's actor or tenant has its share under way, [`BrokerError::Busy`] when others have
    /// all permits and none was free in time.
    pub async fn may_confirm(&self, caller: &Caller) -> Result<Permit, BrokerError> {
        allowed(caller, Scope::FilesWrite)?;
        let permit = self.permits.acquire(&caller.tenant, &caller.actor).await;
        permit.map_err(|refused| {
            if refused == Refused::TooMany || self.permits.is_share_taken(&caller.tenant, &caller.actor) {
                BrokerError::LimitExceeded(Exceeded { what: "confirmations at the same time", retry_after_seconds: RETRY_AFTER })
            } else {
                BrokerError::Busy("confirmations")
            }
        })
    }

    /// A place for bytes that come through the broker, to be held until nothing of them is in memory any more.
    pub(super) async fn may_receive(&self, caller: &Caller) -> Result<Permit, BrokerError> {
        let permit = self.uploads.acquire(&caller.tenant, &caller.actor).await;
        permit.map_err(|_| BrokerError::Busy("uploads through the broker"))
    }
}
