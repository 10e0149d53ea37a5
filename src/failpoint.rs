//! Places at which a test makes the process die, as hard as by `kill -9`; without the feature `failpoints` there is nothing here.
//!
//! A test names one in `DROPSLIP_FAILPOINT`. What the process would have done next never happens: no destructor runs, nothing
//! is flushed, no connection is closed in good order.

#[cfg(feature = "failpoints")]
use std::sync::OnceLock;

/// Every place, by use case and by what was done last.
#[cfg(feature = "failpoints")]
pub const ALL: [&str; 50] = [
    "authorize: judged",
    "authorize: form signed",
    "authorize: bytes reserved",
    "authorize: record written",
    "replay: form signed",
    "replay: record changed",
    "reissue: form signed",
    "reissue: record changed",
    "parts: upload begun",
    "parts: upload recorded",
    "parts: judged",
    "parts: put together",
    "abort: record discarded",
    "confirm: head done",
    "confirm: judged",
    "confirm: sealed key doomed",
    "confirm: copied",
    "confirm: activated",
    "confirm: staging deleted",
    "refusal: judged",
    "refusal: written down",
    "refusal: object deleted",
    "receive: doomed",
    "receive: record written",
    "receive: upload begun",
    "receive: upload named",
    "receive: part written",
    "receive: object written",
    "receive: claimed",
    "unsigned: doomed",
    "unsigned: recorded",
    "end: recorded",
    "rename: recorded",
    "attach: found",
    "attach: one confirmed",
    "attach: one recorded",
    "attach: recorded",
    "release: taken off",
    "release: recorded",
    "delete: recorded",
    "restore: recorded",
    "purge: records gone",
    "sweep: expired found",
    "sweep: record discarded",
    "sweep: keys leased",
    "sweep: objects deleted",
    "sweep: keys forgotten",
    "event: leased",
    "event: sent",
    "event: settled",
];

#[cfg(feature = "failpoints")]
static ARMED: OnceLock<String> = OnceLock::new();

/// Names the place at which this process dies; the first call counts.
#[cfg(feature = "failpoints")]
pub fn arm(point: &str) {
    let _ = ARMED.set(point.to_owned());
}

/// Dies here if a test says so.
#[cfg(feature = "failpoints")]
pub(crate) fn reach(point: &str) {
    debug_assert!(ALL.contains(&point), "‘{point}’ is not in the list that the tests go through");
    if ARMED.get().is_some_and(|armed| armed == point) {
        let _ = std::process::Command::new("kill").arg("-KILL").arg(std::process::id().to_string()).status();
        // The signal may take a moment; nothing else may happen on this thread meanwhile.
        std::process::abort();
    }
}

/// Nothing: the feature `failpoints` is off.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) fn reach(_point: &str) {}
