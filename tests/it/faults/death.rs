//! `kill -9` at every step of every use case: the client comes back and does what clients do, and the audit holds.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Output};
use std::time::{Duration, Instant};

use dropslip::database::AuditFilter;
use dropslip::domain::Action;
use dropslip::failpoint;
use dropslip::webhooks::{self, Sent, Webhooks};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::all;
use super::parts::{dies_in_parts, dies_while_giving_up};
use super::receiving::{dies_while_ending, dies_while_receiving};
use super::unsigned::{dies_while_releasing, dies_while_unsigned};
use super::world::{Answer, Program, World, granted, unique_bytes};
use crate::harness::{Db, Slip};
use crate::receiver::Receiver;

/// How many of them run at the same time.
const AT_ONCE: usize = 4;

async fn dies_at_every_point(db: Db) {
    let mut cases = Vec::new();
    for point in failpoint::ALL {
        cases.push(dies(db, point, Asked::Plainly));
        if point.starts_with("confirm:") || point.starts_with("refusal:") {
            cases.push(dies(db, point, Asked::BySweeper));
        }
        if point.starts_with("confirm:") {
            cases.push(dies(db, point, Asked::ByTicket));
        }
        if point.starts_with("receive:") && point != "receive: doomed" {
            cases.push(dies(db, point, Asked::Unsigned));
        }
    }
    all(cases, AT_ONCE).await;
}

/// Who makes the program confirm.
#[derive(Clone, Copy)]
enum Asked {
    Plainly,
    BySweeper,
    ByTicket,
    /// Somebody whose credentials come behind the bytes.
    Unsigned,
}

async fn dies(db: Db, point: &'static str, asked: Asked) {
    match (point.split_once(": ").unwrap().0, asked) {
        ("confirm" | "refusal", Asked::BySweeper) => return dies_while_the_sweeper_confirms(db, point).await,
        ("confirm", Asked::ByTicket) => return dies_while_attaching(db, point).await,
        ("receive", Asked::Unsigned) => return dies_while_unsigned(db, point).await,
        _ => {}
    }
    match point.split_once(": ").unwrap().0 {
        "authorize" => dies_while_authorizing(db, point).await,
        "replay" => dies_while_replaying(db, point).await,
        "reissue" => dies_while_reissuing(db, point).await,
        "parts" => dies_in_parts(db, point).await,
        "abort" => dies_while_giving_up(db, point).await,
        "confirm" => dies_while_confirming(db, point).await,
        "refusal" => dies_while_refusing(db, point).await,
        "receive" => dies_while_receiving(db, point).await,
        "unsigned" => dies_while_unsigned(db, point).await,
        "end" => dies_while_ending(db, point).await,
        "rename" => dies_while_renaming(db, point).await,
        "attach" => dies_while_attaching(db, point).await,
        "release" => dies_while_releasing(db, point).await,
        "delete" | "restore" => dies_while_deleting_or_restoring(db, point).await,
        "purge" => dies_while_purging(db, point).await,
        "sweep" => dies_while_sweeping(db, point).await,
        "event" => dies_while_telling(db, point).await,
        other => panic!("no scenario reaches {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn death_at_any_step_loses_nothing_on_sqlite() {
    dies_at_every_point(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn death_at_any_step_loses_nothing_on_postgres() {
    dies_at_every_point(Db::Postgres).await;
}

impl World {
    /// Runs another command to its end.
    pub async fn run(&self, dies_at: Option<&str>, arguments: &[&str]) -> Output {
        let mut command = self.command(dies_at, arguments);
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
    }
}

/// Whether it was killed, not ended.
pub fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(9)
}

/// A world with other people's files in it.
pub async fn populated(db: Db) -> World {
    let mut world = World::new(db).await;
    let program = world.start(None).await;
    world.bystanders(&program).await;
    world
}

/// The end of the program was the point's doing, and the client got no answer.
pub async fn assert_dead(mut program: Program, answer: Result<Answer, String>, point: &str) {
    assert!(answer.is_err(), "{point} was never reached: {answer:?}");
    let status = program.end().await;
    assert!(was_killed(status), "{point}: {status:?} {}", program.log());
}

/// Steps 2 and 3 with the slip that the client has now.
async fn finish(world: &mut World, program: &Program, slip: &Slip) {
    let bytes = unique_bytes();
    world.drop_bytes(slip, &bytes).await;
    confirm(world, program, slip.id, &bytes).await;
}

pub async fn confirm(world: &mut World, program: &Program, id: i64, bytes: &[u8]) {
    let answer = world.confirm(program, id).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body["file"]["size"]), (200, &bytes.len().into()), "{answer:?}");
    world.must_keep(id, bytes);
}

async fn dies_while_authorizing(db: Db, point: &str) {
    let mut world = populated(db).await;
    let dying = world.start(Some(point)).await;
    let answer = world.authorize(&dying, "kept", Some("once")).await;
    assert_dead(dying, answer, point).await;

    let program = world.start(None).await;
    let slip = granted(world.authorize(&program, "kept", Some("once")).await);
    assert_eq!(granted(world.authorize(&program, "kept", Some("once")).await).id, slip.id, "{point}: one key, one file");
    finish(&mut world, &program, &slip).await;
    world.sweep_and_audit(point).await;
}

async fn dies_while_replaying(db: Db, point: &str) {
    let mut world = populated(db).await;
    let program = world.start(None).await;
    let first = granted(world.authorize(&program, "kept", Some("once")).await);
    drop(program);
    let dying = world.start(Some(point)).await;
    let answer = world.authorize(&dying, "kept", Some("once")).await;
    assert_dead(dying, answer, point).await;

    let program = world.start(None).await;
    let slip = granted(world.authorize(&program, "kept", Some("once")).await);
    assert_eq!((slip.id, slip.param("key")), (first.id, first.param("key")), "{point}");
    // The client may have lost every answer but the first.
    finish(&mut world, &program, &first).await;
    world.sweep_and_audit(point).await;
}

async fn dies_while_reissuing(db: Db, point: &str) {
    let mut world = populated(db).await;
    let program = world.start(None).await;
    let (old, _) = world.uploaded(&program, "kept").await;
    drop(program);
    let dying = world.start(Some(point)).await;
    let answer = world.reissue(&dying, old.id).await;
    assert_dead(dying, answer, point).await;

    let program = world.start(None).await;
    let slip = granted(world.reissue(&program, old.id).await);
    assert_eq!(slip.id, old.id);
    world.drop_bytes(&old, b"what the old form writes is not the file").await;
    finish(&mut world, &program, &slip).await;
    world.sweep_and_audit(point).await;
}

async fn dies_while_confirming(db: Db, point: &str) {
    let mut world = populated(db).await;
    let program = world.start(None).await;
    let (slip, bytes) = world.uploaded(&program, "kept").await;
    drop(program);
    let dying = world.start(Some(point)).await;
    let answer = world.confirm(&dying, slip.id).await;
    assert_dead(dying, answer, point).await;

    let program = world.start(None).await;
    confirm(&mut world, &program, slip.id, &bytes).await;
    world.drop_bytes(&slip, b"a form that is used again changes nothing").await;
    world.sweep_and_audit(point).await;
}

async fn dies_while_refusing(db: Db, point: &str) {
    let mut world = populated(db).await;
    let program = world.start(None).await;
    let slip = world.slip(&program, "kept").await;
    world.smuggle(&slip, b"").await;
    drop(program);
    let dying = world.start(Some(point)).await;
    let answer = world.confirm(&dying, slip.id).await;
    assert_dead(dying, answer, point).await;

    let program = world.start(None).await;
    let again = world.confirm(&program, slip.id).await.unwrap();
    let expected = if point == "refusal: object deleted" { 409 } else { 422 };
    assert_eq!(again.status.as_u16(), expected, "{point}: {again:?}");
    finish(&mut world, &program, &slip).await;
    world.sweep_and_audit(point).await;
}

async fn dies_while_renaming(db: Db, point: &str) {
    let mut world = populated(db).await;
    let program = world.start(None).await;
    let (slip, bytes) = world.uploaded(&program, "kept").await;
    confirm(&mut world, &program, slip.id, &bytes).await;
    drop(program);
    let (path, name) = (format!("/v2/files/{}.json", slip.id), json!({"filename": "another name.txt"}));
    let dying = world.start(Some(point)).await;
    let answer = world.ask(&dying, "PATCH", &path, None, &name).await;
    assert_dead(dying, answer, point).await;

    let program = world.start(None).await;
    let there = world.ask(&program, "GET", &path, None, &Value::Null).await.unwrap().body;
    assert_eq!(there["file"]["filename"], "another name.txt", "{point}");
    assert_eq!(world.ask(&program, "PATCH", &path, None, &name).await.unwrap().body, there, "{point}: asking again changes nothing");
    world.sweep_and_audit(point).await;
}

/// Three files are put on a ticket at once: one is active, two have arrived and nobody confirmed them.
async fn dies_while_attaching(db: Db, point: &str) {
    let mut world = populated(db).await;
    let program = world.start(None).await;
    let mut files = Vec::new();
    for confirmed in [true, false, false] {
        let (slip, bytes) = world.uploaded(&program, "kept").await;
        if confirmed {
            confirm(&mut world, &program, slip.id, &bytes).await;
        } else {
            world.must_keep(slip.id, &bytes);
        }
        files.push(slip.id);
    }
    drop(program);
    let (path, wanted) = ("/v2/tickets/7/files.json", json!({ "ids": files }));
    let dying = world.start(Some(point)).await;
    let answer = world.ask(&dying, "PUT", path, None, &wanted).await;
    assert_dead(dying, answer, point).await;

    let program = world.start(None).await;
    let on_ticket = world.on_ticket(&program, path).await;
    files.sort_unstable();
    let expected = if point == "attach: recorded" { files.clone() } else { Vec::new() };
    assert_eq!(on_ticket, expected, "{point}: all of them or none");
    assert_eq!(world.lines_of(Action::Attached, &files).await, expected.len(), "{point}: a line for each that is on it");
    for again in [1, 2] {
        let answer = world.ask(&program, "PUT", path, None, &wanted).await.unwrap();
        assert_eq!(answer.status, 200, "{point}, time {again}: {answer:?}");
        assert_eq!(world.on_ticket(&program, path).await, files, "{point}, time {again}");
        for action in [Action::Attached, Action::Activated] {
            assert_eq!(world.lines_of(action, &files).await, files.len(), "{point}, time {again}: one line {action:?} for each");
        }
    }
    world.sweep_and_audit(point).await;
    assert_eq!(world.on_ticket(&program, path).await, files, "{point}");
}

impl World {
    /// The numbers of a ticket's files, in order.
    async fn on_ticket(&self, program: &Program, path: &str) -> Vec<i64> {
        let answer = self.ask(program, "GET", path, None, &Value::Null).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let mut files: Vec<_> = answer.body["files"].as_array().unwrap().iter().map(|file| file["id"].as_i64().unwrap()).collect();
        files.sort_unstable();
        files
    }

    /// How often the audit log says that this was done to one of these files.
    async fn lines_of(&self, action: Action, files: &[i64]) -> usize {
        let filter = AuditFilter { action: Some(action), ..AuditFilter::default() };
        let lines = self.database.audit_log(&filter, 1000).await.unwrap();
        lines.iter().filter(|line| line.file.is_some_and(|file| files.contains(&file.0))).count()
    }
}

async fn dies_while_deleting_or_restoring(db: Db, point: &str) {
    let mut world = populated(db).await;
    let program = world.start(None).await;
    let (slip, bytes) = world.uploaded(&program, "kept").await;
    confirm(&mut world, &program, slip.id, &bytes).await;
    let restoring = point.starts_with("restore");
    if restoring {
        assert_eq!(world.delete(&program, slip.id).await.unwrap().status, 204);
    }
    drop(program);
    let dying = world.start(Some(point)).await;
    let answer = if restoring { world.restore(&dying, slip.id).await } else { world.delete(&dying, slip.id).await };
    assert_dead(dying, answer, point).await;

    let program = world.start(None).await;
    if restoring {
        assert_eq!(world.restore(&program, slip.id).await.unwrap().body["file"]["state"], "active", "{point}");
    } else {
        assert_eq!(world.delete(&program, slip.id).await.unwrap().status, 204, "{point}");
        world.must_lose(slip.id);
    }
    world.sweep_and_audit(point).await;
}

async fn dies_while_purging(db: Db, point: &str) {
    let mut world = populated(db).await;
    world.set("DROPSLIP_DELETED_RETENTION", "0s");
    let program = world.start(None).await;
    let (slip, bytes) = world.uploaded(&program, "kept").await;
    confirm(&mut world, &program, slip.id, &bytes).await;
    assert_eq!(world.delete(&program, slip.id).await.unwrap().status, 204);
    drop(program);
    world.must_lose(slip.id);
    sweeper_dies(&world, point).await;
}

async fn dies_while_telling(db: Db, point: &str) {
    let mut world = populated(db).await;
    let receiver = Receiver::start().await;
    let endpoints = receiver.endpoints_file(world.folder.path(), "types = [\"file.activated\"]");
    world.set("DROPSLIP_WEBHOOKS_FILE", endpoints.to_str().unwrap());
    let mut dying = world.start(Some(point)).await;
    let (slip, bytes) = world.uploaded(&dying, "kept").await;
    // It may die before it answers: the file is active by then.
    let _ = world.confirm(&dying, slip.id).await;
    let status = dying.end().await;
    assert!(was_killed(status), "{point} was never reached: {status:?} {}", dying.log());
    world.must_keep(slip.id, &bytes);

    let text = std::fs::read_to_string(&endpoints).unwrap();
    let next = Webhooks::new(world.database.clone(), webhooks::parse(&text).unwrap(), Vec::new()).unwrap();
    let sent = next.deliver_due(OffsetDateTime::now_utc()).await.unwrap();
    assert_eq!(sent, Sent::default(), "{point}: what was taken on is left to whoever did, for a while");
    next.deliver_due(OffsetDateTime::now_utc() + time::Duration::minutes(2)).await.unwrap();
    let told = receiver.deliveries();
    let expected = if point == "event: sent" { 2 } else { 1 };
    assert_eq!(told.len(), expected, "{point}: {told:#?}");
    assert!(
        told.iter().all(|delivery| delivery.id() == told[0].id() && delivery.told() == (slip.id, "file.activated".to_owned())),
        "{point}"
    );
    world.sweep_and_audit(point).await;
}

/// A slip whose form is dead.
async fn expired(world: &World, type_name: &str) -> Slip {
    let program = world.start(None).await;
    let slip = world.slip(&program, type_name).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    let now = OffsetDateTime::now_utc;
    while world.database.waiting(now(), now(), now()).await.unwrap().expired_files == 0 {
        assert!(Instant::now() < deadline, "the form does not die");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    slip
}

/// `dropslip sweep --once` dies; another one a moment later and one that finds everything due do the rest.
async fn sweeper_dies(world: &World, point: &str) {
    let died = world.run(Some(point), &["sweep", "--once"]).await;
    assert!(was_killed(died.status), "{point} was never reached: {died:?}");
    let next = world.run(None, &["sweep", "--once"]).await;
    assert!(next.status.success(), "{point}: {next:?}");
    world.sweep_and_audit(point).await;
}

async fn dies_while_sweeping(db: Db, point: &str) {
    let mut world = populated(db).await;
    let slip = expired(&world, "brief-lost").await;
    world.smuggle(&slip, b"nobody comes back for these").await;
    world.must_lose(slip.id);
    sweeper_dies(&world, point).await;
}

async fn dies_while_the_sweeper_confirms(db: Db, point: &str) {
    let mut world = populated(db).await;
    let slip = expired(&world, "brief").await;
    if point.starts_with("refusal") {
        world.smuggle(&slip, b"").await;
        world.must_lose(slip.id);
    } else {
        let bytes = unique_bytes();
        world.smuggle(&slip, &bytes).await;
        world.must_keep(slip.id, &bytes);
    }
    sweeper_dies(&world, point).await;
}
