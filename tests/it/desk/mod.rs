//! The Desk dialect as its clients see it: every store, both databases, both prefixes.

pub mod bodies;
pub mod deletion;
pub mod description;
pub mod downloads;
pub mod encodings;
pub mod lists;
pub mod selection;
pub mod spellings;
pub mod tickets;

use dropslip::domain::{Actor, ActorKind, Caller, Scopes, TypeLimit};
use reqwest::header;
use serde_json::{Value, json};

use crate::harness::{Bed, Db, Setup, TestBroker, answer, error_fields, new_file, slip};

const PARAMS: [&str; 9] = [
    "Content-Type",
    "bucket",
    "key",
    "policy",
    "success_action_status",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-signature",
];

async fn three_steps(bed: Bed, db: Db) {
    let broker = Setup::on(bed).database(db).start().await;
    let slip = broker.authorize(&json!({"type": "attachment", "filename": "photo.png", "mimeType": "image/png"})).await;
    let file = &slip.body["file"];
    assert_eq!((&file["state"], &file["size"], &file["disposition"]), (&json!("temp"), &json!(0), &json!("attachment")));

    broker.drop_bytes(&slip, b"\x89PNG\r\n\x1a\nrest").await;
    let (status, body) = broker.confirm(slip.id).await;
    assert_eq!(status, 200, "{body}");
    let active = &body["file"];
    assert_eq!((&active["state"], &active["size"], &active["mimeType"]), (&json!("active"), &json!(12), &json!("image/png")));
    assert_eq!(active["URL"], "");
    assert_eq!(active["createdAt"], file["createdAt"]);

    assert_eq!(broker.confirm(slip.id).await, (status, body.clone()), "a second confirmation answers the same file");
    assert_eq!(broker.read(slip.id).await.1, body);

    let objects = broker.objects().await;
    assert_eq!(objects.len(), 1, "the staging object is gone: {objects:?}");
    let sealed = &objects[0].0;
    assert!(sealed.starts_with("files/") && *sealed != slip.param("key"));
    assert_eq!(broker.bytes_of(sealed).await, b"\x89PNG\r\n\x1a\nrest");
    let head = broker.s3.head_object().bucket(&broker.bucket).key(sealed).send().await.unwrap();
    assert_eq!(head.content_type(), Some("image/png"));
    assert_eq!(head.content_disposition(), Some("attachment; filename=\"photo.png\""));
}

#[tokio::test]
async fn three_steps_on_the_embedded_store_and_sqlite() {
    three_steps(Bed::Embedded, Db::Sqlite).await;
}

#[tokio::test]
async fn three_steps_on_seaweedfs_and_postgres() {
    three_steps(Bed::SeaweedFs, Db::Postgres).await;
}

#[tokio::test]
async fn three_steps_on_localstack_and_postgres() {
    three_steps(Bed::LocalStack, Db::Postgres).await;
}

#[tokio::test]
async fn three_steps_on_localstack_and_sqlite() {
    three_steps(Bed::LocalStack, Db::Sqlite).await;
}

#[tokio::test]
async fn a_slip_has_every_member_that_desks_clients_read() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let slip = broker.authorize(&new_file("the_file_name.jpeg", "image/jpeg")).await;
    let mut names: Vec<_> = slip.params.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, PARAMS);
    assert_eq!(slip.param("success_action_status"), "201");
    assert_eq!(slip.param("x-amz-algorithm"), "AWS4-HMAC-SHA256");
    assert_eq!(slip.param("Content-Type"), "image/jpeg");

    let file = &slip.body["file"];
    assert_eq!((&file["filename"], &file["fileName"]), (&json!("the_file_name.jpeg"), &json!("the_file_name.jpeg")));
    assert_eq!((&file["type"], &file["mimeType"]), (&json!("attachment"), &json!("image/jpeg")));
    assert_eq!((&file["createdBy"], &file["updatedBy"]), (&json!({"id": 1, "type": "users"}), &json!({"id": 1, "type": "users"})));
    for instant in ["createdAt", "updatedAt"] {
        let text = file[instant].as_str().unwrap();
        assert!(text.len() == 27 && text.ends_with('Z') && &text[19..20] == ".", "{text}");
    }
    let expires_at = slip.body["expiresAt"].as_str().unwrap();
    let policy = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, slip.param("policy")).unwrap();
    let policy: Value = serde_json::from_slice(&policy).unwrap();
    assert_eq!(policy["expiration"], expires_at, "what is told is what is signed");
}

#[tokio::test]
async fn the_sdks_wrapped_objects_are_understood_under_both_prefixes() {
    let broker = TestBroker::on(Bed::Embedded).await;
    for prefix in ["/v2", "/desk/api/v2"] {
        let empty: serde_json::Map<_, _> = PARAMS.iter().map(|name| ((*name).to_owned(), json!(""))).collect();
        let request = json!({
            "params": empty,
            "file": {"id": 0, "mimeType": "text/plain", "filename": "a.txt", "disposition": "attachment", "type": "attachment", "size": 0},
        });
        let (status, body) = broker.call("POST", &format!("{prefix}/files/ref.json"), Some(&request)).await;
        assert_eq!(status, 201, "{body}");
        let slip = slip(body);
        broker.drop_bytes(&slip, b"hello").await;
        let path = format!("{prefix}/files/{}.json", slip.id);
        let (status, body) = broker.call("PUT", &path, Some(&slip.body)).await;
        assert_eq!((status.as_u16(), &body["file"]["state"]), (200, &json!("active")));
        let (status, body) = broker.call("GET", &format!("{path}?includes=all"), None).await;
        assert_eq!((status.as_u16(), &body["file"]["size"]), (200, &json!(5)));
    }
}

#[tokio::test]
async fn either_spelling_of_the_name_will_do_but_not_two_names() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let both =
        |filename: Value, file_name: Value| json!({"type": "attachment", "mimeType": "", "filename": filename, "fileName": file_name});
    for body in [both(json!("a.txt"), Value::Null), both(Value::Null, json!("a.txt")), both(json!("a.txt"), json!("a.txt"))] {
        assert_eq!(broker.authorize(&body).await.body["file"]["filename"], "a.txt");
    }
    let (status, body) = broker.call("POST", "/v2/files/ref.json", Some(&both(json!("a.txt"), json!("b.txt")))).await;
    assert_eq!((status.as_u16(), error_fields(&body)), (400, vec!["filename".to_owned()]));
}

#[tokio::test]
async fn a_declared_size_and_checksum_bind_the_form() {
    let broker = TestBroker::on(Bed::SeaweedFs).await;
    let mut request = new_file("a.txt", "text/plain");
    request["size"] = json!(5);
    request["checksumSHA256"] = json!("LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
    let slip = broker.authorize(&request).await;
    assert_eq!(slip.param("x-amz-checksum-sha256"), "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
    assert_eq!(slip.param("x-amz-checksum-algorithm"), "SHA256");
    assert_eq!(broker.post_form(&slip.url, &slip.params, Some(b"jello")).await.0, 400);
    assert_eq!(broker.post_form(&slip.url, &slip.params, Some(b"hell")).await.0, 400);
    broker.drop_bytes(&slip, b"hello").await;
    assert_eq!(broker.confirm(slip.id).await.0, 200);
}

#[tokio::test]
async fn every_complaint_comes_at_once_and_names_its_field() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let refused = async |body: Value| {
        let (status, body) = broker.call("POST", "/v2/files/ref.json", Some(&body)).await;
        assert_eq!(status, 400, "{body}");
        body["errors"].clone()
    };
    assert_eq!(refused(json!({})).await, json!({"filename": ["must be set"], "mimeType": ["must be set"], "type": ["must be set"]}));
    assert_eq!(
        refused(json!({"type": "x", "filename": "a", "mimeType": ""})).await["type"],
        json!(["must be one of ‘artifact, attachment, image’"])
    );
    let errors =
        refused(json!({"type": "image", "filename": "a.svg", "mimeType": "image/svg+xml", "size": 99_999_999, "disposition": "inline"}))
            .await;
    assert_eq!(errors, json!({"disposition": ["must be one of ‘attachment, attachment-inline’"]}));
    let errors = refused(json!({"type": "image", "filename": "a.svg", "mimeType": "image/svg+xml", "size": 99_999_999})).await;
    assert_eq!(errors["size"], json!(["must be 10485760 or lower"]));
    let said = "must be one that is taken here; a file that ends in ‘.svg’ and is declared as image/svg+xml is not";
    assert_eq!(errors["mimeType"], json!([said]));
    let errors = refused(json!({"type": "attachment", "filename": "a.exe", "mimeType": "", "size": 1.5, "checksumSHA256": "abc"})).await;
    assert_eq!(errors["size"], json!(["must be a whole number"]));
    assert!(errors["checksumSHA256"][0].as_str().unwrap().contains("base64"));
    assert_eq!(broker.text_slip().await.id, 1, "nothing refused is recorded");
}

#[tokio::test]
async fn no_token_no_form() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let revoked = broker.new_token("default", 2, "files:read,files:write").await;
    let row = broker.database.list_tokens().await.unwrap().pop().unwrap();
    assert!(broker.database.revoke_token(row.id, time::OffsetDateTime::now_utc()).await.unwrap());
    let good = broker.token.clone();
    let mut another_secret = good.clone();
    another_secret.replace_range(good.len() - 1.., if good.ends_with('0') { "1" } else { "0" });

    let url = format!("{}/v2/files/ref.json", broker.base);
    let request = || broker.http.post(&url).body(new_file("a.txt", "text/plain").to_string());
    let attempts = [
        request(),
        request().bearer_auth(""),
        request().bearer_auth("nonsense"),
        request().bearer_auth(&revoked),
        request().bearer_auth(&another_secret),
        request().header(header::AUTHORIZATION, &good),
        request().basic_auth("someone", Some(&good)),
        request().bearer_auth(&good).bearer_auth(&another_secret),
    ];
    for (number, attempt) in attempts.into_iter().enumerate() {
        let response = attempt.send().await.unwrap();
        assert_eq!(response.status(), 401, "attempt {number}");
        assert!(response.headers()[header::WWW_AUTHENTICATE].to_str().unwrap().starts_with("Bearer"));
        error_fields(&response.json().await.unwrap());
    }
    assert_eq!(answer(request().basic_auth(&good, Some("any password"))).await.0, 201);
    assert_eq!(answer(request().bearer_auth(&good)).await.0, 201);
}

#[tokio::test]
async fn a_revoked_token_is_refused_within_seconds() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let token = broker.new_token("default", 2, "files:read,files:write").await;
    let ask = async || broker.http.get(format!("{}/v2/files/1.json", broker.base)).bearer_auth(&token).send().await.unwrap().status();
    assert_eq!(ask().await, 404, "it is good");
    let row = broker.database.list_tokens().await.unwrap().pop().unwrap();
    assert!(broker.database.revoke_token(row.id, time::OffsetDateTime::now_utc()).await.unwrap());
    let deadline = std::time::Instant::now() + dropslip::tokens::TRUSTED * 3;
    while ask().await != 401 {
        assert!(std::time::Instant::now() < deadline, "it is still trusted");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn scopes_are_held() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let slip = broker.text_slip().await;
    let read_only = broker.new_token("default", 1, "files:read").await;
    let write_only = broker.new_token("default", 1, "files:write").await;
    let path = format!("/v2/files/{}.json", slip.id);
    let status = async |token: &str, method: &str, path: &str| {
        let request = broker.http.request(method.parse().unwrap(), format!("{}{path}", broker.base)).bearer_auth(token);
        let (status, body) = answer(request.body(new_file("a.txt", "text/plain").to_string())).await;
        if status == 403 {
            error_fields(&body);
        }
        status.as_u16()
    };
    assert_eq!(status(&read_only, "POST", "/v2/files/ref.json").await, 403);
    assert_eq!(status(&read_only, "PATCH", &path).await, 403);
    assert_eq!(status(&read_only, "GET", &path).await, 200);
    assert_eq!(status(&write_only, "GET", &path).await, 403);
    assert_eq!(status(&write_only, "POST", "/v2/files/ref.json").await, 201);
}

#[tokio::test]
async fn another_tenants_file_is_no_file() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let slip = broker.text_slip().await;
    broker.drop_bytes(&slip, b"secret").await;
    let stranger = broker.new_token("another", 1, "files:read,files:write").await;
    for method in ["GET", "PATCH", "PUT"] {
        let ask = |id: i64| {
            answer(broker.http.request(method.parse().unwrap(), format!("{}/v2/files/{id}.json", broker.base)).bearer_auth(&stranger))
        };
        assert_eq!(ask(slip.id).await, ask(987_654_321).await, "{method} tells that the file exists");
        assert_eq!(ask(slip.id).await.0, 404);
    }
    assert_eq!(broker.read(slip.id).await.1["file"]["state"], "temp");
    assert_eq!(broker.confirm(slip.id).await.0, 200, "its owner's it is");
}

#[tokio::test]
async fn customers_do_not_reach_each_others_files() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let customer = async |id: i64| {
        let caller = Caller {
            actor: Actor { id, kind: ActorKind::Customers },
            tenant: "default".parse().unwrap(),
            scopes: Scopes::all(),
            types: TypeLimit::default(),
            dialect: None,
        };
        let tokens = dropslip::tokens::Tokens::new(broker.database.clone(), None);
        tokens.create(&caller, time::OffsetDateTime::now_utc()).await.unwrap().1.reveal().to_owned()
    };
    let (seven, eight) = (customer(7).await, customer(8).await);
    let ask = |token: &str, method: &str, path: &str| {
        let request = broker.http.request(method.parse().unwrap(), format!("{}{path}", broker.base)).bearer_auth(token);
        answer(request.body(new_file("a.txt", "text/plain").to_string()))
    };
    let slip = slip(ask(&seven, "POST", "/v2/files/ref.json").await.1);
    let (file, again) = (format!("/v2/files/{}.json", slip.id), format!("/v2/files/{}/ref.json", slip.id));
    for (method, path) in [("GET", &file), ("PATCH", &file), ("PUT", &file), ("POST", &again)] {
        assert_eq!(ask(&eight, method, path).await.0, 404, "{method} {path}");
    }
    assert_eq!(ask(&seven, "GET", &file).await.0, 200);
    assert_eq!(broker.read(slip.id).await.0, 200, "users see what customers upload");
}

#[tokio::test]
async fn the_actor_of_the_token_signs_what_it_does() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let slip = broker.text_slip().await;
    broker.drop_bytes(&slip, b"hello").await;
    let colleague = broker.new_token("default", 7, "files:write").await;
    let (_, body) = answer(broker.http.patch(format!("{}/v2/files/{}.json", broker.base, slip.id)).bearer_auth(colleague)).await;
    assert_eq!((&body["file"]["createdBy"]["id"], &body["file"]["updatedBy"]["id"]), (&json!(1), &json!(7)));
}

#[tokio::test]
async fn only_configured_origins_pass_cors() {
    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_CORS_ORIGINS", "https://app.example.test").start().await;
    let allowed = async |origin: &str| {
        let preflight = broker.http.request(reqwest::Method::OPTIONS, format!("{}/v2/files/ref.json", broker.base));
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type"),
        ];
        let answer = headers.iter().fold(preflight, |request, (name, value)| request.header(*name, *value)).send().await.unwrap();
        let origin_allowed = answer.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN).is_some_and(|value| value == origin);
        // The answer itself must carry it too, errors included, or the page sees nothing.
        let request = broker.http.post(format!("{}/v2/files/ref.json", broker.base)).header("origin", origin);
        let told = request.send().await.unwrap().headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(origin_allowed, told, "{origin}");
        // The embedded store lets the same pages drop their bytes.
        let object_store = format!("http://{}/dropslip/", broker.server.embedded_s3.unwrap());
        let preflight = broker
            .http
            .request(reqwest::Method::OPTIONS, object_store)
            .header("origin", origin)
            .header("access-control-request-method", "POST");
        assert_eq!(preflight.send().await.unwrap().headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), told, "{origin}");
        told
    };
    assert!(allowed("https://app.example.test").await);
    assert!(allowed(&broker.base).await);
    assert!(allowed(&broker.base.replace("127.0.0.1", "localhost")).await);
    for stranger in ["https://evil.test", "null", "https://app.example.test.evil.test", "http://app.example.test"] {
        assert!(!allowed(stranger).await, "{stranger}");
    }
}

#[tokio::test]
async fn health_needs_no_token() {
    let broker = TestBroker::on(Bed::Embedded).await;
    assert_eq!(broker.http.get(format!("{}/healthz", broker.base)).send().await.unwrap().status(), 200);
}
