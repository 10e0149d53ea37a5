//! What the operator's address tells of events on their way out, and of bucket notifications on their way in.

#![expect(clippy::float_cmp, reason = "counts are whole numbers, which an f64 holds as they are")]

use std::fs;
use std::time::{Duration, Instant};

use dropslip::database::COUNTED;
use serde_json::{Value, json};

use crate::faults::world::{Program, World};
use crate::harness::Db;
use crate::operation::metrics::Scrape;
use crate::receiver::{Receiver, SECRET};

const PATIENCE: Duration = Duration::from_secs(30);

fn deliveries(scrape: &Scrape) -> [f64; 3] {
    ["delivered", "failed", "dead"].map(|outcome| scrape.sum("dropslip_event_deliveries_total", Some(("outcome", outcome))))
}

/// Those that wait, and those that were given up.
fn kept(scrape: &Scrape) -> [f64; 2] {
    ["waiting", "dead"].map(|state| scrape.sum("dropslip_events", Some(("state", state))))
}

/// Asks until it tells that.
async fn until(admin: &str, program: &Program, fits: impl Fn(&Scrape) -> bool) -> Scrape {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let scrape = Scrape::of(admin).await;
        if fits(&scrape) {
            return scrape;
        }
        assert!(Instant::now() < deadline, "{:?} {:?} {}", deliveries(&scrape), kept(&scrape), program.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn follows_events(db: Db) {
    let mut world = World::new(db).await;
    let (up, down, gone) = (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    down.rule(|_| 500);
    gone.rule(|_| 410);
    let entry = |(name, receiver): (&str, &Receiver)| {
        format!("[[endpoint]]\nname = \"{name}\"\nurl = \"{}\"\nsecrets = [\"{SECRET}\"]\n", receiver.url)
    };
    let path = world.folder.path().join("webhooks.toml");
    fs::write(&path, [("up", &up), ("down", &down), ("gone", &gone)].map(entry).concat()).unwrap();
    world.set("DROPSLIP_WEBHOOKS_FILE", path.to_str().unwrap());
    world.set("DROPSLIP_WEBHOOKS_RETRY", "1h");
    world.set("DROPSLIP_ADMIN_LISTEN", "127.0.0.1:0");
    let program = world.start(None).await;
    let admin = program.admin().await;
    let nothing = Scrape::of(&admin).await;
    assert_eq!((deliveries(&nothing), kept(&nothing)), ([0.0; 3], [0.0; 2]));
    assert_eq!(nothing.sum("dropslip_events_oldest_seconds", None), 0.0);

    let (slip, _) = world.uploaded(&program, "kept").await;
    assert_eq!(world.confirm(&program, slip.id).await.unwrap().status, 200);
    // An attempt is counted a moment before what became of its event is written.
    let scrape = until(&admin, &program, |scrape| deliveries(scrape) == [1.0; 3] && kept(scrape) == [1.0, 1.0]).await;
    assert!((0.0..30.0).contains(&scrape.sum("dropslip_events_oldest_seconds", None)));

    // As if all of it had happened a day ago; and what waits is to be sent again now, for the last time.
    let (ago, now) = if db == Db::Sqlite { ("86400000000", "0") } else { ("interval '1 day'", "now()") };
    world.execute(&format!("UPDATE events SET created_at = created_at - {ago}")).await;
    let oldest = Scrape::of(&admin).await.sum("dropslip_events_oldest_seconds", None);
    assert!((86_400.0..86_460.0).contains(&oldest), "{oldest}");
    world.execute(&format!("UPDATE events SET next_attempt_at = {now} WHERE state = 'pending'")).await;
    let scrape = until(&admin, &program, |scrape| deliveries(scrape) == [1.0, 1.0, 2.0]).await;
    assert_eq!((kept(&scrape), scrape.sum("dropslip_events_oldest_seconds", None)), ([0.0, 2.0], 0.0));

    // However many there are, no more are counted than that.
    world
        .execute(&format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) \
             INSERT INTO events (event_id, endpoint, tenant, type, file_id, payload, state, created_at, next_attempt_at, finished_at) \
             SELECT 'evt_' || i, 'down', 'default', 'file.activated', 1, '{{}}', 'dead', {now}, {now}, {now} FROM n",
            COUNTED + 100
        ))
        .await;
    assert_eq!(kept(&Scrape::of(&admin).await), [0.0, f64::from(COUNTED)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_follows_events_on_sqlite() {
    follows_events(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_follows_events_on_postgres() {
    follows_events(Db::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_are_counted_by_what_came_of_them() {
    let mut world = World::new(Db::Sqlite).await;
    let token = "the-store-knows-this-secret";
    world.set("DROPSLIP_NOTIFICATIONS_TOKEN", token);
    world.set("DROPSLIP_ADMIN_LISTEN", "127.0.0.1:0");
    let program = world.start(None).await;
    let record = |key: &str| json!({"eventName": "ObjectCreated:Post", "s3": {"bucket": {"name": world.bucket}, "object": {"key": key}}});
    let http = reqwest::Client::new();
    let notify = async |message: Value| {
        let request = http.post(format!("{}/notifications/s3", program.base)).bearer_auth(token).body(message.to_string());
        request.send().await.unwrap().status().as_u16()
    };
    let (good, bad) = (world.uploaded(&program, "kept").await.0, world.slip(&program, "kept").await);
    world.smuggle(&bad, &vec![b'x'; 1024 * 1024 + 1]).await;
    let keys = [good.param("key"), bad.param("key"), "temp/0123-nobodys", "files/0123", "somebody/elses"];
    assert_eq!(notify(json!({"Records": keys.map(record)})).await, 200);
    assert_eq!(notify(json!({"Records": [record(good.param("key"))]})).await, 200, "again");
    assert_eq!(notify(json!({"hello": "world"})).await, 400);
    let scrape = Scrape::of(&program.admin().await).await;
    let outcomes = ["confirmed", "refused", "unknown", "ignored", "failed", "unreadable"];
    let counts = outcomes.map(|outcome| scrape.sum("dropslip_notifications_total", Some(("outcome", outcome))));
    assert_eq!(counts[..2], [1.0, 1.0], "{counts:?}");
    // A key that was confirmed is known to nobody any more, or to an active file.
    assert_eq!((counts[2] + counts[3], counts[4], counts[5]), (4.0, 0.0, 1.0), "{counts:?}");
    assert!(counts[2] >= 1.0 && counts[3] >= 2.0, "{counts:?}");
}
