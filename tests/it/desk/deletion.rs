//! Deleting, restoring and purging as clients see them, on every store and both databases.

use dropslip::domain::{Actor, ActorKind, Caller, TypeLimit};
use dropslip::tokens::Tokens;
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::harness::{Bed, Db, Setup, TestBroker, answer, error_fields, new_file};

impl TestBroker {
    pub async fn active_text(&self) -> i64 {
        let slip = self.text_slip().await;
        self.drop_bytes(&slip, b"hello").await;
        assert_eq!(self.confirm(slip.id).await.0, 200);
        slip.id
    }

    /// A request whose answer may have no body.
    pub async fn status_of(&self, token: &str, method: &str, path: &str, body: &str) -> (StatusCode, Value) {
        let request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.base)).bearer_auth(token);
        let response = request.header("content-type", "application/json").body(body.to_owned()).send().await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
    }

    pub async fn delete(&self, id: i64) -> StatusCode {
        let (status, body) = self.status_of(&self.token, "DELETE", &format!("/v2/files/{id}.json"), "").await;
        assert_eq!(body.is_null(), status == 204, "{body}");
        status
    }

    async fn restore(&self, id: i64) -> (StatusCode, Value) {
        self.call("POST", &format!("/v2/files/{id}/restore.json"), None).await
    }

    async fn actors_token(&self, tenant: &str, actor: Actor, scopes: &str) -> String {
        let caller =
            Caller { actor, tenant: tenant.parse().unwrap(), scopes: scopes.parse().unwrap(), types: TypeLimit::default(), dialect: None };
        Tokens::new(self.database.clone(), None).create(&caller, OffsetDateTime::now_utc()).await.unwrap().1.reveal().to_owned()
    }

    async fn sweep_after(&self, later: Duration) -> dropslip::broker::Swept {
        self.server.broker.sweep(OffsetDateTime::now_utc() + later).await.unwrap()
    }
}

/// Longer than the default retention.
const LONG: Duration = Duration::days(31);

async fn a_file_goes_comes_back_and_goes_for_good(bed: Bed, db: Db) {
    let broker = Setup::on(bed).database(db).start().await;
    let (id, other) = (broker.active_text().await, broker.active_text().await);
    let before = broker.read(id).await.1;
    let colleague = broker.new_token("default", 7, "files:delete").await;
    let path = format!("/desk/api/v2/files/{id}.json");
    assert_eq!(broker.status_of(&colleague, "DELETE", &path, "").await, (StatusCode::NO_CONTENT, Value::Null));
    let (status, deleted) = broker.read(id).await;
    assert_eq!((status.as_u16(), &deleted["file"]["state"]), (200, &json!("deleted")), "it can still be looked at");
    assert_eq!(deleted["file"]["deletedBy"], json!({"id": 7, "type": "users"}));
    assert!(deleted["file"]["deletedAt"].as_str().unwrap() > before["file"]["updatedAt"].as_str().unwrap());
    let mut same = deleted["file"].clone();
    same.as_object_mut().unwrap().retain(|name, _| !name.starts_with("deleted"));
    same["state"] = json!("active");
    for link in ["downloadURL", "proxyKey", "s3Path"] {
        assert_eq!(same[link], "", "there is nothing to download");
        same[link] = before["file"][link].clone();
    }
    assert_eq!(same, before["file"], "nothing else of it changed, updatedAt above all");
    assert_eq!(before["file"].get("deletedAt").or(before["file"].get("deletedBy")), None);

    // Again: nothing changes.
    assert_eq!(broker.delete(id).await, 204);
    assert_eq!(broker.read(id).await.1, deleted);
    let listed = broker.call("GET", "/v2/files.json", None).await.1;
    assert_eq!(listed["files"].as_array().unwrap().iter().map(|file| &file["id"]).collect::<Vec<_>>(), [&json!(other)]);
    // What would change it says why it does not.
    for (method, path) in [("PATCH", format!("/v2/files/{id}.json")), ("POST", format!("/v2/files/{id}/ref.json"))] {
        let (status, body) = broker.call(method, &path, None).await;
        assert_eq!((status.as_u16(), body), (409, json!({"errors": {"state": ["is deleted: restore it first"]}})), "{method} {path}");
    }
    let swept = broker.sweep_after(LONG - Duration::days(2)).await;
    assert_eq!(swept.purged, 0);
    let audit = broker.server.broker.reconcile().await.unwrap();
    assert!(audit.is_clean() && audit.files == 2, "a deleted file owns its object: {audit:?}");

    for method in ["POST", "PUT", "POST"] {
        let (status, body) = broker.call(method, &format!("/v2/files/{id}/restore.json"), None).await;
        assert_eq!((status.as_u16(), &body), (200, &before));
    }
    assert_eq!(broker.read(id).await.1, before);
    assert_eq!(broker.sweep_after(LONG).await.purged, 0, "nothing is deleted");

    assert_eq!(broker.delete(id).await, 204);
    let swept = broker.sweep_after(LONG).await;
    assert_eq!((swept.purged, swept.deleted), (1, 1), "record and object go in one sweep");
    assert_eq!(broker.read(id).await.0, 404);
    assert_eq!((broker.delete(id).await, broker.restore(id).await.0), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
    assert_eq!(broker.objects().await.len(), 1, "the other file's");
    let audit = broker.server.broker.reconcile().await.unwrap();
    assert!(audit.is_clean() && audit.files == 1, "{audit:?}");
}

#[tokio::test]
async fn a_file_goes_comes_back_and_goes_for_good_on_the_embedded_store_and_sqlite() {
    a_file_goes_comes_back_and_goes_for_good(Bed::Embedded, Db::Sqlite).await;
}

#[tokio::test]
async fn a_file_goes_comes_back_and_goes_for_good_on_seaweedfs_and_postgres() {
    a_file_goes_comes_back_and_goes_for_good(Bed::SeaweedFs, Db::Postgres).await;
}

#[tokio::test]
async fn the_retention_is_the_operators_to_say() {
    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_DELETED_RETENTION", "90d").start().await;
    let id = broker.active_text().await;
    assert_eq!(broker.delete(id).await, 204);
    assert_eq!(broker.sweep_after(Duration::days(89)).await.purged, 0);
    assert_eq!(broker.sweep_after(Duration::days(91)).await.purged, 1);
    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_DELETED_RETENTION", "0").start().await;
    let id = broker.active_text().await;
    assert_eq!(broker.sweep_after(Duration::ZERO).await.purged, 0);
    assert_eq!(broker.delete(id).await, 204);
    assert_eq!(broker.sweep_after(Duration::SECOND).await.purged, 1);
}

#[tokio::test]
async fn a_temp_file_is_forgotten_with_what_came_of_it() {
    let broker = Setup::on(Bed::SeaweedFs).database(Db::Postgres).setting("DROPSLIP_MULTIPART_THRESHOLD", "1").start().await;
    let slip = broker.text_slip().await;
    broker.drop_bytes(&slip, b"hello").await;
    assert_eq!(broker.restore(slip.id).await.1, json!({"errors": {"state": ["is temp: there is nothing to restore"]}}));
    assert_eq!(broker.delete(slip.id).await, 204);
    assert_eq!(broker.objects().await, []);
    for status in
        [broker.read(slip.id).await.0, broker.confirm(slip.id).await.0, broker.delete(slip.id).await, broker.restore(slip.id).await.0]
    {
        assert_eq!(status, 404);
    }
    // Its form still works; what it writes is nobody's and goes.
    broker.drop_bytes(&slip, b"again").await;
    assert!(broker.server.broker.reconcile().await.unwrap().is_clean());

    let mut wish = new_file("a.txt", "text/plain");
    (wish["size"], wish["multipart"]) = (json!(11 << 20), json!(true));
    let (status, begun) = broker.call("POST", "/v2/files/ref.json", Some(&wish)).await;
    assert_eq!((status.as_u16(), &begun["method"]), (201, &json!("MULTIPART")), "{begun}");
    let uploads = async || broker.s3.list_multipart_uploads().bucket(&broker.bucket).send().await.unwrap().uploads().len();
    assert_eq!(uploads().await, 1);
    assert_eq!(broker.delete(begun["file"]["id"].as_i64().unwrap()).await, 204);
    assert_eq!(uploads().await, 0, "its upload in parts is ended");
    broker.sweep_after(LONG).await;
    assert_eq!(broker.objects().await, []);
}

#[tokio::test]
async fn many_files_are_deleted_at_once_and_each_is_told_of() {
    for db in [Db::Sqlite, Db::Postgres] {
        let broker = Setup::on(Bed::Embedded).database(db).start().await;
        let stranger = broker.new_token("another", 1, "files:delete").await;
        let (active, gone, temp) = (broker.active_text().await, broker.active_text().await, broker.text_slip().await.id);
        assert_eq!(broker.delete(gone).await, 204);
        let told = |results: &[&str]| {
            let ids = [temp, 987_654, active, gone];
            let files: Vec<_> = ids.iter().zip(results).map(|(id, result)| json!({"id": id, "result": result})).collect();
            json!(files)
        };
        let list = format!("{temp},987654,{active},{gone},{temp}");
        let body = json!({"ids": [temp, 987_654, active, gone, active]});

        // Another tenant's files are no files.
        let nothing = told(&["notFound"; 4]);
        let (status, removed) = broker.status_of(&stranger, "DELETE", &format!("/v2/files.json?ids={list}"), "").await;
        assert_eq!((status.as_u16(), &removed["files"]), (200, &nothing));
        let (_, removed) = broker.status_of(&stranger, "POST", "/v2/files/delete.json", &body.to_string()).await;
        assert_eq!(removed["files"], nothing);

        let would = told(&["forgotten", "notFound", "deleted", "alreadyDeleted"]);
        let (status, removed) = broker.call("DELETE", &format!("/v2/files.json?ids={list}&bulkDryExecute=true"), None).await;
        assert_eq!((status.as_u16(), removed), (200, json!({"files": would, "bulkDryExecute": true})));
        let mut dry = body.clone();
        dry["bulkDryExecute"] = json!(true);
        // Wherever a dry run is asked for.
        assert_eq!(broker.call("POST", "/desk/api/v2/files/delete.json", Some(&dry)).await.1["files"], would);
        for (method, path, body) in [
            ("POST", "/v2/files/delete.json?bulkDryExecute=true".to_owned(), &body),
            ("DELETE", format!("/v2/files.json?ids={list}"), &json!({"bulkDryExecute": true})),
        ] {
            let (status, removed) = broker.call(method, &path, Some(body)).await;
            assert_eq!((status.as_u16(), removed), (200, json!({"files": would, "bulkDryExecute": true})), "{method}");
        }
        assert_eq!((broker.read(active).await.1["file"]["state"].clone(), broker.read(temp).await.0.as_u16()), (json!("active"), 200));

        let (status, removed) = broker.call("POST", "/v2/files/delete.json", Some(&body)).await;
        assert_eq!((status.as_u16(), removed), (200, json!({"files": would, "bulkDryExecute": false})));
        let (_, again) = broker.call("DELETE", &format!("/desk/api/v2/files.json?ids={list}"), None).await;
        assert_eq!(again["files"], told(&["notFound", "notFound", "alreadyDeleted", "alreadyDeleted"]));
        assert_eq!(broker.restore(active).await.0, 200);
    }
}

#[tokio::test]
async fn bulk_requests_are_bounded_and_named_what_is_wrong_with_them() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let many = vec!["1"; 101].join(",");
    for (query, field) in [
        (String::new(), "ids"),
        ("?ids=".to_owned(), "ids"),
        ("?ids=1,x".to_owned(), "ids"),
        (format!("?ids={many}"), "ids"),
        ("?ids=1&bulkDryExecute=yes".to_owned(), "bulkDryExecute"),
        ("?ids=1&bulkDryExecute=true&bulkDryExecute=false".to_owned(), "bulkDryExecute"),
    ] {
        let (status, body) = broker.call("DELETE", &format!("/v2/files.json{query}"), None).await;
        assert_eq!((status.as_u16(), error_fields(&body)), (400, vec![field.to_owned()]), "{query}");
    }
    let too_many = json!({"ids": vec![1; 101]});
    for body in [
        json!({}),
        json!({"ids": []}),
        json!({"ids": "1"}),
        json!({"ids": [1, "2"]}),
        json!({"ids": [-1]}),
        json!({"ids": [1.5]}),
        too_many,
    ] {
        let (status, answer) = broker.call("POST", "/v2/files/delete.json", Some(&body)).await;
        assert_eq!((status.as_u16(), error_fields(&answer)), (400, vec!["ids".to_owned()]), "{body}");
    }
    let (status, answer) = broker.call("POST", "/v2/files/delete.json", Some(&json!({"ids": [1], "bulkDryExecute": "true"}))).await;
    assert_eq!((status.as_u16(), error_fields(&answer)), (400, vec!["bulkDryExecute".to_owned()]));
    // What would be fewer files than are named, or others.
    for (method, path, body, field) in [
        ("DELETE", r#"/v2/files.json?ids=1&filter={"state":"temp"}"#, json!({}), "filter"),
        ("DELETE", "/v2/files.json?ids=1", json!({"filter": {"state": "temp"}}), "filter"),
        ("DELETE", "/v2/files.json?ids=1", json!({"ids": [2]}), "ids"),
        ("POST", "/v2/files/delete.json?ids=2", json!({"ids": [1]}), "ids"),
        ("POST", "/v2/files/delete.json?filter={}", json!({"ids": [1]}), "filter"),
        ("DELETE", "/v2/files.json?ids=1&q=a", json!({}), "q"),
    ] {
        let (status, answer) = broker.call(method, path, Some(&body)).await;
        assert_eq!((status.as_u16(), error_fields(&answer)), (400, vec![field.to_owned()]), "{method} {path} {body}");
    }
    let (status, answer) = broker.call("POST", "/v2/files/delete.json", Some(&json!({"ids": [1.0, 1e18]}))).await;
    assert_eq!((status.as_u16(), answer["files"].as_array().unwrap().len()), (200, 2));
    let most: Vec<_> = (1..=100).map(|id| id.to_string()).collect();
    let (status, answer) = broker.call("DELETE", &format!("/v2/files.json?ids={}", most.join(",")), None).await;
    assert_eq!((status.as_u16(), answer["files"].as_array().unwrap().len()), (200, 100));
    let (status, answer) = broker.call("POST", "/v2/files/delete.json", Some(&json!({"ids": (1..=100).collect::<Vec<_>>()}))).await;
    assert_eq!((status.as_u16(), answer["files"].as_array().unwrap().len()), (200, 100));
}

#[tokio::test]
async fn deleting_takes_a_scope_and_reaches_no_further_than_reading() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let id = broker.active_text().await;
    let paths = [
        ("DELETE", format!("/v2/files/{id}.json"), ""),
        ("POST", format!("/v2/files/{id}/restore.json"), ""),
        ("DELETE", format!("/v2/files.json?ids={id}"), ""),
        ("POST", "/v2/files/delete.json".to_owned(), r#"{"ids":[1],"bulkDryExecute":true}"#),
    ];
    let writer = broker.new_token("default", 1, "files:read,files:write").await;
    for (method, path, body) in &paths {
        let (status, answer) = broker.status_of(&writer, method, path, body).await;
        assert_eq!((status.as_u16(), &answer["errors"]["authorization"][0]), (403, &json!("must have the scope files:delete")), "{path}");
        assert_eq!(broker.status_of("dslip_nobody", method, path, body).await.0, 401, "{path}");
    }
    let stranger = broker.new_token("another", 1, "files:delete").await;
    let customer = broker.actors_token("default", Actor { id: 1, kind: ActorKind::Customers }, "files:delete").await;
    for token in [&stranger, &customer] {
        for (method, path, body) in &paths[..2] {
            let here = broker.status_of(token, method, path, body).await;
            assert_eq!(here, broker.status_of(token, method, &path.replace(&id.to_string(), "987654"), body).await);
            assert_eq!(here.0, 404);
        }
    }
    assert_eq!(broker.read(id).await.1["file"]["state"], "active");
    // A customer's own: users reach it too, and see whose it is.
    let own = broker.actors_token("default", Actor { id: 1, kind: ActorKind::Customers }, "files:read,files:write,files:delete").await;
    let post = broker.http.post(format!("{}/v2/files/ref.json", broker.base)).bearer_auth(&own);
    let slip = crate::harness::slip(answer(post.body(new_file("a.txt", "text/plain").to_string())).await.1);
    broker.drop_bytes(&slip, b"mine").await;
    let path = format!("/v2/files/{}.json", slip.id);
    assert_eq!(broker.status_of(&own, "PATCH", &path, "").await.0, 200);
    assert_eq!(broker.status_of(&own, "DELETE", &path, "").await.0, 204);
    let (_, seen) = broker.read(slip.id).await;
    assert_eq!(
        (&seen["file"]["customer"], &seen["file"]["deletedBy"]),
        (&json!({"id": 1, "type": "customers"}), &json!({"id": 1, "type": "customers"}))
    );
    assert_eq!(broker.restore(slip.id).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn confirmations_deletions_restorations_and_purges_at_once_lose_and_leave_nothing() {
    for (bed, db) in [(Bed::Embedded, Db::Sqlite), (Bed::SeaweedFs, Db::Postgres)] {
        let broker = Setup::on(bed).database(db).setting("DROPSLIP_DELETED_RETENTION", "0").start().await;
        // One that nobody deletes, and one that nobody restores.
        let (kept, gone) = (broker.active_text().await, broker.active_text().await);
        assert_eq!(broker.delete(gone).await, 204);
        let mut ids = Vec::new();
        for number in 0..16 {
            let slip = broker.text_slip().await;
            broker.drop_bytes(&slip, b"hello").await;
            if number % 2 == 0 {
                assert_eq!(broker.confirm(slip.id).await.0, 200);
            }
            ids.push(slip.id);
        }
        let clients = join_all(ids.iter().map(async |id| {
            let confirmed = join_all((0..3).map(|_| broker.confirm(*id)));
            let (confirmed, deleted, restored) = tokio::join!(confirmed, broker.delete(*id), broker.restore(*id));
            let codes = confirmed.iter().map(|(status, _)| status.as_u16()).chain([deleted.as_u16(), restored.0.as_u16()]);
            for code in codes {
                assert!([200, 204, 404, 409].contains(&code), "{code}: {confirmed:?} {deleted} {restored:?}");
            }
            (confirmed.iter().any(|(status, _)| *status == 200), deleted == 204)
        }));
        let sweeps = join_all((0..3).map(async |_| {
            for _ in 0..4 {
                broker.sweep_after(Duration::SECOND).await;
            }
        }));
        let (done, _) = futures_util::future::join(clients, sweeps).await;
        assert!(done.iter().any(|(confirmed, _)| *confirmed) && done.iter().any(|(_, deleted)| *deleted), "{done:?}");
        broker.sweep_after(LONG).await;
        assert_eq!((broker.read(kept).await.0.as_u16(), broker.read(gone).await.0.as_u16()), (200, 404));
        let mut left = 1;
        for id in ids {
            let (status, body) = broker.read(id).await;
            assert!(status == 404 || body["file"]["state"] == "active", "{body}");
            left += usize::from(status == 200);
        }
        assert_eq!(broker.objects().await.len(), left, "one object for each file that is left");
        assert!(broker.server.broker.reconcile().await.unwrap().is_clean());
    }
}
