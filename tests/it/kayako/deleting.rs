//! Deleting: one file, several, and what a refusal leaves.

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{Bed, Db, Setup};

async fn of_eight_at_once_one_deletes_the_file(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let id = broker.active_note("Hello").await;
    let path = format!("/files/{id}.json");
    let answers = join_all((0..8).map(|_| broker.kayako("DELETE", &path))).await;
    let done: Vec<_> = answers.iter().filter(|(status, _)| *status == 200).collect();
    assert_eq!(done.len(), 1, "{answers:?}");
    assert_eq!(done[0].1, json!({"status": 200}));
    for (status, body) in answers.iter().filter(|(status, _)| *status != 200) {
        assert_eq!((status.as_u16(), &body["errors"][0]["code"]), (404, &json!("RESOURCE_NOT_FOUND")));
    }
    assert_eq!(broker.kayako("DELETE", &path).await.0, 404);
    assert_eq!(broker.call("PUT", &format!("/v2/files/{id}/restore.json"), None).await.0, 200);
    assert_eq!(broker.kayako("GET", &path).await.1["data"]["content"], "SGVsbG8=", "it is back as it was");
}

async fn several_are_deleted_by_their_numbers(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let ids = join_all((0..5).map(|_| broker.active_note("Hello"))).await;
    let temp = broker.text_slip().await.id;
    let total = async || broker.kayako("GET", "/files.json").await.1["total_count"].clone();
    let many = (1..=1001).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    let [one, two, ..] = ids[..] else { panic!("{ids:?}") };
    for (query, code) in [
        (String::new(), "FIELD_REQUIRED"),
        ("?ids=".to_owned(), "FIELD_REQUIRED"),
        (format!("?ids={one},two"), "FIELD_INVALID"),
        (format!("?ids={one},{two},{one}"), "PARAMETERS_INCONSISTENT"),
        (format!("?ids={many}"), "FIELD_INVALID"),
    ] {
        let (status, body) = broker.kayako("DELETE", &format!("/files.json{query}")).await;
        let error = &body["errors"][0];
        let named = error.get("parameter").or(error.pointer("/parameters/0"));
        assert_eq!((status.as_u16(), &error["code"], named), (400, &json!(code), Some(&json!("ids"))), "{query}: {body}");
    }
    assert_eq!(total().await, 5, "a refused request deletes nothing");
    let gone = |count: u64| json!({"status": 200, "total_count": count});
    assert_eq!(broker.kayako("DELETE", &format!("/files.json?ids={one},999999999,{temp}")).await.1, gone(1));
    assert_eq!(broker.read(temp).await.0, 200, "a slip is no file yet");
    assert_eq!(broker.kayako("DELETE", &format!("/files?ids[]={one}&ids%5B%5D={two}&ids[]={}", ids[2])).await.1, gone(2));
    let stranger = broker.new_token("other", 1, "files:delete").await;
    let asked = broker.http.delete(format!("{}/api/v1/files.json?ids={}", broker.base, ids[3])).bearer_auth(stranger);
    assert_eq!(asked.send().await.unwrap().json::<serde_json::Value>().await.unwrap(), gone(0));
    assert_eq!(total().await, 2);
}

async fn a_file_is_deleted_that_is_the_one_which_is_meant(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    for bare in [false, true] {
        for record in [false, true] {
            let id = broker.active_note("Hello").await;
            let path = format!("/api/v1/files/{id}.json");
            let etag = if record {
                broker.request("GET", &path).send().await.unwrap().headers()["etag"].to_str().unwrap().to_owned()
            } else {
                format!("\"{}\"", broker.read(id).await.1["file"]["evidence"]["etag"].as_str().unwrap())
            };
            let etag = if bare { etag.trim_matches('"').to_owned() } else { etag };
            let refused = broker.request("DELETE", &path).header("if-match", "\"other\"").send().await.unwrap();
            assert_eq!(refused.status(), 412);
            assert_eq!(refused.json::<serde_json::Value>().await.unwrap()["errors"][0]["code"], "RESOURCE_MODIFIED");
            assert_eq!(broker.request("DELETE", &path).header("if-match", &etag).send().await.unwrap().status(), 200, "{etag}");
        }
    }
}

on_both_engines!(
    of_eight_at_once_one_deletes_the_file,
    several_are_deleted_by_their_numbers,
    a_file_is_deleted_that_is_the_one_which_is_meant
);
