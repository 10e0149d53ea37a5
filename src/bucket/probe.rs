//! What `dropslip check` asks a bucket and no upload ever does: settings, conditions and answers as they are.

use std::fmt;
use std::time::Duration;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, ExpirationStatus, LifecycleRule};
use time::OffsetDateTime;

use super::{Bucket, BucketError, status};
use crate::post_policy::Credentials;

/// Why a probe was refused, in the store's own words.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The HTTP status; `None` when there was no answer.
    pub status: Option<u16>,
    /// The store's code, such as `AccessDenied`; blank when it gave none.
    pub code: String,
    /// The same for a person.
    pub error: BucketError,
}

impl Refusal {
    /// Whether the store does not know such requests at all.
    #[must_use]
    pub fn is_unknown_request(&self) -> bool {
        matches!(self.status, Some(405 | 501)) || self.code == "NotImplemented"
    }

    /// Whether the credentials lack a right.
    #[must_use]
    pub fn is_missing_right(&self) -> bool {
        self.status == Some(403)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

/// Whether what is deleted or overwritten stays as an old version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versioning {
    /// Never was on.
    Off,
    /// Is on.
    Enabled,
    /// Was on; old versions may be there.
    Suspended,
}

/// One lifecycle rule, as far as it can take objects away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// Its name.
    pub id: String,
    /// Under which keys; blank for all.
    pub prefix: String,
    /// Whether it is for some of these objects only, by tag or size.
    pub is_partial: bool,
    /// After how many days objects expire; 0 for a date, `None` for never.
    pub days: Option<i32>,
    /// Whether old versions expire.
    pub takes_old_versions: bool,
}

/// The headers that an object is stored with and served with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredHeaders {
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// How many entries of user metadata.
    pub metadata: usize,
}

impl Bucket {
    /// What forms are signed with, as it is now.
    ///
    /// # Errors
    /// When there are none.
    pub async fn signing_credentials(&self, now: OffsetDateTime) -> Result<Credentials, BucketError> {
        Ok(self.credentials.current(Duration::ZERO, now).await?.as_ref().clone())
    }

    /// The region that everything is signed for.
    #[must_use]
    pub fn region(&self) -> &str {
        self.signer.region()
    }

    /// Where the broker itself reaches the bucket.
    #[must_use]
    pub fn own_url(&self) -> &str {
        &self.own_url
    }

    /// Asks for a listing: unlike a `HEAD`, its refusal has a reason.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn try_listing(&self, prefix: &str) -> Result<(), Refusal> {
        let request = self.client.list_objects_v2().bucket(&self.name).prefix(prefix).max_keys(1);
        request.send().await.map(drop).map_err(|error| self.refusal(&error))
    }

    /// Writes `bytes` under `key` as a text.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn put(&self, key: &str, bytes: &'static [u8]) -> Result<(), Refusal> {
        let request = self.client.put_object().bucket(&self.name).key(key).content_type("text/plain");
        request.body(ByteStream::from_static(bytes)).send().await.map(drop).map_err(|error| self.refusal(&error))
    }

    /// The headers an object is stored with; `None` when there is none.
    ///
    /// # Errors
    /// See [`BucketError`].
    pub async fn stored_headers(&self, key: &str) -> Result<Option<StoredHeaders>, BucketError> {
        match self.client.head_object().bucket(&self.name).key(key).send().await {
            Ok(output) => Ok(Some(StoredHeaders {
                cache_control: output.cache_control().map(ToOwned::to_owned),
                content_encoding: output.content_encoding().map(ToOwned::to_owned),
                metadata: output.metadata().map_or(0, std::collections::HashMap::len),
            })),
            Err(error) if self.is_absence(&error).await? => Ok(None),
            Err(error) => Err(self.explained(&error)),
        }
    }

    /// Whether old versions are kept.
    ///
    /// # Errors
    /// Why the store does not tell.
    pub async fn versioning(&self) -> Result<Versioning, Refusal> {
        let output = self.client.get_bucket_versioning().bucket(&self.name).send().await.map_err(|error| self.refusal(&error))?;
        Ok(match output.status() {
            Some(BucketVersioningStatus::Enabled) => Versioning::Enabled,
            Some(BucketVersioningStatus::Suspended) => Versioning::Suspended,
            _ => Versioning::Off,
        })
    }

    /// The lifecycle rules that are in force.
    ///
    /// # Errors
    /// Why the store does not tell.
    pub async fn expiry_rules(&self) -> Result<Vec<Expiry>, Refusal> {
        match self.client.get_bucket_lifecycle_configuration().bucket(&self.name).send().await {
            Ok(output) => {
                let rules = output.rules().iter().filter(|rule| *rule.status() == ExpirationStatus::Enabled);
                Ok(rules.map(expiry).collect())
            }
            Err(error) => {
                let refusal = self.refusal(&error);
                if refusal.status == Some(404) && refusal.code != "NoSuchBucket" { Ok(Vec::new()) } else { Err(refusal) }
            }
        }
    }

    /// Deletes every version under `prefix`, which a bucket without versioning has none of; how many are left.
    ///
    /// # Errors
    /// Why they cannot be listed.
    pub async fn delete_versions(&self, prefix: &str) -> Result<usize, Refusal> {
        let request = self.client.list_object_versions().bucket(&self.name).prefix(prefix);
        let output = request.send().await.map_err(|error| self.refusal(&error))?;
        let versions = output.versions().iter().map(|version| (version.key(), version.version_id()));
        let markers = output.delete_markers().iter().map(|marker| (marker.key(), marker.version_id()));
        let mut left = 0;
        for (key, version) in versions.chain(markers).filter(|(key, _)| key.is_some_and(|key| key.starts_with(prefix))) {
            let request = self.client.delete_object().bucket(&self.name).set_key(key.map(ToOwned::to_owned));
            let deleted = request.set_version_id(version.map(ToOwned::to_owned)).send().await;
            left += usize::from(deleted.is_err());
        }
        Ok(left)
    }

    pub(super) fn refusal<E: ProvideErrorMetadata + fmt::Debug>(&self, error: &SdkError<E>) -> Refusal {
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
        Refusal { status: status(error), code: code.to_owned(), error: self.explained(error) }
    }
}

fn expiry(rule: &LifecycleRule) -> Expiry {
    let and = rule.filter().and_then(|filter| filter.and());
    #[expect(deprecated, reason = "old rules come with it")]
    let old = rule.prefix();
    let prefix = rule.filter().and_then(|filter| filter.prefix()).or_else(|| and.and_then(|and| and.prefix())).or(old);
    let is_partial =
        rule.filter().is_some_and(|f| f.tag().is_some() || f.object_size_greater_than().or(f.object_size_less_than()).is_some())
            || and.is_some_and(|a| !a.tags().is_empty() || a.object_size_greater_than().or(a.object_size_less_than()).is_some());
    let expiration = rule.expiration();
    Expiry {
        id: rule.id().unwrap_or_default().to_owned(),
        prefix: prefix.unwrap_or_default().to_owned(),
        is_partial,
        days: expiration.and_then(|expiration| expiration.days().or_else(|| expiration.date().map(|_| 0))),
        takes_old_versions: rule.noncurrent_version_expiration().is_some(),
    }
}
