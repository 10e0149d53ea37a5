//! What comes through Kayako's words ends by itself, softly, unless something uses it by then.

use dropslip::database::AuditFilter;
use dropslip::domain::Action;
use dropslip::webhooks::{Webhooks, parse};
use reqwest::StatusCode;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::harness::{Bed, Db, Setup, TestBroker, answer};
use crate::receiver::{Delivery, Receiver};

impl TestBroker {
    async fn sent_note(&self) -> Value {
        let request = self.request("POST", "/api/v1/files.json?_filename=note.txt").header("content-type", "text/plain");
        let (status, body) = answer(request.body("Hello")).await;
        assert_eq!(status, 201, "{body}");
        body["data"].clone()
    }
}

async fn a_file_ends_when_its_time_is_over(db: Db) {
    let (receiver, folder) = (Receiver::start().await, tempfile::tempdir().unwrap());
    let endpoints = receiver.endpoints_file(folder.path(), "types = [\"file.deleted\"]");
    let setup = Setup::on(Bed::Embedded).database(db).setting("DROPSLIP_WEBHOOKS_FILE", endpoints.display().to_string());
    let broker = setup.start().await;
    let (file, used) = (broker.sent_note().await, broker.sent_note().await);
    let (id, held) = (file["id"].as_i64().unwrap(), used["id"].as_i64().unwrap());
    let of = |text: &Value| OffsetDateTime::parse(text.as_str().unwrap(), &Rfc3339).unwrap();
    let ends = of(&file["expiry_at"]);
    assert!((ends - of(&file["created_at"]) - Duration::hours(3)).abs() < Duration::seconds(5), "{file}");
    let (status, body) = broker.call("PUT", "/v2/tickets/7/files.json", Some(&json!({ "ids": [held] }))).await;
    assert_eq!(status, 200, "{body}");
    let (_, used) = broker.kayako("GET", &format!("/files/{held}.json")).await;
    assert_eq!(used["data"]["expiry_at"], Value::Null, "it is used: {used}");

    let path = format!("/files/{id}.json");
    let swept = broker.server.broker.sweep(ends - Duration::seconds(5)).await.unwrap();
    assert_eq!((swept.ended, broker.kayako("GET", &path).await.0), (0, StatusCode::OK));
    let swept = broker.server.broker.sweep(ends + Duration::seconds(5)).await.unwrap();
    assert_eq!(swept.ended, 1, "{swept:?}");
    assert_eq!(broker.kayako("GET", &path).await.0, 404);
    assert_eq!(broker.kayako("GET", &format!("/files/{held}.json")).await.0, 200, "what is used stays");
    let filter = AuditFilter { action: Some(Action::Deleted), ..AuditFilter::default() };
    let lines = broker.database.audit_log(&filter, 10).await.unwrap();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((lines[0].file.map(|file| file.0), lines[0].actor), (Some(id), None), "no one asked for that: {lines:?}");
    // It is told at the time of that sweep.
    let webhooks = Webhooks::new(broker.database.clone(), parse(&std::fs::read_to_string(&endpoints).unwrap()).unwrap(), Vec::new());
    webhooks.unwrap().deliver_due(ends + Duration::MINUTE).await.unwrap();
    let told: Vec<_> = receiver.deliveries().iter().map(Delivery::told).collect();
    assert_eq!(told, [(id, "file.deleted".to_owned())]);

    let (status, restored) = broker.call("POST", &format!("/v2/files/{id}/restore.json"), None).await;
    assert_eq!((status.as_u16(), &restored["file"]["state"]), (200, &json!("active")), "{restored}");
    let swept = broker.server.broker.sweep(ends + Duration::DAY).await.unwrap();
    assert_eq!(swept.ended, 0, "whoever brings it back wants it");
    let (status, again) = broker.kayako("GET", &path).await;
    assert_eq!((status.as_u16(), &again["data"]["expiry_at"]), (200, &Value::Null), "{again}");
    // Each line says in whose words it was asked for; what nobody asked for has none.
    let lines = broker.database.audit_log(&AuditFilter::default(), 20).await.unwrap();
    let dialects = |action: Action| {
        let lines = lines.iter().filter(move |line| line.action == action.as_str());
        lines.map(|line| line.details["dialect"].as_str().unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(dialects(Action::Activated), ["kayako", "kayako"], "{lines:?}");
    assert_eq!((dialects(Action::Attached), dialects(Action::Restored), dialects(Action::Deleted)), (vec!["desk"], vec!["desk"], vec![""]));
}

async fn without_a_lifetime_files_stay(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).setting("DROPSLIP_KAYAKO_FILE_LIFETIME", "0").start().await;
    let file = broker.sent_note().await;
    assert_eq!(file["expiry_at"], Value::Null, "{file}");
    let swept = broker.server.broker.sweep(OffsetDateTime::now_utc() + Duration::days(400)).await.unwrap();
    assert_eq!(swept.ended, 0);
    assert_eq!(broker.kayako("GET", &format!("/files/{}.json", file["id"])).await.0, 200);
}

on_both_engines!(a_file_ends_when_its_time_is_over, without_a_lifetime_files_stay);
