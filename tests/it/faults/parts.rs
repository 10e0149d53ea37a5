//! Files in parts, when the broker dies or the store is away at any step.

use serde_json::{Value, json};

use super::death::{assert_dead, confirm, populated};
use super::proxy::{Break, INTERNAL_ERROR, Proxy};
use super::world::{Answer, Program, Through, World, number_of, unique_bytes};
use crate::harness::{Db, from_servers};

impl World {
    /// The only part of a small file.
    async fn put_part(&self, program: &Program, id: i64, bytes: &[u8]) {
        let signed = self.ask(program, "POST", &format!("/v2/files/{id}/parts.json"), None, &json!({"partNumbers": [1]})).await.unwrap();
        let url = signed.body["parts"][0]["url"].as_str().unwrap_or_else(|| panic!("{signed:?}"));
        let answer = reqwest::Client::new().put(url).body(bytes.to_vec()).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    }

    async fn give_up(&self, program: &Program, id: i64) -> Result<Answer, String> {
        self.ask(program, "DELETE", &format!("/v2/files/{id}/parts.json"), None, &Value::Null).await
    }
}

/// Dies while an upload is begun, or while it is put together.
pub async fn dies_in_parts(db: Db, point: &str) {
    let mut world = populated(db).await;
    let bytes = unique_bytes();
    if point.starts_with("parts: upload") {
        let dying = world.start(Some(point)).await;
        let answer = world.ask_for_parts(&dying, bytes.len(), "once").await;
        assert_dead(dying, answer, point).await;
    }
    let program = world.start(None).await;
    let id = number_of(&world.ask_for_parts(&program, bytes.len(), "once").await.unwrap());
    world.put_part(&program, id, &bytes).await;
    if !point.starts_with("parts: upload") {
        drop(program);
        let dying = world.start(Some(point)).await;
        let answer = world.confirm(&dying, id).await;
        assert_dead(dying, answer, point).await;
    }
    let program = world.start(None).await;
    confirm(&mut world, &program, id, &bytes).await;
    world.sweep_and_audit(point).await;
}

pub async fn dies_while_giving_up(db: Db, point: &str) {
    let mut world = populated(db).await;
    let program = world.start(None).await;
    let bytes = unique_bytes();
    let id = number_of(&world.ask_for_parts(&program, bytes.len(), "once").await.unwrap());
    world.put_part(&program, id, &bytes).await;
    drop(program);
    let dying = world.start(Some(point)).await;
    let answer = world.give_up(&dying, id).await;
    assert_dead(dying, answer, point).await;

    let program = world.start(None).await;
    assert_eq!(world.give_up(&program, id).await.unwrap().status, 404, "it was forgotten for good");
    world.must_lose(id);
    world.sweep_and_audit(point).await;
}

/// What each step asks the store, in the words of the request.
const STEPS: [(&str, &str); 4] =
    [("begin", "?uploads"), ("list", "x-id=ListParts"), ("complete", "POST /"), ("give up", "x-id=AbortMultipartUpload")];

#[tokio::test(flavor = "multi_thread")]
async fn s3_away_at_any_step_of_parts_is_503_and_goes_on_when_it_is_back() {
    for (step, on) in STEPS {
        let proxy = Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await;
        let mut world = World::through(Db::Sqlite, Through { s3: Some(proxy.address), database: None }).await;
        let program = world.start(None).await;
        let bytes = unique_bytes();
        if step == "begin" {
            proxy.breaks(on, Break::Answer(INTERNAL_ERROR));
            let answer = world.ask_for_parts(&program, bytes.len(), "once").await.unwrap();
            assert_eq!((answer.status.as_u16(), answer.retry_after.is_some()), (503, true), "{step}: {answer:?}");
            proxy.heals();
        }
        let id = number_of(&world.ask_for_parts(&program, bytes.len(), "once").await.unwrap());
        world.put_part(&program, id, &bytes).await;
        proxy.breaks(on, Break::Answer(INTERNAL_ERROR));
        match step {
            "list" | "complete" => {
                let answer = world.confirm(&program, id).await.unwrap();
                assert_eq!((answer.status.as_u16(), answer.retry_after.is_some()), (503, true), "{step}: {answer:?}");
            }
            "give up" => {
                let answer = world.give_up(&program, id).await.unwrap();
                assert_eq!(answer.status, 204, "the record is gone, the parts are the sweeper's: {answer:?}");
                world.must_lose(id);
            }
            _ => {}
        }
        assert!(step == "begin" || proxy.hits() > 0, "{step} never came through");
        proxy.heals();
        if step != "give up" {
            confirm(&mut world, &program, id, &bytes).await;
        }
        world.sweep_and_audit(step).await;
    }
}

const FORBIDDEN: &str = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Rights that are missing for one kind of request keep nothing else from being swept.
#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_cannot_be_ended_keep_nothing_else_from_being_swept() {
    let proxy = Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await;
    let mut world = World::through(Db::Sqlite, Through { s3: Some(proxy.address), database: None }).await;
    let program = world.start(None).await;
    proxy.breaks("x-id=AbortMultipartUpload", Break::Answer(FORBIDDEN));
    for number in 0..4 {
        let id = number_of(&world.ask_for_parts(&program, 5, &format!("key {number}")).await.unwrap());
        assert_eq!(world.give_up(&program, id).await.unwrap().status, 204);
        world.must_lose(id);
    }
    let (slip, _) = world.uploaded(&program, "lost").await;
    world.must_lose(slip.id);
    let later = time::OffsetDateTime::now_utc() + super::world::LONG;
    assert!(world.broker().await.sweep(later).await.is_err(), "it says that something is left");
    let listed = world.s3.list_objects_v2().bucket(&world.bucket).send().await.unwrap();
    assert_eq!(listed.contents().len(), 0, "what has no upload is gone");
    proxy.heals();
    world.sweep_and_audit("healed").await;
}

/// What stores answer that know no forms.
const NOT_IMPLEMENTED: &str = "HTTP/1.1 501 Not Implemented\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_asked_whether_it_takes_forms() {
    for (broken, method) in [(false, "POST"), (true, "PUT")] {
        let proxy = Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await;
        if broken {
            proxy.breaks("multipart/form-data", Break::Answer(NOT_IMPLEMENTED));
        }
        let mut world = World::through(Db::Sqlite, Through { s3: Some(proxy.address), database: None }).await;
        world.set("DROPSLIP_S3_METHOD", "auto");
        let program = world.start(None).await;
        let body = json!({"type": "kept", "filename": "a.txt", "mimeType": "text/plain", "size": 5});
        let answer = world.ask(&program, "POST", "/v2/files/ref.json", None, &body).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.body["method"].as_str()), (201, Some(method)), "{answer:?}");
        let listed = world.s3.list_objects_v2().bucket(&world.bucket).send().await.unwrap();
        assert_eq!(listed.contents().len(), 0, "asking stores nothing");
    }
}
