//! Bucket notifications from a queue: the loop around [`Broker::bucket_events`].

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::broker::{Broker, BrokerError};
use crate::bucket::bucket_events::{Message, Queue};
use crate::field_names;
use crate::metrics;

/// How long a queue that fails is left alone.
const PAUSE: Duration = Duration::from_secs(5);

/// A message that nobody can read is taken out of the queue the so-many-th time: a dead-letter queue has had its chance by then.
const UNREADABLE_SO_OFTEN: u32 = 10;

/// How many messages are worked on at the same time.
const AT_ONCE: usize = 4;

/// Takes messages until `stop`. One is deleted when everything it speaks of is settled; otherwise it comes again.
pub async fn run(broker: Arc<Broker>, queue: Queue, stop: CancellationToken) {
    loop {
        let received = tokio::select! {
            received = queue.receive() => received,
            () = stop.cancelled() => return,
        };
        match received {
            Ok(messages) => {
                let (broker, queue, stop) = (&broker, &queue, &stop);
                let each = stream::iter(messages).map(|message| async move {
                    // Those that nobody began come again.
                    stop.is_cancelled() || handle(broker, queue, &message).await
                });
                let settled: Vec<bool> = each.buffer_unordered(AT_ONCE).collect().await;
                if settled.contains(&false) {
                    until_all_is_there(broker, stop).await;
                }
            }
            Err(error) => {
                metrics::queue_failed();
                tracing::warn!(%error, "the queue of bucket notifications cannot be read now");
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = stop.cancelled() => return,
                }
            }
        }
    }
}

/// Takes nothing while database or bucket are away: each time that a message is taken in vain brings it nearer to the dead letters.
async fn until_all_is_there(broker: &Broker, stop: &CancellationToken) {
    while !stop.is_cancelled() && !broker.missing().await.is_empty() {
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Whether the message is done with, or is left for a reason of its own.
async fn handle(broker: &Broker, queue: &Queue, message: &Message) -> bool {
    match broker.bucket_events(message.body.as_bytes(), OffsetDateTime::now_utc()).await {
        Ok(_) => {}
        Err(BrokerError::Invalid(why)) if message.received >= UNREADABLE_SO_OFTEN => {
            let why = field_names::spelled(&why);
            tracing::warn!(%why, received = message.received, "a message is no bucket notification, and is thrown away");
        }
        Err(error) => {
            tracing::warn!(%error, received = message.received, "a bucket notification is left in the queue, and comes again");
            return matches!(error, BrokerError::Invalid(_));
        }
    }
    if let Err(error) = queue.delete(message).await {
        tracing::warn!(%error, "a bucket notification could not be deleted: it comes again, which does no harm");
    }
    true
}
