//! Reading what was judged, and nothing else.
//!
//! A form can write its key again at any moment, also back and forth between two contents. So every read is bound to the entity
//! tag that is being judged: by a condition where the store knows it, and by the answer's own tag everywhere.

use std::ops::Range;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;

use super::{Bucket, BucketError, REQUEST_TIMEOUT, status, unquoted};

impl Bucket {
    /// The first bytes of an object, at most `length`; `None` when it is not the one with that entity tag any more.
    ///
    /// # Errors
    /// See [`BucketError`].
    pub async fn read_start(&self, key: &str, etag: &str, length: u64) -> Result<Option<Vec<u8>>, BucketError> {
        match self.get_if_unchanged(&self.client, key, etag, Some(first(length))).await? {
            Some(output) => Ok(Some(start_of(output, length).await?)),
            None => Ok(None),
        }
    }

    /// The first bytes of whatever is under `key` now, at most `length`, and its entity tag: good for nothing unless that is the one
    /// which is being judged. `None` when nothing is there, or nothing in it.
    ///
    /// # Errors
    /// See [`BucketError`].
    pub async fn read_start_of_any(&self, key: &str, length: u64) -> Result<Option<(String, Vec<u8>)>, BucketError> {
        match self.client.get_object().bucket(&self.name).key(key).range(first(length)).send().await {
            Ok(output) => match output.e_tag().map(unquoted) {
                Some(etag) => Ok(Some((etag, start_of(output, length).await?))),
                None => Ok(None),
            },
            // Whether the bucket is there at all is asked by who asks for more than this.
            Err(error) if matches!(status(&error), Some(404 | 416)) => Ok(None),
            Err(error) => Err(self.explained(&error)),
        }
    }

    /// Some bytes of an object, which must have them; `None` when it is not the one with that entity tag any more.
    ///
    /// # Errors
    /// See [`BucketError`]; also when it sends other bytes than these.
    pub async fn read_range(&self, key: &str, etag: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, BucketError> {
        let Some(last) = range.end.checked_sub(1) else { return Ok(Some(Vec::new())) };
        let Some(mut body) = self.read(&self.client, key, etag, range.end, Some((range.start, last))).await? else { return Ok(None) };
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(Some(bytes))
    }

    /// Base64 SHA-256 of an object's bytes, read to the end; `None` when it is not the one with that entity tag any more.
    ///
    /// # Errors
    /// See [`BucketError`].
    pub async fn checksum_sha256(&self, key: &str, etag: &str) -> Result<Option<String>, BucketError> {
        let Some(mut output) = self.get_if_unchanged(&self.client, key, etag, None).await? else { return Ok(None) };
        let mut hasher = Sha256::new();
        loop {
            // Each piece has its time, so that a large object may take long and a stalled one may not.
            let piece = tokio::time::timeout(REQUEST_TIMEOUT, output.body.try_next()).await;
            match piece.map_err(|_| BucketError::Unavailable("it did not answer in time".to_owned()))? {
                Ok(Some(bytes)) => hasher.update(&bytes),
                Ok(None) => return Ok(Some(BASE64.encode(hasher.finalize()))),
                Err(error) => return Err(BucketError::Unavailable(error.to_string())),
            }
        }
    }

    /// The bytes from `first` to `last`, or all `size` of them, piece by piece as they are asked for; `None` when there is no such object
    /// with that entity tag. How many are read at the same time is for the caller to bound.
    ///
    /// # Errors
    /// See [`BucketError`].
    pub async fn download(&self, key: &str, etag: &str, size: u64, part: Option<(u64, u64)>) -> Result<Option<ObjectBody>, BucketError> {
        self.read(&self.transferring, key, etag, size, part).await
    }

    async fn read(
        &self,
        client: &Client,
        key: &str,
        etag: &str,
        size: u64,
        part: Option<(u64, u64)>,
    ) -> Result<Option<ObjectBody>, BucketError> {
        let range = part.map(|(first, last)| format!("bytes={first}-{last}"));
        let Some(output) = self.get_if_unchanged(client, key, etag, range).await? else { return Ok(None) };
        let wanted = part.map_or(size, |(first, last)| last + 1 - first);
        if output.content_length().and_then(|length| u64::try_from(length).ok()) != Some(wanted) {
            return Err(BucketError::Unavailable("it sends other bytes than it was asked for".to_owned()));
        }
        Ok(Some(ObjectBody { body: output.body, left: wanted }))
    }

    async fn get_if_unchanged(
        &self,
        client: &Client,
        key: &str,
        etag: &str,
        range: Option<String>,
    ) -> Result<Option<GetObjectOutput>, BucketError> {
        let request = client.get_object().bucket(&self.name).key(key).if_match(format!("\"{etag}\"")).set_range(range);
        match request.send().await {
            Ok(output) if output.e_tag().map(unquoted).as_deref() == Some(etag) => Ok(Some(output)),
            Ok(_) => Ok(None),
            // Gone, changed, or empty where it was not.
            Err(error) if matches!(status(&error), Some(412 | 416)) || self.is_absence(&error).await? => Ok(None),
            Err(error) => Err(self.explained(&error)),
        }
    }
}

fn first(length: u64) -> String {
    format!("bytes=0-{}", length.saturating_sub(1))
}

async fn start_of(output: GetObjectOutput, length: u64) -> Result<Vec<u8>, BucketError> {
    let mut start = Vec::new();
    // A store that ignores the range would send everything.
    let mut body = output.body.into_async_read().take(length);
    match tokio::time::timeout(REQUEST_TIMEOUT, body.read_to_end(&mut start)).await {
        Ok(Ok(_)) => Ok(start),
        Ok(Err(error)) => Err(BucketError::Unavailable(error.to_string())),
        Err(_) => Err(BucketError::Unavailable("it did not answer in time".to_owned())),
    }
}

/// The bytes of an object on their way; dropped, it frees its connection to the store.
pub struct ObjectBody {
    body: ByteStream,
    left: u64,
}

impl ObjectBody {
    /// The next piece; `None` after the last one.
    ///
    /// # Errors
    /// When the store stops sending before the end, or sends more than there is.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BucketError> {
        let piece = tokio::time::timeout(REQUEST_TIMEOUT, self.body.try_next()).await;
        match piece.map_err(|_| BucketError::Unavailable("it did not answer in time".to_owned()))? {
            Ok(Some(bytes)) => {
                let left = u64::try_from(bytes.len()).ok().and_then(|length| self.left.checked_sub(length));
                self.left = left.ok_or_else(|| BucketError::Unavailable("it sends more than there is".to_owned()))?;
                Ok(Some(bytes))
            }
            Ok(None) if self.left == 0 => Ok(None),
            Ok(None) => Err(BucketError::Unavailable("it stopped before the end".to_owned())),
            Err(error) => Err(BucketError::Unavailable(error.to_string())),
        }
    }
}
