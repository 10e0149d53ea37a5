//! Clients that hang up, stop or come in crowds while their bytes come through the broker.

use std::time::{Duration, Instant};

use dropslip::embedded_s3::BUCKET;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::full_disk::{SmallDisk, fill};
use super::world::LONG;
use crate::harness::{Bed, Db, Setup, TestBroker, answer, count, short_lived};

const BOUND: Duration = Duration::from_secs(20);

/// A body, and what its headers say of it.
struct Request {
    head: String,
    body: Vec<u8>,
}

pub fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect()
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut written = Vec::new();
    for chunk in body.chunks(60_000) {
        written.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        written.extend(chunk);
        written.extend(b"\r\n");
    }
    written.extend(b"0\r\n\r\n");
    written
}

impl Request {
    fn raw(bytes: Vec<u8>) -> Self {
        let head = format!("POST /api/v1/files.json?_filename=a.bin HTTP/1.1\r\ncontent-length: {}\r\n", bytes.len());
        Self { head, body: bytes }
    }

    fn chunked(bytes: &[u8]) -> Self {
        let head = "POST /api/v1/files.json?_filename=a.bin HTTP/1.1\r\ntransfer-encoding: chunked\r\n".to_owned();
        Self { head, body: chunked(bytes) }
    }

    fn form(bytes: &[u8]) -> Self {
        let mut body = b"--b\r\ncontent-disposition: form-data; name=\"f\"; filename=\"a.bin\"\r\n\r\n".to_vec();
        body.extend(bytes);
        body.extend(b"\r\n--b--\r\n");
        let head = "POST /api/v1/files.json HTTP/1.1\r\ncontent-type: multipart/form-data; boundary=b\r\ntransfer-encoding: chunked\r\n";
        Self { head: head.to_owned(), body: chunked(&body) }
    }

    fn json(bytes: &[u8]) -> Self {
        use base64::Engine as _;
        let content = base64::engine::general_purpose::STANDARD.encode(bytes);
        let body = json!({"name": "a.bin", "content": content}).to_string().into_bytes();
        let head = "POST /api/v1/files.json HTTP/1.1\r\ncontent-type: application/json\r\n";
        Self { head: format!("{head}content-length: {}\r\n", body.len()), body }
    }

    /// The connection, on which so many bytes of the body were sent.
    async fn begun(&self, broker: &TestBroker, token: &str, length: usize) -> TcpStream {
        let mut stream = TcpStream::connect(broker.server.address).await.unwrap();
        let head = format!("{}host: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n", self.head);
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&self.body[..length]).await.unwrap();
        stream
    }
}

/// The status and the whole answer.
async fn answered(mut stream: TcpStream) -> (u16, String) {
    let mut text = Vec::new();
    tokio::time::timeout(BOUND, stream.read_to_end(&mut text)).await.unwrap().unwrap();
    let text = String::from_utf8(text).unwrap();
    (text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no answer: {text}")), text)
}

impl TestBroker {
    pub async fn records(&self) -> i64 {
        count(&self.database_url, "SELECT COUNT(*) FROM files WHERE state = 'temp'").await
    }

    async fn until_records(&self, expected: i64, case: &str) {
        let deadline = Instant::now() + BOUND;
        while self.records().await != expected {
            assert!(Instant::now() < deadline, "{case}: {} records, not {expected}", self.records().await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until of what was given up nothing is left, without any sweep: only so many files and their objects.
    pub async fn until_nothing_is_left(&self, files: usize, case: &str) {
        let deadline = Instant::now() + BOUND;
        loop {
            let rows = self.records().await;
            let doomed = count(&self.database_url, "SELECT COUNT(*) FROM doomed_objects").await;
            let reserved = count(&self.database_url, "SELECT COUNT(*) FROM reserved_forms").await;
            let objects = self.objects().await.len();
            let open = self.s3.list_multipart_uploads().bucket(&self.bucket).send().await.unwrap().uploads().len();
            if (rows, doomed, reserved, objects, open) == (0, 0, 0, files, 0) {
                break;
            }
            let left = format!("{rows} records, {doomed} doomed, {reserved} reserved, {objects} objects, {open} uploads");
            assert!(Instant::now() < deadline, "{case}: {left}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let made = count(&self.database_url, "SELECT COUNT(*) FROM files").await;
        assert_eq!(usize::try_from(made).unwrap(), files, "{case}: no file of half a body");
    }

    async fn send_it(&self, request: &Request, token: &str) -> (u16, String) {
        answered(request.begun(self, token, request.body.len()).await).await
    }
}

fn receiving(db: Db) -> Setup {
    Setup::on(Bed::Embedded).database(db).setting("DROPSLIP_DIALECTS", "all").setting("DROPSLIP_KAYAKO_FILE_TYPE", "artifact")
}

/// One place, which whoever hung up must have left.
async fn hangs_up(broker: &TestBroker, request: &Request, cuts: impl Iterator<Item = usize>, files: usize, way: &str) {
    for cut in cuts {
        let case = format!("{way}, {cut} of {} bytes", request.body.len());
        let stream = request.begun(broker, &broker.token, cut).await;
        broker.until_records(1, &case).await;
        drop(stream);
        broker.until_nothing_is_left(files, &case).await;
    }
}

async fn a_client_that_hangs_up_leaves_nothing(db: Db) {
    let broker = receiving(db).setting("DROPSLIP_MAX_PROXIED_UPLOADS", "1").start().await;
    let bytes = noise(2_500_000);
    let ways = [
        ("raw", Request::raw(bytes.clone())),
        ("chunked", Request::chunked(&bytes)),
        ("form", Request::form(&bytes)),
        ("JSON", Request::json(&bytes)),
    ];
    for (files, (way, request)) in ways.iter().enumerate() {
        // The last ones lack but the end of the body: that of chunks, or of what is in them.
        let last = [1, 2, 5].map(|missing| request.body.len() - missing);
        hangs_up(&broker, request, (100_000..request.body.len()).step_by(100_000).chain(last), files, way).await;
        let (status, body) = broker.send_it(request, &broker.token).await;
        assert_eq!(status, 201, "{way}: {body}");
        broker.until_nothing_is_left(files + 1, way).await;
    }
}

async fn a_client_that_hangs_up_amid_parts_leaves_nothing(db: Db) {
    let broker = receiving(db).setting("DROPSLIP_MAX_PROXIED_UPLOADS", "1").start().await;
    let request = Request::chunked(&noise(20_000_000));
    let end = request.body.len() - 5;
    let cuts = [8_000_000, 8_389_000, 8_500_000, 12_000_000, 16_778_000, 17_000_000, end];
    hangs_up(&broker, &request, cuts.into_iter(), 0, "parts").await;
    let (status, body) = broker.send_it(&request, &broker.token).await;
    assert_eq!(status, 201, "{body}");
    broker.until_nothing_is_left(1, "all of it").await;
}

async fn places_are_a_tenants_share_and_one_is_kept_for_others(db: Db) {
    let broker = receiving(db).setting("DROPSLIP_MAX_PROXIED_UPLOADS", "2").start().await;
    let other = broker.new_token("other", 1, "files:read,files:write").await;
    let request = Request::raw(noise(1000));
    let mut slow = Vec::new();
    for place in 1..=2 {
        slow.push(request.begun(&broker, &broker.token, 500).await);
        broker.until_records(place, "a place is free").await;
    }
    let (status, refused) = broker.send_it(&request, &broker.token).await;
    assert_eq!(status, 503, "{refused}");
    assert!(refused.contains("retry-after: ") && refused.contains("SERVICE_UNAVAILABLE"), "{refused}");
    let (status, taken) = broker.send_it(&request, &other).await;
    assert_eq!(status, 201, "one place is kept for others: {taken}");
    for mut stream in slow {
        stream.write_all(&request.body[500..]).await.unwrap();
        let (status, taken) = answered(stream).await;
        assert_eq!(status, 201, "{taken}");
    }
    let (status, taken) = broker.send_it(&request, &broker.token).await;
    assert_eq!(status, 201, "places are free again: {taken}");
    broker.until_nothing_is_left(4, "all of them").await;
}

async fn no_more_bytes_go_through_the_broker_than_it_is_told(db: Db) {
    let broker = receiving(db).setting("DROPSLIP_MAX_PROXIED_BYTES", "100000").start().await;
    for (files, make) in [|bytes| Request::raw(bytes), |bytes: Vec<u8>| Request::chunked(&bytes)].into_iter().enumerate() {
        let (status, refused) = broker.send_it(&make(noise(100_001)), &broker.token).await;
        assert_eq!(status, 413, "{refused}");
        assert!(refused.contains("CONTENT_TOO_LARGE"), "{refused}");
        broker.until_nothing_is_left(files, "one byte too many").await;
        let (status, taken) = broker.send_it(&make(noise(100_000)), &broker.token).await;
        assert_eq!(status, 201, "{taken}");
    }
}

async fn an_upload_is_over_when_its_slip_is(db: Db) {
    let setup = receiving(db).setting("DROPSLIP_KAYAKO_FILE_TYPE", "attachment");
    let broker = setup.policy("attachment.toml", short_lived("2s", 1_000_000)).start().await;
    let head = "POST /api/v1/files.json?_filename=a.txt HTTP/1.1\r\ntransfer-encoding: chunked\r\n".to_owned();
    let request = Request { head, body: chunked(b"these bytes are in time") };
    let (status, taken) = broker.send_it(&request, &broker.token).await;
    assert_eq!(status, 201, "{taken}");
    let stream = request.begun(&broker, &broker.token, 10).await;
    broker.until_records(1, "slow").await;
    let (mut theirs, mut ours) = stream.into_split();
    let dripping = tokio::spawn(async move {
        // The rest of its first chunk, and then chunks of one byte for as long as anybody takes them.
        let _ = ours.write_all(&request.body[10..request.body.len() - 5]).await;
        while ours.write_all(b"1\r\nx\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut text = Vec::new();
    let _ = tokio::time::timeout(BOUND, theirs.read_to_end(&mut text)).await.unwrap();
    dripping.abort();
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with("HTTP/1.1 408 ") && text.contains("REQUEST_TIMEOUT"), "{text}");
    broker.until_nothing_is_left(1, "too slow").await;
}

async fn what_comes_through_the_broker_counts_as_slips_do(db: Db) {
    let setup = receiving(db).setting("DROPSLIP_ACTOR_OPEN_SLIPS", "1").setting("DROPSLIP_ACTOR_RESERVED_BYTES", "2000");
    let broker = setup.start().await;
    let request = Request::raw(noise(1000));
    let (status, refused) = broker.send_it(&Request::raw(noise(2001)), &broker.token).await;
    assert!(status == 429 && refused.contains("RATE_LIMIT_REACHED"), "more bytes than may be reserved: {refused}");
    broker.until_nothing_is_left(0, "refused").await;
    let mut slow = request.begun(&broker, &broker.token, 500).await;
    broker.until_records(1, "slow").await;
    let (status, refused) = broker.send_it(&request, &broker.token).await;
    assert!(status == 429 && refused.contains("RATE_LIMIT_REACHED") && refused.contains("retry-after: "), "{refused}");
    slow.write_all(&request.body[500..]).await.unwrap();
    assert_eq!(answered(slow).await.0, 201);
    let deadline = Instant::now() + BOUND;
    loop {
        let (status, body) = broker.send_it(&request, &broker.token).await;
        if status == 201 {
            break;
        }
        assert!(status == 429 && Instant::now() < deadline, "what was claimed counts no more: {body}");
    }
    broker.until_nothing_is_left(2, "released").await;
}

async fn nothing_else_confirms_what_is_still_coming(db: Db) {
    let text = short_lived("2s", 1_000_000).replace("\"discard\"", "\"activate\"");
    let setup = receiving(db).setting("DROPSLIP_KAYAKO_FILE_TYPE", "attachment").policy("attachment.toml", text);
    let token = "the-store-knows-this-secret";
    let broker = setup.setting("DROPSLIP_NOTIFICATIONS_TOKEN", token).start().await;
    let head = "POST /api/v1/files.json?_filename=a.txt HTTP/1.1\r\ncontent-length: 10\r\n".to_owned();
    let request = Request { head, body: b"ten bytes.".to_vec() };
    let mut stream = request.begun(&broker, &broker.token, 5).await;
    broker.until_records(1, "begun").await;
    let id = count(&broker.database_url, "SELECT id FROM files").await;
    for (method, path, body) in [
        ("GET", format!("/v2/files/{id}.json"), Value::Null),
        ("PATCH", format!("/v2/files/{id}.json"), Value::Null),
        ("DELETE", format!("/v2/files/{id}.json"), Value::Null),
        ("POST", format!("/v2/files/{id}/ref.json"), Value::Null),
        ("POST", format!("/v2/files/{id}/parts.json"), json!({"partNumbers": [1]})),
        ("DELETE", format!("/v2/files/{id}/parts.json"), Value::Null),
        ("PUT", "/v2/tickets/7/files.json".to_owned(), json!({"ids": [id]})),
        ("GET", format!("/api/v1/files/{id}.json"), Value::Null),
        ("PUT", format!("/api/v1/files/{id}.json"), Value::Null),
        ("DELETE", format!("/api/v1/files/{id}.json"), Value::Null),
    ] {
        let (status, told) = answer(broker.request(method, &path).body(body.to_string())).await;
        assert!(status == 404 || (status == 400 && path.starts_with("/v2/tickets")), "{method} {path}: {status} {told}");
    }
    let file = broker.database.find_file(&"default".parse().unwrap(), dropslip::domain::FileId(id)).await.unwrap().unwrap();
    let object = json!({"key": file.staging_key.as_str(), "size": 10, "eTag": "x", "sequencer": "1"});
    let record = json!({"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": broker.bucket}, "object": object}});
    let told = broker.http.post(format!("{}/notifications/s3", broker.base)).bearer_auth(token);
    let (status, body) = answer(told.body(json!({"Records": [record]}).to_string())).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(broker.records().await, 1, "nothing became of it");
    stream.write_all(&request.body[5..]).await.unwrap();
    let (status, body) = answered(stream).await;
    assert_eq!(status, 201, "{body}");
    assert_eq!(broker.read(id).await.0, 200, "it is a file once it was claimed");

    let stream = request.begun(&broker, &broker.token, 5).await;
    broker.until_records(1, "begun again").await;
    let later = time::OffsetDateTime::now_utc() + time::Duration::hours(2);
    let swept = broker.server.broker.sweep(later).await.unwrap();
    assert_eq!((swept.activated, swept.discarded), (0, 1), "{swept:?}");
    drop(stream);
    broker.until_nothing_is_left(1, "swept").await;
}

on_both_engines!(
    a_client_that_hangs_up_leaves_nothing,
    a_client_that_hangs_up_amid_parts_leaves_nothing,
    places_are_a_tenants_share_and_one_is_kept_for_others,
    no_more_bytes_go_through_the_broker_than_it_is_told,
    an_upload_is_over_when_its_slip_is,
    what_comes_through_the_broker_counts_as_slips_do,
    nothing_else_confirms_what_is_still_coming
);

/// The embedded store's disk is full: what it cannot keep is refused, whole or in parts, and nothing of it is left.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_the_store_is_503_and_leaves_nothing() {
    let broker = receiving(Db::Sqlite).start().await;
    let bucket = broker.folder.path().join("bucket");
    let disk = SmallDisk::mount(&bucket, "12m");
    std::fs::create_dir(bucket.join(BUCKET)).unwrap();
    let requests = [Request::raw(noise(100_000)), Request::raw(noise(20_000_000))];
    let (status, refused) = broker.send_it(&requests[1], &broker.token).await;
    assert!(status == 503 && refused.contains("SERVICE_UNAVAILABLE"), "room for its first part alone: {refused}");
    broker.server.broker.sweep(time::OffsetDateTime::now_utc() + LONG).await.unwrap();
    broker.until_nothing_is_left(0, "amid parts").await;
    fill(&bucket.join("rest"));
    for request in &requests {
        let (status, refused) = broker.send_it(request, &broker.token).await;
        assert!(status == 503 && refused.contains("SERVICE_UNAVAILABLE") && refused.contains("retry-after: "), "{refused}");
        broker.until_records(0, "full").await;
    }
    broker.server.broker.sweep(time::OffsetDateTime::now_utc() + LONG * 2).await.unwrap();
    broker.until_nothing_is_left(0, "full").await;
    disk.grow("64m");
    for (place, request) in requests.iter().enumerate() {
        let (status, taken) = broker.send_it(request, &broker.token).await;
        assert_eq!(status, 201, "{taken}");
        broker.until_nothing_is_left(place + 1, "there is room again").await;
    }
    let audit = broker.server.broker.reconcile().await.unwrap();
    assert!(audit.is_clean() && audit.files == 2, "{audit:?}");
    drop((broker, disk));
}
