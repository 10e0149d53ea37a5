//! How much one actor and one tenant may ask for.
//!
//! - **Requests per second** are counted in this process, with bursts of one second.
//! - **Open slips** are counted in the database, over all brokers. A count is trusted for a few seconds, and
//!   while the next one is under way, plus what this process added since, so that limits
//!   cost a query now and then and not one for each slip. With several brokers a limit can be overrun by what the others issue in those
//!   seconds. Everybody's are counted at once: see [`Database::open_slips`].
//! - **Reserved bytes** are counted in the database with each form, and never overrun: see [`Database::reserve`]. That costs each slip a
//!   transaction more, where there is such a limit.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use time::OffsetDateTime;

use crate::database::{Database, DatabaseError, NewForm, ReservedBytes};
use crate::domain::{Actor, Caller, StagingKey, Tenant};

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
    /// The sum of the sizes that living forms allow, in bytes.
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
    open: HashMap<Who, u64>,
    /// What was added since the last count began: it may not be in it.
    added: HashMap<Who, u64>,
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

    /// Counts one more slip with a form.
    ///
    /// # Errors
    /// The inner one when the caller's actor or tenant has too many open already.
    pub async fn slip(
        &self,
        database: &Database,
        caller: &Caller,
        form: &NewForm<'_>,
        now: OffsetDateTime,
    ) -> Result<Result<(), Exceeded>, DatabaseError> {
        let mut counted = Vec::new();
        for (limit, subject) in [self.actor.open_slips, self.tenant.open_slips].into_iter().zip(SUBJECTS) {
            if limit == 0 {
                continue;
            }
            let who = subject(caller);
            let answer = match self.answer(&who, limit, 1) {
                Some(answer) => answer,
                None => Box::pin(self.count(database, &who, limit)).await?,
            };
            if answer.is_err() {
                self.take_back(&counted);
                return Ok(answer);
            }
            counted.push(who);
        }
        let reserved = self.reserve(database, form, now).await;
        if !matches!(reserved, Ok(Ok(()))) {
            self.take_back(&counted);
        }
        reserved
    }

    /// Counts the bytes that a form allows until it dies, in the place of those of an earlier form for the same key.
    ///
    /// # Errors
    /// The inner one when the actor or tenant has too many reserved already.
    pub async fn reserve(
        &self,
        database: &Database,
        form: &NewForm<'_>,
        now: OffsetDateTime,
    ) -> Result<Result<(), Exceeded>, DatabaseError> {
        let Some(limits) = self.reserved_bytes() else { return Ok(Ok(())) };
        let reserved = database.reserve(form, limits, now).await?;
        Ok(if reserved { Ok(()) } else { Err(Exceeded { what: "reserved bytes", retry_after_seconds: SLIPS_RETRY_AFTER }) })
    }

    /// Counts a form no more: nothing can be written with it.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn release(&self, database: &Database, staging_key: &StagingKey) -> Result<(), DatabaseError> {
        if self.reserved_bytes().is_some() { database.release(staging_key).await } else { Ok(()) }
    }

    /// How many bytes may be reserved; `None` where there is no limit of it.
    #[must_use]
    pub fn reserved_bytes(&self) -> Option<ReservedBytes> {
        let limits = ReservedBytes { actor: self.actor.reserved_bytes, tenant: self.tenant.reserved_bytes };
        (limits != ReservedBytes::default()).then_some(limits)
    }

    /// An answer from what the database counts now.
    async fn count(&self, database: &Database, who: &Who, limit: u64) -> Result<Result<(), Exceeded>, DatabaseError> {
        // One count at a time. Meanwhile the old one goes on for as long again: to count many slips takes its time.
        let _counting = match self.counting.try_lock() {
            Ok(counting) => counting,
            Err(_) => match self.answer(who, limit, 2) {
                Some(answer) => return Ok(answer),
                None => self.counting.lock().await,
            },
        };
        // Whoever waited finds the other's count, with itself not in it yet.
        if let Some(answer) = self.answer(who, limit, 1) {
            return Ok(answer);
        }
        let began = Instant::now();
        self.counts().added.clear();
        let open = database.open_slips().await?;
        let mut counts = self.counts();
        counts.open = HashMap::with_capacity(open.len());
        let added: Vec<_> = counts.added.iter().map(|(who, added)| (who.clone(), *added)).collect();
        let of_actors = open.iter().map(|((tenant, actor), open)| (Who::Actor(tenant.clone(), *actor), *open));
        let of_tenants = open.iter().map(|((tenant, _), open)| (Who::Tenant(tenant.clone()), *open));
        for (who, open) in of_actors.chain(of_tenants).chain(added) {
            let sum = counts.open.entry(who).or_default();
            *sum = sum.saturating_add(open);
        }
        counts.counted = Some(Counted { at: Instant::now(), took: began.elapsed() });
        drop(counts);
        // It was counted just now, so there is an answer; without one nothing is granted.
        let unknown = Exceeded { what: "open slips", retry_after_seconds: SLIPS_RETRY_AFTER };
        Ok(self.answer(who, limit, 1).unwrap_or(Err(unknown)))
    }

    /// An answer from what was counted a moment ago; `None` when the database must be asked. `times` as long ago is a moment too.
    fn answer(&self, who: &Who, limit: u64, times: u32) -> Option<Result<(), Exceeded>> {
        let mut counts = self.counts();
        let Counted { at, took } = counts.counted?;
        let open = counts.open.get(who).copied().unwrap_or_default();
        let trusted = |least: Duration| at.elapsed() < least.max(took * MOST_TIME) * times;
        if open >= limit {
            return trusted(TRUSTED_OVER).then_some(Err(Exceeded { what: "open slips", retry_after_seconds: SLIPS_RETRY_AFTER }));
        }
        if !trusted(TRUSTED) {
            return None;
        }
        let Counts { open, added, .. } = &mut *counts;
        for sums in [open, added] {
            *sums.entry(who.clone()).or_default() += 1;
        }
        Some(Ok(()))
    }

    /// Undoes what [`Limits::answer`] counted: what comes to nothing takes nobody's place.
    fn take_back(&self, counted: &[Who]) {
        let Counts { open, added, .. } = &mut *self.counts();
        for sums in [open, added] {
            for who in counted {
                if let Some(sum) = sums.get_mut(who) {
                    *sum = sum.saturating_sub(1);
                }
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
            limits.request(&Caller { actor, tenant, scopes: Scopes::all(), types: TypeLimit::default(), dialect: None }).unwrap();
        }
        for rate in limits.rates.iter().flatten() {
            assert!(rate.len() < BETWEEN_CLEANINGS as usize / 2, "{} are remembered", rate.len());
        }
    }
}
