//! Keys that change: in a file, and at an address that may be away.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use dropslip::embedded_s3::BOUNDS;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Key, KeyFile, claims, key, keys, set, setup};
use crate::harness::TestBroker;

/// A server of keys that can be told to fail.
pub(super) struct Issuer {
    address: SocketAddr,
    answer: Arc<Mutex<(StatusCode, String)>>,
    asked: Arc<AtomicUsize>,
    stop: CancellationToken,
}

impl Issuer {
    pub(super) async fn start(set: Value) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), set).await
    }

    async fn start_at(address: SocketAddr, set: Value) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(Mutex::new((StatusCode::OK, set.to_string())));
        let (asked, stop) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
        let (said, counted) = (answer.clone(), asked.clone());
        let router = axum::Router::new().fallback(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let (status, body) = said.lock().unwrap().clone();
            async move { (status, [("location", "/elsewhere")], body) }
        });
        tokio::spawn(dropslip::listener::serve(listener, router, BOUNDS, stop.clone()));
        Self { address, answer, asked, stop }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/keys", self.address)
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn answers(&self, status: StatusCode, body: impl Into<String>) {
        *self.answer.lock().unwrap() = (status, body.into());
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Waits until a token is answered with that status.
async fn until(broker: &TestBroker, token: &str, status: u16, why: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let (answered, body) = broker.slip_by(token).await;
        if answered == status {
            return;
        }
        assert!(Instant::now() < deadline, "{why}: {answered} {body}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_keys_is_read_again_when_it_changes() {
    let (old, new) = (keys(&["ES256"], "old").remove(0), keys(&["ES256"], "new").remove(0));
    let file = KeyFile::of(&set([&old]));
    let broker = file.setup().start().await;
    let (by_old, by_new) = (old.sign(claims()), new.sign(claims()));
    broker.assert_good(&by_old, "the first key").await;
    broker.assert_bad(&by_new, "a key that comes later").await;
    file.holds(&set([&old, &new]));
    until(&broker, &by_new, 201, "both keys are there").await;
    broker.assert_good(&by_old, "both keys are there").await;
    std::fs::write(&file.path, "{\"keys\": [").unwrap();
    assert!(broker.server.tokens.reload().await.unwrap_err().contains("no JSON object"));
    broker.assert_good(&by_new, "a broken file takes nothing away").await;
    file.holds(&set([&new]));
    until(&broker, &by_old, 401, "the old key is gone, and what was remembered by it").await;
    broker.assert_good(&by_new, "the new key stays").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_fetched_when_a_token_names_an_unknown_one_but_seldom() {
    let (old, new, newest) = (keys(&["EdDSA"], "old").remove(0), keys(&["EdDSA"], "new").remove(0), keys(&["EdDSA"], "newest").remove(0));
    let issuer = Issuer::start(set([&old])).await;
    let broker = setup().setting("DROPSLIP_JWT_JWKS", issuer.url()).start().await;
    let (by_old, by_new, by_newest) = (old.sign(claims()), new.sign(claims()), newest.sign(claims()));
    broker.assert_good(&by_old, "the first key").await;
    assert_eq!(issuer.asked(), 1, "at the start, and not for each token");
    issuer.answers(StatusCode::OK, set([&old, &new]).to_string());
    // All at once: one of them asks.
    let all = futures_util::future::join_all((0..8).map(|_| broker.slip_by(&by_new))).await;
    assert!(all.iter().all(|(status, _)| *status == 201), "{all:?}");
    assert_eq!(issuer.asked(), 2);
    issuer.answers(StatusCode::OK, set([&newest]).to_string());
    for _ in 0..20 {
        broker.assert_bad(&by_newest, "anybody can make up names of keys: they are asked for once in half a minute").await;
    }
    assert_eq!(issuer.asked(), 2);
    broker.server.tokens.reload().await.unwrap();
    broker.assert_good(&by_newest, "an operator is not made to wait").await;
    broker.assert_bad(&by_old, "a key that is gone").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_replaced_is_fetched_for_tokens_that_name_none_but_seldom() {
    let made = ["old", "new", "newest"].map(|generation| keys(&["RS256"], generation).remove(0));
    let [old, new, newest] = &made;
    let [by_old, by_new, by_newest] = made.each_ref().map(Key::sign_unnamed);
    let issuer = Issuer::start(set([old])).await;
    let broker = setup().setting("DROPSLIP_JWT_JWKS", issuer.url()).start().await;
    broker.assert_good(&by_old, "the only key").await;
    assert_eq!(issuer.asked(), 1, "at the start, and not for each token");
    let forged = newest.sign_as(&old.name);
    broker.assert_bad(&forged, "it names a key that is known, and is not signed by it").await;
    assert_eq!(issuer.asked(), 1);
    issuer.answers(StatusCode::OK, set([new]).to_string());
    let all = futures_util::future::join_all((0..8).map(|_| broker.slip_by(&by_new))).await;
    assert!(all.iter().all(|(status, _)| *status == 201), "{all:?}");
    assert_eq!(issuer.asked(), 2, "one of them asks");
    broker.assert_bad(&by_old, "its key is gone").await;
    issuer.answers(StatusCode::OK, set([newest]).to_string());
    for _ in 0..20 {
        broker.assert_bad(&by_newest, "anybody can make up signatures: keys are asked for once in half a minute").await;
    }
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_listed_twice_is_one_key() {
    let (one, other) = (keys(&["RS256"], "one").remove(0), keys(&["RS256"], "other").remove(0));
    let named = |key: &Key, name: Option<&str>| {
        let mut key = key.clone();
        match name {
            Some(name) => key.jwk["kid"] = name.into(),
            None => drop(key.jwk.as_object_mut().unwrap().remove("kid")),
        }
        key
    };
    let (by_one, unnamed) = (one.sign(claims()), one.sign_unnamed());
    for twice in [set([&one, &one]), set([&one, &named(&one, None)]), set([&named(&one, Some("a second name")), &one, &one])] {
        let broker = KeyFile::of(&twice).setup().start().await;
        broker.assert_good(&by_one, "its key is there").await;
        broker.assert_good(&unnamed, "there is no other key").await;
        broker.assert_bad(&other.sign_as(&one.name), "it is by another key").await;
    }
    for different in [set([&one, &named(&other, Some(&one.name))]), set([&named(&other, Some(&one.name)), &one, &one])] {
        let broker = KeyFile::of(&different).setup().start().await;
        for ambiguous in [&by_one, &unnamed, &other.sign_as(&one.name)] {
            broker.assert_bad(ambiguous, "two keys have one name").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_stay_when_a_refresh_fails_and_go_when_it_does_not() {
    let (old, new) = (keys(&["ES384"], "old").remove(0), keys(&["ES384"], "new").remove(0));
    let issuer = Issuer::start(set([&old])).await;
    let broker = setup().setting("DROPSLIP_JWT_JWKS", issuer.url()).setting("DROPSLIP_JWT_REFRESH", "1s").start().await;
    let (by_old, by_new) = (old.sign(claims()), new.sign(claims()));
    let huge = format!("{{\"keys\": [], \"x\": \"{}\"}}", "x".repeat(300_000));
    let failures = [
        (StatusCode::INTERNAL_SERVER_ERROR, set([&new]).to_string()),
        (StatusCode::FOUND, set([&new]).to_string()),
        (StatusCode::OK, "<html>".to_owned()),
        (StatusCode::OK, "{\"keys\": {}}".to_owned()),
        (StatusCode::OK, huge),
    ];
    for (status, body) in failures {
        issuer.answers(status, body);
        let asked = issuer.asked();
        let deadline = Instant::now() + Duration::from_secs(20);
        while issuer.asked() < asked + 2 {
            assert!(Instant::now() < deadline, "it is not asked again");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        broker.assert_good(&by_old, "known keys stay").await;
        broker.assert_bad(&by_new, "nothing is taken from an answer that is none").await;
    }
    issuer.answers(StatusCode::OK, set([&new]).to_string());
    until(&broker, &by_new, 201, "the interval brings it").await;
    broker.assert_bad(&by_old, "what was remembered of it too").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_key_can_be_taken_back() {
    let (one, next) = (keys(&["ES256"], "one").remove(0), keys(&["ES256"], "next").remove(0));
    let (by_one, by_next) = (one.sign(claims()), next.sign(claims()));
    let secret = serde_json::json!({"keys": [{"kty": "oct", "k": "AAAA"}]});
    let file = KeyFile::of(&set([&one]));
    let broker = file.setup().start().await;
    for empty in [set([]), secret.clone()] {
        broker.assert_good(&by_one, "its key is there").await;
        file.holds(&empty);
        until(&broker, &by_one, 401, "its key is gone, and what was remembered by it").await;
        file.holds(&set([&one]));
        until(&broker, &by_one, 201, "its key is back").await;
    }
    let issuer = Issuer::start(set([&one])).await;
    let broker = setup().setting("DROPSLIP_JWT_JWKS", issuer.url()).setting("DROPSLIP_JWT_REFRESH", "1s").start().await;
    broker.assert_good(&by_one, "its key is there").await;
    issuer.answers(StatusCode::OK, set([]).to_string());
    until(&broker, &by_one, 401, "its key is gone").await;
    broker.assert_bad(&by_next, "there is no key at all, which is known").await;
    issuer.answers(StatusCode::OK, set([&next]).to_string());
    until(&broker, &by_next, 201, "the interval brings the next one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_starts_without_its_issuer_and_finds_it_later() {
    let one = key("ES256");
    let address = {
        let gone = Issuer::start(set([&one])).await;
        gone.address
    };
    let broker = setup().setting("DROPSLIP_JWT_JWKS", format!("http://{address}/keys")).start().await;
    let token = one.sign(claims());
    let (status, body) = broker.slip_by(&token).await;
    assert_eq!(status, 503, "nobody can say whether it is good: {body}");
    broker.assert_good(&broker.token, "our own tokens need no issuer").await;
    broker.assert_bad("no.token", "what is no token is none, keys or not").await;
    let deadline = Instant::now() + Duration::from_secs(20);
    // The port may take a moment to be free again.
    let _issuer = loop {
        match tokio::net::TcpListener::bind(address).await {
            Ok(free) => {
                drop(free);
                break Issuer::start_at(address, set([&one])).await;
            }
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    until(&broker, &token, 201, "it finds the issuer by itself").await;
}
