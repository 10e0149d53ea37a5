//! How long the long lists are, as counted a moment ago: clients ask with every page, and a count may look at 100 000 entries of an index.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lists below this are counted each time: it takes little, and whoever looks at a short list notices what is missing.
const LONG: u32 = 5000;

/// How long a count is used again; for as long again while somebody counts anew.
const FRESH: Duration = Duration::from_secs(5);

/// Most counts that are known at a time. Further lists are counted each time.
const MOST: usize = 256;

/// Longest description of a list whose count is kept, in bytes.
const LONGEST: usize = 1024;

/// Counts by what describes their list.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<HashMap<String, (Instant, u32)>>);

impl Counts {
    /// What was counted a moment ago. `None` asks the caller to count: one at a time for each list, the others get the old count
    /// meanwhile, as all of them at once would wait for each other.
    pub(super) fn known(&self, list: &str, now: Instant) -> Option<u32> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, count) = counts.get_mut(list)?;
        match now.saturating_duration_since(*at) {
            age if age < FRESH => Some(*count),
            age if age < 2 * FRESH => {
                *at = now;
                None
            }
            _ => None,
        }
    }

    /// What was counted last, however long ago.
    pub(super) fn last(&self, list: &str) -> Option<u32> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(list).map(|(_, count)| *count)
    }

    /// Keeps a count of a long list.
    pub(super) fn keep(&self, list: String, count: u32, now: Instant) {
        if count < LONG || list.len() > LONGEST {
            return;
        }
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MOST {
            counts.retain(|_, (at, _)| is_fresh(*at, now));
        }
        if counts.len() < MOST || counts.contains_key(&list) {
            counts.insert(list, (now, count));
        }
    }
}

fn is_fresh(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) < FRESH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_counted_every_five_seconds_and_short_ones_each_time() {
        let (counts, now) = (Counts::default(), Instant::now());
        counts.keep("long".to_owned(), LONG, now);
        counts.keep("short".to_owned(), LONG - 1, now);
        assert_eq!((counts.known("long", now), counts.known("short", now), counts.known("other", now)), (Some(LONG), None, None));
        assert_eq!(counts.known("long", now + FRESH / 2), Some(LONG));
        assert_eq!(counts.known("long", now + FRESH), None, "somebody counts");
        assert_eq!(counts.known("long", now + FRESH), Some(LONG), "and nobody besides");
        counts.keep("long".to_owned(), LONG + 7, now + FRESH);
        assert_eq!(counts.known("long", now + FRESH), Some(LONG + 7));
        let late = now + 3 * FRESH;
        assert_eq!((counts.known("long", late), counts.known("long", late)), (None, None), "nobody gets what is too old");
        assert_eq!((counts.last("long"), counts.last("short")), (Some(LONG + 7), None), "unless there is nothing better");
    }

    #[test]
    fn there_are_few_of_them_and_short_ones() {
        let (counts, now) = (Counts::default(), Instant::now());
        counts.keep("x".repeat(LONGEST + 1), LONG, now);
        for number in 0..2 * MOST {
            counts.keep(number.to_string(), LONG, now);
        }
        assert_eq!(counts.0.lock().unwrap().len(), MOST);
        assert_eq!((counts.known("0", now), counts.known("300", now)), (Some(LONG), None));
        // Old ones make room.
        counts.keep("300".to_owned(), LONG, now + FRESH);
        assert_eq!(counts.known("300", now + FRESH), Some(LONG));
        assert_eq!(counts.0.lock().unwrap().len(), 1);
    }
}
