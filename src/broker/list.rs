//! Lists of active files, page by page.

use super::{Broker, BrokerError, allowed};
use crate::domain::{ActorKind, Caller, File, FileId, Scope};

/// Some files, and where the next page begins.
#[derive(Debug)]
pub struct Page {
    /// Newest first.
    pub files: Vec<File>,
    /// The last one's number when more follow.
    pub next: Option<FileId>,
}

impl Broker {
    /// The newest `size` active files that the caller may read, of those with numbers below `before`.
    ///
    /// A walk from page to page meets each file once: numbers are never used again, and what is new has a higher one.
    ///
    /// # Errors
    /// [`BrokerError::Forbidden`] without the right to read.
    pub async fn list(&self, caller: &Caller, before: Option<FileId>, size: u32) -> Result<Page, BrokerError> {
        allowed(caller, Scope::FilesRead)?;
        // Customers reach their own files only, as in `find`.
        let customer = (caller.actor.kind == ActorKind::Customers).then_some(caller.actor.id);
        // One more than asked for tells whether there are more.
        let mut files = self.store.list_files(&caller.tenant, customer, &caller.types, before, size.saturating_add(1)).await?;
        let more = files.len() > size as usize;
        files.truncate(size as usize);
        Ok(Page { next: files.last().map(|file| file.id).filter(|_| more), files })
    }
}
