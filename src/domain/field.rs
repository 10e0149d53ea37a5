//! What a complaint can be about.

/// What a complaint is about. It has no name here: whoever tells of it spells it in words of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// The name of the file.
    Name,
    /// Its content type: the declared one, and what the bytes must be.
    DeclaredType,
    /// The name of its file type.
    FileType,
    /// Where in a message it stands.
    Disposition,
    /// Its bytes.
    Size,
    /// The SHA-256 of its bytes.
    Checksum,
    /// Width times height of an image.
    Pixels,
    /// Where in its life it is.
    State,
    /// What was uploaded of a file in parts.
    Parts,
    /// Which parts are asked for.
    PartNumbers,
    /// The caller's key for a request that may come twice.
    IdempotencyKey,
    /// What a bucket says as a whole.
    Message,
}

impl Field {
    /// Every one.
    pub const ALL: [Self; 12] = [
        Self::Name,
        Self::DeclaredType,
        Self::FileType,
        Self::Disposition,
        Self::Size,
        Self::Checksum,
        Self::Pixels,
        Self::State,
        Self::Parts,
        Self::PartNumbers,
        Self::IdempotencyKey,
        Self::Message,
    ];
}
