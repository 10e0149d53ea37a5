//! Who did what to which file: written with the change, never changed, and readable.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use dropslip::database::{AuditFilter, Audited};
use dropslip::domain::{Action, FileId, sqlite_url};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _};
use time::OffsetDateTime;

use crate::harness::{Bed, Db, Setup, TestBroker, count, database, execute};
use crate::process::{dropslip as command, run, text};

async fn lines(broker: &TestBroker, filter: AuditFilter) -> Vec<Audited> {
    broker.database.audit_log(&filter, 100).await.unwrap()
}

/// Actions on a file, oldest first, with who did it.
async fn history(broker: &TestBroker, id: i64) -> Vec<(String, Option<i64>)> {
    let filter = AuditFilter { file: Some(FileId(id)), ..AuditFilter::default() };
    lines(broker, filter).await.into_iter().rev().map(|line| (line.action, line.actor.map(|actor| actor.id))).collect()
}

async fn every_change_leaves_a_line(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).setting("DROPSLIP_DELETED_RETENTION", "1h").start().await;
    let slip = broker.text_slip().await;
    let path = format!("/v2/files/{}.json", slip.id);
    let put = broker.s3.put_object().bucket(&broker.bucket).key(slip.param("key")).content_type("text/html");
    put.body(b"<script>".to_vec().into()).send().await.unwrap();
    assert_eq!(broker.confirm(slip.id).await.0, 422);
    broker.drop_bytes(&slip, b"Hello").await;
    assert_eq!(broker.confirm(slip.id).await.0, 200);
    assert_eq!(broker.confirm(slip.id).await.0, 200, "which changes nothing");
    assert_eq!(broker.call("PATCH", &path, Some(&json!({"filename": "other.txt"}))).await.0, 200);
    let tickets = "/v2/tickets/7/files";
    for _ in 0..2 {
        assert_eq!(broker.call("PUT", &format!("{tickets}.json"), Some(&json!({"ids": [slip.id]}))).await.0, 200);
    }
    assert_eq!(broker.request("DELETE", &format!("{tickets}/{}.json", slip.id)).send().await.unwrap().status(), 204);
    let other = TestBroker { token: broker.new_token("default", 9, "files:read,files:write,files:delete").await, ..broker };
    for _ in 0..2 {
        assert_eq!(other.request("DELETE", &path).send().await.unwrap().status(), 204);
    }
    assert_eq!(other.call("POST", &format!("/v2/files/{}/restore.json", slip.id), None).await.0, 200);
    assert_eq!(other.request("DELETE", &path).send().await.unwrap().status(), 204);
    let unconfirmed = other.text_slip().await;
    other.drop_bytes(&unconfirmed, b"the confirmation got lost").await;
    other.server.broker.sweep(OffsetDateTime::now_utc() + time::Duration::days(2)).await.unwrap();

    let told = history(&other, slip.id).await;
    let expected = [
        ("file.rejected", Some(1)),
        ("file.activated", Some(1)),
        ("file.renamed", Some(1)),
        ("file.attached", Some(1)),
        ("file.detached", Some(1)),
        ("file.deleted", Some(9)),
        ("file.restored", Some(9)),
        ("file.deleted", Some(9)),
        ("file.purged", None),
    ];
    assert_eq!(told, expected.map(|(action, actor)| (action.to_owned(), actor)));
    let all = lines(&other, AuditFilter { file: Some(FileId(slip.id)), ..AuditFilter::default() }).await;
    assert!(all[8].details["reasons"]["mimeType"][0].is_string(), "{:?}", all[8]);
    assert_eq!((&all[6].details["filename"], &all[6].details["before"]["filename"]), (&json!("other.txt"), &json!("note.txt")));
    assert_eq!(all[0].details["via"], "sweep");
    let swept = lines(&other, AuditFilter { file: Some(FileId(unconfirmed.id)), ..AuditFilter::default() }).await;
    assert_eq!(
        (swept.len(), swept[0].action.as_str(), swept[0].actor, &swept[0].details["via"]),
        (1, "file.activated", None, &json!("sweep"))
    );
    let tokens = lines(&other, AuditFilter { action: Some(Action::TokenCreated), ..AuditFilter::default() }).await;
    assert_eq!((tokens.len(), &tokens[0].details["for"]), (2, &json!({"id": 9, "type": "users"})));
    let elsewhere = AuditFilter { tenant: Some("acme".parse().unwrap()), ..AuditFilter::default() };
    assert_eq!(lines(&other, elsewhere).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_leaves_a_line_on_sqlite() {
    every_change_leaves_a_line(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_leaves_a_line_on_postgres() {
    every_change_leaves_a_line(Db::Postgres).await;
}

/// Whoever has the database's password can do anything in the end; but nothing by mistake, and no statement of the program.
#[tokio::test(flavor = "multi_thread")]
async fn no_line_is_ever_changed_or_taken_out() {
    let folder = tempfile::tempdir().unwrap();
    for db in [Db::Sqlite, Db::Postgres] {
        let url = database(db, &folder).await;
        let made = run(folder.path(), &[("DROPSLIP_DATABASE_URL", url.as_str())], &["token", "create", "--user", "1"]);
        assert!(made.status.success(), "{}", text(&made.stderr));
        let columns = "(id, at, tenant, action, details) VALUES (1, {now}, 'default', 'token.created', '{}')";
        let mut attempts = vec!["UPDATE audit_log SET action = 'x'", "DELETE FROM audit_log", "DELETE FROM audit_log WHERE id = 1"];
        let replace = format!("INSERT OR REPLACE INTO audit_log {}", columns.replace("{now}", "0"));
        let overriding =
            format!("INSERT INTO audit_log {}", columns.replace("{now}", "now()").replace(") VALUES", ") OVERRIDING SYSTEM VALUE VALUES"));
        let then = match db {
            Db::Sqlite => "(unixepoch() - 29 * 86400) * 1000000",
            Db::Postgres => "now() - interval '29 days'",
        };
        let young = format!("INSERT INTO audit_retention (only_one, before) VALUES (1, {then})");
        attempts.push(&young);
        match db {
            Db::Sqlite => attempts.push(&replace),
            Db::Postgres => attempts.extend(["TRUNCATE audit_log", overriding.as_str()]),
        }
        for attempt in attempts {
            let sql = sqlx::AssertSqlSafe(attempt);
            let refused = match db {
                Db::Sqlite => {
                    sqlx::SqlitePool::connect(&url).await.unwrap().execute(sqlx::query(sql)).await.map(|done| done.rows_affected())
                }
                Db::Postgres => sqlx::PgPool::connect(&url).await.unwrap().execute(sqlx::query(sql)).await.map(|done| done.rows_affected()),
            };
            let why = refused.expect_err(attempt).to_string();
            let reasons =
                ["audit_log is append-only", "audit_log chooses its numbers itself", "audit_log_pkey", "audit_log keeps its lines"];
            assert!(reasons.iter().any(|reason| why.contains(reason)), "{attempt}: {why}");
        }
        let log = run(folder.path(), &[("DROPSLIP_DATABASE_URL", url.as_str())], &["audit-log", "--json"]);
        assert_eq!(text(&log.stdout).lines().count(), 1);
    }
}

/// So many lines of 40 days ago, of 31 and of 29.
async fn old_lines(url: &str, db: Db, each: u32) {
    for days in [40, 31, 29] {
        let (then, numbers) = match db {
            Db::Sqlite => (
                format!("(unixepoch() - {days} * 86400) * 1000000"),
                "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < EACH) SELECT",
            ),
            Db::Postgres => (format!("now() - interval '{days} days'"), "WITH n (i) AS (SELECT generate_series(1, EACH)) SELECT"),
        };
        let numbers = numbers.replace("EACH", &each.to_string());
        let insert = format!(
            "INSERT INTO audit_log (at, tenant, action, file_id, details) {numbers} {then}, 'old', 'file.renamed', {days}, '{{}}' FROM n"
        );
        execute(url, &insert).await;
    }
}

async fn old_lines_go_by_the_sweeper_and_only_where_that_is_set(db: Db) {
    for (setting, left) in [(None, [1500, 1500, 1500]), (Some("35d"), [0, 1500, 1500]), (Some("30d"), [0, 0, 1500])] {
        let mut setup = Setup::on(Bed::Embedded).database(db);
        if let Some(retention) = setting {
            setup = setup.setting("DROPSLIP_AUDIT_RETENTION", retention);
        }
        let broker = setup.start().await;
        let url = broker.database_url.clone();
        old_lines(&url, db, 1500).await;
        broker.server.broker.sweep(OffsetDateTime::now_utc()).await.unwrap();
        let of = async |days: u32| count(&url, &format!("SELECT COUNT(*) FROM audit_log WHERE file_id = {days}")).await;
        assert_eq!([of(40).await, of(31).await, of(29).await], left, "{setting:?}");
        assert_eq!(count(&url, "SELECT COUNT(*) FROM audit_log WHERE action = 'token.created'").await, 1, "what is new stays");
        assert_eq!(count(&url, "SELECT COUNT(*) FROM audit_retention").await, 0, "nothing is allowed after it");
        let attempt = "DELETE FROM audit_log WHERE file_id = 29";
        let refused = tokio::spawn(async move { execute(&url, attempt).await }).await;
        assert!(refused.is_err(), "nobody else takes a line out");
    }
}

async fn two_sweepers_take_each_old_line_once(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    old_lines(&broker.database_url, db, 700).await;
    let other = dropslip::database::Database::open(&broker.database_url).await.unwrap();
    let before = OffsetDateTime::now_utc() - time::Duration::days(30);
    let takes = async |database: &dropslip::database::Database| {
        let mut gone = 0;
        for _ in 0..4 {
            gone += database.forget_audited(before, 500).await.unwrap();
        }
        gone
    };
    let (one, two) = tokio::join!(takes(&broker.database), takes(&other));
    assert_eq!(one + two, 1400);
}

/// The command as it goes on, and the numbers that it shows.
struct Following {
    child: Child,
    lines: tokio::sync::mpsc::UnboundedReceiver<i64>,
}

impl Following {
    fn start(folder: &Path, url: &str, arguments: &[&str]) -> Self {
        let mut command = command(folder, &[("DROPSLIP_DATABASE_URL", url)]);
        command.args(["audit-log", "--follow", "--json"]).args(arguments).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let shown = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = tokio::sync::mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in shown.lines() {
                let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
                if sender.send(line["number"].as_i64().unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    async fn next(&mut self) -> i64 {
        tokio::time::timeout(Duration::from_secs(30), self.lines.recv()).await.unwrap().unwrap()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn every_line_is_followed_in_order(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let url = broker.database_url.clone();
    old_lines(&url, db, 1100).await;
    let mut all = Following::start(broker.folder.path(), &url, &["--after", "0"]);
    for number in 1..=3301 {
        assert_eq!(all.next().await, number);
    }
    let mut new = Following::start(broker.folder.path(), &url, &["--limit", "2"]);
    let mut some = Following::start(broker.folder.path(), &url, &["--limit", "1", "--tenant", "default"]);
    assert_eq!([new.next().await, new.next().await, some.next().await], [3300, 3301, 1]);
    old_lines(&url, db, 1).await;
    broker.new_token("default", 2, "files:read").await;
    for number in 3302..=3305 {
        assert_eq!([all.next().await, new.next().await], [number, number]);
    }
    assert_eq!(some.next().await, 3305);
}

on_both_engines!(
    old_lines_go_by_the_sweeper_and_only_where_that_is_set,
    two_sweepers_take_each_old_line_once,
    every_line_is_followed_in_order
);

/// Postgres gives out numbers before lines are seen: one that is seen late has a lower number than those that were seen already.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_seen_late_is_not_passed_over() {
    let broker = Setup::on(Bed::Embedded).database(Db::Postgres).start().await;
    let url = broker.database_url.clone();
    let mut followed = Following::start(broker.folder.path(), &url, &["--after", "0"]);
    assert_eq!(followed.next().await, 1);
    let mut late = sqlx::PgConnection::connect(&url).await.unwrap();
    late.execute("BEGIN").await.unwrap();
    late.execute("INSERT INTO doomed_objects (key, delete_after) VALUES ('late', now())").await.unwrap();
    let line = "INSERT INTO audit_log (at, tenant, action, details) VALUES (now(), 'late', 'token.created', '{}')";
    late.execute(line).await.unwrap();
    execute(&url, line).await;
    let page = || {
        let settings = [("DROPSLIP_DATABASE_URL", url.as_str())];
        let shown = run(broker.folder.path(), &settings, &["audit-log", "--json"]);
        text(&shown.stdout).lines().count()
    };
    assert_eq!(page(), 2, "the second line can be seen");
    let nothing = tokio::time::timeout(Duration::from_secs(3), followed.lines.recv()).await;
    assert!(nothing.is_err(), "but it is not told before the first: {nothing:?}");
    late.execute("COMMIT").await.unwrap();
    assert_eq!([followed.next().await, followed.next().await], [2, 3]);
    let settings = [("DROPSLIP_DATABASE_URL", url.as_str())];
    let onward = run(broker.folder.path(), &settings, &["audit-log", "--json", "--after", "1", "--limit", "1"]);
    let first: Value = serde_json::from_str(&text(&onward.stdout)).unwrap();
    assert_eq!(first["number"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_filters_pages_and_shows_nothing_that_moves_a_terminal() {
    let broker = Setup::on(Bed::Embedded).start().await;
    let database = sqlite_url(&broker.folder.path().join("test.db"));
    let log = |arguments: &[&str]| {
        let output = run(broker.folder.path(), &[("DROPSLIP_DATABASE_URL", &database)], &[&["audit-log"], arguments].concat());
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let hostile = "a\u{202e}txt.exe\u{2066} \u{200b}b.txt";
    let mut ids = Vec::new();
    for _ in 0..3 {
        let body = json!({"type": "attachment", "filename": hostile, "mimeType": "text/plain", "disposition": "attachment"});
        let slip = broker.authorize(&body).await;
        broker.drop_bytes(&slip, b"Hello").await;
        assert_eq!(broker.confirm(slip.id).await.0, 200);
        ids.push(slip.id);
    }
    let (code, shown, hint) = log(&["--action", "file.activated", "--limit", "2"]);
    assert_eq!((code, shown.lines().count()), (0, 3), "{shown}");
    assert!(!shown.contains(['\u{1b}', '\u{202e}', '\u{2066}', '\u{200b}']), "{shown}");
    let older = hint.trim().rsplit(' ').next().unwrap();
    let (_, rest, _) = log(&["--action", "file.activated", "--before", older, "--json"]);
    let rest: Vec<Value> = rest.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((rest.len(), &rest[0]["file"]), (1, &json!(ids[0])));
    let count = |arguments: &[&str]| log(&[arguments, &["--json"]].concat()).1.lines().count();
    let id = ids[1].to_string();
    assert_eq!(count(&["--file", &id]), 1);
    assert_eq!(count(&["--file", &id, "--tenant", "acme"]), 0);
    assert_eq!(count(&["--tenant", "default"]), 4);
    assert_eq!((count(&["--actor", "users:1"]), count(&["--actor", "users:2"]), count(&["--actor", "system"])), (3, 0, 1));
    assert_eq!((count(&["--since", "1h"]), count(&["--until", "1h"]), count(&["--since", "2000-01-01T00:00:00Z"])), (4, 0, 4));
    for bad in [["--file", "x"], ["--actor", "x"], ["--action", "x"], ["--since", "x"], ["--limit", "0"], ["--after", "x"]] {
        assert_eq!(log(&bad).0, 2, "{bad:?}");
    }
}
