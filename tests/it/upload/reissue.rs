//! The slip again: re-issued by number, or by Idempotency-Key after a lost answer.

use serde_json::{Value, json};

use crate::harness::{Bed, Db, Setup, Slip, TestBroker, answer, error_fields, new_file, slip};

impl TestBroker {
    async fn reissue(&self, id: i64) -> (reqwest::StatusCode, Value) {
        self.call("POST", &format!("/v2/files/{id}/ref.json"), None).await
    }

    async fn authorize_once(&self, key: &str, body: &Value) -> (reqwest::StatusCode, Value) {
        answer(self.request("POST", "/v2/files/ref.json").header("idempotency-key", key).body(body.to_string())).await
    }

    async fn sealed_bytes(&self) -> Vec<u8> {
        let sealed = self.objects().await.into_iter().find(|(key, _)| key.starts_with("files/")).unwrap().0;
        self.bytes_of(&sealed).await
    }
}

async fn reissued(broker: &TestBroker, id: i64) -> Slip {
    let (status, body) = broker.reissue(id).await;
    assert_eq!(status, 201, "{body}");
    slip(body)
}

async fn the_old_form_can_no_longer_become_the_file(bed: Bed) {
    let broker = TestBroker::on(bed).await;
    let mut request = new_file("a.txt", "text/plain");
    request["size"] = json!(5);
    let old = broker.authorize(&request).await;
    broker.drop_bytes(&old, b"older").await;
    let new = reissued(&broker, old.id).await;
    assert_eq!(new.id, old.id);
    assert_ne!(new.param("key"), old.param("key"));
    assert_eq!(broker.confirm(old.id).await.0, 409, "what the old form wrote is not the file");
    assert_eq!(broker.post_form(&new.url, &new.params, Some(b"too long")).await.0, 400, "the new form is as narrow as the old");
    broker.drop_bytes(&new, b"newer").await;
    broker.drop_bytes(&old, b"later").await;
    assert_eq!(broker.confirm(old.id).await.0, 200);
    assert_eq!(broker.sealed_bytes().await, b"newer");

    let (status, body) = broker.reissue(old.id).await;
    assert_eq!((status.as_u16(), error_fields(&body)), (409, vec!["state".to_owned()]), "an active file gets no form");
}

#[tokio::test]
async fn the_old_form_can_no_longer_become_the_file_on_the_embedded_store() {
    the_old_form_can_no_longer_become_the_file(Bed::Embedded).await;
}

#[tokio::test]
async fn the_old_form_can_no_longer_become_the_file_on_seaweedfs() {
    the_old_form_can_no_longer_become_the_file(Bed::SeaweedFs).await;
}

#[tokio::test]
async fn the_old_form_can_no_longer_become_the_file_on_localstack() {
    the_old_form_can_no_longer_become_the_file(Bed::LocalStack).await;
}

#[tokio::test]
async fn only_the_owner_with_the_scope_gets_it_again() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let slip = broker.text_slip().await;
    let ask =
        async |token: String| answer(broker.http.post(format!("{}/v2/files/{}/ref.json", broker.base, slip.id)).bearer_auth(token)).await.0;
    assert_eq!(ask(broker.new_token("another", 1, "files:write").await).await, 404);
    assert_eq!(ask(broker.new_token("default", 1, "files:read").await).await, 403);
    assert_eq!(broker.reissue(999).await.0, 404);
    assert_eq!(ask(broker.token.clone()).await, 201);
}

async fn the_same_request_answers_the_same_file(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let request = new_file("a.txt", "text/plain");
    let (status, first) = broker.authorize_once("one", &request).await;
    assert_eq!(status, 201, "{first}");
    let first = slip(first);
    // The same meaning in another spelling is the same request.
    let reordered = json!({"mimeType": "TEXT/plain", "filename": "a.txt", "type": "attachment"});
    let again = slip(broker.authorize_once("one", &reordered).await.1);
    assert_eq!((again.id, again.param("key")), (first.id, first.param("key")));

    let (status, body) = broker.authorize_once("one", &new_file("b.txt", "text/plain")).await;
    assert_eq!((status.as_u16(), error_fields(&body)), (422, vec!["Idempotency-Key".to_owned()]));
    assert_ne!(slip(broker.authorize_once("two", &request).await.1).id, first.id);
    let colleague = broker.new_token("default", 2, "files:write").await;
    let theirs = broker.http.post(format!("{}/v2/files/ref.json", broker.base)).bearer_auth(colleague).header("idempotency-key", "one");
    assert_ne!(slip(answer(theirs.body(request.to_string())).await.1).id, first.id, "keys are each caller's own");

    broker.drop_bytes(&first, b"hello").await;
    let (_, active) = broker.confirm(first.id).await;
    let (status, body) = broker.authorize_once("one", &request).await;
    assert_eq!((status.as_u16(), body), (200, active), "the file is past needing a form");
}

#[tokio::test]
async fn the_same_request_answers_the_same_file_on_sqlite() {
    the_same_request_answers_the_same_file(Db::Sqlite).await;
}

#[tokio::test]
async fn the_same_request_answers_the_same_file_on_postgres() {
    the_same_request_answers_the_same_file(Db::Postgres).await;
}

#[tokio::test]
async fn requests_sent_twice_at_once_make_one_file_and_forms_that_all_work() {
    let broker = Setup::on(Bed::SeaweedFs).database(Db::Postgres).start().await;
    let request = new_file("a.txt", "text/plain");
    let answers = futures_util::future::join_all((0..8).map(|_| broker.authorize_once("one", &request))).await;
    let slips: Vec<_> =
        answers.into_iter().map(|(status, body)| if status == 201 { slip(body) } else { panic!("{status} {body}") }).collect();
    for slip in &slips {
        assert_eq!(slip.id, slips[0].id);
        broker.drop_bytes(slip, b"hello").await;
    }
    assert_eq!(broker.confirm(slips[0].id).await.0, 200);
    assert_eq!(broker.objects().await.len(), 1);
}

#[tokio::test]
async fn a_key_that_is_no_key_is_refused() {
    let broker = TestBroker::on(Bed::Embedded).await;
    for bad in ["", &"k".repeat(256), "a\tb", "ü"] {
        let (status, body) = broker.authorize_once(bad, &new_file("a.txt", "")).await;
        assert_eq!((status.as_u16(), error_fields(&body)), (400, vec!["Idempotency-Key".to_owned()]), "{bad:?}");
    }
    let twice = broker.request("POST", "/v2/files/ref.json").header("idempotency-key", "a").header("idempotency-key", "b");
    let (status, body) = answer(twice.body(new_file("a.txt", "").to_string())).await;
    assert_eq!((status.as_u16(), error_fields(&body)), (400, vec!["Idempotency-Key".to_owned()]), "two of them");
    for good in ["k", &"k".repeat(255), "a b"] {
        let (status, body) = broker.authorize_once(good, &new_file("a.txt", "")).await;
        assert_eq!(status, 201, "{good:?}: {body}");
    }
}
