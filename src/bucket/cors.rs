//! The bucket's CORS rule: which pages may send forms and parts to it, and read what it answers.
//!
//! Only configured origins ever stand in it. A form or a signed URL is its own credential, so no rule needs a wildcard for origins.

use aws_sdk_s3::types::{CorsConfiguration, CorsRule};

use super::probe::Refusal;
use super::{Bucket, BucketError, status};

/// The rule's name: what is applied again replaces it and leaves the owner's other rules alone.
pub const RULE_ID: &str = "dropslip-pages";

/// POST for forms, PUT for signed URLs and parts, GET and HEAD for downloads.
pub const METHODS: [&str; 4] = ["POST", "PUT", "GET", "HEAD"];

/// What pages may send: anything, as the origin is the guard. Monitoring adds headers of its own, such as `traceparent`, and libraries
/// `X-Requested-With`; a page whose preflight is refused for one of them uploads nothing.
pub const ALLOWED_HEADERS: [&str; 1] = ["*"];

/// Without these nothing can be uploaded or shown: type, condition and checksum of a signed PUT, the piece of a download.
const HEADERS: [&str; 4] = ["content-type", "if-none-match", "x-amz-checksum-sha256", "range"];

/// What a page may read of an answer beside what every page may.
pub const EXPOSED: [&str; 5] = ["ETag", "Location", "Accept-Ranges", "Content-Range", "Content-Disposition"];

/// For how long a browser need not ask again.
pub const MAX_AGE_SECONDS: i32 = 600;

/// One rule, as the store tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name, where it has one.
    pub id: Option<String>,
    /// Origins, each with at most one wildcard.
    pub origins: Vec<String>,
    /// Methods.
    pub methods: Vec<String>,
    /// Request headers, lower case.
    pub headers: Vec<String>,
    /// Headers of answers that a page may read, lower case.
    pub exposed: Vec<String>,
}

impl Rule {
    /// Whether it lets pages of every origin in.
    #[must_use]
    pub fn is_for_everybody(&self) -> bool {
        self.origins.iter().any(|origin| origin == "*" || origin.ends_with("//*"))
    }

    /// Whether pages of `origin` may send headers that neither they nor dropslip have named.
    #[must_use]
    pub fn takes_any_header(&self, origin: &str) -> bool {
        self.serves(origin) && self.headers.iter().any(|known| known == "*")
    }

    /// Whether it gives `origin` what dropslip needs.
    #[must_use]
    pub fn serves(&self, origin: &str) -> bool {
        self.origins.iter().any(|known| matches(known, origin))
            && METHODS.iter().all(|method| self.methods.iter().any(|known| known == method))
            && HEADERS.iter().all(|header| self.headers.iter().any(|known| matches(known, header)))
            // Uppy names each part by the tag in its answer. The other headers help; nothing fails without them.
            && self.exposed.iter().any(|known| known == "*" || known == "etag")
    }
}

/// The one wildcard that S3 knows, anywhere in the text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, end)) => text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end),
        None => pattern == text,
    }
}

impl Bucket {
    /// Sets the rule for `origins`, beside whatever rules there are.
    ///
    /// # Errors
    /// See [`BucketError`]; also when an origin is a wildcard, or when there is none.
    pub async fn apply_cors(&self, origins: &[String]) -> Result<(), BucketError> {
        if origins.is_empty() || origins.iter().any(|origin| origin.contains('*')) {
            return Err(BucketError::Refused("a rule is for origins that are named, and never for all".to_owned()));
        }
        let mut rules = self.raw_cors().await.map_err(|refusal| refusal.error)?;
        let unfit = |error: aws_sdk_s3::error::BuildError| BucketError::Refused(error.to_string());
        let owned = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        let ours = CorsRule::builder()
            .id(RULE_ID)
            .set_allowed_origins(Some(origins.to_vec()))
            .set_allowed_methods(owned(&METHODS))
            .set_allowed_headers(owned(&ALLOWED_HEADERS))
            .set_expose_headers(owned(&EXPOSED))
            .max_age_seconds(MAX_AGE_SECONDS)
            .build()
            .map_err(unfit)?;
        // A request is held to the first rule that fits: ours keeps the place that its owner may have given it.
        let place = rules.iter().position(|rule| rule.id() == Some(RULE_ID)).unwrap_or(rules.len());
        rules.retain(|rule| rule.id() != Some(RULE_ID));
        rules.insert(place.min(rules.len()), ours);
        let configuration = CorsConfiguration::builder().set_cors_rules(Some(rules)).build().map_err(unfit)?;
        let request = self.client.put_bucket_cors().bucket(&self.name).cors_configuration(configuration);
        request.send().await.map(drop).map_err(|error| self.explained(&error))
    }

    /// The rules there are; none where the store has no configuration.
    ///
    /// # Errors
    /// Why they cannot be read.
    pub async fn cors_rules(&self) -> Result<Vec<Rule>, Refusal> {
        let rules = self.raw_cors().await?;
        let lower = |names: Option<Vec<String>>| names.unwrap_or_default().iter().map(|name| name.to_ascii_lowercase()).collect();
        Ok(rules
            .into_iter()
            .map(|rule| Rule {
                id: rule.id,
                origins: rule.allowed_origins,
                methods: rule.allowed_methods,
                headers: lower(rule.allowed_headers),
                exposed: lower(rule.expose_headers),
            })
            .collect())
    }

    async fn raw_cors(&self) -> Result<Vec<CorsRule>, Refusal> {
        match self.client.get_bucket_cors().bucket(&self.name).send().await {
            Ok(output) => Ok(output.cors_rules.unwrap_or_default()),
            Err(error) => {
                let refusal = self.refusal(&error);
                // The same status stands for a bucket that is not there.
                if status(&error) == Some(404) && refusal.code != "NoSuchBucket" { Ok(Vec::new()) } else { Err(refusal) }
            }
        }
    }
}

/// The rule as `aws s3api put-bucket-cors` reads it.
#[must_use]
pub fn document(origins: &[String]) -> serde_json::Value {
    serde_json::json!({"CORSRules": [{
        "ID": RULE_ID,
        "AllowedOrigins": origins,
        "AllowedMethods": METHODS,
        "AllowedHeaders": ALLOWED_HEADERS,
        "ExposeHeaders": EXPOSED,
        "MaxAgeSeconds": MAX_AGE_SECONDS,
    }]})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(origin: &str, methods: &[&str], headers: &[&str]) -> Rule {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Rule {
            id: None,
            origins: vec![origin.to_owned()],
            methods: owned(methods),
            headers: owned(headers),
            exposed: vec!["etag".to_owned()],
        }
    }

    #[test]
    fn a_rule_serves_an_origin_with_every_method_and_header_only() {
        let origin = "https://app.example.com";
        for known in [origin, "https://*.example.com", "*"] {
            assert!(rule(known, &METHODS, &HEADERS).serves(origin) && rule(known, &METHODS, &["*"]).serves(origin), "{known}");
            // Rules of older versions name headers: uploads work, but for pages that send others too.
            assert!(!rule(known, &METHODS, &HEADERS).takes_any_header(origin), "{known}");
            assert!(rule(known, &METHODS, &["x-a", "*"]).takes_any_header(origin), "{known}");
        }
        for known in ["https://app.example.co", "https://*.example.org", "https://app.example.com*s", "http://app.example.com"] {
            assert!(!rule(known, &METHODS, &HEADERS).serves(origin) && !rule(known, &METHODS, &["*"]).takes_any_header(origin), "{known}");
        }
        assert!(!rule(origin, &METHODS[..1], &HEADERS).serves(origin) && !rule(origin, &METHODS, &HEADERS[..1]).serves(origin));
        for (exposed, enough) in [(vec![], false), (vec!["location"], false), (vec!["*"], true), (vec!["location", "etag"], true)] {
            let exposed = exposed.into_iter().map(ToOwned::to_owned).collect();
            assert_eq!(Rule { exposed, ..rule(origin, &METHODS, &HEADERS) }.serves(origin), enough);
        }
    }

    #[test]
    fn everybody_is_told_from_a_family_of_origins() {
        for (known, everybody) in [("*", true), ("https://*", true), ("https://*.example.com", false), ("https://a.example", false)] {
            assert_eq!(rule(known, &[], &[]).is_for_everybody(), everybody, "{known}");
        }
    }
}
