//! Who may call through Kayako's dialect: tokens in its spellings, sessions, fingerprints.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use time::OffsetDateTime;

use dropslip::tokens::Tokens;

use crate::harness::{Bed, Db, Setup, TestBroker};

const UUID: &str = "0a0a0a0a-1b1b-4c4c-8d8d-0123456789ab";

/// Adds to the query of a request.
trait Queried {
    fn query(self, members: &[(&str, &str)]) -> Self;
}

impl Queried for RequestBuilder {
    fn query(self, members: &[(&str, &str)]) -> Self {
        let (client, request) = self.build_split();
        let mut request = request.unwrap();
        request.url_mut().query_pairs_mut().extend_pairs(members);
        Self::from_parts(client, request)
    }
}

fn ask(broker: &TestBroker, method: &str, path: &str) -> RequestBuilder {
    broker.http.request(method.parse::<Method>().unwrap(), format!("{}/api/v1/{path}", broker.base))
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{user}:{password}")))
}

async fn said(request: RequestBuilder) -> (u16, Value, HeaderMap) {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    assert_eq!((&headers["x-api-version"], &headers["content-type"]), (&"1".parse().unwrap(), &"application/json".parse().unwrap()));
    assert!(headers.contains_key("x-request-id") && headers.contains_key("cache-control"), "{headers:?}");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["status"].as_u64().or_else(|| body["Status"].as_u64()), Some(status.as_u16().into()), "{body}");
    (status.as_u16(), body, headers)
}

async fn refused(request: RequestBuilder) -> (u16, String) {
    let (status, body, _) = said(request).await;
    (status, body["errors"][0]["code"].as_str().unwrap_or_default().to_owned())
}

fn failed() -> (u16, String) {
    (401, "AUTHENTICATION_FAILED".to_owned())
}

/// Logs in and gives the session and its proof for changes.
async fn log_in(broker: &TestBroker, token: &str, open: bool) -> (String, Option<String>) {
    let mut request = ask(broker, "GET", "me.json").header("authorization", basic("me@example.com", token));
    if open {
        request = request.header("x-csrf", "false");
    }
    let (status, body, headers) = said(request).await;
    assert_eq!((status, &body["resource"], &body["data"]["resource_type"]), (200, &json!("user"), &json!("user")), "{body}");
    let proof = headers.get("x-csrf-token").map(|value| value.to_str().unwrap().to_owned());
    (body["session_id"].as_str().unwrap().to_owned(), proof)
}

async fn a_token_is_taken_in_every_spelling(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let token = broker.token.clone();
    for path in ["me.json", "me"] {
        for (header, logs_in) in [
            (basic("me@example.com", &token), true),
            (basic(&token, "x"), true),
            (basic(&token, ""), true),
            (format!("Bearer {token}"), false),
        ] {
            let (status, body, headers) = said(ask(&broker, "GET", path).header("authorization", header)).await;
            assert_eq!((status, &body["data"]["id"]), (200, &json!(1)), "{body}");
            assert_eq!((body.get("session_id").is_some(), headers.contains_key("x-csrf-token")), (logs_in, logs_in));
        }
        assert_eq!(said(ask(&broker, "GET", path).query(&[("access_token", &token)])).await.0, 200);
    }
    let index = format!("{}/api/index.php?%2Fv1%2Fme.json&access_token={token}&_case=camel", broker.base);
    let (status, body, _) = said(broker.http.get(index)).await;
    assert_eq!((status, &body["data"]["resourceType"]), (200, &json!("user")));
    // What is no path of this dialect is none of its business.
    assert_eq!(broker.http.get(format!("{}/api/index.php?/Base/User", broker.base)).send().await.unwrap().status(), 404);

    let other = broker.new_token("default", 2, "files:read").await;
    for header in [basic(&token, &other), basic("me", "x"), basic("", ""), "Basic ???".to_owned(), "Bearer x".to_owned()] {
        assert_eq!(refused(ask(&broker, "GET", "me").header("authorization", &header)).await, failed(), "{header}");
    }
    let twice = ask(&broker, "GET", "me").bearer_auth(&token).header("authorization", format!("Bearer {token}"));
    assert_eq!(refused(twice).await, failed());
    let inconsistent = (400, "PARAMETERS_INCONSISTENT".to_owned());
    assert_eq!(refused(ask(&broker, "GET", "me").bearer_auth(&token).query(&[("access_token", &other)])).await, inconsistent);
    assert_eq!(said(ask(&broker, "GET", "me").bearer_auth(&token).query(&[("access_token", &token)])).await.0, 200);

    let (_, _, headers) = said(ask(&broker, "GET", "me")).await;
    assert!(headers["www-authenticate"].to_str().unwrap().starts_with("Basic"));
    let (_, _, headers) = said(ask(&broker, "GET", "me").header("x-requested-with", "XMLHttpRequest")).await;
    assert_eq!(headers.get("www-authenticate"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_taken_in_every_spelling_on_sqlite() {
    a_token_is_taken_in_every_spelling(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_taken_in_every_spelling_on_postgres() {
    a_token_is_taken_in_every_spelling(Db::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_stands_for_its_token_until_that_is_revoked() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let token = broker.new_token("acme", 7, "files:read").await;
    let (session, _) = log_in(&broker, &token, false).await;
    let lost = (454, "SESSION_LOADING_FAILED".to_owned());
    let by_header = |session: &str| ask(&broker, "GET", "me").header("x-session-id", session);
    let (status, body, _) = said(by_header(&session)).await;
    assert_eq!((status, &body["data"]["id"], body.get("session_id")), (200, &json!(7), None));
    assert_eq!(said(ask(&broker, "GET", "me").query(&[("_session_id", &session)])).await.0, 200);
    assert_eq!(said(by_header(&session).query(&[("_session_id", &session)])).await.0, 200);
    assert_eq!(said(by_header(&session).bearer_auth(&token)).await.0, 200);
    assert_eq!(refused(by_header(&session).query(&[("_session_id", "x")])).await, (400, "PARAMETERS_INCONSISTENT".to_owned()));
    assert_eq!(refused(by_header(&session).bearer_auth(&broker.token)).await, (400, "PARAMETERS_INCONSISTENT".to_owned()));
    assert_eq!(refused(ask(&broker, "GET", "me").header("cookie", format!("session_id={session}"))).await, failed());
    // What others are shown of it opens nothing, and a changed one was never made.
    let public = session.split('.').next().unwrap();
    let other = if session.ends_with('0') { "1" } else { "0" };
    for bad in [public, "x", "", &session[1..], &format!("{}{other}", &session[..session.len() - 1])] {
        assert_eq!(refused(by_header(bad)).await, lost, "{bad}");
    }
    // It is for this dialect alone.
    for header in [format!("Bearer {session}"), basic("me", &session)] {
        let response = broker.http.get(format!("{}/v2/files.json", broker.base)).header("authorization", header).send().await.unwrap();
        assert_eq!(response.status(), 401);
    }
    let tokens = Tokens::new(broker.database.clone(), None);
    let number = tokens.list().await.unwrap().iter().map(|row| row.id).max().unwrap();
    assert!(tokens.revoke(number, OffsetDateTime::now_utc()).await.unwrap());
    // A good token is trusted for two seconds.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while refused(by_header(&session)).await != lost {
        assert!(std::time::Instant::now() < until, "the session outlives its token");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fingerprint_is_nobody_unless_it_is_allowed_and_reads_nothing() {
    let off = TestBroker::on(Bed::Embedded).await;
    assert_eq!(refused(ask(&off, "GET", "me").header("x-fingerprint-id", UUID)).await, failed());
    let on = Setup::on(Bed::Embedded).setting("DROPSLIP_KAYAKO_FINGERPRINTS", "true").start().await;
    let denied = (403, "ACCESS_DENIED".to_owned());
    assert_eq!(refused(ask(&on, "GET", "me").header("x-fingerprint-id", UUID)).await, denied);
    assert_eq!(refused(ask(&on, "GET", "me").query(&[("_fingerprintId", UUID)])).await, denied);
    assert_eq!(refused(ask(&on, "GET", "me").header("x-fingerprint-id", "x")).await, failed());
    assert_eq!(said(ask(&on, "GET", "me").header("x-fingerprint-id", UUID).bearer_auth(&on.token)).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_begins_no_session_where_the_secret_lies_in_the_database() {
    let request = |broker: &TestBroker| ask(broker, "GET", "me").header("authorization", basic("me", &broker.token));
    let in_database = Setup::on(Bed::SeaweedFs).setting("DROPSLIP_DIALECTS", "kayako").start().await;
    let (status, body, headers) = said(request(&in_database)).await;
    assert_eq!((status, body.get("session_id"), headers.get("x-csrf-token")), (200, None, None));
    let setup = Setup::on(Bed::SeaweedFs).setting("DROPSLIP_DIALECTS", "kayako");
    let elsewhere = setup.setting("DROPSLIP_SECRETS", "0123456789abcdef0123456789abcdef").start().await;
    let (session, proof) = log_in(&elsewhere, &elsewhere.token, false).await;
    assert!(!session.is_empty() && proof.is_some());
    assert_eq!(log_in(&elsewhere, &elsewhere.token, true).await.1, None);
    assert_eq!(refused(ask(&in_database, "GET", "me").header("x-session-id", session)).await.0, 454);
}
