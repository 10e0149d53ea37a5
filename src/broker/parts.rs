//! Files in parts: signing, listing, putting together and giving up. Before and after, they are files like all others.

use std::collections::{HashMap, HashSet};

use time::{Duration, OffsetDateTime};

use super::confirm::not_dead;
use super::slip::InParts;
use super::{ATTEMPTS, Broker, BrokerError, LIFETIME_WITHOUT_RULE, allowed, must_be_temp};
use crate::bucket::{Completed, PartTerms, PresignedPut};
use crate::database::NewForm;
use crate::domain::multipart::{MAX_PARTS, MIN_PART_SIZE, judge_parts, part_count, size_of_part};
use crate::domain::{Caller, Complaints, Field, File, FileId, FileState, Multipart, Origin, Part, Scope};
use crate::failpoint;
use crate::metrics::{self, Step};

/// A slip that is used lives on, but not for ever: no longer than S3 lets one signature live.
const LONGEST_UPLOAD: Duration = Duration::days(7);

/// A presigned part.
#[derive(Debug)]
pub struct SignedPart {
    /// 1 to 10,000.
    pub number: u32,
    /// Its bytes; `None` when the client chooses.
    pub size: Option<u64>,
    /// Where they go.
    pub put: PresignedPut,
}

/// What arrived of a file in parts.
#[derive(Debug)]
pub struct Arrived {
    /// The file.
    pub file: File,
    /// How it is cut.
    pub slip: InParts,
    /// The parts that are there, by number.
    pub parts: Vec<Part>,
    /// Whether they were put together: then all are there.
    pub put_together: bool,
}

impl Broker {
    /// Signs some parts of a file that comes in parts; its slip lives on from now.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] for numbers that the file has no parts of; [`BrokerError::Conflict`] when it comes in one request, or
    /// its upload takes longer than a week.
    pub async fn sign_parts(
        &self,
        caller: &Caller,
        id: FileId,
        numbers: &[u32],
        now: OffsetDateTime,
    ) -> Result<(File, Vec<SignedPart>), BrokerError> {
        allowed(caller, Scope::FilesWrite)?;
        let (file, multipart) = self.in_parts(caller, id).await?;
        let last = multipart.part_size.map_or(MAX_PARTS, |size| part_count(file.grant.max_size, size));
        // All parts but the last have a least size, so that many parts tell a large file before all of it was sent.
        let fitting = part_count(file.grant.max_size, MIN_PART_SIZE);
        if multipart.part_size.is_none() && numbers.iter().any(|number| (fitting + 1..=last).contains(&u64::from(*number))) {
            return Err(BrokerError::Invalid(Complaints::one(Field::Size, format!("must be {} or lower", file.grant.max_size))));
        }
        let sized = |number: &u32| match multipart.part_size {
            Some(size) => size_of_part(*number, file.grant.max_size, size).map(|size| (*number, Some(size))),
            None => (1..=last).contains(&u64::from(*number)).then_some((*number, None)),
        };
        let parts: Option<Vec<(u32, Option<u64>)>> = numbers.iter().map(sized).collect();
        let Some(parts) = parts else {
            return Err(BrokerError::Invalid(Complaints::one(Field::PartNumbers, format!("must be 1 to {last}"))));
        };
        let lifetime = self.file_types.load().get(&file.type_name).map_or(LIFETIME_WITHOUT_RULE, |rule| rule.slip_lifetime);
        let (file, multipart) = self.kept_alive(file, multipart, lifetime, now).await?;
        let Some(upload_id) = &multipart.upload_id else { return Err(BrokerError::Changing) };
        let terms = PartTerms { key: file.staging_key.as_str(), upload_id, lifetime: lifetime.min(file.expires_at - now) };
        let presigned = self.bucket.presign_parts(terms, &parts, now).await?;
        let signed = parts.into_iter().zip(presigned).map(|((number, size), put)| SignedPart { number, size, put });
        Ok((file, signed.collect()))
    }

    /// The parts that arrived so far; all of them once they were put together.
    ///
    /// # Errors
    /// [`BrokerError::Conflict`] when the file comes in one request, or the store has dropped its upload.
    pub async fn list_parts(&self, caller: &Caller, id: FileId) -> Result<Arrived, BrokerError> {
        allowed(caller, Scope::FilesWrite)?;
        let (file, multipart) = self.in_parts(caller, id).await?;
        let slip = InParts::of(&file, &multipart);
        let upload_id = multipart.upload_id.as_deref().unwrap_or_default();
        if let Some(parts) = self.bucket.list_parts(file.staging_key.as_str(), upload_id).await? {
            return Ok(Arrived { file, slip, parts, put_together: false });
        }
        let Some(landed) = self.bucket.head(file.staging_key.as_str()).await? else {
            let gone = "were dropped by the store; ask for another slip and upload them again";
            return Err(BrokerError::Conflict(Complaints::one(Field::Parts, gone)));
        };
        let size = multipart.part_size.unwrap_or(landed.size);
        let count = u32::try_from(part_count(landed.size, size)).unwrap_or(u32::MAX);
        let part = |number| Part { number, size: size_of_part(number, landed.size, size).unwrap_or_default(), etag: String::new() };
        Ok(Arrived { file, slip, parts: (1..=count).map(part).collect(), put_together: true })
    }

    /// Puts together the parts that a client names with their entity tags, and confirms the file.
    ///
    /// # Errors
    /// [`BrokerError::Conflict`] naming what is missing or different; else like [`Broker::confirm`].
    pub async fn complete(&self, caller: &Caller, id: FileId, claimed: &[(u32, String)], now: OffsetDateTime) -> Result<File, BrokerError> {
        allowed(caller, Scope::FilesWrite)?;
        let file = self.find(caller, id).await?;
        not_dead(&file)?;
        if file.state() == FileState::Temp && self.bucket.head(file.staging_key.as_str()).await?.is_none() {
            self.put_together(&file, Some(claimed)).await?;
        }
        self.confirm(caller, id, now).await
    }

    /// Gives up a file in parts: its record is forgotten, and what was uploaded of it is deleted.
    ///
    /// # Errors
    /// [`BrokerError::AlreadyActive`] once it was confirmed. [`BrokerError::Conflict`] when it comes in one request: nobody can take
    /// a form back, so its record counts until the form dies.
    pub async fn abort(&self, caller: &Caller, id: FileId, now: OffsetDateTime) -> Result<(), BrokerError> {
        allowed(caller, Scope::FilesWrite)?;
        if self.find(caller, id).await?.multipart.is_none() {
            return Err(in_one_request());
        }
        self.forget(caller, id, Some(caller.origin()), now).await
    }

    /// Forgets a slip that its client never got.
    ///
    /// # Errors
    /// [`BrokerError::AlreadyActive`] once it was confirmed.
    pub async fn take_back(&self, caller: &Caller, id: FileId, now: OffsetDateTime) -> Result<(), BrokerError> {
        allowed(caller, Scope::FilesWrite)?;
        self.forget(caller, id, None, now).await
    }

    async fn forget(&self, caller: &Caller, id: FileId, origin: Option<Origin>, now: OffsetDateTime) -> Result<(), BrokerError> {
        for _ in 0..ATTEMPTS {
            let file = self.find(caller, id).await?;
            must_be_temp(&file)?;
            if self.give_up(&file, origin, now).await? {
                self.tidy_staging(&file).await;
                return Ok(());
            }
        }
        Err(BrokerError::Changing)
    }

    /// Forgets a temp file that its client does not want (any more); `false` when it changed meanwhile.
    pub(super) async fn give_up(&self, file: &File, origin: Option<Origin>, now: OffsetDateTime) -> Result<bool, BrokerError> {
        let forgotten = self.database.discard_temp_file(file, file.expires_at + self.grace, origin, now).await?;
        if forgotten {
            failpoint::reach("abort: record discarded");
            metrics::file(Step::GivenUp, &file.type_name);
            tracing::info!(file.id = %file.id, "upload given up");
        }
        Ok(forgotten)
    }

    /// Begins the upload of a temp file that has none yet.
    pub(super) async fn with_upload(&self, caller: &Caller, file: File) -> Result<File, BrokerError> {
        let begun = file.multipart.as_ref().is_none_or(|multipart| multipart.upload_id.is_some());
        if begun {
            return Ok(file);
        }
        let upload_id = self.bucket.begin_upload(file.staging_key.as_str(), &file.grant.content_type.to_string(), None).await?;
        failpoint::reach("parts: upload begun");
        if let Some(file) = self.database.begin_upload(&file, &upload_id).await? {
            failpoint::reach("parts: upload recorded");
            return Ok(file);
        }
        // The same request came twice at once, and the other one was faster; or the file is past needing an upload.
        self.bucket.abort_upload(file.staging_key.as_str(), &upload_id).await?;
        self.find(caller, file.id).await
    }

    /// Puts the parts of a file together when all have arrived: those that `claimed` names, or all that are there.
    ///
    /// `false` when the store knows no such upload (any more): the object is there, or nothing is.
    pub(super) async fn put_together(&self, file: &File, claimed: Option<&[(u32, String)]>) -> Result<bool, BrokerError> {
        let Some(Multipart { upload_id: Some(upload_id), part_size }) = &file.multipart else { return Ok(false) };
        let Some(mut parts) = self.bucket.list_parts(file.staging_key.as_str(), upload_id).await? else { return Ok(false) };
        match claimed {
            Some(claimed) => keep_claimed(&mut parts, claimed).map_err(BrokerError::Conflict)?,
            None if parts.is_empty() => return Err(BrokerError::NotUploaded),
            // The client alone knows when it has sent the last part.
            None if part_size.is_none() && file.grant.min_size != file.grant.max_size => return Err(BrokerError::NotUploaded),
            None => {}
        }
        judge_parts(&parts, *part_size, file.grant.min_size, file.grant.max_size).map_err(BrokerError::Conflict)?;
        failpoint::reach("parts: judged");
        let completed = self.bucket.complete_upload(file.staging_key.as_str(), upload_id, &parts).await?;
        failpoint::reach("parts: put together");
        Ok(completed == Completed::Done)
    }

    async fn in_parts(&self, caller: &Caller, id: FileId) -> Result<(File, Multipart), BrokerError> {
        let file = self.find(caller, id).await?;
        must_be_temp(&file)?;
        not_dead(&file)?;
        // A crash may have come between the record and the upload.
        let file = self.with_upload(caller, file).await?;
        let Some(multipart) = file.multipart.clone() else {
            return Err(in_one_request());
        };
        Ok((file, multipart))
    }

    /// Lets the slip live on, if much of its life is over.
    async fn kept_alive(
        &self,
        file: File,
        multipart: Multipart,
        lifetime: Duration,
        now: OffsetDateTime,
    ) -> Result<(File, Multipart), BrokerError> {
        let last = in_time(&file, now)?;
        let wished = (now + lifetime).min(last);
        // A write for every part would cost more than the part is worth.
        if file.expires_at >= wished || file.expires_at >= now + lifetime * 3 / 4 {
            return Ok((file, multipart));
        }
        let form = NewForm {
            staging_key: &file.staging_key,
            tenant: &file.tenant,
            actor: file.created_by,
            bytes: file.grant.max_size,
            ends_at: wished,
        };
        self.limits.reserve(&self.database, &form, now).await?.map_err(BrokerError::LimitExceeded)?;
        let extended = self.database.extend_slip(&file, wished).await?.ok_or(BrokerError::Changing)?;
        let multipart = extended.multipart.clone().unwrap_or(multipart);
        Ok((extended, multipart))
    }
}

/// Until when a file in parts can be uploaded, if that is still to come.
pub(super) fn in_time(file: &File, now: OffsetDateTime) -> Result<OffsetDateTime, BrokerError> {
    let last = file.created_at + LONGEST_UPLOAD;
    if now < last {
        return Ok(last);
    }
    let late = format!("must all be uploaded within {} days: ask for a new file", LONGEST_UPLOAD.whole_days());
    Err(BrokerError::Conflict(Complaints::one(Field::Parts, late)))
}

fn in_one_request() -> BrokerError {
    BrokerError::Conflict(Complaints::one(Field::Parts, "there are none: this file comes in one request"))
}

fn keep_claimed(parts: &mut Vec<Part>, claimed: &[(u32, String)]) -> Result<(), Complaints> {
    let bare = |etag: &str| etag.trim_matches('"').to_owned();
    let there: HashMap<u32, &Part> = parts.iter().map(|part| (part.number, part)).collect();
    for (number, etag) in claimed {
        // A store that tells no entity tags cannot be asked about them.
        if there.get(number).is_none_or(|part| !part.etag.is_empty() && bare(&part.etag) != bare(etag)) {
            return Err(Complaints::one(Field::Parts, format!("must be as they were uploaded, but part {number} is not")));
        }
    }
    let claimed: HashSet<u32> = claimed.iter().map(|(number, _)| *number).collect();
    parts.retain(|part| claimed.contains(&part.number));
    Ok(())
}
