//! Nothing is orphaned: whatever nobody came back for is gone after a sweep, and nothing else is.

use dropslip::broker::{BrokerError, Swept};
use futures_util::future::{join, join_all};
use serde_json::json;
use time::{Duration, OffsetDateTime};
use tokio::sync::Semaphore;

use crate::desk::downloads::PNG;
use crate::faults::proxy::{Break, INTERNAL_ERROR, Proxy};
use crate::harness::{Bed, Db, Setup, TestBroker, answer, from_servers, new_file};

impl TestBroker {
    /// A sweep as it will happen that much later.
    async fn sweep_in(&self, later: Duration) -> Swept {
        self.server.broker.sweep(OffsetDateTime::now_utc() + later).await.unwrap()
    }

    /// An upload for the type `image`, which discards what is never confirmed.
    async fn unconfirmed_image(&self) -> i64 {
        let slip =
            self.authorize(&json!({"type": "image", "filename": "a.png", "mimeType": "image/png", "disposition": "attachment"})).await;
        self.drop_bytes(&slip, PNG).await;
        slip.id
    }
}

/// Longer than every form, grace and lease.
const LONG: Duration = Duration::days(2);

async fn sweeps_what_nobody_came_back_for(bed: Bed, db: Db) {
    let broker = Setup::on(bed).database(db).start().await;
    // Confirmed, and its old form used again afterwards.
    let kept = broker.text_slip().await;
    broker.drop_bytes(&kept, b"kept").await;
    assert_eq!(broker.confirm(kept.id).await.0, 200);
    broker.drop_bytes(&kept, b"late").await;
    // Never uploaded; uploaded and never confirmed, of both kinds; refused; re-issued.
    let never = broker.text_slip().await;
    let discarded = broker.unconfirmed_image().await;
    let activated = broker.text_slip().await;
    broker.drop_bytes(&activated, b"the confirmation got lost").await;
    let reissued = broker.text_slip().await;
    broker.drop_bytes(&reissued, b"old").await;
    assert_eq!(broker.call("POST", &format!("/v2/files/{}/ref.json", reissued.id), None).await.0, 201);

    assert_eq!(broker.sweep_in(Duration::ZERO).await, Swept::default(), "nothing is due while forms live");
    assert_eq!(broker.objects().await.len(), 5);

    let swept = broker.sweep_in(LONG).await;
    assert_eq!((swept.activated, swept.discarded), (1, 3), "{swept:?}");
    for gone in [never.id, discarded, reissued.id] {
        assert_eq!(broker.read(gone).await.0, 404);
    }
    for (id, size) in [(kept.id, 4), (activated.id, 25)] {
        assert_eq!(broker.read(id).await.1["file"]["size"], json!(size));
    }
    broker.sweep_in(LONG * 2).await;
    let objects = broker.objects().await;
    assert_eq!(objects.len(), 2, "one object for each active file: {objects:?}");
    assert!(objects.iter().all(|(key, _)| key.starts_with("files/")));
    assert_eq!(broker.sweep_in(LONG * 3).await, Swept::default(), "a swept bucket is clean");
}

#[tokio::test]
async fn the_embedded_store_and_sqlite_are_swept() {
    sweeps_what_nobody_came_back_for(Bed::Embedded, Db::Sqlite).await;
}

#[tokio::test]
async fn seaweedfs_and_postgres_are_swept() {
    sweeps_what_nobody_came_back_for(Bed::SeaweedFs, Db::Postgres).await;
}

#[tokio::test]
async fn localstack_and_postgres_are_swept() {
    sweeps_what_nobody_came_back_for(Bed::LocalStack, Db::Postgres).await;
}

#[tokio::test]
async fn sweepers_and_confirmations_at_once_lose_no_acknowledged_file() {
    const FILES: usize = 12;
    let broker = Setup::on(Bed::SeaweedFs).database(Db::Postgres).start().await;
    let (mut active, mut discarded) = (0, 0);
    // Sweepers come at once, and when so many confirmations are answered: at first they win, and then they meet what is under way.
    for answered_before in [0, 1, 4, 8] {
        let mut ids = Vec::new();
        for _ in 0..FILES {
            ids.push(broker.unconfirmed_image().await);
        }
        let answered = Semaphore::new(0);
        let confirmations = join_all(ids.iter().map(async |id| {
            let answer = broker.confirm(*id).await;
            answered.add_permits(1);
            answer
        }));
        let sweeps = async {
            let _answered = answered.acquire_many(answered_before).await.unwrap();
            join_all((0..4).map(|_| broker.sweep_in(LONG))).await
        };
        let (confirmed, swept) = join(confirmations, sweeps).await;
        broker.sweep_in(LONG * 2).await;
        for (id, (status, body)) in ids.iter().zip(&confirmed) {
            assert!([200, 404, 409].contains(&status.as_u16()), "{status} {body}");
            let expected = if *status == 200 { 200 } else { 404 };
            assert_eq!(broker.read(*id).await.0, expected, "{body}");
        }
        active += confirmed.iter().filter(|(status, _)| *status == 200).count();
        discarded += swept.iter().map(|swept| swept.discarded).sum::<usize>();
        assert_eq!(broker.objects().await.len(), active, "one object for each active file");
    }
    assert_eq!(active + discarded, 4 * FILES, "each is active or was discarded once");
    assert!(active > 0 && discarded > 0, "{active} are active and {discarded} discarded: nobody met anybody");
}

#[tokio::test]
async fn one_sick_object_keeps_nothing_else_from_being_swept() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let sick = broker.text_slip().await;
    broker.drop_bytes(&sick, b"sick").await;
    for entry in std::fs::read_dir(broker.folder.path().join("bucket")).unwrap() {
        let path = entry.unwrap().path();
        if path.display().to_string().ends_with(".internal.json") {
            std::fs::write(path, "no JSON").unwrap();
        }
    }
    assert_eq!(broker.confirm(sick.id).await.0, 503, "the store cannot even tell about it");
    let discarded = broker.unconfirmed_image().await;
    let activated = broker.text_slip().await;
    broker.drop_bytes(&activated, b"well").await;
    broker.database.doom("temp/doomed", OffsetDateTime::now_utc(), false).await.unwrap();
    let swept = broker.sweep_in(LONG).await;
    assert_eq!((swept.activated, swept.discarded), (1, 1));
    assert_eq!((broker.read(discarded).await.0, broker.read(sick.id).await.0), (reqwest::StatusCode::NOT_FOUND, reqwest::StatusCode::OK));
}

#[tokio::test]
async fn more_than_one_batch_is_swept_at_once() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let later = OffsetDateTime::now_utc() + Duration::HOUR;
    for number in 0..1_200 {
        broker.database.doom(&format!("temp/{number}"), later, false).await.unwrap();
    }
    let slip = broker.authorize(&new_file("a.txt", "")).await;
    assert_eq!(broker.sweep_in(Duration::hours(1) + Duration::MINUTE).await.deleted, 1_200);
    assert_eq!(broker.read(slip.id).await.1["file"]["state"], "temp");
}

/// Uploads that a crash left on sealed keys are known to lists of uploads alone, which not every store makes or allows.
#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_cannot_be_listed_keep_nothing_from_being_swept() {
    let proxy = Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await;
    let endpoint = format!("http://{}", proxy.address);
    let broker = Setup::on(Bed::SeaweedFs).setting("DROPSLIP_S3_ENDPOINT", endpoint).start().await;
    for number in 0..4 {
        broker.database.doom(&format!("files/{number}"), OffsetDateTime::now_utc(), true).await.unwrap();
    }
    let ask = async |name: &str| {
        let request = broker.request("POST", "/v2/files/ref.json").header("idempotency-key", "once");
        answer(request.body(new_file(name, "text/plain").to_string())).await.0
    };
    assert_eq!((ask("a.txt").await, ask("b.txt").await.as_u16()), (reqwest::StatusCode::CREATED, 422));
    proxy.breaks("?uploads", Break::Answer(INTERNAL_ERROR));
    let swept = broker.server.broker.sweep(OffsetDateTime::now_utc() + LONG).await;
    assert!(matches!(swept, Err(BrokerError::Bucket(_))), "{swept:?}");
    assert_eq!(ask("b.txt").await, 201, "what needs no bucket was swept all the same");
    proxy.breaks("?uploads", Break::Answer("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"));
    assert!(broker.sweep_in(LONG * 2).await.deleted >= 4);
    assert!(proxy.hits() >= 4);
    assert_eq!(broker.server.broker.waiting(OffsetDateTime::now_utc() + LONG * 2).await.unwrap().due_objects, 0);
}
