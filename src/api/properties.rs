//! What must be true of what this layer reads; see `crate::properties`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::auth::presented_token;
use crate::domain::FieldErrors;

pub(crate) use super::companion::properties as companion;
pub(crate) use super::desk::properties as desk;

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

/// Complaints are about fields that there are, each says something, and none is as long as what it complains about may be.
pub(super) fn said_well(errors: &FieldErrors, fields: &[&str]) {
    assert!(!errors.is_empty());
    for (field, messages) in errors.by_field() {
        let top = field.split(['.', '[']).next().unwrap_or_default();
        assert!(fields.contains(&top), "there is no field {field}");
        assert!(!messages.is_empty() && messages.iter().all(|message| !message.is_empty()), "{errors}");
        assert!(messages.iter().all(|message| message.len() < 2_000), "{errors}");
    }
}
