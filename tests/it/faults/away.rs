//! What an answer must look like while S3 or the database are away, and how readiness tells it.

use std::time::{Duration, Instant};

use super::world::{Answer, Program, World};
use crate::harness::error_fields;

/// What `/readyz` says while the database answers and keeps nothing.
pub const NO_WRITES: &str = "the database takes no writes\n";

/// 503 in the dialect's shape, with a time to come back, within the bound.
pub fn assert_away(answer: &Answer, bound: Duration, case: &str) {
    assert_eq!(answer.status, 503, "{case}: {answer:?}");
    assert_eq!(error_fields(&answer.body), ["server"], "{case}");
    let seconds: u32 = answer.retry_after.as_deref().unwrap_or_else(|| panic!("{case}: no Retry-After")).parse().unwrap();
    assert!((1..=60).contains(&seconds), "{case}: Retry-After: {seconds}");
    assert_within(answer, bound, case);
}

pub fn assert_within(answer: &Answer, bound: Duration, case: &str) {
    assert!(answer.took < bound, "{case} took {:?}", answer.took);
}

impl World {
    /// What /readyz says: its status and its words.
    pub async fn readiness(&self, program: &Program) -> (u16, String) {
        let answer = self.ask(program, "GET", "/readyz", None, &serde_json::Value::Null).await.unwrap();
        assert_within(&answer, Duration::from_secs(7), "/readyz");
        (answer.status.as_u16(), answer.body.as_str().unwrap().to_owned())
    }

    /// Waits until it says that: an answer is everybody's for a second, and a probe of writes is sent once a second.
    pub async fn becomes(&self, program: &Program, (status, words): (u16, &str), case: &str) {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let said = self.readiness(program).await;
            if said == (status, words.to_owned()) {
                return;
            }
            assert!(Instant::now() < deadline, "{case}: it says {said:?}, not {status} {words}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// It stays not ready for long enough that probes of writes were sent and answers were made anew.
    pub async fn stays_without_writes(&self, program: &Program, case: &str) {
        let end = Instant::now() + Duration::from_secs(4);
        while Instant::now() < end {
            assert_eq!(self.readiness(program).await, (503, NO_WRITES.to_owned()), "{case}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub async fn assert_ready(&self, program: &Program, case: &str) {
        self.becomes(program, (200, "ready\n"), case).await;
    }
}
