//! The way past the broker, and what nobody sees of files whose bytes are on their way.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::sending::{FILES, error};
use crate::harness::{Bed, Db, Setup, TestBroker, answer};

const REF: &str = "/api/v1/files/ref.json";

impl TestBroker {
    /// Sends the bytes where a slip says.
    pub async fn uploads(&self, slip: &Value, bytes: &[u8]) {
        let texts = |member: &str| -> Vec<(String, String)> {
            let members = slip[member].as_object().unwrap().iter();
            members.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
        };
        let url = slip["url"].as_str().unwrap();
        if slip["method"] == "POST" {
            let (status, answer) = self.post_form(url, &texts("fields"), Some(bytes)).await;
            assert_eq!(status, 201, "{answer}");
        } else {
            let request = texts("headers").into_iter().fold(self.http.put(url), |request, (name, value)| request.header(name, value));
            let response = request.body(bytes.to_vec()).send().await.unwrap();
            assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
        }
    }

    async fn refers(&self, query: &str, wish: &Value) -> (u16, Value) {
        let (status, body) = self.call("POST", &format!("{REF}{query}"), Some(wish)).await;
        (status.as_u16(), body)
    }

    async fn confirms(&self, id: &Value) -> (u16, Value) {
        let (status, body) = self.kayako("PUT", &format!("/files/{id}.json")).await;
        (status.as_u16(), body)
    }
}

async fn a_slip_leads_past_the_broker(bed: Bed, db: Db, method: &str) {
    let setup = Setup::on(bed).database(db).setting("DROPSLIP_DIALECTS", "all");
    let broker = setup.setting("DROPSLIP_S3_METHOD", method).start().await;
    let (status, body) = broker.refers("", &json!({"name": "note.txt", "size": 5, "content_type": "text/plain"})).await;
    assert_eq!((status, &body["status"], &body["resource"]), (201, &json!(201), &json!("file_ref")), "{body}");
    let data = &body["data"];
    let mut members: Vec<_> = data.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["expires_at", "fields", "file", "headers", "method", "url"]);
    assert_eq!(data["method"], method.to_uppercase());
    let id = &data["file"]["id"];
    assert_eq!(data["file"], json!({"id": id, "name": "note.txt", "content_type": "text/plain", "resource_type": "file"}));

    let (status, early) = broker.confirms(id).await;
    assert_eq!((status, error(&early).0), (404, "RESOURCE_NOT_FOUND"), "{early}");
    broker.uploads(data, b"Hello").await;
    assert_eq!(broker.kayako("GET", &format!("/files/{id}.json")).await.0, 404, "it is no file yet");
    let stranger = broker.new_token("other", 1, "files:write").await;
    let theirs = broker.http.put(format!("{}/api/v1/files/{id}.json", broker.base)).bearer_auth(stranger);
    assert_eq!(answer(theirs).await.0, 404);
    for _ in 0..2 {
        let (status, file) = broker.confirms(id).await;
        assert_eq!((status, &file["data"]["id"], &file["data"]["content"]), (200, id, &json!("SGVsbG8=")), "{file}");
        assert!(file["data"]["expiry_at"].is_string(), "{file}");
    }
    assert_eq!(broker.kayako("DELETE", &format!("/files/{id}.json")).await.0, 200);
    let (status, gone) = broker.confirms(id).await;
    assert_eq!((status, error(&gone).0), (404, "RESOURCE_NOT_FOUND"), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slip_leads_past_the_broker_on_embedded() {
    a_slip_leads_past_the_broker(Bed::Embedded, Db::Sqlite, "post").await;
    a_slip_leads_past_the_broker(Bed::Embedded, Db::Sqlite, "put").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slip_leads_past_the_broker_on_embedded_with_postgres() {
    a_slip_leads_past_the_broker(Bed::Embedded, Db::Postgres, "post").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slip_leads_past_the_broker_on_seaweedfs() {
    a_slip_leads_past_the_broker(Bed::SeaweedFs, Db::Sqlite, "post").await;
    a_slip_leads_past_the_broker(Bed::SeaweedFs, Db::Postgres, "put").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slip_leads_past_the_broker_on_localstack() {
    a_slip_leads_past_the_broker(Bed::LocalStack, Db::Postgres, "post").await;
}

async fn what_is_asked_of_a_slip_is_named_as_it_was_written(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    for (wish, refusal) in [
        (json!({}), ("FIELD_REQUIRED", "name")),
        (json!({"name": " "}), ("FIELD_REQUIRED", "name")),
        (json!({"name": 5}), ("FIELD_INVALID", "name")),
        (json!({"name": "setup.exe"}), ("FIELD_INVALID", "name")),
        (json!({"name": "a.txt", "size": "much"}), ("FIELD_INVALID", "size")),
        (json!({"name": "a.txt", "size": -1}), ("FIELD_INVALID", "size")),
        (json!({"name": "a.txt", "size": 0}), ("FIELD_INVALID", "size")),
        (json!({"name": "a.txt", "size": 1_000_000_000_000_u64}), ("FIELD_INVALID", "size")),
        (json!({"name": "a.txt", "content_type": 5}), ("FIELD_INVALID", "content_type")),
    ] {
        let (status, body) = broker.refers("", &wish).await;
        assert_eq!((status, error(&body)), (400, refusal), "{wish}: {body}");
    }
    let (_, camel) = broker.refers("?_case=camel", &json!({"name": "a.txt", "contentType": 5})).await;
    assert_eq!(error(&camel), ("FIELD_INVALID", "contentType"), "{camel}");
    broker.comes_to(0, "refused").await;
    let (status, slip) = broker.refers("?_case=pascal", &json!({"Name": "a.txt", "ContentType": "text/plain"})).await;
    let data = &slip["Data"];
    assert_eq!((status, &data["File"]["ContentType"], &slip["Resource"]), (201, &json!("text/plain"), &json!("file_ref")), "{slip}");
    // What the store reads is no name of Kayako's.
    let fields = data["Fields"].as_object().unwrap();
    assert!(fields.contains_key("key") && fields.contains_key("x-amz-signature"), "{slip}");
    let neutral = json!({"method": data["Method"], "url": data["Url"], "fields": data["Fields"], "headers": data["Headers"]});
    broker.uploads(&neutral, b"Hello").await;
    assert_eq!(broker.confirms(&data["File"]["Id"]).await.0, 200);
}

/// A file is nobody's before it is whole: its number is the one before the next.
async fn bytes_on_their_way_are_no_file(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let before = broker.sends("?_filename=a.txt", "", "Hello").await.1["data"]["id"].as_i64().unwrap();
    let mut stream = TcpStream::connect(broker.server.address).await.unwrap();
    let head = format!(
        "POST {FILES}?_filename=slow.txt HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\ncontent-length: 10\r\n\r\n",
        broker.token
    );
    stream.write_all(format!("{head}Hello").as_bytes()).await.unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while broker.kept().await[0] < 2 {
        assert!(std::time::Instant::now() < deadline, "no record was written");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let id = before + 1;
    for (method, path) in [
        ("GET", format!("/v2/files/{id}.json")),
        ("PATCH", format!("/v2/files/{id}.json")),
        ("PUT", format!("/v2/files/{id}.json")),
        ("POST", format!("/v2/files/{id}/ref.json")),
        ("DELETE", format!("/v2/files/{id}.json")),
        ("GET", format!("/v2/files/{id}/download")),
        ("GET", format!("/v2/files/{id}/parts.json")),
        ("GET", format!("/api/v1/files/{id}.json")),
        ("GET", format!("/api/v1/files/{id}/content")),
        ("PUT", format!("/api/v1/files/{id}.json")),
        ("DELETE", format!("/api/v1/files/{id}.json")),
    ] {
        assert_eq!(broker.call(method, &path, None).await.0, 404, "{method} {path}");
    }
    let (status, body) = broker.call("PUT", "/v2/tickets/1/files.json", Some(&json!({"ids": [id]}))).await;
    assert!(status == 404 || status == 400, "{status} {body}");
    for path in ["/v2/files.json", "/v2/files.json?state=temp", "/api/v1/files.json"] {
        let (_, list) = broker.call("GET", path, None).await;
        let files = list["files"].as_array().or(list["data"].as_array());
        assert!(files.is_none_or(|files| files.iter().all(|file| file["id"] != id)), "{path}: {list}");
    }
    assert_eq!(broker.kayako("DELETE", &format!("/files.json?ids={id}")).await.1["total_count"], 0);
    stream.write_all(b"World").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 201 ") && text.contains(&format!("\"id\":{id},")), "{text}");
    assert_eq!(broker.kayako("GET", &format!("/files/{id}.json")).await.1["data"]["size"], 10);
    broker.comes_to(2, "both").await;
}

on_both_engines!(what_is_asked_of_a_slip_is_named_as_it_was_written, bytes_on_their_way_are_no_file);
