//! What one caller can do over and over leaves so many rows and no more.

use dropslip::database::{Attached, AuditFilter};
use dropslip::domain::{Action, Actor, ActorKind, Caller, Changes, Complaints, File, FileId, FileName, Scopes, TicketId, TypeLimit};
use reqwest::StatusCode;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::harness::{Bed, Db, Setup, Slip, TestBroker, answer, count, error_fields};
use crate::receiver::Receiver;

/// After so many refused uploads a slip is dead, and so often a file is named anew within an hour.
const REFUSALS: usize = 20;
const RENAMES: usize = 60;

async fn upload_refused(broker: &TestBroker, slip: &Slip) -> (StatusCode, Value) {
    upload(broker, slip.param("key"), "text/html").await;
    broker.confirm(slip.id).await
}

async fn upload(broker: &TestBroker, key: &str, content_type: &str) {
    let put = broker.s3.put_object().bucket(&broker.bucket).key(key).content_type(content_type);
    put.body(b"Hello".to_vec().into()).send().await.unwrap();
}

async fn lines(broker: &TestBroker, id: i64, action: Action) -> usize {
    let filter = AuditFilter { file: Some(FileId(id)), action: Some(action), ..AuditFilter::default() };
    broker.database.audit_log(&filter, 1000).await.unwrap().len()
}

async fn a_slip_is_dead_after_twenty_refused_uploads(db: Db) {
    let (receiver, folder) = (Receiver::start().await, tempfile::tempdir().unwrap());
    let endpoints = receiver.endpoints_file(folder.path(), "").display().to_string();
    let broker = Setup::on(Bed::Embedded).database(db).setting("DROPSLIP_WEBHOOKS_FILE", endpoints).start().await;
    let keyed = |key: &'static str| {
        let request = broker.request("POST", "/v2/files/ref.json").header("Idempotency-Key", key);
        answer(request.json(&crate::harness::new_file("note.txt", "text/plain")))
    };
    let (one, other) = (crate::harness::slip(keyed("one").await.1), crate::harness::slip(keyed("other").await.1));
    for time in 1..=REFUSALS {
        let (status, body) = upload_refused(&broker, &one).await;
        let fields = error_fields(&body);
        assert_eq!((status, fields.contains(&"state".to_owned())), (StatusCode::UNPROCESSABLE_ENTITY, time == REFUSALS), "{time}: {body}");
        assert!(fields.contains(&"mimeType".to_owned()), "{body}");
        if time < REFUSALS {
            assert_eq!(upload_refused(&broker, &other).await.0, StatusCode::UNPROCESSABLE_ENTITY);
        }
    }
    // One refusal short of the end, right bytes are welcome.
    broker.drop_bytes(&other, b"Hello").await;
    assert_eq!(broker.confirm(other.id).await.0, StatusCode::OK);

    // The dead one takes nothing any more, whatever is uploaded and whoever asks.
    broker.drop_bytes(&one, b"Hello").await;
    let notification = json!({"Records": [{"eventName": "ObjectCreated:Post", "eventSource": "aws:s3",
        "s3": {"bucket": {"name": broker.bucket}, "object": {"key": one.param("key"), "size": 5}}}]});
    let told = broker.server.broker.bucket_events(notification.to_string().as_bytes(), OffsetDateTime::now_utc()).await.unwrap();
    assert_eq!((told.activated, told.refused), (0, 1));
    let again = format!("/v2/files/{}/ref.json", one.id);
    let attach = json!({"ids": [one.id]});
    for _ in 0..3 {
        let answers = [
            broker.confirm(one.id).await,
            broker.call("POST", &again, None).await,
            keyed("one").await,
            broker.call("PUT", "/v2/tickets/7/files.json", Some(&attach)).await,
        ];
        for (status, body) in answers {
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
            assert!(body.to_string().contains("is dead"), "{body}");
        }
    }
    assert_eq!(broker.read(one.id).await.1["file"]["state"], "temp");
    assert_eq!(
        (lines(&broker, one.id, Action::Rejected).await, lines(&broker, other.id, Action::Rejected).await),
        (REFUSALS, REFUSALS - 1)
    );
    let events = count(&broker.database_url, &format!("SELECT COUNT(*) FROM events WHERE file_id = {}", one.id)).await;
    assert_eq!(events, i64::try_from(REFUSALS).unwrap());
    // A new slip is as good as ever, and the old one goes when its form is dead.
    let fresh = broker.text_slip().await;
    broker.drop_bytes(&fresh, b"Hello").await;
    assert_eq!(broker.confirm(fresh.id).await.0, StatusCode::OK);
    broker.server.broker.sweep(OffsetDateTime::now_utc() + Duration::days(2)).await.unwrap();
    assert_eq!(broker.read(one.id).await.0, StatusCode::NOT_FOUND);
}

async fn a_refused_confirmation_dooms_no_key_that_nothing_was_written_to(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let (refused, misnamed) = (broker.text_slip().await, broker.text_slip().await);
    broker.drop_bytes(&misnamed, b"Hello").await;
    for _ in 0..10 {
        assert_eq!(upload_refused(&broker, &refused).await.0, StatusCode::UNPROCESSABLE_ENTITY);
        let wished = json!({"filename": "note.exe"});
        let (status, body) = broker.call("PATCH", &format!("/v2/files/{}.json", misnamed.id), Some(&wished)).await;
        assert_eq!((status, error_fields(&body)), (StatusCode::BAD_REQUEST, vec!["filename".to_owned()]), "{body}");
    }
    assert_eq!(count(&broker.database_url, "SELECT COUNT(*) FROM doomed_objects WHERE key LIKE 'files/%'").await, 0);
    assert_eq!(broker.confirm(misnamed.id).await.0, StatusCode::OK);
}

/// Both halves of a dozen refusals and the end, in parts: the upload begins anew after each.
async fn parts_of_a_dead_slip_are_not_signed(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).setting("DROPSLIP_MULTIPART_THRESHOLD", "5 MiB").start().await;
    let body = json!({"type": "attachment", "filename": "a.txt", "mimeType": "text/plain", "size": 6 << 20, "multipart": true});
    let (status, slip) = broker.call("POST", "/v2/files/ref.json", Some(&body)).await;
    assert_eq!(status, StatusCode::CREATED, "{slip}");
    let id = slip["file"]["id"].as_i64().unwrap();
    let sign = json!({"partNumbers": [1]});
    let parts = format!("/v2/files/{id}/parts.json");
    assert_eq!(broker.call("POST", &parts, Some(&sign)).await.0, StatusCode::OK);
    let set = format!("UPDATE files SET refused = {REFUSALS} WHERE id = {id}");
    crate::harness::execute(&broker.database_url, &set).await;
    for (method, path, wished) in [("POST", &parts, Some(&sign)), ("GET", &parts, None)] {
        let (status, body) = broker.call(method, path, wished).await;
        assert_eq!((status, error_fields(&body)), (StatusCode::UNPROCESSABLE_ENTITY, vec!["state".to_owned()]), "{method}: {body}");
    }
    assert_eq!(broker.request("DELETE", &format!("/v2/files/{id}.json")).send().await.unwrap().status(), StatusCode::NO_CONTENT);
}

fn user(id: i64) -> Caller {
    let actor = Actor { id, kind: ActorKind::Users };
    Caller { actor, tenant: "default".parse().unwrap(), scopes: Scopes::all(), types: TypeLimit::default(), dialect: None }
}

async fn a_file_is_named_anew_sixty_times_an_hour(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let (file, other) = (active(&broker).await, active(&broker).await);
    let rename = async |id: i64, name: &str| {
        let request = broker.request("PATCH", &format!("/v2/files/{id}.json")).json(&json!({"filename": name}));
        let response = request.send().await.unwrap();
        let wait = response.headers().get("retry-after").map(|wait| wait.to_str().unwrap().parse::<u64>().unwrap());
        (response.status(), wait, response.text().await.unwrap())
    };
    for time in 0..RENAMES {
        assert_eq!(rename(file, &format!("{time}.txt")).await.0, StatusCode::OK);
        assert_eq!(rename(file, &format!("{time}.txt")).await.0, StatusCode::OK, "the same name is no change");
    }
    let (status, wait, body) = rename(file, "late.txt").await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{body}");
    assert!(body.contains("changes of this file") && wait.is_some_and(|wait| (1..=3601).contains(&wait)), "{wait:?} {body}");
    assert_eq!(broker.read(file).await.1["file"]["filename"], "59.txt");
    assert_eq!(lines(&broker, file, Action::Renamed).await, RENAMES);
    assert_eq!(rename(other, "other.txt").await.0, StatusCode::OK, "another file has its own");
    // Every way of confirming it again, and reading, goes on.
    assert_eq!(broker.confirm(file).await.0, StatusCode::OK);
    let in_an_hour = OffsetDateTime::now_utc() + Duration::minutes(61);
    let named = broker.server.broker.confirm_as(&user(1), FileId(file), &called("later.txt"), in_an_hour).await.unwrap();
    assert_eq!(named.name.as_str(), "later.txt");
}

/// A description that is a name and nothing else.
fn called(name: &str) -> impl Fn(&File) -> Result<Changes, Complaints> + Send + Sync + use<> {
    let changes = Changes { name: Some(FileName::sanitized(name)), disposition: None };
    move |_| Ok(changes.clone())
}

async fn many_who_name_one_file_anew_have_sixty_in_all(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let file = active(&broker).await;
    let renames = (0..120).map(|time| {
        let (broker, wished) = (broker.server.broker.clone(), called(&format!("{time}.txt")));
        async move { broker.confirm_as(&user(1), FileId(file), &wished, OffsetDateTime::now_utc()).await.is_ok() }
    });
    let named = futures_util::future::join_all(renames).await.into_iter().filter(|named| *named).count();
    assert_eq!((named, lines(&broker, file, Action::Renamed).await), (RENAMES, RENAMES));
}

async fn deleting_and_restoring_in_turn_ends(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let file = active(&broker).await;
    let (path, restore) = (format!("/v2/files/{file}.json"), format!("/v2/files/{file}/restore.json"));
    for _ in 0..RENAMES {
        assert_eq!(broker.request("DELETE", &path).send().await.unwrap().status(), StatusCode::NO_CONTENT);
        assert_eq!(broker.call("POST", &restore, None).await.0, StatusCode::OK);
    }
    assert_eq!(broker.request("DELETE", &path).send().await.unwrap().status(), StatusCode::NO_CONTENT, "deleting is never refused");
    let (status, body) = broker.call("POST", &restore, None).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{body}");
    assert_eq!((lines(&broker, file, Action::Restored).await, lines(&broker, file, Action::Deleted).await), (RENAMES, RENAMES + 1));
    let later = OffsetDateTime::now_utc() + Duration::minutes(61);
    broker.server.broker.restore(&user(1), FileId(file), later).await.unwrap();
    assert_eq!(broker.read(file).await.1["file"]["state"], "active");
}

async fn attaching_and_taking_off_in_turn_ends(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let (file, other) = (active(&broker).await, active(&broker).await);
    let (tenant, actor, now) = ("default".parse().unwrap(), user(1).actor, OffsetDateTime::now_utc());
    let attach = async |file: i64, ticket: i64| {
        broker.database.attach(&tenant, TicketId(ticket).into(), &[FileId(file)], 100, actor, now).await.unwrap()
    };
    for time in 0..600 {
        let ticket = 1 + time / 2;
        assert_eq!(attach(file, ticket).await, Attached::All);
        assert!(broker.database.detach(&tenant, TicketId(ticket), FileId(file), actor, now).await.unwrap());
    }
    let body = json!({"ids": [other, file]});
    let (status, body) = broker.call("PUT", "/v2/tickets/1000/files.json", Some(&body)).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{body}");
    assert_eq!(broker.call("GET", "/v2/tickets/1000/files.json", None).await.1["files"], json!([]), "all or none");
    assert_eq!(attach(other, 1000).await, Attached::All);
    let later = now + Duration::minutes(61);
    assert_eq!(broker.database.attach(&tenant, TicketId(1).into(), &[FileId(file)], 100, actor, later).await.unwrap(), Attached::All);
}

async fn active(broker: &TestBroker) -> i64 {
    let slip = broker.text_slip().await;
    broker.drop_bytes(&slip, b"Hello").await;
    assert_eq!(broker.confirm(slip.id).await.0, StatusCode::OK);
    slip.id
}

on_both_engines!(
    a_slip_is_dead_after_twenty_refused_uploads,
    a_refused_confirmation_dooms_no_key_that_nothing_was_written_to,
    parts_of_a_dead_slip_are_not_signed,
    a_file_is_named_anew_sixty_times_an_hour,
    many_who_name_one_file_anew_have_sixty_in_all,
    deleting_and_restoring_in_turn_ends,
    attaching_and_taking_off_in_turn_ends,
);
