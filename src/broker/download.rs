//! Downloads: who may read a file's bytes, where they are, and reading them for whoever cannot reach the store.

use time::{Duration, OffsetDateTime};

use super::{Broker, BrokerError, allowed};
use crate::bucket::{BucketError, GetTerms, ObjectBody, PresignedGet};
use crate::domain::{Caller, Disposition, File, FileId, FileState, Scope, Sealed, Tenant};

/// Who asks for a file's bytes.
#[derive(Debug)]
pub enum Reader {
    /// Somebody with a token.
    Caller(Caller),
    /// Somebody with a link to this one file, which is this tenant's.
    Link(Tenant),
}

/// The headers that a file's bytes are served with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// `Content-Type`: the decided one, unless that could run.
    pub content_type: String,
    /// `Content-Disposition`: saved, or shown where that is safe.
    pub content_disposition: String,
}

impl Offered {
    /// As `wished` where that is safe, else as the file was described: what its uploader wanted shown is shown.
    #[must_use]
    pub fn new(file: &File, wished: Option<Disposition>) -> Self {
        let inline = wished.unwrap_or(file.disposition) == Disposition::AttachmentInline;
        let decided = file.content_type();
        Self { content_type: decided.as_served().to_string(), content_disposition: file.name.offered(inline && decided.is_viewable()) }
    }
}

impl Broker {
    /// An active file whose bytes the reader may have.
    ///
    /// # Errors
    /// [`BrokerError::NotFound`] when there is none, it is not active, or it is not the reader's to see.
    pub async fn readable(&self, reader: &Reader, id: FileId) -> Result<File, BrokerError> {
        let file = match reader {
            Reader::Caller(caller) => {
                allowed(caller, Scope::FilesRead)?;
                self.find(caller, id).await?
            }
            Reader::Link(tenant) => self.database.find_file(tenant, id).await?.ok_or(BrokerError::NotFound)?,
        };
        if file.state() == FileState::Active { Ok(file) } else { Err(BrokerError::NotFound) }
    }

    /// A URL of the store's at which a browser gets the bytes; with `head`, for the headers alone.
    ///
    /// # Errors
    /// See [`BucketError`].
    pub async fn presign_download(
        &self,
        file: &File,
        offered: &Offered,
        head: bool,
        lifetime: Duration,
        now: OffsetDateTime,
    ) -> Result<PresignedGet, BrokerError> {
        let Offered { content_type, content_disposition } = offered;
        let terms = GetTerms { key: sealed(file)?.key.as_str(), head, content_type, content_disposition, lifetime };
        Ok(self.bucket.presign_get(&terms, now).await?)
    }

    /// The bytes from the first to the last of `part`, or all, as they are asked for.
    ///
    /// # Errors
    /// See [`BucketError`]; also when the sealed object is gone or another.
    pub async fn read_download(&self, file: &File, part: Option<(u64, u64)>) -> Result<ObjectBody, BrokerError> {
        let Sealed { key, size, etag, .. } = sealed(file)?;
        let body = self.bucket.download(key.as_str(), etag, *size, part).await?;
        Ok(body
            .ok_or_else(|| BucketError::Refused(format!("the object of file {} is gone, or another: run ‘dropslip reconcile’", file.id)))?)
    }
}

/// Where the bytes are.
fn sealed(file: &File) -> Result<&Sealed, BrokerError> {
    file.sealed().ok_or(BrokerError::NotFound)
}
