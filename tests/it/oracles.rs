//! Two other signers, boto3 and the AWS SDK for JavaScript, make the same of the same input.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use dropslip::post_policy::{Credentials, PresignedPost, Signer, SigningKey, UploadTerms};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::macros::{datetime, format_description};
use time::{Duration, OffsetDateTime, UtcOffset};

use crate::harness::{ask, from_servers};

const SEED: [u8; 32] = *b"the signers of dropslip are 3...";

const GENERATED: usize = 30;

/// What a form is made from.
#[derive(Debug, Clone)]
struct Input {
    bucket: String,
    key: String,
    content_type: String,
    sizes: (u64, u64),
    checksum: Option<String>,
    lifetime: u32,
    region: String,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    now: OffsetDateTime,
}

impl Input {
    fn credentials(&self) -> Credentials {
        Credentials {
            access_key_id: self.access_key_id.clone(),
            secret_access_key: self.secret_access_key.clone(),
            session_token: self.session_token.clone(),
            expires_at: None,
        }
    }

    fn presigned(&self) -> PresignedPost {
        let terms = UploadTerms {
            bucket: &self.bucket,
            key: &self.key,
            content_type: &self.content_type,
            min_size: self.sizes.0,
            max_size: self.sizes.1,
            checksum_sha256: self.checksum.as_deref(),
            lifetime: Duration::seconds(self.lifetime.into()),
        };
        Signer::new(self.region.clone()).presign(String::new(), &terms, &self.credentials(), self.now).unwrap()
    }

    /// What both ways of asking have in common.
    fn signer(&self) -> Value {
        let clock = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
        json!({
            "access_key": self.access_key_id, "secret_key": self.secret_access_key, "session_token": self.session_token,
            "region": self.region, "now": self.now.to_offset(UtcOffset::UTC).format(clock).unwrap(),
        })
    }

    /// Asks for the signature of a policy that is there already.
    fn signature_question(&self, policy: &str) -> Value {
        let mut question = self.signer();
        question["policy_b64"] = json!(policy);
        question
    }

    /// Asks for a form. Only what neither of the two adds by itself is told: written from the input, not from our form.
    fn form_question(&self) -> Value {
        let mut fields = BTreeMap::from([("Content-Type", self.content_type.as_str()), ("success_action_status", "201")]);
        if let Some(checksum) = &self.checksum {
            fields.extend([("x-amz-checksum-algorithm", "SHA256"), ("x-amz-checksum-sha256", checksum)]);
        }
        let mut conditions: Vec<Value> = fields.iter().map(|(name, value)| json!({*name: value})).collect();
        conditions.push(json!(["content-length-range", self.sizes.0, self.sizes.1]));
        let mut question = self.signer();
        question["bucket"] = json!(self.bucket);
        question["key"] = json!(self.key);
        question["expires_in"] = json!(self.lifetime);
        question["fields"] = json!(fields);
        question["conditions"] = json!(conditions);
        question
    }
}

fn plain() -> Input {
    Input {
        bucket: "drop".to_owned(),
        key: "temp/019a0b1c2d3e-00112233445566778899aabbccddeeff".to_owned(),
        content_type: "image/png".to_owned(),
        sizes: (1, 104_857_600),
        checksum: None,
        lifetime: 3_600,
        region: "us-east-1".to_owned(),
        access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
        session_token: None,
        now: datetime!(2026-01-02 03:04:05 UTC),
    }
}

/// The inputs that chance would hardly find.
fn chosen() -> Vec<Input> {
    let days = [
        datetime!(2028-02-28 23:59:59 UTC),
        datetime!(2028-02-29 00:00:00 UTC),
        datetime!(2028-02-29 23:59:59.999_999_999 UTC),
        datetime!(2026-12-31 23:59:59 UTC),
        datetime!(2027-01-01 00:00:00.000_000_001 UTC),
        // The day is UTC's, wherever the clock stands.
        datetime!(2026-06-30 23:30:00 -05:00),
        datetime!(2026-03-01 00:30:00 +14:00),
    ];
    let types = [
        "text/plain; charset=\"utf-8\"",
        "x-ünï/文書; 🖇\u{fe0f}=\\\"</script>\u{2028}",
        "tab\tline\r\nbell\u{7}nul\0delete\u{7f}/$Content-Type",
    ];
    let mut inputs: Vec<_> = days.into_iter().map(|now| Input { now, ..plain() }).collect();
    inputs.extend(types.into_iter().map(|content_type| Input { content_type: content_type.to_owned(), ..plain() }));
    inputs.push(Input {
        session_token: Some("FwoGZXIvYXdzEJr//////////wEaDH+/=".repeat(40)),
        checksum: Some("LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=".to_owned()),
        ..plain()
    });
    inputs
}

fn input() -> impl Strategy<Value = Input> {
    let regions = select(&["us-east-1", "eu-central-1", "ap-southeast-2", "us-gov-west-1", "cn-north-1", "me-south-1", "garage"][..]);
    let content_type = prop_oneof!["[a-z]{1,12}/[a-z0-9.+-]{1,30}", "\\PC{1,60}"];
    let who = ("[A-Z0-9]{16,20}", "[A-Za-z0-9/+]{40}", proptest::option::of("[A-Za-z0-9/+]{40,400}={0,2}"));
    let terms = ("[a-z0-9][a-z0-9-]{1,60}[a-z0-9]", "[ -z|~]{1,80}", content_type, (0..100_u64, 100..5_368_709_121_u64));
    let seconds = 1_700_000_000..4_000_000_000_i64;
    (terms, proptest::option::of("[A-Za-z0-9+/]{43}="), 1..604_800_u32, regions, who, (seconds, 0..1_000_000_000_i64)).prop_map(
        |((bucket, key, content_type, sizes), checksum, lifetime, region, who, (seconds, nanoseconds))| Input {
            bucket,
            key,
            content_type,
            sizes,
            checksum,
            lifetime,
            region: region.to_owned(),
            access_key_id: who.0,
            secret_access_key: who.1,
            session_token: who.2,
            now: OffsetDateTime::from_unix_timestamp(seconds).unwrap() + Duration::nanoseconds(nanoseconds),
        },
    )
}

/// The same in every run.
fn inputs() -> Vec<Input> {
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &SEED));
    let generated = std::iter::repeat_with(|| input().new_tree(&mut runner).unwrap().current()).take(GENERATED);
    chosen().into_iter().chain(generated).collect()
}

/// A form's fields by lower-case name: names mean the same in every case, and the SDK for JavaScript capitalizes its own.
fn by_name<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    let mut named = BTreeMap::new();
    for (name, value) in fields {
        assert_eq!(named.insert(name.to_ascii_lowercase(), value.to_owned()), None, "{name} comes twice");
    }
    named
}

fn our_fields(post: &PresignedPost) -> BTreeMap<String, String> {
    by_name(post.fields.iter().map(|(name, value)| (*name, value.as_str())))
}

fn their_fields(answer: &Value) -> BTreeMap<String, String> {
    by_name(answer["fields"].as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())))
}

/// When a policy ends and everything it demands: sorted, each once, field names in lower case.
fn demands(policy: &str) -> (OffsetDateTime, Vec<String>) {
    let policy: Value = serde_json::from_slice(&BASE64.decode(policy).unwrap()).unwrap();
    assert_eq!(policy.as_object().unwrap().len(), 2, "{policy}");
    let ends = OffsetDateTime::parse(policy["expiration"].as_str().unwrap(), &Rfc3339).unwrap();
    let mut conditions: Vec<String> = policy["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|condition| match condition.as_object() {
            Some(exact) => json!(exact.iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect::<BTreeMap<_, _>>()),
            None => condition.clone(),
        })
        .map(|condition| condition.to_string())
        .collect();
    conditions.sort();
    (ends, conditions)
}

fn boto3(questions: &[Value]) -> Vec<Value> {
    ask(&from_servers("TEST_PYTHON"), "boto3_post.py", questions)
}

fn javascript(questions: &[Value]) -> Vec<Value> {
    ask("node", "presigned_post.mjs", questions)
}

fn signs_our_policies_alike(oracle: fn(&[Value]) -> Vec<Value>) {
    let inputs = inputs();
    let posts: Vec<_> = inputs.iter().map(|input| our_fields(&input.presigned())).collect();
    let questions: Vec<_> = inputs.iter().zip(&posts).map(|(input, ours)| input.signature_question(&ours["policy"])).collect();
    for ((input, ours), answer) in inputs.iter().zip(&posts).zip(oracle(&questions)) {
        assert_eq!(answer["signature"], json!(ours["x-amz-signature"]), "{input:?}");
    }
}

/// `unsent` are the fields that this signer leaves to its caller.
fn makes_the_same_form(oracle: fn(&[Value]) -> Vec<Value>, unsent: &[&str]) {
    let inputs = inputs();
    let questions: Vec<_> = inputs.iter().map(Input::form_question).collect();
    for (input, answer) in inputs.iter().zip(oracle(&questions)) {
        let post = input.presigned();
        let mut ours = our_fields(&post);
        let mut theirs = their_fields(&answer);

        let our_policy = ours.remove("policy").unwrap();
        let their_policy = theirs.remove("policy").unwrap();
        let (ends, conditions) = demands(&their_policy);
        assert_eq!(demands(&our_policy), (ends, conditions), "{input:?}");
        assert_eq!(post.expires_at, ends, "{input:?}");

        // The texts of the policies differ, by spaces, order and escapes; so do the signatures. Ours of their text is theirs.
        let key = SigningKey::derive(&input.secret_access_key, input.now.to_offset(UtcOffset::UTC).date(), &input.region);
        assert_eq!(key.sign(&their_policy), theirs.remove("x-amz-signature").unwrap(), "{input:?}");

        ours.remove("x-amz-signature").unwrap();
        for field in unsent {
            ours.remove(*field).unwrap();
        }
        assert_eq!(ours, theirs, "{input:?}");
    }
}

#[test]
fn the_inputs_cover_what_they_are_meant_to() {
    let inputs = inputs();
    assert!(inputs.len() >= 40);
    let count = |what: fn(&Input) -> bool| inputs.iter().filter(|input| what(input)).count();
    assert!(count(|i| i.session_token.is_some()) > 5 && count(|i| i.session_token.is_none()) > 5);
    assert!(count(|i| i.checksum.is_some()) > 5 && count(|i| i.checksum.is_none()) > 5);
    assert!(count(|i| !i.content_type.is_ascii()) > 5);
    let mut regions: Vec<_> = inputs.iter().map(|input| &input.region).collect();
    regions.sort();
    regions.dedup();
    assert!(regions.len() > 4, "{regions:?}");
}

#[test]
fn boto3_signs_our_policies_like_us() {
    signs_our_policies_alike(boto3);
}

#[test]
fn the_aws_sdk_for_javascript_signs_our_policies_like_us() {
    signs_our_policies_alike(javascript);
}

#[test]
fn boto3_makes_the_same_form_of_the_same_input() {
    // It puts the bucket into the address and into the policy, not into the form.
    makes_the_same_form(boto3, &["bucket"]);
}

#[test]
fn the_aws_sdk_for_javascript_makes_the_same_form_of_the_same_input() {
    makes_the_same_form(javascript, &[]);
}
