//! Bodies as other systems write them: with a mark before them, with half a character, in another encoding, compressed.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Bed, Setup, TestBroker, answer, error_fields, new_file};

const NOTIFICATIONS: &str = "the-store-knows-this-secret";

const PREFIXES: [&str; 2] = ["/v2", "/desk/api/v2"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Desk,
    Companion,
    Kayako,
}

/// A request with a body: what is answered where the body is read.
struct Sent {
    method: &'static str,
    path: String,
    body: String,
    good: u16,
    /// Whose errors it has.
    dialect: Dialect,
    /// Whether any bytes will do.
    unread: bool,
}

impl Sent {
    fn to_desk(method: &'static str, path: String, body: &Value, good: u16) -> Self {
        Self { method, path, body: body.to_string(), good, dialect: Dialect::Desk, unread: false }
    }

    fn to_uppy(method: &'static str, path: String, body: &Value, good: u16) -> Self {
        Self { dialect: Dialect::Companion, ..Self::to_desk(method, path, body, good) }
    }

    fn to_kayako(method: &'static str, path: String, body: &Value, good: u16) -> Self {
        Self { dialect: Dialect::Kayako, ..Self::to_desk(method, path, body, good) }
    }

    fn request(&self, broker: &TestBroker) -> RequestBuilder {
        let token = if self.path.starts_with("/notifications") { NOTIFICATIONS } else { &broker.token };
        let request =
            broker.http.request(self.method.parse::<Method>().unwrap(), format!("{}{}", broker.base, self.path)).bearer_auth(token);
        // Without a type, a body is the file itself there.
        if self.dialect == Dialect::Kayako { request.header("content-type", "application/json") } else { request }
    }

    /// The message of a refusal, in the shape of its dialect.
    fn message(&self, body: &Value) -> String {
        let message = match self.dialect {
            Dialect::Desk => Value::Null,
            Dialect::Companion => body["message"].clone(),
            Dialect::Kayako => body["errors"][0]["message"].clone(),
        };
        if self.dialect != Dialect::Desk {
            return message.as_str().unwrap_or_else(|| panic!("{}: {body}", self.path)).to_owned();
        }
        assert_eq!(error_fields(body), ["body"], "{} {}", self.method, self.path);
        body["errors"]["body"][0].as_str().unwrap().to_owned()
    }
}

async fn told_by_http() -> TestBroker {
    Setup::on(Bed::Embedded).setting("DROPSLIP_NOTIFICATIONS_TOKEN", NOTIFICATIONS).start().await
}

async fn active(broker: &TestBroker) -> i64 {
    let slip = broker.text_slip().await;
    broker.drop_bytes(&slip, b"hello").await;
    assert_eq!(broker.confirm(slip.id).await.0, 200);
    slip.id
}

/// One request to each route that reads a body, under each prefix.
async fn every_route(broker: &TestBroker) -> Vec<Sent> {
    let (_, wish) = answer(broker.request("POST", "/companion/tokens.json").body(r#"{"types":["attachment"]}"#)).await;
    let by_token = wish["companionEndpoint"].as_str().unwrap().strip_prefix(&broker.base).unwrap().to_owned();
    let mut all = Vec::new();
    let whatever = json!({"file": {"id": 1}, "\u{1f600}": "\u{1f600}"});
    for v2 in PREFIXES {
        let (temp, file, gone) = (broker.text_slip().await, active(broker).await, active(broker).await);
        assert_eq!(broker.request("DELETE", &format!("/v2/files/{gone}.json")).send().await.unwrap().status(), 204);
        all.extend([
            Sent::to_desk("POST", format!("{v2}/files/ref.json"), &new_file("note.txt", "text/plain"), 201),
            Sent::to_desk("POST", format!("{v2}/files/{}/ref.json", temp.id), &whatever, 201),
            Sent::to_desk("PATCH", format!("{v2}/files/{file}.json"), &json!({"file": {"filename": "other.txt"}}), 200),
            Sent::to_desk("PUT", format!("{v2}/files/{file}.json"), &json!({"filename": "another.txt"}), 200),
            Sent::to_desk("POST", format!("{v2}/files/{gone}/restore.json"), &whatever, 200),
            Sent::to_desk("PUT", format!("{v2}/files/{gone}/restore.json"), &whatever, 200),
            Sent::to_desk("POST", format!("{v2}/files/delete.json"), &json!({"ids": [file], "bulkDryExecute": true}), 200),
            Sent::to_desk("DELETE", format!("{v2}/files.json?ids={file}"), &json!({"bulkDryExecute": true}), 200),
            Sent::to_desk("POST", format!("{v2}/files/{}/parts.json", temp.id), &json!({"partNumbers": [1]}), 409),
            Sent::to_desk("DELETE", format!("{v2}/files/{}/parts.json", temp.id), &whatever, 409),
            Sent::to_desk("PUT", format!("{v2}/tickets/7/files.json"), &json!({"ids": [file]}), 200),
            Sent::to_desk("DELETE", format!("{v2}/tickets/7/files/{file}.json"), &whatever, 204),
            Sent::to_desk("DELETE", format!("{v2}/files/{file}.json"), &whatever, 204),
        ]);
    }
    for prefix in ["", "/companion", &by_token] {
        let described = json!({"filename": "a.txt", "type": "text/plain", "metadata": {"fileType": "attachment"}});
        let request = broker.request("POST", "/companion/s3/multipart").body(described.to_string());
        let (_, made) = answer(request).await;
        let (id, key) = (made["uploadId"].as_str().unwrap(), made["key"].as_str().unwrap());
        let (s3, parts) = (format!("{prefix}/s3"), json!({"parts": [{"PartNumber": 1, "ETag": "x"}]}));
        all.extend([
            Sent::to_uppy("POST", format!("{s3}/multipart"), &described, 200),
            Sent::to_uppy("POST", format!("{s3}/multipart/{id}/complete?key={key}"), &parts, 409),
            Sent { unread: true, ..Sent::to_uppy("POST", format!("{s3}/confirm?key={key}"), &whatever, 409) },
        ]);
    }
    all.push(Sent::to_uppy("POST", "/companion/tokens.json".to_owned(), &json!({"types": ["attachment"]}), 201));
    let temp = broker.text_slip().await.id;
    all.extend([
        Sent::to_kayako("POST", "/api/v1/files.json".to_owned(), &json!({"name": "a.txt", "content": "aGVsbG8="}), 201),
        Sent::to_kayako("POST", "/api/v1/files/ref.json".to_owned(), &json!({"name": "a.txt"}), 201),
        Sent { unread: true, ..Sent::to_kayako("PUT", format!("/api/v1/files/{temp}.json"), &whatever, 404) },
    ]);
    all.push(Sent::to_desk("POST", "/notifications/s3".to_owned(), &json!({"Records": []}), 200));
    all
}

/// How many operations of the document can be answered with that status.
async fn documented(broker: &TestBroker, status: &str) -> usize {
    let (_, document) = answer(broker.http.get(format!("{}/openapi.json", broker.base))).await;
    let operations = document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
    operations.filter(|operation| operation["responses"][status].is_object()).count()
}

#[tokio::test]
async fn a_compressed_body_is_refused_by_the_name_of_its_coding_on_every_route() {
    let broker = told_by_http().await;
    let routes = every_route(&broker).await;
    let codings = [
        ("gzip", "gzip"),
        ("GZIP", "GZIP"),
        ("x-gzip", "x-gzip"),
        ("br", "br"),
        ("deflate", "deflate"),
        ("zstd", "zstd"),
        ("gzip, identity", "gzip"),
        ("identity, br", "br"),
        (" , aws-chunked", "aws-chunked"),
        ("q", "q"),
    ];
    for sent in &routes {
        for (header, named) in codings {
            let request = sent.request(&broker).header("content-encoding", header).body(&b"\x1f\x8b\x08\0\0\0\0\0\0\x03"[..]);
            let response = request.send().await.unwrap();
            let what = format!("{} {} with {header}", sent.method, sent.path);
            assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{what}");
            assert_eq!(response.headers()["accept-encoding"], "identity", "{what}");
            let message = sent.message(&response.json().await.unwrap());
            assert!(message.contains(&format!("‘{named}’")) && message.contains("Content-Encoding"), "{what}: {message}");
        }
        let long = sent.request(&broker).header("content-encoding", "x".repeat(5000)).body("{}").send().await.unwrap();
        assert_eq!(long.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert!(sent.message(&long.json().await.unwrap()).len() < 200);
    }
    // As it is, and said so.
    for (number, sent) in routes.iter().enumerate() {
        let header = ["identity", "Identity", "identity, identity", ""][number % 4];
        let response = sent.request(&broker).header("content-encoding", header).body(sent.body.clone()).send().await.unwrap();
        let what = format!("{} {} with {header}", sent.method, sent.path);
        assert_eq!(response.status().as_u16(), sent.good, "{what}: {}", response.text().await.unwrap());
    }
    // No body is compressed with nothing.
    let nothing = broker.request("GET", "/v2/files.json").header("content-encoding", "gzip");
    assert_eq!(nothing.send().await.unwrap().status(), 200);
    // Each is documented once for its prefixes; Companion's for the header and for the upload token, but for the one that makes tokens.
    let desk = routes.iter().filter(|sent| sent.path.starts_with("/v2")).count();
    let kayako = routes.iter().filter(|sent| sent.dialect == Dialect::Kayako).count();
    assert_eq!(documented(&broker, "415").await, desk + 3 * 2 + 2 + kayako);
}

#[tokio::test]
async fn a_body_with_a_mark_or_half_a_character_is_read_on_every_route() {
    let broker = told_by_http().await;
    for sent in every_route(&broker).await {
        let marked = format!("\u{feff}{}", sent.body);
        // In a name that nobody knows, and in the value of one.
        let halves = sent.body.replacen('{', r#"{"x\ud83d":["\udc00\ud83d",{"\\\ud800":"\\ud800"}],"#, 1);
        let what = format!("{} {}", sent.method, sent.path);
        for wrong in [
            utf16(&sent.body, u16::to_le_bytes, true),
            utf16(&sent.body, u16::to_be_bytes, true),
            utf16(&sent.body, u16::to_le_bytes, false),
        ] {
            let request = sent.request(&broker).header("content-type", "application/json; charset=utf-16").body(wrong);
            let response = request.send().await.unwrap();
            if sent.unread {
                assert_eq!(response.status().as_u16(), sent.good, "{what}");
                continue;
            }
            assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{what}");
            let message = sent.message(&response.json().await.unwrap());
            assert!(message.contains("UTF-16") && message.contains("UTF-8"), "{what}: {message}");
        }
        let latin1 = [sent.body.trim_end_matches('}').as_bytes(), b",\"caf\xe9\":1}"].concat();
        let response =
            sent.request(&broker).header("content-type", "application/json; charset=iso-8859-1").body(latin1).send().await.unwrap();
        if !sent.unread {
            assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{what}");
            let message = sent.message(&response.json().await.unwrap());
            assert!(message.contains("must be JSON in UTF-8, but is not from byte"), "{what}: {message}");
        }
        // What deletes comes last of all.
        let once = sent.method == "DELETE" || sent.path.contains("restore");
        for body in [marked, halves].into_iter().take(if once { 1 } else { 2 }) {
            let response = sent.request(&broker).body(body.clone()).send().await.unwrap();
            assert_eq!(response.status().as_u16(), sent.good, "{what} with {body}: {}", response.text().await.unwrap());
        }
    }
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2], marked: bool) -> Vec<u8> {
    let mark = if marked { "\u{feff}" } else { "" };
    format!("{mark}{text}").encode_utf16().flat_map(bytes).collect()
}

fn filtered(filter: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair("filter", filter).finish()
}

#[tokio::test]
async fn half_an_emoji_in_a_name_is_replaced_as_hostile_names_are_cleaned() {
    let broker = told_by_http().await;
    let name = |body: &Value| body["file"]["filename"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned();
    for (given, kept) in [
        (r"x\ud83d.txt", "x\u{fffd}.txt"),
        (r"x\uDE00.txt", "x\u{fffd}.txt"),
        (r"\ud83d\ud83d\ude00.txt", "\u{fffd}\u{1f600}.txt"),
        (r"x\\ud83d.txt", "ud83d.txt"),
        (r"\ud83d\ude00.txt", "\u{1f600}.txt"),
    ] {
        for prefix in PREFIXES {
            let wanted = format!(r#"{{"type":"attachment","filename":"{given}","fileName":"{given}","mimeType":"text/plain","\udfff":1}}"#);
            for body in [wanted.clone(), format!(r#"{{"file":{wanted}}}"#)] {
                let (status, body) = answer(broker.request("POST", &format!("{prefix}/files/ref.json")).body(body)).await;
                assert_eq!((status.as_u16(), name(&body)), (201, kept.to_owned()), "{given}: {body}");
            }
            let id = active(&broker).await;
            for body in [format!(r#"{{"filename":"{given}"}}"#), format!(r#"{{"file":{{"fileName":"{given}","\ud800":["\ud800"]}}}}"#)] {
                let (status, body) = answer(broker.request("PATCH", &format!("{prefix}/files/{id}.json")).body(body)).await;
                assert_eq!((status.as_u16(), name(&body)), (200, kept.to_owned()), "{given}: {body}");
            }
            if given.contains(r"\\") {
                // That name was cleaned of more than half a character.
                continue;
            }
            // A list is searched by the same text.
            let filter = format!(r#"{{"filename":"{given}"}}"#);
            let (status, body) = answer(broker.request("GET", &format!("{prefix}/files.json?ids={id}&{}", filtered(&filter)))).await;
            assert_eq!((status.as_u16(), body["files"][0]["id"].as_i64()), (200, Some(id)), "{given}: {body}");
        }
        let body = format!(r#"{{"filename":"{given}","type":"text/plain","metadata":{{"fileType":"attachment","\ud800":"\ud800"}}}}"#);
        let (status, body) = answer(broker.request("POST", "/companion/s3/multipart").body(body)).await;
        assert_eq!(status, 200, "{given}: {body}");
        let id: i64 = body["uploadId"].as_str().unwrap().parse().unwrap();
        assert_eq!(name(&broker.read(id).await.1), kept);
    }
    let marked = filtered("\u{feff}{\"filename\":\"no such name\"}");
    let (status, body) = answer(broker.request("GET", &format!("/v2/files.json?{marked}"))).await;
    assert_eq!((status.as_u16(), &body["files"]), (200, &json!([])));
}
