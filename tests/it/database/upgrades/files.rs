//! Files, tickets and the audit log of an older version.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::fixture::{Age, Installation, array, encoded, listed, numbers, says};
use super::rows;
use crate::harness::Db;

pub async fn every_file_is_there_after_an_upgrade(version: &Path, db: Db) {
    let mut old = Installation::copy(version, db, Age::AsItIs).await;
    let empty: Vec<_> = rows::counts(&old.database_url).await.into_iter().filter(|(_, count)| *count == 0).collect();
    assert!(empty.is_empty(), "what the old version left empty shows nothing: {empty:?}");
    let logged = old.facts["audit"].clone();
    old.upgrade();
    assert_eq!(old.request("GET", "/readyz", None).send().await.unwrap().status(), 200);
    old.assert_whole();

    let has_changed = |file: &Value, said: &Value| {
        let mut record = file["record"].clone();
        let record = record.as_object_mut().unwrap();
        // It is another one each hour.
        record.remove("proxyKey");
        // What was put together of parts was put back in one piece by the test.
        let evidence = record.get_mut("evidence").and_then(Value::as_object_mut).filter(|_| db == Db::Postgres);
        if let Some(evidence) = evidence.filter(|evidence| evidence["etag"].as_str().unwrap().contains('-')) {
            evidence.remove("etag");
        }
        !says(said, &json!(record))
    };
    for file in array(&old.facts["files"]) {
        let said = old.must(200, "GET", &format!("/v2/files/{}.json", file["id"]), old.of_all(&file["tenant"]), None).await;
        assert!(!has_changed(file, &said["file"]), "{said:#} is not what it was: {file:#}");
    }
    for tenant in ["default", "acme"] {
        let token = old.of_all(&json!(tenant));
        for (state, filter) in [("active", ""), ("deleted", "filter={\"state\":\"deleted\"}")] {
            let expected = numbers(old.files(state).into_iter().filter(|file| file["tenant"] == tenant));
            assert_eq!(listed(&old, token, filter).await, expected, "{tenant}: {state}");
        }
    }
    old.wait_for_names().await;
    for file in old.files("active") {
        old.assert_has_its_bytes(file).await;
        let (id, name, token) = (file["id"].as_i64().unwrap(), &file["record"]["filename"], old.of_all(&file["tenant"]));
        let by_text = listed(&old, token, &format!("q={}", encoded(name.as_str().unwrap()))).await;
        let by_filter = listed(&old, token, &format!("filter={}", encoded(&json!({"filename": name}).to_string()))).await;
        assert!(by_text.contains(&id) && by_filter.contains(&id), "{name} is found: {by_text:?}, {by_filter:?}");
    }
    for ticket in array(&old.facts["tickets"]) {
        let (path, token) = (format!("/v2/tickets/{}/files", ticket["ticket"]), old.of_all(&ticket["tenant"]));
        let list = old.must(200, "GET", &format!("{path}.json"), token, None).await;
        let expected: BTreeSet<_> = array(&ticket["files"]).iter().map(|id| id.as_i64().unwrap()).collect();
        assert_eq!(numbers(array(&list["files"])), expected, "{ticket}");
        assert!(old.bytes(&format!("{path}.zip"), Some(token)).await.starts_with(b"PK"));
    }
    for file in old.files("deleted") {
        let (path, token) = (format!("/v2/files/{}/restore.json", file["id"]), old.of_all(&file["tenant"]));
        old.must(200, "POST", &path, token, None).await;
        old.assert_has_its_bytes(file).await;
    }

    let lines = old.rows(&["audit-log", "--json", "--limit", "10000"]);
    let restored = old.files("deleted").len();
    assert_eq!(lines.len(), array(&logged).len() + restored);
    let changed: Vec<_> = array(&logged).iter().zip(&lines[restored..]).filter(|(old, new)| !says(new, old)).collect();
    assert!(changed.is_empty(), "lines of the audit log stay as they are: {changed:#?}");
    old.assert_whole();
}

pub async fn what_lay_for_a_year_is_swept(version: &Path, db: Db) {
    let mut old = Installation::copy(version, db, Age::Of(time::Duration::days(400))).await;
    old.set("DROPSLIP_DELETED_RETENTION", "30d");
    old.set("DROPSLIP_EVENTS_RETENTION", "30d");
    old.upgrade();
    let ended = array(&old.facts["tokens"]).iter().find(|token| token["state"] == "ends").unwrap();
    assert_eq!(old.ask("GET", "/v2/files.json", ended["text"].as_str().unwrap(), None).await.0, 401);
    // However late they are: their endpoints are told.
    old.wait_for_events().await;
    let swept = old.run(&["sweep", "--once"]);
    let (arrived, deleted) = (old.files("arrived"), old.files("deleted"));
    let waiting: Vec<_> = ["waiting", "in parts", "in parts of Uppy"].into_iter().flat_map(|is| old.files(is)).collect();
    let told = format!("{} activated, {} discarded, 0 ended, {} purged", arrived.len(), waiting.len(), deleted.len());
    assert!(swept.contains(&told), "{swept}");
    assert!(old.run(&["sweep", "--dry-run"]).contains("0 expired temp files, 0 doomed objects, 0 deleted files"));
    for file in waiting.into_iter().chain(deleted) {
        old.must(404, "GET", &format!("/v2/files/{}.json", file["id"]), old.of_all(&file["tenant"]), None).await;
    }
    for file in old.files("active").into_iter().chain(arrived) {
        old.assert_has_its_bytes(file).await;
    }
    old.assert_whole();
    assert_eq!(rows::counts(&old.database_url).await["idempotency_keys"], 0);
    let left = old.rows(&["events", "list", "--json", "--limit", "10000"]);
    let left: BTreeSet<_> = left.iter().map(|event| event["number"].as_i64()).collect();
    let (pending, finished): (Vec<_>, Vec<_>) = array(&old.facts["events"]).iter().partition(|event| event["state"] == "pending");
    let is_left = |event: &&Value| left.contains(&event["number"].as_i64());
    assert!(pending.iter().all(is_left) && !finished.iter().any(is_left), "what ended a year ago is forgotten, and nothing else: {left:?}");
}
