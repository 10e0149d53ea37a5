//! What a store let through is judged by what it can come to:
//!
//! - signature, policy and expiry guard against people without a slip: a store that does not check them is open to everybody;
//! - keys guard what others uploaded;
//! - type, size and bytes are judged again by the broker, which is asked here;
//! - fields that nobody granted must not matter: what landed is looked at.

use super::confirmation::{Bench, CONTENT};
use super::forms::{Answer, anonymous_status};
use super::{Probe, Report, Status};
use crate::broker::BrokerError;
use crate::bucket::probe::StoredHeaders;
use crate::domain::{File, SealedKey, StagingKey};
use crate::field_names;

/// What a tampering is directed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Against {
    /// Whoever has no slip, or none any more.
    Slip,
    /// Other keys than the granted one.
    Keys,
    /// What was granted under the key.
    Grant,
    /// Fields that were not granted at all.
    Fields,
}

/// A tampered upload that was answered.
pub(super) struct Tried<'a> {
    pub(super) probe: &'a Probe,
    pub(super) check: String,
    pub(super) against: Against,
    /// Whether it asked for the upload to be readable by everybody.
    pub(super) is_acl: bool,
    /// Whether the granted bytes have a checksum.
    pub(super) with_checksum: bool,
    /// The granted key.
    pub(super) key: StagingKey,
    /// The keys it tried to write instead.
    pub(super) others: Vec<String>,
    pub(super) answer: Answer,
}

impl Tried<'_> {
    pub(super) async fn judge(self, bench: Option<&Bench>, report: &mut Report) {
        let Self { probe, check, key, others, answer, .. } = &self;
        let mut elsewhere = false;
        for other in others {
            elsewhere |= matches!(probe.bucket.head(other).await, Ok(Some(_)));
        }
        let landed = match probe.bucket.head(key.as_str()).await {
            Ok(landed) => landed.is_some(),
            // Who may not look must go by the answer.
            Err(_) => answer.is_accepted() && others.is_empty(),
        };
        let words = answer.words();
        match (answer.is_accepted(), landed || elsewhere) {
            (false, false) => return report.ok(check, format!("refused: {words}")),
            (true, false) => return report.info(check, format!("answered {words}, but nothing was written")),
            (false, true) => {
                let advice = "the store says no and keeps the bytes all the same: do not rely on its refusals";
                return report.advise(check, Status::Error, format!("answered {words}, but an object is there"), advice);
            }
            (true, true) => {}
        }
        let is_public = self.is_acl && self.is_public().await;
        let Some(bench) = bench else {
            return report.advise(
                check,
                Status::Warning,
                format!("let through ({words}), and nothing can be confirmed"),
                "see the row ‘confirm’",
            );
        };
        let confirmed = bench.confirm(key, self.with_checksum).await;
        let at_patch = match &confirmed {
            Ok(_) => "dropslip takes it, for it is as granted".to_owned(),
            Err(BrokerError::Refused(why)) => format!("dropslip refuses it at PATCH: {}", field_names::spelled(why)),
            Err(BrokerError::NotUploaded) => "dropslip finds nothing under the granted key".to_owned(),
            Err(error) => format!("it cannot be confirmed: {error}"),
        };
        let (status, advice) = match (self.against, &confirmed) {
            (Against::Slip, _) => (Status::Error, "this store does not check it, so everybody can write any key: use it for tests only"),
            _ if elsewhere => (Status::Error, "one slip can overwrite what others wrote: use this store for tests only"),
            _ if is_public => (Status::Error, "everybody can read it: turn on Block Public Access, or ‘bucket owner enforced’"),
            (_, Ok(file)) => return self.harmless(file, report).await,
            (_, Err(BrokerError::Refused(_))) => (Status::Warning, "nothing for dropslip; let nobody else read temp/ and believe it"),
            (_, Err(_)) => (Status::Warning, "see the row ‘confirm’"),
        };
        report.advise(check, status, format!("let through ({words}); {at_patch}"), advice);
    }

    /// Whether the upload can be read by everybody, where others cannot.
    async fn is_public(&self) -> bool {
        let readable = async |key: &str| anonymous_status(self.probe, key).await.is_ok_and(|status| status < 300);
        let control = self.probe.key("acl-control");
        self.probe.bucket.put(control.as_str(), CONTENT).await.is_ok()
            && readable(self.key.as_str()).await
            && !readable(control.as_str()).await
    }

    /// The broker found what was granted and sealed it: then nothing else may have come along.
    async fn harmless(&self, file: &File, report: &mut Report) {
        let Self { probe, check, answer, .. } = self;
        let words = answer.words();
        match probe.bucket.stored_headers(file.sealed_key().map_or("", SealedKey::as_str)).await {
            Ok(Some(headers)) if headers == StoredHeaders::default() => {
                report.info(check, format!("let through ({words}), to no effect: the sealed file is what was granted"));
            }
            Ok(_) => {
                let advice = "the store copies headers that it was told to replace: serve files with headers of your own";
                report.advise(check, Status::Warning, format!("let through ({words}), and the sealed file has it too"), advice);
            }
            Err(error) => {
                let found = format!("let through ({words}), and the sealed file cannot be seen: {error}");
                report.advise(check, Status::Warning, found, "see the row ‘confirm’");
            }
        }
    }
}
