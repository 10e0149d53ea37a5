//! Bucket notifications as Amazon SNS and `EventBridge` pass them on, by HTTP and out of a queue.

use super::*;

/// As `EventBridge` tells of an object; the key is as it is.
fn event(kind: &str, bucket: &str, key: &str) -> Value {
    json!({
        "version": "0", "id": "2d4eba74-fd51-3966-4bfa-b013c9da8ff1", "detail-type": kind, "source": "aws.s3", "account": "123456789012",
        "time": "2026-01-02T03:04:05Z", "region": "us-east-1", "resources": [format!("arn:aws:s3:::{bucket}")],
        "detail": {
            "version": "0", "bucket": {"name": bucket}, "object": {"key": key, "size": 5, "etag": "x", "sequencer": "1"},
            "request-id": "N4N7GDK58NMKJ12R", "requester": "123456789012", "source-ip-address": "127.0.0.1", "reason": "PostObject"
        }
    })
}

/// As SNS posts a message, and puts it into a queue.
fn sns(message: &Value) -> Value {
    json!({
        "Type": "Notification", "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "TopicArn": "arn:aws:sns:us-east-1:123456789012:uploads",
        "Subject": "Amazon S3 Notification", "Message": message.to_string(), "Timestamp": "2026-01-02T03:04:05.000Z", "SignatureVersion": "1",
        "Signature": "EXAMPLE", "SigningCertURL": "http://127.0.0.1:1/cert.pem", "UnsubscribeURL": "http://127.0.0.1:1/?Action=Unsubscribe"
    })
}

fn asking(kind: &str) -> Value {
    json!({
        "Type": kind, "MessageId": "165545c9-2a5c-472c-8df2-7ff2be2b3b1b", "Token": "2336412f37fb687f5d51e6e2425ba1f2",
        "TopicArn": "arn:aws:sns:us-east-1:123456789012:uploads", "Message": "You have chosen to subscribe to the topic",
        "SubscribeURL": "http://127.0.0.1:1/?Action=ConfirmSubscription", "Timestamp": "2026-01-02T03:04:05.000Z"
    })
}

fn test_event(bucket: &str) -> Value {
    json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-01-02T03:04:05.000Z", "Bucket": bucket})
}

async fn wrapped_messages_confirm_uploads(db: Db) {
    let broker = told_by_http(db).await;
    let s3 = |slip: &Slip| json!({"Records": [broker.record("ObjectCreated:Post", slip.param("key"))]});
    let bridge = |slip: &Slip| event("Object Created", &broker.bucket, slip.param("key"));
    let mut slips = Vec::new();
    for _ in 0..5 {
        slips.push(broker.uploaded(b"Hello").await);
    }
    let messages = [sns(&s3(&slips[0])), bridge(&slips[1]), sns(&bridge(&slips[2])), sns(&sns(&bridge(&slips[3]))), s3(&slips[4])];
    for (message, slip) in messages.iter().zip(&slips) {
        assert_eq!(broker.read(slip.id).await.1["file"]["state"], "temp");
        // SNS sends JSON as text/plain; others write a mark before it.
        let request = broker.http.post(format!("{}/notifications/s3", broker.base)).bearer_auth(TOKEN);
        let request = request.header("content-type", "text/plain; charset=UTF-8").header("x-amz-sns-message-type", "Notification");
        let (status, body) = answer(request.body(format!("\u{feff}{message}"))).await;
        assert_eq!((status.as_u16(), counts(&body)), (200, (1, 0, 0)), "{message}: {body}");
        assert_eq!(broker.activations(slip.id).await, [json!("notification")]);
    }
    // About nothing of ours, and nothing to be told again.
    let waiting = broker.uploaded(b"Hello").await;
    let key = waiting.param("key");
    for message in [
        test_event(&broker.bucket),
        sns(&test_event(&broker.bucket)),
        event("Object Deleted", &broker.bucket, key),
        sns(&event("Object Tags Added", &broker.bucket, key)),
        event("Object Created", "another", key),
        // Percent signs are a part of that key.
        event("Object Created", &broker.bucket, &key.replace('/', "%2F")),
        sns(&json!({"Records": [broker.record("ObjectRemoved:Delete", key)]})),
        asking("SubscriptionConfirmation"),
        asking("UnsubscribeConfirmation"),
    ] {
        let (status, body) = broker.notify(TOKEN, &message).await;
        assert_eq!((status.as_u16(), counts(&body).0, counts(&body).1), (200, 0, 0), "{message}: {body}");
    }
    let deep = (0..5).fold(s3(&waiting), |message, _| sns(&message));
    for refused in [deep, sns(&json!("Hello")), json!({"Message": "Hello"}), json!({"detail-type": "Scheduled Event", "detail": {}})] {
        let (status, body) = broker.notify(TOKEN, &refused).await;
        assert_eq!((status.as_u16(), error_fields(&body)), (400, vec!["body".to_owned()]), "{refused}: {body}");
    }
    assert_eq!(broker.read(waiting.id).await.1["file"]["state"], "temp");
    assert_eq!(counts(&broker.notify(TOKEN, &(0..4).fold(s3(&waiting), |message, _| sns(&message))).await.1), (1, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrapped_messages_confirm_uploads_on_sqlite() {
    wrapped_messages_confirm_uploads(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrapped_messages_confirm_uploads_on_postgres() {
    wrapped_messages_confirm_uploads(Db::Postgres).await;
}

/// Asks SNS on LocalStack; what stands between these tags of the answer.
async fn ask_sns(parameters: &[(&str, &str)], tag: &str) -> String {
    let credential = "Credential=test/20260101/us-east-1/sns/aws4_request, SignedHeaders=host, Signature=x";
    let request =
        reqwest::Client::new().post(from_servers("TEST_LOCALSTACK_URL")).header("authorization", format!("AWS4-HMAC-SHA256 {credential}"));
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).append_pair("Version", "2010-03-31").finish();
    let response = request.header("content-type", "application/x-www-form-urlencoded").body(body).send().await.unwrap();
    let (status, text) = (response.status(), response.text().await.unwrap());
    assert_eq!(status, 200, "{text}");
    text.split_once(&format!("<{tag}>")).and_then(|(_, rest)| rest.split_once("</")).unwrap_or_else(|| panic!("{text}")).0.to_owned()
}

async fn new_topic() -> String {
    ask_sns(&[("Action", "CreateTopic"), ("Name", &unique("uploads-"))], "TopicArn").await
}

async fn subscribe(topic: &str, protocol: &str, endpoint: &str, raw: bool) -> String {
    let raw = if raw { "true" } else { "false" };
    let raw = [("Attributes.entry.1.key", "RawMessageDelivery"), ("Attributes.entry.1.value", raw)];
    let wanted =
        [("Action", "Subscribe"), ("TopicArn", topic), ("Protocol", protocol), ("Endpoint", endpoint), ("ReturnSubscriptionArn", "true")];
    ask_sns(&[&wanted[..], &raw].concat(), "SubscriptionArn").await
}

async fn publish(topic: &str, message: &Value) {
    ask_sns(&[("Action", "Publish"), ("TopicArn", topic), ("Message", &message.to_string())], "MessageId").await;
}

async fn is_empty(sqs: &aws_sdk_sqs::Client, queue: &str) {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let attributes = sqs.get_queue_attributes().queue_url(queue).attribute_names(aws_sdk_sqs::types::QueueAttributeName::All);
        let attributes = attributes.send().await.unwrap().attributes.unwrap();
        let left = |name: &str| attributes.iter().find(|(key, _)| key.as_str() == name).unwrap().1.parse::<u32>().unwrap();
        if left("ApproximateNumberOfMessages") + left("ApproximateNumberOfMessagesNotVisible") == 0 {
            return;
        }
        assert!(Instant::now() < deadline, "the queue is not empty: {attributes:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The bucket tells a topic, the topic a queue: as it is, or wrapped.
async fn a_topic_before_the_queue_confirms_uploads(raw: bool) {
    let (sqs, topic) = (sqs(), new_topic().await);
    let (name, queue) = new_queue(&sqs).await;
    subscribe(&topic, "sqs", &format!("arn:aws:sqs:us-east-1:000000000000:{name}"), raw).await;
    let broker = Setup::on(Bed::LocalStack).setting("DROPSLIP_NOTIFICATIONS_SQS", queue.clone()).start().await;
    let told = aws_sdk_s3::types::TopicConfiguration::builder().topic_arn(&topic).events(aws_sdk_s3::types::Event::S3ObjectCreated).build();
    let configuration = aws_sdk_s3::types::NotificationConfiguration::builder().topic_configurations(told.unwrap()).build();
    let put = broker.s3.put_bucket_notification_configuration().bucket(&broker.bucket).notification_configuration(configuration);
    put.send().await.unwrap();
    let vanished = [broker.uploaded(b"one").await, broker.uploaded(b"two").await];
    for slip in &vanished {
        broker.becomes_active(slip.id).await;
        assert_eq!(broker.activations(slip.id).await, [json!("notification")]);
    }
    let quiet = broker.s3.put_bucket_notification_configuration().bucket(&broker.bucket);
    let nobody = aws_sdk_s3::types::NotificationConfiguration::builder().build();
    quiet.notification_configuration(nobody).send().await.unwrap();
    // What EventBridge tells, by the topic and without it; and what is about no upload.
    let by_topic = broker.uploaded(b"three").await;
    publish(&topic, &event("Object Created", &broker.bucket, by_topic.param("key"))).await;
    publish(&topic, &test_event(&broker.bucket)).await;
    let by_queue = broker.uploaded(b"four").await;
    for message in
        [event("Object Created", &broker.bucket, by_queue.param("key")), asking("SubscriptionConfirmation"), test_event(&broker.bucket)]
    {
        sqs.send_message().queue_url(&queue).message_body(message.to_string()).send().await.unwrap();
    }
    broker.becomes_active(by_topic.id).await;
    broker.becomes_active(by_queue.id).await;
    is_empty(&sqs, &queue).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_before_the_queue_confirms_uploads_wrapped() {
    a_topic_before_the_queue_confirms_uploads(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_before_the_queue_confirms_uploads_raw() {
    a_topic_before_the_queue_confirms_uploads(true).await;
}

/// A topic asks before it sends. Nothing is fetched because it says so: the log tells the operator what to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_let_in_by_its_owner_and_then_confirms_uploads() {
    let topic = new_topic().await;
    let mut world = World::new(Db::Sqlite).await;
    world.set("DROPSLIP_NOTIFICATIONS_TOKEN", TOKEN);
    let program = world.start(None).await;
    // Whoever is not let in is asked for user and password, without which SNS sends none.
    let refused = reqwest::Client::new().post(format!("{}/notifications/s3", program.base)).body("{}").send().await.unwrap();
    let challenges: Vec<_> = refused.headers().get_all("www-authenticate").iter().map(|value| value.to_str().unwrap().to_owned()).collect();
    assert_eq!(
        (refused.status().as_u16(), challenges),
        (401, ["Bearer", "Basic"].map(|scheme| format!("{scheme} realm=\"dropslip\"")).to_vec())
    );

    let endpoint = format!("{}/notifications/s3", program.base.replacen("http://", &format!("http://{TOKEN}:x@"), 1));
    subscribe(&topic, "http", &endpoint, false).await;
    let deadline = Instant::now() + Duration::from_mins(1);
    let command = loop {
        let log = program.log();
        if let Some((_, command)) = log.split_once("aws sns confirm-subscription ") {
            break command.lines().next().unwrap().to_owned();
        }
        assert!(Instant::now() < deadline, "nobody asks: {log}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    // What stands behind it in the line is the log's.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_:.".contains(c);
    let words: Vec<&str> = command.split(|c: char| !plain(c)).collect();
    assert_eq!((words[0], words[1], words[2]), ("--topic-arn", topic.as_str(), "--token"), "{command}");
    let (slip, _) = world.uploaded(&program, "kept").await;
    let object = json!({"key": slip.param("key")});
    let message = json!({"Records": [{"eventName": "ObjectCreated:Post", "s3": {"bucket": {"name": world.bucket}, "object": object}}]});
    ask_sns(&[("Action", "ConfirmSubscription"), ("TopicArn", words[1]), ("Token", words[3])], "SubscriptionArn").await;
    publish(&topic, &message).await;
    let deadline = Instant::now() + Duration::from_mins(1);
    while world.database.find_file(&"default".parse().unwrap(), FileId(slip.id)).await.unwrap().unwrap().state() != FileState::Active {
        assert!(Instant::now() < deadline, "it is not confirmed: {}", program.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
