//! The timers around [`Broker::sweep_now`] and [`Broker::fill_search_names`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::broker::{Broker, BrokerError, Swept};
use crate::metrics;

/// Sweeps every `interval` until `stop`. A sweep that fails is tried again at the next turn.
pub async fn run(broker: Arc<Broker>, interval: Duration, stop: CancellationToken) {
    if interval.is_zero() {
        return;
    }
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        let started = Instant::now();
        let swept = tokio::select! {
            swept = broker.sweep_now(OffsetDateTime::now_utc()) => swept,
            // What a sweep leaves half-done, the next one does again.
            () = stop.cancelled() => return,
        };
        let done = swept.as_ref().ok().map(|swept| {
            let Swept { activated, discarded, ended, purged, deleted } = *swept;
            [
                (metrics::Swept::Activated, activated),
                (metrics::Swept::Discarded, discarded),
                (metrics::Swept::Ended, ended),
                (metrics::Swept::Purged, purged),
                (metrics::Swept::Deleted, deleted),
            ]
        });
        metrics::sweep(started.elapsed(), done);
        match swept {
            Ok(swept) if swept == Swept::default() => {}
            Ok(Swept { activated, discarded, ended, purged, deleted }) => {
                tracing::info!(activated, discarded, ended, purged, deleted, "swept");
            }
            Err(error) => tracing::warn!(%error, "a sweep did not end; the next one goes on"),
        }
    }
}

/// How often it is looked for names that a broker of the version before wrote.
const NAMES_INTERVAL: Duration = Duration::from_mins(1);

/// Makes names of before ready to be searched for, at once and then every minute until `stop`: brokers of the version before may still
/// write some. Where there are none, a look costs nothing.
pub async fn fill_search_names(broker: Arc<Broker>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(NAMES_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        let started = Instant::now();
        let filled = tokio::select! {
            filled = broker.fill_search_names() => filled,
            // What is left, the next broker that starts goes on with.
            () = stop.cancelled() => return,
        };
        match filled {
            Ok(0) => {}
            Ok(count) => {
                let duration_s = started.elapsed().as_secs_f64();
                tracing::info!(count, duration_s, "names of before can be searched for in each spelling");
            }
            Err(error) => tracing::warn!(%error, "not all names of before can be searched for in each spelling yet; the next turn goes on"),
        }
    }
}

/// Counts what living forms may still write, before the first is given out.
///
/// # Errors
/// When the database fails.
pub async fn count_reserved(broker: &Broker) -> Result<u64, BrokerError> {
    broker.count_reserved(OffsetDateTime::now_utc()).await
}
