//! Sealed for good: forms used before, during and after confirmations, and re-issued meanwhile, never change an active file.

use std::collections::HashMap;
use std::sync::Mutex;

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::harness::{Bed, Db, Setup, Slip, TestBroker, new_file, slip};

/// Entity tag of each upload that a store acknowledged, and its bytes.
type Versions = Mutex<HashMap<String, Vec<u8>>>;

const FILES: usize = 6;
const UPLOADERS: usize = 3;
const UPLOADS: usize = 8;

impl TestBroker {
    /// Drops one version after another with the same form; remembers what was acknowledged under which tag.
    async fn overwrite(&self, slip: &Slip, uploader: usize, versions: &Versions) {
        for round in 0..UPLOADS {
            // Different sizes too, so that a mixture of two versions cannot look like one.
            let bytes = format!("{}/{uploader}/{round}/", slip.param("key")).repeat(1 + (uploader + round) % 5).into_bytes();
            let (status, answer) = self.post_form(&slip.url, &slip.params, Some(&bytes)).await;
            assert_eq!(status, 201, "{answer}");
            let tag = answer.split_once("<ETag>").unwrap().1.split_once("</ETag>").unwrap().0;
            let tag = tag.replace("&quot;", "").replace("&#34;", "").replace('"', "");
            versions.lock().unwrap().insert(tag, bytes);
        }
    }

    /// Confirms again and again until it is active, and then some; and how many uploads came while it was not active yet.
    async fn confirm_often(&self, id: i64, versions: &Versions) -> (Vec<Value>, usize) {
        let uploads = || versions.lock().unwrap().len();
        let (mut active, mut meanwhile) = (Vec::new(), 0);
        for _ in 0..60 {
            let before = uploads();
            let (status, body) = self.confirm(id).await;
            meanwhile += if active.is_empty() { uploads() - before } else { 0 };
            match status.as_u16() {
                200 => active.push(body),
                409 => {}
                other => panic!("{other} {body}"),
            }
            if active.len() > 3 {
                break;
            }
        }
        (active, meanwhile)
    }

    /// One file under attack: uploads with its form, with a re-issued one, and confirmations, all at once. How many uploads came while it
    /// was being confirmed.
    async fn hammered(&self) -> usize {
        let versions = Versions::default();
        let first = self.authorize(&new_file("a.txt", "text/plain")).await;
        self.overwrite(&first, 99, &versions).await;
        let (status, body) = self.call("POST", &format!("/v2/files/{}/ref.json", first.id), None).await;
        assert_eq!(status, 201);
        let second = slip(body);
        self.overwrite(&second, 98, &versions).await;
        let uploads = join_all((0..UPLOADERS).map(async |number| {
            self.overwrite(&second, number, &versions).await;
        }));
        let old_uploads = self.overwrite(&first, 97, &versions);
        let confirmations = join_all((0..2).map(|_| self.confirm_often(first.id, &versions)));
        let (confirmed, _) = join(confirmations, join(uploads, old_uploads)).await;
        let (answers, meanwhile): (Vec<_>, Vec<_>) = confirmed.into_iter().unzip();
        let mut answers: Vec<Value> = answers.concat();

        // It may not have come to rest while it was hammered; now it does. And then the forms are used again.
        answers.push(self.confirm(first.id).await.1);
        self.overwrite(&second, 50, &versions).await;
        self.overwrite(&first, 51, &versions).await;
        answers.push(self.read(first.id).await.1);

        let file = &answers[0];
        assert!(answers.iter().all(|answer| answer == file), "an active file changed: {answers:#?}");
        assert_eq!(file["file"]["state"], "active");
        let stored = self.database.find_file(&"default".parse().unwrap(), dropslip::domain::FileId(first.id)).await.unwrap().unwrap();
        let bytes = self.bytes_of(stored.sealed_key().unwrap().as_str()).await;
        let judged = versions.lock().unwrap().get(stored.etag().unwrap()).cloned();
        assert_eq!(Some(&bytes), judged.as_ref(), "{:?}: the sealed bytes are not those of the judged tag", self.bed);
        assert!(bytes.starts_with(second.param("key").as_bytes()), "the old form's bytes became the file");
        assert_eq!(file["file"]["size"], json!(bytes.len()));
        meanwhile.into_iter().sum()
    }
}

async fn hammer(bed: Bed, db: Db) {
    let broker = Setup::on(bed).database(db).start().await;
    let meanwhile: usize = join_all((0..FILES).map(|_| broker.hammered())).await.into_iter().sum();
    assert!(meanwhile > 0, "no upload came while a file was being confirmed");
    let audit = broker.server.broker.reconcile().await.unwrap();
    assert!(audit.is_clean() && audit.files == FILES, "{audit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn active_files_never_change_on_the_embedded_store() {
    hammer(Bed::Embedded, Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn active_files_never_change_on_seaweedfs() {
    hammer(Bed::SeaweedFs, Db::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn active_files_never_change_on_localstack() {
    hammer(Bed::LocalStack, Db::Sqlite).await;
}

/// As long as the page, so that their lengths tell nothing.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x02\x08\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const _: () = assert!(PNG.len() == HTML.len());
const HTML: &[u8] = b"<!DOCTYPE html><script>alert(1)</script>";

/// One form switches between a picture and a page while it is confirmed: whatever becomes active is a picture. And a picture does become
/// active, each time: in the end at rest, if not while it was switched.
pub async fn switching_contents_smuggles_nothing(setup: Setup) {
    const ROUNDS: usize = 12;
    let broker = setup.start().await;
    let request = json!({"type": "image", "filename": "a.png", "mimeType": "image/png", "disposition": "attachment-inline"});
    for _ in 0..ROUNDS {
        let slip = broker.authorize(&request).await;
        // The page alone is refused, so that it is judged at all.
        broker.drop_bytes(&slip, HTML).await;
        assert_eq!(broker.confirm(slip.id).await.0, 422, "the page is taken for a picture");
        broker.post_form(&slip.url, &slip.params, Some(HTML)).await;
        let switching = join_all((0..3).map(async |_| {
            for bytes in [PNG, HTML].into_iter().cycle().take(10) {
                broker.post_form(&slip.url, &slip.params, Some(bytes)).await;
            }
        }));
        let confirming = async {
            for _ in 0..12 {
                let (status, body) = broker.confirm(slip.id).await;
                assert!([200, 409, 422].contains(&status.as_u16()), "{status} {body}");
                if status == 200 {
                    return true;
                }
            }
            false
        };
        let (_, confirmed) = join(switching, confirming).await;
        if !confirmed {
            broker.drop_bytes(&slip, PNG).await;
            let (status, body) = broker.confirm(slip.id).await;
            assert_eq!(status, 200, "a picture at rest is refused: {body}");
        }
    }
    let mut pictures = 0;
    for (key, _) in broker.objects().await {
        if key.starts_with("files/") && !broker.database.owned_keys(std::slice::from_ref(&key)).await.unwrap().is_empty() {
            assert_eq!(broker.bytes_of(&key).await, PNG, "a page was sealed as a picture");
            pictures += 1;
        }
    }
    let audit = broker.server.broker.reconcile().await.unwrap();
    assert!(audit.is_clean() && (audit.files, pictures) == (ROUNDS, ROUNDS), "{pictures} pictures, {audit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn switching_contents_smuggles_nothing_past_the_embedded_store() {
    switching_contents_smuggles_nothing(Setup::on(Bed::Embedded)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn switching_contents_smuggles_nothing_past_seaweedfs() {
    switching_contents_smuggles_nothing(Setup::on(Bed::SeaweedFs).database(Db::Postgres)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_takes_large_uploads_of_any_bytes() {
    let broker = TestBroker::on(Bed::Embedded).await;
    // Every piece that ends in a line break looks like the beginning of the form's end.
    let dice: Vec<u8> = dropslip::random::bytes::<4096>().to_vec();
    for bytes in [vec![b'\r'; 8 << 20], b"\r\n-".repeat(3 << 20), dice.repeat(5_000)] {
        let mut request = json!({"type": "artifact", "filename": "a.img", "mimeType": ""});
        request["size"] = json!(bytes.len());
        let slip = broker.authorize(&request).await;
        broker.drop_bytes(&slip, &bytes).await;
        let (status, body) = broker.confirm(slip.id).await;
        assert_eq!((status.as_u16(), &body["file"]["size"]), (200, &json!(bytes.len())));
    }
}
