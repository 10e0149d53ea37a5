//! Many confirmations of one actor while the store stalls: they end, they are bounded, and nobody else waits for them.

use std::fs;
use std::time::{Duration, Instant};

use dropslip::domain::{Actor, ActorKind, Caller, Scopes, TypeLimit};
use dropslip::tokens::Tokens;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::proxy::{Break, Proxy};
use super::world::{Program, Through, World, unique_bytes};
use crate::harness::{Db, answer, from_servers, slip};

const FILES: usize = 100;

const ASKED: usize = 500;

/// What one actor may have asked for at the same time.
const ASKED_AT_ONCE: usize = 256;

/// How many it asks for after those.
const FURTHER: usize = 300;

/// Confirmations of one actor that are under way at the same time, at most.
const SHARE: usize = 64;

const DEADLINE: Duration = Duration::from_mins(1);

/// This process is all the clients, and the proxy: with the usual soft limit of 1024 it would run out of handles itself.
fn may_be_a_crowd() {
    let most = dropslip::handles::raise();
    assert!(most.is_none_or(|most| most >= 4096), "{most:?} handles are too few for this test: raise the hard limit (ulimit -Hn)");
}

fn handles(program: &Program) -> usize {
    fs::read_dir(format!("/proc/{}/fd", program.pid())).unwrap().count()
}

/// A confirmation that was asked for on a connection of its own.
async fn asked(world: &World, program: &Program, id: i64) -> TcpStream {
    let address = program.base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        format!("PATCH /v2/files/{id}.json HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 0\r\n\r\n", world.token());
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Asks as somebody of another tenant.
async fn other(program: &Program, token: &str, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let client = reqwest::Client::new();
    let (status, body) = answer(client.request(method, format!("{}{path}", program.base)).bearer_auth(token).json(body)).await;
    (status.as_u16(), body)
}

#[tokio::test(flavor = "multi_thread")]
async fn confirmations_that_are_hung_up_on_while_the_store_stalls_are_bounded_and_are_nobody_elses_matter() {
    may_be_a_crowd();
    let proxy = Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await;
    let world = World::through(Db::Sqlite, Through { s3: Some(proxy.address), database: None }).await;
    let program = world.start(None).await;
    let scopes: Scopes = "files:read,files:write".parse().unwrap();
    let stranger = Caller {
        actor: Actor { id: 1, kind: ActorKind::Users },
        tenant: "other".parse().unwrap(),
        scopes,
        types: TypeLimit::default(),
        dialect: None,
    };
    let (_, token) = Tokens::new(world.database.clone(), None).create(&stranger, OffsetDateTime::now_utc()).await.unwrap();
    let token = token.reveal();
    let mut files = Vec::new();
    for _ in 0..FILES / 10 {
        files.extend(join_all((0..10).map(|_| world.uploaded(&program, "kept"))).await.into_iter().map(|(slip, _)| slip.id));
    }
    let before = handles(&program);

    proxy.breaks("", Break::Stall);
    let connections = join_all((0..ASKED).map(|number| asked(&world, &program, files[number % FILES]))).await;
    // All that may be under way are at the store, each with two requests.
    let deadline = Instant::now() + DEADLINE;
    while proxy.hits() < 2 * SHARE {
        assert!(Instant::now() < deadline, "they do not come to the store");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(connections);
    // More than one actor may have asked for; those that are begun end one by one, so the others may be let in or not.
    let mut further = Box::pin(join_all((0..FURTHER).map(|number| world.confirm(&program, files[number % FILES]))));
    let (mut most, mut answers) = (0, None);
    while answers.is_none() {
        most = most.max(handles(&program));
        tokio::select! {
            all = &mut further => answers = Some(all),
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
    }
    let (refused, others): (Vec<_>, Vec<_>) = answers.unwrap().into_iter().map(Result::unwrap).partition(|answer| answer.status == 429);
    assert!(refused.len() >= FURTHER - ASKED_AT_ONCE, "{} were refused", refused.len());
    for refused in refused {
        assert!(refused.retry_after.as_ref().unwrap().parse::<u64>().unwrap() > 0, "{refused:?}");
        assert!(refused.body["errors"]["limit"].is_array(), "{refused:?}");
    }
    assert!(others.iter().all(|answer| answer.status == 503), "{others:?}");
    assert!(most < before + ASKED + FURTHER + 2 * SHARE + 50, "{most} handles, and {before} before");
    let deadline = Instant::now() + DEADLINE;
    while handles(&program) >= before + 2 * SHARE + 50 {
        assert!(Instant::now() < deadline, "{} handles after they hung up, and {before} before", handles(&program));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    // Signing needs no store, and a place to confirm is there as soon as it is back.
    let wish = json!({"type": "kept", "filename": "a.txt", "mimeType": "text/plain"});
    let (status, body) = other(&program, token, Method::POST, "/v2/files/ref.json", &wish).await;
    assert_eq!(status, 201, "{body}");
    let theirs = slip(body);
    world.drop_bytes(&theirs, &unique_bytes()).await;
    proxy.heals();
    let (status, body) = other(&program, token, Method::PATCH, &format!("/v2/files/{}.json", theirs.id), &json!({})).await;
    assert_eq!(status, 200, "{body}");

    // What hangs ends by itself, and then there is room for its own again.
    let deadline = Instant::now() + DEADLINE;
    for id in [files[0], files[FILES - 1]] {
        loop {
            let again = world.confirm(&program, id).await.unwrap();
            if again.status == 200 {
                break;
            }
            assert!([429, 503].contains(&again.status.as_u16()) && Instant::now() < deadline, "{again:?}");
        }
    }
}

/// Whoever wants to send a file in parts has the store begin an upload, whatever is under way there.
#[tokio::test(flavor = "multi_thread")]
async fn requests_to_a_store_that_stalls_are_bounded_and_go_on_when_it_is_back() {
    const REQUESTS: usize = 256;
    may_be_a_crowd();
    let proxy = Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await;
    let world = World::through(Db::Sqlite, Through { s3: Some(proxy.address), database: None }).await;
    let program = world.start(None).await;
    world.assert_ready(&program, "before").await;
    let before = handles(&program);
    proxy.breaks("", Break::Stall);
    let (world, program) = (&world, &program);
    let asking = join_all((0..REQUESTS * 3).map(|number| async move {
        let key = format!("file {number}");
        world.ask_for_parts(program, 1 << 20, &key).await.unwrap().status
    }));
    let (mut asking, mut most, mut answers) = (Box::pin(asking), 0, None);
    while answers.is_none() {
        most = most.max(handles(program));
        tokio::select! {
            all = &mut asking => answers = Some(all),
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
    }
    assert!(answers.unwrap().iter().all(|status| *status == 503));
    assert!(proxy.hits() > 0, "nobody asked the store");
    // One for each client, and one for each request; connections of requests that ended may take a moment to close. Without the bound
    // there would be one for each request of each client.
    assert!(most < before + 5 * REQUESTS, "{most} handles, and {before} before");
    proxy.heals();
    world.assert_ready(program, "after").await;
}
