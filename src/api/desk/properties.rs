//! What must be true of what Desk's clients send; see `crate::properties`.

use super::idempotency_key;
use super::parts::part_numbers;
use super::request::parse_new_file;
use crate::api::IDEMPOTENCY_KEY;
use crate::api::properties::said_well;
use crate::domain::properties::clean;

/// What is asked for is the same bare and wrapped, and nothing in it is as hostile as it came.
pub(crate) fn body(bytes: &[u8]) {
    let new = match parse_new_file(bytes) {
        Ok(new) => new,
        Err(errors) => {
            said_well(&errors, &["body", "type", "filename", "fileName", "mimeType", "disposition", "size", "checksumSHA256", "multipart"]);
            return other_bodies(bytes);
        }
    };
    clean(&new.name);
    assert!(!new.type_name.is_empty());
    if serde_json::from_slice::<serde_json::Value>(bytes).is_ok_and(|value| value.get("file").is_none()) {
        let wrapped = parse_new_file(&[b"{\"params\":{},\"file\":", bytes, b"}"].concat());
        // Unset numbers of the client that wraps are zeros.
        let size = new.size.filter(|size| *size > 0);
        assert_eq!(wrapped, Ok(crate::domain::NewFile { size, ..new }), "wrapped it is another");
    }
    other_bodies(bytes);
}

fn other_bodies(bytes: &[u8]) {
    match part_numbers(bytes) {
        Ok(numbers) => assert!((1..=100).contains(&numbers.len())),
        Err(errors) => said_well(&errors, &["body", "partNumbers"]),
    }
    if let Ok(value) = axum::http::HeaderValue::from_bytes(bytes) {
        let headers = [(IDEMPOTENCY_KEY, value)].into_iter().collect();
        match idempotency_key(&headers) {
            Ok(key) => assert!(key.is_some_and(|key| key.as_bytes() == bytes && (1..=255).contains(&key.len()))),
            Err(errors) => said_well(&errors, &["Idempotency-Key"]),
        }
    }
}
