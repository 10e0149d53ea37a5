//! Step 3: judge what landed, seal it, claim it.

use std::time::Instant;

use time::{Duration, OffsetDateTime};

use super::judge::Judged;
use super::{ATTEMPTS, Broker, BrokerError, allowed, is_deleted, seen_by, too_often};
use crate::bucket::{BucketError, Copied, LONGEST_COPY, SealedAs, longest_copy};
use crate::database::{Activation, Changed};
use crate::domain::changes::{Describe, UNCHANGED};
use crate::domain::file::Landed;
use crate::domain::{
    Action, Caller, Change, Complaints, Field, File, FileId, FileState, MediaType, Multipart, Origin, Scope, Sealed, SealedKey,
};
use crate::event_json;
use crate::failpoint;
use crate::field_names;
use crate::metrics::{self, Step};
use crate::random;

/// A copy that is not claimed after this time is nobody's: well beyond the longest that a copy may take.
const UNCLAIMED_COPY: Duration = Duration::hours(1);
const _: () = assert!(UNCLAIMED_COPY.whole_seconds().cast_unsigned() > 4 * LONGEST_COPY.as_secs());

/// How long an answer waits for an object to be deleted that the sweeper would delete too.
const TIDYING: std::time::Duration = std::time::Duration::from_secs(3);

/// After so many refused uploads a slip is dead: each leaves a line in the audit log and its events.
const MOST_REFUSED: u64 = 20;

const DEAD: &str = "is dead: too many of its uploads were refused; ask for a new slip";

/// What a refusal is remembered by: the number of the slip, which rises each time that it is replaced.
const SLIP: &str = "slip";

impl Broker {
    /// Step 3: looks at what landed, seals it and makes the file `active`. Answers the same file however often it is called.
    ///
    /// # Errors
    /// [`BrokerError::NotUploaded`] before step 2; [`BrokerError::Refused`] when what landed is not what was granted: it is
    /// deleted then, and the record stays `temp` so that the client can upload again.
    pub async fn confirm(&self, caller: &Caller, id: FileId, now: OffsetDateTime) -> Result<File, BrokerError> {
        self.confirm_as(caller, id, UNCHANGED, now).await
    }

    /// The same, and describes the file as wished; one that is active already is described alone. All of it is done or nothing.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] when the file's rule does not take the name or disposition, and as for [`Broker::confirm`].
    pub async fn confirm_as(&self, caller: &Caller, id: FileId, wished: Describe<'_>, now: OffsetDateTime) -> Result<File, BrokerError> {
        self.confirm_from(caller.origin(), caller, id, wished, now).await
    }

    /// Step 3 for whatever reason: a client's request, a sweep, or the bucket's word that something arrived.
    pub(super) async fn confirm_from(
        &self,
        origin: Origin,
        caller: &Caller,
        id: FileId,
        wished: Describe<'_>,
        now: OffsetDateTime,
    ) -> Result<File, BrokerError> {
        allowed(caller, Scope::FilesWrite)?;
        // What is recorded after a long copy happened after it: who asks for what changed since a time must not miss it.
        let began = Instant::now();
        let clock = || now + began.elapsed();
        // Two at once would copy the same bytes twice, and clients repeat what takes long.
        let _turn = self.confirming.wait(id).await;
        for _ in 0..ATTEMPTS {
            let file = self.find(caller, id).await?;
            let done = match file.state() {
                FileState::Active => self.describe(caller, file, wished, clock()).await?,
                FileState::Deleted => return Err(is_deleted()),
                FileState::Temp => Box::pin(self.seal(origin, caller, &file, wished, clock())).await?,
            };
            if let Some(active) = done {
                return Ok(active);
            }
        }
        Err(BrokerError::Changing)
    }

    /// Describes an active file as wished; `None` when its record changed meanwhile.
    async fn describe(&self, caller: &Caller, file: File, wished: Describe<'_>, now: OffsetDateTime) -> Result<Option<File>, BrokerError> {
        let described = self.described(&file, file.content_type(), wished)?;
        if described == file {
            seen_by(caller, &file)?;
            return Ok(Some(file));
        }
        let changed = self.database.describe(&file, &described, caller.by(), now).await?;
        failpoint::reach("rename: recorded");
        match changed {
            Changed::Done(file) => {
                tracing::info!(file.id = %file.id, "file described anew");
                Ok(Some(*file))
            }
            Changed::Outdated => Ok(None),
            Changed::TooOften(wait) => Err(too_often(wait)),
        }
    }

    /// The file as it will be described, if its rule takes that.
    fn described(&self, file: &File, content_type: &MediaType, wished: Describe<'_>) -> Result<File, BrokerError> {
        let changes = wished(file).map_err(BrokerError::Invalid)?.new_to(file);
        if changes.is_empty() {
            return Ok(file.clone());
        }
        let file_types = self.file_types.load();
        let rule = file_types.get(&file.type_name);
        rule.and_then(|rule| changes.made(file, rule, content_type)).map_err(BrokerError::Invalid)
    }

    /// Judges, copies and claims once; `None` when the object or the record changed meanwhile.
    async fn seal(
        &self,
        origin: Origin,
        caller: &Caller,
        file: &File,
        wished: Describe<'_>,
        now: OffsetDateTime,
    ) -> Result<Option<File>, BrokerError> {
        let began = Instant::now();
        not_dead(file)?;
        let Some((landed, early)) = self.look(file).await? else {
            if Box::pin(self.put_together(file, None)).await? {
                return Ok(None);
            }
            // Another confirmation may have put the parts together a moment ago and be at work on the object now.
            if file.multipart.is_some() && self.bucket.head(file.staging_key.as_str()).await?.is_some() {
                return Ok(None);
            }
            // Another confirmation may just have sealed it and cleaned up; only an unchanged record says that nothing came.
            let unchanged = self.find(caller, file.id).await? == *file;
            return if unchanged { Err(self.nothing_there(file).await?) } else { Ok(None) };
        };
        failpoint::reach("confirm: head done");
        metrics::file(Step::Arrived, &file.type_name);
        let sealed_key = SealedKey::fresh(now, random::bytes());
        let unclaimed = now + UNCLAIMED_COPY + longest_copy(landed.size);
        // Should the first bytes still be missing, the database writes meanwhile where their copy will be.
        let (judged, doomed) = tokio::join!(
            self.judge_upload(file, &landed, early),
            self.database.doom(sealed_key.as_str(), unclaimed, self.bucket.copies_in_parts(landed.size))
        );
        let evidence = match judged? {
            Judged::Good(evidence) => evidence,
            Judged::Refused(complaints) => {
                self.spare(&sealed_key).await?;
                return self.refuse(file, &landed, complaints, origin, now).await;
            }
            Judged::Changed => {
                self.spare(&sealed_key).await?;
                return Ok(None);
            }
        };
        failpoint::reach("confirm: judged");
        // Only now it is known what the bytes are; and nothing has happened yet that the client would not repeat.
        let file = &match self.described(file, &evidence.decided, wished) {
            Ok(described) => described,
            Err(complaint) => {
                self.spare(&sealed_key).await?;
                return Err(complaint);
            }
        };
        doomed?;
        failpoint::reach("confirm: sealed key doomed");
        let content_type = evidence.decided.as_served();
        let content_disposition = file.name.content_disposition(file.disposition, &evidence.decided);
        let sealed_as = SealedAs { key: &sealed_key, content_type: &content_type.to_string(), content_disposition: &content_disposition };
        let tag = match self.bucket.copy_if_unchanged(&file.staging_key, &landed, &sealed_as).await? {
            Copied::Done(etag) => etag,
            // Another confirmation may have sealed it and cleaned up. The record tells.
            Copied::Changed => return Ok(None),
        };
        failpoint::reach("confirm: copied");
        // Only now nobody can change it any more: what was seen before may have been another content under the same tag.
        let sealed = self.judge_sealed(file, sealed_key.as_str(), tag.as_deref(), &landed, &evidence).await?;
        let Some((copy, judged)) = sealed else { return Ok(None) };
        match judged {
            Judged::Good(_) => {}
            Judged::Refused(complaints) => {
                self.tidy(file, sealed_key.as_str()).await;
                return self.refuse(file, &landed, complaints, origin, now).await;
            }
            Judged::Changed => {
                self.tidy(file, sealed_key.as_str()).await;
                return Ok(None);
            }
        }
        let activation = Activation {
            sealed: Sealed { key: sealed_key, size: landed.size, etag: copy.etag, evidence },
            actor: caller.actor,
            origin,
            at: now + began.elapsed(),
            keep_until: None,
            late_uploads: self.grace,
        };
        let activated = self.database.activate(file, &activation).await?;
        failpoint::reach("confirm: activated");
        // Both keys stay in the doomed list in case this fails, or a late form writes the staging key again.
        let superfluous = if activated.is_some() { file.staging_key.as_str() } else { activation.sealed.key.as_str() };
        self.tidy(file, superfluous).await;
        failpoint::reach("confirm: staging deleted");
        if activated.is_some() && file.multipart.is_some() {
            self.release_parts(file).await;
        }
        if let Some(active) = &activated {
            metrics::file(Step::Confirmed, &active.type_name);
            tracing::info!(file.id = %active.id, size_bytes = active.size(), "file sealed");
        }
        Ok(activated)
    }

    /// Removes what was refused, unless another upload has taken its place meanwhile, and says why.
    async fn refuse(
        &self,
        file: &File,
        landed: &Landed,
        mut complaints: Complaints,
        origin: Origin,
        now: OffsetDateTime,
    ) -> Result<Option<File>, BrokerError> {
        metrics::rejected(&file.type_name, complaints.iter().map(|(field, _)| field_names::name(field)));
        tracing::info!(file.id = %file.id, size_bytes = landed.size, complaints = %field_names::spelled(&complaints), "upload refused");
        failpoint::reach("refusal: judged");
        // Before the object goes: after a crash between the two it is refused again, and reported again.
        let change = Change::new(file, Action::Rejected, origin, now);
        let change =
            change.with("reasons", event_json::reasons(&complaints)).with("size", landed.size).with(SLIP, file.attempts().reissued);
        self.database.reject(&change, MOST_REFUSED).await?;
        failpoint::reach("refusal: written down");
        if self.bucket.head(file.staging_key.as_str()).await?.is_some_and(|now| now.etag == landed.etag) {
            self.bucket.delete(file.staging_key.as_str()).await?;
        }
        failpoint::reach("refusal: object deleted");
        if file.multipart.is_some() {
            // Its upload was used up: the next part that is asked for begins another.
            self.database.end_upload(file).await?;
        }
        if file.attempts().refused + 1 >= MOST_REFUSED {
            complaints.add(Field::State, DEAD);
        }
        Err(BrokerError::Refused(complaints))
    }

    /// Takes a key off the doomed list that nothing was written to: who is refused again and again shall leave no row each time.
    async fn spare(&self, sealed_key: &SealedKey) -> Result<(), BrokerError> {
        Ok(self.database.forget_doomed(&[sealed_key.to_string()]).await?)
    }

    /// Why there is no object to confirm: nothing came, or what came with this slip was refused before its client asked.
    async fn nothing_there(&self, file: &File) -> Result<BrokerError, BrokerError> {
        let refused = self.database.last_audited(file.id, Action::Rejected).await?;
        let unasked = refused.filter(|line| line.actor.is_none() && line.details[SLIP] == file.attempts().reissued);
        let Some(line) = unasked else { return Ok(BrokerError::NotUploaded) };
        Ok(BrokerError::Refused(event_json::complaints(&line.details["reasons"])))
    }

    /// Drops what was uploaded of a file, or may still be; the doomed list names it too.
    pub(super) async fn tidy_staging(&self, file: &File) {
        let mut ended = file.multipart.is_some();
        if let Some(Multipart { upload_id: Some(upload_id), .. }) = &file.multipart {
            let aborted = tokio::time::timeout(TIDYING, self.bucket.abort_upload(file.staging_key.as_str(), upload_id)).await;
            if let Err(error) = aborted.unwrap_or_else(|_| Err(BucketError::Unavailable("it did not answer in time".to_owned()))) {
                tracing::warn!(file.id = %file.id, %error, "an upload in parts is left to the sweeper");
                ended = false;
            }
        }
        if ended {
            self.release_parts(file).await;
        }
        self.tidy(file, file.staging_key.as_str()).await;
    }

    /// The URLs of an upload in parts die with it, so its bytes are reserved no more. What a form may write is, until it dies.
    async fn release_parts(&self, file: &File) {
        if let Err(error) = self.limits.release(&self.database, &file.staging_key).await {
            tracing::warn!(file.id = %file.id, %error, "the bytes of an upload in parts stay reserved until its slip would have ended");
        }
    }

    /// Deletes an object that the doomed list names too, if that is quickly done.
    async fn tidy(&self, file: &File, key: &str) {
        let deleted = tokio::time::timeout(TIDYING, self.bucket.delete(key)).await;
        if let Err(error) = deleted.unwrap_or_else(|_| Err(BucketError::Unavailable("it did not answer in time".to_owned()))) {
            tracing::warn!(file.id = %file.id, %error, "an object is left to the sweeper");
        }
    }
}

/// That a temp file can still become active, and be given forms.
pub(super) fn not_dead(file: &File) -> Result<(), BrokerError> {
    if file.attempts().refused >= MOST_REFUSED {
        return Err(BrokerError::Refused(Complaints::one(Field::State, DEAD)));
    }
    Ok(())
}
