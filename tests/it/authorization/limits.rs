//! Nobody can ask for more than their share, or hold a connection for nothing.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::header::RETRY_AFTER;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Bed, Db, Setup, TestBroker, count, error_fields, execute, new_file};
use crate::upload::multipart::{content, large};

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
    while ask(&broker, &one, &request).await != 201 {
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
    let answers = join_all((0..60).map(|_| ask(&broker, &broker.token, &request))).await;
    let of = |wanted: u16| answers.iter().filter(|status| **status == wanted).count();
    assert_eq!((of(201), of(429)), (3, 57), "{answers:?}");
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

/// A broker where one actor may reserve 10 KiB.
async fn with_ten_kib(db: Db) -> TestBroker {
    Setup::on(Bed::Embedded).database(db).setting("DROPSLIP_ACTOR_RESERVED_BYTES", "10 KiB").start().await
}

fn of_size(size: u64) -> serde_json::Value {
    let mut request = new_file("a.txt", "text/plain");
    request["size"] = json!(size);
    request
}

async fn bytes_are_reserved_until_the_form_dies(db: Db) {
    let broker = with_ten_kib(db).await;
    let (first, second) = (broker.authorize(&of_size(5)).await, broker.authorize(&of_size(6_000)).await);
    broker.drop_bytes(&first, b"hello").await;
    assert_eq!(broker.confirm(first.id).await.0, 200);
    let deleted = broker.request("DELETE", &format!("/v2/files/{}.json", second.id)).send().await.unwrap();
    assert_eq!(deleted.status(), 204);
    assert_eq!(ask(&broker, &broker.token, &of_size(4_236)).await, 429, "both forms can still write: 6005 and 4236 are more than 10240");
    assert_eq!(ask(&broker, &broker.token, &of_size(4_235)).await, 201, "and 4235 are not");
    assert_eq!(ask(&broker, &broker.token, &of_size(1)).await, 429);
    // A day goes by.
    let day = if db == Db::Sqlite { "86400000000" } else { "interval '1 day'" };
    for table in ["reserved_bytes", "reserved_forms"] {
        execute(&broker.database_url, &format!("UPDATE {table} SET ends_at = ends_at - {day}")).await;
    }
    assert_eq!(ask(&broker, &broker.token, &of_size(10_240)).await, 201, "dead forms reserve nothing");
    // What is dead is forgotten, and what lives is not.
    broker.server.broker.sweep(time::OffsetDateTime::now_utc()).await.unwrap();
    assert_eq!(ask(&broker, &broker.token, &of_size(1)).await, 429);
    assert_eq!(count(&broker.database_url, "SELECT COUNT(*) FROM reserved_forms").await, 1);
    assert_eq!(count(&broker.database_url, "SELECT COUNT(*) FROM reserved_bytes").await, 2, "the actor's and its tenant's");
}

#[tokio::test]
async fn bytes_are_reserved_until_the_form_dies_on_sqlite() {
    bytes_are_reserved_until_the_form_dies(Db::Sqlite).await;
}

#[tokio::test]
async fn bytes_are_reserved_until_the_form_dies_on_postgres() {
    bytes_are_reserved_until_the_form_dies(Db::Postgres).await;
}

async fn each_form_of_a_file_reserves_its_bytes(db: Db) {
    let broker = with_ten_kib(db).await;
    let slip = broker.authorize(&of_size(3_000)).await;
    let path = format!("/v2/files/{}/ref.json", slip.id);
    for _ in 0..2 {
        assert_eq!(broker.call("POST", &path, None).await.0, 201);
    }
    let (status, body) = broker.call("POST", &path, None).await;
    assert_eq!((status.as_u16(), error_fields(&body)), (429, vec!["limit".to_owned()]), "12000 bytes could be written");
    assert_eq!(ask(&broker, &broker.token, &of_size(1_240)).await, 201, "the form that was refused reserves nothing");
    // Forms for the same key write one object.
    let other = broker.new_token("default", 2, "files:write").await;
    for _ in 0..5 {
        let request = broker.http.post(format!("{}/v2/files/ref.json", broker.base)).bearer_auth(&other);
        let request = request.header("idempotency-key", "once").body(of_size(6_000).to_string());
        assert_eq!(request.send().await.unwrap().status(), 201);
    }
    assert_eq!(ask(&broker, &other, &of_size(4_241)).await, 429);
    assert_eq!(ask(&broker, &other, &of_size(4_240)).await, 201);
}

#[tokio::test]
async fn each_form_of_a_file_reserves_its_bytes_on_sqlite() {
    each_form_of_a_file_reserves_its_bytes(Db::Sqlite).await;
}

#[tokio::test]
async fn each_form_of_a_file_reserves_its_bytes_on_postgres() {
    each_form_of_a_file_reserves_its_bytes(Db::Postgres).await;
}

#[tokio::test]
async fn an_upload_in_parts_reserves_its_bytes_until_it_ends() {
    let size = 6 * 1024 * 1024;
    let setup = Setup::on(Bed::Embedded).setting("DROPSLIP_ACTOR_RESERVED_BYTES", size.to_string());
    let broker = setup.setting("DROPSLIP_MULTIPART_THRESHOLD", "1").setting("DROPSLIP_PART_SIZE", "5 MiB").start().await;
    let (given_up, _) = broker.start_parts(&large(size)).await;
    assert_eq!(ask(&broker, &broker.token, &of_size(1)).await, 429);
    let deleted = broker.request("DELETE", &format!("/v2/files/{given_up}.json")).send().await.unwrap();
    assert_eq!(deleted.status(), 204);
    // Its URLs died with it. So do those of an upload that was put together.
    let (id, _) = broker.start_parts(&large(size)).await;
    assert_eq!(ask(&broker, &broker.token, &of_size(1)).await, 429);
    broker.put_all(id, &[1, 2], &content(size)).await;
    assert_eq!(broker.confirm(id).await.0, 200);
    assert_eq!(ask(&broker, &broker.token, &of_size(size as u64)).await, 201);
    assert_eq!(ask(&broker, &broker.token, &of_size(1)).await, 429);
}

#[tokio::test]
async fn a_tenant_has_its_own_reserved_bytes() {
    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_TENANT_RESERVED_BYTES", "10 KiB").start().await;
    let tokens = join_all((0..16).map(|user| broker.new_token("default", user + 1, "files:write"))).await;
    let answers = join_all(tokens.iter().cycle().take(64).map(async |token| ask(&broker, token, &of_size(1_000)).await)).await;
    let of = |wanted: u16| answers.iter().filter(|status| **status == wanted).count();
    assert_eq!((of(201), of(429)), (10, 54), "{answers:?}");
    let stranger = broker.new_token("another", 1, "files:write").await;
    assert_eq!(ask(&broker, &stranger, &of_size(10_240)).await, 201, "another tenant has its own");
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

/// A client that sends `start` and then `drop` twice a second, or nothing; how long until the broker ends the connection, and what it said.
async fn slow(broker: &TestBroker, start: &str, drop: &str) -> (Duration, String) {
    let since = Instant::now();
    let (mut read, mut write) = TcpStream::connect(broker.server.address).await.unwrap().into_split();
    write.write_all(start.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    let dripping = async {
        while !drop.is_empty() && write.write_all(drop.as_bytes()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        // A reset is an end too.
        _ = read.read_to_end(&mut said) => {}
        () = dripping => {}
        () = tokio::time::sleep(Duration::from_secs(40)) => panic!("{start:?} and {drop:?} hold a connection"),
    }
    (since.elapsed(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn slow_clients_are_dropped() {
    const OF_EACH_KIND: usize = 15;
    let broker = TestBroker::on(Bed::Embedded).await;
    let head = format!("POST /v2/files/ref.json HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n", broker.token);
    let body = format!("{head}content-length: 100\r\nconnection: close\r\n\r\n{{");
    let chunks = format!("{head}transfer-encoding: chunked\r\nconnection: close\r\n\r\n1\r\n{{\r\n");
    // Half a head, or half a body; and nothing more, or a little again and again.
    let heads = [("", ""), (&head, ""), (&head, "x: y\r\n")];
    let bodies = [(&body, ""), (&body, " "), (&chunks, "1\r\n \r\n")];
    let many = |kind: (&str, &str)| {
        let (broker, start, drop) = (&broker, kind.0.to_owned(), kind.1.to_owned());
        join_all((0..OF_EACH_KIND).map(move |_| {
            let (start, drop) = (start.clone(), drop.clone());
            async move { slow(broker, &start, &drop).await }
        }))
    };
    let polite = async {
        // Whoever asks at once is answered among them all, the whole time.
        let until = Instant::now() + Duration::from_secs(8);
        let mut answered = 0;
        while Instant::now() < until {
            let asked = Instant::now();
            broker.text_slip().await;
            assert!(asked.elapsed() < Duration::from_secs(5), "a polite client waits for {:?}", asked.elapsed());
            answered += 1;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        answered
    };
    let (heads, bodies, answered) = tokio::join!(
        join_all(heads.map(|(start, drop)| many((start, drop)))),
        join_all(bodies.map(|(start, drop)| many((start, drop)))),
        polite
    );
    assert_eq!((heads.iter().flatten().count(), bodies.iter().flatten().count()), (3 * OF_EACH_KIND, 3 * OF_EACH_KIND));
    for (took, said) in heads.into_iter().flatten() {
        assert!(took < Duration::from_secs(20), "half a head held a connection for {took:?}");
        assert!(!said.contains(" 200 ") && !said.contains(" 201 "), "{said}");
    }
    for (took, said) in bodies.into_iter().flatten() {
        assert!(took < Duration::from_secs(25), "half a body held a connection for {took:?}");
        assert!(said.starts_with("HTTP/1.1 408") && said.contains(r#"{"errors":{"body":["#), "{said}");
    }
    assert!(answered > 5, "a polite client was answered {answered} times only");
    assert_eq!(broker.text_slip().await.id, answered + 1, "no slow client got a slip");
}
