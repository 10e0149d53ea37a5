//! Log lines about tokens that were refused: one a second, and how many there were beside it. Anybody can send bad tokens, and must not
//! fill a disk with them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long one line stands for all.
const SAMPLED: Duration = Duration::from_secs(1);

static SAMPLE: Mutex<Sample> = Mutex::new(Sample { ends: None, left_out: 0 });

/// Which of many refusals have a line.
struct Sample {
    /// Until when the last line stands for all.
    ends: Option<Instant>,
    left_out: u64,
}

/// What becomes of a refusal.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// It has a line.
    Alone,
    /// It is the first that has none; then all are to be logged together.
    LeftOut(Instant),
    /// It is one more of these.
    OneMore,
}

impl Sample {
    fn refused(&mut self, now: Instant) -> Outcome {
        match self.ends {
            Some(ends) if now < ends => {
                self.left_out += 1;
                if self.left_out == 1 { Outcome::LeftOut(ends) } else { Outcome::OneMore }
            }
            _ => {
                self.ends = Some(now + SAMPLED);
                Outcome::Alone
            }
        }
    }
}

fn sample() -> MutexGuard<'static, Sample> {
    SAMPLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this refusal of a token has a line of its own.
pub(in crate::api) fn has_a_line() -> bool {
    let outcome = sample().refused(Instant::now());
    if let Outcome::LeftOut(ends) = outcome {
        tokio::spawn(async move {
            tokio::time::sleep_until(ends).await;
            let left_out = std::mem::take(&mut sample().left_out);
            tracing::info!(left_out, "requests refused for their tokens, without a line each");
        });
    }
    outcome == Outcome::Alone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_second_has_a_line_and_the_others_are_counted() {
        let mut sample = Sample { ends: None, left_out: 0 };
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        assert_eq!(sample.refused(start), Outcome::Alone);
        assert_eq!(sample.refused(after(10)), Outcome::LeftOut(after(1000)));
        assert_eq!(sample.refused(after(999)), Outcome::OneMore);
        assert_eq!(sample.left_out, 2);
        sample.left_out = 0;
        assert_eq!(sample.refused(after(1000)), Outcome::Alone);
        assert_eq!(sample.refused(after(1500)), Outcome::LeftOut(after(2000)));
        assert_eq!(sample.refused(after(9000)), Outcome::Alone);
    }
}
