//! What a bucket says when an object was written: S3's own words, MinIO's around them, and those of SeaweedFS' filer.

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// How many objects one message may be about.
pub const MOST_OBJECTS: usize = 1000;

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

/// The objects that a message says were written: none in a test message, or in one about deletions.
///
/// # Errors
/// When it is no such message, or about more than [`MOST_OBJECTS`].
pub fn parse(message: &[u8]) -> Result<Vec<ObjectCreated>, String> {
    let message: Value = serde_json::from_slice(message).map_err(|error| {
        // The parser's own words may repeat what was sent.
        format!("must be JSON, but is not in line {}, column {}", error.line(), error.column())
    })?;
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
    if message["Event"].as_str() == Some("s3:TestEvent") {
        return Ok(Vec::new());
    }
    Err("must be a bucket notification of S3, MinIO or SeaweedFS".to_owned())
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
        let found = parse(message.to_string().as_bytes())?;
        Ok(found.into_iter().map(|object| (object.bucket, object.key)).collect())
    }

    fn s3(event: &str, key: &str) -> Value {
        json!({"eventVersion": "2.1", "eventName": event, "s3": {"bucket": {"name": "drop"}, "object": {"key": key, "size": 3}}})
    }

    #[test]
    fn every_store_is_understood() {
        let one = vec![("drop".to_owned(), "temp/a b+ü".to_owned())];
        assert_eq!(keys(&json!({"Records": [s3("ObjectCreated:Post", "temp/a+b%2B%C3%BC")]})).unwrap(), one);
        let minio = json!({"EventName": "s3:ObjectCreated:Put", "Key": "drop/temp/a b", "Records": [s3("s3:ObjectCreated:Put", "temp%2Fa+b%2B%C3%BC")]});
        assert_eq!(keys(&minio).unwrap(), one);
        assert_eq!(keys(&json!({"EventName": "s3:ObjectCreated:Put", "Key": "drop/temp/a+b%2B%C3%BC"})).unwrap(), one);
        assert_eq!(keys(&json!({"event_type": "create", "key": "/buckets/drop/temp/a b+ü", "message": {}})).unwrap(), one);
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
        ] {
            assert_eq!(keys(&nothing).unwrap(), [], "{nothing}");
        }
    }

    #[test]
    fn anything_else_is_refused_in_bounds() {
        for bad in ["", "null", "[]", "{}", "{\"Records\": {}}", "{\"Key\": 1}", "\u{feff}{}"] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(keys(&json!({"Records": vec![s3("ObjectCreated:Put", "k"); MOST_OBJECTS]})).is_ok());
        assert!(keys(&json!({"Records": vec![s3("ObjectCreated:Put", "k"); MOST_OBJECTS + 1]})).is_err());
    }
}
