//! What dropslip does: the use cases, and the only place that touches database and bucket together.
//!
//! # The promise
//! - No form is answered whose record is not durable, and no record becomes active whose object was not seen.
//! - The bytes of an active file can never be changed by a form: they are sealed by a copy, made on condition that the object is
//!   still the one judged, to a key that no form ever named.
//! - Every key is in the doomed list, or owned by a record, before anything can be written to it. A crash at any point leaves only
//!   things that the sweeper finds.
//! - A file of another tenant is the same as no file.

mod audit;
mod authorize;
mod confirm;
mod delete;
mod download;
mod judge;
mod list;
mod pace;
mod parts;
mod slip;
mod sweep;
mod tickets;
mod turns;

use time::{Duration, OffsetDateTime};
use tokio::time::timeout;

use crate::bucket::lifecycle::UPLOAD_DAYS;
use crate::bucket::{Bucket, BucketError};
use crate::domain::{ActorKind, Caller, FieldErrors, File, FileId, FileTypes, Scope, UploadMethod};
use crate::limits::{Exceeded, Limits};
use crate::random;
use crate::store::{Store, StoreError};

pub use audit::Audit;
use turns::Turns;

pub use authorize::Authorized;
pub use delete::{Execution, Removal};
pub use download::{Offered, Reader};
pub use list::{Page, PageWanted};
pub use parts::{Arrived, SignedPart};
pub use slip::{InParts, Slip};
pub use sweep::Swept;
pub use tickets::{TicketArchive, Wanted};

/// Where forms may write; sealed objects stand elsewhere.
pub const STAGING_PREFIX: &str = "temp/";

/// Longer than every staging key without its prefix.
const LONGEST_STAGING_KEY: usize = 64;

/// How often a use case looks again at a record or an object that changes under its eyes.
const ATTEMPTS: usize = 3;

/// The life of a fresh slip whose file type was taken out of the rules since.
const LIFETIME_WITHOUT_RULE: Duration = Duration::minutes(15);

/// How long database and bucket may take to say that they are there.
const READY_PATIENCE: std::time::Duration = std::time::Duration::from_secs(3);

/// Why a use case did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The request cannot be granted; what is wrong, by field.
    #[error("invalid request: {0}")]
    Invalid(FieldErrors),
    /// The request is well-formed but what it is about is not what was granted or asked for before; what is wrong, by field.
    #[error("refused: {0}")]
    Refused(FieldErrors),
    /// The token does not allow it.
    #[error("the token lacks the scope {}", .0.as_str())]
    Forbidden(Scope),
    /// There is no such file, or it is another tenant's.
    #[error("no such file")]
    NotFound,
    /// Nothing has arrived yet.
    #[error("nothing was uploaded yet")]
    NotUploaded,
    /// It is active: no form can change it any more.
    #[error("the file is active already")]
    AlreadyActive,
    /// The object or the record changed each time it was looked at.
    #[error("the upload keeps changing")]
    Changing,
    /// The file is not in a state for that; what is wrong, by field.
    #[error("not now: {0}")]
    Conflict(FieldErrors),
    /// The caller's actor or tenant asks for too much.
    #[error("too many {}", .0.what)]
    LimitExceeded(Exceeded),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bucket failed.
    #[error(transparent)]
    Bucket(#[from] BucketError),
}

/// The use cases over one database, one bucket and one set of rules.
pub struct Broker {
    store: Store,
    bucket: Bucket,
    file_types: FileTypes,
    limits: Limits,
    grace: Duration,
    deleted_retention: Duration,
    method: UploadMethod,
    multipart_threshold: u64,
    part_size: u64,
    confirming: Turns,
}

/// The rules of an installation.
pub struct Rules {
    /// What may be uploaded.
    pub file_types: FileTypes,
    /// How much each actor and tenant may ask for.
    pub limits: Limits,
    /// How long what belongs to an expired slip is left alone: it may still be receiving bytes.
    pub grace: Duration,
    /// How long a deleted file can be brought back for certain; a sweep purges it after that.
    pub deleted_retention: Duration,
    /// How files come that come in one request.
    pub method: UploadMethod,
    /// From how many bytes on files come in parts, if the client can.
    pub multipart_threshold: u64,
    /// Bytes of a part, as long as that does not make too many.
    pub part_size: u64,
}

impl Broker {
    /// A broker.
    #[must_use]
    pub fn new(store: Store, bucket: Bucket, rules: Rules) -> Self {
        let Rules { file_types, limits, grace, deleted_retention, method, multipart_threshold, part_size } = rules;
        let confirming = Turns::default();
        Self { store, bucket, file_types, limits, grace, deleted_retention, method, multipart_threshold, part_size, confirming }
    }

    /// The rules of this installation.
    #[must_use]
    pub fn file_types(&self) -> &FileTypes {
        &self.file_types
    }

    /// How files come that come in one request.
    #[must_use]
    pub fn method(&self) -> UploadMethod {
        self.method
    }

    /// Whether there is a rule of each of these names.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] with the names there are, when one is missing.
    pub fn know_types(&self, names: &[String]) -> Result<(), BrokerError> {
        names.iter().try_for_each(|name| self.file_types.get(name).map(drop)).map_err(BrokerError::Invalid)
    }

    /// Counts one request of the caller's.
    ///
    /// # Errors
    /// [`BrokerError::LimitExceeded`] when its actor or tenant sends too many.
    pub fn admit(&self, caller: &Caller) -> Result<(), BrokerError> {
        self.limits.request(caller).map_err(BrokerError::LimitExceeded)
    }

    /// Sets the bucket's own expiry on the staging prefix: in whole days, beyond every form's life and grace.
    ///
    /// # Errors
    /// See [`BucketError`].
    pub async fn apply_lifecycle(&self) -> Result<i32, BrokerError> {
        let days = lifecycle_days(&self.file_types, self.grace);
        self.bucket.apply_lifecycle(STAGING_PREFIX, days).await?;
        Ok(days)
    }

    /// Which of database and bucket do not answer now; none when all is well.
    ///
    /// It is asked often and must not wait for as long as a use case may.
    pub async fn away(&self) -> Vec<&'static str> {
        let store = async { timeout(READY_PATIENCE, self.store.ping()).await.is_ok_and(|answer| answer.is_ok()) };
        let bucket = async { timeout(READY_PATIENCE, self.bucket.ping()).await.is_ok_and(|answer| answer.is_ok()) };
        let (store, bucket) = tokio::join!(store, bucket);
        [("database", store), ("bucket", bucket)].into_iter().filter_map(|(name, answers)| (!answers).then_some(name)).collect()
    }

    /// One file of the caller's tenant.
    ///
    /// # Errors
    /// [`BrokerError::NotFound`] when there is none.
    pub async fn get(&self, caller: &Caller, id: FileId) -> Result<File, BrokerError> {
        allowed(caller, Scope::FilesRead)?;
        self.find(caller, id).await
    }

    /// The caller's own upload to that staging key, which is known to nobody but whom the slip was given to.
    ///
    /// Unlike [`Broker::get`] this asks for the right to upload, and finds nothing of other actors.
    ///
    /// # Errors
    /// [`BrokerError::NotFound`] when there is none.
    pub async fn upload(&self, caller: &Caller, staging_key: &str) -> Result<File, BrokerError> {
        allowed(caller, Scope::FilesWrite)?;
        // Nobody can have got anything else from here, and not every database takes every text.
        let plain = |key: &str| key.len() <= LONGEST_STAGING_KEY && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !staging_key.strip_prefix(STAGING_PREFIX).is_some_and(plain) {
            return Err(BrokerError::NotFound);
        }
        let file = self.store.find_upload(&caller.tenant, staging_key).await?;
        file.filter(|file| file.created_by == caller.actor).ok_or(BrokerError::NotFound)
    }

    async fn find(&self, caller: &Caller, id: FileId) -> Result<File, BrokerError> {
        let file = self.store.find_file(&caller.tenant, id).await?;
        // Customers are strangers to each other: what one uploads is nothing to another. Users work on the same files.
        let reached = file.filter(|file| caller.actor.kind == ActorKind::Users || file.created_by == caller.actor);
        reached.ok_or(BrokerError::NotFound)
    }
}

/// What a file that is deleted says to whoever wants to change it.
fn is_deleted() -> BrokerError {
    BrokerError::Conflict(FieldErrors::one("state", "is deleted: restore it first"))
}

/// After how many whole days nothing under the staging prefix can be wanted any more.
#[must_use]
pub fn lifecycle_days(file_types: &FileTypes, grace: Duration) -> i32 {
    let longest = file_types.iter().map(|rule| rule.slip_lifetime).max().unwrap_or_default();
    // One more day for the part of a day, and one because stores count days from the midnight after.
    let days = i32::try_from((longest + grace).whole_days()).unwrap_or(i32::MAX - 2) + 2;
    // S3 counts the days of an object in parts from the beginning of its upload.
    days.max(UPLOAD_DAYS)
}

fn allowed(caller: &Caller, scope: Scope) -> Result<(), BrokerError> {
    if caller.scopes.contains(scope) { Ok(()) } else { Err(BrokerError::Forbidden(scope)) }
}

/// A key that nobody typed a letter of: it rises with time, for the index's sake, and nobody can guess it.
fn fresh_key(prefix: &str, now: OffsetDateTime) -> String {
    let millis = now.unix_timestamp() * 1000 + i64::from(now.millisecond());
    format!("{prefix}/{millis:012x}-{:032x}", u128::from_be_bytes(random::bytes()))
}
