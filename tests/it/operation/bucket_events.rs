//! The bucket says that an object arrived, and a file whose client vanished becomes active: through the same confirmation, once.

mod wrapped;

use std::time::{Duration, Instant};

use dropslip::database::AuditFilter;
use dropslip::domain::{FileId, FileState};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::faults::proxy::{Break, Proxy};
use crate::faults::world::{Program, Through, World};
use crate::harness::{Bed, Db, Setup, Slip, TestBroker, answer, error_fields, from_servers, unique};
use crate::operation::check::Site;
use crate::operation::metrics::Scrape;

const TOKEN: &str = "the-store-knows-this-secret";

impl TestBroker {
    async fn notify(&self, token: &str, message: &Value) -> (StatusCode, Value) {
        answer(self.http.post(format!("{}/notifications/s3", self.base)).bearer_auth(token).body(message.to_string())).await
    }

    fn record(&self, event: &str, key: &str) -> Value {
        let object = json!({"key": key.replace('/', "%2F"), "size": 5, "eTag": "x", "sequencer": "1"});
        json!({"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": event, "s3": {"bucket": {"name": self.bucket}, "object": object}})
    }

    /// How often a file became active, by the audit log.
    async fn activations(&self, id: i64) -> Vec<Value> {
        let log = self.database.audit_log(&AuditFilter { file: Some(FileId(id)), ..AuditFilter::default() }, 100).await.unwrap();
        log.into_iter().filter(|line| line.action == "file.activated").map(|line| line.details["via"].clone()).collect()
    }

    async fn becomes_active(&self, id: i64) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.read(id).await.1["file"]["state"] != "active" {
            assert!(Instant::now() < deadline, "nobody confirms it");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn uploaded(&self, bytes: &[u8]) -> Slip {
        let slip = self.text_slip().await;
        self.drop_bytes(&slip, bytes).await;
        slip
    }
}

fn counts(body: &Value) -> (i64, i64, i64) {
    let count = |name: &str| body[name].as_i64().unwrap();
    (count("activated"), count("refused"), count("ignored"))
}

async fn told_by_http(db: Db) -> TestBroker {
    Setup::on(Bed::Embedded).database(db).setting("DROPSLIP_NOTIFICATIONS_TOKEN", TOKEN).start().await
}

async fn stores_of_every_kind_are_understood(db: Db) {
    let broker = told_by_http(db).await;
    let (s3, minio, seaweedfs) = (broker.uploaded(b"one").await, broker.uploaded(b"two").await, broker.uploaded(b"three").await);
    let ceph = broker.uploaded(b"four").await;
    let in_ceph = json!({"key": ceph.param("key"), "size": 4, "eTag": "x", "versionId": "", "sequencer": "C8F9036BA1723C29", "metadata": [], "tags": []});
    let messages = [
        json!({"Records": [broker.record("ObjectCreated:Post", s3.param("key"))]}),
        json!({"EventName": "s3:ObjectCreated:Post", "Key": format!("{}/{}", broker.bucket, minio.param("key")),
            "Records": [broker.record("s3:ObjectCreated:Post", minio.param("key"))]}),
        json!({"event_type": "create", "key": format!("/buckets/{}/{}", broker.bucket, seaweedfs.param("key")), "message": {"new_entry": {}}}),
        // It encodes no key.
        json!({"Records": [{"eventVersion": "2.2", "eventSource": "ceph:s3", "eventName": "ObjectCreated:Post", "opaqueData": "",
            "s3": {"s3SchemaVersion": "1.0", "configurationId": "dropslip", "bucket": {"name": broker.bucket}, "object": in_ceph}}]}),
    ];
    for (message, slip) in messages.iter().zip([&s3, &minio, &seaweedfs, &ceph]) {
        let (status, body) = broker.notify(TOKEN, message).await;
        assert_eq!((status.as_u16(), counts(&body)), (200, (1, 0, 0)), "{message}: {body}");
        let (_, file) = broker.read(slip.id).await;
        assert_eq!(
            (&file["file"]["state"], &file["file"]["updatedBy"]),
            (&json!("active"), &file["file"]["createdBy"]),
            "in its owner's name"
        );
        assert_eq!(broker.activations(slip.id).await, [json!("notification")]);
        // Again, as stores do, and by the client at last.
        assert_eq!(counts(&broker.notify(TOKEN, message).await.1), (0, 0, 1));
        assert_eq!(broker.confirm(slip.id).await.0, 200);
        assert_eq!(broker.activations(slip.id).await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_of_every_kind_are_understood_on_sqlite() {
    stores_of_every_kind_are_understood(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_of_every_kind_are_understood_on_postgres() {
    stores_of_every_kind_are_understood(Db::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_upload_is_passed_over() {
    let broker = told_by_http(Db::Sqlite).await;
    let slip = broker.uploaded(b"Hello").await;
    let key = slip.param("key");
    let never = broker.text_slip().await;
    for message in [
        json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": broker.bucket}),
        json!({"Records": [broker.record("ObjectRemoved:Delete", key), broker.record("s3:ObjectAccessed:Get", key)]}),
        json!({"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "another"}, "object": {"key": key}}}]}),
        json!({"Records": [broker.record("ObjectCreated:Put", "files/0123"), broker.record("ObjectCreated:Put", "temp/unknown")]}),
        json!({"Records": [broker.record("ObjectCreated:Put", &format!("{key}%00")), broker.record("ObjectCreated:Put", "../temp/a")]}),
        json!({"Records": [broker.record("ObjectCreated:Put", never.param("key"))]}),
    ] {
        let (status, body) = broker.notify(TOKEN, &message).await;
        assert_eq!((status.as_u16(), counts(&body).0, counts(&body).1), (200, 0, 0), "{message}: {body}");
    }
    assert_eq!(broker.read(slip.id).await.1["file"]["state"], "temp");
    let upload = json!({"Records": [broker.record("ObjectCreated:Put", key)]});
    assert_eq!(counts(&broker.notify(TOKEN, &upload).await.1), (1, 0, 0), "what is one is not");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_store_may_say_so() {
    let broker = told_by_http(Db::Sqlite).await;
    let slip = broker.uploaded(b"Hello").await;
    let message = json!({"Records": [broker.record("ObjectCreated:Post", slip.param("key"))]});
    for wrong in ["", "the-store-knows-this-secreT", "the-store-knows-this-secret-", broker.token.as_str()] {
        let (status, body) = broker.notify(wrong, &message).await;
        assert_eq!((status.as_u16(), error_fields(&body)), (401, vec!["authorization".to_owned()]), "{wrong}");
        let as_user =
            broker.http.post(format!("{}/notifications/s3", broker.base)).basic_auth(wrong, Some(TOKEN)).body(message.to_string());
        assert_eq!(as_user.send().await.unwrap().status(), 401, "{wrong}");
    }
    assert_eq!(broker.call("GET", "/notifications/s3", None).await.0, 405);
    for (body, status) in [(String::new(), 400), ("{}".to_owned(), 400), ("[1".to_owned(), 400), (" ".repeat(1024 * 1024 + 1), 413)] {
        let request = broker.http.post(format!("{}/notifications/s3", broker.base)).bearer_auth(TOKEN).body(body);
        let (got, body) = answer(request).await;
        assert_eq!(got.as_u16(), status, "{body}");
        error_fields(&body);
    }
    assert_eq!(broker.read(slip.id).await.1["file"]["state"], "temp");
    assert_eq!(counts(&broker.notify(TOKEN, &message).await.1), (1, 0, 0), "it may");
    let (_, with) = answer(broker.http.get(format!("{}/openapi.json", broker.base))).await;
    assert!(with["paths"]["/notifications/s3"]["post"].is_object());

    let without = Setup::on(Bed::Embedded).start().await;
    let response = without.http.post(format!("{}/notifications/s3", without.base)).bearer_auth(TOKEN).body("{}").send().await.unwrap();
    assert_eq!(response.status(), 404, "no secret is set, so nobody may");
    let (_, document) = answer(without.http.get(format!("{}/openapi.json", without.base))).await;
    assert!(document["paths"]["/notifications/s3"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_before_its_client_asked_is_told_when_it_asks() {
    let broker = told_by_http(Db::Postgres).await;
    let slip = broker.text_slip().await;
    let put = broker.s3.put_object().bucket(&broker.bucket).key(slip.param("key")).content_type("text/html");
    put.body(b"<script>".to_vec().into()).send().await.unwrap();
    let message = json!({"Records": [broker.record("ObjectCreated:Put", slip.param("key"))]});
    assert_eq!(counts(&broker.notify(TOKEN, &message).await.1), (0, 1, 0));
    for _ in 0..2 {
        let (status, body) = broker.confirm(slip.id).await;
        assert_eq!((status.as_u16(), error_fields(&body)), (422, vec!["mimeType".to_owned()]), "{body}");
    }
    broker.drop_bytes(&slip, b"Hello").await;
    assert_eq!(broker.confirm(slip.id).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_notifications_and_confirmations_make_one_activation() {
    let broker = told_by_http(Db::Postgres).await;
    let slip = broker.uploaded(b"Hello").await;
    let message = json!({"Records": [broker.record("ObjectCreated:Post", slip.param("key")), broker.record("ObjectCreated:Post", slip.param("key"))]});
    let told = futures_util::future::join_all((0..8).map(|_| broker.notify(TOKEN, &message)));
    let confirmed = futures_util::future::join_all((0..4).map(|_| broker.confirm(slip.id)));
    let (told, confirmed) = futures_util::future::join(told, confirmed).await;
    assert!(told.iter().all(|(status, _)| *status == 200) && confirmed.iter().all(|(status, _)| *status == 200), "{told:?} {confirmed:?}");
    assert_eq!(broker.activations(slip.id).await.len(), 1);
    assert_eq!(broker.objects().await.iter().filter(|(key, _)| key.starts_with("files/")).count(), 1);
}

fn sqs() -> aws_sdk_sqs::Client {
    let (key, secret) = (from_servers("AWS_ACCESS_KEY_ID"), from_servers("AWS_SECRET_ACCESS_KEY"));
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
        .endpoint_url(from_servers("TEST_LOCALSTACK_URL"))
        .region(aws_sdk_sqs::config::Region::new("us-east-1"))
        .credentials_provider(aws_sdk_sqs::config::Credentials::new(key, secret, None, None, "test"))
        .build();
    aws_sdk_sqs::Client::from_conf(config)
}

fn queue_url(name: &str) -> String {
    format!("{}/000000000000/{name}", from_servers("TEST_LOCALSTACK_URL"))
}

/// Its name and its URL.
async fn new_queue(sqs: &aws_sdk_sqs::Client) -> (String, String) {
    let name = unique("uploads-");
    sqs.create_queue().queue_name(&name).send().await.unwrap();
    let url = queue_url(&name);
    (name, url)
}

/// SQS as in production: the bucket puts its notifications into a queue, and nobody else says a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_confirms_files_whose_clients_vanished() {
    let sqs = sqs();
    let (name, queue) = new_queue(&sqs).await;
    let broker = Setup::on(Bed::LocalStack).database(Db::Postgres).setting("DROPSLIP_NOTIFICATIONS_SQS", queue.clone()).start().await;
    let told = aws_sdk_s3::types::QueueConfiguration::builder()
        .queue_arn(format!("arn:aws:sqs:us-east-1:000000000000:{name}"))
        .events(aws_sdk_s3::types::Event::S3ObjectCreated)
        .build()
        .unwrap();
    let configuration = aws_sdk_s3::types::NotificationConfiguration::builder().queue_configurations(told).build();
    let put = broker.s3.put_bucket_notification_configuration().bucket(&broker.bucket).notification_configuration(configuration);
    put.send().await.unwrap();

    let vanished = [broker.uploaded(b"one").await, broker.uploaded(b"two").await];
    for slip in &vanished {
        broker.becomes_active(slip.id).await;
        assert_eq!(broker.activations(slip.id).await, [json!("notification")]);
    }
    // A queue delivers twice now and then; and not everything in it is for us.
    let again = json!({"Records": [broker.record("ObjectCreated:Post", vanished[0].param("key"))]}).to_string();
    for body in [again.as_str(), again.as_str(), "{\"Records\": []}"] {
        sqs.send_message().queue_url(&queue).message_body(body).send().await.unwrap();
    }
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let attributes = sqs.get_queue_attributes().queue_url(&queue).attribute_names(aws_sdk_sqs::types::QueueAttributeName::All);
        let attributes = attributes.send().await.unwrap().attributes.unwrap();
        let left = |name: &str| attributes.iter().find(|(key, _)| key.as_str() == name).unwrap().1.parse::<u32>().unwrap();
        if left("ApproximateNumberOfMessages") + left("ApproximateNumberOfMessagesNotVisible") == 0 {
            break;
        }
        assert!(Instant::now() < deadline, "the queue is not empty: {attributes:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(broker.activations(vanished[0].id).await.len(), 1);
    // What nobody can read stays, for a dead-letter queue or the tenth time.
    sqs.send_message().queue_url(&queue).message_body("not for you").send().await.unwrap();
    broker.becomes_active(broker.uploaded(b"three").await.id).await;
    let attributes = sqs.get_queue_attributes().queue_url(&queue).attribute_names(aws_sdk_sqs::types::QueueAttributeName::All);
    let attributes = attributes.send().await.unwrap().attributes.unwrap();
    let hidden = attributes.iter().find(|(key, _)| key.as_str() == "ApproximateNumberOfMessagesNotVisible").unwrap().1;
    assert!(hidden.parse::<u32>().unwrap() >= 1, "{attributes:?}");
}

/// SeaweedFS' filer posts by itself what happens in the bucket.
#[tokio::test(flavor = "multi_thread")]
async fn seaweedfs_confirms_files_whose_clients_vanished() {
    let setup = Setup::on(Bed::SeaweedFs).bucket_prefix("told-").setting("DROPSLIP_LISTEN", from_servers("TEST_SEAWEEDFS_NOTIFIES"));
    let broker = setup.setting("DROPSLIP_NOTIFICATIONS_TOKEN", from_servers("TEST_SEAWEEDFS_NOTIFIES_TOKEN")).start().await;
    let slip = broker.uploaded(b"Hello").await;
    broker.becomes_active(slip.id).await;
    assert_eq!(broker.activations(slip.id).await, [json!("notification")]);
}

/// A broker that is told of ten uploads at once, so many in a message, while the bucket does that to every copy; and the numbers of the
/// files. It gets SIGTERM when it has begun.
async fn stopped_among_messages(in_one: usize, copies: Break) -> (World, Program, Vec<i64>, Instant) {
    let (sqs, proxy) = (sqs(), Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await);
    let (_, queue) = new_queue(&sqs).await;
    let mut world = World::through(Db::Sqlite, Through { s3: Some(proxy.address), database: None }).await;
    let mut uploading = world.start(None).await;
    let (mut ids, mut records) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        let (slip, _) = world.uploaded(&uploading, "kept").await;
        let object = json!({"key": slip.param("key")});
        records.push(json!({"eventName": "ObjectCreated:Post", "s3": {"bucket": {"name": world.bucket}, "object": object}}));
        ids.push(slip.id);
    }
    for records in records.chunks(in_one) {
        sqs.send_message().queue_url(&queue).message_body(json!({"Records": records}).to_string()).send().await.unwrap();
    }
    uploading.signal("-TERM");
    assert_eq!(uploading.end().await.code(), Some(0));
    proxy.breaks("x-amz-copy-source:", copies);
    world.set("DROPSLIP_NOTIFICATIONS_SQS", &queue);
    let mut program = world.start(None).await;
    proxy.until_hit().await;
    program.signal("-TERM");
    let began = Instant::now();
    assert_eq!(program.end().await.code(), Some(0), "{}", program.log());
    (world, program, ids, began)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_begins_no_message_and_ends_those_under_way() {
    let (world, program, ids, _) = stopped_among_messages(1, Break::Slow(Duration::from_secs(2))).await;
    let mut active = 0;
    for id in ids {
        let file = world.database.find_file(&"default".parse().unwrap(), FileId(id)).await.unwrap().unwrap();
        active += usize::from(file.state() == FileState::Active);
    }
    assert!((1..=4).contains(&active), "{active} of 10, at most four at once: {}", program.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_does_not_end_is_cut_off_when_the_broker_stops() {
    let (_world, program, _, began) = stopped_among_messages(10, Break::Stall).await;
    assert!(began.elapsed() < Duration::from_secs(36), "it took {:?}", began.elapsed());
    assert!(program.log().contains("was cut off"), "{}", program.log());
}

/// Each time that a message is taken in vain brings it nearer to the dead letters.
#[tokio::test(flavor = "multi_thread")]
async fn no_message_is_taken_while_the_bucket_is_away() {
    let (sqs, proxy) = (sqs(), Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await);
    let (_, queue) = new_queue(&sqs).await;
    let mut world = World::through(Db::Sqlite, Through { s3: Some(proxy.address), database: None }).await;
    world.set("DROPSLIP_NOTIFICATIONS_SQS", &queue);
    let program = world.start(None).await;
    let (mut ids, mut messages) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let (slip, _) = world.uploaded(&program, "kept").await;
        let object = json!({"key": slip.param("key")});
        let record = json!({"eventName": "ObjectCreated:Post", "s3": {"bucket": {"name": world.bucket}, "object": object}});
        messages.push(json!({"Records": [record]}).to_string());
        ids.push(slip.id);
    }
    let send = async |body: &String| sqs.send_message().queue_url(&queue).message_body(body).send().await.unwrap();
    let until_log_has = async |words: &str| {
        let deadline = Instant::now() + Duration::from_mins(1);
        while !program.log().contains(words) {
            assert!(Instant::now() < deadline, "{words}: {}", program.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    proxy.breaks("", Break::Refuse);
    send(&messages[0]).await;
    until_log_has("is left in the queue").await;
    for body in &messages[1..] {
        send(body).await;
    }
    // It would take them within milliseconds.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(program.log().matches("is left in the queue").count(), 1, "{}", program.log());
    proxy.heals();
    // The first one is hidden for a minute.
    for id in &ids[1..] {
        let deadline = Instant::now() + Duration::from_secs(40);
        while world.database.find_file(&"default".parse().unwrap(), FileId(*id)).await.unwrap().unwrap().state() != FileState::Active {
            assert!(Instant::now() < deadline, "{id} is not confirmed: {}", program.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_cannot_be_read_is_counted_and_named() {
    let name = unique("absent-");
    let mut world = World::new(Db::Sqlite).await;
    world.set("DROPSLIP_ADMIN_LISTEN", "127.0.0.1:0");
    world.set("DROPSLIP_NOTIFICATIONS_SQS", &queue_url(&name));
    let program = world.start(None).await;
    let admin = program.admin().await;
    let deadline = Instant::now() + Duration::from_mins(1);
    while Scrape::of(&admin).await.sum("dropslip_notification_queue_failures_total", None) < 1.0 {
        assert!(Instant::now() < deadline, "nothing is counted: {}", program.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let log = program.log();
    let line = log.lines().find(|line| line.contains("cannot be read now")).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains(&format!("there is no queue ‘{name}’")) && !line.contains("the bucket"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_tries_the_queue_and_takes_nothing_out_of_it() {
    let (sqs, row) = (sqs(), "notifications-queue");
    let (name, queue) = new_queue(&sqs).await;
    let mut site = Site::on(Bed::LocalStack).await;
    assert!(!site.check().rows.contains_key(row), "there is no queue");
    sqs.send_message().queue_url(&queue).message_body("a message").send().await.unwrap();
    site.set("DROPSLIP_NOTIFICATIONS_SQS", &queue);
    assert_eq!(site.check().row(row).0, "ok");
    let left = sqs.receive_message().queue_url(&queue).send().await.unwrap();
    assert_eq!(left.messages().len(), 1, "it stays");
    let absent = unique("absent-");
    // Nobody is there; no such queue; and a server that is none of queues.
    for (url, why) in [
        (format!("http://127.0.0.1:1/1/{name}"), format!("the queue ‘{name}’ is not available")),
        (queue_url(&absent), format!("there is no queue ‘{absent}’")),
        (format!("{}/1/{name}", from_servers("TEST_SEAWEEDFS_URL")), format!("queue ‘{name}’")),
    ] {
        site.set("DROPSLIP_NOTIFICATIONS_SQS", &url);
        let checked = site.check();
        let (status, found, advice) = checked.row(row);
        assert!(status == "error" && found.contains(&why) && advice.contains("sqs:ReceiveMessage"), "{status} {found} {advice}");
    }
}
