//! One file and its bytes: every member, conditions, and what is read from the bucket for it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Bed, Db, Setup, TestBroker, answer, new_file};

impl TestBroker {
    pub async fn kayako(&self, method: &str, path: &str) -> (StatusCode, Value) {
        answer(self.request(method, &format!("/api/v1{path}")).header("content-type", "application/json")).await
    }
}

fn told<'a>(response: &'a reqwest::Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

async fn a_file_of_any_dialect_has_every_member(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let file = broker.active(&new_file("note.txt", "text/plain"), b"Hello").await;
    let id = file["id"].as_i64().unwrap();
    let (status, body) = broker.kayako("GET", &format!("/files/{id}.json")).await;
    assert_eq!(status, 200, "{body}");
    let url = format!("{}/api/v1/files/{id}", broker.base);
    let data = &body["data"];
    let created = data["created_at"].as_str().unwrap();
    assert_eq!(created.len(), "2026-01-02T03:04:05+00:00".len());
    assert_eq!(&created[19..], "+00:00");
    assert_eq!(&created[..19], &file["createdAt"].as_str().unwrap()[..19]);
    let hash = data["hash"].as_str().unwrap();
    assert!(hash.len() == 32 && hash.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{hash}");
    assert!(data["group_hash"].as_str().unwrap().strip_prefix("s:").is_some_and(|group| !group.is_empty()), "{body}");
    let expected = json!({
        "id": id, "name": "note.txt", "size": 5, "content_type": "text/plain", "content": "SGVsbG8=",
        "content_url": format!("{url}/content"), "hash": hash, "group_hash": data["group_hash"], "created_at": created,
        "expiry_at": null, "resource_type": "file", "resource_url": url,
    });
    assert_eq!(body["data"], expected);
    assert_eq!((&body["status"], &body["resource"]), (&json!(200), &json!("file")));
    let other = broker.active_note("Hello").await;
    let (_, without) = broker.kayako("GET", &format!("/files/{other}")).await;
    assert_ne!(without["data"]["hash"], json!(hash), "it is the file's, not that of its bytes");
    assert_eq!(broker.kayako("GET", &format!("/files/{id}")).await, (StatusCode::OK, body));

    let (_, camel) = broker.kayako("GET", &format!("/files/{id}.json?_case=camel&fields=contentType,contentUrl")).await;
    assert_eq!(camel["data"], json!({"contentType": "text/plain", "contentUrl": format!("{url}/content")}));
    let (_, some) = broker.kayako("GET", &format!("/files/{id}.json?fields=id,name")).await;
    assert_eq!(some["data"], json!({"id": id, "name": "note.txt"}));
    let (_, full) = broker.kayako("GET", &format!("/files/{id}.json?_empty=false")).await;
    assert!(full["data"].get("expiry_at").is_none() && full["data"]["content"] == "SGVsbG8=", "{full}");
}

async fn what_is_not_there_or_not_ones_own_is_404(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let (there, gone, temp) = (broker.active_note("Hello").await, broker.active_note("Hello").await, broker.text_slip().await.id);
    assert_eq!(broker.request("DELETE", &format!("/v2/files/{gone}.json")).send().await.unwrap().status(), 204);
    let ids = [there.to_string(), gone.to_string(), temp.to_string(), "999999999".into(), "abc".into(), "-1".into()];
    let stranger = broker.new_token("other", 1, "files:read,files:delete").await;
    for (place, id) in ids.iter().enumerate() {
        for path in
            [format!("/files/{id}.json"), format!("/files/{id}"), format!("/files/{id}/content"), format!("/files/{id}/content.json")]
        {
            let answered = broker.request("GET", &format!("/api/v1{path}")).send().await.unwrap().status();
            assert_eq!(answered == 404, place > 0, "{path}: {answered}");
            assert!(answered == 404 || answered == 200 || answered == 302, "{path}: {answered}");
            let url = format!("{}/api/v1{path}", broker.base);
            let (status, body) = answer(broker.http.get(url).bearer_auth(&stranger)).await;
            assert_eq!((status.as_u16(), &body["errors"][0]["code"]), (404, &json!("RESOURCE_NOT_FOUND")), "{path}");
        }
        if place > 0 {
            assert_eq!(broker.kayako("DELETE", &format!("/files/{id}.json")).await.0, 404, "{id}");
        }
    }
    assert_eq!(broker.read(temp).await.0, 200, "a slip is no file yet, and not to be deleted as one");
}

async fn conditions_are_those_of_the_record(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let id = broker.active_note("Hello").await;
    let path = format!("/api/v1/files/{id}.json");
    let first = broker.request("GET", &path).send().await.unwrap();
    let (etag, changed) = (told(&first, "etag").to_owned(), told(&first, "last-modified").to_owned());
    let get = async |name: &str, value: &str, query: &str| {
        broker.request("GET", &format!("{path}{query}")).header(name, value).send().await.unwrap()
    };
    for (name, value) in
        [("if-none-match", etag.as_str()), ("if-none-match", etag.trim_matches('"')), ("if-modified-since", changed.as_str())]
    {
        let known = get(name, value, "").await;
        assert_eq!((known.status().as_u16(), told(&known, "etag")), (304, etag.as_str()), "{name}: {value}");
        assert!(known.bytes().await.unwrap().is_empty());
    }
    assert_eq!(get("if-none-match", "\"other\"", "").await.status(), 200);
    assert_eq!(get("if-modified-since", "Thu, 01 Jan 2015 00:00:00 GMT", "").await.status(), 200);
    assert_eq!(get("if-none-match", &etag, "?fields=id").await.status(), 200, "that is another text");
    let renamed = broker.call("PATCH", &format!("/v2/files/{id}.json"), Some(&json!({"filename": "other.txt"}))).await;
    assert_eq!(renamed.0, 200, "{renamed:?}");
    assert_eq!(get("if-none-match", &etag, "").await.status(), 200, "it has another name now");

    let head = broker.request("HEAD", &path).send().await.unwrap();
    let length: usize = told(&head, "content-length").parse().unwrap();
    assert_eq!(broker.request("GET", &path).send().await.unwrap().bytes().await.unwrap().len(), length);
}

on_both_engines!(a_file_of_any_dialect_has_every_member, what_is_not_there_or_not_ones_own_is_404, conditions_are_those_of_the_record);

fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect()
}

async fn content_is_base64_up_to_the_limit(bed: Bed) {
    let broker = Setup::on(bed).setting("DROPSLIP_DIALECTS", "all").setting("DROPSLIP_KAYAKO_CONTENT_MAX", "300000").start().await;
    for (length, whole) in [(1, true), (2, true), (3, true), (299_999, true), (300_000, true), (300_001, false)] {
        let bytes = noise(length);
        let wish = json!({"type": "artifact", "filename": "noise.bin", "mimeType": "application/octet-stream"});
        let id = broker.active(&wish, &bytes).await["id"].as_i64().unwrap();
        let answered = broker.request("GET", &format!("/api/v1/files/{id}.json")).send().await.unwrap();
        let promised: usize = told(&answered, "content-length").parse().unwrap();
        let text = answered.text().await.unwrap();
        assert_eq!(text.len(), promised);
        let body: Value = serde_json::from_str(&text).unwrap();
        let expected = if whole { json!(STANDARD.encode(&bytes)) } else { Value::Null };
        assert!(body["data"]["content"] == expected, "{bed:?}: {length} bytes");
        assert_eq!(body["data"]["size"], length);
        let raw = broker.request("GET", &format!("/api/v1/files/{id}/content")).header("accept", "text/plain").send().await.unwrap();
        let raw = if raw.status() == 302 { broker.http.get(told(&raw, "location")).send().await.unwrap() } else { raw };
        assert!(told(&raw, "content-disposition").starts_with("attachment;"));
        assert!(raw.bytes().await.unwrap() == bytes, "{bed:?}: {length} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn content_is_base64_up_to_the_limit_on_embedded() {
    content_is_base64_up_to_the_limit(Bed::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn content_is_base64_up_to_the_limit_on_seaweedfs() {
    content_is_base64_up_to_the_limit(Bed::SeaweedFs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_bytes_come_in_ranges_and_under_conditions() {
    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_DOWNLOADS", "proxy").start().await;
    let id = broker.active_note("Hello").await;
    for path in [format!("/api/v1/files/{id}/content"), format!("/api/v1/files/{id}/content.json")] {
        let whole = broker.request("GET", &path).send().await.unwrap();
        assert_eq!((whole.status().as_u16(), told(&whole, "content-type"), told(&whole, "content-length")), (200, "text/plain", "5"));
        let etag = told(&whole, "etag").to_owned();
        assert_eq!(whole.text().await.unwrap(), "Hello");
        let part = broker.request("GET", &path).header("range", "bytes=1-2").send().await.unwrap();
        assert_eq!((part.status().as_u16(), part.text().await.unwrap().as_str()), (206, "el"));
        for known in [etag.as_str(), etag.trim_matches('"')] {
            assert_eq!(broker.request("GET", &path).header("if-none-match", known).send().await.unwrap().status(), 304);
        }
        let head = broker.request("HEAD", &path).send().await.unwrap();
        assert_eq!((head.status().as_u16(), told(&head, "content-length")), (200, "5"));
    }
}
