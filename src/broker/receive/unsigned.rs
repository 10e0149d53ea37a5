//! Bytes that come before anybody knows whose they are: some clients send who they are behind them.
//!
//! They have no record, so nobody is told of a file. Their key is on the doomed list before the first byte goes out, and what is known in
//! the end decides: [`Unsigned::signed`] makes a file of somebody's of them, and dropping an [`Unsigned`] leaves nothing.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use time::{Duration, OffsetDateTime};
use tokio::runtime::Handle;
use tracing::Instrument as _;

use super::super::unsigned_places::UnsignedPlace;
use super::super::{Broker, BrokerError, allowed};
use super::sink::Sink;
use super::{Arriving, Known, Receiving, may_upload};
use crate::bucket::BucketError;
use crate::domain::{Address, Caller, Scope, SealedKey};
use crate::failpoint;
use crate::fair::Permit;
use crate::metrics::{self, Step, Unsigned as Outcome};
use crate::random;

/// Bytes of one file that come, and nobody knows yet whose they are.
pub struct Unsigned {
    broker: Arc<Broker>,
    type_name: String,
    lifetime: Duration,
    now: OffsetDateTime,
    began: Instant,
    /// Most bytes that the rule takes.
    most: u64,
    /// Until they are somebody's.
    sink: Option<Sink>,
    place: Option<UnsignedPlace>,
}

impl Broker {
    /// A place for bytes of that type whose sender is not known yet. Nobody waits for one.
    ///
    /// # Errors
    /// [`BrokerError::Busy`] when all are taken or that address has its share, [`BrokerError::Invalid`] when there is no such type, and when
    /// the database fails.
    pub async fn receive_unsigned(
        self: &Arc<Self>,
        type_name: &str,
        from: Option<Address>,
        now: OffsetDateTime,
    ) -> Result<Unsigned, BrokerError> {
        let (lifetime, most) = {
            let file_types = self.file_types.load();
            let rule = file_types.get(type_name).map_err(BrokerError::Invalid)?;
            (rule.slip_lifetime, rule.max_size)
        };
        let Some(place) = self.unsigned.take(from) else {
            metrics::unsigned(Outcome::Busy);
            return Err(BrokerError::Busy("uploads whose sender is not known yet"));
        };
        let sink = Sink::new(SealedKey::fresh(now, random::bytes()), self.doomed_until(now + lifetime));
        let (broker, type_name, began) = (self.clone(), type_name.to_owned(), Instant::now());
        let unsigned = Unsigned { broker, type_name, lifetime, now, began, most, sink: Some(sink), place: Some(place) };
        to_its_end(unsigned.doomed()).await
    }
}

impl Unsigned {
    async fn doomed(self) -> Result<Self, BrokerError> {
        if let Some(sink) = &self.sink {
            sink.doom(&self.broker).await?;
            failpoint::reach("unsigned: doomed");
        }
        Ok(self)
    }

    /// More bytes.
    ///
    /// # Errors
    /// As for [`Receiving::write`]. All of it is to be given up then.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), BrokerError> {
        if self.began.elapsed() >= self.lifetime {
            return Err(BrokerError::TooLate);
        }
        let Some(sink) = &mut self.sink else { return Err(BrokerError::NotFound) };
        self.broker.has_room(sink.size() + bytes.len() as u64, self.most)?;
        sink.write(&self.broker, bytes).await
    }

    /// Now it is known whose they are: they have a record, and go on as all others do.
    ///
    /// This file is the one that was begun, and may have more bytes.
    ///
    /// # Errors
    /// As for [`Broker::receive`] and [`Receiving::begin`]. All of it is given up then.
    pub async fn signed(self, caller: &Caller, known: Known) -> Result<Receiving, BrokerError> {
        allowed(caller, Scope::FilesWrite)?;
        may_upload(caller, &self.type_name)?;
        let permit = self.broker.may_receive(caller).await?;
        to_its_end(self.begun(caller.clone(), permit, known)).await
    }

    async fn begun(mut self, caller: Caller, permit: Permit, known: Known) -> Result<Receiving, BrokerError> {
        let mut receiving = Receiving {
            broker: self.broker.clone(),
            caller,
            type_name: self.type_name.clone(),
            lifetime: self.lifetime,
            now: self.now,
            began: self.began,
            beginning: None,
            current: None,
            arrived: Vec::new(),
            permit: Some(permit),
        };
        let wanted = receiving.wanted(known)?;
        let Some(came) = self.sink.as_ref().map(Sink::size) else { return Err(BrokerError::NotFound) };
        self.broker.has_room(came, wanted.most)?;
        let file = Box::pin(self.broker.recorded(&receiving.caller, &wanted, None)).await?;
        failpoint::reach("unsigned: recorded");
        receiving.current = self.sink.take().map(|sink| {
            if !sink.is_whole() {
                metrics::file(Step::Arrived, &file.type_name);
            }
            Arriving { file, key: sink.key().clone(), known: wanted.known, most: wanted.most, sink }
        });
        metrics::unsigned(Outcome::Signed);
        Ok(receiving)
    }
}

impl Drop for Unsigned {
    /// Whatever the reason, unless they are somebody's by now. The place is free once they are gone.
    fn drop(&mut self) {
        let Some(mut sink) = self.sink.take() else { return };
        metrics::unsigned(Outcome::Gone);
        let (broker, place) = (self.broker.clone(), self.place.take());
        if let Ok(runtime) = Handle::try_current() {
            let task = async move {
                if let Err(error) = broker.discard_bytes(&mut sink).await {
                    tracing::warn!(%error, "bytes that were nobody's are left to the sweeper");
                }
                drop(place);
            };
            runtime.spawn(task.in_current_span());
        }
    }
}

/// Does it to its end whatever becomes of the client. What nobody waits for any more is dropped then, which gives it up.
async fn to_its_end<T: Send + 'static>(work: impl Future<Output = Result<T, BrokerError>> + Send + 'static) -> Result<T, BrokerError> {
    let ended = tokio::spawn(work.in_current_span()).await;
    ended.map_err(|error| BucketError::Unavailable(error.to_string()))?
}
