//! Whoever reads what a command says may go at any time: no command panics, and none changes its mind by that.

use std::fs::{self, File, OpenOptions};
use std::io::pipe;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use dropslip::domain::sqlite_url;
use sqlx::{Connection as _, SqliteConnection};

use crate::process::{Serving, text};

/// More than a pipe holds.
const LINES: u32 = 10_000;

const SETTINGS: [(&str, &str); 4] = [
    ("DROPSLIP_LISTEN", "127.0.0.1:0"),
    ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0"),
    ("DROPSLIP_CORS_ORIGINS", "https://app.example.com"),
    ("DROPSLIP_WEBHOOKS_FILE", "webhooks.toml"),
];

fn dropslip(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dropslip"));
    command.env_clear().envs(SETTINGS).current_dir(folder).args(arguments).stdin(Stdio::null());
    command
}

/// The end of a pipe that nobody reads.
fn unread() -> Stdio {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    writer.into()
}

fn assert_calm(arguments: &[&str], output: &Output, code: i32) {
    let errors = text(&output.stderr);
    assert!(!errors.contains("panicked") && !errors.contains("os error 32"), "{arguments:?}: {errors}");
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
}

/// A folder with a database in which there is much to tell.
async fn much_to_tell() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let entry = "[[endpoint]]\nname = \"a\"\nurl = \"https://example.com/\"\nsecrets = [\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]\n";
    fs::write(folder.path().join("webhooks.toml"), entry).unwrap();
    for _ in 0..3 {
        assert!(dropslip(folder.path(), &["token", "create", "--user", "1"]).output().unwrap().status.success());
    }
    // It must be about a bucket to be audited.
    assert!(dropslip(folder.path(), &["sweep", "--once"]).output().unwrap().status.success());
    let url = sqlite_url(&folder.path().join("data/dropslip.db"));
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    let numbers = format!("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {LINES})");
    for table in [
        "audit_log (at, tenant, action, file_id, details) SELECT i, 'default', 'file.activated', i, '{}'",
        "events (event_id, endpoint, tenant, type, file_id, payload, state, created_at, next_attempt_at, finished_at) \
         SELECT 'evt_' || i, 'a', 'default', 'file.activated', i, '{}', 'dead', i, i, i",
    ] {
        let sql = sqlx::AssertSqlSafe(format!("INSERT INTO {} FROM n", table.replacen(") SELECT", &format!(") {numbers} SELECT"), 1)));
        sqlx::query(sql).execute(&mut database).await.unwrap();
    }
    database.close().await.unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_come_to_the_same_end_when_nobody_reads_on() {
    let folder = much_to_tell().await;
    let commands: [&[&str]; 18] = [
        &["audit-log", "--limit", "10000"],
        &["audit-log", "--limit", "10000", "--json"],
        &["audit-log", "--limit", "7"],
        &["events", "list", "--limit", "10000"],
        &["events", "list", "--limit", "7", "--json"],
        &["events", "show", "evt_7"],
        &["events", "show", "evt_nothing"],
        &["events", "endpoints"],
        &["token", "list"],
        &["config"],
        &["policy", "check"],
        &["policy", "explain", "--type", "attachment", "--filename", "a.txt", "--mime-type", "text/plain"],
        &["policy", "explain", "--type", "nothing", "--filename", "a.txt"],
        &["sweep", "--dry-run"],
        &["audit"],
        &["lifecycle", "print"],
        &["cors", "print"],
        &["--help"],
    ];
    for arguments in commands {
        let read = dropslip(folder.path(), arguments).output().unwrap();
        let code = read.status.code().unwrap();
        assert!(code < 2 && !(read.stdout.is_empty() && read.stderr.is_empty()), "{arguments:?}: {read:?}");
        assert_calm(arguments, &dropslip(folder.path(), arguments).stdout(unread()).output().unwrap(), code);
        assert_calm(arguments, &dropslip(folder.path(), arguments).stdout(unread()).stderr(unread()).output().unwrap(), code);
    }
    // As a shell does it, where the reader goes in the middle.
    let script = format!("{} audit-log --limit 10000 | head -1; echo ${{PIPESTATUS[0]}}", env!("CARGO_BIN_EXE_dropslip"));
    let mut shell = Command::new("bash");
    let output =
        shell.args(["-c", &script]).env_clear().envs([("PATH", "/usr/bin:/bin")]).envs(SETTINGS).current_dir(folder.path()).output();
    let output = output.unwrap();
    let said = text(&output.stdout);
    assert!(said.starts_with("number ") && said.ends_with("\n0\n") && said.lines().count() == 2, "{said}");
    assert!(!text(&output.stderr).contains("panicked"), "{}", text(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_a_token_that_nobody_took_too() {
    let folder = much_to_tell().await;
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    for arguments in [&["audit-log"][..], &["config"], &["token", "list"], &["audit"]] {
        let output = dropslip(folder.path(), arguments).stdout(full()).output().unwrap();
        assert_calm(arguments, &output, 1);
        assert!(text(&output.stderr).contains("stdout: No space left on device"), "{arguments:?}: {}", text(&output.stderr));
    }
    let output = dropslip(folder.path(), &["token", "create", "--user", "1"]).stdout(unread()).output().unwrap();
    let errors = text(&output.stderr);
    assert!(output.status.code() == Some(1) && errors.contains("nobody took the token: `dropslip token revoke 4`"), "{errors}");
}

/// Waits until the log says where it serves.
fn serving(log: &Path) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let said = fs::read_to_string(log).unwrap();
        let line =
            said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).find(|line| line["message"] == "serving");
        if let Some(line) = line {
            return format!("http://{}", line["address"].as_str().unwrap());
        }
        assert!(Instant::now() < deadline, "it does not serve: {said}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_serves_and_a_client_uploads_when_nobody_reads_what_they_say() {
    let folder = much_to_tell().await;
    let log = folder.path().join("log");
    let mut command = dropslip(folder.path(), &["serve"]);
    let mut child = command.stdout(unread()).stderr(File::create(&log).unwrap()).spawn().unwrap();
    let url = serving(&log);
    let token = fs::read_to_string(folder.path().join("data/development-token")).unwrap();
    let upload = |files: &[&str]| {
        let mut command = dropslip(folder.path(), &[&["upload"], files].concat());
        command.envs([("DROPSLIP_SERVER", url.as_str()), ("DROPSLIP_TOKEN", token.trim())]);
        command
    };
    for name in ["a.txt", "b.txt", "c.txt"] {
        fs::write(folder.path().join(name), name).unwrap();
    }
    assert_calm(&["upload"], &upload(&["a.txt", "b.txt"]).stdout(unread()).output().unwrap(), 0);
    assert_calm(&["upload"], &upload(&["c.txt", "d.txt"]).stdout(unread()).stderr(unread()).output().unwrap(), 1);
    let page: serde_json::Value =
        reqwest::Client::new().get(format!("{url}/v2/files.json")).bearer_auth(token.trim()).send().await.unwrap().json().await.unwrap();
    assert_eq!(page["files"].as_array().unwrap().len(), 3, "what is asked for is done: {page}");
    assert!(Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", fs::read_to_string(&log).unwrap());

    // Its log goes nowhere either.
    let serving = Serving::logging_to(unread(), folder.path(), &SETTINGS, "dropslip listens on ");
    let answer = reqwest::get(format!("{}/v2/files.json", serving.url())).await.unwrap();
    assert_eq!(answer.status(), 401, "a refusal is logged, and answered although that cannot be");
    assert_eq!(serving.terminate().0, 0);
}
