//! The right presigned PUT: it is taken once, and not again. Parts come by such PUTs on every store.

use time::OffsetDateTime;

use super::clock::now;
use super::confirmation::{CONTENT, CONTENT_TYPE, LIFETIME};
use super::forms::Answer;
use super::{Installation, Probe, Report, Status};
use crate::bucket::{Bucket, PutTerms};
use crate::domain::web::innermost;
use crate::domain::{StagingKey, UploadMethod};

/// A presigned PUT that is about to be sent.
pub(super) struct Put {
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) bytes: Vec<u8>,
}

impl Put {
    /// A PUT of [`CONTENT`] to `key`, as a slip has one.
    pub(super) async fn signed(way: &Bucket, key: &StagingKey, at: OffsetDateTime) -> Result<Self, String> {
        let size = CONTENT.len() as u64;
        let terms = PutTerms { key: key.as_str(), content_type: CONTENT_TYPE, size, checksum_sha256: None, lifetime: LIFETIME };
        let put = way.presign_put(&terms, at).await.map_err(|error| error.to_string())?;
        let headers = put.headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Self { url: put.url, headers, bytes: CONTENT.to_vec() })
    }

    pub(super) async fn send(self, http: &reqwest::Client) -> Result<Answer, String> {
        let request = self.headers.iter().fold(http.put(&self.url), |request, (name, value)| request.header(name, value));
        // The URL is the credential, and stands in errors of the HTTP client.
        let answer = request.body(self.bytes).send().await.map_err(|error| innermost(&error.without_url()))?;
        Ok(Answer::of(answer).await)
    }
}

pub(super) async fn sent(probe: &Probe, way: &Bucket, key: &StagingKey) -> Result<Answer, String> {
    Put::signed(way, key, now()).await?.send(&probe.http).await
}

/// Whether PUTs are taken, so that it is worth to send tampered ones.
pub(super) async fn look(installation: &Installation, probe: &Probe, way: &Bucket, report: &mut Report) -> bool {
    const CHECK: &str = "put";
    let key = probe.key("put");
    let needed = installation.method == Some(UploadMethod::Put);
    let first = match sent(probe, way, &key).await {
        Ok(answer) if answer.is_accepted() => answer,
        refused => {
            let why = refused.map_or_else(|why| why, |answer| answer.words());
            let found = format!("a presigned PUT is refused: {why}");
            if needed {
                report.advise(
                    CHECK,
                    Status::Error,
                    found,
                    "allow s3:PutObject on temp/*; a store without If-None-Match cannot take signed PUTs",
                );
            } else {
                report.info(CHECK, format!("{found}; dropslip does not send any, DROPSLIP_S3_METHOD is not put"));
            }
            return false;
        }
    };
    let landed = probe.bucket.head(key.as_str()).await.ok().flatten();
    let arrived = landed.is_some_and(|landed| landed.size == CONTENT.len() as u64 && landed.content_type.as_deref() == Some(CONTENT_TYPE));
    match sent(probe, way, &key).await {
        _ if !arrived => {
            let status = if needed { Status::Error } else { Status::Warning };
            report.advise(
                CHECK,
                status,
                format!("answered {}, but other bytes arrive, or none", first.words()),
                "look into the store's log",
            );
        }
        Ok(again) if again.is_accepted() => {
            report.info(
                CHECK,
                "a presigned PUT is taken again and again: the store ignores If-None-Match. Confirmed files are safe all the same",
            );
        }
        Ok(again) => report.ok(CHECK, format!("a presigned PUT is taken ({}), and not a second time ({})", first.words(), again.words())),
        Err(why) => report.advise(CHECK, Status::Warning, format!("no answer: {why}"), "run the check again"),
    }
    true
}
