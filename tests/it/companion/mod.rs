//! Companion's wire for Uppy: upload tokens, hostile requests, and refusals in words.

pub mod uppy;

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
async fn companions_own_paths_need_a_token_too() {
    let broker = TestBroker::on(Bed::Embedded).await;
    for prefix in ["", "/companion"] {
        let path = format!("{prefix}/s3/params?filename=a.txt&type=text/plain&metadata[fileType]=attachment");
        let (status, body) = answer(broker.http.get(format!("{}{path}", broker.base))).await;
        assert_eq!(status, 401, "{prefix}: {body}");
        message(&body);
        assert_eq!(answer(broker.request("GET", &path)).await.0, 200, "{prefix}");
        assert_eq!(answer(broker.request("DELETE", &path)).await.0, 405, "{prefix}");
    }
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
    let tokens = dropslip::tokens::Tokens::new(broker.database.clone(), None);
    let id = tokens.list().await.unwrap()[0].id;
    assert!(tokens.revoke(id, OffsetDateTime::now_utc()).await.unwrap());
    let deadline = std::time::Instant::now() + dropslip::tokens::TRUSTED * 3;
    while uploads.send("GET", query).await.0 != 401 {
        assert!(std::time::Instant::now() < deadline, "the revoked token's is still good");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn forged_upload_tokens_are_refused() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let uploads = Uploads::with(&broker, &broker.token, &["image"]).await;
    let (_, token) = uploads.endpoint.split_once("/u/").unwrap();
    let parts: Vec<_> = token.split('.').collect();
    let [version, lookup, expiry, types, mac] = parts[..] else { panic!("{token}") };
    assert_eq!(version, "du2", "the kind that no stored hash signs");
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
        // What is no text is no path either.
        let (expected, said) =
            if forged == "%FF" { (404, "not found") } else { (401, "this page may not upload (any more): load it again") };
        assert_eq!((status.as_u16(), message(&body)), (expected, said), "{forged}");
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
        ("GET", "/s3/params".to_owned(), 400, "filename"),
        ("GET", "/s3/params?filename=".to_owned(), 400, "filename"),
        ("GET", "/s3/params?filename=a.txt&filename=b.txt".to_owned(), 400, "filename"),
        ("GET", "/s3/params?filename=a.txt&type=nonsense".to_owned(), 400, "mimeType"),
        ("GET", "/s3/params?filename=a.txt&metadata[size]=-1".to_owned(), 400, "size"),
        ("GET", "/s3/params?filename=a.txt&metadata[size]=99999999999999999999".to_owned(), 400, "size"),
        ("GET", "/s3/params?filename=a.txt&metadata[size]=104857601".to_owned(), 400, "size"),
        ("GET", "/s3/params?filename=a.txt&metadata[disposition]=x".to_owned(), 400, "disposition"),
        ("GET", "/s3/params?filename=a.txt&metadata[checksumSHA256]=x".to_owned(), 400, "checksumSHA256"),
        ("GET", "/s3/params?filename=a.exe%0d%0aSet-Cookie:%20a=b.exe".to_owned(), 400, "filename"),
        ("POST", "/s3/confirm".to_owned(), 400, "key"),
        ("POST", "/s3/confirm?key=a&key=b".to_owned(), 400, "key"),
        ("POST", "/s3/confirm?key=".to_owned(), 404, "not found"),
        ("POST", "/s3/confirm?key=temp/%00".to_owned(), 404, "not found"),
        ("POST", "/s3/confirm?key=temp/../files/x".to_owned(), 404, "not found"),
        ("POST", "/s3/confirm?key=temp/%27%20OR%201=1".to_owned(), 404, "not found"),
        ("POST", "/s3/confirm?key=temp/%C3%BC".to_owned(), 404, "not found"),
        ("POST", "/s3/confirm?key=files/019b7d2b1b1b-00000000000000000000000000000000".to_owned(), 404, "not found"),
        ("POST", "/s3/confirm?key=temp/019b7d2b1b1b-00000000000000000000000000000000".to_owned(), 404, "not found"),
        ("POST", format!("/s3/confirm?key=temp/{}", "a".repeat(20_000)), 404, "not found"),
    ];
    for broker in [&broker, &postgres] {
        let uploads = Uploads::with(broker, &broker.token, &["attachment"]).await;
        for (method, path, expected, said) in &refused {
            let (status, body) = uploads.send(method, path).await;
            assert!(status == *expected && message(&body).starts_with(said), "{method} {path}: {status} {body}");
        }
        let hostile = "/s3/params?filename=%3Cimg%20src=x%3E%E2%80%AE.txt&type=text/plain&metadata[a[b]]=c&metadata[]=d&x=y";
        assert_eq!(uploads.send("GET", hostile).await.0, 200);
        let key = uploads.send("GET", "/s3/params?filename=a.txt").await.1["fields"]["key"].as_str().unwrap().to_owned();
        let (status, body) = uploads.confirm(&key).await;
        assert_eq!((status.as_u16(), message(&body)), (409, "nothing was uploaded yet"));
    }
}

/// A multipart upload as Uppy begins it: its number and its key.
async fn begin(uploads: &Uploads<'_>, description: &Value) -> (String, String) {
    let request = uploads.broker.http.post(format!("{}/s3/multipart", uploads.endpoint));
    let (status, body) = answer(request.body(description.to_string())).await;
    assert_eq!(status, 200, "{body}");
    (body["uploadId"].as_str().unwrap().to_owned(), body["key"].as_str().unwrap().to_owned())
}

async fn complete(uploads: &Uploads<'_>, id: &str, key: &str, body: String) -> (StatusCode, Value) {
    let request = uploads.broker.http.post(format!("{}/s3/multipart/{id}/complete?key={key}", uploads.endpoint));
    answer(request.body(body)).await
}

async fn put_part(uploads: &Uploads<'_>, id: &str, key: &str, number: u32, bytes: Vec<u8>) -> String {
    let (status, signed) = uploads.send("GET", &format!("/s3/multipart/{id}/{number}?key={key}")).await;
    assert_eq!(status, 200, "{signed}");
    let response = uploads.broker.http.put(signed["url"].as_str().unwrap()).body(bytes).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.headers()["etag"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn files_in_parts_are_put_together_and_confirmed_on_seaweedfs() {
    files_in_parts_are_put_together_and_confirmed(Bed::SeaweedFs).await;
}

#[tokio::test]
async fn files_in_parts_are_put_together_and_confirmed_on_localstack() {
    files_in_parts_are_put_together_and_confirmed(Bed::LocalStack).await;
}

#[tokio::test]
async fn files_in_parts_are_put_together_and_confirmed_on_the_embedded_store() {
    files_in_parts_are_put_together_and_confirmed(Bed::Embedded).await;
}

async fn files_in_parts_are_put_together_and_confirmed(bed: Bed) {
    let broker = TestBroker::on(bed).await;
    let uploads = Uploads::with(&broker, &broker.token, &["attachment"]).await;
    let (id, key) = begin(&uploads, &json!({"filename": "a.bin", "type": "", "metadata": {"relativePath": null, "tags": [1]}})).await;
    let (status, batch) = uploads.send("GET", &format!("/s3/multipart/{id}/batch?key={key}&partNumbers=1,2")).await;
    assert_eq!((status.as_u16(), batch["presignedUrls"].as_object().unwrap().len()), (200, 2));

    let first = put_part(&uploads, &id, &key, 1, vec![1; 5 << 20]).await;
    let listed = format!("/s3/multipart/{id}?key={key}");
    let (status, parts) = uploads.send("GET", &listed).await;
    assert_eq!((status.as_u16(), &parts[0]["PartNumber"], &parts[0]["Size"]), (200, &json!(1), &json!(5 << 20)), "{parts}");
    let etag = if bed == Bed::Embedded { "done" } else { first.trim_matches('"') };
    assert_eq!(parts[0]["ETag"], etag, "the embedded store lists none");

    let reloaded = Uploads::with(&broker, &broker.token, &["attachment"]).await;
    assert_eq!(reloaded.send("GET", &listed).await, (status, parts), "the page may be loaded again, with a token of its own");

    let second = put_part(&uploads, &id, &key, 2, vec![2; 100]).await;
    let claimed = |second: &str| json!({"parts": [{"PartNumber": 1, "ETag": first}, {"PartNumber": 2, "ETag": second}]}).to_string();
    let mut wrongs = vec![json!({"parts": [{"PartNumber": 2, "ETag": second}]}).to_string(), json!({"parts": []}).to_string()];
    if bed != Bed::Embedded {
        wrongs.push(claimed("00000000000000000000000000000000"));
    }
    for wrong in wrongs {
        let (status, body) = complete(&uploads, &id, &key, wrong.clone()).await;
        assert_eq!(status, 409, "{wrong}: {body}");
        assert!(message(&body).contains("part"), "{body}");
    }
    let (status, done) = complete(&uploads, &id, &key, claimed(&second)).await;
    assert_eq!((status.as_u16(), &done["key"], &done["id"]), (200, &json!(key), &json!(id.parse::<i64>().unwrap())), "{done}");
    assert_eq!(complete(&uploads, &id, &key, claimed(&second)).await, (status, done), "a repeated request answers the same");
    let (_, parts) = uploads.send("GET", &listed).await;
    assert_eq!(parts.as_array().unwrap().len(), 2, "all are there, for a client whose answer got lost: {parts}");
    assert_eq!(uploads.send("DELETE", &listed).await.0, 409, "it is active");
    let (_, file) = broker.read(id.parse().unwrap()).await;
    assert_eq!((&file["file"]["state"], &file["file"]["size"]), (&json!("active"), &json!((5 << 20) + 100)));

    let (id, key) = begin(&uploads, &json!({"filename": "b.bin"})).await;
    put_part(&uploads, &id, &key, 1, vec![1; 100]).await;
    assert_eq!(uploads.send("DELETE", &format!("/s3/multipart/{id}?key={key}")).await, (StatusCode::OK, json!({})));
    assert_eq!(uploads.send("GET", &format!("/s3/multipart/{id}?key={key}")).await.0, 404);
    assert!(broker.objects().await.iter().all(|(key, _)| key.starts_with("files/")), "nothing else is left");
}

#[tokio::test]
async fn hostile_requests_about_parts_are_refused_in_words() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let uploads = Uploads::with(&broker, &broker.token, &["attachment", "image"]).await;
    let metadata = json!({"fileType": "attachment"});
    let (id, key) = begin(&uploads, &json!({"filename": "a.bin", "metadata": metadata})).await;
    let (other_id, other_key) = begin(&uploads, &json!({"filename": "b.bin", "metadata": metadata})).await;
    for number in ["0", "10001", "-1", "+1", "1.5", "1e3", "4294967297", "99999999999999999999999", "x", "%00"] {
        let (status, body) = uploads.send("GET", &format!("/s3/multipart/{id}/{number}?key={key}")).await;
        assert_eq!((status.as_u16(), message(&body)), (400, "partNumber must be 1 to 10000"), "{number}");
        let (status, _) = uploads.send("GET", &format!("/s3/multipart/{id}/batch?key={key}&partNumbers=1,{number}")).await;
        assert_eq!(status, 400, "{number}");
    }
    // Parts that there are: it is their number that is too large.
    let most = vec!["1"; 100].join(",");
    for (batch, said) in
        [("", "must be set"), ("&partNumbers=", "must be 1 to 10000"), (&format!("&partNumbers={most},1"), "must be 100 or fewer")]
    {
        let (status, body) = uploads.send("GET", &format!("/s3/multipart/{id}/batch?key={key}{batch}")).await;
        assert!(status == 400 && message(&body).contains(said), "{batch}: {status} {body}");
    }
    assert_eq!(uploads.send("GET", &format!("/s3/multipart/{id}/batch?key={key}&partNumbers={most}")).await.0, 200);
    let (status, body) = uploads.send("GET", &format!("/s3/multipart/{id}/21?key={key}")).await;
    assert_eq!((status.as_u16(), message(&body)), (400, "size must be 104857600 or lower"), "20 parts of 5 MiB are all that can be");
    for number in ["1", "20"] {
        assert_eq!(uploads.send("GET", &format!("/s3/multipart/{id}/{number}?key={key}")).await.0, 200, "{number}");
    }
    let names = [
        (id.as_str(), other_key.as_str()),
        (&other_id, &key),
        (&format!("0{id}"), &key),
        (&format!("{id}%00"), &key),
        ("-1", &key),
        ("99999999999999999999", &key),
        (&id, "temp/"),
        (&id, "temp/019b7d2b1b1b-00000000000000000000000000000000"),
    ];
    for (id, key) in names {
        for (method, rest) in [("GET", ""), ("GET", "/1"), ("POST", "/complete"), ("DELETE", "")] {
            let (status, body) = uploads.send(method, &format!("/s3/multipart/{id}{rest}?key={key}")).await;
            assert_eq!((status.as_u16(), message(&body)), (404, "not found"), "{method} {id}{rest} {key}");
        }
    }
    for path in [format!("/s3/multipart/{id}"), format!("/s3/multipart/{id}/1"), format!("/s3/multipart/{id}/batch?partNumbers=1")] {
        let (status, body) = uploads.send("GET", &path).await;
        assert_eq!((status.as_u16(), message(&body)), (400, "key must be set"), "{path}");
    }
    let bodies = [
        "",
        "[]",
        "{}",
        "null",
        "{\"parts\":1}",
        "{\"parts\":[{\"PartNumber\":-1,\"ETag\":\"x\"}]}",
        "{\"parts\":[{\"PartNumber\":1}]}",
        "\u{0}",
    ];
    for body in bodies {
        let (status, said) = complete(&uploads, &id, &key, body.to_owned()).await;
        assert_eq!(status, 400, "{body}: {said}");
        message(&said);
        let request = broker.http.post(format!("{}/s3/multipart", uploads.endpoint));
        assert_eq!(answer(request.body(body)).await.0, 400, "{body}");
    }
    let long = format!("{{\"parts\":[{}]}}", " ".repeat(1 << 20));
    assert_eq!(complete(&uploads, &id, &key, long).await.0, 413);
    let most: Vec<_> = (1..=10_000).map(|number| json!({"PartNumber": number, "ETag": "\"0123456789abcdef0123456789abcdef\""})).collect();
    assert_eq!(complete(&uploads, &id, &key, json!({"parts": most}).to_string()).await.0, 409, "as many as can be are read");

    let images = Uploads::with(&broker, &broker.token, &["image"]).await;
    assert_eq!(images.send("GET", &format!("/s3/multipart/{id}/1?key={key}")).await.0, 404, "another type's upload");
    let theirs = broker.new_token("other", 1, "files:write").await;
    let theirs = Uploads::with(&broker, &theirs, &["attachment"]).await;
    assert_eq!(theirs.send("DELETE", &format!("/s3/multipart/{id}?key={key}")).await.0, 404, "another tenant's upload");
    let single = uploads.send("GET", "/s3/params?filename=a.txt&metadata[fileType]=attachment").await.1;
    let single = single["fields"]["key"].as_str().unwrap();
    let id = other_id.parse::<i64>().unwrap() + 1;
    let (status, body) = uploads.send("GET", &format!("/s3/multipart/{id}/1?key={single}")).await;
    assert_eq!(status, 409, "it comes in one request: {body}");
}

#[tokio::test]
async fn where_the_store_takes_no_forms_uppy_5_puts_and_uppy_6_is_told() {
    let broker = Setup::on(Bed::SeaweedFs).setting("DROPSLIP_S3_METHOD", "put").start().await;
    let uploads = Uploads::with(&broker, &broker.token, &["attachment"]).await;
    let path = "/s3/params?filename=a.txt&type=text/plain&metadata[size]=5";
    let (status, body) = uploads.send("GET", path).await;
    assert_eq!(status, 400);
    assert!(message(&body).contains("shouldUseMultipart"), "{body}");
    assert_eq!(broker.objects().await, []);

    let request = broker.http.get(format!("{}{path}", uploads.endpoint)).header("accept", "application/json");
    let (status, slip) = answer(request).await;
    assert_eq!((status.as_u16(), &slip["method"]), (200, &json!("PUT")), "{slip}");
    let mut put = broker.http.put(slip["url"].as_str().unwrap()).body("hello");
    for (name, value) in slip["headers"].as_object().unwrap() {
        put = put.header(name, value.as_str().unwrap());
    }
    assert_eq!(put.send().await.unwrap().status(), 200);
    assert_eq!(uploads.confirm(slip["fields"]["key"].as_str().unwrap()).await.0, 200);
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
