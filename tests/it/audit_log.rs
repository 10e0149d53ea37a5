//! Who did what to which file: written with the change, never changed, and readable.

use dropslip::domain::{Action, FileId, sqlite_url};
use dropslip::store::{AuditFilter, Audited};
use serde_json::{Value, json};
use sqlx::Executor as _;
use time::OffsetDateTime;

use crate::harness::{Bed, Db, Setup, TestBroker, database};
use crate::process::{run, text};

async fn lines(broker: &TestBroker, filter: AuditFilter) -> Vec<Audited> {
    broker.store.audit_log(&filter, 100).await.unwrap()
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
            let reasons = ["audit_log is append-only", "audit_log chooses its numbers itself", "audit_log_pkey"];
            assert!(reasons.iter().any(|reason| why.contains(reason)), "{attempt}: {why}");
        }
        let log = run(folder.path(), &[("DROPSLIP_DATABASE_URL", url.as_str())], &["audit-log", "--json"]);
        assert_eq!(text(&log.stdout).lines().count(), 1);
    }
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
    for bad in [["--file", "x"], ["--actor", "x"], ["--action", "x"], ["--since", "x"], ["--limit", "0"]] {
        assert_eq!(log(&bad).0, 2, "{bad:?}");
    }
}
