//! What must be true of what this layer reads; see `crate::fuzzing`.

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::auth::presented_token;
use super::request_log::{is_request_id, loggable};
use crate::domain::complaints::Spelled;

/// A header carries the token that stands in it, or none; Bearer and Basic carry the same.
pub(crate) fn authorization(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(token) = presented_token(&text) {
        let whole = text.to_ascii_lowercase();
        assert!(whole.trim_start().starts_with("bearer ") || whole.trim_start().starts_with("basic "), "{text:?}");
        assert!(token.len() <= text.len(), "{text:?} is shorter than its token");
    }
    // As a user name a token has no colon, and as a header no blank around it.
    if text == text.trim() && !text.is_empty() && !text.contains(':') {
        assert_eq!(presented_token(&format!("Bearer {text}")).as_deref(), Some(&*text));
        assert_eq!(presented_token(&format!("bAsIc {}", BASE64.encode(format!("{text}:x:y")))).as_deref(), Some(&*text));
    }
}

/// What is logged of a request moves no terminal and holds no upload token.
pub(crate) fn request_head(bytes: &[u8]) {
    if let Ok(id) = HeaderValue::from_bytes(bytes)
        && is_request_id(&id)
    {
        assert!((1..=128).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic), "{id:?}");
    }
    let path = String::from_utf8_lossy(bytes);
    let shown = loggable(&path);
    assert!(shown.len() <= 40 || shown.split('/').all(|segment| segment.len() <= 40), "{shown}");
    assert_eq!(loggable(&shown), shown, "{path}");
    let token = format!("du2.0123456789abcdef.1767323045.image.{}", "0".repeat(64));
    for path in [format!("{path}{token}"), format!("/u/{token}{path}"), format!("{path}/{token}/{path}")] {
        assert!(!loggable(&path).contains(&token), "{path}");
    }
}

/// Complaints are about fields that there are, each says something, and none is as long as what it complains about may be.
pub(in crate::api) fn said_well(errors: &Spelled, fields: &[&str]) {
    assert!(!errors.by_name().is_empty());
    for (field, messages) in errors.by_name() {
        let top = field.split(['.', '[']).next().unwrap_or_default();
        assert!(fields.contains(&top), "there is no field {field}");
        assert!(!messages.is_empty() && messages.iter().all(|message| !message.is_empty()), "{errors}");
        assert!(messages.iter().all(|message| message.len() < 2_000), "{errors}");
    }
}
