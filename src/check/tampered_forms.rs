//! Uploads that were tampered with: each should be refused and leave nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::clock::now;
use super::confirmation::{Bench, LIFETIME};
use super::forms::Form;
use super::puts::Put;
use super::verdict::{Against, Tried};
use super::{Probe, Report, Status};
use crate::bucket::Bucket;
use crate::post_policy::SigningKey;

struct Tampering<T> {
    name: &'static str,
    against: Against,
    tamper: fn(&mut T, &Probe),
}

const fn by<T>(name: &'static str, against: Against, tamper: fn(&mut T, &Probe)) -> Tampering<T> {
    Tampering { name, against, tamper }
}

/// Signed with a checksum, so that other bytes of the same length are tampering too.
const OTHER_BYTES: &str = "other-bytes";

/// Signed so long ago that it is dead.
const EXPIRED: &str = "expired";

const ACL: &str = "acl-added";

const OF_FORMS: [Tampering<Form>; 19] = [
    by("signature-made-up", Against::Slip, |form, _| form.set("x-amz-signature", "0".repeat(64))),
    by("signature-removed", Against::Slip, |form, _| form.remove("x-amz-signature")),
    by("another-secret", Against::Slip, |form, probe| {
        let key = SigningKey::derive("not-the-secret", now().date(), probe.bucket.region());
        form.set("x-amz-signature", key.sign(&form.get("policy")));
    }),
    by("policy-lives-longer", Against::Slip, |form, _| form.rewrite_policy(|policy| policy["expiration"] = json!("2099-01-01T00:00:00Z"))),
    by("policy-removed", Against::Slip, |form, _| form.remove("policy")),
    by(EXPIRED, Against::Slip, |_, _| ()),
    by("another-key", Against::Keys, |form, probe| form.set("key", probe.remember(format!("{}x", form.key)))),
    by("a-sealed-key", Against::Keys, |form, probe| form.set("key", probe.sealed_key("form"))),
    by("key-from-file-name", Against::Keys, |form, probe| {
        form.set("key", format!("{}${{filename}}", probe.staging));
        probe.remember(format!("{}check.txt", probe.staging));
    }),
    by("another-type", Against::Grant, |form, _| form.set("Content-Type", "text/html")),
    by("one-byte-more", Against::Grant, |form, _| form.file.push(b'!')),
    by("no-bytes", Against::Grant, |form, _| form.file.clear()),
    by(OTHER_BYTES, Against::Grant, |form, _| form.file.make_ascii_uppercase()),
    by(ACL, Against::Fields, |form, _| form.add("acl", "public-read")),
    by("another-bucket-field", Against::Fields, |form, _| form.set("bucket", format!("{}-elsewhere", form.get("bucket")))),
    by("redirect-added", Against::Fields, |form, _| form.add("success_action_redirect", "https://dropslip-check.invalid/")),
    by("session-token-added", Against::Fields, |form, _| form.add("x-amz-security-token", "made-up")),
    by("metadata-added", Against::Fields, |form, _| form.add("x-amz-meta-owner", "me")),
    by("headers-added", Against::Fields, |form, _| {
        form.add("Cache-Control", "public, max-age=31536000");
        form.add("Content-Encoding", "gzip");
    }),
];

const OF_PUTS: [Tampering<Put>; 6] = [
    by("signature-made-up", Against::Slip, |put, _| {
        let (start, _) = put.url.rsplit_once("X-Amz-Signature=").unwrap_or((&put.url, ""));
        put.url = format!("{start}X-Amz-Signature={}", "0".repeat(64));
    }),
    by(EXPIRED, Against::Slip, |_, _| ()),
    by("another-key", Against::Keys, |put, probe| {
        probe.key("put-another-keyx");
        put.url = put.url.replacen("put-another-key?", "put-another-keyx?", 1);
    }),
    by("another-type", Against::Grant, |put, _| put.set("Content-Type", "text/html")),
    by("one-byte-more", Against::Grant, |put, _| put.bytes.push(b'!')),
    by("condition-removed", Against::Fields, |put, _| put.headers.retain(|(name, _)| name != "If-None-Match")),
];

impl Put {
    fn set(&mut self, name: &str, value: &str) {
        self.headers.iter_mut().filter(|(header, _)| header == name).for_each(|header| value.clone_into(&mut header.1));
    }
}

impl Form {
    fn get(&self, name: &str) -> String {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone()).unwrap_or_default()
    }

    fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        self.fields.iter_mut().filter(|(field, _)| field == name).for_each(|field| field.1.clone_from(&value));
    }

    fn add(&mut self, name: &str, value: &str) {
        // Credentials that are temporary put a token into every form: there is one then, and it is changed.
        if self.fields.iter().any(|(field, _)| field == name) {
            self.set(name, value);
        } else {
            self.fields.push((name.to_owned(), value.to_owned()));
        }
    }

    fn remove(&mut self, name: &str) {
        self.fields.retain(|(field, _)| field != name);
    }

    /// Changes the signed document and keeps the signature.
    fn rewrite_policy(&mut self, change: impl FnOnce(&mut Value)) {
        let mut policy: Value =
            BASE64.decode(self.get("policy")).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        if policy.is_object() {
            change(&mut policy);
        }
        self.set("policy", BASE64.encode(policy.to_string()));
    }
}

/// Signed so long ago that it is dead, even where clocks are off.
fn signed_at(name: &str) -> OffsetDateTime {
    if name == EXPIRED { now() - LIFETIME - Duration::hours(1) } else { now() }
}

/// Sends each form and tells which were let through, and what came of them.
pub(super) async fn forms(probe: &Probe, way: &Bucket, bench: Option<&Bench>, report: &mut Report) {
    for Tampering { name, against, tamper } in &OF_FORMS {
        let check = format!("tampered:{name}");
        let key = probe.key(name);
        let with_checksum = *name == OTHER_BYTES;
        let signed = Form::signed(way, key.clone(), with_checksum, signed_at(name)).await;
        let before = probe.keys().len();
        let answer = async {
            let mut form = signed?;
            tamper(&mut form, probe);
            form.send(&probe.http).await
        };
        match answer.await {
            Ok(answer) => {
                let others = probe.keys().split_off(before);
                let tried = Tried { probe, check, against: *against, is_acl: *name == ACL, with_checksum, key, others, answer };
                tried.judge(bench, report).await;
            }
            Err(why) => report.advise(&check, Status::Warning, format!("no answer: {why}"), "run the check again"),
        }
    }
}

/// The same with presigned PUTs.
pub(super) async fn puts(probe: &Probe, way: &Bucket, bench: Option<&Bench>, report: &mut Report) {
    for Tampering { name, against, tamper } in &OF_PUTS {
        let check = format!("tampered-put:{name}");
        let key = probe.key(&format!("put-{name}"));
        let signed = Put::signed(way, &key, signed_at(name)).await;
        let before = probe.keys().len();
        let answer = async {
            let mut put = signed?;
            tamper(&mut put, probe);
            put.send(&probe.http).await
        };
        match answer.await {
            Ok(answer) => {
                let others = probe.keys().split_off(before);
                let tried = Tried { probe, check, against: *against, is_acl: false, with_checksum: false, key, others, answer };
                tried.judge(bench, report).await;
            }
            Err(why) => report.advise(&check, Status::Warning, format!("no answer: {why}"), "run the check again"),
        }
    }
}
