//! `PATCH` and `PUT` rename files and change their disposition, by themselves or with the confirmation, and never by halves.

use dropslip::domain::{Actor, ActorKind, Caller, Scopes, TypeLimit};
use dropslip::tokens::Tokens;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::desk::downloads::PNG;
use crate::harness::{Bed, Db, Setup, TestBroker, answer, error_fields, new_file, slip};

impl TestBroker {
    pub async fn describe(&self, id: i64, body: &Value) -> (u16, Value) {
        let (status, body) = self.call("PATCH", &format!("/v2/files/{id}.json"), Some(body)).await;
        (status.as_u16(), body)
    }
}

async fn a_file_is_renamed(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let id = broker.active_text().await;
    let before = broker.read(id).await.1["file"].clone();
    let colleague = broker.new_token("default", 7, "files:read,files:write").await;
    let path = format!("/desk/api/v2/files/{id}.json");
    let (status, body) = broker.status_of(&colleague, "PUT", &path, r#"{"filename":"C:\\x\\Größe \u202egnp.md"}"#).await;
    assert_eq!(status, 200, "{body}");
    let renamed = &body["file"];
    assert_eq!((&renamed["filename"], &renamed["fileName"]), (&json!("Größe gnp.md"), &json!("Größe gnp.md")), "it is cleaned");
    assert_eq!((&renamed["updatedBy"], &renamed["createdBy"]), (&json!({"id": 7, "type": "users"}), &before["createdBy"]));
    assert!(renamed["updatedAt"].as_str().unwrap() > before["updatedAt"].as_str().unwrap());
    let mut rest = renamed.clone();
    for name in ["filename", "fileName", "updatedAt", "updatedBy"] {
        rest[name] = before[name].clone();
    }
    assert_eq!(rest, before, "nothing else changed");

    // What is the same, blank, null or not the client's to say changes nothing, updatedAt neither.
    let same = broker.read(id).await;
    let unchanged = [
        json!({"filename": "Größe gnp.md", "disposition": "attachment"}),
        json!({"filename": "", "fileName": null, "disposition": ""}),
        json!({"filename": "  "}),
        json!({"url": "x", "params": {"key": "temp/x"}, "file": same.1["file"]}),
        json!({"file": {"id": 0, "size": 1, "state": "deleted", "type": "image", "mimeType": "text/html", "createdBy": {"id": 99}, "updatedAt": "x"}}),
        json!({"filename": "beside.txt", "file": {}}),
        json!([{"filename": "list.txt"}]),
    ];
    for body in unchanged {
        assert_eq!(broker.describe(id, &body).await, (200, same.1.clone()), "{body}");
    }
    // Read, change one spelling, write the whole object back.
    for (member, name) in [("filename", "one.txt"), ("fileName", "two.txt")] {
        let mut whole = broker.read(id).await.1;
        whole["file"][member] = json!(name);
        let (status, body) = broker.describe(id, &whole).await;
        assert_eq!((status, &body["file"]["filename"]), (200, &json!(name)), "{body}");
        // Whoever got no answer repeats it.
        let (status, again) = broker.describe(id, &whole).await;
        assert_eq!((status, &again), (200, &body), "the name that the file had does not come back");
    }
    let (status, body) = broker.describe(id, &json!({"disposition": "attachment-inline"})).await;
    assert_eq!((status, &body["file"]["disposition"], &body["file"]["filename"]), (200, &json!("attachment-inline"), &json!("two.txt")));
}

#[tokio::test]
async fn a_file_is_renamed_on_sqlite() {
    a_file_is_renamed(Db::Sqlite).await;
}

#[tokio::test]
async fn a_file_is_renamed_on_postgres() {
    a_file_is_renamed(Db::Postgres).await;
}

#[tokio::test]
async fn what_the_rule_does_not_take_is_refused_by_field_and_nothing_is_done() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let active = broker.active_text().await;
    let temp = broker.text_slip().await;
    broker.drop_bytes(&temp, b"hello").await;
    let both = [broker.read(active).await, broker.read(temp.id).await];
    for (body, field, message) in [
        (json!({"filename": "a.exe"}), "filename", "must not end in ‘.exe’"),
        (json!({"filename": ".EXE"}), "filename", "must not end in ‘.exe’"),
        (json!({"file": {"filename": "photo.png", "disposition": "attachment-inline"}}), "filename", "must"),
        (json!({"filename": 5}), "filename", "must be a text"),
        (json!({"filename": ["a.txt"]}), "filename", "must be a text"),
        (json!({"filename": "b.txt", "disposition": "inline"}), "disposition", "must be one of ‘attachment, attachment-inline’"),
        (json!({"filename": "b.txt", "disposition": 1}), "disposition", "must be a text"),
        (json!({"filename": "b.txt", "fileName": "c.txt"}), "filename", "must be the same as fileName"),
        (json!({"filename": both[0].1["file"]["filename"], "fileName": "c.txt"}), "filename", "must be the same as fileName"),
    ] {
        for id in [active, temp.id] {
            let (status, answer) = broker.describe(id, &body).await;
            assert_eq!(status, 400, "{body}: {answer}");
            let errors = answer["errors"].as_object().unwrap();
            assert!(errors.len() == 1 && errors[field][0].as_str().unwrap().starts_with(message), "{body}: {answer}");
        }
    }
    let twice =
        broker.status_of(&broker.token, "PATCH", &format!("/v2/files/{active}.json"), r#"{"filename":"b.txt","filename":"c.txt"}"#).await;
    assert_eq!((twice.0.as_u16(), twice.1["errors"].get("body").is_some()), (400, true), "{}", twice.1);
    assert_eq!([broker.read(active).await, broker.read(temp.id).await], both);
    assert_eq!(broker.confirm(temp.id).await.0, 200, "the upload is still good");
}

#[tokio::test]
async fn a_temp_file_is_confirmed_and_renamed_in_one() {
    for (bed, db) in [(Bed::Embedded, Db::Sqlite), (Bed::SeaweedFs, Db::Postgres)] {
        let broker = Setup::on(bed).database(db).start().await;
        let slip = broker.text_slip().await;
        assert_eq!(broker.describe(slip.id, &json!({"filename": "new.txt"})).await.0, 409, "nothing was uploaded yet");
        assert_eq!(broker.read(slip.id).await.1["file"]["filename"], "note.txt");
        broker.drop_bytes(&slip, b"hello").await;
        let (status, body) = broker.describe(slip.id, &json!({"filename": "new.txt", "disposition": "attachment-inline"})).await;
        let file = &body["file"];
        assert_eq!((status, &file["filename"], &file["state"]), (200, &json!("new.txt"), &json!("active")));
        assert_eq!(file["disposition"], "attachment-inline");
        let key = broker.objects().await.remove(0).0;
        let head = broker.s3.head_object().bucket(&broker.bucket).key(key).send().await.unwrap();
        assert_eq!(head.content_disposition(), Some("attachment; filename=\"new.txt\""), "a text is not shown inline");
        assert_eq!(broker.confirm(slip.id).await.1, body);
    }
}

/// Phones call their pictures what they like. The name stayed when the type was mended, so its ending may.
#[tokio::test]
async fn a_file_of_another_type_than_its_name_keeps_its_ending_or_gets_the_right_one() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let slip = broker.authorize(&new_file("IMG.jpg", "image/jpeg")).await;
    broker.drop_bytes(&slip, PNG).await;
    let (status, body) = broker.describe(slip.id, &json!({"filename": "IMG 2.jpg"})).await;
    assert_eq!((status, &body["file"]["filename"], &body["file"]["mimeType"]), (200, &json!("IMG 2.jpg"), &json!("image/png")), "{body}");
    for name in ["img.JPG", "a.jpg", "a.png", "b.png"] {
        assert_eq!(broker.describe(slip.id, &json!({ "filename": name })).await.1["file"]["filename"], name);
    }
    for name in ["b.jpg", "b.pdf", "b.exe"] {
        let (status, body) = broker.describe(slip.id, &json!({ "filename": name })).await;
        assert_eq!((status, error_fields(&body)), (400, vec!["filename".to_owned()]), "{name}: {body}");
    }
}

#[tokio::test]
async fn one_renames_what_one_reaches() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let token = async |tenant: &str, id: i64, kind: ActorKind, scopes: &str| {
        let scopes: Scopes = scopes.parse().unwrap();
        let caller =
            Caller { actor: Actor { id, kind }, tenant: tenant.parse().unwrap(), scopes, types: TypeLimit::default(), dialect: None };
        Tokens::new(broker.database.clone(), None).create(&caller, OffsetDateTime::now_utc()).await.unwrap().1.reveal().to_owned()
    };
    let owner = token("default", 5, ActorKind::Customers, "files:read,files:write").await;
    let post = broker.http.post(format!("{}/v2/files/ref.json", broker.base)).bearer_auth(&owner);
    let slip = slip(answer(post.body(new_file("a.txt", "text/plain").to_string())).await.1);
    broker.drop_bytes(&slip, b"mine").await;
    let path = format!("/v2/files/{}.json", slip.id);
    assert_eq!(broker.status_of(&owner, "PATCH", &path, "").await.0, 200);
    for (tenant, id, kind, scopes, expected) in [
        ("default", 6, ActorKind::Customers, "files:write", 404),
        ("default", 5, ActorKind::Users, "files:read", 403),
        ("another", 5, ActorKind::Users, "files:write", 404),
    ] {
        let stranger = token(tenant, id, kind, scopes).await;
        assert_eq!(broker.status_of(&stranger, "PATCH", &path, r#"{"filename":"theirs.txt"}"#).await.0, expected);
    }
    assert_eq!(broker.read(slip.id).await.1["file"]["filename"], "a.txt");
    assert_eq!(broker.status_of(&owner, "PATCH", &path, r#"{"filename":"own.txt"}"#).await.1["file"]["filename"], "own.txt");
    let user = token("default", 9, ActorKind::Users, "files:write").await;
    assert_eq!(broker.status_of(&user, "PATCH", &path, r#"{"filename":"user.txt"}"#).await.1["file"]["filename"], "user.txt");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_made_at_once_are_all_there_in_the_end() {
    for db in [Db::Sqlite, Db::Postgres] {
        let broker = Setup::on(Bed::Embedded).database(db).start().await;
        let id = broker.active_text().await;
        let (name, disposition) = (json!({"filename": "new.md"}), json!({"disposition": "attachment-inline"}));
        let answers = tokio::join!(broker.describe(id, &name), broker.describe(id, &disposition));
        assert_eq!((answers.0.0, answers.1.0), (200, 200));
        let file = broker.read(id).await.1["file"].clone();
        assert_eq!((&file["filename"], &file["disposition"]), (&json!("new.md"), &json!("attachment-inline")));
    }
}
