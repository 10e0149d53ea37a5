//! The broker's own judgement: a real confirmation over the real bucket, with a database that lives for one run.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use time::Duration;

use super::clock::now;
use crate::broker::{Broker, BrokerError, Rules};
use crate::bucket::{Bucket, BucketOptions};
use crate::database::{Database, DatabaseError, Lease, NewRow};
use crate::domain::file::ChecksumSha256;
use crate::domain::file_type::{AllowedType, Unconfirmed};
use crate::domain::multipart::MIN_PART_SIZE;
use crate::domain::web::innermost;
use crate::domain::{
    Actor, ActorKind, Caller, Disposition, File, FileId, FileName, FileType, FileTypes, Grant, MediaType, NewFile, Sniff, StagingKey,
    TypeLimit, UploadMethod, sqlite_url,
};
use crate::limits::{Limit, Limits};
use crate::random;

/// What every form of a check grants: these bytes, as this type.
pub(super) const CONTENT: &[u8] = b"hello";
pub(super) const CONTENT_TYPE: &str = "text/plain";

/// Base64 SHA-256 of [`CONTENT`].
pub(super) const CHECKSUM: &str = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";

/// How long the forms of a check live.
pub(super) const LIFETIME: Duration = Duration::minutes(5);

/// More than a check ever names.
const MOST_FILES: u32 = 1000;

const FILE_TYPE: &str = "check";

/// A broker of a check's own.
pub(super) struct Bench {
    broker: Broker,
    database: Database,
    caller: Caller,
    _folder: Folder,
}

/// A folder that goes with its owner.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Bench {
    /// # Errors
    /// When there is no place for the database.
    pub(super) async fn open(options: &BucketOptions) -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("dropslip-check-{}", hex::encode(random::bytes::<8>())));
        // Not made by others: a folder that is there already is refused.
        std::fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| format!("no temporary folder {}: {error}", path.display()))?;
        let folder = Folder(path);
        let url = sqlite_url(&folder.0.join("check.db"));
        let database = Database::open(&url).await.map_err(|error| format!("no temporary database: {}", innermost(&error)))?;
        let bucket = Bucket::unasked(options.clone()).await.map_err(|error| error.to_string())?;
        let rules = Rules {
            storage: String::new(),
            file_types: FileTypes::new(vec![file_type()]),
            limits: Limits::new(Limit::default(), Limit::default()),
            grace: Duration::ZERO,
            events_retention: Duration::ZERO,
            deleted_retention: Duration::ZERO,
            audit_retention: None,
            method: UploadMethod::Post,
            multipart_threshold: u64::MAX,
            part_size: MIN_PART_SIZE,
            max_received: 0,
            max_uploads: 1,
            max_unsigned: 0,
        };
        let broker = Broker::new(database.clone(), bucket, rules);
        let caller = Caller {
            actor: Actor { id: 1, kind: ActorKind::Users },
            tenant: "check".parse()?,
            scopes: "files:read,files:write".parse()?,
            types: TypeLimit::default(),
            dialect: None,
        };
        Ok(Self { broker, database, caller, _folder: folder })
    }

    /// Step 3 for what lies under `key`, granted as [`CONTENT`].
    pub(super) async fn confirm(&self, key: &StagingKey, with_checksum: bool) -> Result<File, BrokerError> {
        let checksum: Option<ChecksumSha256> = if with_checksum { CHECKSUM.parse().ok() } else { None };
        let size = CONTENT.len() as u64;
        let content_type = media_type();
        let new = NewFile {
            type_name: FILE_TYPE.to_owned(),
            name: FileName::sanitized("check.txt"),
            declared_type: Some(content_type.clone()),
            disposition: Disposition::Attachment,
            size: Some(size),
            checksum_sha256: checksum,
            multipart: None,
        };
        let grant = Grant { content_type, min_size: size, max_size: size };
        let row = NewRow {
            new: &new,
            grant: &grant,
            caller: &self.caller,
            staging_key: key,
            multipart: None,
            created_at: now(),
            expires_at: now() + LIFETIME,
        };
        let inserted = self.database.insert_file(&row, None).await?;
        let file = inserted.ok_or_else(|| BrokerError::Database(DatabaseError::Broken("a record was not written".to_owned())))?;
        Box::pin(self.broker.confirm(&self.caller, file.id, now())).await
    }

    /// The keys of what was sealed, and of what a confirmation that ended half way may have copied or still copies.
    pub(super) async fn close(self) -> Vec<String> {
        let sealed = self.database.sealed_files(FileId(0), MOST_FILES).await.unwrap_or_default();
        let later = now() + Duration::days(2);
        let doomed = self.database.lease_doomed(later, Lease::of(Duration::MINUTE, later), MOST_FILES).await.unwrap_or_default();
        self.database.close().await;
        sealed
            .into_iter()
            .filter_map(|file| file.sealed_key().map(ToString::to_string))
            .chain(doomed.into_iter().map(|doomed| doomed.key))
            .collect()
    }
}

fn media_type() -> MediaType {
    CONTENT_TYPE.parse().unwrap_or_else(|_: String| MediaType::octet_stream())
}

fn file_type() -> FileType {
    FileType {
        name: FILE_TYPE.to_owned(),
        title: "What a check uploads".to_owned(),
        content_types: vec![AllowedType { pattern: CONTENT_TYPE.to_owned(), extensions: vec!["txt".to_owned()] }],
        refused_extensions: Vec::new(),
        min_size: CONTENT.len() as u64,
        max_size: CONTENT.len() as u64,
        max_request: CONTENT.len() as u64,
        dispositions: vec![Disposition::Attachment],
        slip_lifetime: LIFETIME,
        sniff: Sniff::Reject,
        max_pixels: 0,
        unconfirmed: Unconfirmed::Discard,
    }
}
