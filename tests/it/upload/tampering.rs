//! A form that was changed in any way is refused by stores that verify it, and leaves nothing behind.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use dropslip::post_policy::SigningKey;
use reqwest::StatusCode;
use serde_json::{Value, json};
use time::macros::format_description;
use time::{Date, Duration, OffsetDateTime};

use crate::harness::{Bed, Setup, Slip, TestBroker, new_file, short_lived};

/// A slip for exactly five bytes of `hello` with their checksum, and how its form is about to be sent.
struct Form {
    slip: Slip,
    url: String,
    fields: Vec<(String, String)>,
    file: Option<Vec<u8>>,
    secret: String,
}

impl Form {
    fn get(&self, name: &str) -> String {
        self.slip.param(name).to_owned()
    }

    fn set(&mut self, name: &str, value: impl Into<String>) {
        let field = self.fields.iter_mut().find(|(field, _)| field == name).unwrap_or_else(|| panic!("no {name}"));
        field.1 = value.into();
    }

    fn add(&mut self, name: &str, value: &str) {
        self.fields.push((name.to_owned(), value.to_owned()));
    }

    fn remove(&mut self, name: &str) {
        let before = self.fields.len();
        self.fields.retain(|(field, _)| field != name);
        assert_eq!(self.fields.len(), before - 1, "{name} was not there to be removed");
    }

    /// Changes the signed document and keeps the old signature.
    fn rewrite_policy(&mut self, change: impl FnOnce(&mut Value)) {
        let mut policy: Value = serde_json::from_slice(&BASE64.decode(self.get("policy")).unwrap()).unwrap();
        change(&mut policy);
        let rewritten = BASE64.encode(policy.to_string());
        assert_ne!(rewritten, self.get("policy"));
        self.set("policy", rewritten);
    }

    fn sign_with(&mut self, secret: &str, day: Date, region: &str) {
        let signature = SigningKey::derive(secret, day, region).sign(&self.get("policy"));
        assert_ne!(signature, self.get("x-amz-signature"));
        self.set("x-amz-signature", signature);
    }

    fn day(&self) -> Date {
        Date::parse(&self.get("x-amz-date")[..8], format_description!("[year][month][day]")).unwrap()
    }
}

type Tampering = (&'static str, fn(&mut Form));

/// What SeaweedFS and the embedded store both refuse, as AWS does.
const TAMPERINGS: [Tampering; 42] = [
    ("one digit of the signature changed", |f| {
        let signature = f.get("x-amz-signature");
        let last = if signature.ends_with('0') { '1' } else { '0' };
        f.set("x-amz-signature", format!("{}{last}", &signature[..63]));
    }),
    ("signature blank", |f| f.set("x-amz-signature", "")),
    ("signature removed", |f| f.remove("x-amz-signature")),
    ("signature cut short", |f| f.set("x-amz-signature", f.get("x-amz-signature")[..32].to_owned())),
    ("signed with another secret", |f| f.sign_with("not-the-secret", f.day(), "us-east-1")),
    ("signed for another day", |f| f.sign_with(&f.secret.clone(), f.day().previous_day().unwrap(), "us-east-1")),
    ("signed for another region", |f| f.sign_with(&f.secret.clone(), f.day(), "eu-west-1")),
    ("policy allows more bytes", |f| {
        f.rewrite_policy(|p| *p["conditions"].as_array_mut().unwrap().last_mut().unwrap() = json!(["content-length-range", 0, 1_000_000]));
    }),
    ("policy lives longer", |f| f.rewrite_policy(|p| p["expiration"] = json!("2099-01-01T00:00:00Z"))),
    ("policy has no conditions", |f| f.rewrite_policy(|p| p["conditions"] = json!([]))),
    ("policy allows any key", |f| f.rewrite_policy(|p| p["conditions"][2] = json!(["starts-with", "$key", ""]))),
    ("policy removed", |f| f.remove("policy")),
    ("policy blank", |f| f.set("policy", "")),
    ("policy is not base64", |f| f.set("policy", "???")),
    ("policy is not JSON", |f| f.set("policy", BASE64.encode("hello"))),
    ("another key", |f| f.set("key", format!("{}x", f.get("key")))),
    ("a sealed key", |f| f.set("key", f.get("key").replace("temp/", "files/"))),
    ("key climbs out", |f| f.set("key", format!("../{}", f.get("key")))),
    ("key from the file's name", |f| f.set("key", "temp/${filename}")),
    ("key removed", |f| f.remove("key")),
    ("another type", |f| f.set("Content-Type", "text/html")),
    ("type with a parameter", |f| f.set("Content-Type", "text/plain; charset=utf-7")),
    ("type in capitals", |f| f.set("Content-Type", "TEXT/PLAIN")),
    ("type removed", |f| f.remove("Content-Type")),
    ("another status", |f| f.set("success_action_status", "200")),
    ("status removed", |f| f.remove("success_action_status")),
    ("another algorithm", |f| f.set("x-amz-algorithm", "AWS4-HMAC-SHA1")),
    ("algorithm removed", |f| f.remove("x-amz-algorithm")),
    ("another access key", |f| f.set("x-amz-credential", f.get("x-amz-credential").replacen(|c: char| c != '/', "Z", 1))),
    ("another scope", |f| f.set("x-amz-credential", f.get("x-amz-credential").replace("us-east-1", "eu-west-1"))),
    ("credential removed", |f| f.remove("x-amz-credential")),
    ("another date", |f| f.set("x-amz-date", "20200101T000000Z")),
    ("date removed", |f| f.remove("x-amz-date")),
    ("metadata added", |f| f.add("x-amz-meta-owner", "me")),
    ("storage class added", |f| f.add("x-amz-storage-class", "REDUCED_REDUNDANCY")),
    ("another checksum", |f| f.set("x-amz-checksum-sha256", BASE64.encode([7; 32]))),
    ("other bytes under the same checksum", |f| f.file = Some(b"HELLO".to_vec())),
    ("one byte more", |f| f.file = Some(b"hello!".to_vec())),
    ("one byte less", |f| f.file = Some(b"hell".to_vec())),
    ("no bytes", |f| f.file = Some(Vec::new())),
    ("no file", |f| f.file = None),
    ("sent to another bucket", |f| {
        f.url = f.url.trim_end_matches('/').rsplit_once('/').map(|(endpoint, _)| format!("{endpoint}/another-bucket/")).unwrap();
    }),
];

/// What only the embedded store refuses; AWS does as well. SeaweedFS lets it pass, so what passes is looked at too.
const TAMPERINGS_SEAWEEDFS_ACCEPTS: [Tampering; 4] = [
    ("a session token without its condition", |f| f.add("x-amz-security-token", "token")),
    ("an ACL added", |f| f.add("acl", "public-read")),
    ("the bucket field names another bucket", |f| f.set("bucket", "another-bucket")),
    ("a redirect added", |f| f.add("success_action_redirect", "http://127.0.0.1:1/evil")),
];

async fn form(broker: &TestBroker) -> Form {
    let mut body = new_file("note.txt", "text/plain");
    body["size"] = json!(5);
    body["checksumSHA256"] = json!("LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="); // of "hello"
    let slip = broker.authorize(&body).await;
    Form {
        url: slip.url.clone(),
        fields: slip.params.clone(),
        file: Some(b"hello".to_vec()),
        secret: broker.secret_access_key.clone(),
        slip,
    }
}

async fn send(broker: &TestBroker, form: &Form) -> StatusCode {
    broker.post_form(&form.url, &form.fields, form.file.as_deref()).await.0
}

/// What is not tampered with is taken; it goes again.
async fn takes_the_untouched_form(broker: &TestBroker) {
    let form = form(broker).await;
    assert_eq!(send(broker, &form).await, 201);
    assert_eq!(broker.objects().await, [(form.get("key"), 5)]);
    let _ = broker.s3.delete_object().bucket(&broker.bucket).key(form.get("key")).send().await.unwrap();
}

/// Tries every tampering and tells those that were not refused, or that left anything behind.
async fn let_through(broker: &TestBroker, tamperings: &[Tampering]) -> Vec<String> {
    takes_the_untouched_form(broker).await;
    let mut found = Vec::new();
    for (name, tamper) in tamperings {
        let mut form = form(broker).await;
        tamper(&mut form);
        let status = send(broker, &form).await;
        // s3s says 501 to an algorithm it does not know.
        if !status.is_client_error() && status != 501 {
            found.push(format!("{name}: answered {status}"));
        }
        let objects = broker.objects().await;
        if !objects.is_empty() {
            found.push(format!("{name}: left {objects:?}"));
            break;
        }
        let (status, body) = broker.confirm(form.slip.id).await;
        if status != 409 {
            found.push(format!("{name}: confirmed with {status} {body}"));
        }
    }
    found
}

#[tokio::test]
async fn seaweedfs_refuses_every_tampered_form() {
    let broker = TestBroker::on(Bed::SeaweedFs).await;
    // `make stores` puts another store in the place of SeaweedFS, and says what that is known to let through.
    let known = std::env::var("TEST_STORE_LETS_THROUGH").unwrap_or_default();
    let tamperings: Vec<Tampering> = TAMPERINGS.into_iter().filter(|(name, _)| *name != known).collect();
    assert_eq!(let_through(&broker, &tamperings).await, Vec::<String>::new());
}

#[tokio::test]
async fn the_embedded_store_refuses_every_tampered_form() {
    let broker = TestBroker::on(Bed::Embedded).await;
    assert_eq!(let_through(&broker, &TAMPERINGS).await, Vec::<String>::new());
    assert_eq!(let_through(&broker, &TAMPERINGS_SEAWEEDFS_ACCEPTS).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_seaweedfs_lets_pass_writes_nothing_but_the_granted_object() {
    let broker = TestBroker::on(Bed::SeaweedFs).await;
    takes_the_untouched_form(&broker).await;
    for (name, tamper) in &TAMPERINGS_SEAWEEDFS_ACCEPTS {
        let mut form = form(&broker).await;
        tamper(&mut form);
        send(&broker, &form).await;
        let objects = broker.objects().await;
        assert!(objects.is_empty() || objects == [(form.get("key"), 5)], "{name}: {objects:?}");
        let _ = broker.s3.delete_object().bucket(&broker.bucket).key(form.get("key")).send().await.unwrap();
    }
}

async fn accepts_the_untouched_form(bed: Bed) {
    let broker = TestBroker::on(bed).await;
    let mut form = form(&broker).await;
    assert_eq!(send(&broker, &form).await, 201);
    let (status, body) = broker.confirm(form.slip.id).await;
    assert_eq!((status.as_u16(), &body["file"]["state"], &body["file"]["size"]), (200, &json!("active"), &json!(5)), "{body}");

    // Field order means nothing as long as the file is last: clients iterate over hash maps.
    form = self::form(&broker).await;
    form.fields.reverse();
    assert_eq!(send(&broker, &form).await, 201);
    assert_eq!(broker.confirm(form.slip.id).await.0, 200);
}

#[tokio::test]
async fn seaweedfs_accepts_the_untouched_form() {
    accepts_the_untouched_form(Bed::SeaweedFs).await;
}

#[tokio::test]
async fn the_embedded_store_accepts_the_untouched_form() {
    accepts_the_untouched_form(Bed::Embedded).await;
}

#[tokio::test]
async fn localstack_accepts_the_untouched_form() {
    accepts_the_untouched_form(Bed::LocalStack).await;
}

async fn refuses_an_expired_form(bed: Bed) {
    let broker = Setup::on(bed).policy("short.toml", short_lived("3s", 100)).start().await;
    let (slip, in_time) = (broker.text_slip().await, broker.text_slip().await);
    // One of the same kind, used at once: it is the time that makes the difference.
    broker.drop_bytes(&in_time, b"hello").await;
    let there = broker.objects().await;
    assert_eq!(there.len(), 1);
    let expires_at = slip.body["expiresAt"].as_str().unwrap();
    let expires_at = OffsetDateTime::parse(expires_at, &time::format_description::well_known::Rfc3339).unwrap();
    while OffsetDateTime::now_utc() < expires_at + Duration::milliseconds(1100) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let (status, answer) = broker.post_form(&slip.url, &slip.params, Some(b"hello")).await;
    // Garage says 400.
    assert!([400, 403].contains(&status.as_u16()), "{status} {answer}");
    assert_eq!(broker.objects().await, there);
    assert_eq!(broker.confirm(slip.id).await.0, 409);
}

#[tokio::test]
async fn seaweedfs_refuses_an_expired_form() {
    refuses_an_expired_form(Bed::SeaweedFs).await;
}

#[tokio::test]
async fn the_embedded_store_refuses_an_expired_form() {
    refuses_an_expired_form(Bed::Embedded).await;
}
