//! Who may create: sessions with their proof, and those who have but a fingerprint.

use serde_json::{Value, json};

use super::sending::{FILES, PARTS, base64, error, parts};
use crate::harness::{Bed, Db, Setup, TestBroker, answer};

const UUID: &str = "0a0a0a0a-1b1b-4c4c-8d8d-0123456789ab";
const OTHER: &str = "0b0b0b0b-1b1b-4c4c-8d8d-0123456789ab";

/// Without a token: what is said stands in the query and in these headers.
async fn as_said(broker: &TestBroker, method: &str, path: &str, headers: &[(&str, &str)], body: Value) -> (u16, Value) {
    let request = broker.http.request(method.parse().unwrap(), format!("{}{path}", broker.base));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let request = match body {
        Value::Null => request,
        Value::String(text) => request.body(text),
        other => request.header("content-type", "application/json").body(other.to_string()),
    };
    let (status, body) = answer(request).await;
    (status.as_u16(), body)
}

/// A session and what proves it, if that is needed.
async fn log_in(broker: &TestBroker, csrf: &str) -> (String, Option<String>) {
    let basic = format!("Basic {}", base64(format!("me@example.com:{}", broker.token).as_bytes()));
    let request = broker.http.get(format!("{}/api/v1/me.json", broker.base)).header("authorization", basic).header("x-csrf", csrf);
    let response = request.send().await.unwrap();
    let proof = response.headers().get("x-csrf-token").map(|value| value.to_str().unwrap().to_owned());
    (response.json::<Value>().await.unwrap()["session_id"].as_str().unwrap().to_owned(), proof)
}

async fn a_session_changes_nothing_without_its_proof(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let (session, proof) = log_in(&broker, "true").await;
    let proof = proof.unwrap();
    let create = format!("{FILES}?_filename=a.txt");
    let both = [("x-session-id", session.as_str()), ("x-csrf-token", &proof)];
    let (status, slip) = as_said(&broker, "POST", "/api/v1/files/ref.json", &both, json!({"name": "a.txt"})).await;
    assert_eq!(status, 201, "{slip}");
    let file = format!("/api/v1/files/{}.json", slip["data"]["file"]["id"]);
    for (method, path, body, passes) in [
        ("POST", create.as_str(), json!("Hello"), 201),
        ("POST", "/api/v1/files/ref.json", json!({"name": "a.txt"}), 201),
        ("PUT", &file, Value::Null, 404),
        ("DELETE", &file, Value::Null, 404),
    ] {
        for headers in [vec![("x-session-id", session.as_str())], vec![("x-session-id", &session), ("x-csrf-token", "x")]] {
            let (status, answered) = as_said(&broker, method, path, &headers, body.clone()).await;
            assert_eq!((status, error(&answered).0), (403, "CSRF_FAILED"), "{method} {path}: {answered}");
        }
        assert_eq!(as_said(&broker, method, path, &both, body.clone()).await.0, passes, "{method} {path}");
    }
    let (_, made) = as_said(&broker, "POST", &create, &both, json!("Hello")).await;
    let public = made["data"]["group_hash"].as_str().unwrap().strip_prefix("s:").unwrap();
    assert!(session.starts_with(public) && session.len() > public.len(), "what others are shown opens nothing");
    assert_eq!(made.get("session_id"), None, "it had begun before");

    // A form of a browser: the session stands in the URL, and there is no header of its own.
    let (open, none) = log_in(&broker, "false").await;
    assert_eq!(none, None);
    let form = parts(&[("Content-Disposition: form-data; name=\"files[]\"; filename=\"a.txt\"\r\nContent-Type: text/plain", b"Hello")]);
    let send = async |session: &str| {
        let request = broker.http.post(format!("{}{FILES}?_session_id={session}", broker.base)).header("content-type", PARTS);
        let (status, body) = answer(request.header("origin", "https://desk.example.com").body(form.clone())).await;
        (status.as_u16(), body)
    };
    let (status, body) = send(&open).await;
    assert_eq!((status, &body["data"]["content"]), (201, &json!("SGVsbG8=")), "{body}");
    assert_eq!(send(&session).await.0, 403);
}

async fn a_fingerprint_creates_and_reads_nothing(db: Db) {
    let off = Setup::on(Bed::Embedded).database(db).start().await;
    let create = format!("{FILES}?_filename=a.txt");
    let mine = [("x-fingerprint-id", UUID)];
    for path in [create.as_str(), "/api/v1/files/ref.json"] {
        let (status, body) = as_said(&off, "POST", path, &mine, json!({"name": "a.txt"})).await;
        assert_eq!((status, error(&body).0), (401, "AUTHENTICATION_FAILED"), "{body}");
    }
    let on = Setup::on(Bed::Embedded).database(db).setting("DROPSLIP_KAYAKO_FINGERPRINTS", "true").start().await;
    let (status, made) = as_said(&on, "POST", &create, &mine, json!("Hello")).await;
    assert_eq!((status, &made["data"]["content"]), (201, &json!("SGVsbG8=")), "{made}");
    let (status, by_query) = as_said(&on, "POST", &format!("{create}&_fingerprint_id={UUID}"), &[], json!("Hello")).await;
    assert_eq!((status, &by_query["data"]["group_hash"]), (201, &made["data"]["group_hash"]), "the same customer");
    let (_, theirs) = as_said(&on, "POST", &create, &[("x-fingerprint-id", OTHER)], json!("Hello")).await;
    assert_ne!(theirs["data"]["group_hash"], made["data"]["group_hash"]);

    let file = format!("/api/v1/files/{}", made["data"]["id"]);
    for (method, path) in [
        ("GET", "/api/v1/me.json".to_owned()),
        ("GET", FILES.to_owned()),
        ("GET", format!("{file}.json")),
        ("GET", format!("{file}/content")),
        ("DELETE", format!("{file}.json")),
        ("DELETE", format!("{FILES}?ids={}", made["data"]["id"])),
    ] {
        let (status, body) = as_said(&on, method, &path, &mine, Value::Null).await;
        assert_eq!((status, error(&body).0), (403, "ACCESS_DENIED"), "{method} {path}: {body}");
    }
    assert_eq!(on.kayako("GET", &file.replace("/api/v1", "")).await.0, 200, "an agent reads it");

    let (status, slip) = as_said(&on, "POST", "/api/v1/files/ref.json", &mine, json!({"name": "b.txt"})).await;
    assert_eq!(status, 201, "{slip}");
    let id = slip["data"]["file"]["id"].as_i64().unwrap();
    on.uploads(&slip["data"], b"World").await;
    let put = format!("/api/v1/files/{id}.json");
    assert_eq!(as_said(&on, "PUT", &put, &[("x-fingerprint-id", OTHER)], Value::Null).await.0, 404);
    let (status, body) = as_said(&on, "PUT", &put, &mine, Value::Null).await;
    assert_eq!((status, &body["data"]["content"]), (200, &json!("V29ybGQ=")), "{body}");
    assert_eq!(as_said(&on, "PUT", &put, &[("x-fingerprint-id", OTHER)], Value::Null).await.0, 404);
}

on_both_engines!(a_session_changes_nothing_without_its_proof, a_fingerprint_creates_and_reads_nothing);
