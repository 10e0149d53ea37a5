//! What a rule allowed for one upload.

use super::MediaType;

/// What a caller may upload: the promise that a signed form enforces.
///
/// It stays as it is from the rule over every slip to the confirmation, whatever becomes of the rule meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The canonical content type.
    pub content_type: MediaType,
    /// Fewest bytes.
    pub min_size: u64,
    /// Most bytes; equal to `min_size` when the size was declared.
    pub max_size: u64,
}
