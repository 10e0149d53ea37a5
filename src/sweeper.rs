//! The timer around [`Broker::sweep`].

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::broker::{Broker, Swept};

/// Sweeps every `interval` until `stop`. A sweep that fails is tried again at the next turn.
pub async fn run(broker: Arc<Broker>, interval: Duration, stop: CancellationToken) {
    if interval.is_zero() {
        return;
    }
    let mut turns = tokio::time::interval(interval);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = turns.tick() => {}
            () = stop.cancelled() => return,
        }
        let swept = tokio::select! {
            swept = broker.sweep(OffsetDateTime::now_utc()) => swept,
            // What a sweep leaves half-done, the next one does again.
            () = stop.cancelled() => return,
        };
        match swept {
            Ok(swept) if swept == Swept::default() => {}
            Ok(Swept { activated, discarded, purged, deleted }) => tracing::info!(activated, discarded, purged, deleted, "swept"),
            Err(error) => tracing::warn!(%error, "a sweep did not end; the next one goes on"),
        }
    }
}
