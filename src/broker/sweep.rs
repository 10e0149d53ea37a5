//! What nobody came back for: expired temp records, and the doomed list.

use time::{Duration, OffsetDateTime};

use super::authorize::IDEMPOTENCY;
use super::{Broker, BrokerError};
use crate::bucket::BucketError;
use crate::domain::file_type::Unconfirmed;
use crate::domain::{Caller, File, Scopes};
use crate::failpoint;
use crate::store::Waiting;

/// How many records or objects are taken at once; S3 deletes at most 1000 objects in one request.
const BATCH: u32 = 1000;

/// How long a sweeper has for a batch of objects: twice what the request may take. If it dies, another goes on after that.
const LEASE: Duration = Duration::minutes(1);

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
        let mut swept = Swept::default();
        loop {
            let before = (swept.activated, swept.discarded);
            let expired = self.store.expired_files(now - self.grace, BATCH).await?;
            for file in &expired {
                failpoint::reach("sweep: expired found");
                self.settle(file, now, &mut swept).await?;
            }
            // Records that another sweeper takes at the same time are no progress of ours: they end there.
            if expired.len() < BATCH as usize || (swept.activated, swept.discarded) == before {
                break;
            }
        }
        loop {
            let keys = self.store.lease_doomed(now, now + LEASE, BATCH).await?;
            if keys.is_empty() {
                break;
            }
            // The record of a key goes only after its object: a crash between the two repeats the deletion.
            failpoint::reach("sweep: keys leased");
            self.bucket.delete_many(&keys).await?;
            failpoint::reach("sweep: objects deleted");
            self.store.forget_doomed(&keys).await?;
            failpoint::reach("sweep: keys forgotten");
            swept.deleted += keys.len();
        }
        self.store.forget_idempotency_keys(now - IDEMPOTENCY).await?;
        Ok(swept)
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
                Err(BrokerError::NotUploaded | BrokerError::Refused(_)) => {}
                Err(BrokerError::NotFound | BrokerError::Changing) => return Ok(()),
                // One object that the bucket will not give out must not keep all others from being swept.
                Err(BrokerError::Bucket(error @ BucketError::Refused(_))) => {
                    tracing::warn!(file.id = %file.id, %error, "a temp file cannot be looked at; it is left as it is");
                    return Ok(());
                }
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
