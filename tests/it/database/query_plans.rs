//! No query reads more than it needs, however many files there are: each is asked for its plan.
//!
//! The statements are those that the program sends: it runs on a database with files of every kind, does what it can do, and the
//! database library logs what passes through it. So a new statement is looked at as soon as something here makes the program send it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, Row as _, SqliteConnection};

use crate::harness::{Db, answer, database, execute, from_servers, new_file, project, slip};
use crate::process::{Serving, run, text};

/// Tables that grow.
const LARGE: [&str; 9] =
    ["files", "doomed_objects", "idempotency_keys", "ticket_files", "tokens", "audit_log", "events", "reserved_forms", "reserved_bytes"];

/// What the program must be seen to send, by words of it, and the index that must serve it: of SQLite, of Postgres. With a bar between them,
/// one does as well as the other.
const EXPECTED: [(&str, &str, &str); 59] = [
    // Step 1.
    ("FROM tokens WHERE lookup = $1", "sqlite_autoindex_tokens_1", "tokens_lookup_key"),
    (COUNTS, "SEARCH files USING COVERING INDEX files_expiring", "files_expiring"),
    ("ORDER BY expires_at LIMIT 1 OFFSET", "SEARCH files USING COVERING INDEX files_expiring", "files_expiring"),
    (
        "FROM idempotency_keys WHERE tenant = $1",
        "PRIMARY KEY (tenant=? AND actor_kind=? AND actor_id=? AND key=?)",
        "idempotency_keys_pkey",
    ),
    ("INSERT INTO reserved_bytes", "PRIMARY KEY (tenant=? AND actor_kind=? AND actor_id=? AND ends_at>?)", "reserved_bytes_pkey"),
    ("DELETE FROM reserved_forms WHERE staging_key = ", "PRIMARY KEY (staging_key=?)", "reserved_forms_pkey"),
    (
        "UPDATE reserved_bytes",
        "PRIMARY KEY (tenant=? AND actor_kind=? AND actor_id=? AND ends_at=?)",
        "reserved_bytes_pkey|reserved_bytes_ended",
    ),
    ("INSERT INTO reserved_forms (staging_key, tenant, actor_kind, actor_id, bytes, ends_at) SELECT", "files_expiring", "files_expiring"),
    // One file, and what changes one.
    ("FROM files WHERE id = $1 AND tenant = $2", "INTEGER PRIMARY KEY (rowid=?)", "files_pkey"),
    ("FROM files WHERE staging_key = $1 AND tenant = $2", "files_staging (staging_key=?)", "files_staging"),
    ("UPDATE files SET state = $1", "INTEGER PRIMARY KEY (rowid=?)", "files_pkey|files_staging"),
    ("UPDATE files SET staging_key = $1", "INTEGER PRIMARY KEY (rowid=?)", "files_pkey|files_staging|files_expiring"),
    ("UPDATE files SET name = $1", "INTEGER PRIMARY KEY (rowid=?)", "files_pkey"),
    ("UPDATE files SET state = 'deleted'", "INTEGER PRIMARY KEY (rowid=?)", "files_pkey|files_kept"),
    ("UPDATE files SET state = 'active'", "INTEGER PRIMARY KEY (rowid=?)", "files_pkey"),
    ("UPDATE files SET upload_id = $1", "INTEGER PRIMARY KEY (rowid=?)", "files_pkey|files_staging"),
    ("DELETE FROM doomed_objects WHERE key = $1 AND leased_until IS NULL", "PRIMARY KEY (key=?)", "doomed_objects_pkey"),
    // Lists.
    ("WHERE tenant = $1 AND state = 'active' AND -id > $2", "files_active (tenant=? AND <expr>>?)", "files_active"),
    (
        "AND created_by_kind = 'customers' AND created_by_id = $2 AND -id > $3",
        "files_active_customer (tenant=? AND created_by_id=? AND <expr>>?)",
        "files_active_customer",
    ),
    ("state = 'active' ORDER BY created_at DESC, id DESC LIMIT", "files_active_created (tenant=?", "files_active_created"),
    (
        "created_by_id = $2 ORDER BY created_at DESC, id DESC LIMIT",
        "files_active_customer_created (tenant=? AND created_by_id=?",
        "files_active_customer_created",
    ),
    (
        "created_by_id = $2 AND (created_at, id) <",
        "files_active_customer_created (tenant=? AND created_by_id=? AND created_at<?",
        "files_active_customer_created",
    ),
    ("AND -id > $2 AND type_name IN ($4, $5)", "files_active (tenant=? AND <expr>>?)", "files_active"),
    (
        "AND -id > $3 AND type_name IN ($5, $6)",
        "files_active_customer (tenant=? AND created_by_id=? AND <expr>>?)",
        "files_active_customer",
    ),
    ("state = 'active' AND (created_at, id) <", "files_active_created (tenant=? AND created_at<?)", "files_active_created"),
    ("state = 'deleted' AND state", "files_deleted (tenant=?)", "files_deleted"),
    ("COUNT(*) FROM (SELECT 1 FROM files WHERE tenant = $1 AND state = 'active' LIMIT", "INDEX files_active", "files_active"),
    // Tickets.
    ("UPDATE files SET keep_until = NULL WHERE id = $1", "INTEGER PRIMARY KEY (rowid=?)", "files_pkey"),
    ("FROM ticket_files WHERE tenant = $1 AND ticket_id = $2", "PRIMARY KEY (tenant=? AND ticket_id=?", "ticket_files_pkey"),
    ("SELECT file_id FROM ticket_files", "SEARCH files USING INTEGER PRIMARY KEY (rowid=?)", "files_pkey"),
    ("AND post_id > 0", "PRIMARY KEY (tenant=? AND ticket_id=? AND file_id=?)", "ticket_files_pkey"),
    ("DELETE FROM ticket_files", "PRIMARY KEY (tenant=? AND ticket_id=? AND file_id=?)", "ticket_files_pkey"),
    // Sweeps.
    ("AND expires_at >= $2 AND", "files_expiring (expires_at>? AND expires_at<?)", "files_expiring"),
    ("WHERE state = 'deleted' AND deleted_at <= $1 ORDER BY", "COVERING INDEX files_purgeable (deleted_at<?)", "files_purgeable"),
    ("AND keep_until <= $1 ORDER BY", "COVERING INDEX files_kept (keep_until<?)", "files_kept"),
    ("UPDATE files SET keep_until = NULL WHERE id ", "INTEGER PRIMARY KEY (rowid=?)", "files_pkey"),
    ("AND NOT EXISTS (SELECT 1 FROM ticket_files", "ticket_files_file (file_id=?)", "ticket_files_file"),
    ("COUNT(*) FROM files WHERE state = 'deleted'", "COVERING INDEX files_purgeable (deleted_at<?)", "files_purgeable"),
    ("DELETE FROM files", "INTEGER PRIMARY KEY (rowid=?)", "files_pkey|files_staging|files_expiring"),
    ("AS wanted", "SEARCH files USING INTEGER PRIMARY KEY (rowid=?)", "files_pkey"),
    ("UPDATE doomed_objects SET leased_until", "doomed_objects_due (delete_after<?)", "doomed_objects_due"),
    ("DELETE FROM doomed_objects WHERE key ", "PRIMARY KEY (key=?)", "doomed_objects_pkey"),
    ("DELETE FROM reserved_bytes", "reserved_bytes_ended (ends_at<?)", "reserved_bytes_ended"),
    ("SELECT staging_key FROM reserved_forms", "reserved_forms_ended (ends_at<?)", "reserved_forms_ended"),
    // Names of before.
    ("SELECT id, name FROM files WHERE state <> 'temp'", "SEARCH files USING INDEX files_unsearched (<expr>>?)", "files_unsearched"),
    ("UPDATE files SET search_name_of", "INTEGER PRIMARY KEY (rowid=?)", "files_pkey"),
    // Events.
    ("FROM audit_log WHERE file_id = $3", "audit_log_file (file_id=? AND <expr>>? AND <expr><?)", "audit_log_file"),
    ("AS latest", "SEARCH audit_log USING INDEX audit_log_file (file_id=?)", "audit_log_file"),
    ("FROM events AS due", "events_due (endpoint=? AND next_attempt_at<?)", "events_due"),
    ("FROM events AS earlier", "events_by_file (file_id=? AND <expr>>?)", "events_by_file"),
    ("UPDATE events SET state = $1", "INTEGER PRIMARY KEY (rowid=?)", "events_pkey"),
    ("UPDATE events SET next_attempt_at", "events_by_file (file_id=? AND <expr><?)", "events_by_file"),
    ("DELETE FROM events", "events_finished (finished_at<?)", "events_finished"),
    ("UPDATE events SET state = 'dead'", "events_overdue (next_attempt_at<?)", "events_overdue"),
    ("UPDATE files SET refused", "INTEGER PRIMARY KEY (rowid=?)", "files_pkey|files_staging"),
    // Scrapes.
    ("SELECT MIN(expires_at) FROM files", "USING COVERING INDEX files_expiring", "files_expiring"),
    ("SELECT MIN(delete_after) FROM doomed_objects", "USING COVERING INDEX doomed_objects_due", "doomed_objects_due"),
    ("AS waiting", "USING COVERING INDEX events_by_state (state=?)", "events_by_state"),
    ("FROM idempotency_keys WHERE created_at < $1", "idempotency_keys_made (created_at<?)", "idempotency_keys_made"),
];

/// Rows beside those that the program makes: to a planner that knows of a handful one index is as good as another.
const MORE: [&str; 8] = [
    // For four endpoints; half is still to be sent, in another order than it was written.
    "INSERT INTO events (event_id, endpoint, tenant, type, file_id, payload, state, created_at, next_attempt_at, finished_at) SELECT 'evt_' || i, \
     'e' || i % 4, 't0', 'file.activated', i / 6, '{}', CASE WHEN i % 199 < 100 THEN 'pending' ELSE 'delivered' END, AT, AT, \
     CASE WHEN i % 199 < 100 THEN NULL ELSE AT END FROM NUMBERS",
    "INSERT INTO audit_log (at, tenant, action, file_id, details) SELECT AT, 't' || i % 4, 'activate', i / 5, '{}' FROM NUMBERS",
    "INSERT INTO ticket_files (tenant, ticket_id, file_id, added_at, added_by_id, added_by_kind) SELECT tenant, 1 + (id * i) % 900, id, created_at, 1, 'users' FROM files, NUMBERS WHERE state = 'active' AND i <= 8 \
     ON CONFLICT DO NOTHING",
    "INSERT INTO idempotency_keys SELECT 't' || i % 4, 'users', i % 50, 'key' || i, BYTES, (SELECT MIN(id) FROM files), AT FROM NUMBERS",
    "INSERT INTO doomed_objects (key, delete_after) SELECT 'temp/' || i, AT FROM NUMBERS",
    "INSERT INTO reserved_forms SELECT 'temp/' || i, 't' || i % 4, 'users', i % 50, 1000, AT FROM NUMBERS",
    "INSERT INTO reserved_bytes SELECT 't' || i % 4, 'users', i % 50, AT, 1000 FROM NUMBERS",
    "INSERT INTO tokens (lookup, secret_sha256, tenant, actor_id, actor_kind, scopes, created_at) \
     SELECT 'lookup' || i, BYTES, 't' || i % 4, 1, 'users', 'files:read', AT FROM NUMBERS",
];

/// What stands for a place, an instant and some bytes in them.
fn more(db: Db) -> impl Iterator<Item = String> {
    let (numbers, at, bytes) = match db {
        Db::Sqlite => (
            "(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i FROM n) AS numbers",
            "1700000000000000 + i * 7919 % 20000 * 1000000",
            "zeroblob(32)",
        ),
        Db::Postgres => {
            ("generate_series(1, 20000) AS numbers (i)", "to_timestamp(1700000000 + i * 7919 % 20000)", "decode(repeat('00', 32), 'hex')")
        }
    };
    MORE.iter().map(move |sql| sql.replace("NUMBERS", numbers).replace("BYTES", bytes).replace("AT", at))
}

/// Groups open slips, seldom and from the index alone.
const COUNTS: &str = "GROUP BY tenant, created_by_kind, created_by_id";

struct Subject {
    url: String,
    db: Db,
    folder: tempfile::TempDir,
    settings: Vec<(String, String)>,
}

impl Subject {
    /// A database with files of every kind in it, as the benchmark makes them.
    async fn filled(db: Db) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = database(db, &folder).await;
        let webhooks = folder.path().join("webhooks.toml");
        // Nobody listens there: events are tried again, and given up.
        fs::write(
            &webhooks,
            "[[endpoint]]\nname = \"a\"\nurl = \"http://127.0.0.1:1/\"\nsecrets = [\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]\n",
        )
        .unwrap();
        let settings = [
            ("DROPSLIP_LISTEN", "127.0.0.1:0"),
            ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0"),
            ("DROPSLIP_ADMIN_LISTEN", "127.0.0.1:0"),
            ("DROPSLIP_DATABASE_URL", url.as_str()),
            ("DROPSLIP_DATA_DIR", folder.path().to_str().unwrap()),
            ("DROPSLIP_MULTIPART_THRESHOLD", "1"),
            ("DROPSLIP_WEBHOOKS_FILE", webhooks.to_str().unwrap()),
            ("DROPSLIP_WEBHOOKS_RETRY", "10ms"),
            ("DROPSLIP_ACTOR_RESERVED_BYTES", "1 TiB"),
            ("DROPSLIP_LOG", "info,sqlx::query=debug"),
            ("DROPSLIP_LOG_FORMAT", "json"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let subject = Self { url, db, folder, settings };
        // Opening it makes the tables.
        drop(dropslip::database::Database::open(&subject.url).await.unwrap());
        let mut fill = Command::new(from_servers("TEST_PYTHON"));
        fill.env("PYTHONDONTWRITEBYTECODE", "1").arg(project().join("bench/fill.py"));
        let filled = fill.args([&subject.url, "--files", "3000", "--tenants", "4"]).output().unwrap();
        assert!(filled.status.success(), "{}", text(&filled.stderr));
        // Chance gave the customer some of them, and two pages are asked for.
        let more = "UPDATE files SET created_by_kind = 'customers', created_by_id = 1 \
                    WHERE id IN (SELECT id FROM files WHERE tenant = 't0' AND state = 'active' ORDER BY id LIMIT 20)";
        execute(&subject.url, more).await;
        // As brokers of before wrote them: without what they are searched by.
        execute(&subject.url, "UPDATE files SET name = 'Re\u{301}sume\u{301} ' || id || '.pdf' WHERE id % 7 = 0").await;
        subject
    }

    fn settings(&self) -> Vec<(&str, &str)> {
        self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = run(self.folder.path(), &self.settings(), arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout).trim().to_owned()
    }

    /// Does all that can be done, and gives the statements that were sent meanwhile.
    async fn exercised(&self) -> BTreeSet<String> {
        let log = self.folder.path().join("log");
        let user = self.run(&["token", "create", "--user", "7", "--tenant", "t0"]);
        let customer = self.run(&["token", "create", "--user", "1", "--type", "customers", "--tenant", "t0"]);
        let limited = ["users", "customers"].map(|kind| {
            self.run(&["token", "create", "--user", "1", "--type", kind, "--tenant", "t0", "--file-types", "attachment,image"])
        });
        let serving = Serving::logging_to(File::create(&log).unwrap(), self.folder.path(), &self.settings(), "metrics are at");
        let http = reqwest::Client::new();
        let scrape = serving.banner.lines().find_map(|line| line.strip_prefix("metrics are at ")).unwrap();
        assert_eq!(http.get(scrape).send().await.unwrap().status(), 200);
        let ask = async |token: &str, method: &str, path: &str, body: Option<Value>| {
            let request = http.request(method.parse().unwrap(), format!("{}{path}", serving.url())).bearer_auth(token);
            // The same for the same file.
            let key = body.as_ref().and_then(|body| body["filename"].as_str()).unwrap_or("k").to_owned();
            let request = request.header("idempotency-key", key);
            answer(if let Some(body) = body { request.body(body.to_string()) } else { request }).await
        };
        let mut cursor = String::new();
        for token in [&user, &customer, &user] {
            let (status, page) = ask(token, "GET", &format!("/v2/files.json?pageSize=5{cursor}"), None).await;
            assert_eq!((status.as_u16(), page["files"].as_array().unwrap().len()), (200, 5), "what was filled in reads back: {page}");
            cursor = format!("&cursor={}", page["meta"]["page"]["nextCursor"].as_str().unwrap());
        }
        for token in limited {
            assert_eq!(ask(&token, "GET", "/v2/files.json?pageSize=5", None).await.0, 200);
        }
        // As Desk's clients ask, on to the next page by number and by cursor; then what was deleted.
        let by_time = "/v2/files.json?pageSize=5&orderBy=createdAt&orderMode=desc";
        let (_, first) = ask(&user, "GET", by_time, None).await;
        let cursor = first["meta"]["page"]["nextCursor"].as_str().unwrap();
        for query in [format!("{by_time}&page=2"), format!("{by_time}&cursor={cursor}")] {
            for token in [&user, &customer] {
                assert_eq!(ask(token, "GET", &query, None).await.1["files"].as_array().unwrap().len(), 5);
            }
        }
        let (status, page) = ask(&user, "GET", "/v2/files.json?pageSize=5&filter=%7B%22state%22:%22deleted%22%7D", None).await;
        assert_eq!((status.as_u16(), page["files"].as_array().unwrap().len()), (200, 5), "{page}");
        for _ in 0..2 {
            let (status, body) = ask(&user, "POST", "/v2/files/ref.json", Some(new_file("a.txt", "text/plain"))).await;
            assert_eq!(status, 201, "{body}");
            let path = format!("/v2/files/{}.json", slip(body).id);
            assert_eq!(ask(&user, "PATCH", &path, None).await.0, 409);
        }
        self.uploads(&ask, &serving, &user, &customer).await;
        // Every expired file is settled and every due key gone before the program ends.
        let deadline = Instant::now() + Duration::from_mins(1);
        while !fs::read_to_string(&log).unwrap().contains("\"message\":\"swept\"") {
            assert!(Instant::now() < deadline, "no sweep ended: {}", fs::read_to_string(&log).unwrap());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(serving.terminate().0, 0);
        assert_eq!(self.run(&["sweep", "--dry-run"]), "waiting: 0 expired temp files, 0 doomed objects, 0 deleted files to purge");
        // That command logs nothing. What it asked stands in the source.
        let source = fs::read_to_string(project().join("src/database/expired.rs")).unwrap();
        let counts: Vec<_> = source.split('"').filter(|text| text.starts_with("SELECT COUNT(*) FROM ")).map(ToOwned::to_owned).collect();
        assert_eq!(counts.len(), 3, "{counts:?}");
        let mut statements = statements(&fs::read_to_string(&log).unwrap());
        statements.extend(counts);
        statements
    }

    /// A file in one request, re-issued before; one in parts that is given up; one of Uppy's; and a ticket.
    async fn uploads(
        &self,
        ask: &impl AsyncFn(&str, &str, &str, Option<Value>) -> (reqwest::StatusCode, Value),
        serving: &Serving,
        user: &str,
        customer: &str,
    ) {
        let http = reqwest::Client::new();
        let (_, body) = ask(user, "POST", "/v2/files/ref.json", Some(new_file("a.txt", "text/plain"))).await;
        let id = slip(body).id;
        let (status, body) = ask(user, "POST", &format!("/v2/files/{id}/ref.json"), None).await;
        assert_eq!(status, 201, "{body}");
        let slip = slip(body);
        let form = slip.params.iter().fold(reqwest::multipart::Form::new(), |form, (name, value)| form.text(name.clone(), value.clone()));
        let form = form.part("file", reqwest::multipart::Part::text("Hello").file_name("a.txt"));
        assert_eq!(http.post(&slip.url).multipart(form).send().await.unwrap().status(), 201);
        let key = slip.param("key");
        let confirm = format!("/companion/s3/confirm?key={key}");
        assert_eq!(ask(user, "POST", &confirm, None).await.0, 200);
        let path = format!("/v2/files/{id}.json");
        assert_eq!(ask(user, "GET", &path, None).await.1["file"]["state"], "active");
        assert_eq!(ask(user, "PATCH", &path, Some(json!({"filename": "c.txt"}))).await.1["file"]["filename"], "c.txt");
        let ticket = "/v2/tickets/1/files";
        let other = ask(user, "GET", "/v2/files.json?pageSize=2", None).await.1["files"][1]["id"].take();
        for ids in [json!([id]), json!([id, other])] {
            assert_eq!(ask(user, "PUT", &format!("{ticket}.json"), Some(json!({ "ids": ids }))).await.0, 200);
        }
        assert_eq!(ask(customer, "GET", &format!("{ticket}.json"), None).await.0, 200);
        let (_, first) = ask(user, "GET", &format!("{ticket}.json?pageSize=1"), None).await;
        assert_eq!(first["pagination"]["records"], 2, "all are counted: {first}");
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let asked = client.get(format!("{}{ticket}/{id}/download", serving.url())).bearer_auth(user).send().await.unwrap();
        assert_eq!(asked.status(), 302);
        let off = http.delete(format!("{}{ticket}/{id}.json", serving.url())).bearer_auth(user).send().await.unwrap();
        assert_eq!(off.status(), 204);
        let removed = ask(user, "POST", "/v2/files/delete.json", Some(json!({"ids": [id]}))).await.1;
        assert_eq!(removed["files"], json!([{"id": id, "result": "deleted"}]));
        assert_eq!(ask(user, "POST", &format!("/v2/files/{id}/restore.json"), None).await.0, 200);

        let refused = json!({"type": "image", "filename": "a.png", "mimeType": "image/png", "disposition": "attachment"});
        let (_, body) = ask(user, "POST", "/v2/files/ref.json", Some(refused)).await;
        let refused = crate::harness::slip(body);
        let form =
            refused.params.iter().fold(reqwest::multipart::Form::new(), |form, (name, value)| form.text(name.clone(), value.clone()));
        let form = form.part("file", reqwest::multipart::Part::text("no picture").file_name("a.png"));
        assert_eq!(http.post(&refused.url).multipart(form).send().await.unwrap().status(), 201);
        assert_eq!(ask(user, "PATCH", &format!("/v2/files/{}.json", refused.id), None).await.0, 422);

        let wish = json!({"filename": "b.txt", "type": "text/plain", "metadata": {"fileType": "attachment"}});
        let (status, begun) = ask(user, "POST", "/companion/s3/multipart", Some(wish)).await;
        assert_eq!(status, 200, "{begun}");
        let (upload, key) = (begun["uploadId"].as_str().unwrap(), begun["key"].as_str().unwrap());
        let path = format!("/companion/s3/multipart/{upload}");
        assert_eq!(ask(user, "GET", &format!("{path}/1?key={key}"), None).await.0, 200);
        assert_eq!(ask(user, "DELETE", &format!("{path}?key={key}"), None).await.0, 200);
    }
}

/// What the database library logged, each once.
fn statements(log: &str) -> BTreeSet<String> {
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).filter(|event| event["target"] == "sqlx::query");
    // A short one is its own summary.
    let said =
        events.map(|event| [&event["db.statement"], &event["summary"]].map(|text| text.as_str().unwrap_or_default().trim().to_owned()));
    let statements = said.map(|[whole, summary]| if whole.is_empty() { summary } else { whole });
    let words =
        |statement: &str, list: &[&str]| statement.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| list.contains(&word));
    let asked = statements.filter(|text| words(text, &["SELECT", "INSERT", "UPDATE", "DELETE"]) && words(text, &LARGE));
    asked.filter(|text| !words(text, &["CREATE", "_sqlx_migrations"])).collect()
}

/// One line for each step of a plan; `Err` says which step reads a whole table.
async fn sqlite_plan(connection: &mut SqliteConnection, statement: &str) -> Result<String, String> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"))).fetch_all(connection).await.unwrap();
    let steps: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
    let plan = steps.join("\n");
    let whole = LARGE.map(|table| format!("SCAN {table}"));
    let slow = |step: &String| whole.iter().any(|scan| step.starts_with(scan.as_str())) || step.contains("TEMP B-TREE");
    if steps.iter().any(slow) && !statement.contains(COUNTS) { Err(plan) } else { Ok(plan) }
}

/// The same of Postgres, which would rather read a table this small as a whole: it is told not to where there is another way.
async fn postgres_plan(connection: &mut PgConnection, statement: &str) -> Result<String, String> {
    let parameters = (1..50).take_while(|number| statement.contains(&format!("${number}"))).count();
    let values = if parameters == 0 { String::new() } else { format!("({})", vec!["NULL"; parameters].join(", ")) };
    sqlx::raw_sql("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan; DEALLOCATE ALL")
        .execute(&mut *connection)
        .await
        .unwrap();
    // As many rows as the program wants: of a number that it does not know Postgres thinks as of a tenth of the table.
    let bounded = (1..50)
        .rev()
        .fold(statement.to_owned(), |text, number| text.replace(&format!("LIMIT ${number}"), &format!("LIMIT COALESCE(10, ${number})")));
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("PREPARE asked AS {bounded}"))).execute(&mut *connection).await.unwrap();
    let explain = sqlx::AssertSqlSafe(format!("EXPLAIN (FORMAT JSON) EXECUTE asked{values}"));
    let plan: Value = sqlx::raw_sql(explain).fetch_one(connection).await.unwrap().try_get(0).unwrap();
    let mut nodes = Vec::new();
    collect(&plan[0]["Plan"], &mut nodes);
    let described =
        nodes.iter().map(|node| format!("{} {} {} {}", node["Node Type"], node["Relation Name"], node["Index Name"], node["Index Cond"]));
    let described = described.collect::<Vec<_>>().join("\n");
    let slow = |node: &&Value| match node["Node Type"].as_str().unwrap() {
        "Seq Scan" => node["Relation Name"].as_str().is_some_and(|table| LARGE.contains(&table)),
        // An index that is read from end to end.
        "Index Scan" | "Index Only Scan" | "Bitmap Index Scan" => node["Index Cond"].is_null(),
        _ => false,
    };
    if nodes.iter().any(slow) && !statement.contains(COUNTS) { Err(described) } else { Ok(described) }
}

fn collect<'a>(node: &'a Value, nodes: &mut Vec<&'a Value>) {
    nodes.push(node);
    node["Plans"].as_array().into_iter().flatten().for_each(|inner| collect(inner, nodes));
}

async fn every_query_finds_what_it_needs_by_an_index(db: Db) {
    let subject = Subject::filled(db).await;
    let statements = subject.exercised().await;
    let mut plans = Vec::new();
    match subject.db {
        Db::Sqlite => {
            let mut connection = SqliteConnection::connect(&subject.url).await.unwrap();
            for sql in more(db) {
                sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
            }
            for statement in &statements {
                plans.push((statement, sqlite_plan(&mut connection, statement).await));
            }
            // The program makes no statistics. Where the operator does, an index may be another, but there is one.
            sqlx::raw_sql("ANALYZE").execute(&mut connection).await.unwrap();
            let mut connection = SqliteConnection::connect(&subject.url).await.unwrap();
            for statement in &statements {
                sqlite_plan(&mut connection, statement).await.unwrap_or_else(|plan| panic!("by statistics: {statement}\n{plan}"));
            }
        }
        Db::Postgres => {
            let mut connection = PgConnection::connect(&subject.url).await.unwrap();
            for sql in more(db).chain(["ANALYZE".to_owned()]) {
                sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
            }
            for statement in &statements {
                plans.push((statement, postgres_plan(&mut connection, statement).await));
            }
        }
    }
    let slow: Vec<_> = plans.iter().filter(|(_, plan)| plan.is_err()).collect();
    assert!(slow.is_empty(), "{slow:#?}");
    for (words, sqlite, postgres) in EXPECTED {
        let index = if db == Db::Sqlite { sqlite } else { postgres };
        let asked: Vec<_> = plans.iter().filter(|(statement, _)| statement.contains(words)).collect();
        assert!(!asked.is_empty(), "nothing like ‘{words}’ was sent: {statements:#?}");
        for (statement, plan) in asked {
            assert!(
                plan.as_ref().is_ok_and(|plan| index.split('|').any(|index| plan.contains(index))),
                "not by {index}: {statement}\n{plan:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_finds_what_it_needs_by_an_index_on_sqlite() {
    every_query_finds_what_it_needs_by_an_index(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_finds_what_it_needs_by_an_index_on_postgres() {
    every_query_finds_what_it_needs_by_an_index(Db::Postgres).await;
}

/// By `.cargo/config.toml`: a build without it is good, and a third slower at lists.
#[tokio::test]
async fn sqlite_is_built_without_locks_that_all_connections_share() {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    let options: Vec<String> = sqlx::query_scalar("PRAGMA compile_options").fetch_all(&mut connection).await.unwrap();
    assert!(!options.iter().any(|option| option == "ENABLE_MEMORY_MANAGEMENT"), "{options:?}");
    assert!(options.iter().any(|option| option == "DEFAULT_MEMSTATUS=0"), "{options:?}");
}

/// An index alone answers a count only where a vacuum came by.
#[tokio::test]
async fn postgres_vacuums_files_long_before_a_fifth_of_them_changed() {
    let folder = tempfile::tempdir().unwrap();
    let url = database(Db::Postgres, &folder).await;
    drop(dropslip::database::Database::open(&url).await.unwrap());
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let sql = "SELECT option_name, option_value::float8 AS share FROM pg_options_to_table((SELECT reloptions FROM pg_class WHERE oid = 'files'::regclass))";
    let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
    let shares: Vec<(String, f64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    for option in ["autovacuum_vacuum_scale_factor", "autovacuum_vacuum_insert_scale_factor", "autovacuum_analyze_scale_factor"] {
        assert!(shares.iter().any(|(name, share)| name == option && *share <= 0.02), "{option}: {shares:?}");
    }
}
