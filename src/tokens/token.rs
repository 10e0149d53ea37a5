//! A token's text.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::random;

const PREFIX: &str = "dslip_";
pub(super) const LOOKUP_CHARS: usize = 16;
const SECRET_CHARS: usize = 64;

/// A token's text; prints as nothing but its lookup.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A new one from 256 random bits.
    #[must_use]
    pub fn generate() -> Self {
        let lookup = hex::encode(random::bytes::<{ LOOKUP_CHARS / 2 }>());
        let secret = hex::encode(random::bytes::<{ SECRET_CHARS / 2 }>());
        Self(format!("{PREFIX}{lookup}_{secret}"))
    }

    /// Reads what a caller presents; `None` when it cannot be a token.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        lookup_of(text).map(|_| Self(text.to_owned()))
    }

    /// The whole token: for its owner's eyes only.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(super) fn lookup(&self) -> &str {
        self.0.get(PREFIX.len()..PREFIX.len() + LOOKUP_CHARS).unwrap_or_default()
    }

    /// What is kept of it.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        sha256(&self.0)
    }
}

/// The public half of what may be a token; `None` when it cannot be one.
pub(super) fn lookup_of(text: &str) -> Option<&str> {
    let (lookup, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    (is_lookup(lookup) && is_hex(secret, SECRET_CHARS)).then_some(lookup)
}

/// Whether a text may be the public half of a token.
pub(super) fn is_lookup(text: &str) -> bool {
    is_hex(text, LOOKUP_CHARS)
}

fn is_hex(text: &str, characters: usize) -> bool {
    text.len() == characters && text.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
}

pub(super) fn sha256(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.lookup())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_prints_no_secret() {
        let token = Token::generate();
        assert_eq!(Token::parse(token.reveal()), Some(token.clone()));
        let secret = token.reveal().rsplit_once('_').unwrap().1;
        assert_eq!(secret.len(), 64);
        assert!(!format!("{token:?}").contains(secret));
        assert_ne!(Token::generate(), token);
    }

    #[test]
    fn what_is_no_token_is_not_looked_up() {
        let token = Token::generate();
        for bad in
            ["", "dslip_", "dslip__", &token.reveal().to_uppercase(), &token.reveal()[1..], &format!("{}0", token.reveal()), "dslip_üü_é"]
        {
            assert_eq!(Token::parse(bad), None, "{bad}");
        }
    }
}
