//! What the operator's address tells, after real files went through the program.

#![expect(clippy::float_cmp, reason = "counts are whole numbers, which an f64 holds as they are")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dropslip::metrics::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::faults::world::{Program, World, granted};
use crate::harness::{Db, ask, from_servers};
use crate::process::text;

/// Labels whose values are all known when the program is built; but those of `type` are the operator's names of file types.
const LABELS: [&str; 14] =
    ["step", "type", "reason", "limit", "operation", "status", "kind", "state", "outcome", "what", "le", "version", "commit", "rustc"];

/// Samples of one scrape at most, however many files, tenants and actors there are.
const MOST_SAMPLES: usize = 2000;

/// What a scrape says, read by Prometheus' own parser.
pub struct Scrape(Vec<Value>);

impl Scrape {
    pub async fn of(admin: &str) -> Self {
        let answer = reqwest::get(format!("{admin}/metrics")).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()), (200, CONTENT_TYPE));
        let text = answer.text().await.unwrap();
        let mut families = ask(&from_servers("TEST_PYTHON"), "open_metrics.py", &[Value::String(text)]);
        Self(families.remove(0).as_array().unwrap().clone())
    }

    pub fn families(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|family| (family["name"].as_str().unwrap(), family["help"].as_str().unwrap()))
    }

    pub fn samples(&self) -> impl Iterator<Item = &Value> {
        self.0.iter().flat_map(|family| family["samples"].as_array().unwrap())
    }

    /// The one sample of that name with that label; the sum of all with it where there are others beside.
    pub fn sum(&self, name: &str, label: Option<(&str, &str)>) -> f64 {
        let fits = |sample: &&Value| sample["name"] == name && label.is_none_or(|(key, value)| sample["labels"][key] == value);
        let found: Vec<f64> = self.samples().filter(fits).map(|sample| sample["value"].as_f64().unwrap()).collect();
        assert!(!found.is_empty(), "there is no {name} with {label:?}");
        found.into_iter().sum()
    }

    pub fn files_of(&self, type_name: &str, step: &str) -> f64 {
        let fits = |sample: &&Value| {
            sample["name"] == "dropslip_files_total" && sample["labels"]["type"] == type_name && sample["labels"]["step"] == step
        };
        self.samples().find(fits).unwrap_or_else(|| panic!("there is no {type_name} with {step}"))["value"].as_f64().unwrap()
    }

    fn files(&self, step: &str) -> f64 {
        self.sum("dropslip_files_total", Some(("step", step)))
    }
}

async fn watched(db: Db) -> (World, Program, String) {
    let mut world = World::new(db).await;
    world.set("DROPSLIP_ADMIN_LISTEN", "127.0.0.1:0");
    world.set("DROPSLIP_SWEEP_INTERVAL", "1s");
    let program = world.start(None).await;
    let admin = program.admin().await;
    (world, program, admin)
}

async fn follows_files(db: Db) {
    let (world, program, admin) = watched(db).await;
    // Two confirmed, one twice; one too large, one of another type; one that nobody ever sends; one that dies after a second.
    for _ in 0..2 {
        let (slip, _) = world.uploaded(&program, "kept").await;
        assert_eq!(world.confirm(&program, slip.id).await.unwrap().status, 200);
        assert_eq!(world.confirm(&program, slip.id).await.unwrap().status, 200);
    }
    let large = world.slip(&program, "kept").await;
    world.smuggle(&large, &vec![b'x'; 1024 * 1024 + 1]).await;
    assert_eq!(world.confirm(&program, large.id).await.unwrap().status, 422);
    let absent = world.slip(&program, "kept").await;
    assert_eq!(world.confirm(&program, absent.id).await.unwrap().status, 409);
    granted(world.reissue(&program, absent.id).await);
    world.slip(&program, "brief-lost").await;
    assert_eq!(world.authorize(&program, "nobodys-type", None).await.unwrap().status, 400);
    let invalid = json!({"type": "kept", "filename": "a.exe", "mimeType": "text/plain"});
    assert_eq!(world.ask(&program, "POST", "/desk/api/v2/files/ref.json", None, &invalid).await.unwrap().status, 400);
    assert_eq!(world.ask(&program, "GET", "/nowhere", None, &Value::Null).await.unwrap().status, 404);

    let deadline = Instant::now() + Duration::from_secs(20);
    let scrape = loop {
        let scrape = Scrape::of(&admin).await;
        if scrape.files("expired") >= 1.0 && scrape.sum("dropslip_swept_total", Some(("what", "discarded"))) >= 1.0 {
            break scrape;
        }
        assert!(Instant::now() < deadline, "nothing is swept: {}", program.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let steps = ["issued", "reissued", "arrived", "confirmed", "rejected", "expired"].map(|step| scrape.files(step));
    assert_eq!(steps, [5.0, 1.0, 3.0, 2.0, 1.0, 1.0]);
    let kept = ["issued", "reissued", "arrived", "confirmed", "rejected", "expired"].map(|step| scrape.files_of("kept", step));
    assert_eq!(kept, [4.0, 1.0, 3.0, 2.0, 1.0, 0.0]);
    assert_eq!(["issued", "expired"].map(|step| scrape.files_of("brief-lost", step)), [1.0, 1.0]);
    assert_eq!(["issued", "arrived"].map(|step| scrape.files_of("_other", step)), [0.0, 0.0]);
    let reasons = ["size", "type", "checksum", "pixels", "other"];
    assert_eq!(reasons.map(|reason| scrape.sum("dropslip_rejections_total", Some(("reason", reason)))), [1.0, 0.0, 0.0, 0.0, 0.0]);
    let requests = |operation: &str, status: &str| {
        let fits = |sample: &&Value| {
            sample["name"] == "dropslip_request_seconds_count"
                && (sample["labels"]["operation"].as_str(), sample["labels"]["status"].as_str()) == (Some(operation), Some(status))
        };
        scrape.samples().find(fits).unwrap()["value"].as_f64().unwrap()
    };
    let asked = [("slip", "2xx"), ("slip", "4xx"), ("slip", "5xx"), ("confirm", "2xx"), ("confirm", "4xx"), ("reissue", "2xx")];
    assert_eq!(asked.map(|(operation, status)| requests(operation, status)), [5.0, 2.0, 0.0, 4.0, 2.0, 1.0]);
    assert!(requests("other", "4xx") >= 1.0);

    // Each slip was written once, in some batch; what else was asked took its time.
    assert_eq!(scrape.sum("dropslip_writer_wait_seconds_count", None), 5.0);
    assert_eq!(scrape.sum("dropslip_writer_batch_records_sum", None), 5.0);
    assert_eq!(
        scrape.sum("dropslip_database_seconds_count", Some(("kind", "slips"))),
        scrape.sum("dropslip_writer_batch_records_count", None)
    );
    for kind in ["read", "write"] {
        assert!(scrape.sum("dropslip_database_seconds_count", Some(("kind", kind))) >= 4.0, "{kind}");
    }
    assert!(scrape.sum("dropslip_database_seconds_sum", None) > 0.0 && scrape.sum("dropslip_database_wait_seconds_count", None) > 0.0);
    assert_eq!(scrape.sum("dropslip_s3_seconds_count", Some(("operation", "CopyObject"))), 2.0);
    let s3 = |operation: &str, outcome: &str| {
        let fits = |sample: &&Value| {
            sample["name"] == "dropslip_s3_requests_total"
                && (sample["labels"]["operation"].as_str(), sample["labels"]["outcome"].as_str()) == (Some(operation), Some(outcome))
        };
        scrape.samples().find(fits).unwrap()["value"].as_f64().unwrap()
    };
    assert_eq!((s3("CopyObject", "done"), s3("CopyObject", "failed"), s3("HeadObject", "absent")), (2.0, 0.0, 1.0));
    assert_eq!(scrape.sum("dropslip_s3_requests_total", Some(("outcome", "failed"))), 0.0);

    // What is measured at the moment.
    let (in_use, most) = (scrape.sum("dropslip_database_connections", None), scrape.sum("dropslip_database_connections_most", None));
    assert!((1.0..=most).contains(&in_use), "{in_use} of {most} connections");
    assert_eq!((scrape.sum("dropslip_writer_queue", None), scrape.sum("dropslip_database_failures_total", None)), (0.0, 0.0));
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
    let age = now as f64 - scrape.sum("dropslip_sweep_last_success_timestamp_seconds", None);
    assert!((-2.0..30.0).contains(&age), "the last sweep ended {age} s ago");
    assert!((0.0..30.0).contains(&scrape.sum("dropslip_sweep_lag_seconds", Some(("what", "expired")))));
    assert!(scrape.sum("process_resident_memory_bytes", None) > 1e6 && scrape.sum("process_open_fds", None) > 5.0);
    let build = scrape.samples().find(|sample| sample["name"] == "dropslip_build_info").unwrap();
    assert_eq!(build["labels"]["version"], env!("CARGO_PKG_VERSION"));
    assert!(build["labels"]["rustc"].as_str().unwrap().starts_with("rustc 1."), "{build}");

    labels_are_bounded(&scrape, &world);
}

/// No label says anything that came from outside, so that nobody can make a scrape grow.
fn labels_are_bounded(scrape: &Scrape, world: &World) {
    let samples: Vec<&Value> = scrape.samples().collect();
    assert!(samples.len() < MOST_SAMPLES, "{} samples", samples.len());
    for sample in samples {
        for (label, value) in sample["labels"].as_object().unwrap() {
            assert!(LABELS.contains(&label.as_str()), "{label} in {sample}");
            assert!(![world.bucket.as_str(), "default", "a.txt"].contains(&value.as_str().unwrap()), "{sample}");
            assert!(label == "type" || value != "kept", "{sample}");
        }
    }
    let types: BTreeSet<&str> = scrape.samples().filter_map(|sample| sample["labels"]["type"].as_str()).collect();
    let folder = std::fs::read_dir(world.folder.path().join("policies")).unwrap();
    let names: Vec<String> = folder.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(types, names.iter().map(String::as_str).chain(["_other"]).collect(), "whatever was asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_follows_files_on_sqlite() {
    follows_files(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_follows_files_on_postgres() {
    follows_files(Db::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_told_at_the_operators_address_alone() {
    let (world, program, admin) = watched(Db::Sqlite).await;
    assert_eq!(world.ask(&program, "GET", "/metrics", None, &Value::Null).await.unwrap().status, 404);
    let at_admin = async |path: &str| {
        let answer = reqwest::get(format!("{admin}{path}")).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(at_admin("/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(at_admin("/readyz").await, (200, "ready\n".to_owned()));
    for path in ["/", "/v2/files.json", "/v2/files/ref.json", "/openapi.json", "/metrics/"] {
        assert_eq!(at_admin(path).await.0, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_nobody_tells_metrics() {
    let world = World::new(Db::Sqlite).await;
    let program = world.start(None).await;
    assert_eq!(world.ask(&program, "GET", "/metrics", None, &Value::Null).await.unwrap().status, 404);
    assert!(!program.log().contains("admin.address"), "{}", program.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_counted_by_what_there_was_too_much_of() {
    let mut world = World::new(Db::Sqlite).await;
    world.set("DROPSLIP_ADMIN_LISTEN", "127.0.0.1:0");
    world.set("DROPSLIP_ACTOR_OPEN_SLIPS", "1");
    let program = world.start(None).await;
    world.slip(&program, "kept").await;
    assert_eq!(world.authorize(&program, "kept", None).await.unwrap().status, 429);
    let scrape = Scrape::of(&program.admin().await).await;
    assert_eq!(["open_slips", "reserved_bytes"].map(|limit| scrape.sum("dropslip_limited_total", Some(("limit", limit)))), [1.0, 0.0]);
}

async fn counts_what_clients_give_up(db: Db) {
    let (world, program, admin) = watched(db).await;
    let ask = async |method: &str, path: &str, body: Value| {
        let answer = world.ask(&program, method, path, None, &body).await.unwrap();
        assert!(answer.status.is_success(), "{method} {path}: {answer:?}");
    };
    let in_parts = json!({"type": "kept", "filename": "a.txt", "mimeType": "text/plain", "size": 5, "multipart": true});
    let parts = world.ask(&program, "POST", "/v2/files/ref.json", None, &in_parts).await.unwrap();
    let parts = parts.body["file"]["id"].as_i64().unwrap_or_else(|| panic!("{parts:?}"));
    ask("DELETE", &format!("/v2/files/{parts}/parts.json"), Value::Null).await;
    let (slip, _) = world.uploaded(&program, "kept").await;
    ask("DELETE", &format!("/v2/files/{}.json", slip.id), Value::Null).await;
    let many = [world.slip(&program, "kept").await.id, world.slip(&program, "kept").await.id];
    ask("POST", "/v2/files/delete.json", json!({"ids": many})).await;
    // An active file that is deleted was confirmed, and stays so.
    let (kept, _) = world.uploaded(&program, "kept").await;
    assert_eq!(world.confirm(&program, kept.id).await.unwrap().status, 200);
    ask("DELETE", &format!("/v2/files/{}.json", kept.id), Value::Null).await;
    let scrape = Scrape::of(&admin).await;
    let steps = ["issued", "confirmed", "expired", "given_up"].map(|step| scrape.files_of("kept", step));
    assert_eq!(steps, [5.0, 1.0, 0.0, 4.0], "each ends as one of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_give_up_is_counted_on_sqlite() {
    counts_what_clients_give_up(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_give_up_is_counted_on_postgres() {
    counts_what_clients_give_up(Db::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_asked_without_another_program() {
    let world = World::new(Db::Sqlite).await;
    let mut program = world.start(None).await;
    let health = |arguments: &[&str]| {
        let output = world.command(None, &[&["health"], arguments].concat()).output().unwrap();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let ready = format!("{}/readyz", program.base);
    assert_eq!(health(&[&ready]), (0, "ready\n".to_owned(), String::new()));
    let address = program.base.strip_prefix("http://").unwrap();
    let configured = world.command(None, &["health"]).env("DROPSLIP_LISTEN", address).output().unwrap();
    assert_eq!((configured.status.code(), text(&configured.stdout)), (Some(0), "ready\n".to_owned()));
    world.execute("DELETE FROM _sqlx_migrations WHERE version > 3").await;
    world.becomes(&program, (503, "the database lacks migrations: restart the broker\n"), "an old schema").await;
    assert_eq!(health(&[&ready]).0, 1);
    let alive = world.command(None, &["health", "--live"]).env("DROPSLIP_LISTEN", address).output().unwrap();
    assert_eq!((alive.status.code(), text(&alive.stdout)), (Some(0), "ok\n".to_owned()), "no reason to restart it");
    assert_eq!(health(&["--live", &ready]).0, 2);
    program.signal("-TERM");
    program.end().await;
    let (code, _, complaint) = health(&[&ready]);
    assert!(code == 1 && complaint.contains("does not answer"), "{code}: {complaint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_names_what_is_missing() {
    for db in [Db::Sqlite, Db::Postgres] {
        let world = World::new(db).await;
        let program = world.start(None).await;
        world.assert_ready(&program, "at first").await;
        world.execute("UPDATE storage SET identity = 'bucket another'").await;
        let about_another = format!("the database is about bucket another, not bucket {}\n", world.bucket);
        world.becomes(&program, (503, &about_another), &format!("{db:?}")).await;
        world.execute(&format!("UPDATE storage SET identity = 'bucket {}'", world.bucket)).await;
        world.execute("DELETE FROM _sqlx_migrations WHERE version > 3").await;
        world.becomes(&program, (503, "the database lacks migrations: restart the broker\n"), &format!("{db:?}")).await;
        world.execute("DROP TABLE storage").await;
        world.s3.delete_bucket().bucket(&world.bucket).send().await.unwrap();
        let both = "the database lacks migrations: restart the broker\nthe bucket is not available\n";
        world.becomes(&program, (503, both), &format!("{db:?}")).await;
    }
}
