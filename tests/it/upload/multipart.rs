//! Files in parts, from the first URL to the sealed object, on every store.

use dropslip::random;
use reqwest::StatusCode;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::harness::{Bed, Setup, TestBroker, error_fields, new_file, short_lived};

const MIB: usize = 1 << 20;

/// The smallest parts that stores take, and a threshold below the test's file.
pub fn in_parts(bed: Bed) -> Setup {
    Setup::on(bed).setting("DROPSLIP_MULTIPART_THRESHOLD", "6 MB").setting("DROPSLIP_PART_SIZE", "5 MiB")
}

/// Bytes that are a text by their beginning and different everywhere.
pub fn content(length: usize) -> Vec<u8> {
    let block: Vec<u8> = random::bytes::<1021>().iter().map(|byte| b'a' + byte % 26).collect();
    let mut bytes: Vec<u8> = block.iter().copied().cycle().take(length).collect();
    for (number, chunk) in bytes.chunks_mut(MIB).enumerate() {
        chunk[0] = b'A' + u8::try_from(number % 26).unwrap();
    }
    bytes
}

pub fn large(length: usize) -> Value {
    let mut file = new_file("large.txt", "text/plain");
    file["size"] = length.into();
    file["multipart"] = true.into();
    file
}

impl TestBroker {
    pub async fn start_parts(&self, file: &Value) -> (i64, Value) {
        let (status, body) = self.call("POST", "/v2/files/ref.json", Some(file)).await;
        assert_eq!((status.as_u16(), body["method"].as_str()), (201, Some("MULTIPART")), "{body}");
        (body["file"]["id"].as_i64().unwrap(), body)
    }

    pub async fn sign_parts(&self, id: i64, numbers: &[u32]) -> Vec<Value> {
        let wanted = json!({"partNumbers": numbers});
        let (status, body) = self.call("POST", &format!("/v2/files/{id}/parts.json"), Some(&wanted)).await;
        assert_eq!(status, 200, "{body}");
        body["parts"].as_array().unwrap().clone()
    }

    pub async fn put_part(&self, part: &Value, content: &[u8]) -> StatusCode {
        let number = usize::try_from(part["partNumber"].as_u64().unwrap()).unwrap();
        let size = usize::try_from(part["size"].as_u64().unwrap()).unwrap();
        let first = (number - 1) * 5 * MIB;
        self.put_bytes(part, content[first..first + size].to_vec()).await.0
    }

    pub async fn put_bytes(&self, signed: &Value, bytes: Vec<u8>) -> (StatusCode, String) {
        let mut request = self.http.put(signed["url"].as_str().unwrap()).body(bytes);
        for (name, value) in signed["headers"].as_object().unwrap() {
            request = request.header(name, value.as_str().unwrap());
        }
        let response = request.send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }

    /// Every part, the last one first.
    pub async fn put_all(&self, id: i64, numbers: &[u32], content: &[u8]) {
        for part in self.sign_parts(id, numbers).await.iter().rev() {
            let status = self.put_part(part, content).await;
            assert_eq!(status, 200, "{:?}", self.bed);
        }
    }

    async fn arrived(&self, id: i64) -> Vec<u64> {
        let (status, body) = self.call("GET", &format!("/v2/files/{id}/parts.json"), None).await;
        assert_eq!(status, 200, "{body}");
        body["parts"].as_array().unwrap().iter().map(|part| part["partNumber"].as_u64().unwrap()).collect()
    }

    /// Keys on which an upload in parts is open.
    pub async fn open_uploads(&self) -> Vec<String> {
        let listed = self.s3.list_multipart_uploads().bucket(&self.bucket).send().await.unwrap();
        listed.uploads().iter().map(|upload| upload.key().unwrap().to_owned()).collect()
    }
}

async fn parts_become_one_active_file(bed: Bed) {
    let broker = in_parts(bed).start().await;
    let content = content(11 * MIB + 5);
    let (id, slip) = broker.start_parts(&large(content.len())).await;
    assert_eq!((&slip["partSize"], &slip["partCount"], &slip["params"]), (&(5 * MIB).into(), &3.into(), &json!({})), "{slip}");
    assert!(slip.get("url").is_none(), "{slip}");
    assert_eq!(broker.arrived(id).await, [] as [u64; 0]);

    let (status, body) = broker.confirm(id).await;
    assert_eq!((status.as_u16(), error_fields(&body)), (409, vec!["state".to_owned()]), "nothing came yet: {body}");
    broker.put_all(id, &[3, 1], &content).await;
    assert_eq!(broker.arrived(id).await, [1, 3]);
    let (status, body) = broker.confirm(id).await;
    assert_eq!((status.as_u16(), &body["errors"]["parts"][0]), (409, &"must be uploaded first: 2 of 3".into()), "{body}");
    broker.put_all(id, &[2], &content).await;

    let (status, body) = broker.confirm(id).await;
    assert_eq!(
        (status.as_u16(), body["file"]["state"].as_str(), body["file"]["size"].as_u64()),
        (200, Some("active"), Some(content.len() as u64))
    );
    let objects = broker.objects().await;
    assert_eq!(objects.len(), 1, "{bed:?}: {objects:?}");
    assert!(objects[0].0.starts_with("files/"), "{objects:?}");
    assert!(broker.bytes_of(&objects[0].0).await == content, "{bed:?}: other bytes");
    assert_eq!(broker.open_uploads().await, [] as [&str; 0]);
    assert_eq!(broker.confirm(id).await.0, 200, "again");
    let (status, body) = broker.call("GET", &format!("/v2/files/{id}/parts.json"), None).await;
    assert_eq!((status.as_u16(), error_fields(&body)), (409, vec!["state".to_owned()]));
    assert!(broker.server.broker.reconcile().await.unwrap().is_clean());
}

async fn large_files_are_sealed_by_a_copy_in_parts(bed: Bed) {
    let broker = in_parts(bed).setting("DROPSLIP_COPY_IN_PARTS_ABOVE", "5 MiB").start().await;
    let content = content(16 * MIB);
    let (id, _) = broker.start_parts(&large(content.len())).await;
    broker.put_all(id, &[1, 2, 3, 4], &content).await;
    let (status, body) = broker.confirm(id).await;
    assert_eq!(status, 200, "{bed:?}: {body}");
    let objects = broker.objects().await;
    assert_eq!(objects.len(), 1, "{objects:?}");
    assert!(broker.bytes_of(&objects[0].0).await == content, "{bed:?}: other bytes");
    let sealed = broker.s3.head_object().bucket(&broker.bucket).key(&objects[0].0).send().await.unwrap();
    assert_eq!(sealed.content_type(), Some("text/plain"));
    assert_eq!(sealed.content_disposition(), Some("attachment; filename=\"large.txt\""));
    assert!(sealed.e_tag().unwrap().contains("-4"), "four parts: {:?}", sealed.e_tag());
    assert_eq!(broker.open_uploads().await, [] as [&str; 0]);
    assert!(broker.server.broker.reconcile().await.unwrap().is_clean());
}

async fn what_is_given_up_is_gone(bed: Bed) {
    let broker = in_parts(bed).start().await;
    let content = content(7 * MIB);
    let (id, _) = broker.start_parts(&large(content.len())).await;
    broker.put_all(id, &[1], &content).await;
    assert_eq!(broker.open_uploads().await.len(), 1);
    let path = format!("/v2/files/{id}/parts.json");
    assert_eq!(broker.request("DELETE", &path).send().await.unwrap().status(), 204);
    assert_eq!(broker.open_uploads().await, [] as [&str; 0], "{bed:?}");
    for (method, path) in [("DELETE", path.as_str()), ("GET", &path), ("PATCH", &format!("/v2/files/{id}.json"))] {
        assert_eq!(broker.call(method, path, None).await.0, 404, "{method}");
    }
}

async fn what_nobody_comes_back_for_is_swept(bed: Bed) {
    let broker = in_parts(bed).policy("text.toml", short_lived("1h", 100 << 20)).start().await;
    let content = content(7 * MIB);
    let (id, _) = broker.start_parts(&large(content.len())).await;
    broker.put_all(id, &[2], &content).await;
    // What a crash between asking the store and writing down its answer leaves: an upload whose name nobody knows.
    let key = broker.open_uploads().await.remove(0);
    broker.s3.create_multipart_upload().bucket(&broker.bucket).key(&key).send().await.unwrap();
    let sweep = async |later: Duration| broker.server.broker.sweep(OffsetDateTime::now_utc() + later).await.unwrap();
    assert_eq!(sweep(Duration::minutes(30)).await.discarded, 0);
    assert_eq!(sweep(Duration::hours(3)).await.discarded, 1);
    assert_eq!(broker.open_uploads().await, [] as [&str; 0], "{bed:?}");
    assert_eq!(broker.read(id).await.0, 404);

    let orphan = "temp/nobody-knows-this";
    broker.s3.create_multipart_upload().bucket(&broker.bucket).key(orphan).send().await.unwrap();
    assert_eq!(broker.server.broker.reconcile().await.unwrap().orphaned, [orphan]);
    broker.database.doom(orphan, OffsetDateTime::now_utc(), true).await.unwrap();
    assert_eq!(sweep(Duration::hours(3)).await.deleted, 1);
    assert_eq!(broker.open_uploads().await, [] as [&str; 0], "{bed:?}");
}

async fn a_reissued_slip_starts_over(bed: Bed) {
    let broker = in_parts(bed).start().await;
    let content = content(7 * MIB);
    let (id, _) = broker.start_parts(&large(content.len())).await;
    let old = broker.sign_parts(id, &[1]).await;
    assert_eq!(broker.put_part(&old[0], &content).await, 200);
    let (status, body) = broker.call("POST", &format!("/v2/files/{id}/ref.json"), None).await;
    assert_eq!((status.as_u16(), body["method"].as_str(), body["partCount"].as_u64()), (201, Some("MULTIPART"), Some(2)), "{body}");
    assert_eq!(broker.arrived(id).await, [] as [u64; 0]);
    // A store may answer, and may as well hang up on the bytes.
    let late = broker.http.put(old[0]["url"].as_str().unwrap()).body(content[..5 * MIB].to_vec()).send().await;
    assert!(late.as_ref().map_or(true, |answer| answer.status().is_client_error()), "{bed:?}: the old upload is over: {late:?}");
    broker.put_all(id, &[1, 2], &content).await;
    assert_eq!(broker.confirm(id).await.0, 200);
    assert_eq!(broker.open_uploads().await, [] as [&str; 0]);
}

/// Clients repeat what takes long: none of them may be told that nothing came.
async fn confirmations_at_once_answer_the_same(bed: Bed) {
    let broker = in_parts(bed).start().await;
    let content = content(7 * MIB);
    let (id, _) = broker.start_parts(&large(content.len())).await;
    broker.put_all(id, &[1, 2], &content).await;
    let answers = futures_util::future::join_all((0..6).map(|_| broker.confirm(id))).await;
    for (status, body) in answers {
        assert_eq!(status, 200, "{bed:?}: {body}");
    }
    assert_eq!(broker.objects().await.len(), 1, "{bed:?}");
}

/// A client that hangs up while its parts are put together has lost nothing.
async fn a_confirmation_that_is_cut_off_goes_on(bed: Bed) {
    let broker = in_parts(bed).start().await;
    let content = content(23 * MIB);
    let mut cut_off = 0;
    for patience in [5, 20, 60, 150] {
        let (id, _) = broker.start_parts(&large(content.len())).await;
        broker.put_all(id, &[1, 2, 3, 4, 5], &content).await;
        let hasty = broker.request("PATCH", &format!("/v2/files/{id}.json")).timeout(std::time::Duration::from_millis(patience));
        cut_off += usize::from(hasty.send().await.is_err());
        let (status, body) = broker.confirm(id).await;
        assert_eq!(status, 200, "{bed:?} after {patience} ms: {body}");
    }
    assert_eq!(broker.objects().await.len(), 4, "{bed:?}");
    assert!(cut_off > 0, "{bed:?}: all of them ended in time");
}

async fn a_refused_file_in_parts_can_be_uploaded_again(bed: Bed) {
    let broker = in_parts(bed).start().await;
    let mut image = large(6 * MIB);
    image["type"] = "image".into();
    image["filename"] = "a.png".into();
    image["mimeType"] = "image/png".into();
    let (id, _) = broker.start_parts(&image).await;
    let mut content = content(6 * MIB);
    broker.put_all(id, &[1, 2], &content).await;
    let (status, body) = broker.confirm(id).await;
    assert_eq!((status.as_u16(), error_fields(&body)), (422, vec!["mimeType".to_owned()]), "{body}");
    assert_eq!(broker.objects().await, []);
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde";
    content[..png.len()].copy_from_slice(png);
    broker.put_all(id, &[1, 2], &content).await;
    let (status, body) = broker.confirm(id).await;
    assert_eq!(status, 200, "{bed:?}: {body}");
    assert_eq!(broker.open_uploads().await, [] as [&str; 0]);
}

macro_rules! on_every_store {
    ($($test:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() { super::$test(super::Bed::Embedded).await; })*
        }
        mod seaweedfs {
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() { super::$test(super::Bed::SeaweedFs).await; })*
        }
        mod localstack {
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() { super::$test(super::Bed::LocalStack).await; })*
        }
    };
}

on_every_store!(
    parts_become_one_active_file,
    large_files_are_sealed_by_a_copy_in_parts,
    what_is_given_up_is_gone,
    what_nobody_comes_back_for_is_swept,
    a_reissued_slip_starts_over,
    confirmations_at_once_answer_the_same,
    a_confirmation_that_is_cut_off_goes_on,
    a_refused_file_in_parts_can_be_uploaded_again,
);

/// A URL is for one part, its size and its upload.
async fn tampered_urls_are_refused(bed: Bed) {
    let broker = in_parts(bed).start().await;
    let content = content(7 * MIB);
    let (id, _) = broker.start_parts(&large(content.len())).await;
    let part = broker.sign_parts(id, &[2]).await.remove(0);
    let url = part["url"].as_str().unwrap().to_owned();
    let other = |from: &str, to: &str| {
        assert!(url.contains(from), "{url}");
        let mut part = part.clone();
        part["url"] = url.replacen(from, to, 1).into();
        part
    };
    let right = content[5 * MIB..].to_vec();
    for (tampered, bytes) in [
        (part.clone(), right[1..].to_vec()),
        (part.clone(), [right.clone(), vec![b'x']].concat()),
        (other("partNumber=2", "partNumber=1"), right.clone()),
        (other("X-Amz-Expires=", "X-Amz-Expires=1"), right.clone()),
        (other("temp/", "files/"), right.clone()),
        (other("X-Amz-Signature=", "X-Amz-Signature=0"), right.clone()),
    ] {
        let (status, answer) = broker.put_bytes(&tampered, bytes).await;
        assert!(status.is_client_error(), "{bed:?} {}: {status} {answer}", tampered["url"]);
    }
    assert_eq!(broker.arrived(id).await, [] as [u64; 0]);
    assert_eq!(broker.put_bytes(&part, right).await.0, 200, "the right one");
}

#[tokio::test]
async fn seaweedfs_refuses_tampered_urls_of_parts() {
    tampered_urls_are_refused(Bed::SeaweedFs).await;
}

#[tokio::test]
async fn the_embedded_store_refuses_tampered_urls_of_parts() {
    tampered_urls_are_refused(Bed::Embedded).await;
}

#[tokio::test]
async fn only_large_files_of_clients_that_can_come_in_parts() {
    let broker = in_parts(Bed::Embedded).start().await;
    let method = async |change: Value| {
        let mut file = new_file("a.txt", "text/plain");
        file.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (status, body) = broker.call("POST", "/v2/files/ref.json", Some(&file)).await;
        assert_eq!(status, 201, "{body}");
        body["method"].as_str().unwrap().to_owned()
    };
    assert_eq!(method(json!({"size": 6_000_000, "multipart": true})).await, "MULTIPART");
    assert_eq!(method(json!({"size": 5_999_999, "multipart": true})).await, "POST");
    assert_eq!(method(json!({"size": 6_000_000, "multipart": false})).await, "POST");
    assert_eq!(method(json!({"size": 6_000_000})).await, "POST");
    assert_eq!(method(json!({"multipart": true})).await, "POST", "nobody knows how large it is");
    let (status, body) = broker.call("POST", "/v2/files/ref.json", Some(&json!({"multipart": "yes"}))).await;
    assert_eq!((status.as_u16(), body["errors"]["multipart"][0].as_str()), (400, Some("must be true or false")));
}

#[tokio::test]
async fn files_beyond_one_request_must_come_in_parts() {
    let broker = in_parts(Bed::SeaweedFs).policy("text.toml", short_lived("1h", 6 << 30)).start().await;
    let size = 5_u64 << 30 | 1;
    let mut file = new_file("a.txt", "text/plain");
    file["size"] = size.into();
    let (status, body) = broker.call("POST", "/v2/files/ref.json", Some(&file)).await;
    assert_eq!((status.as_u16(), error_fields(&body)), (400, vec!["size".to_owned()]));
    assert!(body.to_string().contains("must be 5368709120 or lower in one request"), "{body}");
    file["multipart"] = true.into();
    let (_, slip) = broker.start_parts(&file).await;
    assert_eq!(slip["partCount"], 1025);
}

#[tokio::test]
async fn part_numbers_are_judged_and_complaints_name_them() {
    let broker = in_parts(Bed::Embedded).start().await;
    let (id, _) = broker.start_parts(&large(7 * MIB)).await;
    let path = format!("/v2/files/{id}/parts.json");
    // Parts that there are: it is their number that is too large.
    let most = [1; 100];
    let many = [1; 101];
    for wrong in [
        json!({}),
        json!({"partNumbers": []}),
        json!({"partNumbers": "1"}),
        json!({"partNumbers": [0]}),
        json!({"partNumbers": [1, 3]}),
        json!({"partNumbers": [-1]}),
        json!({"partNumbers": [1.5]}),
        json!({"partNumbers": [18_446_744_073_709_551_615_u64]}),
        json!({"partNumbers": many.as_slice()}),
    ] {
        let (status, body) = broker.call("POST", &path, Some(&wrong)).await;
        assert_eq!((status.as_u16(), error_fields(&body)), (400, vec!["partNumbers".to_owned()]), "{wrong}: {body}");
    }
    assert_eq!(broker.sign_parts(id, &most).await.len(), 100);
    let slip = broker.text_slip().await;
    for method in ["GET", "POST", "DELETE"] {
        let body = json!({"partNumbers": [1]});
        let (status, body) = broker.call(method, &format!("/v2/files/{}/parts.json", slip.id), (method == "POST").then_some(&body)).await;
        assert_eq!((status.as_u16(), error_fields(&body)), (409, vec!["parts".to_owned()]), "{method}: {body}");
    }
}

#[tokio::test]
async fn parts_are_their_owners_only() {
    let broker = in_parts(Bed::Embedded).start().await;
    let (id, _) = broker.start_parts(&large(7 * MIB)).await;
    let stranger = broker.new_token("other", 1, "files:read,files:write").await;
    let reader = broker.new_token("default", 1, "files:read").await;
    for (token, expected) in [(&stranger, 404), (&reader, 403)] {
        for method in ["GET", "POST", "DELETE"] {
            let request = broker.http.request(method.parse().unwrap(), format!("{}/v2/files/{id}/parts.json", broker.base));
            let request = if method == "POST" { request.body(r#"{"partNumbers":[1]}"#) } else { request };
            let status = request.bearer_auth(token).send().await.unwrap().status();
            assert_eq!(status, expected, "{method}");
        }
    }
    broker.sign_parts(id, &[1]).await;
}

#[tokio::test]
async fn one_idempotency_key_begins_one_upload() {
    let broker = in_parts(Bed::Embedded).start().await;
    let ask = async || {
        let request = broker.request("POST", "/v2/files/ref.json").header("idempotency-key", "once");
        let answer: Value = request.body(large(7 * MIB).to_string()).send().await.unwrap().json().await.unwrap();
        answer["file"]["id"].as_i64().unwrap()
    };
    let ids = futures_util::future::join_all((0..6).map(|_| ask())).await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(broker.open_uploads().await.len(), 1);
    broker.sign_parts(ids[0], &[1, 2]).await;
}
