//! Bad tokens, counted by address: when their senders have to wait, and how much of the database they can take.
//!
//! A good token never waits for the bad ones of its address, which many people may share. So each is verified first, and only a bad one is
//! refused for its address. What that costs is bounded: who is over the rate asks the database one after the other, unless the token was
//! good a moment ago.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::unknown::Unknown;
use crate::domain::Address;

/// Unknown tokens that an address may present at once; then one a second.
const BURST: NonZeroU32 = NonZeroU32::new(30).unwrap();

/// How many of those over the rate ask the database at the same time.
const LOOKUPS: usize = 2;

/// How many addresses are remembered, about. With more there is one rate for all.
const REMEMBERED: usize = 65_536;

/// After so many unknown tokens, addresses that presented none of late are forgotten.
const BETWEEN_CLEANINGS: u32 = 8_192;

/// Everybody who presents a token that is not known to be good.
pub(super) struct Strangers {
    /// By address, or for all together.
    rate: DefaultKeyedRateLimiter<Option<Address>>,
    presented: AtomicU32,
    are_too_many: AtomicBool,
    lookups: Semaphore,
}

impl Strangers {
    pub(super) fn new() -> Self {
        let rate = RateLimiter::keyed(Quota::per_second(NonZeroU32::MIN).allow_burst(BURST));
        Self { rate, presented: AtomicU32::new(1), are_too_many: AtomicBool::new(false), lookups: Semaphore::new(LOOKUPS) }
    }

    /// A token comes from there; from nowhere that is known, it is not counted.
    pub(super) fn token(&self, address: Option<Address>) -> Presented<'_> {
        Presented { strangers: self, address, counted: None }
    }

    /// Counts one more; how many seconds to wait when that was one too many.
    fn count(&self, address: Address) -> Result<(), u64> {
        if self.presented.fetch_add(1, Ordering::Relaxed).is_multiple_of(BETWEEN_CLEANINGS) {
            self.rate.retain_recent();
            self.rate.shrink_to_fit();
            self.are_too_many.store(self.rate.len() > REMEMBERED, Ordering::Relaxed);
        }
        let key = (!self.are_too_many.load(Ordering::Relaxed)).then_some(address);
        self.rate.check_key(&key).map_err(|too_early| too_early.wait_time_from(DefaultClock::default().now()).as_secs() + 1)
    }
}

/// One token that was presented.
pub(super) struct Presented<'a> {
    strangers: &'a Strangers,
    address: Option<Address>,
    counted: Option<Result<(), u64>>,
}

impl<'a> Presented<'a> {
    /// It is not known to be good, and counts.
    ///
    /// # Errors
    /// How many seconds its sender has to wait, should it be bad.
    fn is_unknown(&mut self) -> Result<(), u64> {
        let (strangers, address) = (self.strangers, self.address);
        *self.counted.get_or_insert_with(|| address.map_or(Ok(()), |address| strangers.count(address)))
    }

    /// What comes of it: a bad one counts, and is too many where its address is over the rate.
    ///
    /// # Errors
    /// When it is.
    pub(super) fn judged<T>(mut self, good: Option<T>) -> Result<Option<T>, Unknown> {
        match good {
            Some(good) => Ok(Some(good)),
            None => self.is_unknown().map(|()| None).map_err(Unknown::TooMany),
        }
    }

    /// Waits until the database may be asked about it; to be held until it has answered.
    pub(super) async fn lookup(&mut self) -> Option<SemaphorePermit<'a>> {
        match self.is_unknown() {
            Ok(()) => None,
            Err(_) => self.strangers.lookups.acquire().await.ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn address(number: u32) -> Address {
        IpAddr::from(Ipv4Addr::from_bits(number)).into()
    }

    #[tokio::test]
    async fn an_address_over_its_rate_takes_lookups_and_no_other_does() {
        let strangers = Strangers::new();
        for _ in 0..BURST.get() {
            assert_eq!(strangers.token(Some(address(1))).is_unknown(), Ok(()));
        }
        let mut over = strangers.token(Some(address(1)));
        let seconds = over.is_unknown().unwrap_err();
        assert!((1..=2).contains(&seconds), "{seconds}");
        assert!(over.lookup().await.is_some());
        assert!(strangers.token(Some(address(2))).lookup().await.is_none());
        for _ in 0..BURST.get() * 2 {
            assert_eq!(strangers.token(None).is_unknown(), Ok(()), "where the address is not known nobody is counted");
        }
    }

    #[test]
    fn a_token_counts_once() {
        let strangers = Strangers::new();
        let mut token = strangers.token(Some(address(1)));
        for _ in 0..BURST.get() * 2 {
            assert_eq!(token.is_unknown(), Ok(()));
        }
    }

    #[test]
    fn not_every_address_there_is_is_remembered() {
        let strangers = Strangers::new();
        for number in 0..300_000 {
            let _ = strangers.token(Some(address(number))).is_unknown();
        }
        assert!(strangers.rate.len() <= REMEMBERED + 2 * BETWEEN_CLEANINGS as usize, "{} are remembered", strangers.rate.len());
    }
}
