//! Looks whether this machine's clock is set while the broker runs: whoever reads the log of what followed needs to know.

use std::time::{Duration, Instant, SystemTime};

use tokio_util::sync::CancellationToken;

/// How often it looks.
const LOOK: Duration = Duration::from_secs(1);

/// A clock that is corrected step by step never goes so far in one look.
const FAR: Duration = Duration::from_secs(30);

/// How far, and where to, a clock was set.
#[derive(Debug, PartialEq, Eq)]
enum Jump {
    Back(Duration),
    Forward(Duration),
}

/// Looks until `stop`, and writes a line into the log each time that the clock was set.
pub(super) async fn watch(stop: CancellationToken) {
    let mut last = (SystemTime::now(), Instant::now());
    while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
        let now = (SystemTime::now(), Instant::now());
        match jump(last.0, now.0, now.1.duration_since(last.1)) {
            None => {}
            Some(Jump::Back(by)) => tracing::warn!(
                seconds = by.as_secs(),
                "the clock of this machine went back: slips and links that were given out before live that much longer"
            ),
            Some(Jump::Forward(by)) => tracing::warn!(
                seconds = by.as_secs(),
                "the clock of this machine went forward, or the machine slept: slips and links that were given out before may be over"
            ),
        }
        last = now;
    }
}

/// How far a clock that showed `before` and shows `after` was set, when so much time went by.
fn jump(before: SystemTime, after: SystemTime, elapsed: Duration) -> Option<Jump> {
    let expected = before + elapsed;
    let jump = match after.duration_since(expected) {
        Ok(ahead) => Jump::Forward(ahead),
        Err(behind) => Jump::Back(behind.duration()),
    };
    let (Jump::Back(by) | Jump::Forward(by)) = jump;
    (by > FAR).then_some(jump)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_shows_against_the_time_that_went_by() {
        let (start, hour) = (SystemTime::UNIX_EPOCH + Duration::from_hours(1000), Duration::from_hours(1));
        let second = Duration::from_secs(1);
        assert_eq!(jump(start, start + second, second), None);
        assert_eq!(jump(start, start + Duration::from_secs(20), second), None, "a correction");
        assert_eq!(jump(start, start + hour, hour), None, "it was not looked at for an hour");
        assert_eq!(jump(start, start + second - hour, second), Some(Jump::Back(hour)));
        assert_eq!(jump(start, start + second + hour, second), Some(Jump::Forward(hour)));
    }
}
