//! SIGHUP: what can be read again is, while requests go on; a broken file changes nothing. And SIGTERM with a delay for balancers.

#![expect(clippy::float_cmp, reason = "counts are whole numbers, which an f64 holds as they are")]

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::faults::away::assert_away;
use crate::faults::world::{Program, World, granted};
use crate::harness::{Db, from_servers};
use crate::operation::metrics::Scrape;
use crate::process::{run, text};

const PATIENCE: Duration = Duration::from_secs(20);

/// A world whose settings stand in a file beside those it has anyway.
pub async fn with_file(text: &str) -> World {
    let mut world = World::new(Db::Sqlite).await;
    let path = world.folder.path().join("dropslip.toml");
    fs::write(&path, text).unwrap();
    world.set("DROPSLIP_CONFIG", path.to_str().unwrap());
    world.set("DROPSLIP_ADMIN_LISTEN", "127.0.0.1:0");
    world
}

/// A hangup, and what the log says of it.
pub async fn reloaded(program: &Program, said: &str) {
    let before = program.log().matches(said).count();
    program.signal("-HUP");
    let deadline = Instant::now() + PATIENCE;
    while program.log().matches(said).count() == before {
        assert!(Instant::now() < deadline, "‘{said}’ is not in {}", program.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn policy(world: &World, name: &str) -> String {
    let text = fs::read_to_string(world.folder.path().join("policies/kept.toml")).unwrap();
    text.replace("\"kept\"", &format!("\"{name}\""))
}

async fn told(world: &World, program: &Program, path: &str) -> String {
    let answer = world.ask(program, "GET", path, None, &Value::Null).await.unwrap();
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.body.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn file_types_are_replaced_while_no_request_fails() {
    let world = with_file("").await;
    let program = world.start(None).await;
    let (stop, started) = (AtomicBool::new(false), world.slip(&program, "kept").await);
    assert_eq!(world.authorize(&program, "new", None).await.unwrap().status, 400);
    world.drop_bytes(&started, b"begun under the old rules").await;
    // Some ask on and on, and each answer is a slip.
    let asking = future::join_all((0..8).map(|_| async {
        let mut slips = 0;
        while !stop.load(Ordering::Relaxed) {
            granted(world.authorize(&program, "kept", None).await);
            slips += 1;
        }
        slips
    }));
    let reloading = async {
        for round in 0..20 {
            fs::write(world.folder.path().join("policies/new.toml"), policy(&world, &format!("new-{round}"))).unwrap();
            reloaded(&program, &format!("new-{round}")).await;
        }
        fs::write(world.folder.path().join("policies/new.toml"), policy(&world, "new")).unwrap();
        reloaded(&program, "kept, lost, new").await;
        stop.store(true, Ordering::Relaxed);
    };
    let (slips, ()) = future::join(asking, reloading).await;
    assert!(slips.iter().all(|slips| *slips > 0), "{slips:?}");
    granted(world.authorize(&program, "new", None).await);
    assert_eq!(world.authorize(&program, "new-3", None).await.unwrap().status, 400, "an older rule is gone");
    for path in ["/v2/file-types.json", "/openapi.json"] {
        let said = told(&world, &program, path).await;
        assert!(said.contains("\"new\"") && !said.contains("new-"), "{path} tells {said}");
    }
    assert_eq!(world.confirm(&program, started.id).await.unwrap().status, 200, "what was granted stays granted");
    let scrape = Scrape::of(&program.admin().await).await;
    assert_eq!(["done", "failed"].map(|outcome| scrape.sum("dropslip_reloads_total", Some(("outcome", outcome)))), [21.0, 0.0]);
    assert_eq!(
        (scrape.files_of("new", "issued"), scrape.files_of("new-3", "issued"), scrape.files_of("kept", "confirmed")),
        (1.0, 0.0, 1.0)
    );
}

/// What anybody needs to see of an image of that size.
fn png(width: u32, height: u32) -> Vec<u8> {
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    [&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], &size, &[8, 6, 0, 0, 0, 0, 0, 0, 0]].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn slips_stay_good_when_their_file_type_is_taken_away() {
    let world = World::new(Db::Sqlite).await;
    let policies = world.folder.path().join("policies");
    let picture = policy(&world, "picture").replace("relabel", "reject").replace("text/plain", "image/png").replace("\"txt\"", "\"png\"");
    fs::write(policies.join("picture.toml"), picture).unwrap();
    let program = world.start(None).await;
    let (whole, other) = (policies.clone(), world.folder.path().join("aside"));
    let body = json!({"type": "picture", "filename": "a.png", "mimeType": "image/png"});
    let picture = async |bytes: &[u8]| {
        let slip = granted(world.ask(&program, "POST", "/v2/files/ref.json", None, &body).await);
        world.drop_bytes(&slip, bytes).await;
        slip.id
    };
    let (small, huge) = (picture(&png(1, 1)).await, picture(&png(10_000, 6_000)).await);
    // Their bytes are not what was granted: the rule of one takes that, and the rule of the other does not.
    let relabeled = world.slip(&program, "kept").await;
    world.drop_bytes(&relabeled, b"%PDF-1.7\nand what follows").await;
    let wrong = picture(b"%PDF-1.7\nand what follows").await;
    // Nobody comes back for these.
    let (left, _) = world.uploaded(&program, "kept").await;
    fs::create_dir(&other).unwrap();
    for name in ["kept.toml", "picture.toml"] {
        fs::rename(whole.join(name), other.join(name)).unwrap();
    }
    reloaded(&program, "brief-lost, lost").await;

    assert_eq!(world.confirm(&program, small).await.unwrap().status, 200, "it is what was granted");
    for id in [huge, relabeled.id, wrong] {
        for _ in 0..2 {
            assert_away(&world.confirm(&program, id).await.unwrap(), PATIENCE, "another rule might take it");
        }
    }
    let now = time::OffsetDateTime::now_utc();
    let swept = world.broker().await.sweep(now + time::Duration::hours(24)).await.unwrap();
    assert_eq!((swept.activated, swept.discarded), (0, 0), "nobody can say what is to become of them: {swept:?}");
    for name in ["kept.toml", "picture.toml"] {
        fs::rename(other.join(name), whole.join(name)).unwrap();
    }
    reloaded(&program, "brief-lost, kept, lost, picture").await;
    assert_eq!(world.confirm(&program, relabeled.id).await.unwrap().status, 200);
    assert_eq!(world.confirm(&program, wrong).await.unwrap().status, 422, "now its rule speaks");
    let swept = world.broker().await.sweep(now + time::Duration::hours(24)).await.unwrap();
    assert_eq!((swept.activated, swept.discarded), (2, 1), "{swept:?}");
    for id in [small, huge, left.id] {
        assert!(told(&world, &program, &format!("/v2/files/{id}.json")).await.contains("\"active\""));
    }

    // Who takes a type away for good has its slips forgotten in the end.
    let lost = picture(&png(1, 1)).await;
    fs::remove_file(whole.join("picture.toml")).unwrap();
    let swept = world.broker().await.sweep(now + time::Duration::hours(26)).await.unwrap();
    assert_eq!(swept.discarded, 1, "{swept:?}");
    let gone = world.ask(&program, "GET", &format!("/v2/files/{lost}.json"), None, &Value::Null).await.unwrap();
    assert_eq!(gone.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_changes_nothing_and_the_log_says_why() {
    let world = with_file("log = \"info\"\n").await;
    let program = world.start(None).await;
    let path = world.folder.path().join("policies/broken.toml");
    fs::write(&path, "name = \"broken\"\nmax_sise = 1\n").unwrap();
    reloaded(&program, "not reloaded: the old one stays in force").await;
    let log = program.log();
    assert!(log.contains("broken.toml") && log.contains("max_sise"), "{log}");
    granted(world.authorize(&program, "kept", None).await);
    fs::remove_file(&path).unwrap();

    let config = world.folder.path().join("dropslip.toml");
    fs::write(&config, "log = \"info\"\nno_such_setting = 1\n").unwrap();
    reloaded(&program, "nothing was reloaded").await;
    assert!(program.log().contains("no_such_setting: no such setting"), "{}", program.log());
    granted(world.authorize(&program, "kept", None).await);
    let scrape = Scrape::of(&program.admin().await).await;
    assert_eq!(scrape.sum("dropslip_reloads_total", Some(("outcome", "failed"))), 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_lack_the_file_type_of_a_dialect_stay_out_of_force() {
    let mut world = with_file("").await;
    world.set("DROPSLIP_DIALECTS", "desk,kayako");
    world.set("DROPSLIP_KAYAKO_FILE_TYPE", "lost");
    let program = world.start(None).await;
    let path = world.folder.path().join("policies/lost.toml");
    let lost = fs::read_to_string(&path).unwrap();
    fs::remove_file(&path).unwrap();
    reloaded(&program, "not reloaded: the old one stays in force").await;
    assert!(program.log().contains("DROPSLIP_KAYAKO_FILE_TYPE: there is no file type ‘lost’"), "{}", program.log());
    granted(world.authorize(&program, "lost", None).await);
    fs::write(&path, lost).unwrap();
    fs::write(world.folder.path().join("policies/new.toml"), policy(&world, "new")).unwrap();
    reloaded(&program, "kept, lost, new").await;
    granted(world.authorize(&program, "new", None).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_filter_is_replaced_and_what_needs_a_restart_is_named() {
    let world = with_file("log = \"info\"\n").await;
    let program = world.start(None).await;
    granted(world.authorize(&program, "kept", None).await);
    assert!(!program.log().contains("slip issued"), "{}", program.log());
    fs::write(world.folder.path().join("dropslip.toml"), "log = \"dropslip=debug\"\nmax_connections = 7\n").unwrap();
    reloaded(&program, "these settings changed and need a restart").await;
    let named =
        program.log().lines().filter(|line| line.contains("need a restart")).all(|line| line.contains("\"DROPSLIP_MAX_CONNECTIONS\""));
    assert!(named, "{}", program.log());
    granted(world.authorize(&program, "kept", None).await);
    let deadline = Instant::now() + PATIENCE;
    while !program.log().contains("slip issued") {
        assert!(Instant::now() < deadline, "{}", program.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn balancers_are_told_before_requests_are_turned_away() {
    let mut world = World::new(Db::Sqlite).await;
    world.set("DROPSLIP_DRAIN_DELAY", "5m");
    let mut program = world.start(None).await;
    world.assert_ready(&program, "at first").await;
    program.signal("-TERM");
    let deadline = Instant::now() + PATIENCE;
    while world.readiness(&program).await != (503, "the broker is stopping\n".to_owned()) {
        assert!(Instant::now() < deadline, "{}", program.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Whom the balancer still sends here is served.
    let (slip, _) = world.uploaded(&program, "kept").await;
    assert_eq!(world.confirm(&program, slip.id).await.unwrap().status, 200);
    program.signal("-TERM");
    assert_eq!(program.end().await.code(), Some(0), "who asks twice does not wait: {}", program.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_do_not_begin_the_delay_of_a_stop_anew() {
    let mut world = World::new(Db::Sqlite).await;
    world.set("DROPSLIP_DRAIN_DELAY", "2s");
    let mut program = world.start(None).await;
    program.signal("-TERM");
    // More often than the delay is long, until it has ended; `end` has its own bound.
    let pid = program.pid();
    let hangups = async {
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let _ = Command::new("kill").args(["-HUP", &pid]).stderr(Stdio::null()).status().unwrap();
        }
    };
    let ended = tokio::select! {
        status = program.end() => status,
        () = hangups => unreachable!("it has no end"),
    };
    assert_eq!(ended.code(), Some(0), "{}", program.log());
    assert!(program.log().contains("stopping soon"), "{}", program.log());
}

/// Answers one request with keys and no other.
async fn issuer_of_one_answer() -> (SocketAddr, mpsc::UnboundedReceiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, unanswered) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        // RFC 8037, appendix A.2.
        let keys = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        let mut first = listener.accept().await.unwrap().0;
        let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", keys.len());
        first.write_all((head + keys).as_bytes()).await.unwrap();
        first.shutdown().await.unwrap();
        let _ = first.read_to_end(&mut Vec::new()).await;
        while sender.send(listener.accept().await.unwrap().0).is_ok() {}
    });
    (address, unanswered)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_reload() {
    let (address, mut unanswered) = issuer_of_one_answer().await;
    let mut world = World::new(Db::Sqlite).await;
    world.set("DROPSLIP_JWT_JWKS", &format!("http://{address}/keys"));
    world.set("DROPSLIP_JWT_ISSUER", "https://id.example.com/");
    world.set("DROPSLIP_JWT_AUDIENCE", "dropslip");
    let mut program = world.start(None).await;
    program.signal("-HUP");
    let waiting = tokio::time::timeout(PATIENCE, unanswered.recv()).await.expect("the reload asks for keys").unwrap();
    program.signal("-TERM");
    assert_eq!(program.end().await.code(), Some(0), "{}", program.log());
    // Nobody answered, and the reload had not given up by itself.
    drop(waiting);
    let log = program.log();
    assert!(log.contains("stopping: no new requests") && !log.contains("reloaded"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_log_line_is_json_with_its_request_and_without_secrets() {
    let mut world = World::new(Db::Sqlite).await;
    world.set("DROPSLIP_LOG", "dropslip=debug");
    let program = world.start(None).await;
    let (slip, _) = world.uploaded(&program, "kept").await;
    assert_eq!(world.confirm(&program, slip.id).await.unwrap().status, 200);
    let http = reqwest::Client::new();
    let ask = async |id: &str| {
        let answer = http
            .get(format!("{}/v2/files/999.json", program.base))
            .header("x-request-id", id)
            .bearer_auth(world.token())
            .send()
            .await
            .unwrap();
        answer.headers()["x-request-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(ask("018f3c2e-7b1a-7c3d").await, "018f3c2e-7b1a-7c3d");
    let hostile = ["{\"level\":\"ERROR\"}", "a b", &"x".repeat(5000)];
    for id in hostile {
        let answered = ask(id).await;
        assert!(answered.len() == 16 && answered.bytes().all(|b| b.is_ascii_hexdigit()), "‘{id}’ is answered with {answered}");
    }
    let deadline = Instant::now() + PATIENCE;
    while program.log().matches("NotFound").count() < 4 {
        assert!(Instant::now() < deadline, "{}", program.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let log = program.log();
    let of_requests = ["request refused", "slip issued", "file sealed"];
    assert!(of_requests.iter().all(|said| log.contains(said)), "{log}");
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let said = line["message"].as_str().unwrap_or_else(|| panic!("no message in {line}"));
        if of_requests.contains(&said) {
            let id = line["span"]["request.id"].as_str().unwrap_or_else(|| panic!("no request in {line}"));
            assert!(!id.is_empty() && id.len() <= 128, "{line}");
            assert!(line["span"]["path"].as_str().unwrap().starts_with("/v2/files/"), "{line}");
        }
    }
    assert!(log.contains("018f3c2e-7b1a-7c3d"), "{log}");
    let secret = from_servers("AWS_SECRET_ACCESS_KEY");
    for secret in [world.token(), &secret, slip.param("x-amz-signature"), slip.param("policy"), "{\\\"level", "xxxxx"] {
        assert!(!log.contains(secret), "‘{secret}’ is logged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_reloads_where_there_is_no_shell() {
    let world = with_file("log = \"info\"\n").await;
    let program = world.start(None).await;
    let reload = |pid: &str| {
        let output = run(world.folder.path(), &[], &["reload", "--pid", pid]);
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let (code, said) = reload(&program.pid());
    assert_eq!((code, said.contains(&program.pid())), (Some(0), true), "{said}");
    let deadline = Instant::now() + PATIENCE;
    while !program.log().contains("reloaded") {
        assert!(Instant::now() < deadline, "{}", program.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Another program would end.
    let mut other = Command::new("sleep").arg("60").spawn().unwrap();
    let (code, said) = reload(&other.id().to_string());
    assert!(code == Some(1) && said.contains("sleep") && said.contains("--pid"), "{said}");
    assert_eq!(other.try_wait().unwrap(), None, "it goes on");
    other.kill().unwrap();
    other.wait().unwrap();
    for nobody in ["0", "-1", "999999999"] {
        assert_ne!(reload(nobody).0, Some(0), "{nobody}");
    }
}
