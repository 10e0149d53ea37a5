//! What dropslip does: the use cases, and the only place that touches database and bucket together.
//!
//! # The promise
//! - No form is answered whose record is not durable, and no record becomes active whose object was not seen.
//! - The bytes of an active file can never be changed by a form: they are sealed by a copy, made on condition that the object is
//!   still the one judged, to a key that no form ever named.
//! - Every key is in the doomed list, or owned by a record, before anything can be written to it. A crash at any point leaves only
//!   things that the sweeper finds.
//! - A file of another tenant is the same as no file, and so is one of a type that the token is not for.

mod archive;
mod attachments;
mod authorize;
mod bucket_events;
mod confirm;
mod counts;
mod delete;
mod download;
mod health;
mod judge;
mod keyed_mutex;
mod list;
mod list_permits;
mod list_places;
mod pace;
mod parts;
mod permits;
mod receive;
mod reconciliation;
mod search_backfill;
mod slip;
mod sweep;
mod tickets;

use std::sync::Arc;

use arc_swap::ArcSwap;
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;

use crate::bucket::Bucket;
use crate::bucket::lifecycle::UPLOAD_DAYS;
use crate::database::Database;
use crate::domain::{Caller, Complaints, Field, File, FileId, FileState, FileTypes, Scope, StagingKey, UploadMethod};
use crate::fair::FairPermits;
use crate::field_names;
use crate::limits::{Exceeded, Limits};
use crate::metrics;

pub use crate::bucket::{BucketError, ObjectBody};
pub use crate::database::DatabaseError;
pub use bucket_events::{Arrival, BucketEvents};
use counts::Counts;
use keyed_mutex::KeyedMutex;
use list_permits::Lists;
pub use reconciliation::Reconciliation;

pub use archive::FileArchive;
pub use authorize::Authorized;
pub use delete::{Execution, Removal};
pub use download::{Offered, Reader};
pub use list::{Page, PageWanted, TicketPage};
pub use parts::{Arrived, SignedPart};
pub use permits::places_for_uploads;
pub use receive::{Described, Known, MEMORY_OF_UPLOAD, Receiving};
pub use slip::{InParts, Slip};
pub use sweep::Swept;
pub use tickets::AttachError;

/// How often a use case looks again at a record or an object that changes under its eyes.
const ATTEMPTS: usize = 3;

/// The life of a fresh slip whose file type was taken out of the rules since.
const LIFETIME_WITHOUT_RULE: Duration = Duration::minutes(15);

/// Why a use case did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The request cannot be granted; what is wrong, by field.
    #[error("invalid request: {}", field_names::spelled(.0))]
    Invalid(Complaints),
    /// The request is well-formed but what it is about is not what was granted or asked for before; what is wrong, by field.
    #[error("refused: {}", field_names::spelled(.0))]
    Refused(Complaints),
    /// The token does not allow it.
    #[error("the token lacks the scope {}", .0.as_str())]
    Forbidden(Scope),
    /// The token is not for this file type.
    #[error("the token is not for the file type {0}")]
    ForbiddenType(String),
    /// The file's rule is not at hand, and its bytes cannot be judged without it.
    #[error("the file type ‘{0}’ is not among the rules now, and the upload cannot be judged without it")]
    UnknownType(String),
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
    #[error("not now: {}", field_names::spelled(.0))]
    Conflict(Complaints),
    /// The caller's actor or tenant asks for too much.
    #[error("too many {}", .0.what)]
    LimitExceeded(Exceeded),
    /// The upload took longer than a slip lives.
    #[error("the upload took longer than it may")]
    TooLate,
    /// More bytes come than go through the broker.
    #[error("more bytes than go through the broker")]
    TooLarge,
    /// As many of these are under way as there may be, and none ended in time.
    #[error("as many {0} are under way as there may be")]
    Busy(&'static str),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The bucket failed.
    #[error(transparent)]
    Bucket(#[from] BucketError),
}

/// The use cases over one database, one bucket and one set of rules.
pub struct Broker {
    database: Database,
    bucket: Bucket,
    storage: String,
    file_types: ArcSwap<FileTypes>,
    limits: Limits,
    grace: Duration,
    events_retention: Duration,
    deleted_retention: Duration,
    audit_retention: Option<Duration>,
    method: UploadMethod,
    multipart_threshold: u64,
    part_size: u64,
    max_received: u64,
    uploads: FairPermits,
    confirming: KeyedMutex<FileId>,
    permits: FairPermits,
    lists: Lists,
    counts: Counts,
    counting: KeyedMutex<String, Option<(std::time::Instant, u32)>>,
    seen_missing: Mutex<Option<(std::time::Instant, Vec<String>)>>,
}

/// The rules of an installation.
pub struct Rules {
    /// Which storage the database must be about.
    pub storage: String,
    /// What may be uploaded.
    pub file_types: FileTypes,
    /// How much each actor and tenant may ask for.
    pub limits: Limits,
    /// How long what belongs to an expired slip is left alone: it may still be receiving bytes.
    pub grace: Duration,
    /// How long events are kept that arrived or were given up.
    pub events_retention: Duration,
    /// How long a deleted file can be brought back for certain; a sweep purges it after that.
    pub deleted_retention: Duration,
    /// How long lines of the audit log are kept; `None` for ever.
    pub audit_retention: Option<Duration>,
    /// How files come that come in one request.
    pub method: UploadMethod,
    /// From how many bytes on files come in parts, if the client can.
    pub multipart_threshold: u64,
    /// Bytes of a part, as long as that does not make too many.
    pub part_size: u64,
    /// Most bytes of one upload that comes through the broker.
    pub max_received: u64,
    /// How many of these one tenant has under way at most.
    pub max_uploads: usize,
}

impl Broker {
    /// A broker.
    #[must_use]
    pub fn new(database: Database, bucket: Bucket, rules: Rules) -> Self {
        let Rules {
            storage,
            file_types,
            limits,
            grace,
            events_retention,
            deleted_retention,
            audit_retention,
            method,
            multipart_threshold,
            part_size,
            max_received,
            max_uploads,
        } = rules;
        metrics::file_types(file_types.iter().map(|rule| rule.name.as_str()));
        Self {
            database,
            bucket,
            storage,
            file_types: ArcSwap::from_pointee(file_types),
            limits,
            grace,
            events_retention,
            deleted_retention,
            audit_retention,
            method,
            multipart_threshold,
            part_size,
            max_received,
            uploads: FairPermits::new(permits::of_uploads(max_uploads)),
            confirming: KeyedMutex::default(),
            permits: FairPermits::new(permits::BOUNDS),
            lists: Lists::default(),
            counts: Counts::default(),
            counting: KeyedMutex::default(),
            seen_missing: Mutex::default(),
        }
    }

    /// The rules of this installation, as they are now.
    #[must_use]
    pub fn file_types(&self) -> Arc<FileTypes> {
        self.file_types.load_full()
    }

    /// From now on these rules are asked. What was granted by the old ones stays granted.
    pub fn replace_file_types(&self, file_types: FileTypes) {
        metrics::file_types(file_types.iter().map(|rule| rule.name.as_str()));
        self.file_types.store(Arc::new(file_types));
    }

    /// How files come that come in one request.
    #[must_use]
    pub fn method(&self) -> UploadMethod {
        self.method
    }

    /// Most bytes of one upload that comes through the broker.
    #[must_use]
    pub fn max_received(&self) -> u64 {
        self.max_received
    }

    /// Whether there is a rule of each of these names.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] with the names there are, when one is missing.
    pub fn know_types(&self, names: &[String]) -> Result<(), BrokerError> {
        let file_types = self.file_types.load();
        names.iter().try_for_each(|name| file_types.get(name).map(drop)).map_err(BrokerError::Invalid)
    }

    /// Counts one request of the caller's.
    ///
    /// # Errors
    /// [`BrokerError::LimitExceeded`] when its actor or tenant sends too many.
    pub fn admit(&self, caller: &Caller) -> Result<(), BrokerError> {
        self.limits.request(caller).map_err(BrokerError::LimitExceeded)
    }

    /// Counts the bytes of all living forms where they are limited, also of those that were given out before there was a limit.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_reserved(&self, now: OffsetDateTime) -> Result<u64, BrokerError> {
        Ok(if self.limits.reserved_bytes().is_some() { self.database.reserve_all(now).await? } else { 0 })
    }

    /// Sets the bucket's own expiry on the staging prefix: in whole days, beyond every form's life and grace.
    ///
    /// # Errors
    /// See [`BucketError`].
    pub async fn apply_lifecycle(&self) -> Result<i32, BrokerError> {
        let days = lifecycle_days(&self.file_types.load(), self.grace);
        self.bucket.apply_lifecycle(StagingKey::PREFIX, days).await?;
        Ok(days)
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
        let staging_key = key_of_slip(staging_key).ok_or(BrokerError::NotFound)?;
        let file = self.database.find_upload(&caller.tenant, &staging_key).await?;
        file.filter(|file| caller.own().sees(file)).ok_or(BrokerError::NotFound)
    }

    async fn find(&self, caller: &Caller, id: FileId) -> Result<File, BrokerError> {
        let file = self.database.find_file(&caller.tenant, id).await?;
        file.filter(|file| caller.reach().sees(file) && !file.is_arriving()).ok_or(BrokerError::NotFound)
    }
}

/// The key that a slip may have named: nobody can have got anything else from here, and not every database takes every text.
fn key_of_slip(key: &str) -> Option<StagingKey> {
    key.parse().ok().filter(|key: &StagingKey| !key.is_of_check() && !key.is_of_received())
}

/// What a file that is deleted says to whoever wants to change it.
fn is_deleted() -> BrokerError {
    BrokerError::Conflict(Complaints::one(Field::State, "is deleted: restore it first"))
}

/// What a file says to whoever changes it over and over.
fn too_often(wait: std::time::Duration) -> BrokerError {
    // A second more than it takes, as a part of one cannot be said.
    BrokerError::LimitExceeded(Exceeded { what: "changes of this file", retry_after_seconds: wait.as_secs() + 1 })
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

fn must_be_temp(file: &File) -> Result<(), BrokerError> {
    match file.state() {
        FileState::Temp => Ok(()),
        FileState::Active => Err(BrokerError::AlreadyActive),
        FileState::Deleted => Err(is_deleted()),
    }
}

/// That a caller may be answered an active file for which it did nothing: of all that it may read, and of those that it made or changed last.
fn seen_by(caller: &Caller, file: &File) -> Result<(), BrokerError> {
    if [file.created_by, file.updated_by].contains(&caller.actor) { Ok(()) } else { allowed(caller, Scope::FilesRead) }
}
