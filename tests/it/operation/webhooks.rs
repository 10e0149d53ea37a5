//! Events reach their endpoints: signed, at least once, in order for each file; and what does not is kept, shown and sent again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use dropslip::database::{Changed, EventFilter, EventRow, EventState, Lease, Replay};
use dropslip::domain::{Deletion, FileId, sqlite_url};
use dropslip::webhooks::{Sent, Webhooks, parse};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;

use crate::harness::{Bed, Db, Setup, TestBroker, ask, execute, from_servers, short_lived};
use crate::process::{run, text};
use crate::receiver::{Delivery, OTHER_SECRET, Receiver, SECRET};

/// A broker that tells a receiver, and the folder of the list of endpoints.
async fn told(db: Db, retry: &str, more: &str) -> (TestBroker, Receiver, TempDir) {
    let (receiver, folder) = (Receiver::start().await, tempfile::tempdir().unwrap());
    let path = receiver.endpoints_file(folder.path(), more);
    let setup = Setup::on(Bed::Embedded).database(db).setting("DROPSLIP_WEBHOOKS_FILE", path.display().to_string());
    (setup.setting("DROPSLIP_WEBHOOKS_RETRY", retry).start().await, receiver, folder)
}

/// An active file.
async fn active(broker: &TestBroker) -> i64 {
    let slip = broker.text_slip().await;
    broker.drop_bytes(&slip, b"Hello").await;
    let (status, body) = broker.confirm(slip.id).await;
    assert_eq!(status, 200, "{body}");
    slip.id
}

async fn delete(broker: &TestBroker, id: i64) {
    let response = broker.request("DELETE", &format!("/v2/files/{id}.json")).send().await.unwrap();
    assert_eq!(response.status(), 204);
}

/// What lies where no form allows it.
async fn smuggle(broker: &TestBroker, key: &str) {
    let put = broker.s3.put_object().bucket(&broker.bucket).key(key).content_type("text/html");
    put.body(b"<script>".to_vec().into()).send().await.unwrap();
}

async fn events(broker: &TestBroker, state: Option<EventState>) -> Vec<EventRow> {
    broker.database.list_events(&EventFilter { state, ..EventFilter::default() }, 1000).await.unwrap()
}

/// Waits until so many are in that state.
async fn wait_for_events(broker: &TestBroker, state: EventState, count: usize) -> Vec<EventRow> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let found = events(broker, Some(state)).await;
        if found.len() >= count {
            return found;
        }
        assert!(Instant::now() < deadline, "not {count} are {state:?}: {:#?}", events(broker, None).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn verified(secret: &str, delivery: &Delivery) -> Value {
    let question = json!({"secret": secret, "headers": delivery.headers, "body": delivery.body});
    ask(&from_servers("TEST_PYTHON"), "verify_webhook.py", &[question]).remove(0)
}

async fn every_event_arrives_signed(db: Db) {
    let (receiver, folder) = (Receiver::start().await, tempfile::tempdir().unwrap());
    let setup =
        Setup::on(Bed::Embedded).database(db).policy("attachment.toml", short_lived("4s", 1000)).setting("DROPSLIP_SWEEP_GRACE", "0s");
    let broker = setup.setting("DROPSLIP_WEBHOOKS_FILE", receiver.endpoints_file(folder.path(), "").display().to_string()).start().await;
    let kept = active(&broker).await;
    let refused = broker.text_slip().await;
    smuggle(&broker, refused.param("key")).await;
    assert_eq!(broker.confirm(refused.id).await.0, 422);
    delete(&broker, kept).await;
    let (status, body) = broker.call("POST", &format!("/v2/files/{kept}/restore.json"), None).await;
    assert_eq!(status, 200, "{body}");
    let deadline = Instant::now() + Duration::from_secs(30);
    while broker.server.broker.sweep(OffsetDateTime::now_utc()).await.unwrap().discarded == 0 {
        assert!(Instant::now() < deadline, "the slip does not expire");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let mut deliveries = receiver.wait_for(5).await;
    deliveries.sort_by_key(|delivery| delivery.json()["timestamp"].as_str().unwrap().to_owned());
    let told: BTreeSet<_> = deliveries.iter().map(Delivery::told).collect();
    let expected = [
        (kept, "file.activated"),
        (kept, "file.deleted"),
        (kept, "file.restored"),
        (refused.id, "file.rejected"),
        (refused.id, "file.expired"),
    ];
    assert_eq!(told, expected.map(|(id, what)| (id, what.to_owned())).into());
    for delivery in &deliveries {
        assert_eq!((delivery.path.as_str(), delivery.headers["content-type"].as_str()), ("/hook", "application/json"));
        assert_eq!(delivery.headers["webhook-signature"].split(' ').count(), 2, "one signature for each secret");
        for secret in [SECRET, OTHER_SECRET] {
            assert_eq!(verified(secret, delivery)["payload"], delivery.json(), "the reference library takes it");
        }
        let json = delivery.json();
        assert_eq!(json["data"]["tenant"], "default");
        let told = delivery.body.as_str();
        assert!(!["temp/", "files/", "etag", "stagingKey", &broker.token].iter().any(|secret| told.contains(secret)), "{told}");
    }
    let of = |what: &str| deliveries.iter().find(|delivery| delivery.told().1 == what).unwrap().json()["data"].clone();
    let (activated, rejected, expired) = (of("file.activated"), of("file.rejected"), of("file.expired"));
    assert_eq!(
        (&activated["file"]["state"], &activated["file"]["size"], &activated["actor"]["id"]),
        (&json!("active"), &json!(5), &json!(1))
    );
    assert!(rejected["reasons"]["mimeType"][0].is_string(), "{rejected}");
    assert_eq!((&expired["file"]["state"], &expired["actor"]), (&json!("temp"), &Value::Null));

    let tampered = Delivery { body: deliveries[0].body.replace("\"size\":5", "\"size\":6"), ..deliveries[0].clone() };
    assert!(verified(SECRET, &tampered)["refused"].is_string(), "the library looks");
    assert!(wait_for_events(&broker, EventState::Delivered, 5).await.iter().all(|event| event.attempts == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_arrives_signed_on_sqlite() {
    every_event_arrives_signed(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_arrives_signed_on_postgres() {
    every_event_arrives_signed(Db::Postgres).await;
}

async fn a_file_waits_for_its_earlier_event_and_others_do_not(db: Db) {
    let (broker, receiver, _folder) = told(db, "700ms,700ms,700ms", "").await;
    let late = broker.text_slip().await;
    let stuck = late.id;
    let refusals = std::sync::atomic::AtomicUsize::new(0);
    receiver.rule(move |delivery| {
        let refused =
            delivery.told() == (stuck, "file.activated".to_owned()) && refusals.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2;
        if refused { 500 } else { 200 }
    });
    broker.drop_bytes(&late, b"Hello").await;
    assert_eq!(broker.confirm(stuck).await.0, 200);
    receiver.wait_for(1).await;
    delete(&broker, stuck).await;
    let other = active(&broker).await;
    delete(&broker, other).await;

    wait_for_events(&broker, EventState::Delivered, 4).await;
    let deliveries = receiver.deliveries();
    let told: Vec<_> = deliveries.iter().map(Delivery::told).collect();
    let of = |id: i64| told.iter().filter(|(file, _)| *file == id).map(|(_, what)| what.as_str()).collect::<Vec<_>>();
    assert_eq!(of(stuck), ["file.activated", "file.activated", "file.activated", "file.deleted"], "{told:?}");
    assert_eq!(of(other), ["file.activated", "file.deleted"]);
    let others_end = told.iter().rposition(|(file, _)| *file == other).unwrap();
    let last_try = told.iter().rposition(|told| *told == (stuck, "file.activated".to_owned())).unwrap();
    assert!(others_end < last_try, "nobody else waits: {told:?}");

    let tries: Vec<_> = deliveries.iter().filter(|delivery| delivery.told() == (stuck, "file.activated".to_owned())).collect();
    assert!(tries.iter().all(|delivery| delivery.id() == tries[0].id()), "an event keeps its name");
    assert!(tries[2].at - tries[0].at >= Duration::from_millis(1400), "pauses are as set, or longer");
    let ids: BTreeSet<_> = deliveries.iter().map(Delivery::id).collect();
    assert_eq!(ids.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_waits_for_its_earlier_event_and_others_do_not_on_sqlite() {
    a_file_waits_for_its_earlier_event_and_others_do_not(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_waits_for_its_earlier_event_and_others_do_not_on_postgres() {
    a_file_waits_for_its_earlier_event_and_others_do_not(Db::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_says_when_to_come_again_and_redirects_nobody() {
    let (broker, receiver, _folder) = told(Db::Sqlite, "10ms,10ms", "").await;
    receiver.script([(302, Some("/elsewhere")), (503, Some("2")), (200, None)]);
    active(&broker).await;
    let deliveries = receiver.wait_for(3).await;
    assert_eq!(deliveries.iter().map(|delivery| delivery.answered).collect::<Vec<_>>(), [302, 503, 200]);
    assert!(deliveries.iter().all(|delivery| delivery.path == "/hook"), "no redirect is followed");
    assert!(deliveries[2].at - deliveries[1].at >= Duration::from_millis(1900), "it asked for two seconds");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_is_kept_shown_and_sent_again() {
    let (broker, receiver, folder) = told(Db::Sqlite, "10ms", "").await;
    receiver.rule(|_| 500);
    let id = active(&broker).await;
    let dead = wait_for_events(&broker, EventState::Dead, 1).await.remove(0);
    assert_eq!((dead.attempts, dead.last_answer.as_deref()), (2, Some("500 Internal Server Error")));

    let database = sqlite_url(&broker.folder.path().join("test.db"));
    let endpoints = folder.path().join("webhooks.toml").display().to_string();
    let settings = [("DROPSLIP_DATABASE_URL", database.as_str()), ("DROPSLIP_WEBHOOKS_FILE", endpoints.as_str())];
    let ask = |arguments: &[&str]| {
        let output = run(folder.path(), &settings, &[&["events"], arguments].concat());
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    };
    let (code, listed) = ask(&["list", "--state", "dead", "--endpoint", "desk", "--file", &id.to_string()]);
    assert!(code == 0 && listed.contains(&dead.event_id) && listed.contains("500 Internal"), "{listed}");
    let (_, listed) = ask(&["list", "--json", "--limit", "1"]);
    assert_eq!(serde_json::from_str::<Value>(listed.trim()).unwrap()["state"], "dead", "{listed}");
    assert!(!ask(&["list", "--state", "delivered"]).1.contains(&dead.event_id));
    let (code, shown) = ask(&["show", &dead.event_id]);
    assert_eq!((code, serde_json::from_str::<Value>(&shown).unwrap()["payload"]["data"]["file"]["id"].as_i64()), (0, Some(id)));
    assert_eq!(ask(&["show", "evt_nothing"]).0, 1);
    assert_eq!(ask(&["replay", "evt_nothing"]).0, 1);
    assert_eq!(ask(&["replay"]).0, 2);
    let (code, listed) = ask(&["endpoints"]);
    assert!(code == 0 && listed.contains("desk") && listed.contains("enabled") && !listed.contains("whsec_"), "{listed}");
    assert_eq!(ask(&["test", "desk"]), (1, "500 Internal Server Error\n".to_owned()));
    assert_eq!(ask(&["test", "nobody"]).0, 1);

    receiver.rule(|_| 200);
    assert_eq!(ask(&["test", "desk"]), (0, "200 OK\n".to_owned()));
    let test = receiver.deliveries().pop().unwrap();
    assert_eq!(verified(SECRET, &test)["payload"]["type"], "dropslip.test");
    assert_eq!(ask(&["replay", "--dead"]), (0, "to be sent again: 1\n".to_owned()));
    wait_for_events(&broker, EventState::Delivered, 1).await;
    let again = receiver.deliveries().pop().unwrap();
    assert_eq!((again.id(), again.told()), (dead.event_id.as_str(), (id, "file.activated".to_owned())));
    assert_eq!(ask(&["replay", "--since", "1h"]), (0, "to be sent again: 1\n".to_owned()));
    wait_for_events(&broker, EventState::Delivered, 1).await;

    // Retention: what is done with is forgotten.
    broker.server.broker.sweep(OffsetDateTime::now_utc() + time::Duration::days(29)).await.unwrap();
    assert_eq!(events(&broker, None).await.len(), 1);
    broker.server.broker.sweep(OffsetDateTime::now_utc() + time::Duration::days(31)).await.unwrap();
    assert_eq!(events(&broker, None).await.len(), 0);
}

async fn events_wait_for_whoever_can_send_them(db: Db) {
    let (broker, _receiver, _folder) = told(db, "10d", "").await;
    let sweep_in = |days| broker.server.broker.sweep(OffsetDateTime::now_utc() + time::Duration::days(days));
    // One that the broker could not send in all that time, one whose endpoint is in no file, and one that is on its way.
    let now = OffsetDateTime::now_utc();
    let ids = [active(&broker).await, active(&broker).await];
    wait_for_events(&broker, EventState::Delivered, 2).await;
    broker.database.replay_events(&Replay::Since(now), None, now + time::Duration::days(1)).await.unwrap();
    let other = format!("UPDATE events SET endpoint = 'other' WHERE file_id = {}", ids[1]);
    execute(&broker.database_url, &other).await;
    sweep_in(30).await.unwrap();
    assert_eq!(events(&broker, Some(EventState::Pending)).await.len(), 2, "nothing was due for as long");
    sweep_in(32).await.unwrap();
    let dead = events(&broker, Some(EventState::Dead)).await;
    assert_eq!(dead.iter().map(|event| event.endpoint.as_str()).collect::<Vec<_>>(), ["other"]);
    let pending = events(&broker, Some(EventState::Pending)).await;
    assert_eq!(
        pending.iter().map(|event| (event.file.0, event.attempts)).collect::<Vec<_>>(),
        [(ids[0], 0)],
        "never tried, and not given up"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn events_wait_for_whoever_can_send_them_on_sqlite() {
    events_wait_for_whoever_can_send_them(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_wait_for_whoever_can_send_them_on_postgres() {
    events_wait_for_whoever_can_send_them(Db::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_gone_is_left_alone_until_it_is_enabled() {
    let (broker, receiver, folder) = told(Db::Sqlite, "10ms,10ms", "").await;
    receiver.script([(410, None)]);
    active(&broker).await;
    let dead = wait_for_events(&broker, EventState::Dead, 1).await;
    assert_eq!(dead[0].attempts, 1, "410 is not asked twice");
    active(&broker).await;
    let dead = wait_for_events(&broker, EventState::Dead, 2).await;
    assert_eq!(receiver.deliveries().len(), 1, "nothing more was sent");
    assert!(dead[0].last_answer.as_deref().unwrap().contains("gone"), "{dead:?}");

    let database = sqlite_url(&broker.folder.path().join("test.db"));
    let endpoints = folder.path().join("webhooks.toml").display().to_string();
    let settings = [("DROPSLIP_DATABASE_URL", database.as_str()), ("DROPSLIP_WEBHOOKS_FILE", endpoints.as_str())];
    let ask = |arguments: &[&str]| text(&run(folder.path(), &settings, &[&["events"], arguments].concat()).stdout);
    assert!(ask(&["endpoints"]).contains(" gone "));
    assert!(ask(&["enable", "desk"]).contains("enabled"));
    // At once: what the broker heard before is over.
    assert!(ask(&["replay", "--dead", "--endpoint", "desk"]).contains('2'));
    active(&broker).await;
    wait_for_events(&broker, EventState::Delivered, 3).await;
    assert_eq!(receiver.deliveries().len(), 4, "nothing was given up unsent");
    assert_eq!(ask(&["deliver"]), "sent: 0 delivered, 0 to be tried again, 0 given up\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_get_what_they_asked_for_and_without_any_nothing_is_written() {
    let (broker, receiver, _folder) = told(Db::Sqlite, "10ms", "types = [\"file.deleted\"]\ntenants = [\"acme\"]").await;
    let token = broker.new_token("acme", 7, "files:read,files:write,files:delete").await;
    let default = active(&broker).await;
    delete(&broker, default).await;
    assert_eq!(events(&broker, None).await.len(), 0, "another tenant's, and not of that type");
    let acme = TestBroker { token, ..broker };
    let id = active(&acme).await;
    delete(&acme, id).await;
    let told: Vec<_> = receiver.wait_for(1).await.iter().map(Delivery::told).collect();
    assert_eq!(told, [(id, "file.deleted".to_owned())]);

    let silent = Setup::on(Bed::Embedded).start().await;
    active(&silent).await;
    silent.text_slip().await;
    silent.server.broker.sweep(OffsetDateTime::now_utc() + time::Duration::days(2)).await.unwrap();
    assert_eq!(events(&silent, None).await.len(), 0);
}

/// Several brokers on one database.
async fn senders_share_the_outbox(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let receiver = Receiver::start().await;
    let endpoints = || {
        let text = format!("[[endpoint]]\nname = \"desk\"\nurl = \"{}\"\nsecrets = [\"{SECRET}\"]", receiver.url);
        parse(&text).unwrap()
    };
    // Nobody sends yet: this broker knows of no endpoint.
    let database = broker.database.clone();
    database.subscribe(endpoints().into_iter().map(|endpoint| endpoint.subscription).collect());
    let mut files = Vec::new();
    for _ in 0..12 {
        let id = active(&broker).await;
        let file = database.find_file(&"default".parse().unwrap(), dropslip::domain::FileId(id)).await.unwrap().unwrap();
        let now = OffsetDateTime::now_utc();
        database.delete_file(&file, &dropslip::domain::Deletion { at: now, by: file.created_by }, None).await.unwrap().unwrap();
        assert!(matches!(database.restore_file(&file, file.created_by, now).await.unwrap(), Changed::Done(_)));
        database.delete_file(&file, &dropslip::domain::Deletion { at: now, by: file.created_by }, None).await.unwrap().unwrap();
        files.push(id);
    }
    let later = OffsetDateTime::now_utc() + time::Duration::minutes(1);
    // One died after it had taken some on.
    let taken = database.lease_events("desk", later, Lease::of(time::Duration::MINUTE, later), 5).await.unwrap();
    assert_eq!(taken.len(), 5);
    let senders: Vec<_> = (0..4).map(|_| Webhooks::new(database.clone(), endpoints(), Vec::new()).unwrap()).collect();
    let all = futures_util::future::join_all(senders.iter().map(|sender| sender.deliver_due(later))).await;
    let sent: usize = all.into_iter().map(|sent| sent.unwrap().delivered).sum();
    assert_eq!(sent, (12 - 5) * 3, "files of a dead broker wait, others go on");
    let later = later + time::Duration::minutes(2);
    let mut rest = Sent::default();
    for _ in 0..4 {
        let sent = senders[0].deliver_due(later).await.unwrap();
        rest.delivered += sent.delivered;
    }
    assert_eq!(rest.delivered, 5 * 3);
    let mut order: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for delivery in receiver.deliveries() {
        let (id, what) = delivery.told();
        order.entry(id).or_default().push(what);
    }
    assert_eq!(order.keys().copied().collect::<Vec<_>>(), files);
    for told in order.values() {
        assert_eq!(told, &["file.deleted", "file.restored", "file.deleted"], "each once and in order");
    }
    assert_eq!(database.replay_events(&Replay::Since(OffsetDateTime::UNIX_EPOCH), None, later).await.unwrap(), 36);
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_share_the_outbox_on_sqlite() {
    senders_share_the_outbox(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_share_the_outbox_on_postgres() {
    senders_share_the_outbox(Db::Postgres).await;
}

async fn a_replay_sends_what_waits_and_what_waits_behind_it(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let receiver = Receiver::start().await;
    let text = format!("[[endpoint]]\nname = \"desk\"\nurl = \"{}\"\nsecrets = [\"{SECRET}\"]", receiver.url);
    let endpoints = parse(&text).unwrap();
    let database = broker.database.clone();
    database.subscribe(endpoints.iter().map(|endpoint| endpoint.subscription.clone()).collect());
    let file = FileId(active(&broker).await);
    let file = database.find_file(&"default".parse().unwrap(), file).await.unwrap().unwrap();
    let deletion = Deletion { at: OffsetDateTime::now_utc(), by: file.created_by };
    database.delete_file(&file, &deletion, None).await.unwrap().unwrap();
    assert!(matches!(database.restore_file(&file, file.created_by, deletion.at).await.unwrap(), Changed::Done(_)));
    let sender = Webhooks::new(database.clone(), endpoints, vec![Duration::from_hours(1); 5]).unwrap();
    let head = events(&broker, None).await.pop().unwrap();
    let everything = Replay::Since(OffsetDateTime::UNIX_EPOCH);
    let only_head = Replay::Event(head.event_id.clone());
    let mut now = OffsetDateTime::now_utc() + time::Duration::minutes(1);

    // Somebody sends the first one at this moment.
    assert_eq!(database.lease_events("desk", now, Lease::of(time::Duration::MINUTE, now), 8).await.unwrap().len(), 1);
    assert_eq!(database.replay_events(&only_head, None, now).await.unwrap(), 0);
    assert_eq!(database.replay_events(&everything, None, now).await.unwrap(), 1);
    assert_eq!(sender.deliver_due(now).await.unwrap(), Sent::default());
    // Until it died.
    now += time::Duration::minutes(2);

    let put_off = Sent { deferred: 1, ..Sent::default() };
    receiver.script([(500, None), (503, Some("3600"))]);
    assert_eq!(sender.deliver_due(now).await.unwrap(), put_off);
    assert_eq!(sender.deliver_due(now + time::Duration::minutes(59)).await.unwrap(), Sent::default(), "both wait for an hour");
    assert_eq!(database.replay_events(&everything, None, now).await.unwrap(), 2);
    assert_eq!(sender.deliver_due(now).await.unwrap(), put_off);
    let waiting = events(&broker, Some(EventState::Pending)).await;
    assert!(waiting.len() == 2 && waiting.iter().all(|event| event.next_attempt_at >= now + time::Duration::hours(1)), "{waiting:?}");
    assert_eq!(database.replay_events(&only_head, Some("another"), now).await.unwrap(), 0);
    assert_eq!(database.replay_events(&only_head, Some("desk"), now).await.unwrap(), 1);
    let sent = sender.deliver_due(now).await.unwrap();
    assert_eq!(sent, Sent { delivered: 2, ..Sent::default() }, "and what waited behind it: {:?}", events(&broker, None).await);
    let told: Vec<_> = receiver.deliveries().iter().map(|delivery| (delivery.answered, delivery.told().1)).collect();
    let expected = [(500, "file.deleted"), (503, "file.deleted"), (204, "file.deleted"), (204, "file.restored")];
    assert_eq!(told, expected.map(|(answered, what)| (answered, what.to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_sends_what_waits_and_what_waits_behind_it_on_sqlite() {
    a_replay_sends_what_waits_and_what_waits_behind_it(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_sends_what_waits_and_what_waits_behind_it_on_postgres() {
    a_replay_sends_what_waits_and_what_waits_behind_it(Db::Postgres).await;
}

#[test]
fn a_bad_list_of_endpoints_stops_the_start_without_telling_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("webhooks.toml");
    let setting = path.display().to_string();
    let settings =
        [("DROPSLIP_LISTEN", "127.0.0.1:0"), ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0"), ("DROPSLIP_WEBHOOKS_FILE", setting.as_str())];
    let start = || text(&run(folder.path(), &settings, &["serve"]).stderr);
    assert!(start().contains("DROPSLIP_WEBHOOKS_FILE"), "no such file");
    std::fs::write(&path, "[[endpoint]]\nname = \"a\"\nurl = \"https://10.0.0.1/\"\nsecrets = [\"whsec_hunter2\"]\n").unwrap();
    let said = start();
    assert!(said.contains("a: url: must not be a private") && !said.contains("hunter2"), "{said}");
}
