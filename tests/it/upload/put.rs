//! Stores without POST: a presigned PUT that holds to its type, its length and to being the first.

use serde_json::{Value, json};

use crate::harness::{Bed, Setup, TestBroker, error_fields, new_file};

async fn broker(bed: Bed) -> TestBroker {
    Setup::on(bed).setting("DROPSLIP_S3_METHOD", "put").start().await
}

async fn slip(broker: &TestBroker, size: usize) -> (i64, Value) {
    let mut file = new_file("note.txt", "text/plain");
    file["size"] = size.into();
    let (status, body) = broker.call("POST", "/v2/files/ref.json", Some(&file)).await;
    assert_eq!(status, 201, "{body}");
    (body["file"]["id"].as_i64().unwrap(), body)
}

async fn a_put_becomes_an_active_file(bed: Bed) {
    let broker = broker(bed).await;
    let (id, slip) = slip(&broker, 5).await;
    assert_eq!((&slip["method"], &slip["params"]), (&"PUT".into(), &json!({})), "{slip}");
    assert_eq!(slip["headers"], json!({"Content-Type": "text/plain", "If-None-Match": "*"}));
    let url = slip["url"].as_str().unwrap();
    assert!(url.contains("X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost%3Bif-none-match&"), "{url}");
    assert!(!url.to_lowercase().contains("checksum"), "{url}");
    let (status, answer) = broker.put_bytes(&slip, b"hello".to_vec()).await;
    assert_eq!(status, 200, "{bed:?}: {answer}");
    let (status, answer) = broker.put_bytes(&slip, b"HELLO".to_vec()).await;
    assert_eq!(status, 412, "{bed:?}: the first one stays: {answer}");
    let (status, body) = broker.confirm(id).await;
    assert_eq!((status.as_u16(), &body["file"]["size"]), (200, &5.into()), "{body}");
    let objects = broker.objects().await;
    assert_eq!(objects.len(), 1, "{objects:?}");
    assert_eq!(broker.bytes_of(&objects[0].0).await, b"hello");
}

async fn a_declared_checksum_is_demanded(bed: Bed) {
    let broker = broker(bed).await;
    let mut file = new_file("note.txt", "text/plain");
    file["size"] = 5.into();
    file["checksumSHA256"] = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=".into();
    let (_, slip) = broker.call("POST", "/v2/files/ref.json", Some(&file)).await;
    let (status, answer) = broker.put_bytes(&slip, b"HELLO".to_vec()).await;
    assert!(status.is_client_error(), "{bed:?}: {status} {answer}");
    let (status, answer) = broker.put_bytes(&slip, b"hello".to_vec()).await;
    assert_eq!(status, 200, "{bed:?}: {answer}");
    assert_eq!(broker.confirm(slip["file"]["id"].as_i64().unwrap()).await.0, 200);
}

async fn tampered_puts_are_refused(bed: Bed) {
    let broker = broker(bed).await;
    let (id, slip) = slip(&broker, 5).await;
    let url = slip["url"].as_str().unwrap();
    let header = |name: &str, value: Option<&str>| {
        let mut slip = slip.clone();
        match value {
            Some(value) => slip["headers"][name] = value.into(),
            None => drop(slip["headers"].as_object_mut().unwrap().remove(name)),
        }
        slip
    };
    let at = |from: &str, to: &str| {
        assert!(url.contains(from), "{url}");
        let mut slip = slip.clone();
        slip["url"] = url.replacen(from, to, 1).into();
        slip
    };
    for (tampered, bytes) in [
        (slip.clone(), "hell"),
        (slip.clone(), "hello!"),
        (header("Content-Type", Some("text/html")), "hello"),
        (header("Content-Type", None), "hello"),
        (header("If-None-Match", None), "hello"),
        (header("If-None-Match", Some("\"x\"")), "hello"),
        (at("temp/", "files/"), "hello"),
        (at("X-Amz-Expires=", "X-Amz-Expires=9"), "hello"),
        (at("X-Amz-Signature=", "X-Amz-Signature=f"), "hello"),
        (at("%3Bif-none-match", ""), "hello"),
        (at("X-Amz-Date=2", "X-Amz-Date=1"), "hello"),
    ] {
        let (status, answer) = broker.put_bytes(&tampered, bytes.as_bytes().to_vec()).await;
        assert!(status.is_client_error(), "{bed:?} {tampered}: {status} {answer}");
    }
    assert_eq!(broker.objects().await, []);
    assert_eq!(broker.put_bytes(&slip, b"hello".to_vec()).await.0, 200, "the right one");
    assert_eq!(broker.confirm(id).await.0, 200);
}

#[tokio::test]
async fn a_put_becomes_an_active_file_on_every_store() {
    for bed in [Bed::Embedded, Bed::SeaweedFs, Bed::LocalStack] {
        a_put_becomes_an_active_file(bed).await;
    }
}

#[tokio::test]
async fn a_declared_checksum_is_demanded_of_a_put() {
    for bed in [Bed::Embedded, Bed::SeaweedFs, Bed::LocalStack] {
        a_declared_checksum_is_demanded(bed).await;
    }
}

#[tokio::test]
async fn seaweedfs_refuses_every_tampered_put() {
    tampered_puts_are_refused(Bed::SeaweedFs).await;
}

#[tokio::test]
async fn the_embedded_store_refuses_every_tampered_put() {
    tampered_puts_are_refused(Bed::Embedded).await;
}

#[tokio::test]
async fn a_put_needs_its_size_and_says_so() {
    let broker = broker(Bed::Embedded).await;
    let (status, body) = broker.call("POST", "/v2/files/ref.json", Some(&new_file("note.txt", "text/plain"))).await;
    assert_eq!((status.as_u16(), error_fields(&body)), (400, vec!["size".to_owned()]), "{body}");
    slip(&broker, 5).await;
}

#[tokio::test]
async fn a_reissued_put_is_for_another_key() {
    let broker = broker(Bed::Embedded).await;
    let (id, old) = slip(&broker, 5).await;
    assert_eq!(broker.put_bytes(&old, b"other".to_vec()).await.0, 200);
    let (status, new) = broker.call("POST", &format!("/v2/files/{id}/ref.json"), None).await;
    assert_eq!((status.as_u16(), &new["method"]), (201, &"PUT".into()), "{new}");
    assert_eq!(broker.put_bytes(&new, b"hello".to_vec()).await.0, 200);
    assert_eq!(broker.confirm(id).await.0, 200);
    let objects = broker.objects().await;
    let sealed = objects.iter().find(|(key, _)| key.starts_with("files/")).unwrap();
    assert_eq!(broker.bytes_of(&sealed.0).await, b"hello");
}
