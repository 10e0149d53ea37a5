//! The record of one uploaded content and its states.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use time::OffsetDateTime;

use super::wording::one_of;
use super::{
    Actor, ActorKind, Complaints, Disposition, Evidence, Field, FileName, Grant, MediaType, Multipart, PartSizes, Pixels, SealedKey,
    StagingKey, Tenant,
};

/// A file's number; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub i64);

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a file is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// A slip was issued; nothing is known to have arrived.
    Temp,
    /// What arrived was looked at and sealed.
    Active,
    /// Removed by its owner, restorable until purged.
    Deleted,
}

impl FileState {
    /// The word used on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Temp => "temp",
            Self::Active => "active",
            Self::Deleted => "deleted",
        }
    }
}

impl FromStr for FileState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Temp, Self::Active, Self::Deleted]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| one_of(["temp", "active", "deleted"]))
    }
}

/// A SHA-256 checksum in the base64 spelling that S3 compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChecksumSha256(String);

impl ChecksumSha256 {
    /// Of these bytes of a hash.
    #[must_use]
    pub fn of(hash: [u8; 32]) -> Self {
        Self(BASE64.encode(hash))
    }

    /// 44 characters of base64.
    #[must_use]
    pub fn as_base64(&self) -> &str {
        &self.0
    }
}

impl FromStr for ChecksumSha256 {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let decoded = BASE64.decode(text).unwrap_or_default();
        if decoded.len() == 32 { Ok(Self(text.to_owned())) } else { Err("must be the base64 of a SHA-256, 44 characters".to_owned()) }
    }
}

/// How files come that come in one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadMethod {
    /// By a signed form.
    Post,
    /// By a presigned PUT, for stores that know no forms.
    Put,
}

/// What a caller says it is about to upload; parsed, not yet judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// The name of the file type whose rule applies.
    pub type_name: String,
    /// The name, already safe.
    pub name: FileName,
    /// The declared content type; `None` when the client left it blank.
    pub declared_type: Option<MediaType>,
    /// Where in a message it stands.
    pub disposition: Disposition,
    /// The exact size in bytes, when the client knows it.
    pub size: Option<u64>,
    /// The checksum the bytes must have, when the client computed it.
    pub checksum_sha256: Option<ChecksumSha256>,
    /// Whether the client can upload in parts, and whose sizes they have then.
    pub multipart: Option<PartSizes>,
}

/// When and by whom a file was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deletion {
    /// When.
    pub at: OffsetDateTime,
    /// Who asked for it.
    pub by: Actor,
}

/// What became of the forms of a temp file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attempts {
    /// How often its form was replaced by one on another key.
    pub reissued: u64,
    /// How many uploads with its forms were refused.
    pub refused: u64,
}

/// The bytes of a file that is no longer `temp`, as they were looked at and sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The key they are sealed under.
    pub key: SealedKey,
    /// How many there are.
    pub size: u64,
    /// The sealed object's entity tag, without quotes.
    pub etag: String,
    /// What was seen and decided.
    pub evidence: Evidence,
}

/// Where a file is in its life, with what it has there and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// A slip was issued; nothing is known to have arrived.
    Temp(Attempts),
    /// What arrived was looked at and sealed.
    Active(Sealed),
    /// Removed by its owner, restorable until purged: the bytes are still there.
    Deleted(Sealed, Deletion),
}

/// One uploaded content and its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its number.
    pub id: FileId,
    /// Whose it is.
    pub tenant: Tenant,
    /// Where it is in its life.
    pub state: State,
    /// The name of the file type it was granted under.
    pub type_name: String,
    /// Its name.
    pub name: FileName,
    /// Where in a message it stands.
    pub disposition: Disposition,
    /// The content type that was declared; `None` when the client left it blank.
    pub declared_type: Option<MediaType>,
    /// What was granted. It stays with the file: an auditor compares it with what came.
    pub grant: Grant,
    /// The checksum that was declared.
    pub checksum_sha256: Option<ChecksumSha256>,
    /// The key its current form may write, or could before it was sealed.
    pub staging_key: StagingKey,
    /// How it is uploaded in parts; `None` for a file that comes in one request.
    pub multipart: Option<Multipart>,
    /// When the slip was issued.
    pub created_at: OffsetDateTime,
    /// When its content or description last changed; deleting it and bringing it back are neither.
    pub updated_at: OffsetDateTime,
    /// When its current form dies.
    pub expires_at: OffsetDateTime,
    /// When it ends by itself unless somebody holds it by then; `None` for never.
    pub keep_until: Option<OffsetDateTime>,
    /// Who asked for the slip.
    pub created_by: Actor,
    /// Who changed it last.
    pub updated_by: Actor,
}

/// What the bucket says about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landed {
    /// Bytes.
    pub size: u64,
    /// Entity tag, without quotes.
    pub etag: String,
    /// The stored content type, as the store spells it.
    pub content_type: Option<String>,
    /// The stored SHA-256 in base64, where the store keeps one.
    pub checksum_sha256: Option<String>,
}

impl File {
    /// Whose file it is among the people that the installation serves: its maker, if that is one of them.
    #[must_use]
    pub fn customer(&self) -> Option<Actor> {
        Some(self.created_by).filter(|maker| maker.kind == ActorKind::Customers)
    }

    /// The word for where it is in its life.
    #[must_use]
    pub fn state(&self) -> FileState {
        match &self.state {
            State::Temp(_) => FileState::Temp,
            State::Active(_) => FileState::Active,
            State::Deleted(..) => FileState::Deleted,
        }
    }

    /// Whether its bytes are on their way through the broker: until they are claimed, it is no file to anybody else.
    #[must_use]
    pub fn is_arriving(&self) -> bool {
        self.state() == FileState::Temp && self.staging_key.is_of_received()
    }

    /// What became of its forms; of a file that needs none any more nothing is kept.
    #[must_use]
    pub fn attempts(&self) -> Attempts {
        match &self.state {
            State::Temp(attempts) => *attempts,
            State::Active(_) | State::Deleted(..) => Attempts::default(),
        }
    }

    /// Its sealed bytes; `None` while it is `temp`.
    #[must_use]
    pub fn sealed(&self) -> Option<&Sealed> {
        match &self.state {
            State::Temp(_) => None,
            State::Active(sealed) | State::Deleted(sealed, _) => Some(sealed),
        }
    }

    /// The key its bytes are sealed under; `None` while it is `temp`.
    #[must_use]
    pub fn sealed_key(&self) -> Option<&SealedKey> {
        self.sealed().map(|sealed| &sealed.key)
    }

    /// Bytes; 0 while it is `temp`.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.sealed().map_or(0, |sealed| sealed.size)
    }

    /// The sealed object's entity tag, without quotes; `None` while it is `temp`.
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.sealed().map(|sealed| sealed.etag.as_str())
    }

    /// What was seen and decided when it became active; `None` while it is `temp`.
    #[must_use]
    pub fn evidence(&self) -> Option<&Evidence> {
        self.sealed().map(|sealed| &sealed.evidence)
    }

    /// An image's size as it is shown, once it was looked at.
    #[must_use]
    pub fn pixels(&self) -> Option<Pixels> {
        self.evidence().and_then(|evidence| evidence.pixels)
    }

    /// When and by whom it was deleted, while it is.
    #[must_use]
    pub fn deletion(&self) -> Option<Deletion> {
        match &self.state {
            State::Deleted(_, deletion) => Some(*deletion),
            State::Temp(_) | State::Active(_) => None,
        }
    }

    /// Its content type: what was decided once it was looked at, what was granted before.
    #[must_use]
    pub fn content_type(&self) -> &MediaType {
        self.evidence().map_or(&self.grant.content_type, |evidence| &evidence.decided)
    }

    /// Judges what landed by what was granted, never trusting the store to have enforced the form.
    ///
    /// # Errors
    /// What is wrong, by field: `size`, `mimeType`, `checksumSHA256`.
    pub fn judge(&self, landed: &Landed) -> Result<(), Complaints> {
        let mut errors = Complaints::new();
        if landed.size < self.grant.min_size {
            errors.add(Field::Size, format!("must be {} or higher, but {} bytes landed", self.grant.min_size, landed.size));
        }
        if landed.size > self.grant.max_size {
            errors.add(Field::Size, format!("must be {} or lower, but {} bytes landed", self.grant.max_size, landed.size));
        }
        let stored_type = landed.content_type.as_deref().and_then(|text| text.parse::<MediaType>().ok());
        if stored_type.as_ref() != Some(&self.grant.content_type) {
            errors.add(Field::DeclaredType, format!("must be ‘{}’, but the upload has another type", self.grant.content_type));
        }
        if let (Some(declared), Some(stored)) = (&self.checksum_sha256, &landed.checksum_sha256)
            && declared.as_base64() != stored
        {
            errors.add(Field::Checksum, "must be the checksum of the bytes that landed");
        }
        errors.or_ok(())
    }
}
