//! How much one actor and one tenant may ask for.
//!
//! - **Requests per second** are counted in this process, with bursts of one second.
//! - **Open slips and reserved bytes** are counted in the database, over all brokers. A count is trusted for a few seconds, and
//!   while the next one is under way, plus what this process added since, so that limits
//!   cost a query now and then and not one for each slip. With several brokers a limit can be overrun by what the others issue in those
//!   seconds. Everybody's are counted at once: see [`Store::open_slips`].

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::domain::{Actor, Caller, Tenant};
use crate::store::{OpenSlips, Store, StoreError};

/// How long a count of open slips is trusted while it is below the limit.
const TRUSTED: Duration = Duration::from_secs(5);

/// How long a count that was over the limit is trusted: refusals must be cheaper than slips.
const TRUSTED_OVER: Duration = Duration::from_secs(1);

/// A count is trusted for so many times what it took: no more than a twentieth of the time goes into counting.
const MOST_TIME: u32 = 20;

/// After so many requests, actors and tenants that sent none of late are forgotten: tokens may name ever new ones.
const BETWEEN_CLEANINGS: u32 = 65_536;

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

/// Everybody's open slips, as they were counted last and with what this process added since.
#[derive(Default)]
struct Counts {
    open: HashMap<Who, OpenSlips>,
    /// What was added since the last count began: it may not be in it.
    added: HashMap<Who, OpenSlips>,
    counted: Option<Counted>,
}

/// When was counted, and how long it took.
#[derive(Clone, Copy)]
struct Counted {
    at: Instant,
    took: Duration,
}

/// The limits of an installation.
pub struct Limits {
    actor: Limit,
    tenant: Limit,
    rates: [Option<DefaultKeyedRateLimiter<Who>>; 2],
    requests: AtomicU32,
    counts: Mutex<Counts>,
    counting: tokio::sync::Mutex<()>,
}

impl Limits {
    /// Limits for each actor and for each tenant.
    #[must_use]
    pub fn new(actor: Limit, tenant: Limit) -> Self {
        let rate = |limit: Limit| NonZeroU32::new(limit.requests_per_second).map(|n| RateLimiter::keyed(Quota::per_second(n)));
        let (counts, counting) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { actor, tenant, rates: [rate(actor), rate(tenant)], requests: AtomicU32::new(1), counts, counting }
    }

    /// Counts one request.
    ///
    /// # Errors
    /// When the caller's actor or tenant sends too many.
    pub fn request(&self, caller: &Caller) -> Result<(), Exceeded> {
        let cleaning = self.requests.fetch_add(1, Ordering::Relaxed).is_multiple_of(BETWEEN_CLEANINGS);
        for (rate, subject) in self.rates.iter().zip(SUBJECTS) {
            let Some(rate) = rate else { continue };
            if cleaning {
                rate.retain_recent();
                rate.shrink_to_fit();
            }
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
        let mut counted = None;
        for (limit, subject) in [self.actor, self.tenant].into_iter().zip(SUBJECTS) {
            if (limit.open_slips, limit.reserved_bytes) == (0, 0) {
                continue;
            }
            let who = subject(caller);
            let answer = match self.answer(&who, limit, bytes, 1) {
                Some(answer) => answer,
                None => Box::pin(self.count(store, &who, limit, bytes)).await?,
            };
            if let Err(exceeded) = answer {
                // What comes to nothing takes nobody's place.
                if let Some(who) = counted {
                    self.take_back(&who, bytes);
                }
                return Ok(Err(exceeded));
            }
            counted = Some(who);
        }
        Ok(Ok(()))
    }

    /// An answer from what the database counts now.
    async fn count(&self, store: &Store, who: &Who, limit: Limit, bytes: u64) -> Result<Result<(), Exceeded>, StoreError> {
        // One count at a time. Meanwhile the old one goes on for as long again: to count many slips takes its time.
        let _counting = match self.counting.try_lock() {
            Ok(counting) => counting,
            Err(_) => match self.answer(who, limit, bytes, 2) {
                Some(answer) => return Ok(answer),
                None => self.counting.lock().await,
            },
        };
        // Whoever waited finds the other's count, with itself not in it yet.
        if let Some(answer) = self.answer(who, limit, bytes, 1) {
            return Ok(answer);
        }
        let began = Instant::now();
        self.counts().added.clear();
        let open = store.open_slips().await?;
        let mut counts = self.counts();
        counts.open = HashMap::with_capacity(open.len());
        let added: Vec<_> = counts.added.iter().map(|(who, added)| (who.clone(), *added)).collect();
        let of_actors = open.iter().map(|((tenant, actor), open)| (Who::Actor(tenant.clone(), *actor), *open));
        let of_tenants = open.iter().map(|((tenant, _), open)| (Who::Tenant(tenant.clone()), *open));
        for (who, open) in of_actors.chain(of_tenants).chain(added) {
            let sum = counts.open.entry(who).or_default();
            *sum = sum.and(open);
        }
        counts.counted = Some(Counted { at: Instant::now(), took: began.elapsed() });
        drop(counts);
        // It was counted just now, so there is an answer; without one nothing is granted.
        let unknown = Exceeded { what: "open slips", retry_after_seconds: SLIPS_RETRY_AFTER };
        Ok(self.answer(who, limit, bytes, 1).unwrap_or(Err(unknown)))
    }

    /// An answer from what was counted a moment ago; `None` when the database must be asked. `times` as long ago is a moment too.
    fn answer(&self, who: &Who, limit: Limit, bytes: u64, times: u32) -> Option<Result<(), Exceeded>> {
        let mut counts = self.counts();
        let Counted { at, took } = counts.counted?;
        let open = counts.open.get(who).copied().unwrap_or_default();
        let trusted = |least: Duration| at.elapsed() < least.max(took * MOST_TIME) * times;
        match excess(limit, open, bytes) {
            None if trusted(TRUSTED) => {
                let one = OpenSlips { slips: 1, bytes };
                let Counts { open, added, .. } = &mut *counts;
                for sums in [open, added] {
                    let sum = sums.entry(who.clone()).or_default();
                    *sum = sum.and(one);
                }
                Some(Ok(()))
            }
            Some(exceeded) if trusted(TRUSTED_OVER) => Some(Err(exceeded)),
            _ => None,
        }
    }

    /// Undoes what [`Limits::answer`] counted.
    fn take_back(&self, who: &Who, bytes: u64) {
        let Counts { open, added, .. } = &mut *self.counts();
        for sums in [open, added] {
            if let Some(sum) = sums.get_mut(who) {
                *sum = OpenSlips { slips: sum.slips.saturating_sub(1), bytes: sum.bytes.saturating_sub(bytes) };
            }
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose limits a caller comes under.
const SUBJECTS: [fn(&Caller) -> Who; 2] =
    [|caller| Who::Actor(caller.tenant.clone(), caller.actor), |caller| Who::Tenant(caller.tenant.clone())];

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ActorKind, Scopes, TypeLimit};

    #[test]
    fn actors_and_tenants_that_send_nothing_are_forgotten() {
        let limit = Limit { requests_per_second: 1_000_000, ..Limit::default() };
        let limits = Limits::new(limit, limit);
        for id in 0..=i64::from(BETWEEN_CLEANINGS) {
            let actor = Actor { id, kind: ActorKind::Users };
            let tenant = format!("t{id}").parse().unwrap();
            limits.request(&Caller { actor, tenant, scopes: Scopes::all(), types: TypeLimit::default() }).unwrap();
        }
        for rate in limits.rates.iter().flatten() {
            assert!(rate.len() < BETWEEN_CLEANINGS as usize / 2, "{} are remembered", rate.len());
        }
    }
}
