//! The keys under which callers may ask again for the same file.

/// The key under which a caller may ask again for the same file.
#[derive(Debug, Clone, Copy)]
pub struct Idempotency<'a> {
    /// The caller's word.
    pub key: &'a str,
    /// What was asked for.
    pub request_sha256: [u8; 32],
}

/// The same, for a record that waits to be written.
#[derive(Debug, Clone)]
pub(super) struct OwnedIdempotency {
    pub(super) key: String,
    pub(super) request_sha256: [u8; 32],
}
