//! `dropslip upload`: the real program, against the real broker and against peers that misbehave on purpose.

mod empty;
mod hostile;
mod parts;

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{patch, post};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dropslip");

/// `dropslip serve` with everything embedded, in a folder of its own; ends with this value.
struct Served {
    folder: TempDir,
    url: String,
    process: Child,
    // Held open: the broker may still print.
    _stdout: BufReader<ChildStdout>,
}

impl Served {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Command::new(PROGRAM)
            .arg("serve")
            .current_dir(folder.path())
            .env_clear()
            .envs([("DROPSLIP_LISTEN", "127.0.0.1:0"), ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0")])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("dropslip listens on ").unwrap_or_else(|| panic!("the first line is {line:?}")).to_owned();
        Self { folder, url, process, _stdout: stdout }
    }

    fn file(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.folder.path().join(name), bytes).unwrap();
    }

    /// The client in the broker's folder, where it finds the development token.
    fn client(&self, arguments: &[&str]) -> Command {
        client(self.folder.path(), &self.url, arguments)
    }

    fn upload(&self, arguments: &[&str]) -> Ended {
        Ended::from(self.client(arguments).output().unwrap())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn client(folder: &Path, server: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("upload").args(arguments).current_dir(folder).env_clear().env("DROPSLIP_SERVER", server).stdin(Stdio::null());
    command
}

/// How the client ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Ended {
    fn objects(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
    }
}

#[test]
fn many_files_at_once_all_become_active() {
    let broker = Served::start();
    let names: Vec<String> = (0..25).map(|number| format!("{number}.txt")).collect();
    for name in &names {
        broker.file(name, name.as_bytes());
    }
    let mut arguments = vec!["--jobs", "8"];
    arguments.extend(names.iter().map(String::as_str));

    let ended = broker.upload(&arguments);

    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let active = |name: &&String| ended.stdout.lines().any(|line| line.starts_with(&format!("{name}  ")) && line.ends_with(" active"));
    assert_eq!(names.iter().filter(active).count(), 25, "{}", ended.stdout);
}

#[test]
fn one_refused_file_keeps_none_of_the_others_from_becoming_active() {
    let broker = Served::start();
    broker.file("a.txt", b"a");
    broker.file("setup.exe", b"b");
    broker.file("c.txt", b"c");
    broker.file("empty.txt", b"");

    let ended = broker.upload(&["a.txt", "setup.exe", "c.txt", "empty.txt", "missing.txt", "."]);

    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stdout.lines().filter(|line| line.ends_with(" active")).count(), 2);
    for complaint in [
        "setup.exe: refused: filename ",
        "empty.txt: refused: size ",
        "missing.txt: there is no such file",
        ".: is a directory",
        "dropslip: 2 of 6 files are active",
    ] {
        assert!(ended.stderr.lines().any(|line| line.starts_with(complaint)), "‘{complaint}’ is not in {}", ended.stderr);
    }
}

#[test]
fn json_is_one_object_a_line_in_the_promised_shapes() {
    let broker = Served::start();
    broker.file("a.txt", b"hello");
    broker.file("setup.exe", b"b");

    let ended = broker.upload(&["--json", "a.txt", "setup.exe", "missing.txt"]);

    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""));
    let objects = ended.objects();
    let of = |path: &str| objects.iter().find(|object| object["path"] == path).unwrap();
    let active = of("a.txt");
    assert_eq!((&active["ok"], &active["file"]["state"], &active["file"]["size"]), (&json!(true), &json!("active"), &json!(5)));
    let refused = of("setup.exe");
    assert_eq!((&refused["ok"], &refused["step"], &refused["status"]), (&json!(false), &json!("authorize"), &json!(400)));
    let missing = of("missing.txt");
    assert_eq!((&missing["step"], &missing["status"], &missing["error"]), (&json!("read"), &json!(null), &json!("there is no such file")));
    assert_eq!(objects.len(), 3);
}

#[test]
fn a_name_with_quotes_and_letters_of_many_scripts_arrives() {
    let broker = Served::start();
    let name = "Größe \"日本\" 'ß' 100%; a=b.txt";
    broker.file(name, b"hello");

    let ended = broker.upload(&["--json", name]);

    let objects = ended.objects();
    assert_eq!((ended.code, &objects[0]["path"], &objects[0]["file"]["state"]), (Some(0), &json!(name), &json!("active")));
    assert!(objects[0]["file"]["filename"].as_str().unwrap().starts_with("Größe"), "{objects:?}");
}

#[test]
fn a_checksum_is_computed_and_accepted() {
    let broker = Served::start();
    broker.file("a.bin", &vec![7; 1_000_000]);
    let ended = broker.upload(&["--checksum", "a.bin"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[cfg(target_os = "linux")]
#[test]
fn memory_stays_flat_however_large_the_file() {
    let broker = Served::start();
    std::fs::File::create(broker.folder.path().join("large.zip")).unwrap().set_len(300 * 1024 * 1024).unwrap();
    let mut process = broker.client(&["--type", "artifact", "large.zip"]).stdout(Stdio::null()).spawn().unwrap();

    let mut peak_kib = 0;
    let status = loop {
        if let Some(status) = process.try_wait().unwrap() {
            break status;
        }
        let report = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap_or_default();
        let peak = report.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak_kib = peak_kib.max(peak.unwrap_or(0));
        std::thread::yield_now();
    };

    assert!(status.success());
    assert!((1..64 * 1024).contains(&peak_kib), "{peak_kib} KiB at most");
}

#[test]
fn a_broker_that_is_not_there_is_named_with_what_to_do_about_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), b"a").unwrap();
    // Bound and dropped: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = format!("http://127.0.0.1:{port}");

    let ended = Ended::from(client(folder.path(), &server, &["a.txt"]).env("DROPSLIP_TOKEN", "a-token").output().unwrap());

    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.starts_with(&format!("a.txt: authorize: no broker at {server}: ")), "{}", ended.stderr);
    assert!(ended.stderr.contains("dropslip serve"));
}

#[test]
fn a_token_that_is_not_accepted_is_named_by_where_it_comes_from_and_never_shown() {
    let broker = Served::start();
    broker.file("a.txt", b"a");
    broker.file("my-token", b"hunter2");

    let from_file = broker.upload(&["--token-file", "my-token", "a.txt"]);
    let from_environment = Ended::from(broker.client(&["a.txt"]).env("DROPSLIP_TOKEN", "hunter2").output().unwrap());

    for (ended, origin) in [(from_file, "my-token"), (from_environment, "DROPSLIP_TOKEN")] {
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains(&format!("does not accept the token from {origin}")), "{}", ended.stderr);
        assert!(!format!("{ended:?}").contains("hunter2"));
    }
}

#[test]
fn the_development_token_is_for_this_machine_only() {
    let broker = Served::start();
    broker.file("a.txt", b"a");
    assert_eq!(broker.upload(&["a.txt"]).code, Some(0), "it is found");
    let elsewhere = Ended::from(client(broker.folder.path(), "https://example.com", &["a.txt"]).output().unwrap());
    assert!(elsewhere.code == Some(1) && elsewhere.stderr.contains("there is no token"), "{elsewhere:?}");
}

#[test]
fn bad_arguments_end_with_2() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&[][..], &["--jobs", "0", "a"], &["--jobs", "33", "a"], &["--token", "secret", "a"]] {
        let ended = Ended::from(client(folder.path(), "http://127.0.0.1:1", arguments).output().unwrap());
        assert_eq!(ended.code, Some(2), "{arguments:?}");
    }
}

/// A broker and a store in one that answer as they are told, and remember what they were asked.
#[derive(Clone, Default)]
struct Peers(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    url: String,
    /// Status and body of the next answers of each; none left: success.
    authorize: VecDeque<(u16, &'static str)>,
    database: VecDeque<(u16, &'static str)>,
    confirm: VecDeque<(u16, &'static str)>,
    slips: usize,
    confirmations: usize,
    forms: Vec<(HeaderMap, String)>,
}

/// What no output may hold.
const FORM_SECRET: &str = "the-signed-policy";
const TOKEN: &str = "the-token";

impl Peers {
    async fn start(&self) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.0.lock().await.url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/v2/files/ref.json", post(Self::authorize))
            .route("/v2/files/7.json", patch(Self::confirm))
            .route("/bucket", post(Self::database))
            .route("/elsewhere", post(Self::database))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
    }

    async fn authorize(State(peers): State<Self>) -> Response {
        let mut script = peers.0.lock().await;
        script.slips += 1;
        if let Some(answer) = script.authorize.pop_front() {
            return told(answer);
        }
        let slip = format!(
            r#"{{"url":"{}/bucket","params":{{"z":"1","key":"temp/k","Content-Type":"text/plain","policy":"{FORM_SECRET}"}},"file":{{"id":7}}}}"#,
            script.url
        );
        (StatusCode::CREATED, slip).into_response()
    }

    async fn database(State(peers): State<Self>, headers: HeaderMap, body: Bytes) -> Response {
        let mut script = peers.0.lock().await;
        script.forms.push((headers, String::from_utf8_lossy(&body).into_owned()));
        script.database.pop_front().map_or_else(|| StatusCode::CREATED.into_response(), told)
    }

    async fn confirm(State(peers): State<Self>) -> Response {
        let mut script = peers.0.lock().await;
        script.confirmations += 1;
        let good = (200, r#"{"file":{"id":7,"state":"active","size":5}}"#);
        let answer = script.confirm.pop_front().unwrap_or(good);
        told(answer)
    }

    /// How many slips, forms and confirmations they were asked for.
    async fn asked(&self) -> (usize, usize, usize) {
        let script = self.0.lock().await;
        (script.slips, script.forms.len(), script.confirmations)
    }

    /// Uploads one small file to them.
    async fn upload(&self) -> Ended {
        self.start().await;
        let server = self.0.lock().await.url.clone();
        let run = move || {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("a.txt"), b"hello").unwrap();
            Ended::from(client(folder.path(), &server, &["--json", "a.txt"]).env("DROPSLIP_TOKEN", TOKEN).output().unwrap())
        };
        let ended = tokio::task::spawn_blocking(run).await.unwrap();
        let said = format!("{ended:?}");
        assert!(!said.contains(TOKEN) && !said.contains(FORM_SECRET), "{said}");
        ended
    }
}

fn told((status, body): (u16, &'static str)) -> Response {
    let headers = [(header::RETRY_AFTER, "0"), (header::LOCATION, "/elsewhere")];
    (StatusCode::from_u16(status).unwrap(), headers, body).into_response()
}

const EXPIRED: (u16, &str) =
    (403, "<Error><Code>AccessDenied</Code><Message>Invalid according to Policy: Policy expired.</Message></Error>");
/// In the words of Garage.
const IN_THE_PAST: (u16, &str) =
    (400, "<Error><Code>InvalidRequest</Code><Message>Bad request: Expiration date is in the past</Message></Error>");
const BROKEN: (u16, &str) = (500, "<Error><Code>InternalError</Code><Message>We failed.</Message></Error>");

#[tokio::test]
async fn the_form_has_its_fields_in_order_the_file_last_a_length_and_no_token() {
    let peers = Peers::default();
    let ended = peers.upload().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let script = peers.0.lock().await;
    let (headers, body) = &script.forms[0];
    assert_eq!(headers[header::CONTENT_LENGTH], body.len().to_string());
    assert!(!headers.contains_key(header::AUTHORIZATION) && !headers.contains_key(header::TRANSFER_ENCODING));
    let names: Vec<&str> = body.split(" name=\"").skip(1).filter_map(|part| part.split('"').next()).collect();
    assert_eq!(names, ["z", "key", "Content-Type", "policy", "file"]);
    assert!(body.contains("\r\n\r\nhello\r\n--"));
}

#[tokio::test]
async fn a_broker_that_is_busy_is_asked_again_and_not_for_ever() {
    let peers = Peers::default();
    peers.0.lock().await.authorize.extend([(503, ""), (502, "")]);
    peers.0.lock().await.confirm.extend([(504, "")]);
    assert_eq!(peers.upload().await.code, Some(0));
    assert_eq!(peers.asked().await, (3, 1, 2));

    let peers = Peers::default();
    peers.0.lock().await.confirm.extend([(503, r#"{"errors":{"server":["not available now, try again"]}}"#); 4]);
    let ended = peers.upload().await;
    let object = &ended.objects()[0];
    assert_eq!((ended.code, &object["step"], &object["status"]), (Some(1), &json!("confirm"), &json!(503)));
    assert!(object["error"].as_str().unwrap().ends_with("server not available now, try again"));
    assert_eq!(peers.asked().await, (1, 1, 3));
}

#[tokio::test]
async fn a_refusal_is_not_asked_again() {
    let peers = Peers::default();
    peers.0.lock().await.confirm.extend([(422, r#"{"errors":{"size":["must be 5"],"mimeType":["must be true"]}}"#)]);
    let ended = peers.upload().await;
    let object = &ended.objects()[0];
    assert_eq!((&object["step"], &object["error"]), (&json!("confirm"), &json!("refused: mimeType must be true; size must be 5")));
    assert_eq!(peers.asked().await, (1, 1, 1));
}

#[tokio::test]
async fn a_store_that_fails_gets_the_same_form_once_more() {
    let peers = Peers::default();
    peers.0.lock().await.database.extend([BROKEN]);
    assert_eq!(peers.upload().await.code, Some(0));
    {
        let script = peers.0.lock().await;
        assert_eq!((script.slips, script.forms.len()), (1, 2));
        assert!(script.forms[1].1.contains("\r\n\r\nhello\r\n--"));
    }

    let peers = Peers::default();
    peers.0.lock().await.database.extend([BROKEN; 3]);
    let ended = peers.upload().await;
    let object = &ended.objects()[0];
    assert_eq!((ended.code, &object["step"], &object["status"]), (Some(1), &json!("upload"), &json!(500)));
    assert!(object["error"].as_str().unwrap().ends_with("InternalError: We failed."));
    assert_eq!(peers.asked().await, (1, 2, 0));
}

#[tokio::test]
async fn an_expired_form_is_replaced_once() {
    for expired in [EXPIRED, IN_THE_PAST] {
        let peers = Peers::default();
        peers.0.lock().await.database.extend([expired]);
        assert_eq!(peers.upload().await.code, Some(0));
        assert_eq!(peers.asked().await, (2, 2, 1));
    }

    let peers = Peers::default();
    peers.0.lock().await.database.extend([EXPIRED; 3]);
    let ended = peers.upload().await;
    assert_eq!((ended.code, &ended.objects()[0]["status"]), (Some(1), &json!(403)));
    assert_eq!(peers.asked().await, (2, 2, 0));
}

#[tokio::test]
async fn a_form_and_a_token_follow_no_redirect() {
    let peers = Peers::default();
    peers.0.lock().await.database.extend([(307, "")]);
    let ended = peers.upload().await;
    assert_eq!((ended.code, &ended.objects()[0]["status"]), (Some(1), &json!(307)));
    assert_eq!(peers.asked().await, (1, 1, 0));

    let peers = Peers::default();
    peers.0.lock().await.authorize.extend([(308, "")]);
    let ended = peers.upload().await;
    assert_eq!((ended.code, &ended.objects()[0]["step"], &ended.objects()[0]["status"]), (Some(1), &json!("authorize"), &json!(308)));
    assert_eq!(peers.asked().await, (1, 0, 0));
}
