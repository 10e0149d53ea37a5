//! Where the bytes go: one S3 bucket, and the credentials that its forms are signed with.
//!
//! # The promise
//! - [`Bucket::copy_if_unchanged`] copies exactly the bytes that were judged, or nothing.
//! - A form never outlives the credentials it is signed with; credentials are asked for again before they run out.
//! - No type of the AWS SDK leaves this module.
//!
//! # The refusal
//! [`BucketError::Unavailable`] means that the store did not answer, or said "not now": asking again later is safe.
//! [`BucketError::Refused`] means that it said no: wrong credentials, missing permissions, another region.

pub mod bucket_events;
mod connections;
pub mod cors;
mod credentials;
mod error;
mod failure;
pub mod lifecycle;
mod multipart;
mod presigned_urls;
pub mod probe;
mod reader;
mod request_times;
mod sdk_error;
mod writing;

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation, StalledStreamProtectionConfig};
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::{ChecksumMode, Delete, MetadataDirective, ObjectIdentifier};
use time::OffsetDateTime;

use crate::domain::file::Landed;
use crate::domain::{SealedKey, StagingKey};
use crate::post_policy::{PresignedPost, Signer, UploadTerms};
pub use connections::REQUESTS_AT_ONCE;
use connections::{Bounded, REQUESTS_TO_OWN_STORE};
use credentials::CredentialSource;
pub use error::BucketError;
pub use multipart::Completed;
pub use presigned_urls::{GetTerms, PartTerms, PresignedGet, PresignedPut, PutTerms};
pub use reader::ObjectBody;
use sdk_error::status;

/// How long the store may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long one try of a small request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a small request may take with all its tries.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(25);

/// How long the store may take to copy a file of no size within itself.
const COPY_TIMEOUT: Duration = Duration::from_secs(20);

/// What it copies at least in each second more that it has.
const COPY_BYTES_PER_SECOND: u64 = 20 * 1024 * 1024;

/// How long no copy may take.
pub const LONGEST_COPY: Duration = Duration::from_mins(5);

/// Which bucket, and how to reach it.
#[derive(Debug, Clone)]
pub struct BucketOptions {
    /// The bucket's name.
    pub name: String,
    /// Its region; `None` asks the environment like every AWS tool does.
    pub region: Option<String>,
    /// Where this process reaches the store; `None` for AWS.
    pub endpoint: Option<String>,
    /// Where browsers reach it; `None` for the same.
    pub public_endpoint: Option<String>,
    /// `endpoint/bucket/key` instead of `bucket.endpoint/key`.
    pub path_style: bool,
    /// From how many bytes on an object is copied in parts.
    pub copy_in_parts_above: u64,
    /// Fixed credentials of a store this process runs itself; `None` for the ordinary chain.
    pub credentials: Option<StaticCredentials>,
}

/// Credentials that never end.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub struct StaticCredentials {
    /// Names the secret.
    pub access_key_id: String,
    /// The secret.
    pub secret_access_key: String,
}

impl fmt::Debug for StaticCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticCredentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// What became of a conditional copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Copied {
    /// What had that entity tag is at the new key, with this entity tag where the store tells it.
    Done(Option<String>),
    /// The object is gone or has another tag; nothing was copied.
    Changed,
}

/// What a sealed object is written as.
#[derive(Debug, Clone, Copy)]
pub struct SealedAs<'a> {
    /// Its key.
    pub key: &'a SealedKey,
    /// Its content type.
    pub content_type: &'a str,
    /// Its name for downloads.
    pub content_disposition: &'a str,
}

/// The bucket.
pub struct Bucket {
    client: Client,
    /// For bytes on their way to or from clients, which may take long; whoever uses it has a bound of its own.
    transferring: Client,
    name: String,
    form_url: String,
    own_url: String,
    copy_in_parts_above: u64,
    signer: Signer,
    credentials: CredentialSource,
}

impl Bucket {
    /// Finds credentials and region, and asks the bucket whether it is there.
    ///
    /// # Errors
    /// When there are no credentials, or the bucket cannot be reached or used with them.
    pub async fn open(options: BucketOptions) -> Result<Self, BucketError> {
        let bucket = Box::pin(Self::unasked(options)).await?;
        bucket.credentials.current(Duration::ZERO, OffsetDateTime::now_utc()).await?;
        bucket.ping().await?;
        Ok(bucket)
    }

    /// The same without asking anybody: neither for credentials nor whether the bucket is there.
    ///
    /// # Errors
    /// When no source of credentials is configured, or no address can be made for the bucket.
    pub async fn unasked(options: BucketOptions) -> Result<Self, BucketError> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(fixed) = &options.credentials {
            loader = loader.credentials_provider(aws_sdk_s3::config::Credentials::new(
                &fixed.access_key_id,
                &fixed.secret_access_key,
                None,
                None,
                "dropslip",
            ));
            // The own store's clock is this one: what looks like a difference is a clock that was set meanwhile.
            loader = loader.disable_clock_skew_correction(true);
        }
        if let Some(region) = options.region.clone() {
            loader = loader.region(Region::new(region));
        }
        let shared = Box::pin(loader.load()).await;
        let region = shared.region().map_or_else(|| "us-east-1".to_owned(), ToString::to_string);
        let provider: SharedCredentialsProvider =
            shared.credentials_provider().ok_or_else(|| BucketError::Refused("no source of AWS credentials is configured".to_owned()))?;

        let mut builder = aws_sdk_s3::config::Builder::from(&shared)
            .region(Region::new(region.clone()))
            .force_path_style(options.path_style)
            // Checksums beyond those a form asked for confuse stores that do not know them.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .timeout_config(timeouts(REQUEST_TIMEOUT, OPERATION_TIMEOUT))
            // Whoever reads a body has a bound of time for each piece; the SDK's own would count the time in which nobody asks for one.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .interceptor(request_times::Measuring);
        if let Some(endpoint) = &options.endpoint {
            builder = builder.endpoint_url(endpoint);
        }
        let (http, own_store) = (connections::unbounded(), options.credentials.is_some());
        let at_once = if own_store { REQUESTS_TO_OWN_STORE } else { REQUESTS_AT_ONCE };
        let own_url = form_url(&options.name, &region, options.endpoint.as_ref(), options.path_style).await?;
        let public_endpoint = options.public_endpoint.as_ref().or(options.endpoint.as_ref());
        let form_url = form_url(&options.name, &region, public_endpoint, options.path_style).await?;
        Ok(Self {
            client: Client::from_conf(builder.clone().http_client(Bounded::new(http.clone(), at_once)).build()),
            transferring: Client::from_conf(builder.http_client(http).build()),
            name: options.name,
            form_url,
            own_url,
            copy_in_parts_above: options.copy_in_parts_above,
            signer: Signer::new(region),
            credentials: CredentialSource::new(provider),
        })
    }

    /// The bucket's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where forms go.
    #[must_use]
    pub fn form_url(&self) -> &str {
        &self.form_url
    }

    /// Whether the bucket answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(&self) -> Result<(), BucketError> {
        match self.client.head_bucket().bucket(&self.name).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.explained(&error)),
        }
    }

    /// Whether the store knows forms at all: one that says nothing is refused for what is missing, or for what it is.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn takes_forms(&self) -> Result<bool, BucketError> {
        let unavailable = |error: reqwest::Error| BucketError::Unavailable(error.without_url().to_string());
        let http = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).timeout(REQUEST_TIMEOUT).build().map_err(unavailable)?;
        let nothing = reqwest::multipart::Form::new().text("file", "");
        let answer = http.post(&self.own_url).multipart(nothing).send().await.map_err(unavailable)?;
        Ok(!matches!(answer.status().as_u16(), 405 | 501))
    }

    /// A signed form for `terms`.
    ///
    /// # Errors
    /// When there are no credentials that live long enough.
    pub async fn presign(&self, terms: &UploadTerms<'_>, now: OffsetDateTime) -> Result<PresignedPost, BucketError> {
        let lifetime = terms.lifetime.try_into().unwrap_or(Duration::ZERO);
        let credentials = self.credentials.current(lifetime, now).await?;
        self.signer.presign(self.form_url.clone(), terms, &credentials, now).map_err(|error| BucketError::Unavailable(error.to_string()))
    }

    /// What is stored under `key`; `None` when nothing is.
    ///
    /// # Errors
    /// See [`BucketError`].
    pub async fn head(&self, key: &str) -> Result<Option<Landed>, BucketError> {
        let request = self.client.head_object().bucket(&self.name).key(key).checksum_mode(ChecksumMode::Enabled);
        match request.send().await {
            Ok(output) => Ok(Some(landed(&output)?)),
            Err(error) if self.is_absence(&error).await? => Ok(None),
            Err(error) => Err(self.explained(&error)),
        }
    }

    /// Whether [`Bucket::copy_if_unchanged`] begins an upload in parts for so many bytes.
    #[must_use]
    pub fn copies_in_parts(&self, size: u64) -> bool {
        size > self.copy_in_parts_above
    }

    /// Copies `from` inside the bucket if it is still what was judged, with new headers.
    ///
    /// # Errors
    /// See [`BucketError`]; the copy may or may not have happened then.
    pub async fn copy_if_unchanged(&self, from: &StagingKey, judged: &Landed, to: &SealedAs<'_>) -> Result<Copied, BucketError> {
        if self.copies_in_parts(judged.size) {
            return Box::pin(self.copy_in_parts(from, judged, to)).await;
        }
        let patience = copy_timeout(judged.size);
        let request = self
            .client
            .copy_object()
            .bucket(&self.name)
            .copy_source(format!("{}/{from}", self.name))
            .copy_source_if_match(format!("\"{}\"", judged.etag))
            .key(to.key.as_str())
            .metadata_directive(MetadataDirective::Replace)
            .content_type(to.content_type)
            .content_disposition(to.content_disposition)
            .customize()
            .config_override(aws_sdk_s3::config::Builder::new().timeout_config(timeouts(patience, patience)));
        match request.send().await {
            Ok(output) => Ok(Copied::Done(output.copy_object_result().and_then(|result| result.e_tag()).map(unquoted))),
            Err(error) if status(&error) == Some(412) || self.is_absence(&error).await? => Ok(Copied::Changed),
            Err(error) => Err(self.explained(&error)),
        }
    }

    /// Deletes `key`; that nothing is stored there is no error.
    ///
    /// # Errors
    /// See [`BucketError`].
    pub async fn delete(&self, key: &str) -> Result<(), BucketError> {
        match self.client.delete_object().bucket(&self.name).key(key).send().await {
            Ok(_) => Ok(()),
            Err(error) if self.is_absence(&error).await? => Ok(()),
            Err(error) => Err(self.explained(&error)),
        }
    }

    /// Keys under `prefix` after `after`, at most a thousand, in the order of their keys.
    ///
    /// # Errors
    /// See [`BucketError`].
    pub async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<String>, BucketError> {
        let request = self.client.list_objects_v2().bucket(&self.name).prefix(prefix).set_start_after(after.map(ToOwned::to_owned));
        let output = request.send().await.map_err(|error| self.explained(&error))?;
        Ok(output.contents().iter().filter_map(|object| object.key().map(ToOwned::to_owned)).collect())
    }

    /// Deletes up to 1000 keys in one request and tells which of them it could not; where nothing is stored is no failure.
    ///
    /// # Errors
    /// See [`BucketError`]; any number of them may be deleted then.
    pub async fn delete_many(&self, keys: &[String]) -> Result<HashSet<String>, BucketError> {
        // A request that names no object is refused.
        if keys.is_empty() {
            return Ok(HashSet::new());
        }
        let nonsense = |error: &dyn fmt::Display| BucketError::Refused(format!("a key that cannot be deleted: {error}"));
        let objects = keys.iter().map(|key| ObjectIdentifier::builder().key(key).build());
        let objects = objects.collect::<Result<Vec<_>, _>>().map_err(|error| nonsense(&error))?;
        let delete = Delete::builder().set_objects(Some(objects)).quiet(true).build().map_err(|error| nonsense(&error))?;
        let output = match self.client.delete_objects().bucket(&self.name).delete(delete).send().await {
            Ok(output) => output,
            Err(error) => return Err(self.explained(&error)),
        };
        // Stores call a key deleted that they did not find, also for want of the whole bucket.
        self.ping().await?;
        let left = output.errors().iter().filter(|error| error.code() != Some("NoSuchKey"));
        Ok(left
            .filter_map(|error| {
                tracing::warn!(key = error.key(), code = error.code(), "an object was not deleted; a later sweep tries again");
                error.key().map(ToOwned::to_owned)
            })
            .collect())
    }
}

fn timeouts(attempt: Duration, operation: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(attempt).operation_timeout(operation).build()
}

/// How long a copy of that size may take in all, also in parts.
#[must_use]
pub fn longest_copy(size: u64) -> Duration {
    LONGEST_COPY + COPY_TIMEOUT + Duration::from_secs(size / COPY_BYTES_PER_SECOND)
}

fn copy_timeout(size: u64) -> Duration {
    (COPY_TIMEOUT + Duration::from_secs(size / COPY_BYTES_PER_SECOND)).min(LONGEST_COPY)
}

fn unquoted(etag: &str) -> String {
    etag.trim_matches('"').to_owned()
}

fn landed(output: &HeadObjectOutput) -> Result<Landed, BucketError> {
    let nonsense = || BucketError::Unavailable("its answer about an object has no size or entity tag".to_owned());
    Ok(Landed {
        size: output.content_length().and_then(|size| u64::try_from(size).ok()).ok_or_else(nonsense)?,
        etag: unquoted(output.e_tag().ok_or_else(nonsense)?),
        content_type: output.content_type().map(ToOwned::to_owned),
        checksum_sha256: output.checksum_sha256().map(ToOwned::to_owned),
    })
}

/// The address that AWS' own rules give a bucket: regional, the right domain in every partition, path style where it must be.
async fn form_url(bucket: &str, region: &str, endpoint: Option<&String>, path_style: bool) -> Result<String, BucketError> {
    let refused = |why: &dyn fmt::Display| BucketError::Refused(format!("no address for bucket ‘{bucket}’ in region ‘{region}’: {why}"));
    let params = Params::builder()
        .bucket(bucket)
        .region(region)
        .set_endpoint(endpoint.cloned())
        .force_path_style(path_style)
        .build()
        .map_err(|error| refused(&error))?;
    let resolved = DefaultResolver::new().resolve_endpoint(&params).await.map_err(|error| refused(&error))?;
    Ok(format!("{}/", resolved.url().trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn url(bucket: &str, region: &str, endpoint: Option<&str>, path_style: bool) -> String {
        form_url(bucket, region, endpoint.map(ToOwned::to_owned).as_ref(), path_style).await.unwrap()
    }

    #[test]
    fn a_copy_has_time_by_its_size_and_never_more_than_the_longest() {
        assert_eq!(copy_timeout(5), COPY_TIMEOUT);
        assert_eq!(copy_timeout(100 << 20), COPY_TIMEOUT + Duration::from_secs(5));
        assert_eq!(copy_timeout(5 << 30), Duration::from_secs(276));
        assert_eq!(copy_timeout(u64::MAX), LONGEST_COPY);
    }

    #[tokio::test]
    async fn forms_go_to_the_regional_address_in_the_right_style() {
        assert_eq!(url("drop", "eu-central-1", None, false).await, "https://drop.s3.eu-central-1.amazonaws.com/");
        assert_eq!(url("drop", "eu-central-1", None, true).await, "https://s3.eu-central-1.amazonaws.com/drop/");
        assert_eq!(url("drop.example", "eu-central-1", None, false).await, "https://s3.eu-central-1.amazonaws.com/drop.example/");
        assert_eq!(url("drop", "cn-north-1", None, false).await, "https://drop.s3.cn-north-1.amazonaws.com.cn/");
        assert_eq!(url("drop", "us-east-1", Some("http://127.0.0.1:9000"), true).await, "http://127.0.0.1:9000/drop/");
        assert_eq!(url("drop", "us-east-1", Some("https://s3.example.test"), false).await, "https://drop.s3.example.test/");
    }
}
