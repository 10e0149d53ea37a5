//! Forms whose parts are files.

use serde_json::{Value, json};

use super::sending::{PARTS, base64, error, noise, parts};
use crate::browser::run_script;
use crate::harness::{Bed, Db, Setup};

const A: &str = "Content-Disposition: form-data; name=\"files\"; filename=\"a.txt\"";
const B: &str = "Content-Disposition: form-data; name=\"files\"; filename=\"b.txt\"";

fn names(body: &Value) -> Vec<&str> {
    body["data"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect()
}

async fn parts_are_files_whatever_they_are_called(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let bytes = noise(70_000);
    let path = broker.on_disk("photo.bin", &bytes);
    for name in ["files", "files[]", "files[0]", "x"] {
        let said = broker.curl(&["-F", &format!("{name}=@{path}")], "").await;
        assert_eq!((&said["status"], &said["data"]["name"]), (&json!(201), &json!("photo.bin")), "{name}: {}", said["errors"]);
        assert!(said["data"]["content"] == json!(base64(&bytes)), "{name}");
    }
    let second = broker.on_disk("second.txt", b"Hello");
    let said = broker.curl(&["-F", &format!("files[]=@{path}"), "-F", &format!("files[]=@{second}")], "").await;
    assert_eq!((names(&said), &said["total_count"]), (vec!["photo.bin", "second.txt"], &json!(2)));
    assert_eq!((&said["resource"], &said["data"][1]["content"]), (&json!("file"), &json!("SGVsbG8=")));
    let (status, body) = broker.sends("", PARTS, parts(&[("Content-Disposition: form-data; filename=\"bare.txt\"", b"Hello")])).await;
    assert_eq!((status, &body["data"]["name"], body.get("total_count")), (201, &json!("bare.txt"), None), "{body}");

    // A field may say the name of the only file, before or after it.
    let field: (&str, &[u8]) = ("Content-Disposition: form-data; name=\"name\"", b"other.txt");
    for form in [vec![field, (A, b"Hello")], vec![(A, b"Hello"), field]] {
        let (status, body) = broker.sends("", PARTS, parts(&form)).await;
        assert_eq!((status, &body["data"]["name"]), (201, &json!("other.txt")), "{body}");
    }
    broker.comes_to(9, "all of them").await;
}

async fn a_form_of_several_is_taken_whole_or_not_at_all(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let program = "Content-Disposition: form-data; name=\"files[1]\"; filename=\"b.exe\"\r\nContent-Type: application/x-msdownload";
    for (form, pointer) in [
        (vec![(A, &b"Hello"[..]), (program, b"MZ")], "/files/1"),
        (vec![(program, &b"MZ"[..]), (B, b"Hello")], "/files/0"),
        (vec![(A, &b"Hello"[..]), (B, b"Hello"), (B, b"")], "/files/2"),
    ] {
        let (status, body) = broker.sends("", PARTS, parts(&form)).await;
        assert_eq!((status, &body["errors"][0]["pointer"]), (400, &json!(pointer)), "{body}");
        assert_eq!(error(&body).0, "FIELD_INVALID", "{body}");
        broker.comes_to(0, pointer).await;
    }
    let many = |count: usize| parts(&vec![(A, &b"Hello"[..]); count]);
    let (status, body) = broker.sends("", PARTS, many(21)).await;
    assert_eq!((status, error(&body)), (400, ("FIELD_INVALID", "files")), "{body}");
    broker.comes_to(0, "one too many").await;
    let (status, body) = broker.sends("", PARTS, many(20)).await;
    assert_eq!((status, &body["total_count"]), (201, &json!(20)), "{body}");
    broker.comes_to(20, "as many as may be").await;
    let (status, body) = broker.sends("", PARTS, parts(&[])).await;
    assert_eq!((status, error(&body)), (400, ("FIELD_REQUIRED", "files")), "{body}");
}

async fn headers_of_a_part_are_about_its_bytes(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let with = |more: &str| format!("{A}\r\n{more}");
    for (more, bytes, refusal) in [
        ("Content-Length: 5", "Hello", ("", "")),
        ("Content-Length: 4", "Hello", ("FIELD_INVALID", "files")),
        ("Content-Length: 6", "Hello", ("FIELD_INVALID", "files")),
        ("Content-Transfer-Encoding: base64", "SGVs\r\nbG8", ("", "")),
        ("Content-Transfer-Encoding: base64\r\nContent-MD5: 8b1a9953c4611296a827abf8c47804d7", "SGVsbG8=", ("", "")),
        ("Content-Transfer-Encoding: base64", "SGVs!G8=", ("FIELD_INVALID", "files")),
        ("Content-Transfer-Encoding: uuencode", "Hello", ("FIELD_INVALID", "files")),
        ("Content-MD5: ixqZU8RhEpaoJ6v4xHgE1w==", "Hello", ("", "")),
        ("Content-MD5: 8B1A9953C4611296A827ABF8C47804D7", "Hello", ("", "")),
        ("Content-MD5: ixqZU8RhEpaoJ6v4xHgE1w==", "hello", ("CHECKSUM_MISMATCH", "_md5")),
        ("Content-MD5: none", "hello", ("FIELD_INVALID", "_md5")),
    ] {
        let before = broker.kept().await[0];
        let (status, body) = broker.sends("", PARTS, parts(&[(&with(more), bytes.as_bytes())])).await;
        if refusal.0.is_empty() {
            assert_eq!((status, &body["data"]["content"]), (201, &json!("SGVsbG8=")), "{more}: {body}");
        } else {
            assert_eq!((status, error(&body)), (400, refusal), "{more}: {body}");
            broker.comes_to(before, more).await;
        }
    }
    let before = broker.kept().await[0];
    let whole = parts(&[(A, b"Hello")]);
    for cut in [whole.len() - 4, whole.len() - 9, whole.len() - 12, 30] {
        let (status, body) = broker.sends("", PARTS, whole[..cut].to_vec()).await;
        assert_eq!(status, 400, "{cut}: {body}");
        broker.comes_to(before, "the end is missing").await;
    }
    assert_eq!(broker.sends("", PARTS, whole).await.0, 201);
}

on_both_engines!(
    parts_are_files_whatever_they_are_called,
    a_form_of_several_is_taken_whole_or_not_at_all,
    headers_of_a_part_are_about_its_bytes
);

#[tokio::test(flavor = "multi_thread")]
async fn node_sends_its_own_forms() {
    for (bed, db) in [(Bed::Embedded, Db::Sqlite), (Bed::SeaweedFs, Db::Postgres)] {
        let broker = Setup::on(bed).database(db).setting("DROPSLIP_DIALECTS", "all").start().await;
        let environment = [("TEST_BROKER", broker.base.clone()), ("TEST_TOKEN", broker.token.clone())];
        run_script("kayako.test.mjs", &environment).await;
    }
}
