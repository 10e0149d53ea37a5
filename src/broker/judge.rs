//! Looking at an upload: before it is copied, to choose what it becomes; and after, where no form can change it.
//!
//! An entity tag is an MD5 on most stores. Two contents can be made that share one, and a form can switch between them. What is
//! true of the staging object is therefore a promise only; what is true of the sealed copy counts.

use super::{Broker, BrokerError};
use crate::domain::evidence::{Weighing, bytes_wanted, weigh};
use crate::domain::file::Landed;
use crate::domain::{Evidence, FieldErrors, File, MediaType, Sniff};

/// What looking came to.
pub(super) enum Judged {
    /// It is as granted.
    Good(Evidence),
    /// It is not, by field.
    Refused(FieldErrors),
    /// It was replaced while it was looked at.
    Changed,
}

impl Broker {
    /// Size, type and checksum as the store tells them, then the first bytes.
    pub(super) async fn judge_upload(&self, file: &File, landed: &Landed) -> Result<Judged, BrokerError> {
        match file.judge(landed) {
            Ok(()) => self.judge_bytes(file, &file.staging_key, &landed.etag, landed.size).await,
            Err(complaints) => Ok(Judged::Refused(complaints)),
        }
    }

    /// Whether the sealed copy is what was judged: the same first bytes, and the declared checksum.
    pub(super) async fn judge_sealed(&self, file: &File, key: &str, copy: &Landed, evidence: &Evidence) -> Result<Judged, BrokerError> {
        if let Some(declared) = &file.checksum_sha256 {
            // A store that keeps no checksum may not have compared it either: the bytes themselves must tell.
            let stored = match &copy.checksum_sha256 {
                Some(stored) => Some(stored.clone()),
                None => self.bucket.checksum_sha256(key, &copy.etag).await?,
            };
            match stored {
                Some(stored) if stored == declared.as_base64() => {}
                Some(_) => return Ok(Judged::Refused(FieldErrors::one("checksumSHA256", "must be the checksum of the bytes that landed"))),
                None => return Ok(Judged::Changed),
            }
        }
        Ok(match self.judge_bytes(file, key, &copy.etag, copy.size).await? {
            Judged::Good(again) if again == *evidence => Judged::Good(again),
            _ => Judged::Changed,
        })
    }

    async fn judge_bytes(&self, file: &File, key: &str, etag: &str, size: u64) -> Result<Judged, BrokerError> {
        // A file type that was taken out of the rules since is held to the strictest.
        let rule = self.file_types.get(&file.type_name).ok();
        let sniff = rule.map_or(Sniff::Reject, |rule| rule.sniff);
        let wanted = bytes_wanted(&file.granted_type, sniff);
        let start = if wanted == 0 || size == 0 {
            Vec::new()
        } else {
            match self.bucket.read_start(key, etag, wanted).await? {
                Some(start) => start,
                None => return Ok(Judged::Changed),
            }
        };
        let allows = |detected: &MediaType| rule.is_some_and(|rule| rule.allows(detected));
        let weighing = Weighing { sniff, max_pixels: rule.map_or(0, |rule| rule.max_pixels), allows: &allows, size };
        Ok(weigh(&file.granted_type, &start, &weighing).map_or_else(Judged::Refused, Judged::Good))
    }
}
