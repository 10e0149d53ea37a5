//! Multipart uploads: those of clients, and the broker's own to seal what is too large for one copy.

use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::operation::complete_multipart_upload::CompleteMultipartUploadError;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{Bucket, BucketError, Copied, SealedAs, copy_timeout, status, timeouts, unquoted};
use crate::domain::file::Landed;
use crate::domain::multipart::{MAX_PARTS, MIN_PART_SIZE, part_count, part_size_for};
use crate::domain::{Part, SealedKey, StagingKey};

/// Bytes copied by one request when an object is copied in parts.
const COPY_PART_SIZE: u64 = 256 << 20;

/// How many parts are copied at the same time.
const COPIES_AT_ONCE: usize = 8;

/// A store that never says that a listing ends is not asked for ever.
const MAX_PAGES: usize = 100;

/// What became of putting an upload together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completed {
    /// The object is there.
    Done,
    /// There is no such upload: it was completed or aborted before.
    Gone,
}

impl Bucket {
    /// Begins an upload in parts and answers the store's name for it.
    ///
    /// # Errors
    /// See [`BucketError`]; an upload may have been begun whose name nobody knows then.
    pub async fn begin_upload(&self, key: &str, content_type: &str, content_disposition: Option<&str>) -> Result<String, BucketError> {
        let request = self.client.create_multipart_upload().bucket(&self.name).key(key).content_type(content_type);
        let request = request.set_content_disposition(content_disposition.map(ToOwned::to_owned));
        let output = request.send().await.map_err(|error| self.explained(&error))?;
        let id = output.upload_id.filter(|id| !id.is_empty());
        id.ok_or_else(|| BucketError::Unavailable("its answer about an upload has no name for it".to_owned()))
    }

    /// The parts that arrived, by number; `None` when there is no such upload.
    ///
    /// # Errors
    /// See [`BucketError`].
    pub async fn list_parts(&self, key: &str, upload_id: &str) -> Result<Option<Vec<Part>>, BucketError> {
        let (mut parts, mut marker) = (Vec::new(), None);
        for _ in 0..MAX_PAGES {
            let request = self.client.list_parts().bucket(&self.name).key(key).upload_id(upload_id).set_part_number_marker(marker);
            let output = match request.send().await {
                Ok(output) => output,
                Err(error) if self.is_absence(&error).await? => return Ok(None),
                Err(error) => return Err(self.explained(&error)),
            };
            parts.extend(output.parts().iter().filter_map(|part| {
                let number = u32::try_from(part.part_number()?).ok()?;
                let size = u64::try_from(part.size()?).ok()?;
                Some(Part { number, size, etag: part.e_tag().unwrap_or_default().to_owned() })
            }));
            marker = output.next_part_number_marker().map(ToOwned::to_owned);
            if output.is_truncated() != Some(true) || marker.is_none() {
                break;
            }
        }
        parts.sort_by_key(|part| part.number);
        Ok(Some(parts))
    }

    /// Puts the parts of an upload together.
    ///
    /// # Errors
    /// See [`BucketError`]; it may or may not have happened then.
    pub async fn complete_upload(&self, key: &str, upload_id: &str, parts: &[Part]) -> Result<Completed, BucketError> {
        let parts = parts.iter().map(|part| {
            let etag = Some(part.etag.clone()).filter(|etag| !etag.is_empty());
            CompletedPart::builder().part_number(i32::try_from(part.number).unwrap_or(i32::MAX)).set_e_tag(etag).build()
        });
        let upload = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        // Stores may read all that they were given before they answer.
        let patience = super::LONGEST_COPY;
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(&self.name)
            .key(key)
            .upload_id(upload_id)
            .multipart_upload(upload)
            .customize()
            .config_override(aws_sdk_s3::config::Builder::new().timeout_config(timeouts(patience, patience)));
        match request.send().await {
            Ok(_) => Ok(Completed::Done),
            Err(error) if is_gone(&error) || self.is_absence(&error).await? => Ok(Completed::Gone),
            Err(error) => Err(self.explained(&error)),
        }
    }

    /// Ends an upload and drops its parts; that there is no such upload is no error.
    ///
    /// # Errors
    /// See [`BucketError`].
    pub async fn abort_upload(&self, key: &str, upload_id: &str) -> Result<(), BucketError> {
        match self.client.abort_multipart_upload().bucket(&self.name).key(key).upload_id(upload_id).send().await {
            Ok(_) => Ok(()),
            Err(error) if self.is_absence(&error).await? => Ok(()),
            Err(error) => Err(self.explained(&error)),
        }
    }

    /// Keys and names of the uploads that are open under `prefix`.
    ///
    /// # Errors
    /// See [`BucketError`].
    pub async fn open_uploads(&self, prefix: &str) -> Result<Vec<(String, String)>, BucketError> {
        let (mut open, mut key_marker, mut id_marker) = (Vec::new(), None, None);
        for _ in 0..MAX_PAGES {
            let request = self.client.list_multipart_uploads().bucket(&self.name).prefix(prefix);
            let request = request.set_key_marker(key_marker).set_upload_id_marker(id_marker);
            let output = request.send().await.map_err(|error| self.explained(&error))?;
            // Not every store knows the prefix.
            let here = output.uploads().iter().filter_map(|upload| Some((upload.key()?.to_owned(), upload.upload_id()?.to_owned())));
            open.extend(here.filter(|(key, _)| key.starts_with(prefix)));
            key_marker = output.next_key_marker().filter(|marker| !marker.is_empty()).map(ToOwned::to_owned);
            id_marker = output.next_upload_id_marker().filter(|marker| !marker.is_empty()).map(ToOwned::to_owned);
            if output.is_truncated() != Some(true) || key_marker.is_none() {
                return Ok(open);
            }
        }
        Err(BucketError::Unavailable("its list of uploads in parts has no end".to_owned()))
    }

    /// Ends every upload that is open on `key`.
    ///
    /// # Errors
    /// See [`BucketError`].
    pub async fn abort_uploads_on(&self, key: &str) -> Result<(), BucketError> {
        for (found, upload_id) in self.open_uploads(key).await? {
            if found == key {
                self.abort_upload(key, &upload_id).await?;
            }
        }
        Ok(())
    }

    /// [`Bucket::copy_if_unchanged`] for objects of any size: several parts at once, each on the same condition.
    pub(super) async fn copy_in_parts(&self, from: &StagingKey, judged: &Landed, to: &SealedAs<'_>) -> Result<Copied, BucketError> {
        let upload_id = self.begin_upload(to.key.as_str(), to.content_type, Some(to.content_disposition)).await?;
        let copied = self.copy_parts(from, judged, to.key, &upload_id).await;
        let done = match &copied {
            Ok(Some(parts)) => self.complete_upload(to.key.as_str(), &upload_id, parts).await.map(|completed| completed == Completed::Done),
            Ok(None) => Ok(false),
            Err(error) => Err(error.clone()),
        };
        if let Ok(true) = done {
            return Ok(Copied::Done(None));
        }
        // The key is on the doomed list: what this does not reach, the sweeper will.
        let _ = self.abort_upload(to.key.as_str(), &upload_id).await;
        done.map(|_| Copied::Changed)
    }

    async fn copy_parts(
        &self,
        from: &StagingKey,
        judged: &Landed,
        to: &SealedKey,
        upload_id: &str,
    ) -> Result<Option<Vec<Part>>, BucketError> {
        let preferred = COPY_PART_SIZE.min(self.copy_in_parts_above).max(MIN_PART_SIZE);
        let size = part_size_for(judged.size, preferred);
        let count = part_count(judged.size, size).min(MAX_PARTS);
        let copies = stream::iter(1..=u32::try_from(count).unwrap_or(u32::MAX)).map(|number| async move {
            let first = u64::from(number - 1) * size;
            let last = (first + size).min(judged.size) - 1;
            let patience = copy_timeout(last - first);
            let request = self
                .client
                .upload_part_copy()
                .bucket(&self.name)
                .key(to.as_str())
                .upload_id(upload_id)
                .part_number(i32::try_from(number).unwrap_or(i32::MAX))
                .copy_source(format!("{}/{from}", self.name))
                .copy_source_if_match(format!("\"{}\"", judged.etag))
                .copy_source_range(format!("bytes={first}-{last}"))
                .customize()
                // Nothing is as long as nothing, but Ceph's gateway answers 411 to a part that does not say so.
                .mutate_request(|request| {
                    request.headers_mut().insert("content-length", "0");
                })
                .config_override(aws_sdk_s3::config::Builder::new().timeout_config(timeouts(patience, patience)));
            match request.send().await {
                Ok(output) => {
                    let etag = output.copy_part_result().and_then(|result| result.e_tag()).unwrap_or_default();
                    Ok(Some(Part { number, size: last - first + 1, etag: unquoted(etag) }))
                }
                Err(error) if status(&error) == Some(412) || self.is_absence(&error).await? => Ok(None),
                Err(error) => Err(self.explained(&error)),
            }
        });
        let parts: Vec<Option<Part>> = copies.buffered(COPIES_AT_ONCE).try_collect().await?;
        // Not every store minds the condition (Ceph's gateway does not), and parts of two uploads are no copy.
        let unchanged = self.head(from.as_str()).await?.is_some_and(|landed| landed.etag == judged.etag);
        Ok(if unchanged { parts.into_iter().collect() } else { None })
    }
}

fn is_gone(error: &SdkError<CompleteMultipartUploadError>) -> bool {
    // Some stores tell it in the body of a 200.
    error.as_service_error().and_then(|error| error.code()) == Some("NoSuchUpload")
}
