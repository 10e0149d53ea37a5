//! The same letters spelled in two ways: names are found in either, on both databases, whoever wrote them.

use dropslip::domain::FileId;
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use crate::harness::{Bed, Db, Setup, TestBroker, execute, new_file};
use crate::process::{Serving, run, text};

/// Each in the composed form and in the other, as macOS has it.
const SPELLINGS: [(&str, &str); 6] = [
    ("R\u{e9}sum\u{e9}", "Re\u{301}sume\u{301}"),
    ("\u{c5}ngstr\u{f6}m", "\u{212b}ngstro\u{308}m"),
    ("Ti\u{1ebf}ng Vi\u{1ec7}t", "Tie\u{302}\u{301}ng Vie\u{323}\u{302}t"),
    ("\u{d55c}\u{ae00}", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}"),
    ("\u{304c}\u{304e}", "\u{304b}\u{3099}\u{304d}\u{3099}"),
    ("\u{439}\u{43e}\u{433}\u{443}\u{440}\u{442}", "\u{438}\u{306}\u{43e}\u{433}\u{443}\u{440}\u{442}"),
];

impl TestBroker {
    async fn kept_as(&self, name: &str) -> i64 {
        let slip = self.authorize(&new_file(name, "text/plain")).await;
        self.drop_bytes(&slip, b"hello").await;
        let (status, body) = self.confirm(slip.id).await;
        assert_eq!((status.as_u16(), &body["file"]["filename"]), (200, &json!(name)), "the name stays as it came");
        slip.id
    }

    /// The numbers that a list answers, in order.
    async fn listed_by(&self, path: &str, parameters: &[(&str, &str)]) -> Vec<i64> {
        let query: String = Serializer::new(String::new()).extend_pairs(parameters).finish();
        let (status, page) = self.call("GET", &format!("{path}?{query}"), None).await;
        assert_eq!(status, 200, "{page}");
        let mut ids: Vec<i64> = page["files"].as_array().unwrap().iter().map(|file| file["id"].as_i64().unwrap()).collect();
        assert_eq!(page["pagination"]["records"].as_u64(), Some(ids.len() as u64), "{parameters:?}: counted otherwise than listed");
        ids.sort_unstable();
        ids
    }

    async fn found_by(&self, part: &str) -> Vec<i64> {
        self.listed_by("/v2/files.json", &[("q", part)]).await
    }

    async fn filtered_by(&self, filter: &Value) -> Vec<i64> {
        self.listed_by("/v2/files.json", &[("filter", &filter.to_string())]).await
    }

    /// As a broker of the version before leaves the rows that it writes.
    async fn as_of_before(&self) {
        execute(&self.database_url, "UPDATE files SET search_name = NULL, search_name_of = NULL").await;
    }

    async fn fill_names(&self) -> u64 {
        self.server.broker.fill_search_names().await.unwrap()
    }
}

async fn names_are_found_in_each_spelling(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let other = broker.kept_as("resume.txt").await;
    for (one, two) in SPELLINGS {
        let names = [one, two].map(|name| format!("x {name} y.txt"));
        let mut both = Vec::new();
        for name in &names {
            both.push(broker.kept_as(name).await);
        }
        for spelled in [one, two] {
            assert_eq!(broker.found_by(spelled).await, both, "{spelled:?}");
            let last = spelled.chars().last().unwrap().to_string();
            // Without a mark of its own the last letter may be another.
            let begun = broker.found_by(&format!("x {}", &spelled[..spelled.len() - last.len()])).await;
            assert!(begun == both || spelled == two && begun.is_empty(), "{spelled:?}: {begun:?}");
        }
        for name in &names {
            assert_eq!(broker.filtered_by(&json!({"filename": name})).await, both, "{name:?}");
            assert_eq!(broker.filtered_by(&json!({"filename": {"$in": ["none", name]}})).await, both, "{name:?}");
            let apart = broker.filtered_by(&json!({"filename": {"$nin": [name]}})).await;
            assert!(!apart.contains(&both[0]) && !apart.contains(&both[1]) && apart.contains(&other), "{name:?}");
            assert_eq!(broker.filtered_by(&json!({"filename": name, "state": "active"})).await, both, "{name:?}");
        }
        // On a ticket, deleted, and as a slip that nobody used.
        let attached = broker.call("PUT", "/v2/tickets/7/files.json", Some(&json!({"ids": both}))).await;
        assert!(attached.0.is_success(), "{attached:?}");
        for spelled in [one, two] {
            assert_eq!(broker.listed_by("/v2/tickets/7/files.json", &[("q", spelled)]).await, both, "{spelled:?}");
            let filter = json!({"filename": format!("x {spelled} y.txt")}).to_string();
            assert_eq!(broker.listed_by("/v2/tickets/7/files.json", &[("filter", &filter)]).await, both, "{spelled:?}");
        }
        for id in &both {
            assert_eq!(broker.request("DELETE", &format!("/v2/files/{id}.json")).send().await.unwrap().status(), 204);
        }
        let temp: Vec<i64> = vec![
            broker.authorize(&new_file(&names[0], "text/plain")).await.id,
            broker.authorize(&new_file(&names[1], "text/plain")).await.id,
        ];
        for spelled in [one, two] {
            for (state, expected) in [("deleted", &both), ("temp", &temp)] {
                let filter = json!({"state": state}).to_string();
                assert_eq!(
                    &broker.listed_by("/v2/files.json", &[("q", spelled), ("filter", &filter)]).await,
                    expected,
                    "{state} {spelled:?}"
                );
            }
            assert_eq!(broker.found_by(spelled).await, [0i64; 0], "{spelled:?}");
        }
    }
    assert_eq!(broker.fill_names().await, 0, "who writes a name writes all of it");
    // Letters with marks are others than those without; ASCII letters match in either case, others do not.
    let both = [broker.kept_as("R\u{c9}SUM\u{c9}.pdf.txt").await, broker.kept_as("RE\u{301}SUME\u{301}.pdf.txt").await];
    for (part, expected) in [("resume", vec![other]), ("r\u{c9}sum\u{c9}", both.to_vec()), ("re\u{301}sume\u{301}", Vec::new())] {
        assert_eq!(broker.found_by(part).await, expected, "{part:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_found_in_each_spelling_on_sqlite() {
    names_are_found_in_each_spelling(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_found_in_each_spelling_on_postgres() {
    names_are_found_in_each_spelling(Db::Postgres).await;
}

async fn a_renamed_file_is_found_by_its_new_name_alone(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let id = broker.kept_as("Re\u{301}sume\u{301}.txt").await;
    for (name, found, gone) in [
        ("Cafe\u{301}.txt", "caf\u{e9}", "r\u{e9}sum\u{e9}"),
        ("R\u{e9}sum\u{e9}.txt", "Re\u{301}sume\u{301}", "caf\u{e9}"),
        ("plain.txt", "plain", "r\u{e9}sum\u{e9}"),
        ("Re\u{301}sume\u{301}.txt", "R\u{e9}sum\u{e9}", "plain"),
    ] {
        let (status, body) = broker.call("PATCH", &format!("/v2/files/{id}.json"), Some(&json!({"filename": name}))).await;
        assert_eq!((status.as_u16(), &body["file"]["filename"]), (200, &json!(name)), "{body}");
        let found = broker.found_by(found).await;
        assert_eq!((found, broker.found_by(gone).await), (vec![id], Vec::new()), "{name:?}");
    }
    assert_eq!(broker.fill_names().await, 0);
    // In the step that confirms it.
    let slip = broker.authorize(&new_file("a.txt", "text/plain")).await;
    broker.drop_bytes(&slip, b"hello").await;
    let name = json!({"filename": "Cafe\u{301}.txt"});
    assert_eq!(broker.call("PATCH", &format!("/v2/files/{}.json", slip.id), Some(&name)).await.0, 200);
    assert_eq!((broker.found_by("Caf\u{e9}").await, broker.fill_names().await), (vec![slip.id], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_file_is_found_by_its_new_name_alone_on_sqlite() {
    a_renamed_file_is_found_by_its_new_name_alone(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_file_is_found_by_its_new_name_alone_on_postgres() {
    a_renamed_file_is_found_by_its_new_name_alone(Db::Postgres).await;
}

async fn what_a_broker_of_before_writes_is_found_too(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let one = broker.kept_as("R\u{e9}sum\u{e9}.txt").await;
    let two = broker.kept_as("Re\u{301}sume\u{301}.txt").await;
    let plain = broker.kept_as("plain.txt").await;
    let (status, before) = broker.read(two).await;
    assert_eq!(status, 200);
    broker.as_of_before().await;
    // Until its turn comes, a name is found as it is.
    assert_eq!((broker.found_by("R\u{e9}sum\u{e9}").await, broker.found_by(".txt").await), (vec![one], vec![one, two, plain]));
    assert_eq!((broker.fill_names().await, broker.fill_names().await), (2, 0), "names in ASCII are not looked at");
    assert_eq!(broker.found_by("R\u{e9}sum\u{e9}").await, [one, two]);
    assert_eq!(broker.read(two).await.1, before, "nothing that is told has changed");

    // It renames files, and knows nothing of what stands beside the name.
    let rename =
        async |id: i64, name: &str| execute(&broker.database_url, &format!("UPDATE files SET name = '{name}' WHERE id = {id}")).await;
    rename(two, "Cafe\u{301}.txt").await;
    assert_eq!((broker.found_by("r\u{e9}sum\u{e9}").await, broker.found_by(".txt").await), (vec![one], vec![one, two, plain]));
    rename(one, "plainer.txt").await;
    assert_eq!((broker.found_by("r\u{e9}sum\u{e9}").await, broker.found_by("plainer").await), (Vec::new(), vec![one]));
    rename(plain, "Re\u{301}sume\u{301}.txt").await;
    assert_eq!(broker.fill_names().await, 2);
    assert_eq!((broker.found_by("caf\u{e9}").await, broker.found_by("r\u{e9}sum\u{e9}").await), (vec![two], vec![plain]));
    // A name that it changed and changed back.
    rename(two, "x.txt").await;
    rename(two, "Cafe\u{301}.txt").await;
    assert_eq!((broker.found_by("caf\u{e9}").await, broker.fill_names().await), (vec![two], 0));
    // Of a slip that it issued, confirmed by this one.
    let slip = broker.authorize(&new_file("Cafe\u{301}.txt", "text/plain")).await;
    execute(&broker.database_url, &format!("UPDATE files SET search_name = NULL, search_name_of = NULL WHERE id = {}", slip.id)).await;
    broker.drop_bytes(&slip, b"hello").await;
    assert_eq!(broker.confirm(slip.id).await.0, 200);
    assert_eq!(broker.found_by("caf\u{e9}").await, [two, slip.id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_broker_of_before_writes_is_found_too_on_sqlite() {
    what_a_broker_of_before_writes_is_found_too(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_broker_of_before_writes_is_found_too_on_postgres() {
    what_a_broker_of_before_writes_is_found_too(Db::Postgres).await;
}

async fn names_are_filled_in_small_bites_by_several_at_once(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    for number in 0..40 {
        broker.authorize(&new_file(&format!("Re\u{301}sume\u{301} {number}.txt"), "text/plain")).await;
    }
    broker.kept_as("R\u{e9}sum\u{e9} 40.txt").await;
    // As if all were active and of before.
    let shape = "state = 'deleted', sealed_key = 'files/' || id, etag = 'e', verdict = 'matches', decided_type = 'text/plain', \
                 deleted_at = updated_at, deleted_by_id = 1, deleted_by_kind = 'users'";
    execute(&broker.database_url, &format!("UPDATE files SET {shape} WHERE state = 'temp'")).await;
    broker.as_of_before().await;
    let first = broker.database.fill_search_names(None, 10).await.unwrap();
    assert_eq!(first.rows, 10);
    let second = broker.database.fill_search_names(first.last, 10).await.unwrap();
    assert!(second.rows == 10 && second.last < first.last, "{second:?}");
    // The rest by four at once, in batches that meet: each row is written by one of them.
    let batches = (0..4).map(|_| async {
        let (mut rows, mut below) = (0, None::<FileId>);
        loop {
            let filled = broker.database.fill_search_names(below, 3).await.unwrap();
            rows += filled.rows;
            below = filled.last;
            if below.is_none() {
                return rows;
            }
        }
    });
    let rows: Vec<u64> = futures_util::future::join_all(batches).await;
    assert_eq!(rows.iter().sum::<u64>(), 21, "{rows:?}");
    let all =
        broker.listed_by("/v2/files.json", &[("q", "R\u{e9}sum\u{e9}"), ("filter", r#"{"state":"deleted"}"#), ("pageSize", "100")]).await;
    assert_eq!((all.len(), broker.fill_names().await), (40, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_filled_in_small_bites_by_several_at_once_on_sqlite() {
    names_are_filled_in_small_bites_by_several_at_once(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_filled_in_small_bites_by_several_at_once_on_postgres() {
    names_are_filled_in_small_bites_by_several_at_once(Db::Postgres).await;
}

/// The program, on a database that one of before left.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_makes_old_names_ready_without_anybody_asking() {
    for db in [Db::Sqlite, Db::Postgres] {
        let folder = tempfile::tempdir().unwrap();
        let url = crate::harness::database(db, &folder).await;
        let data = folder.path().join("data").display().to_string();
        let settings = [
            ("DROPSLIP_LISTEN", "127.0.0.1:0"),
            ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0"),
            ("DROPSLIP_DATABASE_URL", url.as_str()),
            ("DROPSLIP_DATA_DIR", data.as_str()),
            ("DROPSLIP_SWEEP_INTERVAL", "0"),
        ];
        let names = ["R\u{e9}sum\u{e9}.txt", "Re\u{301}sume\u{301}.txt"];
        for name in names {
            std::fs::write(folder.path().join(name), "hello").unwrap();
        }
        let serving = Serving::start(folder.path(), &settings, ")");
        let uploaded = run(folder.path(), &[], &["upload", "--server", serving.url(), names[0], names[1]]);
        assert!(uploaded.status.success(), "{}", text(&uploaded.stderr));
        assert_eq!(serving.terminate().0, 0);
        execute(&url, "UPDATE files SET search_name = NULL, search_name_of = NULL").await;

        let serving = Serving::start(folder.path(), &settings, ")");
        let token = std::fs::read_to_string(folder.path().join("data/development-token")).unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        loop {
            let asked = reqwest::Client::new().get(format!("{}/v2/files.json?q=R%C3%A9sum%C3%A9", serving.url())).bearer_auth(token.trim());
            let (_, page) = crate::harness::answer(asked).await;
            if page["files"].as_array().unwrap().len() == 2 {
                break;
            }
            assert!(std::time::Instant::now() < deadline, "{db:?}: {page}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let (code, log) = serving.terminate();
        assert!(code == 0 && log.contains("names of before can be searched for"), "{db:?}: {log}");
    }
}
