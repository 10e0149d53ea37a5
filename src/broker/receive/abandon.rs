//! Giving up what does not become a file, at once: the sweeper would do it later.

use std::sync::Arc;

use tokio::runtime::Handle;
use tracing::Instrument as _;

use super::super::{Broker, BrokerError};
use super::sink::Sink;
use super::{Arriving, Receiving};
use crate::metrics::{self, Step};

impl Drop for Receiving {
    /// Whatever the reason: a refusal, a client that hung up, a bucket that is away.
    fn drop(&mut self) {
        let arrived = std::mem::take(&mut self.arrived).into_iter().map(|(arriving, _)| arriving);
        let mut given_up: Vec<Arriving> = arrived.chain(self.current.take()).collect();
        let beginning = self.beginning.take();
        if given_up.is_empty() && beginning.is_none() {
            return;
        }
        // Its place is free once its bytes are gone.
        let (broker, permit, at) = (self.broker.clone(), self.permit.take(), self.now + self.began.elapsed());
        if let Ok(runtime) = Handle::try_current() {
            let task = async move {
                if let Some(beginning) = beginning {
                    given_up.extend(beginning.await.ok().and_then(Result::ok));
                }
                for arriving in given_up {
                    if let Err(error) = broker.abandon(arriving, at).await {
                        tracing::warn!(%error, "an upload through the broker is left to the sweeper");
                    }
                }
                drop(permit);
            };
            runtime.spawn(task.in_current_span());
        }
    }
}

impl Broker {
    /// Forgets the record, then ends and deletes what was written for it. The key stays on the doomed list where the store may still be
    /// at work on it.
    async fn abandon(self: &Arc<Self>, mut arriving: Arriving, at: time::OffsetDateTime) -> Result<(), BrokerError> {
        let Arriving { file, sink, .. } = &mut arriving;
        if self.database.discard_temp_file(file, at, None, at).await? {
            metrics::file(Step::GivenUp, &file.type_name);
            tracing::info!(file.id = %file.id, size_bytes = sink.size(), "upload through the broker given up");
        } else if self.database.find_file(&file.tenant, file.id).await?.is_some() {
            // The last step was done all the same: the file is active, and its bytes stay.
            return Ok(());
        }
        // Otherwise a sweeper was faster.
        self.limits.release(&self.database, &file.staging_key).await?;
        self.discard_bytes(sink).await
    }

    /// Ends and deletes what was written, unless the store may still be at work on it.
    pub(super) async fn discard_bytes(&self, sink: &mut Sink) -> Result<(), BrokerError> {
        let key = sink.key().clone();
        if let Some(upload_id) = sink.settled().await {
            self.bucket.abort_upload(key.as_str(), upload_id).await?;
        }
        if sink.is_written {
            self.bucket.delete(key.as_str()).await?;
        }
        if sink.may_have_twin() {
            // No sweeper looks for it once its key is forgotten.
            self.end_twins(&key).await?;
        }
        if !sink.is_unsure {
            self.database.forget_doomed(&[key.to_string()]).await?;
        }
        Ok(())
    }
}
