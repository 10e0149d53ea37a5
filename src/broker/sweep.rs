//! What nobody came back for: expired temp records, and the doomed list.

use std::collections::HashSet;
use std::time::Instant;

use time::{Duration, OffsetDateTime};

use super::authorize::IDEMPOTENCY;
use super::{Broker, BrokerError};
use crate::bucket::BucketError;
use crate::domain::file_type::Unconfirmed;
use crate::domain::{Caller, File, Scopes};
use crate::failpoint;
use crate::store::{Doomed, OpenUpload, Waiting};

/// How many records or objects are taken at once; S3 deletes at most 1000 objects in one request.
const BATCH: u32 = 1000;

/// How long a sweeper has for a batch of objects: twice what the request may take. If it dies, another goes on after that.
const LEASE: Duration = Duration::minutes(1);

/// After so many files in a row that the bucket failed at, a sweep gives up until the next.
const FAILURES_IN_A_ROW: u32 = 3;

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Temp files that were made active, because their bytes had arrived and their type says so.
    pub activated: usize,
    /// Temp files that were forgotten.
    pub discarded: usize,
    /// Doomed keys whose objects are gone now.
    pub deleted: usize,
}

impl Broker {
    /// Takes everything whose time has come. Safe to repeat, after a crash and by several brokers at once.
    ///
    /// # Errors
    /// When database or bucket fail; what was done by then stays done, the rest is found by the next sweep.
    pub async fn sweep(&self, now: OffsetDateTime) -> Result<Swept, BrokerError> {
        let started = Instant::now();
        // A sweep may take long: what it writes must not be due before it is written.
        let clock = || now + started.elapsed();
        let mut swept = Swept::default();
        // What is doomed goes in any case: one file that cannot be settled keeps nothing else waiting.
        let settled = self.settle_expired(now, &clock, &mut swept).await;
        self.delete_doomed(&clock, &mut swept).await?;
        self.store.forget_idempotency_keys(now - IDEMPOTENCY).await?;
        settled.map(|()| swept)
    }

    async fn settle_expired(&self, now: OffsetDateTime, clock: &impl Fn() -> OffsetDateTime, swept: &mut Swept) -> Result<(), BrokerError> {
        let (mut after, mut failures) = (None, 0);
        loop {
            let expired = self.store.expired_files(now - self.grace, after, BATCH).await?;
            for file in &expired {
                failpoint::reach("sweep: expired found");
                match self.settle(file, clock(), swept).await {
                    Ok(()) => failures = 0,
                    Err(error @ BrokerError::Bucket(_)) => {
                        tracing::warn!(file.id = %file.id, %error, "a temp file cannot be settled now; the next sweep tries again");
                        failures += 1;
                        // Not this object but the bucket is sick.
                        if failures == FAILURES_IN_A_ROW {
                            return Err(error);
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
            let Some(last) = expired.last().filter(|_| expired.len() == BATCH as usize) else { return Ok(()) };
            after = Some((last.expires_at, last.id));
        }
    }

    async fn delete_doomed(&self, clock: &impl Fn() -> OffsetDateTime, swept: &mut Swept) -> Result<(), BrokerError> {
        let mut failure = None;
        loop {
            let doomed = self.store.lease_doomed(clock(), clock() + LEASE, BATCH).await?;
            if doomed.is_empty() {
                return failure.map_or(Ok(()), |error| Err(BrokerError::Bucket(error)));
            }
            let (open, failed) = self.end_uploads(&doomed).await;
            failure = failed.or(failure);
            let keys: Vec<String> = doomed.into_iter().map(|doomed| doomed.key).filter(|key| !open.contains(key)).collect();
            // The record of a key goes only after its object: a crash between the two repeats the deletion.
            failpoint::reach("sweep: keys leased");
            let left = self.bucket.delete_many(&keys).await?;
            failpoint::reach("sweep: objects deleted");
            let gone: Vec<String> = keys.into_iter().filter(|key| !left.contains(key)).collect();
            self.store.forget_doomed(&gone).await?;
            failpoint::reach("sweep: keys forgotten");
            swept.deleted += gone.len();
        }
    }

    /// Ends the uploads in parts on doomed keys; answers the keys where that failed, which a later sweep takes on again.
    async fn end_uploads(&self, doomed: &[Doomed]) -> (HashSet<String>, Option<BucketError>) {
        let (mut left, mut failures) = (HashSet::new(), 0);
        let (mut given_up, mut why) = (false, None);
        for Doomed { key, upload } in doomed {
            let ended = match upload {
                OpenUpload::None => continue,
                // A later sweep tries them again; what has no upload is not kept waiting for it.
                _ if given_up => {
                    left.insert(key.clone());
                    continue;
                }
                OpenUpload::Named(id) => self.end_named(key, id).await,
                OpenUpload::Unknown => self.bucket.abort_uploads_on(key).await,
            };
            match ended {
                Ok(()) => failures = 0,
                Err(error) => {
                    tracing::warn!(key, %error, "an upload in parts was not ended; a later sweep tries again");
                    left.insert(key.clone());
                    failures += 1;
                    given_up = failures == FAILURES_IN_A_ROW;
                    why = Some(error);
                }
            }
        }
        (left, why.filter(|_| given_up))
    }

    /// Ends an upload, and what a crash may have left beside it: the store was asked for one, and its name was not written down.
    async fn end_named(&self, key: &str, upload_id: &str) -> Result<(), BucketError> {
        self.bucket.abort_upload(key, upload_id).await?;
        match self.bucket.abort_uploads_on(key).await {
            // A store that lists no uploads has none that could be found.
            Err(BucketError::Refused(_)) => Ok(()),
            ended => ended,
        }
    }

    /// How much a sweep would take on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waiting(&self, now: OffsetDateTime) -> Result<Waiting, BrokerError> {
        Ok(self.store.waiting(now, now - self.grace).await?)
    }

    /// Activates or forgets one temp file whose form is long dead.
    async fn settle(&self, file: &File, now: OffsetDateTime, swept: &mut Swept) -> Result<(), BrokerError> {
        let unconfirmed = self.file_types.get(&file.type_name).map_or(Unconfirmed::Discard, |rule| rule.unconfirmed);
        if unconfirmed == Unconfirmed::Activate {
            let owner = Caller { actor: file.created_by, tenant: file.tenant.clone(), scopes: Scopes::all() };
            match self.confirm(&owner, file.id, now).await {
                Ok(_) => {
                    swept.activated += 1;
                    return Ok(());
                }
                Err(BrokerError::NotUploaded | BrokerError::Conflict(_) | BrokerError::Refused(_)) => {}
                Err(BrokerError::NotFound | BrokerError::Changing) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        if self.store.discard_temp_file(file, file.expires_at + self.grace).await? {
            failpoint::reach("sweep: record discarded");
            tracing::info!(file.id = %file.id, "temp file discarded");
            swept.discarded += 1;
        }
        Ok(())
    }
}
