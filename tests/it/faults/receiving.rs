//! Bytes that come through the broker, when it dies or the store is away at any step.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::all;
#[cfg(feature = "failpoints")]
use super::death::{assert_dead, populated};
use super::full_disk::{SmallDisk, fill};
use super::proxy::{Break, INTERNAL_ERROR, Proxy, SLOW_DOWN};
use super::world::{Answer, Program, Through, World, unique_bytes};
use crate::harness::{Db, count, from_servers};

const NAME: &str = "received.txt";

/// More than two parts.
const LARGE: usize = 20 << 20;

fn bytes_of(length: usize) -> Vec<u8> {
    unique_bytes().into_iter().cycle().take(length).collect()
}

impl World {
    /// Kayako's dialect is on, and what comes through it stays. The sweeper activates what nobody confirms, but nothing that came so.
    pub fn receives(&mut self) {
        let text = "name = \"received\"\ntitle = \"A test\"\nmin_size = 1\nmax_size = \"64 MiB\"\ndispositions = [\"attachment\"]\n\
             slip_lifetime = \"1h\"\nsniff = \"relabel\"\nunconfirmed = \"activate\"\n\
             content_types = [{ type = \"text/plain\", extensions = [\"txt\"] }]\n";
        std::fs::write(self.folder.path().join("policies/received.toml"), text).unwrap();
        self.set("DROPSLIP_DIALECTS", "all");
        self.set("DROPSLIP_KAYAKO_FILE_TYPE", "received");
        self.set("DROPSLIP_KAYAKO_FILE_LIFETIME", "0");
    }

    /// The body is the file.
    pub async fn send(&self, program: &Program, bytes: &[u8]) -> Result<Answer, String> {
        let started = Instant::now();
        // A store that stalls makes the broker take no more bytes for a while.
        let http = reqwest::Client::builder().timeout(Duration::from_mins(2)).tcp_user_timeout(None).build().unwrap();
        let url = format!("{}/api/v1/files.json?_filename={NAME}&fields=id,size", program.base);
        let response = http.post(url).bearer_auth(self.token()).body(bytes.to_vec()).send().await.map_err(|error| format!("{error:?}"))?;
        let status = response.status();
        let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        let text = response.text().await.map_err(|error| format!("{error:?}"))?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Answer { status, body, retry_after, took: started.elapsed() })
    }

    /// The numbers of the files that came so.
    async fn received(&self, program: &Program) -> Vec<i64> {
        let answer = self.ask(program, "GET", "/api/v1/files.json?fields=id,name&limit=100", None, &Value::Null).await.unwrap();
        let listed = answer.body["data"].as_array().unwrap_or_else(|| panic!("{answer:?}"));
        listed.iter().filter(|file| file["name"] == NAME).map(|file| file["id"].as_i64().unwrap()).collect()
    }

    /// Sends a file that must be taken.
    async fn sent(&mut self, program: &Program, bytes: &[u8], case: &str) {
        let answer = self.send(program, bytes).await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body["data"]["size"]), (201, &bytes.len().into()), "{case}: {answer:?}");
        self.must_keep(answer.body["data"]["id"].as_i64().unwrap(), bytes);
    }
}

/// Dies on the way; the client sends all of it again.
#[cfg(feature = "failpoints")]
pub async fn dies_while_receiving(db: Db, point: &str) {
    let in_parts = ["receive: upload begun", "receive: upload named", "receive: part written"].contains(&point);
    let lengths = if in_parts { vec![LARGE] } else { vec![100_000, LARGE] };
    for length in lengths {
        let case = format!("{point}, {length} bytes");
        let mut world = populated(db).await;
        world.receives();
        let bytes = bytes_of(length);
        let dying = world.start(Some(point)).await;
        let answer = world.send(&dying, &bytes).await;
        assert_dead(dying, answer, &case).await;

        let program = world.start(None).await;
        let there = world.received(&program).await;
        let expected = usize::from(point == "receive: claimed");
        assert_eq!(there.len(), expected, "{case}: a file is there once it was claimed, and not before");
        if let Some(id) = there.first() {
            world.must_keep(*id, &bytes);
        }
        world.sent(&program, &bytes, &case).await;
        world.sweep_and_audit(&case).await;
        assert_eq!(world.received(&program).await.len(), expected + 1, "{case}: no sweep confirms what nobody claimed");
    }
}

/// A file whose time is over is deleted, and the sweeper dies before it says so.
#[cfg(feature = "failpoints")]
pub async fn dies_while_ending(db: Db, point: &str) {
    let mut world = populated(db).await;
    world.receives();
    world.set("DROPSLIP_KAYAKO_FILE_LIFETIME", "1s");
    let program = world.start(None).await;
    let answer = world.send(&program, b"for a second").await.unwrap();
    let id = answer.body["data"]["id"].as_i64().unwrap_or_else(|| panic!("{answer:?}"));
    let deadline = Instant::now() + Duration::from_secs(20);
    let died = loop {
        let died = world.run(Some(point), &["sweep", "--once"]).await;
        if super::death::was_killed(died.status) {
            break died;
        }
        assert!(Instant::now() < deadline, "{point} was never reached: {died:?}");
    };
    assert_eq!(world.received(&program).await, [0; 0], "{point}: {died:?}");
    let restored = world.restore(&program, id).await.unwrap();
    assert_eq!(restored.body["file"]["state"], "active", "{point}: {restored:?}");
    world.must_keep(id, b"for a second");
    world.sweep_and_audit(point).await;
}

/// What each step asks the store, in words that only its request holds.
const STEPS: [(&str, &str, usize); 4] = [
    ("put", "x-id=PutObject", 100_000),
    ("begin", "?uploads", LARGE),
    ("part", "x-id=UploadPart", LARGE),
    ("complete", "?uploadId=", LARGE),
];

const BREAKS: [Break; 6] = [
    Break::Refuse,
    Break::CutRequest(40),
    Break::CutAnswer(0),
    Break::CutAnswer(30),
    Break::Answer(INTERNAL_ERROR),
    Break::Answer(SLOW_DOWN),
];

async fn breaks(step: &'static str, on: &'static str, length: usize, how: Break) {
    let case = format!("{step}, {how:?}");
    let proxy = Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await;
    let mut world = World::through(Db::Sqlite, Through { s3: Some(proxy.address), database: None }).await;
    world.receives();
    let program = world.start(None).await;
    let bytes = bytes_of(length);
    proxy.breaks(on, how);
    let answer = world.send(&program, &bytes).await.unwrap();
    assert!(proxy.hits() > 0, "{case}: the step was never reached");
    let code = &answer.body["errors"][0]["code"];
    assert_eq!((answer.status.as_u16(), code.as_str()), (503, Some("SERVICE_UNAVAILABLE")), "{case}: {answer:?}");
    assert!(answer.retry_after.is_some(), "{case}: {answer:?}");
    assert_eq!(world.received(&program).await, [0; 0], "{case}: no file");
    proxy.heals();
    world.sent(&program, &bytes, &case).await;
    world.sweep_and_audit(&case).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_away_while_bytes_come_through_the_broker_is_503_and_nothing_is_left() {
    let cases = STEPS.iter().flat_map(|&(step, on, length)| BREAKS.map(|how| breaks(step, on, length, how)));
    all(cases.collect(), 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_that_stalls_while_bytes_come_through_the_broker_is_503_and_nothing_is_left() {
    let steps = STEPS.iter().filter(|(step, ..)| ["put", "part"].contains(step));
    let cases = steps.flat_map(|&(step, on, length)| [Break::Stall, Break::StallAnswer].map(|how| breaks(step, on, length, how)));
    all(cases.collect(), 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_lost_answer_of_the_store_is_made_good() {
    for (step, on, length) in STEPS {
        let proxy = Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await;
        let mut world = World::through(Db::Sqlite, Through { s3: Some(proxy.address), database: None }).await;
        world.receives();
        let program = world.start(None).await;
        proxy.breaks_times(on, Break::CutAnswer(0), 1);
        world.sent(&program, &bytes_of(length), step).await;
        assert_eq!(proxy.hits(), 1, "{step}");
        world.sweep_and_audit(step).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_the_database_is_503_and_leaves_nothing() {
    let mount_point = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(mount_point.path(), "2m");
    let mut world = World::at(&dropslip::domain::sqlite_url(&mount_point.path().join("test.db"))).await;
    world.receives();
    let program = world.start(None).await;
    let bytes = bytes_of(1000);
    world.sent(&program, &bytes, "there is room").await;
    fill(&mount_point.path().join("rest"));
    // The journal may have some room left.
    let mut taken = 0;
    let refused = loop {
        let answer = world.send(&program, &bytes).await.unwrap();
        if answer.status != 201 {
            break answer;
        }
        world.must_keep(answer.body["data"]["id"].as_i64().unwrap(), &bytes);
        taken += 1;
        assert!(taken < 2000, "the disk does not fill up");
    };
    let code = &refused.body["errors"][0]["code"];
    assert_eq!((refused.status.as_u16(), code.as_str()), (503, Some("SERVICE_UNAVAILABLE")), "{refused:?}");
    assert!(refused.retry_after.is_some(), "{refused:?}");
    disk.grow("64m");
    world.assert_ready(&program, "there is room again").await;
    world.sent(&program, &bytes, "there is room again").await;
    let files = count(&world.database_url, "SELECT COUNT(*) FROM files WHERE state = 'active'").await;
    assert_eq!(files, taken + 2, "what was refused is no file");
    world.sweep_and_audit("the disk was full").await;
    drop((program, world, disk));
}
