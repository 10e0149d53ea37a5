//! Presigned URLs: one PUT each, of a whole object or of one part of it; or one object to read.
//!
//! "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)", Amazon S3 API Reference. What such a URL demands
//! stands in its signed headers: a request with another type or length has another signature.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use time::OffsetDateTime;
use url::Url;

use super::{Bucket, BucketError};
use crate::post_policy::{CREDENTIALS_MARGIN, Credentials};

/// Longest life of a presigned URL.
const LONGEST_LIFE: time::Duration = time::Duration::days(7);

/// RFC 3986 section 2.3: what stays as it is in a query.
const NOT_UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What one presigned PUT of a whole object allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutTerms<'a> {
    /// The only key it may write, and only while nothing is there.
    pub key: &'a str,
    /// The only content type.
    pub content_type: &'a str,
    /// Exactly so many bytes.
    pub size: u64,
    /// Base64 SHA-256 that the bytes must have.
    pub checksum_sha256: Option<&'a str>,
    /// How long the URL stays good, unless the credentials end sooner.
    pub lifetime: time::Duration,
}

/// What one presigned PUT of a part allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartTerms<'a> {
    /// The key of the object to be.
    pub key: &'a str,
    /// The upload.
    pub upload_id: &'a str,
    /// How long the URL stays good, unless the credentials end sooner.
    pub lifetime: time::Duration,
}

/// What one presigned URL for reading allows, and what the store is to say with the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetTerms<'a> {
    /// The only key it reads.
    pub key: &'a str,
    /// Whether it is for the headers alone; the method is signed too.
    pub head: bool,
    /// `Content-Type` of the answer.
    pub content_type: &'a str,
    /// `Content-Disposition` of the answer.
    pub content_disposition: &'a str,
    /// How long the URL stays good, unless the credentials end sooner.
    pub lifetime: time::Duration,
}

/// A presigned URL for reading; as good as a password for one object, so it does not belong in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct PresignedGet {
    /// Where the bytes are.
    pub url: String,
    /// When it stops being accepted, to the second.
    pub expires_at: OffsetDateTime,
}

impl fmt::Debug for PresignedGet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresignedGet").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// A presigned PUT: where to send the bytes and with which headers.
#[derive(Clone, PartialEq, Eq)]
pub struct PresignedPut {
    /// Where the bytes go.
    pub url: String,
    /// The signed headers that a client must set. The length is signed as well, but every HTTP client sends it by itself, and
    /// pages are not allowed to.
    pub headers: Vec<(&'static str, String)>,
    /// When it stops being accepted, to the second.
    pub expires_at: OffsetDateTime,
}

// A presigned URL is as good as a password for one object: it does not belong in logs.
impl fmt::Debug for PresignedPut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresignedPut").field("headers", &self.headers).field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl Bucket {
    /// A presigned PUT for `terms`.
    ///
    /// # Errors
    /// When there are no credentials that live long enough.
    pub async fn presign_put(&self, terms: &PutTerms<'_>, now: OffsetDateTime) -> Result<PresignedPut, BucketError> {
        let mut headers = vec![("Content-Type", terms.content_type.to_owned()), ("If-None-Match", "*".to_owned())];
        if let Some(checksum) = terms.checksum_sha256 {
            headers.push(("x-amz-checksum-sha256", checksum.to_owned()));
        }
        let signing = self.signing(terms.lifetime, now).await?;
        let url = signing.url("PUT", &self.address_of(terms.key, &[])?, &headers, Some(terms.size))?;
        Ok(PresignedPut { url, headers, expires_at: signing.expires_at })
    }

    /// A presigned URL for `terms`, on the endpoint that browsers reach.
    ///
    /// # Errors
    /// When there are no credentials that live long enough.
    pub async fn presign_get(&self, terms: &GetTerms<'_>, now: OffsetDateTime) -> Result<PresignedGet, BucketError> {
        let signing = self.signing(terms.lifetime, now).await?;
        let mut address = self.address_of(terms.key, &[])?;
        let said = [("response-content-disposition", terms.content_disposition), ("response-content-type", terms.content_type)];
        // A plus sign for a space is a form's way to write one, and not every store reads it so.
        let query = said.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, &NOT_UNRESERVED)));
        address.set_query(Some(&query.join("&")));
        let url = signing.url(if terms.head { "HEAD" } else { "GET" }, &address, &[], None)?;
        Ok(PresignedGet { url, expires_at: signing.expires_at })
    }

    /// A presigned PUT for each part, given as its number and, where that is known, its size.
    ///
    /// # Errors
    /// When there are no credentials that live long enough.
    pub async fn presign_parts(
        &self,
        terms: PartTerms<'_>,
        parts: &[(u32, Option<u64>)],
        now: OffsetDateTime,
    ) -> Result<Vec<PresignedPut>, BucketError> {
        let signing = self.signing(terms.lifetime, now).await?;
        let presigned = parts.iter().map(|(number, size)| {
            let address = self.address_of(terms.key, &[("partNumber", &number.to_string()), ("uploadId", terms.upload_id)])?;
            Ok(PresignedPut { url: signing.url("PUT", &address, &[], *size)?, headers: Vec::new(), expires_at: signing.expires_at })
        });
        presigned.collect()
    }

    fn address_of(&self, key: &str, query: &[(&str, &str)]) -> Result<Url, BucketError> {
        let unfit = |error: url::ParseError| BucketError::Refused(format!("no address for an object: {error}"));
        let mut url = Url::parse(&self.form_url).and_then(|base| base.join(key)).map_err(unfit)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    async fn signing(&self, lifetime: time::Duration, now: OffsetDateTime) -> Result<Signing<'_>, BucketError> {
        let wished = now + lifetime.min(LONGEST_LIFE);
        let credentials = self.credentials.current((wished - now).try_into().unwrap_or(Duration::ZERO), now).await?;
        let last = credentials.expires_at.map_or(wished, |end| wished.min(end - CREDENTIALS_MARGIN));
        let life = Duration::from_secs((last - now).whole_seconds().try_into().unwrap_or_default());
        if life.is_zero() {
            return Err(BucketError::Unavailable("the AWS credentials end too soon to sign with them".to_owned()));
        }
        // Signatures tell the second they were made in: what they tell is when they end.
        let now = now.replace_nanosecond(0).unwrap_or(now);
        Ok(Signing { region: self.signer.region(), credentials, now, life, expires_at: now + life })
    }
}

/// All that signatures made at the same time share.
struct Signing<'a> {
    region: &'a str,
    credentials: Arc<Credentials>,
    now: OffsetDateTime,
    life: Duration,
    expires_at: OffsetDateTime,
}

impl Signing<'_> {
    fn url(&self, method: &str, address: &Url, headers: &[(&'static str, String)], size: Option<u64>) -> Result<String, BucketError> {
        let unfit = |error: &dyn fmt::Display| BucketError::Refused(format!("a URL that cannot be signed: {error}"));
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(self.life);
        // S3 takes paths as they are.
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let identity = aws_credential_types::Credentials::new(
            &self.credentials.access_key_id,
            &self.credentials.secret_access_key,
            self.credentials.session_token.clone(),
            None,
            "dropslip",
        )
        .into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name("s3")
            .time(SystemTime::from(self.now))
            .settings(settings)
            .build()
            .map_err(|error| unfit(&error))?;
        let length = size.map(|size| size.to_string());
        let signed =
            headers.iter().map(|(name, value)| (*name, value.as_str())).chain(length.iter().map(|n| ("Content-Length", n.as_str())));
        let request =
            SignableRequest::new(method, address.as_str(), signed, SignableBody::UnsignedPayload).map_err(|error| unfit(&error))?;
        let (instructions, _) = sign(request, &params.into()).map_err(|error| unfit(&error))?.into_parts();
        let mut url = address.clone();
        let query = instructions.params().iter().map(|(name, value)| (*name, value.as_ref()));
        url.query_pairs_mut().extend_pairs(query);
        Ok(url.into())
    }
}
