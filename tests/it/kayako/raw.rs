//! Bodies that are the file.

use serde_json::{Value, json};

use super::sending::{FILES, base64, error, noise};
use crate::harness::{Bed, Db, Setup, TestBroker, answer};

const MIB: usize = 1 << 20;

async fn started(bed: Bed, db: Db) -> TestBroker {
    Setup::on(bed).database(db).setting("DROPSLIP_DIALECTS", "all").start().await
}

/// Every length at which something changes in how it is written.
async fn bytes_of_any_length_arrive_as_they_were_sent(bed: Bed, db: Db) {
    let broker = started(bed, db).await;
    for (place, length) in [1, 5, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 16 * MIB, 20 * MIB + 12_345].into_iter().enumerate() {
        let bytes = noise(length);
        let name = format!("noise {length}.bin");
        let (status, body) = broker.sends(&format!("?_filename=noise%20{length}.bin"), "", bytes.clone()).await;
        assert_eq!(status, 201, "{length}: {}", body["errors"]);
        let data = &body["data"];
        assert_eq!((&data["name"], &data["size"]), (&json!(name), &json!(length)));
        let content = if length <= 8 * MIB { json!(base64(&bytes)) } else { Value::Null };
        assert!(data["content"] == content, "{length}");
        let id = data["id"].as_i64().unwrap();
        for downloaded in broker.both_downloads(id).await {
            assert!(downloaded == bytes, "{bed:?}: {length}");
        }
        let (_, desk) = broker.read(id).await;
        assert_eq!((&desk["file"]["state"], &desk["file"]["size"]), (&json!("active"), &json!(length)));
        let (_, listed) = broker.call("GET", "/v2/files.json", None).await;
        assert!(listed["files"].as_array().unwrap().iter().any(|file| file["id"] == id), "{listed}");
        broker.comes_to(place + 1, "after a file").await;
    }
}

macro_rules! everywhere {
    ($($name:ident: $bed:ident $db:ident),* $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
            bytes_of_any_length_arrive_as_they_were_sent(Bed::$bed, Db::$db).await;
        })*
    };
}

everywhere!(
    bytes_arrive_on_embedded: Embedded Sqlite,
    bytes_arrive_on_embedded_with_postgres: Embedded Postgres,
    bytes_arrive_on_seaweedfs: SeaweedFs Sqlite,
    bytes_arrive_on_localstack: LocalStack Postgres,
);

async fn curl_sends_files_as_documentations_write_it(db: Db) {
    let broker = started(Bed::Embedded, db).await;
    let bytes = noise(100_000);
    let path = broker.on_disk("photo.bin", &bytes);
    let at = format!("@{path}");
    let named = "Content-Disposition: attachment; filename=\"old.bin\"; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.bin";
    for (arguments, query, name) in [
        (vec!["-T", &path], "?_filename=photo.bin", "photo.bin"),
        (vec!["-T", &path, "-H", "Transfer-Encoding: chunked"], "?_filename=photo.bin", "photo.bin"),
        (vec!["-T", &path, "-H", "Expect: 100-continue"], "?_filename=photo.bin", "photo.bin"),
        (vec!["--data-binary", &at, "-H", "Content-Type: image/jpeg", "-H", named], "", "na\u{ef}ve \u{20ac}.bin"),
        (
            vec!["--data-binary", &at, "-H", "Content-Type: application/octet-stream", "-H", named],
            "?_filename=na%C3%AFve%20%E2%82%AC.bin",
            "na\u{ef}ve \u{20ac}.bin",
        ),
    ] {
        let said = broker.curl(&arguments, query).await;
        assert_eq!((&said["status"], &said["data"]["name"]), (&json!(201), &json!(name)), "{arguments:?}: {}", said["errors"]);
        assert!(said["data"]["content"] == json!(base64(&bytes)), "{arguments:?}");
        assert!(said["session_id"].is_string(), "Basic begins a session");
    }
    // The path of a front controller, as old samples write it.
    let index = format!("{}/api/index.php?/v1/files&_filename=x.txt", broker.base);
    let (status, body) = answer(broker.http.post(index).bearer_auth(&broker.token).body("Hello")).await;
    assert_eq!((status.as_u16(), &body["data"]["name"], &body["data"]["content"]), (201, &json!("x.txt"), &json!("SGVsbG8=")), "{body}");
    broker.comes_to(6, "all of them").await;
}

async fn a_new_file_has_every_member(db: Db) {
    let broker = started(Bed::Embedded, db).await;
    let (status, body) = broker.sends("?_filename=note.txt", "text/plain", "Hello").await;
    assert_eq!((status, &body["status"], &body["resource"]), (201, &json!(201), &json!("file")), "{body}");
    let data = &body["data"];
    let id = data["id"].as_i64().unwrap();
    let url = format!("{}/api/v1/files/{id}", broker.base);
    let (created, expiry) = (data["created_at"].as_str().unwrap(), data["expiry_at"].as_str().unwrap());
    let expected = json!({
        "id": id, "name": "note.txt", "size": 5, "content_type": "text/plain", "content": "SGVsbG8=",
        "content_url": format!("{url}/content"), "hash": data["hash"], "group_hash": data["group_hash"], "created_at": created,
        "expiry_at": expiry, "resource_type": "file", "resource_url": url,
    });
    assert_eq!(*data, expected);
    let instant = |text: &str| time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).unwrap();
    let lives = instant(expiry) - instant(created);
    assert!((lives - time::Duration::hours(3)).abs() < time::Duration::seconds(3), "{created} to {expiry}");
    assert_eq!(&broker.kayako("GET", &format!("/files/{id}.json")).await.1["data"], data, "the same when it is read");
    let (_, camel) = broker.sends("?_filename=note.txt&_case=camel&fields=-content", "text/plain", "Hello").await;
    assert_eq!((&camel["data"]["contentType"], camel["data"].get("content")), (&json!("text/plain"), None), "{camel}");

    let forever = Setup::on(Bed::Embedded).database(db).setting("DROPSLIP_KAYAKO_FILE_LIFETIME", "0").start().await;
    let (_, body) = forever.sends("?_filename=note.txt", "", "Hello").await;
    assert_eq!((&body["data"]["expiry_at"], &body["data"]["size"]), (&Value::Null, &json!(5)), "{body}");
}

async fn what_is_not_whole_or_not_named_is_refused_and_nothing_is_kept(db: Db) {
    let broker = started(Bed::Embedded, db).await;
    let disposition = "attachment; filename=\"a.txt\"";
    for (query, disposition, refusal) in [
        ("", "", ("FIELD_REQUIRED", "name")),
        ("?_filename=", "attachment; filename=\"\"", ("FIELD_REQUIRED", "name")),
        ("?_filename=b.txt", disposition, ("PARAMETERS_INCONSISTENT", "Content-Disposition")),
        ("?_filename=a.txt&_filename=b.txt", "", ("PARAMETERS_INCONSISTENT", "_filename")),
    ] {
        let (status, body) = broker.sends_with(query, &[("content-disposition", disposition)], "Hello").await;
        assert_eq!((status, error(&body)), (400, refusal), "{query}: {body}");
    }
    let (status, body) = broker.sends("?_filename=a.txt", "text/plain", "").await;
    assert_eq!((status, error(&body)), (400, ("FIELD_INVALID", "content")), "{body}");
    broker.comes_to(0, "refused").await;

    let head = |framing: &str| format!("POST {FILES}?_filename=a.bin HTTP/1.1\r\n{framing}");
    let bytes = noise(9 * MIB);
    for sent in [0, 10, MIB, 8 * MIB + 1] {
        let (status, body) = broker.by_hand(&head(&format!("content-length: {}", bytes.len())), &bytes[..sent]).await;
        // Whoever closed before the answer may not get one.
        assert!(status == 400 || status == 0, "{sent} bytes: {status} {body}");
        broker.comes_to(0, &format!("{sent} bytes of {}", bytes.len())).await;
    }
    let (status, _) = broker.by_hand(&head("transfer-encoding: chunked"), b"5\r\nHello\r\n").await;
    assert!(status == 400 || status == 0, "{status}");
    broker.comes_to(0, "the last chunk is missing").await;

    let (status, body) = broker.answered_early(&head("transfer-encoding: chunked"), b"5\r\nHello\r\n0\r\n\r\n").await;
    assert_eq!((status, body["data"]["size"].clone()), (201, json!(5)), "{body}");
    let (status, body) = broker.answered_early(&head("content-length: 5"), b"Hello").await;
    assert_eq!((status, body["data"]["content"].clone()), (201, json!("SGVsbG8=")), "{body}");
    let same = [("content-disposition", disposition)];
    assert_eq!(broker.sends_with("?_filename=a.txt", &same, "Hello").await.0, 201);
    broker.comes_to(3, "those that were whole").await;
}

on_both_engines!(
    curl_sends_files_as_documentations_write_it,
    a_new_file_has_every_member,
    what_is_not_whole_or_not_named_is_refused_and_nothing_is_kept
);
