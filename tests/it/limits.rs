//! Nobody can ask for more than their share, or hold a connection for nothing.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use reqwest::header::RETRY_AFTER;
use serde_json::json;

use crate::harness::{Bed, Db, Setup, TestBroker, error_fields, new_file};

/// Asks for a slip; the status, and for a 429 whether it says when to ask again, in Desk's words.
async fn ask(broker: &TestBroker, token: &str, body: &serde_json::Value) -> u16 {
    let request = broker.http.post(format!("{}/v2/files/ref.json", broker.base)).bearer_auth(token).body(body.to_string());
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    if status == 429 {
        let seconds: u64 = response.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds));
        assert_eq!(error_fields(&response.json().await.unwrap()), ["limit"]);
    }
    status
}

async fn open_slips_are_limited(db: Db) {
    let broker = Setup::on(Bed::Embedded)
        .database(db)
        .setting("DROPSLIP_ACTOR_OPEN_SLIPS", "3")
        .setting("DROPSLIP_TENANT_OPEN_SLIPS", "5")
        .start()
        .await;
    let request = new_file("a.txt", "text/plain");
    let one = broker.token.clone();
    let first = broker.authorize(&request).await;
    assert_eq!((ask(&broker, &one, &request).await, ask(&broker, &one, &request).await), (201, 201));
    assert_eq!(ask(&broker, &one, &request).await, 429, "the fourth of one actor");

    let two = broker.new_token("default", 2, "files:write").await;
    assert_eq!((ask(&broker, &two, &request).await, ask(&broker, &two, &request).await), (201, 201));
    assert_eq!(ask(&broker, &two, &request).await, 429, "the sixth of the tenant");
    let stranger = broker.new_token("another", 1, "files:write").await;
    assert_eq!(ask(&broker, &stranger, &request).await, 201, "another tenant has its own");

    broker.drop_bytes(&first, b"hello").await;
    assert_eq!(broker.confirm(first.id).await.0, 200, "what is open can always be ended");
    let deadline = Instant::now() + Duration::from_secs(10);
    while ask(&broker, &one, &request).await == 429 {
        assert!(Instant::now() < deadline, "the place of the confirmed file is not given back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_request_that_is_refused_takes_no_place() {
    let limit = ("DROPSLIP_ACTOR_OPEN_SLIPS", "1");
    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_S3_METHOD", "put").setting(limit.0, limit.1).start().await;
    let mut request = new_file("a.txt", "text/plain");
    for _ in 0..4 {
        let (status, body) = broker.call("POST", "/v2/files/ref.json", Some(&request)).await;
        assert_eq!((status.as_u16(), error_fields(&body)), (400, vec!["size".to_owned()]), "a PUT needs the exact size");
    }
    request["size"] = 5.into();
    assert_eq!(broker.call("POST", "/v2/files/ref.json", Some(&request)).await.0, 201);
    assert_eq!(broker.call("POST", "/v2/files/ref.json", Some(&request)).await.0, 429);
}

#[tokio::test]
async fn open_slips_are_limited_on_sqlite() {
    open_slips_are_limited(Db::Sqlite).await;
}

#[tokio::test]
async fn open_slips_are_limited_on_postgres() {
    open_slips_are_limited(Db::Postgres).await;
}

#[tokio::test]
async fn many_requests_at_once_do_not_overrun_a_limit() {
    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_ACTOR_OPEN_SLIPS", "3").start().await;
    let request = new_file("a.txt", "text/plain");
    let answers = futures_util::future::join_all((0..60).map(|_| ask(&broker, &broker.token, &request))).await;
    assert_eq!(answers.iter().filter(|status| **status == 201).count(), 3, "{answers:?}");
}

#[tokio::test]
async fn a_slip_is_not_reissued_without_end() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let slip = broker.text_slip().await;
    let path = format!("/v2/files/{}/ref.json", slip.id);
    for _ in 0..20 {
        assert_eq!(broker.call("POST", &path, None).await.0, 201);
    }
    let (status, body) = broker.call("POST", &path, None).await;
    assert_eq!((status.as_u16(), error_fields(&body)), (429, vec!["limit".to_owned()]));
}

#[tokio::test]
async fn reserved_bytes_are_limited() {
    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_ACTOR_RESERVED_BYTES", "10 KiB").start().await;
    let mut request = new_file("a.txt", "text/plain");
    assert_eq!(ask(&broker, &broker.token, &request).await, 429, "without a size the whole of the type's is reserved");
    request["size"] = json!(6_000);
    assert_eq!(ask(&broker, &broker.token, &request).await, 201);
    request["size"] = json!(4_240);
    assert_eq!(ask(&broker, &broker.token, &request).await, 201);
    request["size"] = json!(1);
    assert_eq!(ask(&broker, &broker.token, &request).await, 429);
}

#[tokio::test]
async fn requests_are_limited_for_each_actor() {
    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_ACTOR_REQUESTS_PER_SECOND", "5").start().await;
    let other = broker.new_token("default", 2, "files:write").await;
    let request = new_file("a.txt", "text/plain");
    let mut answers = Vec::new();
    for _ in 0..40 {
        answers.push(ask(&broker, &broker.token, &request).await);
    }
    assert_eq!(answers[..5], [201; 5], "a burst of one second is let through");
    assert!(answers.contains(&429) && answers.iter().all(|status| [201, 429].contains(status)), "{answers:?}");
    assert_eq!(ask(&broker, &other, &request).await, 201, "another actor has its own");
}

/// Sends `start` and then nothing; how long until the broker ends the connection, and what it said.
fn stalled(broker: &TestBroker, start: &str) -> (Duration, String) {
    let mut stream = TcpStream::connect(broker.base.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
    stream.write_all(start.as_bytes()).unwrap();
    let (since, mut said) = (Instant::now(), Vec::new());
    let _ = stream.read_to_end(&mut said);
    (since.elapsed(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn slow_clients_are_dropped() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let head = format!("POST /v2/files/ref.json HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n", broker.token);
    let (headers, body) = tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            let headers = scope.spawn(|| stalled(&broker, &head));
            let body = scope.spawn(|| stalled(&broker, &format!("{head}content-length: 100\r\nconnection: close\r\n\r\n{{")));
            (headers.join().unwrap(), body.join().unwrap())
        })
    });
    assert!(headers.0 < Duration::from_secs(20), "half a head held a connection for {:?}", headers.0);
    assert!(body.0 < Duration::from_secs(25), "half a body held a connection for {:?}", body.0);
    assert!(body.1.starts_with("HTTP/1.1 408") && body.1.contains(r#"{"errors":{"body":["#), "{}", body.1);
    assert_eq!(broker.text_slip().await.id, 1, "and the broker serves on");
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_their_turn() {
    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_MAX_CONNECTIONS", "2").start().await;
    let asks = (0..24).map(|_| async {
        let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        client.get(format!("{}/healthz", broker.base)).header("connection", "close").send().await.unwrap().status()
    });
    assert!(futures_util::future::join_all(asks).await.into_iter().all(|status| status == 200));
}
