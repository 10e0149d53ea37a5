//! What a bucket says when an object was written: S3's own words, MinIO's around them, those of SeaweedFS' filer and of `EventBridge`; and
//! each of them as Amazon SNS passes it on.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::text::{self, NotText};

/// How many objects one message may be about.
pub const MOST_OBJECTS: usize = 1000;

/// How often a message may be wrapped in another: twice is usual, by `EventBridge` and SNS.
pub const MOST_WRAPPERS: usize = 4;

/// The longest name of a topic that is repeated: those that there are have 256 characters and what stands before them.
const LONGEST_TOPIC: usize = 512;

/// The longest token of a subscription: those that there are have some 250 characters.
const LONGEST_TOKEN: usize = 1024;

/// Where SeaweedFS' filer keeps buckets.
const FILER_BUCKETS: &str = "/buckets/";

/// An object that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectCreated {
    /// In this bucket.
    pub bucket: String,
    /// Under this key.
    pub key: String,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// These objects were written: none by a test message, or by one about deletions.
    Created(Vec<ObjectCreated>),
    /// A topic of Amazon SNS asks whether it may send messages.
    MaySubscribe(Subscribing),
    /// A topic of Amazon SNS sends no more messages.
    Unsubscribed,
}

/// What the owner of a topic must send to it. Both are of letters that mean nothing to a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribing {
    /// The topic's name, such as `arn:aws:sns:eu-central-1:123456789012:uploads`.
    pub topic: String,
    /// What confirms this one subscription, and nothing else.
    pub token: String,
}

/// What a message says.
///
/// # Errors
/// When it is no such message, is wrapped more than [`MOST_WRAPPERS`] times, or is about more than [`MOST_OBJECTS`].
pub fn parse(message: &[u8]) -> Result<Message, String> {
    let message = text::json(message).map_err(|why| match why {
        NotText::Utf16 => "must be JSON in UTF-8, but is UTF-16".to_owned(),
        NotText::Unknown(place) => format!("must be JSON in UTF-8, but is not from byte {place} on"),
    })?;
    let mut message = value(&message)?;
    for _ in 0..=MOST_WRAPPERS {
        message = match message["Type"].as_str() {
            Some("SubscriptionConfirmation") => return subscribing(&message).map(Message::MaySubscribe),
            Some("UnsubscribeConfirmation") => return Ok(Message::Unsubscribed),
            // The message itself is text in it.
            _ => match message["Message"].as_str() {
                Some(inner) => value(&text::whole_characters(text::without_mark(inner)))?,
                None => return created(&message).map(Message::Created),
            },
        }
    }
    Err(format!("must be wrapped {MOST_WRAPPERS} times or less"))
}

fn value(json: &str) -> Result<Value, String> {
    // The parser's own words may repeat what was sent.
    serde_json::from_str(json).map_err(|error| format!("must be JSON, but is not in line {}, column {}", error.line(), error.column()))
}

fn subscribing(message: &Value) -> Result<Subscribing, String> {
    let plain = |name: &str, longest: usize| {
        let text = message[name].as_str().unwrap_or_default();
        let fits = (1..=longest).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b":-_.".contains(&b));
        (fits && !text.starts_with('-')).then(|| text.to_owned()).ok_or_else(|| format!("must have the {name} of a topic of Amazon SNS"))
    };
    Ok(Subscribing { topic: plain("TopicArn", LONGEST_TOPIC)?, token: plain("Token", LONGEST_TOKEN)? })
}

fn created(message: &Value) -> Result<Vec<ObjectCreated>, String> {
    if let Some(records) = message["Records"].as_array() {
        if records.len() > MOST_OBJECTS {
            return Err(format!("must have {MOST_OBJECTS} records or fewer"));
        }
        return Ok(records.iter().filter_map(record).collect());
    }
    if let (Some(event), Some(path)) = (message["EventName"].as_str(), message["Key"].as_str()) {
        let written = is_created(event).then(|| path.split_once('/')).flatten();
        return Ok(written.map(|(bucket, key)| ObjectCreated { bucket: bucket.to_owned(), key: decoded(key) }).into_iter().collect());
    }
    if let (Some(event), Some(path)) = (message["event_type"].as_str(), message["key"].as_str()) {
        let written = matches!(event, "create" | "update").then(|| path.strip_prefix(FILER_BUCKETS)?.split_once('/')).flatten();
        return Ok(written.map(|(bucket, key)| ObjectCreated { bucket: bucket.to_owned(), key: key.to_owned() }).into_iter().collect());
    }
    if let (Some(event), Some(bucket)) = (message["detail-type"].as_str(), message["detail"]["bucket"]["name"].as_str()) {
        // Unlike in a record, the key is as it is.
        let key = message["detail"]["object"]["key"].as_str().filter(|_| event == "Object Created");
        return Ok(key.map(|key| ObjectCreated { bucket: bucket.to_owned(), key: key.to_owned() }).into_iter().collect());
    }
    if message["Event"].as_str() == Some("s3:TestEvent") {
        return Ok(Vec::new());
    }
    Err("must be a bucket notification of S3, MinIO, SeaweedFS or EventBridge".to_owned())
}

fn record(record: &Value) -> Option<ObjectCreated> {
    let created = is_created(record["eventName"].as_str()?);
    let bucket = record["s3"]["bucket"]["name"].as_str()?;
    let key = record["s3"]["object"]["key"].as_str()?;
    created.then(|| ObjectCreated { bucket: bucket.to_owned(), key: decoded(key) })
}

/// `ObjectCreated:Post`; with `s3:` before it from MinIO.
fn is_created(event: &str) -> bool {
    event.strip_prefix("s3:").unwrap_or(event).starts_with("ObjectCreated:")
}

/// Keys come as in a form: a plus for a blank, percent signs for the rest. What is no text then is no key of ours either.
fn decoded(key: &str) -> String {
    percent_decode_str(&key.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keys(message: &Value) -> Result<Vec<(String, String)>, String> {
        let Message::Created(found) = parse(message.to_string().as_bytes())? else { panic!("{message} is about no objects") };
        Ok(found.into_iter().map(|object| (object.bucket, object.key)).collect())
    }

    fn s3(event: &str, key: &str) -> Value {
        json!({"eventVersion": "2.1", "eventName": event, "s3": {"bucket": {"name": "drop"}, "object": {"key": key, "size": 3}}})
    }

    fn event_bridge(kind: &str, key: &str) -> Value {
        json!({"version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": kind, "source": "aws.s3", "region": "eu-central-1",
            "resources": ["arn:aws:s3:::drop"], "detail": {"version": "0", "bucket": {"name": "drop"}, "object": {"key": key, "size": 3}, "reason": "PutObject"}})
    }

    fn sns(message: &str) -> Value {
        json!({"Type": "Notification", "MessageId": "22b80b92", "TopicArn": "arn:aws:sns:eu-central-1:123456789012:uploads", "Message": message})
    }

    #[test]
    fn every_store_is_understood() {
        let one = vec![("drop".to_owned(), "temp/a b+ü".to_owned())];
        assert_eq!(keys(&json!({"Records": [s3("ObjectCreated:Post", "temp/a+b%2B%C3%BC")]})).unwrap(), one);
        let minio = json!({"EventName": "s3:ObjectCreated:Put", "Key": "drop/temp/a b", "Records": [s3("s3:ObjectCreated:Put", "temp%2Fa+b%2B%C3%BC")]});
        assert_eq!(keys(&minio).unwrap(), one);
        assert_eq!(keys(&json!({"EventName": "s3:ObjectCreated:Put", "Key": "drop/temp/a+b%2B%C3%BC"})).unwrap(), one);
        assert_eq!(keys(&json!({"event_type": "create", "key": "/buckets/drop/temp/a b+ü", "message": {}})).unwrap(), one);
        assert_eq!(keys(&event_bridge("Object Created", "temp/a b+ü")).unwrap(), one);
    }

    #[test]
    fn a_message_is_the_same_however_it_is_wrapped() {
        let one = vec![("drop".to_owned(), "temp/a b".to_owned())];
        let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "drop"});
        for (message, read) in [
            (json!({"Records": [s3("ObjectCreated:Post", "temp/a+b")]}), one.clone()),
            (event_bridge("Object Created", "temp/a b"), one.clone()),
            (json!({"event_type": "create", "key": "/buckets/drop/temp/a b", "message": {}}), one),
            (test, Vec::new()),
        ] {
            let mut wrapped = message;
            for times in 0..=MOST_WRAPPERS {
                assert_eq!(keys(&wrapped).unwrap(), read, "{times} times: {wrapped}");
                wrapped = sns(&wrapped.to_string());
            }
            let refused = keys(&wrapped).unwrap_err();
            assert!(refused.contains("wrapped 4 times"), "{refused}");
        }
        assert_eq!(keys(&json!({"Message": format!("\u{feff}{}", event_bridge("Object Created", "k"))})).unwrap().len(), 1);
        for bad in ["", "Hello", "[]", "{}", "{\"Message\": 7}", "\"{}\""] {
            assert!(keys(&sns(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_topic_that_asks_is_told_apart_and_what_it_says_is_plain() {
        let topic = "arn:aws:sns:eu-central-1:123456789012:uploads.fifo";
        let asked = |topic: &str, token: &str| {
            let message = json!({"Type": "SubscriptionConfirmation", "TopicArn": topic, "Token": token, "Message": "You have chosen to subscribe",
                "SubscribeURL": "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription"});
            parse(message.to_string().as_bytes())
        };
        let expected = Subscribing { topic: topic.to_owned(), token: "2336412f37fb68".to_owned() };
        assert_eq!(asked(topic, "2336412f37fb68"), Ok(Message::MaySubscribe(expected)));
        for (topic, token) in
            [(topic, "$(reboot)"), (topic, ""), ("a; reboot", "a"), (topic, "--help"), (topic, "a\nb"), (topic, &"a".repeat(1025))]
        {
            assert!(asked(topic, token).is_err(), "{topic} {token}");
        }
        let ended = json!({"Type": "UnsubscribeConfirmation", "TopicArn": topic, "Token": "a", "Message": "You have chosen to deactivate"});
        assert_eq!(parse(ended.to_string().as_bytes()), Ok(Message::Unsubscribed));
    }

    #[test]
    fn what_is_no_upload_is_passed_over() {
        for nothing in [
            json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "drop"}),
            json!({"Records": []}),
            json!({"Records": [s3("ObjectRemoved:Delete", "temp/a"), s3("s3:ObjectAccessed:Get", "temp/a"), {"eventName": "ObjectCreated:Put"}, 7, null]}),
            json!({"EventName": "s3:ObjectRemoved:Delete", "Key": "drop/temp/a"}),
            json!({"event_type": "delete", "key": "/buckets/drop/temp/a"}),
            json!({"event_type": "create", "key": "/topics/temp/a"}),
            json!({"event_type": "create", "key": "/buckets/drop"}),
            event_bridge("Object Deleted", "temp/a"),
            event_bridge("Object Tags Added", "temp/a"),
            json!({"detail-type": "Object Created", "detail": {"bucket": {"name": "drop"}}}),
        ] {
            assert_eq!(keys(&nothing).unwrap(), [], "{nothing}");
        }
    }

    #[test]
    fn anything_else_is_refused_in_bounds() {
        for bad in [
            "",
            "null",
            "[]",
            "{}",
            "{\"Records\": {}}",
            "{\"Key\": 1}",
            "\u{feff}{}",
            "{\"detail-type\": \"EC2 Instance State-change\", \"detail\": {}}",
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(keys(&json!({"Records": vec![s3("ObjectCreated:Put", "k"); MOST_OBJECTS]})).is_ok());
        assert!(keys(&json!({"Records": vec![s3("ObjectCreated:Put", "k"); MOST_OBJECTS + 1]})).is_err());
    }
}
