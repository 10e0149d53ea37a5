//! What dropslip does: the use cases, and the only place that touches database and bucket together.
//!
//! # The promise
//! - No form is answered whose record is not durable, and no record becomes active whose object was not seen.
//! - The bytes of an active file can never be changed by a form: they are sealed by a copy, made on condition that the object is
//!   still the one judged, to a key that no form ever named.
//! - Every key is in the doomed list, or owned by a record, before anything can be written to it. A crash at any point leaves only
//!   things that the doomed list names.
//! - A file of another tenant is the same as no file.

use time::{Duration, OffsetDateTime};

use crate::bucket::{Bucket, BucketError, Copied};
use crate::domain::evidence::{Weighing, bytes_wanted, weigh};
use crate::domain::file::{ChecksumSha256, Landed};
use crate::domain::{Caller, Evidence, FieldErrors, File, FileId, FileState, FileTypes, MediaType, NewFile, Scope, Sniff};
use crate::post_policy::{PresignedPost, UploadTerms};
use crate::random;
use crate::store::{NewRow, Sealed, Store, StoreError};

/// A copy that is not claimed after this time is nobody's: well beyond the longest that a copy may take.
const UNCLAIMED_COPY: Duration = Duration::hours(1);

/// A form that expires now may still be receiving bytes: the staging key is deleted (again) this long after.
const LATE_UPLOADS: Duration = Duration::hours(2);

/// How often a confirmation looks again at an object that changes under its eyes.
const CONFIRM_ATTEMPTS: usize = 3;

/// Why a use case did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The request cannot be granted; what is wrong, by field.
    #[error("invalid request: {0}")]
    Invalid(FieldErrors),
    /// The upload is not what was granted; what is wrong, by field.
    #[error("the upload was refused: {0}")]
    Refused(FieldErrors),
    /// The token does not allow it.
    #[error("the token lacks the scope {}", .0.as_str())]
    Forbidden(Scope),
    /// There is no such file, or it is another tenant's.
    #[error("no such file")]
    NotFound,
    /// Nothing has arrived yet.
    #[error("nothing was uploaded yet")]
    NotUploaded,
    /// The object changed each time it was looked at.
    #[error("the object keeps changing")]
    Changing,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bucket failed.
    #[error(transparent)]
    Bucket(#[from] BucketError),
}

/// The use cases over one database, one bucket and one set of rules.
pub struct Broker {
    store: Store,
    bucket: Bucket,
    file_types: FileTypes,
}

impl Broker {
    /// A broker.
    #[must_use]
    pub fn new(store: Store, bucket: Bucket, file_types: FileTypes) -> Self {
        Self { store, bucket, file_types }
    }

    /// Step 1: judges what a caller wants to upload, records it as `temp` and signs a form for it.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] with every complaint when no rule grants it; nothing is recorded then.
    pub async fn authorize(&self, caller: &Caller, new: &NewFile, now: OffsetDateTime) -> Result<(File, PresignedPost), BrokerError> {
        allowed(caller, Scope::FilesWrite)?;
        let grant = self.file_types.get(&new.type_name).and_then(|rule| rule.judge(new)).map_err(BrokerError::Invalid)?;
        let staging_key = fresh_key("temp", now);
        let terms = UploadTerms {
            bucket: self.bucket.name(),
            key: &staging_key,
            content_type: &grant.content_type.to_string(),
            min_size: grant.min_size,
            max_size: grant.max_size,
            checksum_sha256: new.checksum_sha256.as_ref().map(ChecksumSha256::as_base64),
            lifetime: grant.lifetime,
        };
        let post = self.bucket.presign(&terms, now).await?;
        let row = NewRow { new, grant: &grant, caller, staging_key: &staging_key, created_at: now, expires_at: post.expires_at };
        let file = self.store.insert_file(&row).await?;
        tracing::info!(file.id = %file.id, file.r#type = file.type_name, size_bytes.max = file.max_size, "slip issued");
        Ok((file, post))
    }

    /// Step 3: looks at what landed, seals it and makes the file `active`. Answers the same file however often it is called.
    ///
    /// # Errors
    /// [`BrokerError::NotUploaded`] before step 2; [`BrokerError::Refused`] when what landed is not what was granted: it is
    /// deleted then, and the record stays `temp` so that the client can upload again.
    pub async fn confirm(&self, caller: &Caller, id: FileId, now: OffsetDateTime) -> Result<File, BrokerError> {
        allowed(caller, Scope::FilesWrite)?;
        for _ in 0..CONFIRM_ATTEMPTS {
            let file = self.find(caller, id).await?;
            match file.state {
                FileState::Active => return Ok(file),
                FileState::Deleted => return Err(BrokerError::NotFound),
                FileState::Temp => {}
            }
            if let Some(active) = self.seal(caller, &file, now).await? {
                return Ok(active);
            }
        }
        Err(BrokerError::Changing)
    }

    /// One file of the caller's tenant.
    ///
    /// # Errors
    /// [`BrokerError::NotFound`] when there is none.
    pub async fn get(&self, caller: &Caller, id: FileId) -> Result<File, BrokerError> {
        allowed(caller, Scope::FilesRead)?;
        self.find(caller, id).await
    }

    async fn find(&self, caller: &Caller, id: FileId) -> Result<File, BrokerError> {
        self.store.find_file(&caller.tenant, id).await?.ok_or(BrokerError::NotFound)
    }

    /// Size, type and checksum by the record, then the first bytes; `None` when the object is gone meanwhile.
    async fn judge(&self, file: &File, landed: &Landed) -> Result<Option<Result<Evidence, FieldErrors>>, BrokerError> {
        if let Err(complaints) = file.judge(landed) {
            return Ok(Some(Err(complaints)));
        }
        // A file type that was taken out of the rules since is held to the strictest.
        let rule = self.file_types.get(&file.type_name).ok();
        let sniff = rule.map_or(Sniff::Reject, |rule| rule.sniff);
        let wanted = bytes_wanted(&file.granted_type, sniff);
        let start = if wanted == 0 {
            Vec::new()
        } else {
            match self.bucket.read_start(&file.staging_key, wanted).await? {
                Some(start) => start,
                None => return Ok(None),
            }
        };
        let allows = |detected: &MediaType| rule.is_some_and(|rule| rule.allows(detected));
        let weighing = Weighing { sniff, max_pixels: rule.map_or(0, |rule| rule.max_pixels), allows: &allows };
        Ok(Some(weigh(&file.granted_type, &start, &weighing)))
    }

    /// Judges, copies and claims once; `None` when the object or the record changed meanwhile.
    async fn seal(&self, caller: &Caller, file: &File, now: OffsetDateTime) -> Result<Option<File>, BrokerError> {
        let Some(mut landed) = self.bucket.head(&file.staging_key).await? else {
            // Another confirmation may just have sealed it and cleaned up; only an unchanged record says that nothing came.
            let unchanged = self.find(caller, file.id).await? == *file;
            return if unchanged { Err(BrokerError::NotUploaded) } else { Ok(None) };
        };
        if file.checksum_sha256.is_some() && landed.checksum_sha256.is_none() {
            // A store that keeps no checksum may not have compared it either: the bytes themselves must tell.
            landed.checksum_sha256 = self.bucket.checksum_sha256(&file.staging_key).await?;
        }
        let evidence = match self.judge(file, &landed).await? {
            Some(Ok(evidence)) => evidence,
            Some(Err(complaints)) => {
                tracing::info!(file.id = %file.id, size_bytes = landed.size, %complaints, "upload refused");
                self.bucket.delete(&file.staging_key).await?;
                return Err(BrokerError::Refused(complaints));
            }
            None => return Ok(None),
        };

        let sealed_key = fresh_key("files", now);
        self.store.doom(&sealed_key, now + UNCLAIMED_COPY).await?;
        let content_type = evidence.decided.as_served();
        let content_disposition = file.name.content_disposition(file.disposition, &evidence.decided);
        let copied = self
            .bucket
            .copy_if_unchanged(&file.staging_key, &landed.etag, &sealed_key, &content_type.to_string(), &content_disposition)
            .await?;
        let etag = match copied {
            Copied::Done { etag } => etag,
            // Gone: another confirmation may have sealed it and cleaned up. The record tells.
            Copied::Changed | Copied::Gone => return Ok(None),
        };
        let sealed = Sealed {
            key: &sealed_key,
            size: landed.size,
            etag: &etag,
            evidence: &evidence,
            actor: caller.actor,
            at: now,
            staging_doomed_until: file.expires_at + LATE_UPLOADS,
        };
        let activated = self.store.activate(file, &sealed).await?;
        // Both keys stay in the doomed list in case this fails, or a late form writes the staging key again.
        let superfluous = if activated.is_some() { &file.staging_key } else { &sealed_key };
        if let Err(error) = self.bucket.delete(superfluous).await {
            tracing::warn!(file.id = %file.id, %error, "an object is left to the sweeper");
        }
        if let Some(active) = &activated {
            tracing::info!(file.id = %active.id, size_bytes = active.size, "file sealed");
        }
        Ok(activated)
    }
}

fn allowed(caller: &Caller, scope: Scope) -> Result<(), BrokerError> {
    if caller.scopes.contains(scope) { Ok(()) } else { Err(BrokerError::Forbidden(scope)) }
}

/// A key that nobody typed a letter of: it rises with time, for the index's sake, and nobody can guess it.
fn fresh_key(prefix: &str, now: OffsetDateTime) -> String {
    let millis = now.unix_timestamp_nanos() / 1_000_000;
    format!("{prefix}/{millis:012x}-{}", hex::encode(random::bytes::<16>()))
}
