//! POST policies and their AWS4-HMAC-SHA256 signature: pure, no clock, no network.
//!
//! A signed form lets whoever holds it write one object, once or many times, until it expires. What makes it safe is that every
//! field it carries has a condition in the signed policy, and that no condition is wider than what was granted. AWS refuses a
//! form with a field that no condition covers; other stores let some of them through, so dropslip never emits one.
//!
//! Source: Amazon S3 API Reference, "Browser-based uploads using POST (AWS signature version 4)".

use std::fmt;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use sha2::Sha256;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Date, Duration, OffsetDateTime, UtcOffset};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]");
const AMZ_DATE: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");
const EXPIRATION: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// Room for a policy's JSON, in bytes: enough for most.
const DOCUMENT_BYTES: usize = 1024;

/// A form ends this long before its credentials do, so that a clock that runs behind does not outlive them.
pub(crate) const CREDENTIALS_MARGIN: Duration = Duration::seconds(30);

/// The AWS credentials that a form is signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Names the secret; public, part of every form.
    pub access_key_id: String,
    /// The secret; never leaves this process.
    pub secret_access_key: String,
    /// Present with temporary credentials; part of the form and of its conditions.
    pub session_token: Option<String>,
    /// When temporary credentials end, and every form signed with them.
    pub expires_at: Option<OffsetDateTime>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Signing was refused because the credentials end too soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the AWS credentials end too soon to sign a form with them")]
pub struct CredentialsExpired;

/// What one form allows: one key, one type, a range of sizes, until a point in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadTerms<'a> {
    /// The bucket's name.
    pub bucket: &'a str,
    /// The only key the form may write.
    pub key: &'a str,
    /// The only content type.
    pub content_type: &'a str,
    /// Fewest bytes.
    pub min_size: u64,
    /// Most bytes.
    pub max_size: u64,
    /// Base64 SHA-256 that the bytes must have.
    pub checksum_sha256: Option<&'a str>,
    /// How long the form stays good, unless the credentials end sooner.
    pub lifetime: Duration,
}

/// A form: where to send it and its fields, in the order in which they are best sent.
#[derive(Clone, PartialEq, Eq)]
pub struct PresignedPost {
    /// Where the form goes.
    pub url: String,
    /// Name and value of every field but `file`, which comes last.
    pub fields: Vec<(&'static str, String)>,
    /// When it stops being accepted, to the second: what the policy says, not what was wished for.
    pub expires_at: OffsetDateTime,
}

// A form is as good as a password for one object: it does not belong in logs.
impl fmt::Debug for PresignedPost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresignedPost").field("url", &self.url).field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// One thing the store must hold the form to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The field has exactly this value.
    Exactly(&'static str, String),
    /// The file has this many bytes.
    ContentLengthRange(u64, u64),
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Exactly(field, value) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(field, value)?;
                map.end()
            }
            Self::ContentLengthRange(min, max) => ("content-length-range", min, max).serialize(serializer),
        }
    }
}

/// The document that is signed: what a form may do and until when.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PostPolicy {
    expiration: String,
    conditions: Vec<Condition>,
    #[serde(skip)]
    expires_at: OffsetDateTime,
}

impl PostPolicy {
    /// The policy for `terms`, with a condition for every field that the form will carry.
    ///
    /// # Errors
    /// [`CredentialsExpired`] when the form would be dead already.
    pub fn new(terms: &UploadTerms<'_>, credentials: &Credentials, region: &str, now: OffsetDateTime) -> Result<Self, CredentialsExpired> {
        let now = now.to_offset(UtcOffset::UTC);
        let wished = now + terms.lifetime;
        let last = credentials.expires_at.map_or(wished, |end| wished.min(end.to_offset(UtcOffset::UTC) - CREDENTIALS_MARGIN));
        let expires_at = last.replace_nanosecond(0).unwrap_or(last);
        if expires_at <= now {
            return Err(CredentialsExpired);
        }
        let exactly = |field, value: &str| Condition::Exactly(field, value.to_owned());
        let mut conditions = vec![
            exactly("Content-Type", terms.content_type),
            exactly("bucket", terms.bucket),
            exactly("key", terms.key),
            exactly("success_action_status", "201"),
            exactly("x-amz-algorithm", ALGORITHM),
            Condition::Exactly("x-amz-credential", format!("{}/{}", credentials.access_key_id, scope(now.date(), region))),
            Condition::Exactly("x-amz-date", formatted(now, AMZ_DATE)),
        ];
        if let Some(token) = &credentials.session_token {
            conditions.push(exactly("x-amz-security-token", token));
        }
        if let Some(checksum) = terms.checksum_sha256 {
            conditions.push(exactly("x-amz-checksum-algorithm", "SHA256"));
            conditions.push(exactly("x-amz-checksum-sha256", checksum));
        }
        conditions.push(Condition::ContentLengthRange(terms.min_size, terms.max_size));
        Ok(Self { expiration: formatted(expires_at, EXPIRATION), conditions, expires_at })
    }

    /// What the store must hold the form to.
    #[must_use]
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// When it ends.
    #[must_use]
    pub fn expires_at(&self) -> OffsetDateTime {
        self.expires_at
    }

    /// The form: a field for every condition on one, then the policy and its signature.
    #[must_use]
    pub fn sign(self, url: String, key: &SigningKey) -> PresignedPost {
        let mut document = Vec::with_capacity(DOCUMENT_BYTES);
        // Strings and numbers always serialize.
        let _ = serde_json::to_writer(&mut document, &self);
        let policy = BASE64.encode(document);
        let signature = key.sign(&policy);
        let mut fields: Vec<_> = self
            .conditions
            .into_iter()
            .filter_map(|condition| match condition {
                Condition::Exactly(field, value) => Some((field, value)),
                Condition::ContentLengthRange(..) => None,
            })
            .collect();
        fields.push(("policy", policy));
        fields.push(("x-amz-signature", signature));
        PresignedPost { url, fields, expires_at: self.expires_at }
    }
}

/// The key derived from a secret for one day, region and service.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// Derives the key with four HMACs.
    #[must_use]
    pub fn derive(secret_access_key: &str, day: Date, region: &str) -> Self {
        let day = day.format(DAY).unwrap_or_default();
        let seed = hmac(format!("AWS4{secret_access_key}").as_bytes());
        let key = [day.as_str(), region, "s3", "aws4_request"].into_iter().fold(seed, |key, part| hmac(&digest(key, part)));
        Self(key)
    }

    /// Lower-case hex signature of a base64 policy.
    #[must_use]
    pub fn sign(&self, policy: &str) -> String {
        let mut text = [0; 64];
        // It has the length of a SHA-256 in hex.
        let _ = hex::encode_to_slice(digest(self.0.clone(), policy), &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

fn hmac(key: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length (RFC 2104)")]
    Hmac::new_from_slice(key).expect("HMAC takes keys of every length")
}

fn digest(mut mac: Hmac<Sha256>, message: &str) -> [u8; 32] {
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().into()
}

fn scope(day: Date, region: &str) -> String {
    format!("{}/{region}/s3/aws4_request", day.format(DAY).unwrap_or_default())
}

fn formatted(instant: OffsetDateTime, format: &[BorrowedFormatItem<'_>]) -> String {
    instant.format(format).unwrap_or_default()
}

/// Signs forms for one region; keeps the derived key until the day or the credentials change.
pub struct Signer {
    region: String,
    latest: Mutex<Option<(Credentials, Date, SigningKey)>>,
}

impl Signer {
    /// A signer for `region` that has derived nothing yet.
    #[must_use]
    pub fn new(region: String) -> Self {
        Self { region, latest: Mutex::new(None) }
    }

    /// The region in every signature's scope.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// A signed form for `terms`.
    ///
    /// # Errors
    /// [`CredentialsExpired`] when the form would be dead already.
    pub fn presign(
        &self,
        url: String,
        terms: &UploadTerms<'_>,
        credentials: &Credentials,
        now: OffsetDateTime,
    ) -> Result<PresignedPost, CredentialsExpired> {
        let policy = PostPolicy::new(terms, credentials, &self.region, now)?;
        Ok(policy.sign(url, &self.key(credentials, now.to_offset(UtcOffset::UTC).date())))
    }

    fn key(&self, credentials: &Credentials, day: Date) -> SigningKey {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((cached_for, cached_day, key)) = &*latest
            && cached_for == credentials
            && *cached_day == day
        {
            return key.clone();
        }
        let key = SigningKey::derive(&credentials.secret_access_key, day, &self.region);
        *latest = Some((credentials.clone(), day, key.clone()));
        key
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;
    use time::macros::{date, datetime};

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05.678 UTC);

    fn credentials() -> Credentials {
        Credentials {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: None,
            expires_at: None,
        }
    }

    fn terms(lifetime: Duration) -> UploadTerms<'static> {
        UploadTerms {
            bucket: "bucket",
            key: "temp/key",
            content_type: "image/png",
            min_size: 1,
            max_size: 10,
            checksum_sha256: None,
            lifetime,
        }
    }

    fn presigned(terms: &UploadTerms<'_>, credentials: &Credentials) -> PresignedPost {
        Signer::new("us-east-1".to_owned()).presign("http://s3.test/bucket".to_owned(), terms, credentials, NOW).unwrap()
    }

    fn field<'a>(post: &'a PresignedPost, name: &str) -> Option<&'a str> {
        post.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str())
    }

    fn policy(post: &PresignedPost) -> Value {
        serde_json::from_slice(&BASE64.decode(field(post, "policy").unwrap()).unwrap()).unwrap()
    }

    /// "Example: Browser-based upload using HTTP POST (using AWS signature version 4)", Amazon S3 API Reference.
    #[test]
    fn the_example_that_aws_publishes_gets_its_signature() {
        let policy = include_str!("../tests/data/aws_post_policy_example.b64").trim();
        let key = SigningKey::derive(&credentials().secret_access_key, date!(2015 - 12 - 29), "us-east-1");
        assert_eq!(key.sign(policy), "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e");
    }

    #[test]
    fn a_form_never_outlives_its_credentials() {
        let ending = |in_seconds| Credentials { expires_at: Some(NOW + Duration::seconds(in_seconds)), ..credentials() };
        let post = presigned(&terms(Duration::HOUR), &ending(600));
        assert_eq!(post.expires_at, datetime!(2026-01-02 03:13:35 UTC));
        assert_eq!(policy(&post)["expiration"], "2026-01-02T03:13:35Z");
        let signer = Signer::new("us-east-1".to_owned());
        assert_eq!(signer.presign(String::new(), &terms(Duration::HOUR), &ending(20), NOW), Err(CredentialsExpired));
        assert_eq!(presigned(&terms(Duration::HOUR), &ending(86_400)).expires_at, datetime!(2026-01-02 04:04:05 UTC));
    }

    #[test]
    fn the_derived_key_follows_credentials_and_day() {
        let signer = Signer::new("us-east-1".to_owned());
        let signature = |credentials: &Credentials, now| {
            let post = signer.presign(String::new(), &terms(Duration::HOUR), credentials, now).unwrap();
            let key = SigningKey::derive(&credentials.secret_access_key, now.date(), "us-east-1");
            assert_eq!(field(&post, "x-amz-signature").unwrap(), key.sign(field(&post, "policy").unwrap()));
        };
        let rotated = Credentials { secret_access_key: "another".to_owned(), ..credentials() };
        for (credentials, now) in [(&credentials(), NOW), (&rotated, NOW), (&credentials(), NOW), (&credentials(), NOW + Duration::DAY)] {
            signature(credentials, now);
        }
    }

    #[test]
    fn neither_forms_nor_credentials_print_their_secrets() {
        let temporary = Credentials { session_token: Some("the-token".to_owned()), ..credentials() };
        let printed = format!("{temporary:?} {:?}", presigned(&terms(Duration::HOUR), &temporary));
        assert!(!printed.contains("wJalr") && !printed.contains("the-token") && !printed.contains("signature"), "{printed}");
    }

    proptest! {
        #[test]
        fn every_field_has_its_condition_and_every_condition_its_field(
            bucket in "[a-z0-9.-]{3,63}", key in "\\PC{1,80}", content_type in "\\PC{1,80}", region in "[a-z0-9-]{1,20}",
            access_key_id in "[A-Z0-9]{16,20}", token in proptest::option::of("\\PC{1,200}"), checksum in proptest::option::of("[A-Za-z0-9+/]{43}="),
            min_size in 0..u64::MAX, max_size in 0..u64::MAX, lifetime in 1..604_800_i64,
        ) {
            let credentials = Credentials { access_key_id, session_token: token.clone(), ..credentials() };
            let terms = UploadTerms {
                bucket: &bucket, key: &key, content_type: &content_type, min_size, max_size,
                checksum_sha256: checksum.as_deref(), lifetime: Duration::seconds(lifetime),
            };
            let post = Signer::new(region).presign(String::new(), &terms, &credentials, NOW).unwrap();
            let policy = policy(&post);
            let conditions = policy["conditions"].as_array().unwrap();
            let covered = |name: &str, value: &str| conditions.iter().any(|c| c.as_object().is_some_and(|c| c.len() == 1 && c.get(name).and_then(Value::as_str) == Some(value)));
            for (name, value) in &post.fields {
                prop_assert!(["policy", "x-amz-signature"].contains(name) || covered(name, value), "{} has no condition", name);
            }
            prop_assert_eq!(conditions.len(), post.fields.len() - 2 + 1, "one condition a field, and the range");
            prop_assert!(conditions.contains(&serde_json::json!(["content-length-range", min_size, max_size])));
            prop_assert_eq!(field(&post, "x-amz-security-token"), token.as_deref());
            prop_assert_eq!(field(&post, "x-amz-checksum-sha256"), checksum.as_deref());
        }
    }
}
