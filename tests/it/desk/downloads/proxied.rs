//! Downloads through the broker: ranges, conditions, headers, and what happens when either side goes away or is slow.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{PNG, told};
use crate::faults::proxy::{Break, Proxy};
use crate::harness::{Bed, Setup, TestBroker, from_servers, new_file};

const DEADLINE: Duration = Duration::from_mins(1);

pub(super) fn proxying(bed: Bed) -> Setup {
    Setup::on(bed).setting("DROPSLIP_DOWNLOADS", "proxy")
}

/// So many bytes that no two places look alike.
pub(super) fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect()
}

pub(super) async fn active_bytes(broker: &TestBroker, bytes: &[u8]) -> Value {
    broker.active(&json!({"type": "artifact", "filename": "noise.bin", "mimeType": "application/octet-stream"}), bytes).await
}

async fn every_range_is_answered_as_the_standard_says(bed: Bed) {
    let broker = proxying(bed).start().await;
    let bytes = noise(100_000);
    let file = active_bytes(&broker, &bytes).await;
    let (path, etag) = (format!("/v2/files/{}/download", file["id"]), format!("\"{}\"", file["evidence"]["etag"].as_str().unwrap()));
    let whole = broker.request("GET", &path).send().await.unwrap();
    assert_eq!(whole.status(), 200);
    let headers = whole.headers().clone();
    for (name, value) in [
        ("accept-ranges", "bytes"),
        ("content-length", "100000"),
        ("content-type", "application/octet-stream"),
        ("content-disposition", "attachment; filename=\"noise.bin\""),
        ("cache-control", "private, no-cache"),
        ("x-content-type-options", "nosniff"),
        ("etag", etag.as_str()),
    ] {
        assert_eq!(told(&headers, name), value, "{name}");
    }
    assert!(told(&headers, "content-security-policy").ends_with("sandbox"));
    assert_eq!(whole.bytes().await.unwrap(), bytes);
    let head = broker.request("HEAD", &path).header("range", "bytes=0-1").send().await.unwrap();
    assert_eq!(
        (head.status().as_u16(), told(head.headers(), "content-length"), told(head.headers(), "etag")),
        (200, "100000", etag.as_str())
    );

    for (range, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=99999-", 99_999, 99_999),
        ("bytes=-1", 99_999, 99_999),
        ("bytes=5-70000", 5, 70_000),
        ("bytes=-200000", 0, 99_999),
        ("bytes=9-999999", 9, 99_999),
    ] {
        let piece = broker.request("GET", &path).header("range", range).header("if-range", &etag).send().await.unwrap();
        assert_eq!(piece.status(), 206, "{bed:?} {range}");
        assert_eq!(told(piece.headers(), "content-range"), format!("bytes {first}-{last}/100000"));
        assert_eq!(piece.bytes().await.unwrap(), bytes[first..=last], "{bed:?} {range}");
    }
    for range in ["bytes=100000-", "bytes=-0", "bytes=999999999999999999999-"] {
        let none = broker.request("GET", &path).header("range", range).send().await.unwrap();
        assert_eq!((none.status().as_u16(), told(none.headers(), "content-range")), (416, "bytes */100000"), "{range}");
        assert_eq!(none.json::<Value>().await.unwrap(), json!({"errors": {"range": ["must begin below 100000"]}}));
    }
    for (range, if_range) in [
        ("bytes=0-1,5-6", None),
        ("bytes=2-1", None),
        ("lines=0-1", None),
        ("bytes=0-1", Some("\"other\"")),
        ("bytes=0-1", Some("Fri, 02 Jan 2026 03:04:05 GMT")),
    ] {
        let request = broker.request("GET", &path).header("range", range);
        let request = if let Some(known) = if_range { request.header("if-range", known) } else { request };
        let whole = request.send().await.unwrap();
        assert_eq!((whole.status().as_u16(), whole.bytes().await.unwrap().len()), (200, 100_000), "{range} {if_range:?}");
    }
    let url = file["downloadURL"].as_str().unwrap();
    if bed == Bed::Embedded {
        assert_eq!(reqwest::get(url).await.unwrap().bytes().await.unwrap(), bytes, "a link works here too");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_range_is_answered_as_the_standard_says_on_embedded() {
    every_range_is_answered_as_the_standard_says(Bed::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_range_is_answered_as_the_standard_says_on_seaweedfs() {
    every_range_is_answered_as_the_standard_says(Bed::SeaweedFs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_range_is_answered_as_the_standard_says_on_localstack() {
    every_range_is_answered_as_the_standard_says(Bed::LocalStack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_are_kept_and_a_kept_copy_learns_its_new_name() {
    let origin = "https://app.example.com";
    let broker = proxying(Bed::Embedded).setting("DROPSLIP_CORS_ORIGINS", origin).start().await;
    let file = active_bytes(&broker, b"0123456789").await;
    let (path, etag) = (format!("/v2/files/{}/download", file["id"]), format!("\"{}\"", file["evidence"]["etag"].as_str().unwrap()));
    for (tags, status) in
        [(etag.clone(), 206), ("*".to_owned(), 206), (format!("\"x\", {etag}"), 206), (format!("W/{etag}"), 412), ("\"x\"".to_owned(), 412)]
    {
        let answer = broker.request("GET", &path).header("range", "bytes=0-3").header("if-match", &tags).send().await.unwrap();
        assert_eq!(answer.status(), status, "{tags}");
    }
    let refused = broker.request("GET", &path).header("if-match", "\"x\"").send().await.unwrap();
    assert_eq!(refused.json::<Value>().await.unwrap(), json!({"errors": {"etag": ["must be that of the file"]}}));

    assert_eq!(broker.describe(file["id"].as_i64().unwrap(), &json!({"filename": "new.bin"})).await.0, 200);
    for method in ["GET", "HEAD"] {
        let known = broker.request(method, &path).header("if-none-match", &etag).send().await.unwrap();
        assert_eq!((known.status().as_u16(), told(known.headers(), "content-disposition")), (304, "attachment; filename=\"new.bin\""));
        assert_eq!(known.headers().get("content-length"), None, "that of the bytes is not 0: {method}");
    }
    // What scripts of the pages that may ask can send and see.
    let preflight = broker.http.request(Method::OPTIONS, format!("{}{path}", broker.base)).header("origin", origin);
    let wanted = "if-match,if-none-match,if-range,range";
    let preflight = preflight.header("access-control-request-method", "GET").header("access-control-request-headers", wanted);
    let preflight = preflight.send().await.unwrap();
    let allowed = told(preflight.headers(), "access-control-allow-headers").to_lowercase();
    assert!(
        ["range", "if-range", "if-match", "if-none-match"].iter().all(|name| allowed.split(',').any(|one| one.trim() == *name)),
        "{allowed}"
    );
    let piece = broker.request("GET", &path).header("origin", origin).header("range", "bytes=0-3").send().await.unwrap();
    let seen = told(piece.headers(), "access-control-expose-headers").to_lowercase();
    for name in ["content-range", "accept-ranges", "etag", "content-disposition", "content-length", "x-request-id"] {
        assert!(seen.split(',').any(|one| one.trim() == name), "{name}: {seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_run_is_saved_and_pictures_are_shown() {
    let broker = proxying(Bed::Embedded).start().await;
    let page = json!({"type": "attachment", "filename": "a.html", "mimeType": "text/html", "disposition": "attachment-inline"});
    let page = broker.active(&page, b"<!doctype html><script>alert(1)</script>").await["id"].as_i64().unwrap();
    let picture = broker.active(&new_file("a.png", "image/png"), PNG).await["id"].as_i64().unwrap();
    for (id, query, kind, offered) in [
        (page, "?disposition=inline", "application/octet-stream", "attachment;"),
        (picture, "?disposition=inline", "image/png", "inline;"),
        (picture, "", "image/png", "attachment;"),
    ] {
        let answer = broker.download(id, query).await;
        assert_eq!(told(answer.headers(), "content-type"), kind);
        assert!(told(answer.headers(), "content-disposition").starts_with(offered));
    }
}

/// A connection on which a download was asked for, and nothing was read.
async fn asked(broker: &TestBroker, id: &Value) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let mut stream = socket.connect(broker.server.address).await.unwrap();
    let request = format!("GET /v2/files/{id}/download HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", broker.token);
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Polls until `is` holds.
pub async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What passes through the proxy between broker and store is what the broker has read: of a file that nobody takes, a little.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_ahead_of_a_slow_client_and_a_hang_up_frees_the_store() {
    let proxy = Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await;
    let broker = proxying(Bed::SeaweedFs)
        .setting("DROPSLIP_S3_ENDPOINT", format!("http://{}", proxy.address))
        .setting("DROPSLIP_MAX_DOWNLOADS", "2")
        .start()
        .await;
    let bytes = noise(48 << 20);
    let file = active_bytes(&broker, &bytes).await;
    let before_all = proxy.answered();
    let mut slow = asked(&broker, &file["id"]).await;
    let waiting = asked(&broker, &file["id"]).await;
    // As much as fits into the buffers of three connections, and then nothing more.
    let mut seen = 0;
    until("it never stops", async || {
        let before = seen;
        tokio::time::sleep(Duration::from_millis(500)).await;
        seen = proxy.answered() - before_all;
        seen > 0 && seen == before
    })
    .await;
    assert!(seen < 40 << 20, "{seen} bytes were read for two clients who took none");
    let third = broker.request("GET", &format!("/v2/files/{}/download", file["id"])).send().await.unwrap();
    assert_eq!((third.status().as_u16(), third.headers().contains_key("retry-after")), (503, true), "two at once are the most");
    // Others than downloads are not kept waiting.
    assert_eq!(broker.read(file["id"].as_i64().unwrap()).await.0, 200);

    let open = proxy.open();
    drop(waiting);
    until("who hung up still holds a connection to the store", async || proxy.open() < open).await;
    let third = broker.download(file["id"].as_i64().unwrap(), "").await;
    assert_eq!(third.status(), 200, "its place is free");
    drop(third);

    // Slow is not lost: what is taken in the end is all of it.
    let mut answer = Vec::new();
    let length = bytes.len();
    let mut piece = vec![0; 1 << 20];
    while answer.len() < length {
        let read = slow.read(&mut piece).await.unwrap();
        assert!(read > 0, "it ended after {} bytes", answer.len());
        answer.extend_from_slice(&piece[..read]);
        if let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n").filter(|end| *end < 4096)
            && answer.len() - end - 4 == length
        {
            assert!(answer[end + 4..] == bytes, "other bytes");
            return;
        }
    }
    panic!("more than was promised");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_dies_in_the_middle_breaks_the_connection() {
    let proxy = Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await;
    let broker = proxying(Bed::SeaweedFs).setting("DROPSLIP_S3_ENDPOINT", format!("http://{}", proxy.address)).start().await;
    let bytes = noise(4 << 20);
    let file = active_bytes(&broker, &bytes).await;
    let id = file["id"].as_i64().unwrap();
    proxy.breaks("GET /", Break::CutAnswer(1 << 20));
    let cut = broker.download(id, "").await;
    assert_eq!((cut.status().as_u16(), told(cut.headers(), "content-length")), (200, "4194304"));
    cut.bytes().await.unwrap_err();
    proxy.breaks("GET /", Break::Refuse);
    assert_eq!(broker.download(id, "").await.status(), 503);
    proxy.heals();
    assert_eq!(broker.download(id, "").await.bytes().await.unwrap(), bytes);

    // Gone from the bucket: no cause of the client's, and nothing that looks like an empty file.
    broker.s3.delete_object().bucket(&broker.bucket).key(file["s3Path"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(broker.download(id, "").await.status(), 503);
}
