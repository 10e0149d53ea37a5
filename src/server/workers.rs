//! What runs in the background beside requests.

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{clock, configured};
use crate::broker::Broker;
use crate::bucket_events;
use crate::config::Config;
use crate::listener;
use crate::sweeper;
use crate::tokens::Tokens;
use crate::webhooks::Webhooks;

/// Starts all of them; each ends with `stop`.
///
/// # Errors
/// When the queue of bucket notifications cannot be reached.
pub(super) async fn start(
    config: &Config,
    broker: &Arc<Broker>,
    tokens: &Tokens,
    webhooks: &Arc<Webhooks>,
    stop: &CancellationToken,
) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let mut working = vec![
        tokio::spawn(sweeper::run(broker.clone(), config.sweep_interval, stop.clone())),
        tokio::spawn(sweeper::fill_search_names(broker.clone(), stop.clone())),
        tokio::spawn(clock::watch(stop.clone())),
        tokio::spawn(tokens.clone().watch(stop.clone())),
        tokio::spawn(webhooks.clone().run(stop.clone())),
    ];
    if let Some(queue) = configured::queue(config).await? {
        working.push(tokio::spawn(bucket_events::run(broker.clone(), queue, stop.clone())));
    }
    Ok(working)
}

/// Waits for workers to end after `stop`, as long as for requests. Who is cut off has done no harm: what it did is done again.
pub(super) async fn ended(working: Vec<JoinHandle<()>>, stop: CancellationToken) {
    stop.cancelled().await;
    let deadline = tokio::time::Instant::now() + listener::DRAIN;
    for mut work in working {
        if tokio::time::timeout_at(deadline, &mut work).await.is_err() {
            tracing::warn!(seconds = listener::DRAIN.as_secs(), "work in the background was cut off: it did not end in time");
            work.abort();
            let _ = work.await;
        }
    }
}
