//! What is said on the wire stays as it was: a conversation in each dialect, byte for byte, with its faults and the document of all routes.
//!
//! `tests/data/wire/` has what was answered. Times, keys, signatures and tokens are masked, as they differ each time. Where an answer is
//! to change, `UPDATE_WIRE=1` writes the files anew, and their difference shows what clients will see.

use std::fmt::Write as _;
use std::fs;

use regex::Regex;
use serde_json::{Value, json};

use crate::harness::{Bed, Setup, Slip, TestBroker, project, slip};

/// What differs each time, and what stands in its place. Longer things first.
const MASKS: [(&str, &str); 14] = [
    (r"\d{4}-\d\d-\d\dT\d\d(:|%3A)\d\d(:|%3A)\d\d(\.\d+)?Z", "TIME"),
    (r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", "HTTP-DATE"),
    (r"\d{8}T\d{6}Z", "AMZ-DATE"),
    (r"\d{8}(/|%2F)us-east-1", "DATE${1}us-east-1"),
    (r"(temp|files)(/|%2F)[0-9a-f]{12}-[0-9a-f]{32}", "${1}${2}KEY"),
    (r"\b(dslip_|d[uj]\d\.)[A-Za-z0-9_.~-]+", "${1}TOKEN"),
    (r"proxyKey=[A-Za-z0-9_.~%-]+", "proxyKey=LINK-KEY"),
    (r#""proxyKey":"[^"]+""#, r#""proxyKey":"LINK-KEY""#),
    (r"\b[0-9a-f]{64}\b", "HEX"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
    (r"\beyJ[A-Za-z0-9+/]{60,}={0,2}", "POLICY"),
    (r"req_[0-9a-z]+", "REQUEST-ID"),
    (r"Expires=\d+", "Expires=SECONDS"),
    (r#""expires":35\d\d"#, r#""expires":35SECONDS"#),
];

struct Wire<'a> {
    broker: &'a TestBroker,
    masks: Vec<(Regex, &'static str)>,
    said: String,
}

impl<'a> Wire<'a> {
    fn new(broker: &'a TestBroker) -> Self {
        let masks = MASKS.map(|(pattern, mask)| (Regex::new(pattern).unwrap(), mask)).into();
        Self { broker, masks, said: String::new() }
    }

    fn masked(&self, text: &str) -> String {
        let object_store = format!("http://{}", self.broker.server.embedded_s3.unwrap());
        let known =
            [(self.broker.base.as_str(), "http://BROKER"), (&object_store, "http://STORE"), (&self.broker.access_key_id, "ACCESS-KEY")];
        let text = known.iter().fold(text.to_owned(), |text, (what, mask)| text.replace(what, mask));
        self.masks.iter().fold(text, |text, (pattern, mask)| pattern.replace_all(&text, *mask).into_owned())
    }

    /// Asks, and writes down what was asked and answered. `request` is a method, a path, and headers behind it, a line each.
    async fn ask(&mut self, request: &str, body: impl Into<Option<Value>>) -> Value {
        self.ask_raw(request, body.into().map(|body| body.to_string())).await
    }

    async fn ask_raw(&mut self, request: &str, body: Option<String>) -> Value {
        let mut lines = request.lines().map(str::trim);
        let (method, path) = lines.next().unwrap().split_once(' ').unwrap();
        let mut asked = self.broker.http.request(method.parse().unwrap(), format!("{}{path}", self.broker.base));
        for header in lines {
            let (name, value) = header.split_once(": ").unwrap();
            asked = asked.header(name, value);
        }
        if let Some(body) = &body {
            asked = asked.header("content-type", "application/json").body(body.clone());
        }
        let answer = asked.send().await.unwrap();
        let head = format!("{request}\n{}\n\n{}\n", body.unwrap_or_default(), answer.status());
        let mut headers: Vec<_> = answer.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        // Each its own; and the length where what differs each time has no fixed one.
        headers.retain(|header| !header.starts_with("x-request-id: ") && !header.starts_with("content-length: "));
        // The document's tag is made of the broker's address too.
        headers.retain(|header| path != "/openapi.json" || !header.starts_with("etag: "));
        headers.sort();
        let bytes = answer.bytes().await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| format!("{} bytes", bytes.len()));
        let _ = writeln!(self.said, "{}\n", self.masked(&format!("{head}{}\n\n{text}", headers.join("\n"))).trim_end());
        self.said.push_str("----\n");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Compares what was said with what is kept under that name.
    fn end(self, name: &str) {
        let path = project().join("tests/data/wire").join(name);
        if std::env::var_os("UPDATE_WIRE").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &self.said).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap();
        for (now, before) in self.said.split("----\n").zip(kept.split("----\n")) {
            // An answer may be long: what is shown is where it begins to differ.
            let same = now.chars().zip(before.chars()).take_while(|(now, before)| now == before).count();
            let around = |text: &str| text.chars().skip(same.saturating_sub(100)).take(300).collect::<String>();
            let asked = now.lines().next().unwrap_or_default();
            assert!(now == before, "{name}, {asked}: it says\n{}\nand said\n{}", around(now), around(before));
        }
        assert_eq!(self.said.len(), kept.len(), "{name} has more or fewer answers");
    }
}

async fn broker() -> TestBroker {
    let setup =
        Setup::on(Bed::Embedded).setting("DROPSLIP_MULTIPART_THRESHOLD", "5 MiB").setting("DROPSLIP_CORS_ORIGINS", "https://desk.example");
    setup.setting("DROPSLIP_NOTIFICATIONS_TOKEN", "0123456789abcdef").start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn desk_says_what_it_said() {
    let broker = broker().await;
    let (read_only, limited) =
        (broker.new_token("default", 1, "files:read").await, broker.new_token("other", 2, "files:read,files:write").await);
    let auth = format!("authorization: Bearer {}", broker.token);
    let with = |request: &str| format!("{request}\n{auth}");
    let mut wire = Wire::new(&broker);
    let file = json!({"type": "attachment", "filename": "note.txt", "mimeType": "text/plain", "disposition": "attachment"});

    // Asking for slips.
    let issued = wire.ask(&with("POST /v2/files/ref.json"), file.clone()).await;
    let first = slip(issued);
    wire.ask(&with("POST /desk/api/v2/files/ref.json"), json!({"file": file})).await;
    wire.ask(&with("POST /v2/files/ref.json\nidempotency-key: one"), file.clone()).await;
    wire.ask(&with("POST /v2/files/ref.json\nidempotency-key: one"), file.clone()).await;
    let other = json!({"type": "attachment", "filename": "other.txt", "mimeType": "text/plain", "disposition": "attachment"});
    wire.ask(&with("POST /v2/files/ref.json\nidempotency-key: one"), other).await;
    wire.ask(&with("POST /v2/files/ref.json"), json!({})).await;
    wire.ask(
        &with("POST /v2/files/ref.json"),
        json!({"type": "nothing", "filename": "a.exe", "mimeType": "x", "disposition": "y", "size": -1}),
    )
    .await;
    wire.ask(&with("POST /v2/files/ref.json"), json!({"type": "attachment", "filename": "a.exe", "mimeType": "text/plain"})).await;
    wire.ask_raw(&with("POST /v2/files/ref.json"), Some("{\"type\":".to_owned())).await;
    wire.ask_raw(&with("POST /v2/files/ref.json"), Some("[]".to_owned())).await;
    wire.ask_raw(&with("POST /v2/files/ref.json"), Some(format!("\"{}\"", "x".repeat(70_000)))).await;
    wire.ask(&with("POST /v2/files/ref.json\ncontent-encoding: gzip"), file.clone()).await;
    wire.ask("POST /v2/files/ref.json", file.clone()).await;
    wire.ask("POST /v2/files/ref.json\nauthorization: Bearer nonsense", file.clone()).await;
    wire.ask(&format!("POST /v2/files/ref.json\nauthorization: Bearer {read_only}"), file.clone()).await;
    let parts = json!({"type": "attachment", "filename": "a.txt", "mimeType": "text/plain", "size": 6 << 20, "multipart": true});
    let in_parts = wire.ask(&with("POST /v2/files/ref.json"), parts).await["file"]["id"].clone();

    // Confirming.
    let path = format!("/v2/files/{}", first.id);
    wire.ask(&with(&format!("PATCH {path}.json")), None).await;
    wire.ask(&with(&format!("POST {path}/ref.json")), None).await;
    refused_then_right(&mut wire, &with, &first).await;
    wire.ask(&with(&format!("POST {path}/ref.json")), None).await;
    wire.ask(&with(&format!("PUT {path}.json")), json!({"file": {"filename": "new.txt"}})).await;
    wire.ask(&with(&format!("PATCH {path}.json")), json!({"filename": "a.exe", "disposition": "nowhere"})).await;
    wire.ask(&with("PATCH /v2/files/999.json"), None).await;
    wire.ask(&with("PATCH /v2/files/x.json"), None).await;

    // Reading, listing, downloading.
    wire.ask(&with(&format!("GET {path}.json")), None).await;
    wire.ask(&format!("GET {path}.json\nauthorization: Bearer {limited}"), None).await;
    for query in
        ["", "?page=1&pageSize=1", "?q=new", "?pageSize=1000", "?sortBy=nothing", "?filter={\"size\":{\"$gt\":1}}", "?filter=x", "?page=0"]
    {
        wire.ask(&with(&format!("GET /v2/files.json{query}")), None).await;
    }
    for headers in ["", "\nrange: bytes=1-2", "\nrange: bytes=9-", "\nif-none-match: *"] {
        wire.ask(&with(&format!("GET {path}/download{headers}")), None).await;
    }
    wire.ask(&format!("GET {path}/download"), None).await;
    wire.ask(&with("GET /v2/file-types.json"), None).await;

    // Parts, tickets, deleting.
    let parts = format!("/v2/files/{in_parts}/parts.json");
    wire.ask(&with(&format!("POST {parts}")), json!({"partNumbers": [1]})).await;
    wire.ask(&with(&format!("POST {parts}")), json!({"partNumbers": [0, 9]})).await;
    wire.ask(&with(&format!("GET {parts}")), None).await;
    wire.ask(&with(&format!("GET {path}/parts.json")), None).await;
    wire.ask(&with(&format!("DELETE {parts}")), None).await;
    wire.ask(&with("PUT /v2/tickets/7/files.json"), json!({"ids": [first.id]})).await;
    wire.ask(&with("PUT /v2/tickets/7/files.json"), json!({"files": [{"id": first.id}, {"id": 999}]})).await;
    wire.ask(&with("PUT /v2/tickets/7/files.json"), json!({"ids": ["x"], "post": 0})).await;
    wire.ask(&with("PUT /v2/tickets/7/files.json"), json!({"ids": [first.id], "post": 31})).await;
    wire.ask(&with("GET /v2/tickets/7/files.json"), None).await;
    wire.ask(&with("GET /v2/tickets/7/files.json?fields=post"), None).await;
    wire.ask(&with("GET /v2/tickets/7/files.zip"), None).await;
    wire.ask(&with(&format!("GET /v2/tickets/7/files/{}/download", first.id)), None).await;
    wire.ask(&with(&format!("DELETE /v2/tickets/7/files/{}.json", first.id)), None).await;
    wire.ask(&with(&format!("DELETE /v2/tickets/7/files/{}.json", first.id)), None).await;
    wire.ask(&with("POST /v2/files/delete.json"), json!({"ids": [999], "dryRun": true})).await;
    wire.ask(&with("POST /v2/files/delete.json"), json!({"ids": []})).await;
    wire.ask(&with(&format!("DELETE /v2/files.json?ids={}", first.id)), None).await;
    wire.ask(&with(&format!("PATCH {path}.json")), None).await;
    wire.ask(&with(&format!("POST {path}/restore.json")), None).await;
    wire.ask(&with(&format!("DELETE {path}.json")), None).await;
    wire.ask(&with("POST /v2/files/999/restore.json"), None).await;

    // What is no route.
    for nowhere in [
        "GET /v2",
        "GET /v2/nothing",
        "POST /v2/files.json",
        "GET /desk/api/v2/",
        "OPTIONS /v2/files.json\norigin: https://desk.example\naccess-control-request-method: GET",
    ] {
        wire.ask(&with(nowhere), None).await;
    }
    wire.ask(&with("GET /v2/files.json\norigin: https://desk.example"), None).await;
    wire.end("desk.txt");
}

/// A refused upload and its confirmation, then a right one.
async fn refused_then_right(wire: &mut Wire<'_>, with: &impl Fn(&str) -> String, first: &Slip) {
    let broker = wire.broker;
    let file = broker.database.find_file(&"default".parse().unwrap(), dropslip::domain::FileId(first.id)).await.unwrap().unwrap();
    for content_type in ["text/html", "text/plain"] {
        let put = broker.s3.put_object().bucket(&broker.bucket).key(file.staging_key.as_str()).content_type(content_type);
        put.body(b"Hello".to_vec().into()).send().await.unwrap();
        wire.ask(&with(&format!("PATCH /v2/files/{}.json", first.id)), None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn companion_says_what_it_said() {
    let broker = broker().await;
    let auth = format!("authorization: Bearer {}", broker.token);
    let with = |request: &str| format!("{request}\n{auth}");
    let mut wire = Wire::new(&broker);
    let made = wire.ask(&with("POST /companion/tokens.json"), json!({"types": ["attachment"]})).await;
    wire.ask(&with("POST /companion/tokens.json"), json!({"types": ["nothing"], "seconds": "long"})).await;
    wire.ask("POST /companion/tokens.json", json!({})).await;
    let token = made["companionEndpoint"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    for prefix in ["/s3".to_owned(), "/companion/s3".to_owned(), format!("/u/{token}/s3")] {
        let with = |request: &str| if prefix.starts_with("/u/") { request.to_owned() } else { with(request) };
        let params = wire
            .ask(&with(&format!("GET {prefix}/params?filename=note.txt&type=text%2Fplain&metadata%5BfileType%5D=attachment")), None)
            .await;
        wire.ask(&with(&format!("GET {prefix}/params?filename=a.exe&type=text%2Fplain&metadata%5BfileType%5D=attachment")), None).await;
        wire.ask(&with(&format!("GET {prefix}/params")), None).await;
        let key = params["fields"]["key"].as_str().unwrap().to_owned();
        wire.ask(&with(&format!("POST {prefix}/confirm")), json!({"key": key})).await;
        let put = broker.s3.put_object().bucket(&broker.bucket).key(&key).content_type("text/plain");
        put.body(b"Hello".to_vec().into()).send().await.unwrap();
        wire.ask(&with(&format!("POST {prefix}/confirm")), json!({"key": key})).await;
        wire.ask(&with(&format!("POST {prefix}/confirm")), json!({"key": "temp/none"})).await;
        wire.ask(&with(&format!("POST {prefix}/confirm")), json!({})).await;
        let begun = wire
            .ask(
                &with(&format!("POST {prefix}/multipart")),
                json!({"filename": "a.txt", "type": "text/plain", "metadata": {"fileType": "attachment"}}),
            )
            .await;
        let (key, id) = (begun["key"].as_str().unwrap().to_owned(), begun["uploadId"].as_str().unwrap().to_owned());
        let at = |rest: &str| format!("{prefix}/multipart/{id}{rest}?key={key}");
        wire.ask(&with(&format!("GET {}", at("/1"))), None).await;
        wire.ask(&with(&format!("GET {}&partNumbers=1,2", at("/batch"))), None).await;
        wire.ask(&with(&format!("GET {}&partNumbers=x", at("/batch"))), None).await;
        wire.ask(&with(&format!("GET {}", at(""))), None).await;
        wire.ask(&with(&format!("POST {}", at("/complete"))), json!({"parts": [{"PartNumber": 1, "ETag": "x"}]})).await;
        wire.ask(&with(&format!("DELETE {}", at(""))), None).await;
        wire.ask(&with(&format!("GET {}", at(""))), None).await;
        for nowhere in ["GET {}/nothing", "PUT {}/params"] {
            wire.ask(&with(&nowhere.replace("{}", &prefix)), None).await;
        }
    }
    for nowhere in ["GET /companion", "GET /companion/", "GET /u/x/s3/params?filename=a.txt", "GET /u/x", "DELETE /companion/tokens.json"] {
        wire.ask(&with(nowhere), None).await;
    }
    wire.end("companion.txt");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_no_dialect_says_what_it_said() {
    let broker = broker().await;
    let mut wire = Wire::new(&broker);
    for request in [
        "GET /healthz",
        "GET /readyz",
        "GET /nothing",
        "POST /healthz",
        "POST /notifications/s3",
        "GET /notifications/s3",
        "GET /openapi.json",
    ] {
        wire.ask(request, None).await;
    }
    wire.ask("POST /notifications/s3\nauthorization: Bearer 0123456789abcdef", json!({"Records": []})).await;
    wire.ask("POST /notifications/s3\nauthorization: Bearer 0123456789abcdef", json!(7)).await;
    wire.end("others.txt");
}
