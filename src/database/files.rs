//! File records and the doomed list.
//!
//! Clocks go back, and those of two brokers differ: nothing is written down as changed before it was made.

use serde_json::json;
use sqlx::Connection as _;
use time::{Duration, OffsetDateTime};

use super::audit_log::{record, unreadable};
use super::churn::{self, Changed};
use super::doomed_keys::{CLAIM, DOOM};
use super::file_row::{COLUMNS, FileRow, signed, upload_id};
use super::instant::Instant;
use super::search_name::{search_name, search_name_of};
use super::{Database, DatabaseError, on_pool};
use crate::domain::file::ChecksumSha256;
use crate::domain::{Action, Actor, By, Change, File, FileId, FileState, Origin, Sealed, SealedKey, StagingKey, Tenant};

/// What a file becomes active with.
#[derive(Debug)]
pub struct Activation {
    /// Its bytes; their key must still be on the doomed list.
    pub sealed: Sealed,
    /// Whose file it is in the record from now on.
    pub actor: Actor,
    /// What made dropslip confirm it.
    pub origin: Origin,
    /// Now.
    pub at: OffsetDateTime,
    /// When it ends by itself unless somebody holds it by then; `None` leaves what is known of that.
    pub keep_until: Option<OffsetDateTime>,
    /// How long after its form's end the staging object is deleted (again): bytes may still be arriving.
    pub late_uploads: Duration,
}

impl Database {
    /// The tenant's file of that number.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn find_file(&self, tenant: &Tenant, id: FileId) -> Result<Option<File>, DatabaseError> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM files WHERE id = $1 AND tenant = $2"));
        let row: Option<FileRow> =
            on_pool!(self, read connection => sqlx::query_as(sql).bind(id.0).bind(tenant.as_str()).fetch_optional(connection).await)?;
        row.map(File::try_from).transpose()
    }

    /// The tenant's file whose current form may write that key, or could before it became active.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn find_upload(&self, tenant: &Tenant, staging_key: &StagingKey) -> Result<Option<File>, DatabaseError> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM files WHERE staging_key = $1 AND tenant = $2"));
        let row: Option<FileRow> = on_pool!(self, read connection => sqlx::query_as(sql).bind(staging_key.as_str()).bind(tenant.as_str()).fetch_optional(connection).await)?;
        row.map(File::try_from).transpose()
    }

    /// The file of any tenant whose current form may write that key, or could before it became active.
    ///
    /// Without a tenant: a bucket says which key was written, and not whose it is. What is done then is done for the file's owner.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn find_by_staging_key(&self, staging_key: &StagingKey) -> Result<Option<File>, DatabaseError> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM files WHERE staging_key = $1"));
        let row: Option<FileRow> =
            on_pool!(self, read connection => sqlx::query_as(sql).bind(staging_key.as_str()).fetch_optional(connection).await)?;
        row.map(File::try_from).transpose()
    }

    /// Puts `key`, of either kind, on the doomed list: to be deleted after `delete_after`, unless a file claims it first. With `in_parts`, an
    /// upload in parts may be open on it.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn doom(&self, key: &str, delete_after: OffsetDateTime, in_parts: bool) -> Result<(), DatabaseError> {
        on_pool!(self, write connection => {
            let query = sqlx::query(DOOM).bind(key).bind(Instant(delete_after)).bind(in_parts.then_some(""));
            query.execute(connection).await.map(drop)
        })?;
        Ok(())
    }

    /// Remembers the object store's name for the upload in parts that is open on a doomed key.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn name_upload(&self, key: &SealedKey, upload_id: &str) -> Result<(), DatabaseError> {
        let sql = "UPDATE doomed_objects SET upload_id = $2 WHERE key = $1";
        on_pool!(self, write connection => sqlx::query(sql).bind(key.as_str()).bind(upload_id).execute(connection).await.map(drop))?;
        Ok(())
    }

    /// Lets a temp file end then, unless somebody holds it once it is active.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn keep_until(&self, file: &File, until: OffsetDateTime) -> Result<(), DatabaseError> {
        let sql = "UPDATE files SET keep_until = $3 WHERE id = $1 AND tenant = $2 AND state = 'temp'";
        on_pool!(self, write connection => {
            sqlx::query(sql).bind(file.id.0).bind(file.tenant.as_str()).bind(Instant(until)).execute(connection).await.map(drop)
        })?;
        Ok(())
    }

    /// Makes a temp file active with the description and grant of `file`, claims its sealed key and dooms its staging key, all or
    /// nothing.
    ///
    /// `None` when there is nothing to do: the file is not `temp` any more, has another staging key since, or the sealed key is
    /// no longer on the doomed list (its object may be gone).
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn activate(&self, file: &File, activation: &Activation) -> Result<Option<File>, DatabaseError> {
        let active = self.activate_all(&[(file, activation)]).await?;
        Ok(active.and_then(|active| active.into_iter().next()))
    }

    /// The same of several files, all or none.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn activate_all(&self, files: &[(&File, &Activation)]) -> Result<Option<Vec<File>>, DatabaseError> {
        let sql = format!(
            "UPDATE files SET state = $1, sealed_key = $2, size = $3, etag = $4, updated_at = CASE WHEN created_at > $5 THEN created_at ELSE $5 END, updated_by_id = $6, updated_by_kind = $7, \
             detected_type = $12, decided_type = $13, verdict = $14, pixel_width = $15, pixel_height = $16, \
             upload_id = CASE WHEN upload_id IS NULL THEN NULL ELSE '' END, name = $17, disposition = $18, \
             search_name_of = $19, search_name = $20, declared_type = $21, granted_type = $22, min_size = $23, max_size = $24, \
             checksum_sha256 = $25, keep_until = COALESCE($26, keep_until) \
             WHERE id = $8 AND tenant = $9 AND state = $10 AND staging_key = $11 RETURNING {COLUMNS}"
        );
        let mut sizes = Vec::with_capacity(files.len());
        for (file, Activation { sealed, .. }) in files {
            sizes.push((signed(sealed.size)?, signed(file.grant.min_size)?, signed(file.grant.max_size)?));
        }
        let active: Option<Vec<File>> = on_pool!(self, write connection => {
            let mut transaction = connection.begin().await?;
            let mut active = Vec::with_capacity(files.len());
            for ((file, activation), (size, min_size, max_size)) in files.iter().zip(&sizes) {
                let Activation { sealed: Sealed { key, etag, evidence, .. }, actor, origin, at, keep_until, late_uploads } = activation;
                let row: Option<FileRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql.clone()))
                    .bind(FileState::Active.as_str())
                    .bind(key.as_str())
                    .bind(size)
                    .bind(etag)
                    .bind(Instant(*at))
                    .bind(actor.id)
                    .bind(actor.kind.as_str())
                    .bind(file.id.0)
                    .bind(file.tenant.as_str())
                    .bind(FileState::Temp.as_str())
                    .bind(file.staging_key.as_str())
                    .bind(evidence.detected.as_ref().map(ToString::to_string))
                    .bind(evidence.decided.to_string())
                    .bind(evidence.verdict.as_str())
                    .bind(evidence.pixels.map(|pixels| i64::from(pixels.width)))
                    .bind(evidence.pixels.map(|pixels| i64::from(pixels.height)))
                    .bind(file.name.as_str())
                    .bind(file.disposition.as_str())
                    .bind(search_name_of(file.name.as_str()))
                    .bind(search_name(file.name.as_str()))
                    .bind(file.declared_type.as_ref().map(ToString::to_string))
                    .bind(file.grant.content_type.to_string())
                    .bind(min_size)
                    .bind(max_size)
                    .bind(file.checksum_sha256.as_ref().map(ChecksumSha256::as_base64))
                    .bind(keep_until.map(Instant))
                    .fetch_optional(&mut *transaction)
                    .await?;
                let claimed = sqlx::query(CLAIM).bind(key.as_str()).execute(&mut *transaction).await?;
                let (Some(row), 1) = (row, claimed.rows_affected()) else {
                    transaction.rollback().await?;
                    return Ok(None);
                };
                // Nothing was ever written, and no form can write, where the bytes came through the broker.
                if !file.staging_key.is_of_received() {
                    // By the row's own word: another form for the same key may have been signed since the caller read it.
                    let doomed_until = row.expires_at() + *late_uploads;
                    let doom = sqlx::query(DOOM).bind(file.staging_key.as_str()).bind(Instant(doomed_until));
                    doom.bind(upload_id(file.multipart.as_ref())).execute(&mut *transaction).await?;
                }
                let file = File::try_from(row).map_err(unreadable)?;
                record!(self, transaction, &Change::new(&file, Action::Activated, *origin, *at));
                active.push(file);
            }
            transaction.commit().await?;
            Ok(Some(active))
        })?;
        self.announce();
        Ok(active)
    }

    /// Gives an active file the name and disposition of `wished`, 60 times an hour at most.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn describe(&self, seen: &File, wished: &File, by: impl Into<By>, at: OffsetDateTime) -> Result<Changed, DatabaseError> {
        let by = by.into();
        let before = json!({"filename": seen.name.as_str(), "disposition": seen.disposition.as_str()});
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE files SET name = $1, disposition = $2, updated_at = CASE WHEN created_at > $3 THEN created_at ELSE $3 END, updated_by_id = $4, updated_by_kind = $5, \
             search_name_of = $10, search_name = $11 \
             WHERE id = $6 AND tenant = $7 AND state = 'active' AND name = $8 AND disposition = $9 RETURNING {COLUMNS}"
        ));
        let described = on_pool!(self, write connection => {
            let mut transaction = connection.begin().await?;
            let row: Option<FileRow> = sqlx::query_as(sql)
                .bind(wished.name.as_str())
                .bind(wished.disposition.as_str())
                .bind(Instant(at))
                .bind(by.actor.id)
                .bind(by.actor.kind.as_str())
                .bind(seen.id.0)
                .bind(seen.tenant.as_str())
                .bind(seen.name.as_str())
                .bind(seen.disposition.as_str())
                .bind(search_name_of(wished.name.as_str()))
                .bind(search_name(wished.name.as_str()))
                .fetch_optional(&mut *transaction)
                .await?;
            let Some(file) = row.map(File::try_from).transpose().map_err(unreadable)? else {
                transaction.rollback().await?;
                return Ok(Changed::Outdated);
            };
            let change = Change::new(&file, Action::Renamed, Origin::Request(by), at).with("disposition", file.disposition.as_str());
            let change = change.with("before", before);
            if let Some(wait) = churn::wait!(transaction, &change) {
                transaction.rollback().await?;
                return Ok(Changed::TooOften(wait));
            }
            record!(self, transaction, &change);
            transaction.commit().await?;
            Ok(Changed::Done(Box::new(file)))
        })?;
        Ok(described)
    }
}
