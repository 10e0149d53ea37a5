//! The bucket itself is gone, for a while: that is no answer about any object, so nothing is thrown away for it.

use std::path::PathBuf;

use dropslip::broker::{BrokerError, Swept};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::harness::{Bed, Db, Setup, Slip, TestBroker, answer, error_fields};
use crate::process::{Serving, run, text};

const TOKEN: &str = "the-store-knows-this-secret";

/// Longer than every form, grace and lease.
const LONG: Duration = Duration::days(2);

impl TestBroker {
    fn bucket_folder(&self) -> PathBuf {
        self.folder.path().join("bucket").join(&self.bucket)
    }

    async fn bucket_goes(&self) {
        match self.bed {
            Bed::Embedded => std::fs::rename(self.bucket_folder(), self.folder.path().join("elsewhere")).unwrap(),
            Bed::SeaweedFs | Bed::LocalStack => {
                // SeaweedFS would not ask for that, but others do.
                for (key, _) in self.objects().await {
                    self.s3.delete_object().bucket(&self.bucket).key(key).send().await.unwrap();
                }
                self.s3.delete_bucket().bucket(&self.bucket).send().await.unwrap();
            }
        }
    }

    /// The bucket as it was.
    async fn bucket_comes_back(&self, slip: &Slip, bytes: &'static [u8]) {
        if self.bed == Bed::Embedded {
            return std::fs::rename(self.folder.path().join("elsewhere"), self.bucket_folder()).unwrap();
        }
        self.s3.create_bucket().bucket(&self.bucket).send().await.unwrap();
        let put = self.s3.put_object().bucket(&self.bucket).key(slip.param("key")).content_type("text/plain");
        put.body(bytes.to_vec().into()).send().await.unwrap();
    }

    async fn is_503(&self, method: &str, path: &str) {
        let (status, body) = self.call(method, path, None).await;
        assert_eq!((status.as_u16(), error_fields(&body)), (503, vec!["server".to_owned()]), "{method} {path}: {body}");
    }
}

async fn nothing_is_thrown_away(bed: Bed) {
    let broker = Setup::on(bed).database(Db::Sqlite).setting("DROPSLIP_NOTIFICATIONS_TOKEN", TOKEN).start().await;
    let slip = broker.text_slip().await;
    broker.drop_bytes(&slip, b"arrived").await;
    broker.database.doom("temp/doomed", OffsetDateTime::now_utc(), false).await.unwrap();
    broker.bucket_goes().await;

    broker.is_503("PATCH", &format!("/v2/files/{}.json", slip.id)).await;
    let object = json!({"key": slip.param("key"), "size": 7, "eTag": "x", "sequencer": "1"});
    let record = json!({"eventName": "ObjectCreated:Post", "s3": {"bucket": {"name": broker.bucket}, "object": object}});
    let told = broker.http.post(format!("{}/notifications/s3", broker.base)).bearer_auth(TOKEN);
    let (status, body) = answer(told.body(json!({"Records": [record]}).to_string())).await;
    assert_eq!(status, 503, "the store must tell it again: {body}");
    let due = OffsetDateTime::now_utc() + LONG;
    let swept = broker.server.broker.sweep(due).await;
    assert!(matches!(swept, Err(BrokerError::Bucket(_))), "{swept:?}");
    let audit = broker.server.broker.reconcile().await;
    assert!(audit.is_err(), "no file is called lost: {audit:?}");
    let (status, file) = broker.read(slip.id).await;
    assert_eq!((status.as_u16(), &file["file"]["state"]), (200, &json!("temp")), "{file}");
    let waiting = broker.server.broker.waiting(due + LONG).await.unwrap();
    assert_eq!((waiting.expired_files, waiting.due_objects), (1, 1), "the record and the doomed key are still there");
    if bed == Bed::Embedded {
        let (status, answer) = broker.post_form(&slip.url, &slip.params, Some(b"arrived")).await;
        assert_eq!(status, 404, "{answer}");
        assert!(!broker.bucket_folder().exists(), "no upload makes a bucket that would look as if it had lost all others");
    }

    broker.bucket_comes_back(&slip, b"arrived").await;
    let swept = broker.server.broker.sweep(due + LONG).await.unwrap();
    // The doomed key, and the staging object of what was sealed.
    assert_eq!((swept.activated, swept.discarded), (1, 0), "{swept:?}");
    assert_eq!(broker.read(slip.id).await.1["file"]["size"], json!(7));
    broker.server.broker.sweep(due + LONG * 2).await.unwrap();
    assert_eq!(broker.server.broker.sweep(due + LONG * 3).await.unwrap(), Swept::default());
}

#[test]
fn nothing_is_thrown_away_by_a_start_without_the_embedded_bucket() {
    let settings = [("DROPSLIP_LISTEN", "127.0.0.1:0"), ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0")];
    let folder = tempfile::tempdir().unwrap();
    drop(Serving::start(folder.path(), &settings, ")"));
    let (bucket, aside) = (folder.path().join("data/bucket"), folder.path().join("aside"));
    std::fs::rename(&bucket, &aside).unwrap();
    for command in [&["serve"][..], &["sweep", "--once"], &["audit"]] {
        let output = run(folder.path(), &settings, command);
        let complaint = text(&output.stderr);
        assert!(output.status.code() == Some(1) && complaint.contains("data/bucket/dropslip is gone"), "{command:?}: {complaint}");
        assert!(!bucket.exists(), "{command:?}");
    }
    std::fs::rename(&aside, &bucket).unwrap();
    assert!(run(folder.path(), &settings, &["audit"]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_thrown_away_while_the_embedded_bucket_is_gone() {
    nothing_is_thrown_away(Bed::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_thrown_away_while_a_bucket_of_seaweedfs_is_gone() {
    nothing_is_thrown_away(Bed::SeaweedFs).await;
}
