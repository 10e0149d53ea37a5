//! The clock of the broker's machine is set while it runs: it goes on, and its log names the clock.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::faults::world::{Program, World, granted};
use crate::harness::{Db, Slip, answer, new_file, project, short_lived, slip};
use crate::process::Serving;
use crate::receiver::Receiver;

const HOUR: i64 = 3600;

/// A clock that can be set, of one process.
struct Clock {
    folder: TempDir,
}

impl Clock {
    /// Builds what shifts it.
    fn new() -> Self {
        let clock = Self { folder: tempfile::tempdir().unwrap() };
        let built = Command::new("cc")
            .args(["-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC", "-o"])
            .args([clock.path("offset.so"), project().join("tests/clock/offset.c")])
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        fs::write(clock.path("offset"), 0_i64.to_ne_bytes()).unwrap();
        clock
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Settings of the process whose clock it is.
    fn settings(&self) -> [(&'static str, String); 2] {
        [("LD_PRELOAD", self.path("offset.so").display().to_string()), ("CLOCK_OFFSET_FILE", self.path("offset").display().to_string())]
    }

    /// Sets it that many seconds beyond the right time.
    fn set(&self, seconds: i64) {
        File::options().write(true).open(self.path("offset")).unwrap().write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
    }
}

/// An embedded broker whose clock can be set; forms of the type `brief` die after a second.
struct Broker {
    clock: Clock,
    folder: TempDir,
    receiver: Receiver,
    serving: Serving,
    token: String,
    http: reqwest::Client,
}

impl Broker {
    async fn start() -> Self {
        let (clock, folder, receiver) = (Clock::new(), tempfile::tempdir().unwrap(), Receiver::start().await);
        let endpoints = receiver.endpoints_file(folder.path(), "");
        fs::create_dir(folder.path().join("policies")).unwrap();
        let brief = short_lived("1s", 1000).replace("\"attachment\"\ntitle", "\"brief\"\ntitle");
        fs::write(folder.path().join("policies/attachment.toml"), short_lived("1h", 1000)).unwrap();
        fs::write(folder.path().join("policies/brief.toml"), brief).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_dropslip"));
        command.arg("serve").env_clear().current_dir(folder.path()).envs(clock.settings()).envs([
            ("DROPSLIP_LISTEN", "127.0.0.1:0"),
            ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0"),
            ("DROPSLIP_POLICIES", "policies"),
            ("DROPSLIP_SWEEP_GRACE", "0s"),
            ("DROPSLIP_SWEEP_INTERVAL", "1s"),
            ("DROPSLIP_WEBHOOKS_FILE", endpoints.to_str().unwrap()),
        ]);
        let log = File::create(folder.path().join("log")).unwrap();
        let serving = Serving::by(&mut command, log, ")");
        let token = fs::read_to_string(folder.path().join("data/development-token")).unwrap().trim().to_owned();
        Self { clock, folder, receiver, serving, token, http: reqwest::Client::new() }
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.serving.url())).bearer_auth(&self.token);
        let (status, body) = answer(request.body(body.map(|body| body.to_string()).unwrap_or_default())).await;
        (status.as_u16(), body)
    }

    async fn slip(&self, kind: &str) -> Slip {
        let mut body = new_file("note.txt", "text/plain");
        body["type"] = json!(kind);
        let (status, body) = self.call("POST", "/v2/files/ref.json", Some(body)).await;
        assert_eq!(status, 201, "{body}");
        slip(body)
    }

    async fn send(&self, slip: &Slip) {
        let mut form = reqwest::multipart::Form::new();
        for (name, value) in &slip.params {
            form = form.text(name.clone(), value.clone());
        }
        let form = form.part("file", reqwest::multipart::Part::bytes(b"hello".to_vec()));
        let sent = self.http.post(&slip.url).multipart(form).send().await.unwrap();
        assert_eq!(sent.status(), 201, "{}", sent.text().await.unwrap());
    }

    /// Confirms what was sent, and waits until that was told.
    async fn confirm(&self, slip: &Slip, case: &str) {
        let (status, body) = self.call("PATCH", &format!("/v2/files/{}.json", slip.id), None).await;
        assert_eq!((status, &body["file"]["state"]), (200, &json!("active")), "{case}: {body}\n{}", self.log());
        assert_in_order(&body["file"], case);
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.receiver.deliveries().iter().any(|delivery| delivery.told().0 == slip.id) {
            assert!(Instant::now() < deadline, "{case}: nobody was told\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A file goes all its way, and what nobody comes back for is swept.
    async fn goes_on(&self, case: &str) {
        let (slip, forgotten) = (self.slip("attachment").await, self.slip("brief").await);
        self.send(&slip).await;
        self.confirm(&slip, case).await;
        let path = format!("/v2/files/{}.json", slip.id);
        let (status, body) = self.call("PATCH", &path, Some(json!({"filename": "other.txt"}))).await;
        assert_eq!(status, 200, "{case}: {body}");
        assert_in_order(&body["file"], case);
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.call("GET", &format!("/v2/files/{}.json", forgotten.id), None).await.0 != 404 {
            assert!(Instant::now() < deadline, "{case}: nothing is swept\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let date = self.http.get(format!("{}/healthz", self.serving.url())).send().await.unwrap().headers()["date"].clone();
        let offset = i64::from_ne_bytes(fs::read(self.clock.path("offset")).unwrap().try_into().unwrap());
        let expected = OffsetDateTime::now_utc() + time::Duration::seconds(offset);
        let date = OffsetDateTime::parse(date.to_str().unwrap(), &time::format_description::well_known::Rfc2822).unwrap();
        assert!((expected - date).abs() < time::Duration::minutes(5), "{case}: its answers say {date}");
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    async fn logs(&self, words: &str) {
        logs(words, || self.log()).await;
    }
}

async fn logs(words: &str, log: impl Fn() -> String) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !log().contains(words) {
        assert!(Instant::now() < deadline, "‘{words}’ is not in {}", log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// No file is changed before it was made.
fn assert_in_order(file: &Value, case: &str) {
    let at = |name: &str| OffsetDateTime::parse(file[name].as_str().unwrap(), &Rfc3339).unwrap();
    assert!(at("updatedAt") >= at("createdAt"), "{case}: {file}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_broker_goes_on_when_its_clock_goes_back() {
    let broker = Broker::start().await;
    broker.goes_on("at first").await;
    let before = broker.slip("attachment").await;
    broker.send(&before).await;
    let given_before = broker.slip("attachment").await;
    broker.clock.set(-HOUR);
    broker.confirm(&before, "uploaded before the clock went back").await;
    broker.goes_on("back").await;
    broker.logs("the clock of this machine went back").await;
    broker.confirm_anew(given_before).await;
    assert!(!broker.log().contains("could not be served"), "{}", broker.log());
}

impl Broker {
    /// A form from the future is refused by the store, like by every other: its client asks for a fresh one.
    async fn confirm_anew(&self, slip: Slip) {
        let (status, body) = self.call("POST", &format!("/v2/files/{}/ref.json", slip.id), None).await;
        assert_eq!(status, 201, "{body}");
        let fresh = crate::harness::slip(body);
        self.send(&fresh).await;
        self.confirm(&fresh, "issued again").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_broker_goes_on_when_its_clock_goes_forward_and_back() {
    let broker = Broker::start().await;
    broker.goes_on("at first").await;
    broker.clock.set(2 * HOUR);
    broker.goes_on("forward").await;
    broker.logs("the clock of this machine went forward").await;
    let ahead = broker.slip("attachment").await;
    broker.send(&ahead).await;
    broker.clock.set(0);
    broker.confirm(&ahead, "uploaded while the clock was ahead").await;
    broker.goes_on("right again").await;
    broker.logs("the clock of this machine went back").await;
    assert!(!broker.log().contains("could not be served"), "{}", broker.log());
}

/// Asks until it is answered so; the bucket's clock is another than this one's.
async fn confirmed(world: &World, program: &Program, id: i64) -> Value {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let answer = world.confirm(program, id).await.unwrap();
        if answer.status == 200 {
            return answer.body;
        }
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(Instant::now() < deadline, "{}", program.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_on_postgres_and_a_bucket_goes_on_and_names_the_clock() {
    for offset in [-HOUR, 2 * HOUR] {
        let (clock, receiver) = (Clock::new(), Receiver::start().await);
        let mut world = World::new(Db::Postgres).await;
        for (name, value) in clock.settings() {
            world.set(name, &value);
        }
        let endpoints = receiver.endpoints_file(&world.folder.path().join("."), "");
        world.set("DROPSLIP_WEBHOOKS_FILE", endpoints.to_str().unwrap());
        world.set("DROPSLIP_SWEEP_INTERVAL", "1s");
        let program = world.start(None).await;
        let (first, first_bytes) = world.uploaded(&program, "kept").await;
        let (second, second_bytes) = world.uploaded(&program, "kept").await;
        assert_in_order(&confirmed(&world, &program, first.id).await["file"], "at first");
        clock.set(offset);
        assert_in_order(&confirmed(&world, &program, second.id).await["file"], "set");
        logs("the clock of this machine went", || program.log()).await;
        // The store refuses what the broker signs with a wrong clock; who asks why is told.
        assert!(program.log().contains("s apart: set them by NTP"), "{}", program.log());
        clock.set(0);
        let third = granted(world.authorize(&program, "kept", None).await);
        world.drop_bytes(&third, b"hello").await;
        assert_in_order(&confirmed(&world, &program, third.id).await["file"], "right again");
        let deadline = Instant::now() + Duration::from_secs(30);
        for slip in [&first, &second, &third] {
            while !receiver.deliveries().iter().any(|delivery| delivery.told().0 == slip.id) {
                assert!(Instant::now() < deadline, "nobody was told of {}: {}", slip.id, program.log());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        world.must_keep(first.id, &first_bytes);
        world.must_keep(second.id, &second_bytes);
        world.must_keep(third.id, b"hello");
        drop(program);
        world.sweep_and_audit("the clock was set").await;
    }
}

#[test]
fn what_is_set_is_seen_by_the_process_alone() {
    let clock = Clock::new();
    let shown = |offset: i64| {
        clock.set(offset);
        let told = Command::new("date").arg("+%s").envs(clock.settings()).output().unwrap();
        String::from_utf8(told.stdout).unwrap().trim().parse::<i64>().unwrap()
    };
    let now = OffsetDateTime::now_utc().unix_timestamp();
    assert!((shown(0) - now).abs() < 600 && (shown(-HOUR) - now + HOUR).abs() < 600);
}
