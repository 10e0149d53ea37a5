//! The right form: it is taken, what it wrote arrives in the bucket, nobody else reads it, and it becomes a file.

use reqwest::multipart::{Form as Body, Part};
use time::OffsetDateTime;

use super::clock::now;
use super::confirmation::{Bench, CHECKSUM, CONTENT, CONTENT_TYPE, LIFETIME};
use super::{Installation, Probe, Report, Status, puts};
use crate::bucket::{Bucket, BucketOptions};
use crate::domain::web::innermost;
use crate::domain::{StagingKey, UploadMethod};
use crate::post_policy::UploadTerms;

/// How much of an answer is read.
const MOST_BYTES: usize = 64 * 1024;

/// A form that is about to be sent.
pub(super) struct Form {
    pub(super) url: String,
    pub(super) key: StagingKey,
    pub(super) fields: Vec<(String, String)>,
    pub(super) file: Vec<u8>,
}

/// What the store said to it.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    code: String,
}

impl Answer {
    pub(super) async fn of(answer: reqwest::Response) -> Self {
        Self { status: answer.status().as_u16(), code: code(answer).await }
    }

    /// Whether a client would take it for success.
    pub(super) fn is_accepted(&self) -> bool {
        self.status < 400
    }

    pub(super) fn has_no_such_method(&self) -> bool {
        matches!(self.status, 405 | 501)
    }

    /// For a person.
    pub(super) fn words(&self) -> String {
        format!("{} {}", self.status, self.code).trim_end().to_owned()
    }
}

impl Form {
    /// A form for [`CONTENT`] under `key`, as a slip has one.
    pub(super) async fn signed(way: &Bucket, key: StagingKey, checksum: bool, at: OffsetDateTime) -> Result<Self, String> {
        let size = CONTENT.len() as u64;
        let terms = UploadTerms {
            bucket: way.name(),
            key: key.as_str(),
            content_type: CONTENT_TYPE,
            min_size: size,
            max_size: size,
            checksum_sha256: checksum.then_some(CHECKSUM),
            lifetime: LIFETIME,
        };
        let post = way.presign(&terms, at).await.map_err(|error| error.to_string())?;
        let fields = post.fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Self { url: post.url, key, fields, file: CONTENT.to_vec() })
    }

    /// Sends every field, then the file.
    pub(super) async fn send(self, http: &reqwest::Client) -> Result<Answer, String> {
        let mut body = Body::new();
        for (name, value) in self.fields {
            body = body.text(name, value);
        }
        let part = Part::bytes(self.file).file_name("check.txt").mime_str(CONTENT_TYPE).map_err(|error| innermost(&error))?;
        let sent = http.post(&self.url).multipart(body.part("file", part)).send().await.map_err(|error| innermost(&error))?;
        Ok(Answer::of(sent).await)
    }
}

/// The `Code` of an error in S3's XML; blank where there is none.
async fn code(mut answer: reqwest::Response) -> String {
    let mut text = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        text.extend_from_slice(&chunk);
        if text.len() >= MOST_BYTES {
            break;
        }
    }
    let text = String::from_utf8_lossy(&text);
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code.to_owned());
    code.filter(|code| code.len() <= 64).unwrap_or_default()
}

/// Whether forms are taken, so that it is worth to send tampered ones.
pub(super) async fn look(installation: &Installation, probe: &Probe, way: &Bucket, bench: Option<&Bench>, report: &mut Report) -> bool {
    let key = probe.key("form");
    let answer = match sent(probe, way, &key, false).await {
        Ok(answer) => answer,
        Err(why) => {
            report.advise("form", Status::Error, format!("no form can be sent: {why}"), "look into the store's log");
            return false;
        }
    };
    if answer.has_no_such_method() {
        let found = format!("this store has no POST: it answers {}", answer.words());
        match installation.method {
            Some(UploadMethod::Post) => report.advise("form", Status::Error, found, "set DROPSLIP_S3_METHOD=put"),
            Some(UploadMethod::Put) | None => report.info("form", format!("{found}; dropslip signs PUTs instead")),
        }
        return false;
    }
    if !answer.is_accepted() {
        let advice = "allow s3:PutObject on temp/*; if that is so, a proxy before the store may change what passes it";
        report.advise("form", Status::Error, format!("a form as in every slip is refused: {}", answer.words()), advice);
        return false;
    }
    match probe.bucket.head(key.as_str()).await {
        Ok(Some(landed)) if landed.size == CONTENT.len() as u64 && landed.content_type.as_deref() == Some(CONTENT_TYPE) => {
            report.ok("form", format!("a form as in every slip is taken ({}), and its bytes and type arrive", answer.words()));
        }
        Ok(Some(landed)) => {
            let found = format!("{} bytes of type {} arrived", landed.size, landed.content_type.unwrap_or_default());
            let advice = "the store, or a proxy before it, changes uploads: dropslip would refuse each";
            report.advise("form", Status::Error, found, advice);
        }
        Ok(None) => {
            let advice = "the store takes forms and keeps nothing of them: look into its log";
            report.advise("form", Status::Error, format!("it was answered {}, but nothing arrived", answer.words()), advice);
            return false;
        }
        Err(error) => {
            let advice = "allow s3:GetObject on temp/* and s3:ListBucket on the bucket";
            report.advise("form", Status::Error, format!("taken ({}), but cannot be looked at: {error}", answer.words()), advice);
        }
    }
    with_checksum(probe, way, report).await;
    private(probe, key.as_str(), report).await;
    if let Some(bench) = bench {
        confirmed(bench, &key, report).await;
    }
    true
}

async fn sent(probe: &Probe, way: &Bucket, key: &StagingKey, checksum: bool) -> Result<Answer, String> {
    Form::signed(way, key.clone(), checksum, now()).await?.send(&probe.http).await
}

/// Whether uploads reach the bucket where slips send them; where they do not, the other checks take the broker's own way to it.
pub(super) async fn way<'a>(probe: &'a Probe, report: &mut Report) -> &'a Bucket {
    const CHECK: &str = "public-endpoint";
    const ADVICE: &str = "correct DROPSLIP_S3_PUBLIC_ENDPOINT, or the proxy behind it";
    let url = probe.bucket.form_url();
    if url == probe.bucket.own_url() {
        report.ok(CHECK, format!("uploads go where the broker goes: {url}"));
        return &probe.bucket;
    }
    let key = probe.key("public-endpoint");
    let answer = match sent(probe, &probe.bucket, &key, false).await {
        Ok(answer) if answer.has_no_such_method() => puts::sent(probe, &probe.bucket, &key).await,
        answer => answer,
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => {
            let advice = format!("{ADVICE}; if only this machine does not get there, run the check where clients are");
            report.advise(CHECK, Status::Error, format!("{url} does not answer: {why}"), advice);
            return &probe.inner;
        }
    };
    match (answer.is_accepted(), probe.bucket.head(key.as_str()).await) {
        (true, Ok(Some(_))) => {
            report.ok(CHECK, format!("what is sent to {url} arrives in the bucket"));
            return &probe.bucket;
        }
        (true, Ok(None)) => {
            let found = format!("{url} takes uploads, but none arrives in the bucket: it is another store or bucket");
            report.advise(CHECK, Status::Error, found, ADVICE);
            forget_elsewhere(&probe.options, key.as_str()).await;
        }
        (true, Err(error)) => {
            let advice = "allow s3:GetObject on temp/* and s3:ListBucket on the bucket";
            report.advise(CHECK, Status::Error, format!("{url} takes uploads, but nobody can look for them: {error}"), advice);
            return &probe.bucket;
        }
        (false, _) => report.advise(CHECK, Status::Error, format!("{url} refuses an upload: {}", answer.words()), ADVICE),
    }
    &probe.inner
}

/// Deletes what was written to a store that is not ours, as far as it lets us.
async fn forget_elsewhere(options: &BucketOptions, key: &str) {
    let options = BucketOptions { endpoint: options.public_endpoint.clone(), ..options.clone() };
    if let Ok(elsewhere) = Bucket::unasked(options).await {
        let _ = elsewhere.delete(key).await;
    }
}

async fn with_checksum(probe: &Probe, way: &Bucket, report: &mut Report) {
    const CHECK: &str = "form-with-checksum";
    let key = probe.key("form-with-checksum");
    match sent(probe, way, &key, true).await {
        Ok(answer) if answer.is_accepted() => {
            let kept = probe.bucket.head(key.as_str()).await.ok().flatten().and_then(|landed| landed.checksum_sha256);
            match kept.as_deref() {
                Some(CHECKSUM) => report.ok(CHECK, "a form that names a SHA-256 is taken, and the store keeps it"),
                _ => report
                    .info(CHECK, "a form that names a SHA-256 is taken, but the store keeps none: dropslip reads such files to compute it"),
            }
        }
        Ok(answer) => {
            let found = format!("a form that names a SHA-256 is refused: {}", answer.words());
            report.advise(CHECK, Status::Warning, found, "clients of this store must not send checksumSHA256");
        }
        Err(why) => report.advise(CHECK, Status::Warning, format!("no answer: {why}"), "run the check again"),
    }
}

async fn private(probe: &Probe, key: &str, report: &mut Report) {
    const CHECK: &str = "private";
    match anonymous_status(probe, key).await {
        Ok(status) if status < 300 => {
            let advice = "turn on Block Public Access, take away public policies and ACLs; stores without accounts are for tests only";
            report.advise(CHECK, Status::Error, format!("an upload can be read without credentials ({status})"), advice);
        }
        Ok(status) => report.ok(CHECK, format!("nobody reads an upload without credentials ({status})")),
        Err(why) => report.advise(CHECK, Status::Warning, format!("no answer: {why}"), "run the check again"),
    }
}

/// What somebody without credentials is answered who knows a key.
pub(super) async fn anonymous_status(probe: &Probe, key: &str) -> Result<u16, String> {
    let answer = probe.http.get(format!("{}{key}", probe.bucket.own_url())).send().await.map_err(|error| innermost(&error))?;
    Ok(answer.status().as_u16())
}

async fn confirmed(bench: &Bench, key: &StagingKey, report: &mut Report) {
    const CHECK: &str = "confirm";
    match bench.confirm(key, false).await {
        Ok(_) => report.ok(CHECK, "the upload becomes a file: looked at, copied, sealed"),
        Err(error) => {
            let advice = "allow s3:GetObject, s3:PutObject and s3:DeleteObject on temp/* and files/*";
            report.advise(CHECK, Status::Error, format!("the upload cannot become a file: {error}"), advice);
        }
    }
}
