//! Companion's wire for Uppy: upload tokens, hostile requests, and refusals in words.

use reqwest::StatusCode;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::harness::{Bed, Setup, TestBroker, answer};

/// What a person may upload: single requests only, so that tests need no Uppy.
struct Uploads<'a> {
    broker: &'a TestBroker,
    endpoint: String,
}

impl<'a> Uploads<'a> {
    async fn with(broker: &'a TestBroker, token: &str, types: &[&str]) -> Self {
        let (status, body) = make_token(broker, token, &json!({"types": types})).await;
        assert_eq!(status, 201, "{body}");
        Self { broker, endpoint: body["companionEndpoint"].as_str().unwrap().to_owned() }
    }

    async fn send(&self, method: &str, path: &str) -> (StatusCode, Value) {
        answer(self.broker.http.request(method.parse().unwrap(), format!("{}{path}", self.endpoint))).await
    }

    /// Asks for a form and uploads with it; the key that Uppy would tell the page.
    async fn upload(&self, query: &str, bytes: &[u8]) -> String {
        let (status, body) = self.send("GET", &format!("/s3/params?{query}")).await;
        assert_eq!((status.as_u16(), &body["method"]), (200, &json!("POST")), "{body}");
        let fields = body["fields"].as_object().unwrap();
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
        let (status, said) = self.broker.post_form(body["url"].as_str().unwrap(), &fields, Some(bytes)).await;
        assert_eq!(status, 201, "{said}");
        fields.into_iter().find(|(name, _)| name == "key").unwrap().1
    }

    async fn confirm(&self, key: &str) -> (StatusCode, Value) {
        self.send("POST", &format!("/s3/confirm?key={key}")).await
    }
}

async fn make_token(broker: &TestBroker, token: &str, wish: &Value) -> (StatusCode, Value) {
    let request = broker.http.post(format!("{}/companion/tokens.json", broker.base));
    answer(request.bearer_auth(token).body(wish.to_string())).await
}

fn message(body: &Value) -> &str {
    let message = body["message"].as_str().unwrap_or_else(|| panic!("no message in {body}"));
    assert!(!message.is_empty());
    message
}

#[tokio::test]
async fn an_upload_token_uploads_and_confirms_and_nothing_else() {
    let broker = TestBroker::on(Bed::SeaweedFs).await;
    let uploads = Uploads::with(&broker, &broker.token, &["attachment"]).await;
    let key = uploads.upload("filename=a.txt&type=text/plain&metadata[size]=5&metadata[relativePath]=null", b"hello").await;
    let (status, done) = uploads.confirm(&key).await;
    assert_eq!((status.as_u16(), &done["key"]), (200, &json!(key)), "{done}");
    assert_eq!(uploads.confirm(&key).await, (status, done.clone()), "a repeated confirmation answers the same");

    let id = done["id"].as_i64().unwrap();
    assert_eq!(done["location"], format!("{}/v2/files/{id}.json", broker.base));
    let (_, file) = broker.read(id).await;
    assert_eq!((&file["file"]["state"], &file["file"]["size"]), (&json!("active"), &json!(5)));

    // Neither as a header nor in other paths is it worth anything.
    let text = uploads.endpoint.rsplit_once('/').unwrap().1;
    for path in [format!("/v2/files/{id}.json"), "/companion/s3/params?filename=a.txt".to_owned()] {
        let status = broker.http.get(format!("{}{path}", broker.base)).bearer_auth(text).send().await.unwrap().status();
        assert_eq!(status, 401, "{path}");
    }
    for path in ["/v2/files/1.json", "/tokens.json", "/s3", "/s3/", "/s3/sts", "/"] {
        assert_eq!(uploads.send("GET", path).await.0, 404, "{path}");
    }
    assert_eq!(uploads.send("POST", "/s3/params").await.0, 405);
}

#[tokio::test]
async fn an_access_token_in_the_header_will_do_too() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let params = |query: &str| answer(broker.request("GET", &format!("/companion/s3/params?filename=a.txt{query}")));
    let (status, body) = params("&type=text/plain&metadata[fileType]=attachment").await;
    assert_eq!((status.as_u16(), body["fields"]["Content-Type"].as_str()), (200, Some("text/plain")), "{body}");
    let (status, body) = params("").await;
    assert_eq!((status.as_u16(), message(&body)), (400, "fileType must be set in the file's metadata"));
    let reader = broker.new_token("default", 1, "files:read").await;
    let request = broker.http.get(format!("{}/companion/s3/params?filename=a.txt&metadata[fileType]=attachment", broker.base));
    let (status, body) = answer(request.bearer_auth(reader)).await;
    assert_eq!((status.as_u16(), message(&body)), (403, "the token must have the scope files:write"));
}

#[tokio::test]
async fn a_wish_for_an_upload_token_is_judged() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let refused = [
        (json!({}), "types"),
        (json!({"types": []}), "types"),
        (json!({"types": "attachment"}), "types"),
        (json!({"types": ["attachment", 1]}), "types"),
        (json!({"types": ["no-such-type"]}), "type"),
        (json!({"types": vec!["attachment"; 17].iter().enumerate().map(|(i, t)| format!("{t}{i}")).collect::<Vec<_>>()}), "types"),
        (json!({"types": ["attachment"], "seconds": 0}), "seconds"),
        (json!({"types": ["attachment"], "seconds": -1}), "seconds"),
        (json!({"types": ["attachment"], "seconds": 86_401}), "seconds"),
        (json!({"types": ["attachment"], "seconds": "60"}), "seconds"),
        (json!(["attachment"]), "body"),
    ];
    for (wish, field) in refused {
        let (status, body) = make_token(&broker, &broker.token, &wish).await;
        assert_eq!(status, 400, "{wish}: {body}");
        assert!(body["errors"][field].is_array() && message(&body).contains(field), "{wish}: {body}");
    }
    let reader = broker.new_token("default", 1, "files:read").await;
    assert_eq!(make_token(&broker, &reader, &json!({"types": ["attachment"]})).await.0, 403);
    assert_eq!(make_token(&broker, "dslip_x", &json!({"types": ["attachment"]})).await.0, 401);

    let (status, body) = make_token(&broker, &broker.token, &json!({"types": ["image", "attachment", "image"], "seconds": 60})).await;
    assert_eq!((status.as_u16(), &body["types"]), (201, &json!(["attachment", "image"])));
    let format = time::format_description::well_known::Rfc3339;
    let left = OffsetDateTime::parse(body["expiresAt"].as_str().unwrap(), &format).unwrap() - OffsetDateTime::now_utc();
    assert!(left > Duration::seconds(30) && left <= Duration::seconds(60), "{left}");
}

#[tokio::test]
async fn an_upload_token_ends_by_itself_and_with_its_access_token() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let (_, body) = make_token(&broker, &broker.token, &json!({"types": ["attachment"], "seconds": 2})).await;
    let short = Uploads { broker: &broker, endpoint: body["companionEndpoint"].as_str().unwrap().to_owned() };
    let uploads = Uploads::with(&broker, &broker.token, &["attachment"]).await;
    let query = "/s3/params?filename=a.txt&type=text/plain";
    assert_eq!(short.send("GET", query).await.0, 200);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while short.send("GET", query).await.0 == 200 {
        assert!(std::time::Instant::now() < deadline, "it lives on");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let (status, body) = short.send("GET", query).await;
    assert_eq!((status.as_u16(), message(&body)), (401, "this page may not upload (any more): load it again"));

    assert_eq!(uploads.send("GET", query).await.0, 200);
    let tokens = dropslip::tokens::Tokens::new(broker.store.clone(), None);
    let id = tokens.list().await.unwrap()[0].id;
    assert!(tokens.revoke(id, OffsetDateTime::now_utc()).await.unwrap());
    assert_eq!(uploads.send("GET", query).await.0, 401);
}

#[tokio::test]
async fn forged_upload_tokens_are_refused() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let uploads = Uploads::with(&broker, &broker.token, &["image"]).await;
    let (_, token) = uploads.endpoint.split_once("/u/").unwrap();
    let parts: Vec<_> = token.split('.').collect();
    let [version, lookup, expiry, types, mac] = parts[..] else { panic!("{token}") };
    let other = broker.new_token("other", 2, "files:write").await;
    let other = &other["dslip_".len().."dslip_".len() + 16];
    let forged = [
        format!("{version}.{lookup}.{expiry}.attachment.{mac}"),
        format!("{version}.{lookup}.{expiry}.{types}+attachment.{mac}"),
        format!("{version}.{lookup}.{}.{types}.{mac}", expiry.parse::<i64>().unwrap() + 1),
        format!("{version}.{other}.{expiry}.{types}.{mac}"),
        format!("{version}.{lookup}.{expiry}.{types}.{}", "0".repeat(64)),
        format!("{version}.{lookup}.{expiry}.{types}"),
        format!("{version}.{lookup}.{expiry}.{types}."),
        format!("{token}%00"),
        "x".repeat(4096),
        "%FF".to_owned(),
        broker.token.clone(),
    ];
    for forged in forged {
        let request = broker.http.get(format!("{}/u/{forged}/s3/params?filename=a.png&type=image/png", broker.base));
        let (status, body) = answer(request).await;
        assert!([401, 404].contains(&status.as_u16()), "{forged}: {status} {body}");
        message(&body);
    }
    assert_eq!(uploads.send("GET", "/s3/params?filename=a.png&type=image/png").await.0, 200);
}

#[tokio::test]
async fn an_upload_token_is_for_its_file_types() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let images = Uploads::with(&broker, &broker.token, &["image"]).await;
    let both = Uploads::with(&broker, &broker.token, &["image", "attachment"]).await;
    let (status, body) = images.send("GET", "/s3/params?filename=a.txt&type=text/plain").await;
    assert_eq!(status, 400, "the one type is the default: {body}");
    let (status, body) = images.send("GET", "/s3/params?filename=a.txt&type=text/plain&metadata[fileType]=attachment").await;
    assert_eq!((status.as_u16(), message(&body)), (400, "fileType must be one of ‘image’"));
    let (status, body) = both.send("GET", "/s3/params?filename=a.txt&type=text/plain").await;
    assert_eq!((status.as_u16(), message(&body)), (400, "fileType must be set in the file's metadata"));

    let key = both.upload("filename=a.txt&type=text/plain&metadata[fileType]=attachment", b"hello").await;
    assert_eq!(images.confirm(&key).await.0, 404, "another type's upload");
    assert_eq!(both.confirm(&key).await.0, 200);
}

#[tokio::test]
async fn nobody_reaches_anothers_upload() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let mine = Uploads::with(&broker, &broker.token, &["attachment"]).await;
    let key = mine.upload("filename=a.txt&type=text/plain", b"hello").await;
    for (tenant, user) in [("other", 1), ("default", 2)] {
        let token = broker.new_token(tenant, user, "files:read,files:write").await;
        let theirs = Uploads::with(&broker, &token, &["attachment"]).await;
        assert_eq!(theirs.confirm(&key).await.0, 404, "{tenant} {user}");
    }
    assert_eq!(mine.confirm(&key).await.0, 200);
}

#[tokio::test]
async fn hostile_requests_are_refused_in_words() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let postgres = Setup::on(Bed::Embedded).database(crate::harness::Db::Postgres).start().await;
    let refused = [
        ("GET", "/s3/params".to_owned(), 400),
        ("GET", "/s3/params?filename=".to_owned(), 400),
        ("GET", "/s3/params?filename=a.txt&filename=b.txt".to_owned(), 400),
        ("GET", "/s3/params?filename=a.txt&type=nonsense".to_owned(), 400),
        ("GET", "/s3/params?filename=a.txt&metadata[size]=-1".to_owned(), 400),
        ("GET", "/s3/params?filename=a.txt&metadata[size]=99999999999999999999".to_owned(), 400),
        ("GET", "/s3/params?filename=a.txt&metadata[size]=104857601".to_owned(), 400),
        ("GET", "/s3/params?filename=a.txt&metadata[disposition]=x".to_owned(), 400),
        ("GET", "/s3/params?filename=a.txt&metadata[checksumSHA256]=x".to_owned(), 400),
        ("GET", "/s3/params?filename=a.exe%0d%0aSet-Cookie:%20a=b.exe".to_owned(), 400),
        ("POST", "/s3/confirm".to_owned(), 400),
        ("POST", "/s3/confirm?key=a&key=b".to_owned(), 400),
        ("POST", "/s3/confirm?key=".to_owned(), 404),
        ("POST", "/s3/confirm?key=temp/%00".to_owned(), 404),
        ("POST", "/s3/confirm?key=temp/../files/x".to_owned(), 404),
        ("POST", "/s3/confirm?key=temp/%27%20OR%201=1".to_owned(), 404),
        ("POST", "/s3/confirm?key=temp/%C3%BC".to_owned(), 404),
        ("POST", "/s3/confirm?key=files/019b7d2b1b1b-00000000000000000000000000000000".to_owned(), 404),
        ("POST", "/s3/confirm?key=temp/019b7d2b1b1b-00000000000000000000000000000000".to_owned(), 404),
        ("POST", format!("/s3/confirm?key=temp/{}", "a".repeat(20_000)), 404),
    ];
    for broker in [&broker, &postgres] {
        let uploads = Uploads::with(broker, &broker.token, &["attachment"]).await;
        for (method, path, expected) in &refused {
            let (status, body) = uploads.send(method, path).await;
            assert_eq!(status.as_u16(), *expected, "{method} {path}: {body}");
            message(&body);
        }
        let hostile = "/s3/params?filename=%3Cimg%20src=x%3E%E2%80%AE.txt&type=text/plain&metadata[a[b]]=c&metadata[]=d&x=y";
        assert_eq!(uploads.send("GET", hostile).await.0, 200);
        let key = uploads.send("GET", "/s3/params?filename=a.txt").await.1["fields"]["key"].as_str().unwrap().to_owned();
        let (status, body) = uploads.confirm(&key).await;
        assert_eq!((status.as_u16(), message(&body)), (409, "nothing was uploaded yet"));
    }
}

#[tokio::test]
async fn uppy_6_is_told_in_the_status_line() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let uploads = Uploads::with(&broker, &broker.token, &["attachment"]).await;
    let response = broker.http.get(format!("{}/s3/params?filename=a%C3%BC.exe", uploads.endpoint)).send().await.unwrap();
    let phrase = response.extensions().get::<hyper::ext::ReasonPhrase>().unwrap();
    assert_eq!(phrase.as_bytes(), b"filename must not end in '.exe'");
    assert_eq!(response.headers()["referrer-policy"], "no-referrer");
    assert_eq!(response.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn limits_hold_for_uppy_too() {
    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_ACTOR_OPEN_SLIPS", "2").start().await;
    let uploads = Uploads::with(&broker, &broker.token, &["attachment"]).await;
    let query = "/s3/params?filename=a.txt&type=text/plain";
    assert_eq!(uploads.send("GET", query).await.0, 200);
    assert_eq!(uploads.send("GET", query).await.0, 200);
    let response = broker.http.get(format!("{}{query}", uploads.endpoint)).send().await.unwrap();
    assert_eq!(response.status(), 429);
    assert!(response.headers().contains_key("retry-after"));
    assert!(message(&response.json().await.unwrap()).contains("open slips"));
}
