//! What nobody came back for: expired temp records, and the doomed list.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use time::{Duration, OffsetDateTime};

use super::authorize::IDEMPOTENCY;
use super::pace::Pace;
use super::{Broker, BrokerError};
use crate::bucket::BucketError;
use crate::database::{Doomed, Lease, OpenUpload, Waiting};
use crate::domain::changes::UNCHANGED;
use crate::domain::file_type::Unconfirmed;
use crate::domain::{Caller, File, Origin, Scopes, TypeLimit};
use crate::failpoint;
use crate::metrics::{self, Delivery, Step};

/// How many records or objects are taken at once, and how many while slips are written that would wait for it. S3 deletes at most
/// 1000 objects in one request.
const BATCH: u32 = 1000;
const BATCH_AMONG_OTHERS: u32 = 100;

/// The same for records that are forgotten in one transaction.
const DISCARDED_AT_ONCE: usize = 500;
const DISCARDED_AMONG_OTHERS: usize = 50;

/// The same for deleted files.
const PURGED_AT_ONCE: u32 = 500;
const PURGED_AMONG_OTHERS: u32 = 50;

/// How long a sweeper has for a batch of objects: well beyond what a healthy store takes for it. If it dies, another goes on after that.
const LEASE: Duration = Duration::minutes(5);

/// How many uploads in parts are ended at the same time.
const ENDED_AT_ONCE: usize = 8;

/// How long an expired temp file is kept at least whose rule is not at hand: it may come back, or another broker may have it.
const KEPT_WITHOUT_RULE: Duration = Duration::days(1);

/// After so many files or uploads in a row that the bucket failed at, a sweep gives up until the next.
const FAILURES_IN_A_ROW: u32 = 3;

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Temp files that were made active, because their bytes had arrived and their type says so.
    pub activated: usize,
    /// Temp files that were forgotten.
    pub discarded: usize,
    /// Active files whose time was over, and that nobody held.
    pub ended: usize,
    /// Deleted files whose retention was over.
    pub purged: usize,
    /// Doomed keys whose objects are gone now.
    pub deleted: usize,
}

impl Broker {
    /// Takes everything whose time has come. Safe to repeat, after a crash and by several brokers at once.
    ///
    /// # Errors
    /// When database or bucket fail; what was done by then stays done, the rest is found by the next sweep.
    pub async fn sweep_now(&self, now: OffsetDateTime) -> Result<Swept, BrokerError> {
        let leases_from = self.database.clock().await?;
        self.sweep_by(now, leases_from).await
    }

    /// The same as if it was `now` on each clock, also that of the database.
    ///
    /// # Errors
    /// Like [`Broker::sweep_now`].
    pub async fn sweep(&self, now: OffsetDateTime) -> Result<Swept, BrokerError> {
        self.sweep_by(now, now).await
    }

    async fn sweep_by(&self, now: OffsetDateTime, leases_from: OffsetDateTime) -> Result<Swept, BrokerError> {
        let started = Instant::now();
        // A sweep may take long: what it writes must not be due before it is written.
        let clock = || now + started.elapsed();
        let mut swept = Swept::default();
        // One file that cannot be settled, or a bucket that is away, keeps nothing else waiting; a database that is away is asked no more.
        let settled = self.settle_expired(now, &clock, &mut swept).await;
        self.end_kept(now, &mut swept).await?;
        self.purge(now, &clock, &mut swept).await?;
        let deleted = match self.delete_doomed(&clock, leases_from - now, &mut swept).await {
            Err(error @ BrokerError::Bucket(_)) => Err(error),
            done => Ok(done?),
        };
        let old = now - self.events_retention;
        while self.database.forget_events(old, BATCH).await? == u64::from(BATCH) {}
        loop {
            let given_up = self.database.give_up_events(old, now, BATCH).await?;
            metrics::deliveries(Delivery::Dead, given_up);
            if given_up < u64::from(BATCH) {
                break;
            }
        }
        while self.database.forget_idempotency_keys(now - IDEMPOTENCY, BATCH).await? == u64::from(BATCH) {}
        while self.database.forget_reserved(now - self.grace, BATCH).await? == u64::from(BATCH) {}
        if let Some(retention) = self.audit_retention {
            let mut gone = 0;
            // Of a batch fewer than all may be old: clocks differ.
            while let batch @ 1.. = self.database.forget_audited(now - retention, BATCH).await? {
                gone += batch;
            }
            if gone > 0 {
                tracing::info!(count = gone, "lines of the audit log taken out");
            }
        }
        settled.and(deleted).map(|()| swept)
    }

    async fn settle_expired(&self, now: OffsetDateTime, clock: &impl Fn() -> OffsetDateTime, swept: &mut Swept) -> Result<(), BrokerError> {
        let (mut failures, mut pace) = (0, Pace::new(&self.database));
        let mut limit = pace.batch(BATCH, BATCH_AMONG_OTHERS);
        let mut expired = self.database.expired_files(now - self.grace, None, limit).await?;
        while let Some(last) = expired.last() {
            let after = Some((last.expires_at, last.id));
            let is_last = expired.len() < limit as usize;
            limit = pace.batch(BATCH, BATCH_AMONG_OTHERS);
            // The next ones are read meanwhile: what becomes of them before their turn is noticed when they have it.
            let next = async { if is_last { Ok(Vec::new()) } else { self.database.expired_files(now - self.grace, after, limit).await } };
            let (settled, next) = tokio::join!(self.settle_all(&expired, clock, &mut pace, &mut failures, swept), next);
            settled?;
            expired = next?;
        }
        Ok(())
    }

    async fn settle_all(
        &self,
        expired: &[File],
        clock: &impl Fn() -> OffsetDateTime,
        pace: &mut Pace<'_>,
        failures: &mut u32,
        swept: &mut Swept,
    ) -> Result<(), BrokerError> {
        let (mut unwanted, mut failure) = (Vec::new(), None);
        for file in expired {
            failpoint::reach("sweep: expired found");
            match self.settle(file, clock()).await {
                Ok(settled) => {
                    *failures = 0;
                    match settled {
                        Settled::Activated => swept.activated += 1,
                        Settled::Unwanted => unwanted.push(file),
                        Settled::Left => {}
                    }
                }
                Err(error @ BrokerError::Bucket(_)) => {
                    tracing::warn!(file.id = %file.id, %error, "a temp file cannot be settled now; the next sweep tries again");
                    *failures += 1;
                    // Not this object but the bucket is sick.
                    if *failures == FAILURES_IN_A_ROW {
                        failure = Some(error);
                        break;
                    }
                }
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        self.discard(&unwanted, clock, pace, swept).await?;
        failure.map_or(Ok(()), Err)
    }

    /// Forgets temp files that nobody wants, many in one transaction.
    async fn discard(
        &self,
        unwanted: &[&File],
        clock: &impl Fn() -> OffsetDateTime,
        pace: &mut Pace<'_>,
        swept: &mut Swept,
    ) -> Result<(), BrokerError> {
        let (started, mut count, mut rest) = (Instant::now(), 0, unwanted);
        while !rest.is_empty() {
            let most = pace.batch(DISCARDED_AT_ONCE, DISCARDED_AMONG_OTHERS);
            let (batch, left) = rest.split_at(most.min(rest.len()));
            rest = left;
            let began = Instant::now();
            let gone = self.database.discard_temp_files(batch, self.grace, clock()).await?;
            if !gone.is_empty() {
                failpoint::reach("sweep: record discarded");
            }
            let ids: HashSet<_> = gone.iter().copied().collect();
            for file in batch.iter().filter(|file| ids.contains(&file.id)) {
                tracing::debug!(file.id = %file.id, "temp file discarded");
                metrics::file(Step::Expired, &file.type_name);
            }
            count += gone.len();
            pace.rest(began.elapsed()).await;
        }
        if count > 0 {
            tracing::info!(count, duration_ms = millis(started.elapsed()), "temp files discarded");
        }
        swept.discarded += count;
        Ok(())
    }

    /// Deletes files whose time is over and that nobody holds. They can be brought back like all that are deleted.
    async fn end_kept(&self, now: OffsetDateTime, swept: &mut Swept) -> Result<(), BrokerError> {
        let mut pace = Pace::new(&self.database);
        loop {
            let limit = pace.batch(PURGED_AT_ONCE, PURGED_AMONG_OTHERS);
            let began = Instant::now();
            let (due, ended) = self.database.end_files(now, limit).await?;
            for file in &ended {
                tracing::debug!(file.id = %file.id, "file ended");
            }
            if !ended.is_empty() {
                failpoint::reach("end: recorded");
                tracing::info!(count = ended.len(), duration_ms = millis(began.elapsed()), "files ended that nobody held");
            }
            swept.ended += ended.len();
            if due < limit as usize {
                return Ok(());
            }
            pace.rest(began.elapsed()).await;
        }
    }

    /// Forgets files that were deleted long enough ago; their objects go with what is doomed.
    async fn purge(&self, now: OffsetDateTime, clock: &impl Fn() -> OffsetDateTime, swept: &mut Swept) -> Result<(), BrokerError> {
        let (deleted_until, mut pace) = (now - self.deleted_retention, Pace::new(&self.database));
        loop {
            let limit = pace.batch(PURGED_AT_ONCE, PURGED_AMONG_OTHERS);
            let began = Instant::now();
            let purged = self.database.purge_files(deleted_until, clock(), limit).await?;
            for file in &purged {
                tracing::debug!(file.id = %file.id, "deleted file purged");
            }
            if purged.is_empty() {
                return Ok(());
            }
            failpoint::reach("purge: records gone");
            tracing::info!(count = purged.len(), duration_ms = millis(began.elapsed()), "deleted files purged");
            swept.purged += purged.len();
            if purged.len() < limit as usize {
                return Ok(());
            }
            pace.rest(began.elapsed()).await;
        }
    }

    /// `ahead` is how far the database's clock is ahead of this one.
    async fn delete_doomed(&self, clock: &impl Fn() -> OffsetDateTime, ahead: Duration, swept: &mut Swept) -> Result<(), BrokerError> {
        let (mut failure, mut pace) = (None, Pace::new(&self.database));
        loop {
            let started = Instant::now();
            let limit = pace.batch(BATCH, BATCH_AMONG_OTHERS);
            let doomed = self.database.lease_doomed(clock(), Lease::of(LEASE, clock() + ahead), limit).await?;
            let leasing = started.elapsed();
            if doomed.is_empty() {
                return failure.map_or(Ok(()), |error| Err(BrokerError::Bucket(error)));
            }
            let (open, failed) = self.end_uploads(&doomed).await;
            failure = failed.or(failure);
            let keys: Vec<String> = doomed.into_iter().map(|doomed| doomed.key).filter(|key| !open.contains(key)).collect();
            // The record of a key goes only after its object: a crash between the two repeats the deletion.
            failpoint::reach("sweep: keys leased");
            let started = Instant::now();
            let left = self.bucket.delete_many(&keys).await?;
            failpoint::reach("sweep: objects deleted");
            let bucket_ms = millis(started.elapsed());
            let gone: Vec<String> = keys.into_iter().filter(|key| !left.contains(key)).collect();
            let started = Instant::now();
            self.database.forget_doomed(&gone).await?;
            failpoint::reach("sweep: keys forgotten");
            let database = leasing + started.elapsed();
            tracing::info!(count = gone.len(), database_ms = millis(database), bucket_ms, "objects deleted");
            swept.deleted += gone.len();
            pace.rest(database).await;
        }
    }

    /// Ends the uploads in parts on doomed keys; answers the keys where that failed, which a later sweep takes on again.
    async fn end_uploads(&self, doomed: &[Doomed]) -> (HashSet<String>, Option<BucketError>) {
        let (mut left, mut failures, mut why) = (HashSet::new(), 0, None);
        let given_up = AtomicBool::new(false);
        let open = doomed.iter().filter(|doomed| doomed.upload != OpenUpload::None);
        let ends: Vec<_> = open
            .map(|Doomed { key, upload }| {
                let given_up = &given_up;
                async move {
                    // What has no upload is not kept waiting for a bucket that is sick.
                    let ended = if given_up.load(Ordering::Relaxed) { None } else { Some(self.end_upload(key, upload).await) };
                    (key, ended)
                }
                .boxed()
            })
            .collect();
        let mut ended = stream::iter(ends).buffered(ENDED_AT_ONCE);
        while let Some((key, ended)) = ended.next().await {
            match ended {
                Some(Ok(())) => failures = 0,
                Some(Err(error)) => {
                    tracing::warn!(key, %error, "an upload in parts was not ended; a later sweep tries again");
                    left.insert(key.clone());
                    failures += 1;
                    given_up.fetch_or(failures == FAILURES_IN_A_ROW, Ordering::Relaxed);
                    why = Some(error);
                }
                None => {
                    left.insert(key.clone());
                }
            }
        }
        (left, why.filter(|_| given_up.load(Ordering::Relaxed)))
    }

    /// Ends the upload that is named, and what a crash may have left beside it: the store was asked for one, and its name was not
    /// written down.
    async fn end_upload(&self, key: &str, upload: &OpenUpload) -> Result<(), BucketError> {
        if let OpenUpload::Named(upload_id) = upload {
            self.bucket.abort_upload(key, upload_id).await?;
        }
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
        Ok(self.database.waiting(now, now - self.grace, now - self.deleted_retention).await?)
    }

    /// Activates one temp file whose form is long dead, where its type says so and its bytes have arrived.
    async fn settle(&self, file: &File, now: OffsetDateTime) -> Result<Settled, BrokerError> {
        // Whoever sent it is gone, and nobody but the broker could write it.
        if file.is_arriving() {
            return Ok(Settled::Unwanted);
        }
        let unconfirmed = self.file_types.load().get(&file.type_name).map(|rule| rule.unconfirmed);
        match unconfirmed {
            Ok(Unconfirmed::Activate) => {}
            Ok(Unconfirmed::Discard) => return Ok(Settled::Unwanted),
            // Nobody can say what is to become of it.
            Err(_) => {
                let kept_until = file.expires_at + self.grace + self.deleted_retention.max(KEPT_WITHOUT_RULE);
                return Ok(if now < kept_until { Settled::Left } else { Settled::Unwanted });
            }
        }
        match Box::pin(self.confirm_from(Origin::Sweep, &owner(file), file.id, UNCHANGED, now)).await {
            Ok(_) => Ok(Settled::Activated),
            Err(BrokerError::NotUploaded | BrokerError::Conflict(_) | BrokerError::Refused(_)) => Ok(Settled::Unwanted),
            Err(BrokerError::NotFound | BrokerError::Changing | BrokerError::UnknownType(_)) => Ok(Settled::Left),
            Err(error) => Err(error),
        }
    }
}

/// Whoever asked for the slip, with every right: in whose name dropslip acts by itself.
pub(super) fn owner(file: &File) -> Caller {
    Caller { actor: file.created_by, tenant: file.tenant.clone(), scopes: Scopes::all(), types: TypeLimit::default(), dialect: None }
}

/// What became of an expired temp file, or is to become of it.
enum Settled {
    Activated,
    /// To be forgotten.
    Unwanted,
    /// Somebody else is at work on it, or may know what is to become of it.
    Left,
}

/// Milliseconds, for the log.
fn millis(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
