//! How much one actor and one tenant may ask for.
//!
//! - **Requests per second** are counted in this process, with bursts of one second.
//! - **Open slips and reserved bytes** are counted in the database, over all brokers. A count is trusted for a few seconds, plus
//!   what this process added since, so that a limit costs a query now and then and not one for each slip. With several brokers a limit can be overrun by what the others issue in those seconds.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::domain::{Actor, Caller, Tenant};
use crate::store::{OpenSlips, Store, StoreError};

/// How long a count of open slips is trusted while it is below the limit.
const TRUSTED: Duration = Duration::from_secs(5);

/// How long a count that was over the limit is trusted: refusals must be cheaper than slips.
const TRUSTED_OVER: Duration = Duration::from_secs(1);

/// When asking for a slip again may help, in seconds: somebody must confirm one first, or one must expire.
const SLIPS_RETRY_AFTER: u64 = 10;

/// The limits of one actor or one tenant; zero means none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limit {
    /// Temp files at the same time.
    pub open_slips: u64,
    /// The sum of the sizes that their forms allow, in bytes.
    pub reserved_bytes: u64,
    /// Requests of any kind.
    pub requests_per_second: u32,
}

/// Whose limit it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    Actor(Tenant, Actor),
    Tenant(Tenant),
}

/// What was refused, and when to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// What there was too much of.
    pub what: &'static str,
    /// Whole seconds, at least one.
    pub retry_after_seconds: u64,
}

struct Count {
    counted: OpenSlips,
    at: Instant,
}

/// The limits of an installation.
pub struct Limits {
    actor: Limit,
    tenant: Limit,
    rates: [Option<DefaultKeyedRateLimiter<Who>>; 2],
    counts: Mutex<HashMap<Who, Count>>,
    counting: tokio::sync::Mutex<()>,
}

impl Limits {
    /// Limits for each actor and for each tenant.
    #[must_use]
    pub fn new(actor: Limit, tenant: Limit) -> Self {
        let rate = |limit: Limit| NonZeroU32::new(limit.requests_per_second).map(|n| RateLimiter::keyed(Quota::per_second(n)));
        Self { actor, tenant, rates: [rate(actor), rate(tenant)], counts: Mutex::default(), counting: tokio::sync::Mutex::default() }
    }

    /// Counts one request.
    ///
    /// # Errors
    /// When the caller's actor or tenant sends too many.
    pub fn request(&self, caller: &Caller) -> Result<(), Exceeded> {
        for (rate, subject) in self.rates.iter().zip(SUBJECTS) {
            let Some(rate) = rate else { continue };
            let who = subject(caller);
            if let Err(too_early) = rate.check_key(&who) {
                let wait = too_early.wait_time_from(DefaultClock::default().now());
                return Err(Exceeded { what: "requests per second", retry_after_seconds: wait.as_secs() + 1 });
            }
        }
        Ok(())
    }

    /// Counts one more slip that reserves `bytes`.
    ///
    /// # Errors
    /// The inner one when the caller's actor or tenant has too many open already.
    pub async fn slip(&self, store: &Store, caller: &Caller, bytes: u64) -> Result<Result<(), Exceeded>, StoreError> {
        for (limit, subject) in [self.actor, self.tenant].into_iter().zip(SUBJECTS) {
            if (limit.open_slips, limit.reserved_bytes) == (0, 0) {
                continue;
            }
            let who = subject(caller);
            if let Some(answer) = self.trusted_answer(&who, limit, bytes) {
                if let Err(exceeded) = answer {
                    return Ok(Err(exceeded));
                }
                continue;
            }
            // One count at a time: whoever waited finds the other's, with itself not in it yet.
            let _counting = self.counting.lock().await;
            if let Some(answer) = self.trusted_answer(&who, limit, bytes) {
                if let Err(exceeded) = answer {
                    return Ok(Err(exceeded));
                }
                continue;
            }
            let counted = match &who {
                Who::Actor(tenant, actor) => Box::pin(store.open_slips(tenant, Some(*actor))).await?,
                Who::Tenant(tenant) => Box::pin(store.open_slips(tenant, None)).await?,
            };
            let over = excess(limit, counted, bytes);
            let counted = if over.is_none() { grown(counted, bytes) } else { counted };
            self.counts.lock().unwrap_or_else(PoisonError::into_inner).insert(who, Count { counted, at: Instant::now() });
            if let Some(exceeded) = over {
                return Ok(Err(exceeded));
            }
        }
        Ok(Ok(()))
    }

    /// An answer from what was counted a moment ago; `None` when the database must be asked.
    fn trusted_answer(&self, who: &Who, limit: Limit, bytes: u64) -> Option<Result<(), Exceeded>> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get_mut(who)?;
        match excess(limit, count.counted, bytes) {
            None if count.at.elapsed() < TRUSTED => {
                count.counted = grown(count.counted, bytes);
                Some(Ok(()))
            }
            Some(exceeded) if count.at.elapsed() < TRUSTED_OVER => Some(Err(exceeded)),
            _ => None,
        }
    }
}

/// Whose limits a caller comes under.
const SUBJECTS: [fn(&Caller) -> Who; 2] =
    [|caller| Who::Actor(caller.tenant.clone(), caller.actor), |caller| Who::Tenant(caller.tenant.clone())];

fn grown(counted: OpenSlips, bytes: u64) -> OpenSlips {
    OpenSlips { slips: counted.slips + 1, bytes: counted.bytes.saturating_add(bytes) }
}

fn excess(limit: Limit, counted: OpenSlips, bytes: u64) -> Option<Exceeded> {
    let over = |limit: u64, wanted: u64| limit != 0 && wanted > limit;
    let what = if over(limit.open_slips, counted.slips + 1) {
        "open slips"
    } else if over(limit.reserved_bytes, counted.bytes.saturating_add(bytes)) {
        "reserved bytes"
    } else {
        return None;
    };
    Some(Exceeded { what, retry_after_seconds: SLIPS_RETRY_AFTER })
}
