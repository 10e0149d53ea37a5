//! Looking at an upload: before it is copied, to choose what it becomes; and after, where no form can change it.
//!
//! An entity tag is an MD5 on most stores. Two contents can be made that share one, and a form can switch between them. What is
//! true of the staging object is therefore a promise only; what is true of the sealed copy counts.

use super::{Broker, BrokerError};
use crate::domain::evidence::{Weighing, bytes_wanted, weigh};
use crate::domain::file::Landed;
use crate::domain::image_header::Pieces;
use crate::domain::{Complaints, Evidence, Field, File, MediaType, Sniff};

/// Most pixels of an image whose rule is not at hand: as many as the shipped rule for images allows.
const PIXELS_WITHOUT_RULE: u64 = 50_000_000;

/// What looking came to.
pub(super) enum Judged {
    /// It is as granted.
    Good(Evidence),
    /// It is not, by field.
    Refused(Complaints),
    /// It was replaced while it was looked at.
    Changed,
}

impl Broker {
    /// What was uploaded, and its first bytes, asked for at the same time. They count only where they are those of the same object.
    pub(super) async fn look(&self, file: &File) -> Result<Option<(Landed, Option<Vec<u8>>)>, BrokerError> {
        let wanted = bytes_wanted(&file.grant.content_type, self.sniff(file));
        let early = async {
            match wanted {
                0 => Ok(None),
                wanted => self.bucket.read_start_of_any(file.staging_key.as_str(), wanted).await,
            }
        };
        let (landed, early) = tokio::join!(self.bucket.head(file.staging_key.as_str()), early);
        let Some(landed) = landed? else { return Ok(None) };
        let early = early?.filter(|(etag, _)| *etag == landed.etag).map(|(_, start)| start);
        Ok(Some((landed, early)))
    }

    /// Size, type and checksum as the store tells them, then the first bytes, read now unless they were `early`.
    pub(super) async fn judge_upload(&self, file: &File, landed: &Landed, early: Option<Vec<u8>>) -> Result<Judged, BrokerError> {
        match file.judge(landed) {
            Ok(()) => {
                let start = match early {
                    Some(start) => Some(start),
                    None => self.first_bytes(file, file.staging_key.as_str(), &landed.etag, landed.size).await?,
                };
                self.judge_bytes(file, file.staging_key.as_str(), landed, start).await
            }
            Err(complaints) => Ok(Judged::Refused(complaints)),
        }
    }

    /// The sealed copy, and whether it is what was judged: the same first bytes, and the declared checksum. `None` when there is
    /// no such copy. Where the copy's answer `tag` its entity tag, its first bytes are asked for at once.
    pub(super) async fn judge_sealed(
        &self,
        file: &File,
        key: &str,
        tag: Option<&str>,
        landed: &Landed,
        evidence: &Evidence,
    ) -> Result<Option<(Landed, Judged)>, BrokerError> {
        let early = async {
            match tag {
                Some(etag) => self.first_bytes(file, key, etag, landed.size).await,
                None => Ok(None),
            }
        };
        let (copy, start) = tokio::join!(self.bucket.head(key), early);
        let Some(copy) = copy? else { return Ok(None) };
        if copy.size != landed.size {
            return Ok(Some((copy, Judged::Changed)));
        }
        let start = match start? {
            Some(start) if tag == Some(copy.etag.as_str()) => Some(start),
            _ => self.first_bytes(file, key, &copy.etag, copy.size).await?,
        };
        let judged = self.compare(file, key, &copy, start, evidence).await?;
        Ok(Some((copy, judged)))
    }

    async fn compare(
        &self,
        file: &File,
        key: &str,
        copy: &Landed,
        start: Option<Vec<u8>>,
        evidence: &Evidence,
    ) -> Result<Judged, BrokerError> {
        if let Some(declared) = &file.checksum_sha256 {
            // A store that keeps no checksum may not have compared it either: the bytes themselves must tell.
            let stored = match &copy.checksum_sha256 {
                Some(stored) => Some(stored.clone()),
                None => self.bucket.checksum_sha256(key, &copy.etag).await?,
            };
            match stored {
                Some(stored) if stored == declared.as_base64() => {}
                Some(_) => return Ok(Judged::Refused(Complaints::one(Field::Checksum, "must be the checksum of the bytes that landed"))),
                None => return Ok(Judged::Changed),
            }
        }
        match self.judge_bytes(file, key, copy, start).await {
            Ok(Judged::Good(again)) if again == *evidence => Ok(Judged::Good(again)),
            Ok(_) | Err(BrokerError::UnknownType(_)) => Ok(Judged::Changed),
            Err(error) => Err(error),
        }
    }

    /// As many first bytes as the file's rule wants to see; `None` when the object is not the one with that entity tag any more.
    async fn first_bytes(&self, file: &File, key: &str, etag: &str, size: u64) -> Result<Option<Vec<u8>>, BrokerError> {
        let wanted = bytes_wanted(&file.grant.content_type, self.sniff(file));
        if wanted == 0 || size == 0 {
            return Ok(Some(Vec::new()));
        }
        Ok(self.bucket.read_start(key, etag, wanted).await?)
    }

    /// A file whose rule is not at hand is held to the strictest.
    pub(super) fn sniff(&self, file: &File) -> Sniff {
        self.file_types.load().get(&file.type_name).map_or(Sniff::Reject, |rule| rule.sniff)
    }

    /// What is known of the object when all was read that its image's size needs: of most images nothing beyond their first bytes.
    /// `None` when it is not the one with that entity tag any more.
    async fn follow(&self, key: &str, object: &Landed, start: Vec<u8>) -> Result<Option<Pieces>, BrokerError> {
        let mut upload = Pieces::new(start, object.size);
        while let Some(range) = upload.wanted() {
            match self.bucket.read_range(key, &object.etag, range.clone()).await? {
                Some(bytes) => upload.add(range.start, bytes),
                None => return Ok(None),
            }
        }
        Ok(Some(upload))
    }

    /// # Errors
    /// [`BrokerError::UnknownType`] when the file's rule is not at hand and might take what no rule must take. It may come back, or
    /// another broker may have it: that refuses nothing.
    pub(super) async fn judge_bytes(&self, file: &File, key: &str, object: &Landed, start: Option<Vec<u8>>) -> Result<Judged, BrokerError> {
        let Some(start) = start else { return Ok(Judged::Changed) };
        let Some(upload) = self.follow(key, object, start).await? else { return Ok(Judged::Changed) };
        self.weighed(file, &upload)
    }

    /// What is decided from the bytes that are known.
    ///
    /// # Errors
    /// As for [`Broker::judge_bytes`].
    pub(super) fn weighed(&self, file: &File, upload: &Pieces) -> Result<Judged, BrokerError> {
        let file_types = self.file_types.load();
        let rule = file_types.get(&file.type_name).ok();
        let spelled = |detected: &MediaType| rule.and_then(|rule| rule.spelled(detected));
        let max_pixels = rule.map_or(PIXELS_WITHOUT_RULE, |rule| rule.max_pixels);
        let weighing = Weighing { sniff: rule.map_or(Sniff::Reject, |rule| rule.sniff), max_pixels, spelled: &spelled };
        match weigh(&file.grant.content_type, upload, &weighing) {
            Ok(evidence) => Ok(Judged::Good(evidence)),
            Err(complaints) if rule.is_some() => Ok(Judged::Refused(complaints)),
            Err(_) => Err(BrokerError::UnknownType(file.type_name.clone())),
        }
    }
}
