//! What must be true of texts that claim to be tokens; see `crate::properties`.

use super::{LOOKUP_CHARS, Token, sha256};

/// What reads as an access token is one to the letter, and prints without its secret.
pub(crate) fn access_token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Some(token) = Token::parse(&text) else { return };
    assert_eq!(token.reveal(), text);
    assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{text:?}");
    assert_eq!(token.lookup().len(), LOOKUP_CHARS);
    assert_eq!(sha256(&text), token.sha256());
    let secret = text.rsplit('_').next().unwrap_or_default();
    assert!(!format!("{token:?}").contains(secret));
}

