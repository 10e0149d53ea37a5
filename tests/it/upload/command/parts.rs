//! Large files on real stores: bytes that come in parts, break on the way, and are gone on with.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Ended, PROGRAM};
use crate::faults::proxy::{Break, INTERNAL_ERROR, Proxy};
use crate::harness::{Bed, Setup, TestBroker, from_servers, short_lived};
use crate::upload::multipart::{content, in_parts};

const MIB: usize = 1 << 20;

/// A folder of files and a client in it, whose state is kept there too.
struct Desktop<'a> {
    broker: &'a TestBroker,
    folder: tempfile::TempDir,
}

impl<'a> Desktop<'a> {
    fn of(broker: &'a TestBroker) -> Self {
        Self { broker, folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.folder.path().join(name), bytes).unwrap();
    }

    fn client(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("upload").args(arguments).current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        command.env("DROPSLIP_SERVER", &self.broker.base).env("DROPSLIP_TOKEN", &self.broker.token);
        command.env("XDG_STATE_HOME", self.folder.path().join("state"));
        command
    }

    async fn upload(&self, arguments: &[&str]) -> Ended {
        let mut command = self.client(arguments);
        Ended::from(tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap())
    }

    /// A client that goes on while the test does.
    fn begin(&self, arguments: &[&str]) -> Begun {
        Begun(Some(self.client(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()))
    }

    /// How many uploads are remembered.
    fn remembered(&self) -> usize {
        let folder = self.folder.path().join("state/dropslip/uploads");
        if folder.exists() { std::fs::read_dir(folder).unwrap().count() } else { 0 }
    }
}

/// A running client; killed with this value.
struct Begun(Option<Child>);

impl Begun {
    fn signal(&self, signal: &str) {
        let id = self.0.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    async fn end(mut self) -> Ended {
        let child = self.0.take().unwrap();
        Ended::from(tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap())
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A store with a proxy before it: what the client sends goes through that one.
async fn behind_proxy(bed: Bed) -> (Proxy, Setup) {
    let object_store = from_servers(if bed == Bed::LocalStack { "TEST_LOCALSTACK_URL" } else { "TEST_SEAWEEDFS_URL" });
    let proxy = Proxy::to(&object_store).await;
    let setup = in_parts(bed).setting("DROPSLIP_S3_PUBLIC_ENDPOINT", format!("http://{}", proxy.address));
    (proxy, setup)
}

/// The sealed bytes of what a client says is active.
async fn sealed(broker: &TestBroker, active: &Value) -> Vec<u8> {
    assert_eq!((&active["ok"], &active["file"]["state"]), (&json!(true), &json!("active")), "{active}");
    let id = dropslip::domain::FileId(active["file"]["id"].as_i64().unwrap());
    let file = broker.database.find_file(&"default".parse().unwrap(), id).await.unwrap().unwrap();
    broker.bytes_of(file.sealed_key().unwrap().as_str()).await
}

async fn assert_sealed(broker: &TestBroker, ended: &Ended, name: &str, content: &[u8]) {
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{:?}: {ended:?}", broker.bed);
    let active = ended.objects().into_iter().find(|object| Path::new(object["path"].as_str().unwrap()) == Path::new(name)).unwrap();
    assert!(sealed(broker, &active).await == content, "{:?}: {name} has other bytes", broker.bed);
}

async fn several_files_come_in_parts_at_once(bed: Bed) {
    let broker = in_parts(bed).start().await;
    let desktop = Desktop::of(&broker);
    let contents: Vec<(String, Vec<u8>)> =
        [5, 11 * MIB + 5, 7 * MIB, 10 * MIB, 6_000_000].map(|length| (format!("{length}.txt"), content(length))).into();
    for (name, content) in &contents {
        desktop.file(name, content);
    }
    let mut arguments = vec!["--json", "--jobs", "4"];
    arguments.extend(contents.iter().map(|(name, _)| name.as_str()));

    let ended = desktop.upload(&arguments).await;

    for (name, content) in &contents {
        assert_sealed(&broker, &ended, name, content).await;
    }
    assert_eq!(broker.objects().await.len(), contents.len());
    assert_eq!(desktop.remembered(), 0);
}

async fn a_put_is_sent_as_it_is_signed(bed: Bed) {
    let broker = in_parts(bed).setting("DROPSLIP_S3_METHOD", "put").start().await;
    let desktop = Desktop::of(&broker);
    let (small, large) = (content(300_000), content(6 * MIB));
    desktop.file("small.txt", &small);
    desktop.file("large.txt", &large);
    assert_sealed(&broker, &desktop.upload(&["--json", "small.txt"]).await, "small.txt", &small).await;
    assert_sealed(&broker, &desktop.upload(&["--json", "--checksum", "small.txt"]).await, "small.txt", &small).await;
    assert_sealed(&broker, &desktop.upload(&["--json", "large.txt"]).await, "large.txt", &large).await;
    assert_sealed(&broker, &desktop.upload(&["--json", "--no-multipart", "large.txt"]).await, "large.txt", &large).await;
}

async fn a_declared_checksum_is_that_of_the_whole(bed: Bed) {
    let broker = in_parts(bed).start().await;
    let desktop = Desktop::of(&broker);
    let content = content(7 * MIB);
    desktop.file("large.txt", &content);
    let ended = desktop.upload(&["--json", "--checksum", "large.txt"]).await;
    assert_sealed(&broker, &ended, "large.txt", &content).await;
    assert!(ended.objects()[0]["file"]["evidence"]["checksumSHA256"].is_string(), "{ended:?}");
}

macro_rules! on_every_store {
    ($($test:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() { super::$test(super::Bed::Embedded).await; })*
        }
        mod seaweedfs {
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() { super::$test(super::Bed::SeaweedFs).await; })*
        }
        mod localstack {
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() { super::$test(super::Bed::LocalStack).await; })*
        }
    };
}

on_every_store!(several_files_come_in_parts_at_once, a_put_is_sent_as_it_is_signed, a_declared_checksum_is_that_of_the_whole);

async fn a_part_that_fails_twice_goes_the_third_time(bed: Bed) {
    let (proxy, setup) = behind_proxy(bed).await;
    let broker = setup.start().await;
    let desktop = Desktop::of(&broker);
    let content = content(11 * MIB);
    desktop.file("large.txt", &content);
    for how in [Break::Answer(INTERNAL_ERROR), Break::CutRequest(60_000), Break::Refuse] {
        proxy.breaks_times("partNumber=2", how, 2);
        let ended = desktop.upload(&["--json", "large.txt"]).await;
        assert_eq!(proxy.hits(), 2, "{how:?}");
        assert_sealed(&broker, &ended, "large.txt", &content).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_fails_twice_goes_the_third_time_on_seaweedfs() {
    a_part_that_fails_twice_goes_the_third_time(Bed::SeaweedFs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_fails_twice_goes_the_third_time_on_localstack() {
    a_part_that_fails_twice_goes_the_third_time(Bed::LocalStack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_expired_on_the_way_is_replaced() {
    let (proxy, setup) = behind_proxy(Bed::SeaweedFs).await;
    let broker = setup.policy("text.toml", short_lived("2s", 100 << 20)).start().await;
    let desktop = Desktop::of(&broker);
    let content = content(11 * MIB);
    desktop.file("large.txt", &content);
    // The request reaches the store when its URL is dead.
    proxy.breaks_times("partNumber=2", Break::Slow(Duration::from_secs(4)), 1);
    let ended = desktop.upload(&["--json", "large.txt"]).await;
    assert_eq!(proxy.hits(), 1);
    assert_sealed(&broker, &ended, "large.txt", &content).await;
}

/// Begins an upload of five parts one after the other, and returns when the first two have arrived and the third hangs.
async fn stuck_at_the_third(desktop: &Desktop<'_>, proxy: &Proxy, content: &[u8]) -> Begun {
    desktop.file("large.txt", content);
    proxy.breaks_times("partNumber=3", Break::Stall, 1);
    let begun = desktop.begin(&["--jobs", "1", "large.txt"]);
    proxy.until_hit().await;
    begun
}

async fn a_killed_upload_is_gone_on_with(bed: Bed) {
    let (proxy, setup) = behind_proxy(bed).await;
    let broker = setup.start().await;
    let desktop = Desktop::of(&broker);
    let content = content(21 * MIB);
    let begun = stuck_at_the_third(&desktop, &proxy, &content).await;
    begun.signal("-9");
    assert_eq!(begun.end().await.code, None);
    assert_eq!(desktop.remembered(), 1);

    // Nothing is broken from here on; the requests are counted.
    proxy.breaks("partNumber=", Break::Slow(Duration::ZERO));
    let ended = desktop.upload(&["--json", "--resume", "large.txt"]).await;
    assert_sealed(&broker, &ended, "large.txt", &content).await;
    assert_eq!(proxy.hits(), 3, "{bed:?}: the third, the fourth and the fifth");
    assert_eq!((desktop.remembered(), broker.objects().await.len()), (0, 1));

    // Nothing is unfinished: the same command begins anew.
    let again = desktop.upload(&["--json", "--resume", "large.txt"]).await;
    assert_sealed(&broker, &again, "large.txt", &content).await;
    assert_ne!(ended.objects()[0]["file"]["id"], again.objects()[0]["file"]["id"]);
    assert_eq!(proxy.hits(), 3 + 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_upload_is_gone_on_with_on_seaweedfs() {
    a_killed_upload_is_gone_on_with(Bed::SeaweedFs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_upload_is_gone_on_with_on_localstack() {
    a_killed_upload_is_gone_on_with(Bed::LocalStack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_says_how_to_go_on_and_the_number_alone_is_enough() {
    let (proxy, setup) = behind_proxy(Bed::SeaweedFs).await;
    let broker = setup.start().await;
    let desktop = Desktop::of(&broker);
    let content = content(21 * MIB);
    let begun = stuck_at_the_third(&desktop, &proxy, &content).await;
    begun.signal("-INT");
    let ended = begun.end().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(130), ""));
    let said = "dropslip: interrupted\nlarge.txt: not finished; the same command with --resume goes on with it (id 1)\n";
    assert_eq!(ended.stderr, said);

    // Another machine, which remembers nothing.
    let elsewhere = Desktop::of(&broker);
    elsewhere.file("moved.txt", &content);
    elsewhere.file("shorter.txt", &content[1..]);
    let wrong = elsewhere.upload(&["--json", "--resume=1", "shorter.txt"]).await;
    assert_eq!(wrong.code, Some(1));
    assert_eq!(wrong.objects()[0]["error"], "authorize: file 1 is no upload in parts of 22020095 bytes: it is not this file's");
    assert_eq!(elsewhere.remembered(), 0);
    let unknown = elsewhere.upload(&["--json", "--resume=9", "moved.txt"]).await;
    assert_eq!((unknown.code, &unknown.objects()[0]["status"]), (Some(1), &json!(404)));

    proxy.breaks("partNumber=", Break::Slow(Duration::ZERO));
    let ended = elsewhere.upload(&["--json", "--resume=1", "moved.txt"]).await;
    assert_sealed(&broker, &ended, "moved.txt", &content).await;
    assert_eq!(proxy.hits(), 3);

    // The first machine finds it active, and sends nothing.
    let ended = desktop.upload(&["--json", "--resume", "large.txt"]).await;
    assert_sealed(&broker, &ended, "large.txt", &content).await;
    assert_eq!((proxy.hits(), desktop.remembered()), (3, 0));
    let ended = elsewhere.upload(&["--json", "--resume=1", "--checksum", "moved.txt"]).await;
    assert!(ended.objects()[0]["error"].as_str().unwrap().contains("without --checksum"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_stays_broken_leaves_what_can_be_gone_on_with() {
    let (proxy, setup) = behind_proxy(Bed::SeaweedFs).await;
    let broker = setup.start().await;
    let desktop = Desktop::of(&broker);
    let content = content(11 * MIB);
    desktop.file("large.txt", &content);
    proxy.breaks("partNumber=3", Break::Answer(INTERNAL_ERROR));
    let ended = desktop.upload(&["--json", "--jobs", "1", "large.txt"]).await;
    assert_eq!(
        (ended.code, &ended.objects()[0]["step"], &ended.objects()[0]["resume"]),
        (Some(1), &json!("upload"), &json!(1)),
        "{ended:?}"
    );
    assert_eq!(proxy.hits(), 5, "each try was one");
    proxy.breaks("partNumber=", Break::Slow(Duration::ZERO));
    let ended = desktop.upload(&["--json", "--resume", "large.txt"]).await;
    assert_sealed(&broker, &ended, "large.txt", &content).await;
    assert_eq!(proxy.hits(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_meanwhile_is_given_up() {
    let (proxy, setup) = behind_proxy(Bed::SeaweedFs).await;
    let broker = setup.start().await;
    let desktop = Desktop::of(&broker);
    let content = content(11 * MIB);
    desktop.file("large.txt", &content);
    proxy.breaks_times("partNumber=2", Break::Slow(Duration::from_secs(3)), 1);
    let begun = desktop.begin(&["--json", "--jobs", "1", "large.txt"]);
    proxy.until_hit().await;
    // In place: its length is never another, not for a moment.
    let mut file = OpenOptions::new().write(true).open(desktop.folder.path().join("large.txt")).unwrap();
    file.write_all(b"z").unwrap();
    let ended = begun.end().await;
    let object = &ended.objects()[0];
    assert_eq!(
        (ended.code, &object["step"], &object["error"]),
        (Some(1), &json!("read"), &json!("was written to while it was read")),
        "{ended:?}"
    );
    assert_eq!((object.get("resume"), desktop.remembered()), (None, 0));
    assert_eq!(broker.read(1).await.0, 404, "given up");
    assert_eq!(broker.objects().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_refuses_in_the_end_is_given_up() {
    let broker = in_parts(Bed::Embedded).start().await;
    let desktop = Desktop::of(&broker);
    desktop.file("large.png", &content(6 * MIB));
    let ended = desktop.upload(&["--json", "--type", "image", "large.png"]).await;
    let object = &ended.objects()[0];
    assert_eq!((ended.code, &object["step"], &object["status"]), (Some(1), &json!("confirm"), &json!(422)), "{ended:?}");
    assert_eq!((object.get("resume"), desktop.remembered()), (None, 0));
    assert_eq!(broker.read(1).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_forgot_begins_anew() {
    let (proxy, setup) = behind_proxy(Bed::SeaweedFs).await;
    let broker = setup.start().await;
    let desktop = Desktop::of(&broker);
    let content = content(21 * MIB);
    let begun = stuck_at_the_third(&desktop, &proxy, &content).await;
    begun.signal("-9");
    begun.end().await;
    assert_eq!(broker.request("DELETE", "/v2/files/1/parts.json").send().await.unwrap().status(), 204);
    proxy.heals();
    let ended = desktop.upload(&["--json", "--resume", "large.txt"]).await;
    assert_sealed(&broker, &ended, "large.txt", &content).await;
    assert_eq!(desktop.remembered(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connections_of_all_files_together_are_as_many_as_was_said() {
    let (proxy, setup) = behind_proxy(Bed::SeaweedFs).await;
    let broker = setup.start().await;
    let desktop = Desktop::of(&broker);
    let content = content(11 * MIB);
    let names = ["a.txt", "b.txt", "c.txt"];
    for name in names {
        desktop.file(name, &content);
    }
    // Long enough for everything that may be under way to be under way.
    proxy.breaks("partNumber=", Break::Slow(Duration::from_millis(300)));
    let ended = desktop.upload(&["--json", "--jobs", "2", "a.txt", "b.txt", "c.txt"]).await;
    for name in names {
        assert_sealed(&broker, &ended, name, &content).await;
    }
    assert_eq!((proxy.hits(), proxy.most_open()), (9, 2));
}
