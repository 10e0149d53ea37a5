//! The bucket says that an object was written: a file whose client vanished is confirmed all the same.

use futures_util::stream::{self, StreamExt as _};
use time::OffsetDateTime;

use super::sweep::owner;
use super::{Broker, BrokerError, key_of_slip};
use crate::domain::bucket_event::{self, Message, ObjectCreated, Subscribing};
use crate::domain::changes::UNCHANGED;
use crate::domain::{Complaints, Field, FileState, Origin};
use crate::metrics::{self, Notification};

/// How many objects of one message are looked at at the same time.
const AT_ONCE: usize = 4;

/// What became of an object that the bucket spoke of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It is an active file now.
    Activated,
    /// It was not what was granted, and is deleted.
    Refused,
    /// It is no upload of a temp file: a sealed copy, somebody else's object, a file that is active already.
    Ignored,
}

/// What became of the objects that a message spoke of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BucketEvents {
    /// They are active files now.
    pub activated: usize,
    /// They were not what was granted.
    pub refused: usize,
    /// They are no uploads of temp files.
    pub ignored: usize,
}

impl Broker {
    /// Confirms what a bucket notification says has arrived.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] when it is none; else when an object of it could not be settled: all of it is to be sent again then.
    pub async fn bucket_events(&self, message: &[u8], now: OffsetDateTime) -> Result<BucketEvents, BrokerError> {
        let message = bucket_event::parse(message).map_err(|why| {
            metrics::notification(Notification::Unreadable);
            BrokerError::Invalid(Complaints::one(Field::Message, why))
        })?;
        let objects = match message {
            Message::Created(objects) => objects,
            Message::MaySubscribe(Subscribing { topic, token }) => {
                // Nothing is fetched because a message says so: whoever owns the topic decides.
                tracing::warn!(
                    "the SNS topic {topic} wants to send bucket notifications. If it is yours, confirm within three days: \
                     aws sns confirm-subscription --topic-arn {topic} --token {token}"
                );
                Vec::new()
            }
            Message::Unsubscribed => {
                tracing::warn!("an SNS topic sends no more bucket notifications: its subscription was ended");
                Vec::new()
            }
        };
        let mut arrivals = stream::iter(objects).map(|object| async move { self.arrived(&object, now).await }).buffer_unordered(AT_ONCE);
        let (mut notified, mut failure) = (BucketEvents::default(), None);
        while let Some(arrival) = arrivals.next().await {
            match arrival {
                Ok(Arrival::Activated) => notified.activated += 1,
                Ok(Arrival::Refused) => notified.refused += 1,
                Ok(Arrival::Ignored) => notified.ignored += 1,
                // The others are settled all the same.
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(notified), Err)
    }

    /// Confirms the temp file that an object was uploaded for, in its owner's name. Whoever says so need not be trusted: what is in
    /// the bucket is looked at as in every confirmation, and a file becomes active once, however often it is reported.
    ///
    /// # Errors
    /// When database or bucket fail, or the object keeps changing: to be sent again helps then.
    pub async fn arrived(&self, object: &ObjectCreated, now: OffsetDateTime) -> Result<Arrival, BrokerError> {
        let arrived = self.looked_at(object, now).await;
        metrics::notification(match &arrived {
            Ok((_, arrival)) => *arrival,
            Err(_) => Notification::Failed,
        });
        arrived.map(|(arrival, _)| arrival)
    }

    async fn looked_at(&self, object: &ObjectCreated, now: OffsetDateTime) -> Result<(Arrival, Notification), BrokerError> {
        let ignored = (Arrival::Ignored, Notification::Ignored);
        // Sealing a file writes to the bucket too, which says so again: that must cost nothing.
        let key = key_of_slip(&object.key).filter(|_| object.bucket == self.bucket.name());
        let Some(key) = key else { return Ok(ignored) };
        let Some(file) = self.database.find_by_staging_key(&key).await? else {
            return Ok((Arrival::Ignored, Notification::Unknown));
        };
        if file.state() != FileState::Temp {
            return Ok(ignored);
        }
        let owner = owner(&file);
        // That somebody has too many is no fault of the store's, which would give up: it is to say it again.
        let _permit = self.may_confirm(&owner).await.map_err(|error| match error {
            BrokerError::LimitExceeded(_) => BrokerError::Busy("confirmations"),
            other => other,
        })?;
        match Box::pin(self.confirm_from(Origin::Notification, &owner, file.id, UNCHANGED, now)).await {
            Ok(_) => Ok((Arrival::Activated, Notification::Confirmed)),
            Err(BrokerError::Refused(_)) => Ok((Arrival::Refused, Notification::Refused)),
            Err(BrokerError::NotUploaded | BrokerError::NotFound | BrokerError::Conflict(_)) => Ok(ignored),
            Err(error) => Err(error),
        }
    }
}
