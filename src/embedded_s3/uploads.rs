//! Uploads in parts, where `s3s-fs` alone would lose or confuse them.
//!
//! - An upload that is not there is said to be not there, and a list of parts is in order.
//! - **Nothing is lost by a completion that cannot end well.** `s3s-fs` drops the upload before it finds a part missing; `parts` puts
//!   them together.
//! - A copy into a part holds to its condition, which `s3s-fs` ignores.
//! - Open uploads can be listed, and what a crash left of ended ones is removed at the next start.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::{Extensions, HeaderMap, Method, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{Stream, StreamExt as _, stream};
use s3s::dto::{
    CompleteMultipartUploadInput, CompletedPart, ETagCondition, HeadObjectInput, ListMultipartUploadsInput, ListMultipartUploadsOutput,
    MultipartUpload, Part, StreamingBlob, UploadPartCopyInput,
};
use s3s::{S3, S3Request, S3Result, s3_error};
use tokio::time::timeout;

use super::key_locks::Guarded;

/// Fewest bytes of every part but the last.
const MIN_PART_BYTES: u64 = 5 << 20;

/// Most parts of an upload.
const MAX_PARTS: i32 = 10_000;

/// How long the next bytes of an upload may take to arrive.
pub(super) const BODY_PAUSE: Duration = Duration::from_secs(30);

impl Guarded {
    /// Whether there is such an upload; its file is named by the pinned version of `s3s-fs`.
    pub(super) async fn known_upload(&self, upload_id: &str) -> S3Result<()> {
        let plain = !upload_id.is_empty() && upload_id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        let known = plain && tokio::fs::try_exists(self.root.join(format!(".upload-{upload_id}.json"))).await.unwrap_or_default();
        if known { Ok(()) } else { Err(s3_error!(NoSuchUpload, "There is no such upload.")) }
    }

    pub(super) fn part_path(&self, upload_id: &str, number: i32) -> PathBuf {
        self.root.join(format!(".upload_id-{upload_id}.part-{number}"))
    }

    /// Whether a part of that number may come.
    pub(super) async fn known_part(&self, upload_id: &str, number: i32) -> S3Result<()> {
        if !(1..=MAX_PARTS).contains(&number) {
            return Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive"));
        }
        self.known_upload(upload_id).await
    }

    /// Removes a part that came when its upload was completed or aborted already: it is nobody's.
    pub(super) async fn still_known(&self, upload_id: &str, number: i32) -> S3Result<()> {
        let known = self.known_upload(upload_id).await;
        if known.is_err() {
            let _ = tokio::fs::remove_file(self.part_path(upload_id, number)).await;
        }
        known
    }

    /// How many parts a completion names. Refuses one that names a part which is not there or too small.
    pub(super) async fn judge_completion(&self, input: &CompleteMultipartUploadInput) -> S3Result<i32> {
        let parts: &[CompletedPart] = input.multipart_upload.as_ref().and_then(|upload| upload.parts.as_deref()).unwrap_or_default();
        if parts.is_empty() {
            return Err(s3_error!(MalformedXML, "There must be at least one part."));
        }
        for (expected, part) in (1..).zip(parts) {
            if part.part_number != Some(expected) {
                return Err(s3_error!(InvalidPartOrder, "Parts must be numbered from 1, without a gap."));
            }
            let found = tokio::fs::metadata(self.part_path(&input.upload_id, expected)).await;
            let Ok(found) = found else { return Err(s3_error!(InvalidPart, "A part was not uploaded.")) };
            let is_last = usize::try_from(expected).is_ok_and(|number| number == parts.len());
            if !is_last && found.len() < MIN_PART_BYTES {
                return Err(s3_error!(EntityTooSmall, "Every part but the last must have 5 MiB or more."));
            }
        }
        i32::try_from(parts.len()).map_err(|error| s3_error!(error, MalformedXML))
    }

    /// Refuses a copy into a part whose source is not what the request says; call it with the source's lock held.
    pub(super) async fn judge_source(&self, input: &UploadPartCopyInput, bucket: &str, key: &str) -> S3Result<()> {
        let head = HeadObjectInput { bucket: bucket.to_owned(), key: key.to_owned(), ..HeadObjectInput::default() };
        let source = self.files.head_object(asking(head)).await?.output;
        let same = match (&input.copy_source_if_match, &source.e_tag) {
            (None | Some(ETagCondition::Any), _) => true,
            (Some(ETagCondition::ETag(wanted)), Some(found)) => wanted.strong_cmp(found),
            (Some(ETagCondition::ETag(_)), None) => false,
        };
        if same { Ok(()) } else { Err(s3_error!(PreconditionFailed)) }
    }

    /// Every open upload, by key.
    pub(super) async fn open_uploads(&self, input: &ListMultipartUploadsInput) -> S3Result<ListMultipartUploadsOutput> {
        let prefix = input.prefix.clone().unwrap_or_default();
        let mut uploads = Vec::new();
        for name in names(&self.root).await {
            let Some((bucket, key, upload_id)) = described_upload(&name) else { continue };
            if bucket == input.bucket && key.starts_with(&prefix) && self.known_upload(&upload_id).await.is_ok() {
                uploads.push(MultipartUpload { key: Some(key), upload_id: Some(upload_id), ..MultipartUpload::default() });
            }
        }
        uploads.sort_by(|one, other| (&one.key, &one.upload_id).cmp(&(&other.key, &other.upload_id)));
        Ok(ListMultipartUploadsOutput {
            bucket: Some(input.bucket.clone()),
            prefix: input.prefix.clone(),
            is_truncated: Some(false),
            uploads: Some(uploads),
            ..ListMultipartUploadsOutput::default()
        })
    }
}

/// Work that goes on when whoever asked for it hangs up: cut off in the middle it would leave an object half replaced, or an
/// upload without its parts.
pub(super) async fn to_its_end<T: Send + 'static>(work: impl Future<Output = S3Result<T>> + Send + 'static) -> S3Result<T> {
    tokio::spawn(work).await.unwrap_or_else(|ended| Err(s3_error!(ended, InternalError)))
}

/// A request of the store's own.
pub(super) fn asking<T>(input: T) -> S3Request<T> {
    S3Request {
        input,
        method: Method::HEAD,
        uri: Uri::default(),
        headers: HeaderMap::new(),
        extensions: Extensions::new(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    }
}

/// A body whose next bytes must come in time.
pub(super) fn patient(body: StreamingBlob) -> std::pin::Pin<Box<impl Stream<Item = std::io::Result<axum::body::Bytes>>>> {
    Box::pin(stream::unfold(Some(body), |body| async move {
        let mut body = body?;
        match timeout(BODY_PAUSE, body.next()).await {
            Ok(None) => None,
            Ok(Some(Ok(piece))) => Some((Ok(piece), Some(body))),
            Ok(Some(Err(error))) => Some((Err(std::io::Error::other(error)), None)),
            Err(_) => Some((Err(std::io::ErrorKind::TimedOut.into()), None)),
        }
    }))
}

/// The parts in order; their entity tags are not kept.
pub(super) fn in_order(mut parts: Vec<Part>) -> Vec<Part> {
    parts.sort_by_key(|part| part.part_number);
    parts
}

/// Removes parts and descriptions of uploads that have ended: a crash came between the two.
pub(super) fn remove_leftovers(root: &Path) -> std::io::Result<()> {
    let names: Vec<String> = std::fs::read_dir(root)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    let open: HashSet<&str> = names.iter().filter_map(|name| name.strip_prefix(".upload-")?.strip_suffix(".json")).collect();
    for name in &names {
        let part_of = name.strip_prefix(".upload_id-").and_then(|rest| rest.split_once(".part-")).map(|(id, _)| id.to_owned());
        let ended = part_of.or_else(|| described_upload(name).map(|(_, _, id)| id)).is_some_and(|id| !open.contains(id.as_str()));
        if ended {
            std::fs::remove_file(root.join(name))?;
        }
    }
    Ok(())
}

/// Bucket, key and upload that a file of that name describes.
fn described_upload(name: &str) -> Option<(String, String, String)> {
    let (bucket, rest) = name.strip_prefix(".bucket-")?.split_once(".object-")?;
    let (key, rest) = rest.split_once(".upload-")?;
    let decoded = |text: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok();
    Some((decoded(bucket)?, decoded(key)?, rest.strip_suffix(".metadata.json")?.to_owned()))
}

async fn names(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let Ok(mut entries) = tokio::fs::read_dir(root).await else { return found };
    while let Ok(Some(entry)) = entries.next_entry().await {
        found.extend(entry.file_name().into_string());
    }
    found
}
