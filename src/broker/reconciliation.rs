//! Database and bucket compared: nothing lost, nothing forged, nothing orphaned.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{Broker, BrokerError};
use crate::domain::{File, FileId, SealedKey, StagingKey};

/// How many records are compared at once.
const PAGE: u32 = 1000;

/// How many objects are asked about at the same time.
const ASKED_AT_ONCE: usize = 16;

/// Where every key of dropslip's stands.
const PREFIXES: [&str; 2] = [SealedKey::PREFIX, StagingKey::PREFIX];

/// What a reconciliation found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reconciliation {
    /// Files that own a sealed object.
    pub files: usize,
    /// Objects in the bucket.
    pub objects: usize,
    /// Files whose object is gone.
    pub lost: Vec<FileId>,
    /// Files whose object is not the one that was sealed.
    pub forged: Vec<FileId>,
    /// Keys of objects, and of open uploads in parts, that nobody owns and that are not doomed.
    pub orphaned: Vec<String>,
}

impl Reconciliation {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost.is_empty() && self.forged.is_empty() && self.orphaned.is_empty()
    }
}

enum Finding {
    Good,
    Lost(FileId),
    Forged(FileId),
}

impl Broker {
    /// Compares every sealed file with its object, and every object with its owner. Changes nothing; may run beside brokers.
    ///
    /// # Errors
    /// When database or bucket fail.
    pub async fn reconcile(&self) -> Result<Reconciliation, BrokerError> {
        let mut found = Reconciliation::default();
        let mut last = FileId(i64::MIN);
        loop {
            let files = self.database.sealed_files(last, PAGE).await?;
            let Some(end) = files.last() else { break };
            last = end.id;
            found.files += files.len();
            let findings: Vec<Finding> = stream::iter(&files).map(|file| self.compared(file)).buffered(ASKED_AT_ONCE).try_collect().await?;
            for finding in findings {
                match finding {
                    Finding::Good => {}
                    Finding::Lost(id) => found.lost.push(id),
                    Finding::Forged(id) => found.forged.push(id),
                }
            }
        }
        for prefix in PREFIXES {
            self.find_orphans(prefix, &mut found).await?;
            self.find_orphaned_uploads(prefix, &mut found).await?;
        }
        Ok(found)
    }

    async fn compared(&self, file: &File) -> Result<Finding, BrokerError> {
        let Some(sealed) = file.sealed() else { return Ok(Finding::Good) };
        Ok(match self.bucket.head(sealed.key.as_str()).await? {
            // It may have been purged since the record was read.
            None if self.database.find_file(&file.tenant, file.id).await?.is_some() => Finding::Lost(file.id),
            None => Finding::Good,
            Some(found) if found.size == sealed.size && found.etag == sealed.etag => Finding::Good,
            Some(_) => Finding::Forged(file.id),
        })
    }

    async fn find_orphaned_uploads(&self, prefix: &str, found: &mut Reconciliation) -> Result<(), BrokerError> {
        let open: Vec<String> = self.bucket.open_uploads(prefix).await?.into_iter().map(|(key, _)| key).collect();
        for keys in open.chunks(PAGE as usize) {
            let owned = self.database.owned_keys(keys).await?;
            for key in keys.iter().filter(|key| !owned.contains(*key)) {
                // A sweeper may have ended it and struck it off the list since it was listed.
                if !self.bucket.open_uploads(key).await?.is_empty() && self.database.owned_keys(std::slice::from_ref(key)).await?.is_empty()
                {
                    found.orphaned.push(key.clone());
                }
            }
        }
        Ok(())
    }

    async fn find_orphans(&self, prefix: &str, found: &mut Reconciliation) -> Result<(), BrokerError> {
        let mut after: Option<String> = None;
        loop {
            let listed = self.bucket.list(prefix, after.as_deref()).await?;
            let Some(end) = listed.last() else { return Ok(()) };
            after = Some(end.clone());
            found.objects += listed.len();
            let owned = self.database.owned_keys(&listed).await?;
            for key in listed.into_iter().filter(|key| !owned.contains(key)) {
                // A sweeper may have deleted it and struck it off the list since it was listed.
                if self.bucket.head(&key).await?.is_some() {
                    found.orphaned.push(key);
                }
            }
        }
    }
}
