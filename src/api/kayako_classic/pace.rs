//! How fast bytes must come before it is known whose they are.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::http::Fault;

/// How long the few may take that are kept in memory.
const LONGEST_HELD: Duration = Duration::from_mins(1);

/// Bytes that come at least in each second of those that take a place, over so long a time.
const LEAST_RATE: u64 = 32 * 1024;
const MEASURED: Duration = Duration::from_secs(10);

/// When a client is too slow: only the time counts in which it is waited for.
#[derive(Debug)]
pub(super) enum Pace {
    /// Its own: it is known, or has sent nothing that is kept.
    Free,
    /// All must be there by then.
    Until(Instant),
    /// So many bytes come in each second at least.
    Measured(Meter),
}

/// What came while a client was waited for, since it was looked at last.
#[derive(Debug, Default)]
pub(super) struct Meter {
    bytes: u64,
    waited: Duration,
}

impl Pace {
    pub(super) fn held() -> Self {
        Self::Until(Instant::now() + LONGEST_HELD)
    }

    pub(super) fn measured() -> Self {
        Self::Measured(Meter::default())
    }

    /// What is waited for, of so many bytes, unless its client is too slow.
    ///
    /// # Errors
    /// When it is.
    pub(super) async fn keep<T>(&mut self, work: impl Future<Output = Result<T, Fault>>, size: impl Fn(&T) -> u64) -> Result<T, Fault> {
        match self {
            Self::Free => work.await,
            Self::Until(end) => tokio::time::timeout_at(*end, work).await.map_err(|_| Fault::ContentTooSlow)?,
            Self::Measured(meter) => {
                let mut work = pin!(work);
                loop {
                    let began = Instant::now();
                    let ended = tokio::time::timeout(meter.left(), &mut work).await;
                    let bytes = ended.as_ref().map_or(0, |came| came.as_ref().map_or(0, &size));
                    if !meter.is_enough(began.elapsed(), bytes) {
                        return Err(Fault::ContentTooSlow);
                    }
                    if let Ok(came) = ended {
                        return came;
                    }
                }
            }
        }
    }
}

impl Meter {
    /// How long it is waited for more before it is looked at what came.
    fn left(&self) -> Duration {
        MEASURED.saturating_sub(self.waited)
    }

    /// Whether it is enough what came, with so many bytes after so long a time.
    fn is_enough(&mut self, waited: Duration, bytes: u64) -> bool {
        self.waited += waited;
        self.bytes += bytes;
        if self.waited < MEASURED {
            return true;
        }
        let came = std::mem::take(self);
        came.bytes >= LEAST_RATE * came.waited.as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn who_sends_too_little_is_cut_off_and_who_sends_enough_is_not() {
        let mut enough = Meter::default();
        assert!((0..100).all(|_| enough.is_enough(SECOND, 32 * 1024)));
        let mut slow = Meter::default();
        assert_eq!((0..100).take_while(|_| slow.is_enough(SECOND, 31 * 1024)).count(), 9, "after ten seconds it is known");
        let mut fallen_silent = Meter::default();
        assert!(fallen_silent.is_enough(SECOND * 10, 1 << 30));
        assert_eq!(fallen_silent.left(), MEASURED, "what came before does not count any more");
        assert!(!fallen_silent.is_enough(SECOND * 10, 0));
    }

    #[tokio::test]
    async fn what_is_held_has_its_time_and_what_is_known_has_its_own() {
        let soon = || async { Ok::<_, Fault>(1) };
        let never = std::future::pending::<Result<u64, Fault>>;
        assert!(Pace::held().keep(soon(), |_| 1).await.is_ok());
        assert!(matches!(Pace::Until(Instant::now()).keep(never(), |_| 1).await, Err(Fault::ContentTooSlow)));
        assert!(Pace::Free.keep(soon(), |_| 1).await.is_ok());
    }
}
