//! Writing what comes through the broker, to keys that nobody else may write.
//!
//! How many write at the same time is for the caller to bound: each holds what it writes in memory.

use std::time::Duration;

use aws_sdk_s3::config::Builder;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;

use super::{Bucket, BucketError, Completed, SealedAs, timeouts, unquoted};
use crate::domain::{Part, SealedKey};

/// How long one try of writing some MiB may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long it may take with all its tries.
const WRITING_TIMEOUT: Duration = Duration::from_mins(1);

impl Bucket {
    /// Writes a whole object; answers its entity tag where the store tells it.
    ///
    /// # Errors
    /// See [`BucketError`]; it may or may not have been written then.
    pub async fn put_sealed(&self, sealed_as: &SealedAs<'_>, bytes: Bytes) -> Result<Option<String>, BucketError> {
        let request = self
            .transferring
            .put_object()
            .bucket(&self.name)
            .key(sealed_as.key.as_str())
            .content_type(sealed_as.content_type)
            .content_disposition(sealed_as.content_disposition)
            .body(ByteStream::from(bytes))
            .customize()
            .config_override(Builder::new().timeout_config(timeouts(WRITE_TIMEOUT, WRITING_TIMEOUT)));
        let output = request.send().await.map_err(|error| self.explained(&error))?;
        Ok(output.e_tag().map(unquoted))
    }

    /// Begins an upload in parts by one request alone: of two, the first may begin one whose name nobody hears.
    ///
    /// # Errors
    /// See [`BucketError`]; an upload may have been begun whose name nobody knows then.
    pub async fn begin_upload_once(&self, key: &SealedKey, content_type: &str, content_disposition: &str) -> Result<String, BucketError> {
        let request = self.client.create_multipart_upload().bucket(&self.name).key(key.as_str()).content_type(content_type);
        let request = request.content_disposition(content_disposition).customize();
        let request = request.config_override(Builder::new().retry_config(RetryConfig::disabled()));
        let output = request.send().await.map_err(|error| self.explained(&error))?;
        let id = output.upload_id.filter(|id| !id.is_empty());
        id.ok_or_else(|| BucketError::Unavailable("its answer about an upload has no name for it".to_owned()))
    }

    /// Writes one part of an upload.
    ///
    /// # Errors
    /// See [`BucketError`]; it may or may not have been written then.
    pub async fn put_part(&self, key: &SealedKey, upload_id: &str, number: u32, bytes: Bytes) -> Result<Part, BucketError> {
        let size = bytes.len() as u64;
        let request = self
            .transferring
            .upload_part()
            .bucket(&self.name)
            .key(key.as_str())
            .upload_id(upload_id)
            .part_number(i32::try_from(number).unwrap_or(i32::MAX))
            .body(ByteStream::from(bytes))
            .customize()
            .config_override(Builder::new().timeout_config(timeouts(WRITE_TIMEOUT, WRITING_TIMEOUT)));
        let output = request.send().await.map_err(|error| self.explained(&error))?;
        Ok(Part { number, size, etag: output.e_tag().map(unquoted).unwrap_or_default() })
    }

    /// Puts the parts together that were written to `key`, and nowhere else.
    ///
    /// # Errors
    /// See [`BucketError`]; also when the store knows no such upload any more.
    pub async fn put_together(&self, key: &SealedKey, upload_id: &str, parts: &[Part]) -> Result<(), BucketError> {
        match self.complete_upload(key.as_str(), upload_id, parts).await? {
            Completed::Done => Ok(()),
            // The first try was done, and its answer was lost: nobody else writes there.
            Completed::Gone if self.head(key.as_str()).await?.is_some() => Ok(()),
            Completed::Gone => Err(BucketError::Unavailable("it has dropped an upload in parts".to_owned())),
        }
    }
}
