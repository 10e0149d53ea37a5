//! A temp record, written with those that come at the same time.

use time::OffsetDateTime;
use tracing::Instrument as _;

use super::file_row::signed;
use super::idempotency::{Idempotency, OwnedIdempotency};
use super::{Database, DatabaseError};
use crate::domain::{Attempts, Caller, File, FileId, Grant, Multipart, NewFile, StagingKey, State};
use crate::trace;

/// A temp record about to be written.
#[derive(Debug)]
pub struct NewRow<'a> {
    /// What the caller asked for.
    pub new: &'a NewFile,
    /// What was granted.
    pub grant: &'a Grant,
    /// Who asked.
    pub caller: &'a Caller,
    /// The key its form may write.
    pub staging_key: &'a StagingKey,
    /// How it is uploaded in parts, if it is; the object store was not asked for an upload yet.
    pub multipart: Option<Multipart>,
    /// Now.
    pub created_at: OffsetDateTime,
    /// When its form dies.
    pub expires_at: OffsetDateTime,
}

impl Database {
    /// Writes a temp record, and what its Idempotency-Key stands for; once it returns, both are durable.
    ///
    /// `None` when the Idempotency-Key already stands for a file; nothing is written then.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn insert_file(&self, row: &NewRow<'_>, once: Option<&Idempotency<'_>>) -> Result<Option<Box<File>>, DatabaseError> {
        let file = Box::new(record(row));
        signed(file.grant.min_size)?;
        signed(file.grant.max_size)?;
        let once = once.map(|once| OwnedIdempotency { key: once.key.to_owned(), request_sha256: once.request_sha256 });
        // Others write it, together with what waits at the same time.
        self.records.write(file, once).instrument(trace::database("slip")).await
    }
}

/// The record as it will read back: without a number yet, and to the microsecond.
fn record(row: &NewRow<'_>) -> File {
    let NewRow { new, grant, caller, .. } = row;
    let micros = |at: OffsetDateTime| at.replace_nanosecond(at.nanosecond() / 1000 * 1000).unwrap_or(at);
    File {
        id: FileId(0),
        tenant: caller.tenant.clone(),
        state: State::Temp(Attempts::default()),
        type_name: new.type_name.clone(),
        name: new.name.clone(),
        disposition: new.disposition,
        declared_type: new.declared_type.clone(),
        grant: (*grant).clone(),
        checksum_sha256: new.checksum_sha256.clone(),
        staging_key: row.staging_key.clone(),
        multipart: row.multipart.clone(),
        created_at: micros(row.created_at),
        updated_at: micros(row.created_at),
        expires_at: micros(row.expires_at),
        keep_until: None,
        created_by: caller.actor,
        updated_by: caller.actor,
    }
}
