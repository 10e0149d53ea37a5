//! The copy that seals, deletion, and uploads in parts.

use super::clock::now;
use super::confirmation::{CONTENT, CONTENT_TYPE, LIFETIME};
use super::puts::Put;
use super::{Probe, Report, Status};
use crate::bucket::{Bucket, BucketError, Completed, Copied, PartTerms, SealedAs};
use crate::domain::StagingKey;
use crate::domain::file::Landed;

pub(super) async fn look(probe: &Probe, way: &Bucket, report: &mut Report) {
    let key = probe.key("copied");
    match probe.bucket.put(key.as_str(), CONTENT).await {
        Ok(()) => match copy_if_match(probe, &key, report).await {
            Ok(()) => {}
            Err(error) => {
                let advice = "allow s3:GetObject on temp/* and s3:PutObject on files/*: without copies no upload becomes a file";
                report.advise("copy-if-match", Status::Error, error.to_string(), advice);
            }
        },
        Err(refusal) => {
            let advice = "allow s3:PutObject on temp/*";
            report.advise("copy-if-match", Status::Error, format!("there is nothing to copy: {refusal}"), advice);
        }
    }
    delete(probe, key.as_str(), report).await;
    multipart(probe, way, report).await;
}

/// The condition is what keeps a form from switching contents under a confirmation's eyes.
async fn copy_if_match(probe: &Probe, from: &StagingKey, report: &mut Report) -> Result<(), BucketError> {
    const CHECK: &str = "copy-if-match";
    let bucket = &probe.bucket;
    let nothing = || BucketError::Unavailable("what was written is not there".to_owned());
    let landed = bucket.head(from.as_str()).await?.ok_or_else(nothing)?;
    let to = probe.sealed_key("copied");
    let to = SealedAs { key: &to, content_type: CONTENT_TYPE, content_disposition: "attachment" };
    let other = Landed { etag: "00000000000000000000000000000000".to_owned(), ..landed.clone() };
    if matches!(bucket.copy_if_unchanged(from, &other, &to).await?, Copied::Done(_)) {
        // Ceph's gateway does so. What is sealed is judged again as what it is: see `judge_sealed`.
        let found = "the store ignores x-amz-copy-source-if-match: what an upload is exchanged for while it is confirmed is copied. It is judged again then: confirmed files are safe all the same";
        report.info(CHECK, found);
        return Ok(());
    }
    let copied = bucket.copy_if_unchanged(from, &landed, &to).await?;
    let arrived = bucket.head(to.key.as_str()).await?;
    if matches!(copied, Copied::Done(_)) && arrived.is_some_and(|copy| copy.size == landed.size) {
        report.ok(CHECK, "a copy is made of the object that was looked at, and of no other");
    } else {
        let advice = "the store does not find what it just told of: look into its log";
        report.advise(CHECK, Status::Error, "a copy on the condition of the right entity tag is not made", advice);
    }
    Ok(())
}

async fn delete(probe: &Probe, key: &str, report: &mut Report) {
    const CHECK: &str = "delete";
    const ADVICE: &str = "allow s3:DeleteObject on temp/* and files/*: without it refused and forgotten uploads stay";
    match probe.bucket.delete(key).await {
        Ok(()) => match probe.bucket.head(key).await {
            Ok(None) => report.ok(CHECK, "what is deleted is gone"),
            Ok(Some(_)) => {
                report.advise(CHECK, Status::Error, "what was deleted is still there", "look for a hold or a retention on the bucket");
            }
            Err(error) => {
                report.advise(
                    CHECK,
                    Status::Warning,
                    format!("deleted, but nobody can look: {error}"),
                    "allow s3:ListBucket on the bucket",
                );
            }
        },
        Err(error) => report.advise(CHECK, Status::Error, error.to_string(), ADVICE),
    }
}

async fn multipart(probe: &Probe, way: &Bucket, report: &mut Report) {
    const CHECK: &str = "multipart";
    match in_parts(probe, way).await {
        Ok(()) => match aborted(probe).await {
            Ok(()) => report.ok(CHECK, "an upload in parts is begun, signed, listed, completed and aborted"),
            Err(error) => {
                let advice = "allow s3:AbortMultipartUpload on temp/*: parts of uploads that were given up cost money until then";
                report.advise(CHECK, Status::Warning, format!("completed, but cannot be aborted: {error}"), advice);
            }
        },
        Err(why) => {
            let advice = "allow s3:PutObject, s3:ListMultipartUploadParts and s3:AbortMultipartUpload on temp/*; without parts, no file above 5 GiB \
                          and no answer to clients that ask for them";
            report.advise(CHECK, Status::Warning, format!("an upload in parts fails to {why}"), advice);
        }
    }
}

/// One part, which as the last one may be small; sent like a client sends it.
async fn in_parts(probe: &Probe, way: &Bucket) -> Result<(), String> {
    let bucket = &probe.bucket;
    let key = probe.key("multipart");
    let failed = |step: &'static str| move |error: BucketError| format!("{step}: {error}");
    let upload_id = bucket.begin_upload(key.as_str(), CONTENT_TYPE, None).await.map_err(failed("begin"))?;
    let size = CONTENT.len() as u64;
    let terms = PartTerms { key: key.as_str(), upload_id: &upload_id, lifetime: LIFETIME };
    let signed = way.presign_parts(terms, &[(1, Some(size))], now()).await.map_err(failed("sign a part"))?;
    for part in signed {
        let put = Put { url: part.url, headers: Vec::new(), bytes: CONTENT.to_vec() };
        let answer = put.send(&probe.http).await.map_err(|why| format!("upload a part: {why}"))?;
        if !answer.is_accepted() {
            return Err(format!("upload a part: {}", answer.words()));
        }
    }
    let parts = bucket.list_parts(key.as_str(), &upload_id).await.map_err(failed("list its parts"))?.unwrap_or_default();
    if parts.len() != 1 || parts.iter().any(|part| part.size != size) {
        return Err("list the part that was sent".to_owned());
    }
    let completed = bucket.complete_upload(key.as_str(), &upload_id, &parts).await.map_err(failed("complete"))?;
    let landed = bucket.head(key.as_str()).await.map_err(failed("look at the result"))?;
    if completed == Completed::Done && landed.is_some_and(|landed| landed.size == size) {
        Ok(())
    } else {
        Err("become what was sent".to_owned())
    }
}

async fn aborted(probe: &Probe) -> Result<(), BucketError> {
    let key = probe.key("aborted");
    let upload_id = probe.bucket.begin_upload(key.as_str(), CONTENT_TYPE, None).await?;
    probe.bucket.abort_upload(key.as_str(), &upload_id).await
}
