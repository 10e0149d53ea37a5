//! Brokers and stores that answer anything: parts and presigned PUTs stay harmless, and what can pass is tried again within bounds.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{patch, post, put};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{EXPIRED, Ended, TOKEN, client, told};

/// A broker and a store in one: `HERE` in what they answer becomes their address.
#[derive(Clone, Default)]
struct Peers(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    url: String,
    slip: Value,
    /// What to answer when parts are to be signed; null: good URLs.
    signed: Value,
    arrived: Value,
    /// Status and body of the next answers; none left: success.
    database: VecDeque<(u16, &'static str)>,
    confirm: VecDeque<(u16, &'static str)>,
    slips: usize,
    signings: Vec<Value>,
    puts: Vec<(String, HeaderMap, Bytes)>,
    confirmations: usize,
    given_up: usize,
}

const MISSING: (u16, &str) = (409, r#"{"errors":{"parts":["must be uploaded first: 2 of 2"]}}"#);

fn in_two_parts() -> Value {
    json!({"method": "MULTIPART", "partSize": 3, "partCount": 2, "params": {}, "file": {"id": 7}})
}

fn in_one_put() -> Value {
    let headers = json!({"Content-Type": "text/plain", "If-None-Match": "*"});
    json!({"method": "PUT", "url": "HERE/bucket/1?signature=secret", "headers": headers, "params": {}, "file": {"id": 7}})
}

impl Peers {
    async fn answering(slip: Value) -> Self {
        let peers = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        {
            let mut script = peers.0.lock().await;
            script.url = format!("http://{}", listener.local_addr().unwrap());
            script.slip = slip;
        }
        let router = Router::new()
            .route("/v2/files/ref.json", post(Self::authorize))
            .route("/v2/files/7/parts.json", post(Self::sign).get(Self::arrived).delete(Self::give_up))
            .route("/v2/files/7.json", patch(Self::confirm))
            .route("/bucket/{part}", put(Self::database))
            .route("/elsewhere", put(Self::elsewhere))
            .with_state(peers.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        peers
    }

    fn with_address(url: &str, answer: &Value) -> String {
        answer.to_string().replace("HERE", url)
    }

    async fn authorize(State(peers): State<Self>) -> Response {
        let mut script = peers.0.lock().await;
        script.slips += 1;
        (StatusCode::CREATED, Self::with_address(&script.url, &script.slip)).into_response()
    }

    async fn sign(State(peers): State<Self>, body: Bytes) -> Response {
        let mut script = peers.0.lock().await;
        let wanted: Value = serde_json::from_slice(&body).unwrap();
        let part = |number: &Value| {
            let size = if number == 1 { 3 } else { 2 };
            json!({"partNumber": number, "method": "PUT", "url": format!("HERE/bucket/{number}?signature=secret"), "headers": {}, "size": size})
        };
        let parts: Vec<Value> = wanted["partNumbers"].as_array().unwrap().iter().map(part).collect();
        let good = json!({"parts": parts, "expiresAt": "2030-01-01T00:00:00Z"});
        script.signings.push(wanted);
        let answer = if script.signed.is_null() { &good } else { &script.signed };
        Self::with_address(&script.url, answer).into_response()
    }

    async fn arrived(State(peers): State<Self>) -> Response {
        peers.0.lock().await.arrived.to_string().into_response()
    }

    async fn give_up(State(peers): State<Self>) -> StatusCode {
        peers.0.lock().await.given_up += 1;
        StatusCode::NO_CONTENT
    }

    async fn database(State(peers): State<Self>, Path(part): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
        let mut script = peers.0.lock().await;
        script.puts.push((part, headers, body));
        script.database.pop_front().map_or_else(|| StatusCode::OK.into_response(), told)
    }

    async fn elsewhere(State(peers): State<Self>, headers: HeaderMap, body: Bytes) -> StatusCode {
        peers.0.lock().await.puts.push(("elsewhere".to_owned(), headers, body));
        StatusCode::OK
    }

    async fn confirm(State(peers): State<Self>) -> Response {
        let mut script = peers.0.lock().await;
        script.confirmations += 1;
        told(script.confirm.pop_front().unwrap_or((200, r#"{"file":{"id":7,"state":"active","size":5}}"#)))
    }

    async fn upload(&self) -> Ended {
        let server = self.0.lock().await.url.clone();
        let run = move || {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("a.txt"), b"hello").unwrap();
            let mut client = client(folder.path(), &server, &["--json", "--jobs", "1", "a.txt"]);
            Ended::from(client.env("DROPSLIP_TOKEN", TOKEN).env("HOME", folder.path()).output().unwrap())
        };
        let ended = tokio::task::spawn_blocking(run).await.unwrap();
        let said = format!("{ended:?}");
        assert!(!said.contains(TOKEN) && !said.contains("signature=secret"), "{said}");
        for (_, headers, body) in &self.0.lock().await.puts {
            assert!(!headers.contains_key(header::AUTHORIZATION) && !headers.contains_key(header::COOKIE), "{headers:?}");
            assert!(!headers.contains_key(header::TRANSFER_ENCODING), "{headers:?}");
            assert_eq!(headers[header::CONTENT_LENGTH], body.len().to_string());
        }
        ended
    }

    /// The part and the bytes of each PUT.
    async fn puts(&self) -> Vec<(String, String)> {
        let script = self.0.lock().await;
        script.puts.iter().map(|(part, _, body)| (part.clone(), String::from_utf8(body.to_vec()).unwrap())).collect()
    }
}

fn pairs(puts: &[(&str, &str)]) -> Vec<(String, String)> {
    puts.iter().map(|(part, bytes)| ((*part).to_owned(), (*bytes).to_owned())).collect()
}

#[tokio::test]
async fn parts_are_sent_with_their_length_and_nothing_that_authorizes() {
    let peers = Peers::answering(in_two_parts()).await;
    let ended = peers.upload().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(peers.puts().await, pairs(&[("1", "hel"), ("2", "lo")]));
    let script = peers.0.lock().await;
    assert_eq!((script.signings.len(), script.confirmations, script.given_up), (1, 1, 0));
}

#[tokio::test]
async fn a_cut_that_does_not_cover_the_file_exactly_is_refused_before_anything_is_asked() {
    for (part_size, part_count) in
        [(json!(0), json!(1)), (json!(3), json!(1)), (json!(3), json!(3)), (json!(1), json!(u64::MAX)), (json!(u64::MAX), json!(0))]
    {
        let mut slip = in_two_parts();
        (slip["partSize"], slip["partCount"]) = (part_size, part_count);
        let peers = Peers::answering(slip.clone()).await;
        let ended = peers.upload().await;
        let object = &ended.objects()[0];
        assert_eq!((ended.code, &object["step"]), (Some(1), &json!("authorize")), "{slip}: {object}");
        assert!(object["error"].as_str().unwrap().ends_with("its parts are not what this file can be cut into"), "{object}");
        let script = peers.0.lock().await;
        assert_eq!((script.signings.len(), script.puts.len()), (0, 0));
    }
}

#[tokio::test]
async fn a_slip_that_is_not_understood_sends_nothing() {
    let mut other_method = in_two_parts();
    other_method["method"] = "PATCH".into();
    let mut no_count = in_two_parts();
    no_count.as_object_mut().unwrap().remove("partCount");
    let mut negative = in_two_parts();
    negative["partCount"] = (-2).into();
    let mut no_url = in_one_put();
    no_url.as_object_mut().unwrap().remove("url");
    let at = |url: &str| {
        let mut slip = in_one_put();
        slip["url"] = url.into();
        slip
    };
    let with = |name: &str, value: Value| {
        let mut slip = in_one_put();
        slip["headers"][name] = value;
        slip
    };
    for slip in [
        other_method,
        no_count,
        negative,
        no_url,
        at("file:///etc/passwd"),
        at("http://user:secret@127.0.0.1/"),
        with("Authorization", "Bearer x".into()),
        with("Cookie", "x".into()),
        with("Host", "example.com".into()),
        with("Content-Length", "1".into()),
        with("Transfer-Encoding", "chunked".into()),
        with("x-a", "b\r\nx-c: d".into()),
        with("x-a", 1.into()),
    ] {
        let peers = Peers::answering(slip.clone()).await;
        let ended = peers.upload().await;
        let error = ended.objects()[0]["error"].to_string();
        assert!(ended.code == Some(1) && error.contains("the broker's answer makes no sense"), "{slip}: {error}");
        let script = peers.0.lock().await;
        assert_eq!((script.puts.len(), script.confirmations), (0, 0), "{slip}");
    }
}

#[tokio::test]
async fn signatures_for_something_else_are_not_used() {
    let part = |number: u64, url: &str, size: u64| json!({"partNumber": number, "url": url, "headers": {}, "size": size});
    for parts in [
        json!([]),
        json!([part(1, "HERE/bucket/1", 3)]),
        json!([part(1, "HERE/bucket/1", 3), part(1, "HERE/bucket/1", 3)]),
        json!([part(1, "HERE/bucket/1", 3), part(3, "HERE/bucket/3", 2)]),
        json!([part(1, "HERE/bucket/1", 3), part(2, "HERE/bucket/2", 3)]),
        json!([part(1, "HERE/bucket/1", 3), part(2, "file:///etc/passwd", 2)]),
        json!([part(1, "HERE/bucket/1", 3), part(5_000_000_000, "HERE/bucket/2", 2)]),
    ] {
        let peers = Peers::answering(in_two_parts()).await;
        peers.0.lock().await.signed = json!({ "parts": parts });
        let ended = peers.upload().await;
        let object = &ended.objects()[0];
        assert!(object["error"].as_str().unwrap().contains("the broker's answer makes no sense"), "{parts}: {object}");
        assert_eq!((&object["step"], peers.puts().await.len()), (&json!("upload"), 0), "{parts}");
    }
}

#[tokio::test]
async fn a_part_follows_no_redirect() {
    let peers = Peers::answering(in_two_parts()).await;
    peers.0.lock().await.database.extend([(307, "")]);
    let ended = peers.upload().await;
    assert_eq!((ended.code, &ended.objects()[0]["status"]), (Some(1), &json!(307)));
    assert_eq!(peers.puts().await, pairs(&[("1", "hel")]));
}

#[tokio::test]
async fn a_refused_url_is_replaced_once_and_a_broken_store_asked_five_times() {
    let peers = Peers::answering(in_two_parts()).await;
    peers.0.lock().await.database.extend([EXPIRED]);
    assert_eq!(peers.upload().await.code, Some(0));
    assert_eq!(peers.puts().await, pairs(&[("1", "hel"), ("1", "hel"), ("2", "lo")]));
    assert_eq!(peers.0.lock().await.signings, [json!({"partNumbers": [1, 2]}), json!({"partNumbers": [1]})]);

    let peers = Peers::answering(in_two_parts()).await;
    peers.0.lock().await.database.extend([EXPIRED; 9]);
    let ended = peers.upload().await;
    assert_eq!((&ended.objects()[0]["status"], &ended.objects()[0]["resume"]), (&json!(403), &json!(7)));
    assert_eq!(peers.puts().await.len(), 2);

    let peers = Peers::answering(in_two_parts()).await;
    peers.0.lock().await.database.extend([(503, ""); 9]);
    assert_eq!(peers.upload().await.objects()[0]["status"], 503);
    assert_eq!(peers.puts().await.len(), 5);
}

#[tokio::test]
async fn what_the_confirmation_misses_is_sent_again_and_not_for_ever() {
    let there = json!({"partSize": 3, "partCount": 2, "parts": [{"partNumber": 1, "size": 3, "etag": ""}, {"partNumber": 2, "size": 1, "etag": ""}]});
    let peers = Peers::answering(in_two_parts()).await;
    {
        let mut script = peers.0.lock().await;
        script.confirm.extend([MISSING]);
        script.arrived = there.clone();
    }
    assert_eq!(peers.upload().await.code, Some(0));
    assert_eq!(peers.puts().await, pairs(&[("1", "hel"), ("2", "lo"), ("2", "lo")]));

    let peers = Peers::answering(in_two_parts()).await;
    {
        let mut script = peers.0.lock().await;
        script.confirm.extend([MISSING; 9]);
        script.arrived = there;
    }
    let ended = peers.upload().await;
    let object = &ended.objects()[0];
    assert_eq!((&object["step"], &object["status"], &object["resume"]), (&json!("confirm"), &json!(409), &json!(7)), "{object}");
    assert_eq!(peers.puts().await.len(), 4);
    assert_eq!(peers.0.lock().await.given_up, 0);
}

#[tokio::test]
async fn a_put_carries_exactly_its_headers_and_412_means_that_it_arrived() {
    let peers = Peers::answering(in_one_put()).await;
    peers.0.lock().await.database.extend([(503, ""), (412, "<Error><Code>PreconditionFailed</Code></Error>")]);
    let ended = peers.upload().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(peers.puts().await, pairs(&[("1", "hello"), ("1", "hello")]));
    let script = peers.0.lock().await;
    assert_eq!((script.slips, script.confirmations), (1, 1));
    let headers = &script.puts[0].1;
    assert_eq!((headers[header::CONTENT_TYPE].as_bytes(), headers[header::IF_NONE_MATCH].as_bytes()), (&b"text/plain"[..], &b"*"[..]));
    let mut names: Vec<&str> = headers.keys().map(header::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "content-length", "content-type", "host", "if-none-match", "user-agent"]);
}

#[tokio::test]
async fn a_put_that_expired_gets_a_new_slip_once() {
    let peers = Peers::answering(in_one_put()).await;
    peers.0.lock().await.database.extend([EXPIRED]);
    assert_eq!(peers.upload().await.code, Some(0));
    let script = peers.0.lock().await;
    assert_eq!((script.slips, script.puts.len()), (2, 2));
}

#[tokio::test]
async fn what_a_broker_says_steers_no_terminal() {
    let peers = Peers::answering(in_two_parts()).await;
    let evil = "{\"errors\":{\"x\":[\"a\u{9b}31m\u{202e}b\u{7f}\"]}}";
    peers.0.lock().await.confirm.extend([(422, evil)]);
    let ended = peers.upload().await;
    assert!(!ended.stdout.contains(['\u{9b}', '\u{202e}', '\u{7f}']), "{:?}", ended.stdout);
    assert_eq!(ended.objects()[0]["error"], "refused: x a\u{9b}31m\u{202e}b\u{7f}");
    assert_eq!(peers.0.lock().await.given_up, 1);
}
