//! Step 1, and step 1 again: slips, re-issued slips, and slips by Idempotency-Key.

use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};

use super::confirm::not_dead;
use super::parts::in_time;
use super::slip::{InParts, Slip, SlipRequest};
use super::{ATTEMPTS, Broker, BrokerError, LIFETIME_WITHOUT_RULE, allowed, must_be_temp};
use crate::database::{Idempotency, NewForm, NewRow, Reissued};
use crate::domain::{Allowance, Caller, Complaints, Field, File, FileId, FileState, NewFile, PartSizes, Scope, StagingKey};
use crate::failpoint;
use crate::limits::Exceeded;
use crate::metrics::{self, Step};
use crate::random;

/// How long an Idempotency-Key stands for its file.
pub(super) const IDEMPOTENCY: Duration = Duration::hours(24);

/// How often a form may be replaced: each old one can still fill its own key until it expires.
const MAX_REISSUES: u64 = 20;

/// Then only a new file helps; clients that wait anyway shall not wait for nothing too soon, in seconds.
const REISSUE_RETRY_AFTER: u64 = 60;

/// What a caller gets who asks for a slip.
#[derive(Debug)]
pub enum Authorized {
    /// A temp file and what to upload it with.
    Slip(Box<File>, Slip),
    /// The file that the Idempotency-Key stands for is past needing a form.
    Already(Box<File>),
}

impl Broker {
    /// What the rules of now grant.
    pub(super) fn granted(&self, caller: &Caller, new: &NewFile) -> Result<Allowance, BrokerError> {
        let file_types = self.file_types.load();
        let rule = file_types.get(&new.type_name).map_err(BrokerError::Invalid)?;
        if !caller.types.allows(&rule.name) {
            return Err(BrokerError::ForbiddenType(rule.name.clone()));
        }
        rule.judge(new).map_err(BrokerError::Invalid)
    }

    /// Step 1: judges what a caller wants to upload, records it as `temp` and signs a form for it.
    ///
    /// With an Idempotency-Key, the same request answers the same file for 24 hours, with a fresh form while it is `temp`.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] with every complaint when no rule grants it, [`BrokerError::ForbiddenType`] when the token is not for that
    /// file type; nothing is recorded then.
    /// [`BrokerError::Refused`] when the Idempotency-Key stands for another request.
    pub async fn authorize(
        &self,
        caller: &Caller,
        new: &NewFile,
        key: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<Authorized, BrokerError> {
        allowed(caller, Scope::FilesWrite)?;
        let allowance = self.granted(caller, new)?;
        let once = key.map(|key| Idempotency { key, request_sha256: fingerprint(new) });
        for _ in 0..ATTEMPTS {
            if let Some(once) = &once
                && let Some(answer) = Box::pin(self.replay(caller, once, now)).await?
            {
                return Ok(answer);
            }
            if let Some(answer) = self.issue(caller, new, &allowance, once.as_ref(), now).await? {
                return Ok(answer);
            }
        }
        Err(BrokerError::Changing)
    }

    /// The same without an Idempotency-Key, for a file that ends at `keep_until` unless somebody holds it by then.
    ///
    /// # Errors
    /// As for [`Broker::authorize`].
    pub async fn authorize_until(
        &self,
        caller: &Caller,
        new: &NewFile,
        keep_until: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<Authorized, BrokerError> {
        let authorized = self.authorize(caller, new, None, now).await?;
        if let (Authorized::Slip(file, _), Some(until)) = (&authorized, keep_until) {
            self.database.keep_until(file, until).await?;
        }
        Ok(authorized)
    }

    /// A fresh form for a temp file, on a fresh staging key: what the old form wrote or writes can no longer become the file.
    ///
    /// # Errors
    /// [`BrokerError::AlreadyActive`] once it was confirmed.
    pub async fn reissue(&self, caller: &Caller, id: FileId, now: OffsetDateTime) -> Result<(File, Slip), BrokerError> {
        allowed(caller, Scope::FilesWrite)?;
        for _ in 0..ATTEMPTS {
            let file = self.find(caller, id).await?;
            must_be_temp(&file)?;
            not_dead(&file)?;
            if file.multipart.is_some() {
                in_time(&file, now)?;
            }
            if file.attempts().reissued >= MAX_REISSUES {
                let exceeded = Exceeded { what: "re-issued slips of this file", retry_after_seconds: REISSUE_RETRY_AFTER };
                return Err(BrokerError::LimitExceeded(exceeded));
            }
            if let Some(slip) = self.form_again(caller, &file, &StagingKey::fresh(now, random::bytes()), now).await? {
                metrics::file(Step::Reissued, &file.type_name);
                tracing::info!(file.id = %id, "slip re-issued");
                if file.multipart.is_some() {
                    // Its URLs died with their upload; what it took up need not wait for the sweeper.
                    self.tidy_staging(&file).await;
                }
                return Ok(slip);
            }
        }
        Err(BrokerError::Changing)
    }

    /// Records and signs; `None` when the Idempotency-Key was taken meanwhile.
    async fn issue(
        &self,
        caller: &Caller,
        new: &NewFile,
        allowance: &Allowance,
        once: Option<&Idempotency<'_>>,
        now: OffsetDateTime,
    ) -> Result<Option<Authorized>, BrokerError> {
        let staging_key = StagingKey::fresh(now, random::bytes());
        let multipart = self.parts_for(new, allowance);
        let Allowance { grant, lifetime, .. } = allowance;
        let wanted = SlipRequest {
            key: &staging_key,
            grant,
            checksum_sha256: new.checksum_sha256.as_ref(),
            multipart: multipart.as_ref(),
            lifetime: *lifetime,
        };
        failpoint::reach("authorize: judged");
        let slip = self.slip(&wanted, now).await?;
        failpoint::reach("authorize: form signed");
        // Only now nothing about the request can be refused any more.
        let expires_at = slip.expires_at();
        let (tenant, bytes) = (&caller.tenant, grant.max_size);
        let form = NewForm { staging_key: &staging_key, tenant, actor: caller.actor, bytes, ends_at: expires_at };
        self.limits.slip(&self.database, caller, &form, now).await?.map_err(BrokerError::LimitExceeded)?;
        failpoint::reach("authorize: bytes reserved");
        let row = NewRow { new, grant, caller, staging_key: &staging_key, multipart, created_at: now, expires_at };
        // If this fails, a record may have been written all the same: its form counts until it dies.
        let Some(file) = self.database.insert_file(&row, once).await? else {
            self.limits.release(&self.database, &staging_key).await?;
            return Ok(None);
        };
        failpoint::reach("authorize: record written");
        metrics::file(Step::Issued, &file.type_name);
        tracing::debug!(file.id = %file.id, file.r#type = file.type_name, size_bytes.max = file.grant.max_size, "slip issued");
        if file.multipart.is_none() {
            return Ok(Some(Authorized::Slip(file, slip)));
        }
        let id = file.id;
        match Box::pin(self.with_upload(caller, *file)).await {
            Ok(file) => Ok(Some(Authorized::Slip(Box::new(file), slip))),
            Err(error) => {
                // A record that nobody got an answer about must not count against the caller's limits. If this fails too, it expires.
                let _ = Box::pin(self.take_back(caller, id, now)).await;
                Err(error)
            }
        }
    }

    /// What the Idempotency-Key stands for; `None` when it stands for nothing (any more).
    ///
    /// The form is signed for the same staging key: a client that sent its request twice may be using the first answer already.
    async fn replay(&self, caller: &Caller, once: &Idempotency<'_>, now: OffsetDateTime) -> Result<Option<Authorized>, BrokerError> {
        let Some(used) = self.database.find_idempotency_key(caller, once.key).await? else { return Ok(None) };
        if used.created_at <= now - IDEMPOTENCY {
            self.database.forget_idempotency_key(caller, once.key, now - IDEMPOTENCY).await?;
            return Ok(None);
        }
        if used.request_sha256 != once.request_sha256 {
            return Err(BrokerError::Refused(Complaints::one(Field::IdempotencyKey, "was used for another request")));
        }
        for _ in 0..ATTEMPTS {
            let Some(file) = self.database.find_file(&caller.tenant, used.file_id).await? else { return Ok(None) };
            if file.state() != FileState::Temp {
                return Ok(Some(Authorized::Already(Box::new(file))));
            }
            not_dead(&file)?;
            if let Some((file, slip)) = self.form_again(caller, &file, &file.staging_key, now).await? {
                return Ok(Some(Authorized::Slip(Box::new(file), slip)));
            }
        }
        Err(BrokerError::Changing)
    }

    /// Signs and records a form for `file` on `staging_key`; `None` when the record changed meanwhile.
    async fn form_again(
        &self,
        caller: &Caller,
        file: &File,
        staging_key: &StagingKey,
        now: OffsetDateTime,
    ) -> Result<Option<(File, Slip)>, BrokerError> {
        let wanted = SlipRequest {
            key: staging_key,
            grant: &file.grant,
            checksum_sha256: file.checksum_sha256.as_ref(),
            multipart: file.multipart.as_ref(),
            lifetime: self.file_types.load().get(&file.type_name).map_or(LIFETIME_WITHOUT_RULE, |rule| rule.slip_lifetime),
        };
        let slip = self.slip(&wanted, now).await?;
        let replayed = *staging_key == file.staging_key;
        failpoint::reach(if replayed { "replay: form signed" } else { "reissue: form signed" });
        // Credentials that end sooner than the last ones did must not shorten what was answered with an earlier form.
        let expires_at = if replayed { slip.expires_at().max(file.expires_at) } else { slip.expires_at() };
        let form = NewForm { staging_key, tenant: &file.tenant, actor: file.created_by, bytes: file.grant.max_size, ends_at: expires_at };
        self.limits.reserve(&self.database, &form, now).await?.map_err(BrokerError::LimitExceeded)?;
        let new = Reissued { staging_key, expires_at, caller, at: now, old_doomed_until: file.expires_at + self.grace };
        let changed = self.database.reissue(file, &new).await?;
        if changed.is_none() && !replayed {
            self.limits.release(&self.database, staging_key).await?;
        }
        failpoint::reach(if replayed { "replay: record changed" } else { "reissue: record changed" });
        let Some(file) = changed else { return Ok(None) };
        let file = self.with_upload(caller, file).await?;
        let slip = match &file.multipart {
            Some(multipart) => Slip::Parts(InParts::of(&file, multipart)),
            None => slip,
        };
        Ok(Some((file, slip)))
    }
}

/// The same for requests that mean the same, however their JSON is written.
fn fingerprint(new: &NewFile) -> [u8; 32] {
    let parts = [
        new.type_name.clone(),
        new.name.as_str().to_owned(),
        new.declared_type.as_ref().map(ToString::to_string).unwrap_or_default(),
        new.disposition.as_str().to_owned(),
        new.size.map(|size| size.to_string()).unwrap_or_default(),
        new.checksum_sha256.as_ref().map(|checksum| checksum.as_base64().to_owned()).unwrap_or_default(),
    ];
    // Only where it says something, so that a request means the same to brokers that do not know it yet.
    let in_parts = new.multipart.map(|sizes| if sizes == PartSizes::Granted { "\nparts" } else { "\nown parts" });
    // None of the parts can hold a line break: names and types are cleaned of them.
    Sha256::digest(parts.join("\n") + in_parts.unwrap_or_default()).into()
}
