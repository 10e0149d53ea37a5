//! Step 3 looks at the bytes: what they show is compared with what was granted, decided by the rule, and kept for an auditor.

use dropslip::bucket::{Bucket, BucketOptions, StaticCredentials};
use serde_json::{Value, json};

use crate::harness::{Bed, TestBroker, error_fields, from_servers, new_file};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x06\0\0\0";
const PDF: &[u8] = b"%PDF-1.7\nhello";

fn picture(type_name: &str) -> Value {
    json!({"type": type_name, "filename": "photo.png", "mimeType": "image/x-png", "disposition": "attachment-inline"})
}

async fn judges_the_bytes(bed: Bed) {
    let broker = TestBroker::on(bed).await;

    let slip = broker.authorize(&picture("image")).await;
    broker.drop_bytes(&slip, PNG).await;
    let (status, body) = broker.confirm(slip.id).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!((&body["file"]["pixelWidth"], &body["file"]["pixelHeight"]), (&json!(640), &json!(480)));
    let evidence = &body["file"]["evidence"];
    assert_eq!(evidence["declaredType"], "image/x-png");
    for part in ["grantedType", "detectedType", "decidedType", "servedType"] {
        assert_eq!(evidence[part], "image/png", "{part}");
    }
    assert_eq!((&evidence["verdict"], &evidence["sizeRange"]), (&json!("matches"), &json!([1, 10_485_760])));

    let slip = broker.authorize(&picture("image")).await;
    broker.drop_bytes(&slip, PDF).await;
    let (status, body) = broker.confirm(slip.id).await;
    assert_eq!((status.as_u16(), error_fields(&body)), (422, vec!["mimeType".to_owned()]));
    assert!(body["errors"]["mimeType"][0].as_str().unwrap().contains("application/pdf"), "{body}");
    assert!(!broker.objects().await.iter().any(|(key, _)| key.starts_with("temp/")), "what was refused is gone");
    broker.drop_bytes(&slip, PNG).await;
    assert_eq!(broker.confirm(slip.id).await.0, 200, "the same slip still works");
}

#[tokio::test]
async fn the_bytes_are_judged_on_the_embedded_store() {
    judges_the_bytes(Bed::Embedded).await;
}

#[tokio::test]
async fn the_bytes_are_judged_on_seaweedfs() {
    judges_the_bytes(Bed::SeaweedFs).await;
}

#[tokio::test]
async fn the_bytes_are_judged_on_localstack() {
    judges_the_bytes(Bed::LocalStack).await;
}

#[tokio::test]
async fn a_relabeled_file_is_served_as_what_it_is() {
    let broker = TestBroker::on(Bed::Embedded).await;
    for (bytes, decided, served, shown) in [
        (PDF, "application/pdf", "application/pdf", "attachment"),
        (b"<!DOCTYPE html><script>alert(1)</script>", "text/html", "application/octet-stream", "attachment"),
        (b"GIF89a\x01\0\x01\0", "image/gif", "image/gif", "inline"),
        (b"no picture at all", "application/octet-stream", "application/octet-stream", "attachment"),
    ] {
        let slip = broker.authorize(&picture("attachment")).await;
        broker.drop_bytes(&slip, bytes).await;
        let (status, body) = broker.confirm(slip.id).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!((&body["file"]["mimeType"], &body["file"]["evidence"]["verdict"]), (&json!(decided), &json!("relabeled")));
        let sealed = broker.objects().await.remove(0).0;
        let head = broker.s3.head_object().bucket(&broker.bucket).key(&sealed).send().await.unwrap();
        assert_eq!(head.content_type(), Some(served));
        assert!(head.content_disposition().unwrap().starts_with(shown), "{decided}");
        broker.s3.delete_object().bucket(&broker.bucket).key(sealed).send().await.unwrap();
    }
}

#[tokio::test]
async fn an_image_with_too_many_pixels_is_refused() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let slip = broker.authorize(&picture("attachment")).await;
    let mut bomb = PNG.to_vec();
    bomb[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    broker.drop_bytes(&slip, &bomb).await;
    let (status, body) = broker.confirm(slip.id).await;
    assert_eq!((status.as_u16(), error_fields(&body)), (422, vec!["pixels".to_owned()]));
    broker.drop_bytes(&slip, PNG).await;
    assert_eq!(broker.confirm(slip.id).await.0, 200, "the same picture with few of them");
}

async fn compares_a_declared_checksum_itself(bed: Bed) {
    let broker = TestBroker::on(bed).await;
    let mut request = new_file("a.txt", "text/plain");
    request["checksumSHA256"] = json!("LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
    let slip = broker.authorize(&request).await;
    // Past the form, like a store that ignores checksums.
    let put = broker.s3.put_object().bucket(&broker.bucket).key(slip.param("key")).content_type("text/plain");
    put.body(b"jello".to_vec().into()).send().await.unwrap();
    let (status, body) = broker.confirm(slip.id).await;
    assert_eq!((status.as_u16(), error_fields(&body)), (422, vec!["checksumSHA256".to_owned()]), "{body}");

    broker.drop_bytes(&slip, b"hello").await;
    let (status, body) = broker.confirm(slip.id).await;
    assert_eq!((status.as_u16(), &body["file"]["evidence"]["checksumSHA256"]), (200, &request["checksumSHA256"]));
}

#[tokio::test]
async fn a_declared_checksum_is_compared_on_the_embedded_store() {
    compares_a_declared_checksum_itself(Bed::Embedded).await;
}

#[tokio::test]
async fn a_declared_checksum_is_compared_on_seaweedfs() {
    compares_a_declared_checksum_itself(Bed::SeaweedFs).await;
}

#[tokio::test]
async fn a_declared_checksum_is_compared_on_localstack() {
    compares_a_declared_checksum_itself(Bed::LocalStack).await;
}

async fn reads_only_what_is_being_judged(bed: Bed) {
    let broker = TestBroker::on(bed).await;
    let endpoint = match bed {
        Bed::Embedded => format!("http://{}", broker.server.embedded_s3.unwrap()),
        Bed::SeaweedFs => from_servers("TEST_SEAWEEDFS_URL"),
        Bed::LocalStack => from_servers("TEST_LOCALSTACK_URL"),
    };
    let bucket = Bucket::open(BucketOptions {
        name: broker.bucket.clone(),
        region: Some("us-east-1".to_owned()),
        endpoint: Some(endpoint),
        public_endpoint: None,
        path_style: true,
        copy_in_parts_above: 1 << 30,
        credentials: Some(StaticCredentials {
            access_key_id: broker.access_key_id.clone(),
            secret_access_key: broker.secret_access_key.clone(),
        }),
    });
    let bucket = bucket.await.unwrap();
    let put = async |bytes: &[u8]| {
        broker.s3.put_object().bucket(&broker.bucket).key("temp/a").body(bytes.to_vec().into()).send().await.unwrap();
        bucket.head("temp/a").await.unwrap().unwrap().etag
    };
    let evil = put(b"<script>").await;
    let good = put(b"hello").await;
    // The form writes back and forth: whoever judges one content must never be shown the other.
    assert_eq!(bucket.read_start("temp/a", &evil, 100).await.unwrap(), None, "{bed:?}");
    assert_eq!(bucket.checksum_sha256("temp/a", &evil).await.unwrap(), None, "{bed:?}");
    assert_eq!(bucket.read_start("temp/a", &good, 3).await.unwrap().as_deref(), Some(&b"hel"[..]), "{bed:?}");
    assert_eq!(bucket.checksum_sha256("temp/a", &good).await.unwrap().unwrap(), "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
    assert_eq!(bucket.read_start("temp/nothing", &good, 3).await.unwrap(), None);
    assert_eq!(bucket.read_range("temp/a", &evil, 1..4).await.unwrap(), None, "{bed:?}");
    assert_eq!(bucket.read_range("temp/a", &good, 1..4).await.unwrap().as_deref(), Some(&b"ell"[..]), "{bed:?}");
    assert_eq!(bucket.read_range("temp/a", &good, 9..12).await.unwrap(), None, "{bed:?}: beyond its end it is another object");
}

#[tokio::test]
async fn only_what_is_being_judged_is_read_on_the_embedded_store() {
    reads_only_what_is_being_judged(Bed::Embedded).await;
}

#[tokio::test]
async fn only_what_is_being_judged_is_read_on_seaweedfs() {
    reads_only_what_is_being_judged(Bed::SeaweedFs).await;
}

#[tokio::test]
async fn only_what_is_being_judged_is_read_on_localstack() {
    reads_only_what_is_being_judged(Bed::LocalStack).await;
}
