//! Forms at the embedded store: what they cost, when they are refused, and what they leave behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dropslip::embedded_s3::BUCKET;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Bed, Slip, TestBroker, answer, new_file, slip};
use crate::process::Serving;
use crate::upload::multipart::content;

const SETTINGS: [(&str, &str); 3] =
    [("DROPSLIP_LISTEN", "127.0.0.1:0"), ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0"), ("DROPSLIP_POLICIES", "policies")];

const LARGE_FILES: &str = r#"
name = "attachment"
title = "Large files"
min_size = 1
max_size = "64 MiB"
dispositions = ["attachment"]
slip_lifetime = "1h"
sniff = "relabel"
unconfirmed = "discard"
content_types = [{ type = "text/plain", extensions = ["txt"] }]
"#;

/// Most memory that a process had so far, in bytes.
fn most_memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// What is on its way into the bucket.
fn on_their_way(data: &Path) -> Vec<PathBuf> {
    fs::read_dir(data.join("bucket/.new")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A form up to the first byte of its file.
fn beginning(fields: &[(String, String)]) -> Vec<u8> {
    let part = |(name, value): &(String, String)| format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let mut form = fields.iter().map(part).collect::<Vec<_>>().concat();
    form += "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\nContent-Type: application/octet-stream\r\n\r\n";
    form.into_bytes()
}

/// Sends the head of a request with a body of `length` bytes, and `sent` of them.
async fn begin(slip: &Slip, length: usize, sent: &[u8]) -> TcpStream {
    let url = reqwest::Url::parse(&slip.url).unwrap();
    let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let mut stream = TcpStream::connect(&host).await.unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {host}\r\nContent-Type: multipart/form-data; boundary=edge\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n",
        url.path()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // Who is refused meanwhile may not get rid of the rest.
    let _ = stream.write_all(sent).await;
    stream
}

/// The first line of the answer, and the code in it.
async fn said(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), async {
        let mut piece = [0; 4096];
        while !text.windows(8).any(|window| window == b"</Error>" || window == b"onse>\n\r\n") {
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(read) => text.extend_from_slice(&piece[..read]),
            }
        }
    });
    read.await.unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

async fn granted(broker: &TestBroker, size: usize) -> Slip {
    let mut body = new_file("note.txt", "text/plain");
    body["size"] = json!(size);
    broker.authorize(&body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn large_forms_at_once_cost_little_memory_and_arrive_whole() {
    const FORMS: usize = 6;
    const SIZE: usize = 32 << 20;
    const MOST: u64 = 40 << 20;
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("policies")).unwrap();
    fs::write(folder.path().join("policies/attachment.toml"), LARGE_FILES).unwrap();
    let serving = Serving::start(folder.path(), &SETTINGS, ")");
    let token = fs::read_to_string(folder.path().join("data/development-token")).unwrap();
    let http = reqwest::Client::new();
    let send = async |bytes: Vec<u8>| {
        let url = format!("{}/v2/files/ref.json", serving.url());
        let asked = http.post(url).bearer_auth(token.trim()).body(new_file("a.txt", "text/plain").to_string());
        let slip = slip(answer(asked).await.1);
        let mut form = reqwest::multipart::Form::new();
        for (name, value) in &slip.params {
            form = form.text(name.clone(), value.clone());
        }
        form = form.part("file", reqwest::multipart::Part::bytes(bytes));
        let sent = http.post(&slip.url).multipart(form).send().await.unwrap();
        assert_eq!(sent.status(), 201, "{}", sent.text().await.unwrap());
        folder.path().join("data/bucket").join(BUCKET).join(slip.param("key"))
    };
    send(b"hello".to_vec()).await;
    let before = most_memory(serving.id());
    // Each is another file, and none has the same bytes at each place.
    let files: Vec<Vec<u8>> = (0..FORMS).map(|number| [format!("{number}").into_bytes(), content(SIZE)].concat()).collect();
    let arrived = futures_util::future::join_all(files.iter().map(|file| send(file.clone()))).await;
    let grown = most_memory(serving.id()) - before;
    for (path, file) in arrived.iter().zip(&files) {
        assert!(fs::read(path).unwrap() == *file, "other bytes than were sent");
    }
    assert!(grown < MOST, "{FORMS} forms took {} MiB", grown >> 20);
    assert_eq!(on_their_way(&folder.path().join("data")), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_refused_before_its_file_comes_if_its_signature_is_wrong() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let mut slip = granted(&broker, 5).await;
    let right = slip.params.clone();
    for (name, value) in &mut slip.params {
        if name == "x-amz-signature" {
            *value = "0".repeat(64);
        }
    }
    let mut stream = begin(&slip, 64 << 20, &beginning(&slip.params)).await;
    let refused = said(&mut stream).await;
    assert!(refused.starts_with("HTTP/1.1 403 ") && refused.contains("SignatureDoesNotMatch"), "{refused}");
    assert_eq!(on_their_way(broker.folder.path()), Vec::<PathBuf>::new());
    assert_eq!(broker.post_form(&slip.url, &right, Some(b"hello")).await.0, 201, "with its own signature it passes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_refused_while_its_file_comes_if_that_is_larger_than_granted() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let slip = granted(&broker, 5).await;
    let mut stream = begin(&slip, 64 << 20, &[beginning(&slip.params), content(1 << 20)].concat()).await;
    let refused = said(&mut stream).await;
    assert!(refused.starts_with("HTTP/1.1 400 ") && refused.contains("EntityTooLarge"), "{refused}");
    until("what was written is gone", || on_their_way(broker.folder.path()).is_empty()).await;
    assert_eq!(broker.confirm(slip.id).await.0, 409);
    broker.drop_bytes(&slip, b"hello").await;
    assert_eq!(broker.confirm(slip.id).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_hung_up_on_leaves_nothing() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let slip = granted(&broker, 8 << 20).await;
    let stream = begin(&slip, 64 << 20, &[beginning(&slip.params), content(1 << 20)].concat()).await;
    until("its file is on its way", || !on_their_way(broker.folder.path()).is_empty()).await;
    drop(stream);
    until("its file is gone", || on_their_way(broker.folder.path()).is_empty()).await;
    assert_eq!(broker.objects().await, []);
    broker.drop_bytes(&slip, &content(8 << 20)).await;
    assert_eq!(broker.objects().await, [(slip.param("key").to_owned(), 8 << 20)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_after_the_file_is_ignored() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let slip = granted(&broker, 5).await;
    let after = b"hello\r\n--edge\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nfiles/other\r\n--edge--\r\n".as_slice();
    let whole = [beginning(&slip.params).as_slice(), after].concat();
    let mut stream = begin(&slip, whole.len(), &whole).await;
    let taken = said(&mut stream).await;
    assert!(taken.starts_with("HTTP/1.1 201 "), "{taken}");
    assert_eq!(broker.objects().await, [(slip.param("key").to_owned(), 5)]);
    assert_eq!(broker.bytes_of(slip.param("key")).await, b"hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_before_the_file_is_bounded() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let slip = granted(&broker, 5).await;
    let more = |count: usize, bytes: usize| {
        let more = (0..count).map(|number| (format!("x-ignore-{number}"), "x".repeat(bytes)));
        slip.params.iter().cloned().chain(more).collect::<Vec<_>>()
    };
    // A field that no condition names is ignored when its name says so.
    for (fields, status) in [(more(65, 1), 400), (more(1, 65 << 10), 400), (more(10, 60 << 10), 400), (more(20, 1 << 10), 201)] {
        let form = [beginning(&fields).as_slice(), b"hello\r\n--edge--\r\n"].concat();
        let answered = said(&mut begin(&slip, form.len(), &form).await).await;
        assert!(answered.starts_with(&format!("HTTP/1.1 {status} ")), "{answered}");
    }
    // Without an end: it is not waited for.
    let endless = format!("--edge\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n{}", "x".repeat(1 << 20));
    let mut stream = begin(&slip, 64 << 20, endless.as_bytes()).await;
    let refused = said(&mut stream).await;
    assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
}
