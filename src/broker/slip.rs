//! Slips: what a client uploads with. A signed form, a presigned PUT, or the right to ask for presigned parts.

use time::{Duration, OffsetDateTime};

use super::{Broker, BrokerError};
use crate::bucket::{PresignedPut, PutTerms};
use crate::domain::file::ChecksumSha256;
use crate::domain::multipart::{part_count, part_size_for};
use crate::domain::{Allowance, Complaints, Field, File, Grant, Multipart, NewFile, PartSizes, StagingKey, UploadMethod};
use crate::post_policy::{PresignedPost, UploadTerms};

/// What a client uploads with.
#[derive(Debug)]
pub enum Slip {
    /// A signed form.
    Form(PresignedPost),
    /// A presigned PUT.
    Put(PresignedPut),
    /// Parts, each presigned when it is asked for.
    Parts(InParts),
}

/// How a file is cut into parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InParts {
    /// Bytes of every part but the last; `None` when the client chooses.
    pub part_size: Option<u64>,
    /// How many parts; `None` when the client chooses.
    pub part_count: Option<u64>,
    /// When the broker forgets the file, unless parts are asked for before.
    pub expires_at: OffsetDateTime,
}

/// What a slip is to allow.
pub(super) struct SlipRequest<'a> {
    pub(super) key: &'a StagingKey,
    pub(super) grant: &'a Grant,
    pub(super) checksum_sha256: Option<&'a ChecksumSha256>,
    pub(super) multipart: Option<&'a Multipart>,
    pub(super) lifetime: Duration,
}

impl Slip {
    /// When it dies.
    #[must_use]
    pub fn expires_at(&self) -> OffsetDateTime {
        match self {
            Self::Form(post) => post.expires_at,
            Self::Put(put) => put.expires_at,
            Self::Parts(parts) => parts.expires_at,
        }
    }
}

impl InParts {
    pub(super) fn of(file: &File, multipart: &Multipart) -> Self {
        Self::new(multipart, file.grant.max_size, file.expires_at)
    }

    fn new(multipart: &Multipart, size: u64, expires_at: OffsetDateTime) -> Self {
        let part_size = multipart.part_size;
        Self { part_size, part_count: part_size.map(|part_size| part_count(size, part_size)), expires_at }
    }
}

impl Broker {
    /// Whether a file comes in parts: when the client can, and it is large enough to be worth it.
    pub(super) fn parts_for(&self, new: &NewFile, allowance: &Allowance) -> Option<Multipart> {
        match (new.multipart?, new.size) {
            (PartSizes::ChosenByClient, _) => Some(Multipart { upload_id: None, part_size: None }),
            // Nothing can be cut into no parts.
            (PartSizes::Granted, Some(0)) => None,
            (PartSizes::Granted, Some(size)) if size >= self.multipart_threshold || size > allowance.max_request => {
                Some(Multipart { upload_id: None, part_size: Some(part_size_for(size, self.part_size)) })
            }
            (PartSizes::Granted, _) => None,
        }
    }

    pub(super) async fn slip(&self, request: &SlipRequest<'_>, now: OffsetDateTime) -> Result<Slip, BrokerError> {
        let checksum_sha256 = request.checksum_sha256.map(ChecksumSha256::as_base64);
        if let Some(multipart) = request.multipart {
            let expires_at = now + request.lifetime;
            let expires_at = expires_at.replace_nanosecond(0).unwrap_or(expires_at);
            return Ok(Slip::Parts(InParts::new(multipart, request.grant.max_size, expires_at)));
        }
        let Grant { content_type, min_size, max_size } = request.grant;
        match self.method {
            UploadMethod::Post => {
                let terms = UploadTerms {
                    bucket: self.bucket.name(),
                    key: request.key.as_str(),
                    content_type: &content_type.to_string(),
                    min_size: *min_size,
                    max_size: *max_size,
                    checksum_sha256,
                    lifetime: request.lifetime,
                };
                Ok(Slip::Form(self.bucket.presign(&terms, now).await?))
            }
            UploadMethod::Put if min_size != max_size => {
                // A PUT has no range of sizes: without its exact one it could store anything.
                Err(BrokerError::Invalid(Complaints::one(Field::Size, "must be set: this installation signs the exact size")))
            }
            UploadMethod::Put => {
                let terms = PutTerms {
                    key: request.key.as_str(),
                    content_type: &content_type.to_string(),
                    size: *max_size,
                    checksum_sha256,
                    lifetime: request.lifetime,
                };
                Ok(Slip::Put(Box::pin(self.bucket.presign_put(&terms, now)).await?))
            }
        }
    }
}
