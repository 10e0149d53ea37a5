//! Step 3 looks at the object, whatever the store let in, and seals what it judged.

use serde_json::json;

use crate::harness::{Bed, Db, Setup, Slip, TestBroker, error_fields, new_file};

/// Writes to the staging key past the form, like a store that does not hold a form to its policy.
async fn smuggle(broker: &TestBroker, slip: &Slip, bytes: &[u8], content_type: &str) {
    let put = broker.s3.put_object().bucket(&broker.bucket).key(slip.param("key")).content_type(content_type);
    put.body(bytes.to_vec().into()).send().await.unwrap();
}

async fn refuses_what_was_not_granted(bed: Bed) {
    let broker = TestBroker::on(bed).await;
    let mut request = new_file("a.txt", "text/plain");
    request["size"] = json!(5);
    for (bytes, content_type, field) in [
        (&b"hello!"[..], "text/plain", "size"),
        (b"hell", "text/plain", "size"),
        (b"", "text/plain", "size"),
        (b"hello", "text/html", "mimeType"),
    ] {
        let slip = broker.authorize(&request).await;
        smuggle(&broker, &slip, bytes, content_type).await;
        let (status, body) = broker.confirm(slip.id).await;
        assert_eq!((status.as_u16(), error_fields(&body)), (422, vec![field.to_owned()]), "{body}");
        assert_eq!(broker.objects().await, [], "what was refused is gone");
        assert_eq!(broker.read(slip.id).await.1["file"]["state"], "temp");

        broker.drop_bytes(&slip, b"hello").await;
        assert_eq!(broker.confirm(slip.id).await.0, 200, "the same slip still works");
        let sealed = broker.objects().await.remove(0).0;
        broker.s3.delete_object().bucket(&broker.bucket).key(sealed).send().await.unwrap();
    }
}

#[tokio::test]
async fn what_was_not_granted_is_refused_on_the_embedded_store() {
    refuses_what_was_not_granted(Bed::Embedded).await;
}

#[tokio::test]
async fn what_was_not_granted_is_refused_on_seaweedfs() {
    refuses_what_was_not_granted(Bed::SeaweedFs).await;
}

#[tokio::test]
async fn what_was_not_granted_is_refused_on_localstack() {
    refuses_what_was_not_granted(Bed::LocalStack).await;
}

#[tokio::test]
async fn nothing_uploaded_is_409_and_stays_temp() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let slip = broker.text_slip().await;
    let (status, body) = broker.confirm(slip.id).await;
    assert_eq!((status.as_u16(), error_fields(&body)), (409, vec!["state".to_owned()]));
    assert_eq!(broker.read(slip.id).await.1["file"]["state"], "temp");
    broker.drop_bytes(&slip, b"hello").await;
    assert_eq!(broker.confirm(slip.id).await.0, 200);
}

#[tokio::test]
async fn a_file_that_does_not_exist_is_404() {
    let broker = TestBroker::on(Bed::Embedded).await;
    for id in [0, 1, i64::MAX] {
        for (status, body) in [broker.confirm(id).await, broker.read(id).await] {
            assert_eq!((status.as_u16(), body), (404, json!({"errors": {"id": ["not found"]}})));
        }
    }
    assert_eq!(broker.text_slip().await.id, 1);
    assert_eq!((broker.confirm(1).await.0.as_u16(), broker.read(1).await.0.as_u16()), (409, 200), "now it does");
}

async fn an_old_form_cannot_change_an_active_file(bed: Bed) {
    let broker = TestBroker::on(bed).await;
    let slip = broker.text_slip().await;
    broker.drop_bytes(&slip, b"what was judged").await;
    let (_, judged) = broker.confirm(slip.id).await;

    broker.drop_bytes(&slip, b"what came later").await;
    assert_eq!(broker.confirm(slip.id).await.1, judged);
    let sealed = broker.objects().await.into_iter().find(|(key, _)| key.starts_with("files/")).unwrap().0;
    assert_eq!(broker.bytes_of(&sealed).await, b"what was judged");
}

#[tokio::test]
async fn an_old_form_cannot_change_an_active_file_on_the_embedded_store() {
    an_old_form_cannot_change_an_active_file(Bed::Embedded).await;
}

#[tokio::test]
async fn an_old_form_cannot_change_an_active_file_on_seaweedfs() {
    an_old_form_cannot_change_an_active_file(Bed::SeaweedFs).await;
}

#[tokio::test]
async fn an_old_form_cannot_change_an_active_file_on_localstack() {
    an_old_form_cannot_change_an_active_file(Bed::LocalStack).await;
}

async fn many_confirmations_make_one_file(bed: Bed, db: Db) {
    let broker = Setup::on(bed).database(db).start().await;
    for _ in 0..5 {
        let slip = broker.text_slip().await;
        broker.drop_bytes(&slip, b"hello").await;
        let answers = futures_util::future::join_all((0..12).map(|_| broker.confirm(slip.id))).await;
        for answer in &answers {
            assert_eq!(*answer, answers[0], "every confirmation answers like the winner");
            assert_eq!(answer.0, 200);
        }
    }
    let objects = broker.objects().await;
    assert_eq!(objects.len(), 5, "one sealed object a file, and nothing else: {objects:?}");
}

#[tokio::test]
async fn many_confirmations_make_one_file_on_sqlite() {
    many_confirmations_make_one_file(Bed::Embedded, Db::Sqlite).await;
}

#[tokio::test]
async fn many_confirmations_make_one_file_on_postgres() {
    many_confirmations_make_one_file(Bed::SeaweedFs, Db::Postgres).await;
}

#[tokio::test]
async fn scriptable_types_are_sealed_as_bytes_to_be_saved() {
    let broker = TestBroker::on(Bed::SeaweedFs).await;
    for (name, mime_type) in [("a.svg", "image/svg+xml"), ("a.html", "text/html"), ("a.xml", "application/xml")] {
        let mut request = new_file(name, mime_type);
        request["disposition"] = json!("attachment-inline");
        let slip = broker.authorize(&request).await;
        broker.drop_bytes(&slip, b"<svg onload=alert(1)>").await;
        assert_eq!(broker.confirm(slip.id).await.0, 200);
        let sealed = broker.objects().await.remove(0).0;
        let head = broker.s3.head_object().bucket(&broker.bucket).key(&sealed).send().await.unwrap();
        assert_eq!(head.content_type(), Some("application/octet-stream"), "{name}");
        assert!(head.content_disposition().unwrap().starts_with("attachment;"), "{name}");
        broker.s3.delete_object().bucket(&broker.bucket).key(sealed).send().await.unwrap();
    }
}

#[tokio::test]
async fn a_picture_for_a_message_is_sealed_inline() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let request = json!({"type": "image", "filename": "é.png", "mimeType": "image/png", "disposition": "attachment-inline"});
    let slip = broker.authorize(&request).await;
    // The beginning of a picture that shows no size is none under this rule.
    broker.drop_bytes(&slip, b"\x89PNG\r\n\x1a\n").await;
    assert_eq!(broker.confirm(slip.id).await.0, 422);
    broker.drop_bytes(&slip, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x06\0\0\0").await;
    assert_eq!(broker.confirm(slip.id).await.0, 200);
    let sealed = broker.objects().await.remove(0).0;
    let head = broker.s3.head_object().bucket(&broker.bucket).key(sealed).send().await.unwrap();
    assert_eq!(head.content_disposition(), Some("inline; filename=\"_.png\"; filename*=UTF-8''%C3%A9.png"));
}

#[tokio::test]
async fn a_deleted_object_leaves_nothing_in_the_embedded_stores_folder() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let slip = broker.text_slip().await;
    broker.drop_bytes(&slip, b"hello").await;
    let folder = broker.folder.path().join("bucket");
    assert!(!walk(&folder).is_empty(), "the object is elsewhere");
    broker.s3.delete_object().bucket(&broker.bucket).key(slip.param("key")).send().await.unwrap();
    assert_eq!(walk(&folder), Vec::<String>::new());
}

/// Every file below `folder`; a new version of the store's crate that names its side files otherwise shows here.
fn walk(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path.display().to_string()] }).collect()
}
