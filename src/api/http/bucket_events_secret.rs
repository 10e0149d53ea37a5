//! What a store must know that posts bucket notifications.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// SHA-256 of the secret that notifications must carry.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// The secret as the object store has it.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }

    pub(in crate::api) fn is(&self, presented: &str) -> bool {
        // Digests are of one length, so that nothing of the secret's shows.
        Self::new(presented).0.ct_eq(&self.0).into()
    }
}
