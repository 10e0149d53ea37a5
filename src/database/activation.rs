//! Temp files that become active: alone, or several together, and with that on a ticket.

use sqlx::Connection as _;
use time::{Duration, OffsetDateTime};

use super::audit_log::{record, unreadable};
use super::doomed_keys::{CLAIM, DOOM};
use super::file_row::{COLUMNS, FileRow, signed, upload_id};
use super::instant::Instant;
use super::search_name::{search_name, search_name_of};
use super::tickets::{count, put_on, take_turn};
use super::{Database, DatabaseError, on_pool};
use crate::domain::file::ChecksumSha256;
use crate::domain::{Action, Actor, Change, File, FileState, Origin, Sealed, TicketPlace};

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

/// What became of files that were to become active together.
#[derive(Debug)]
pub enum Claimed {
    /// All of them are.
    All(Vec<File>),
    /// None is: one of them is not as it was seen any more, or its sealed key is not on the doomed list.
    Outdated,
    /// None is: the ticket would have more files than it may.
    TooMany,
    /// None is: one of them was put on tickets too often within the last hour. After this time it can be once more.
    TooOften(std::time::Duration),
}

impl Database {
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
        Ok(match self.activated(files, None).await? {
            Claimed::All(active) => Some(active),
            Claimed::Outdated | Claimed::TooMany | Claimed::TooOften(_) => None,
        })
    }

    /// The same of several files, which are put on a ticket with that: all or none.
    ///
    /// The ticket has at most `most` files.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn activate_on(&self, files: &[(&File, &Activation)], place: TicketPlace, most: u32) -> Result<Claimed, DatabaseError> {
        self.activated(files, Some((place, most))).await
    }

    async fn activated(&self, files: &[(&File, &Activation)], held: Option<(TicketPlace, u32)>) -> Result<Claimed, DatabaseError> {
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
        let turn = self.turn();
        let claimed = on_pool!(self, write connection => {
            let mut transaction = connection.begin().await?;
            if let (Some((place, _)), Some((file, _))) = (held, files.first()) {
                take_turn!(transaction, turn, file.tenant, place);
            }
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
                    return Ok(Claimed::Outdated);
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
                if let Some((place, _)) = held
                    && let Some(wait) = put_on!(self, transaction, place, &file, *actor, *origin, *at)
                {
                    transaction.rollback().await?;
                    return Ok(Claimed::TooOften(wait));
                }
                active.push(file);
            }
            if let (Some((place, most)), Some((file, _))) = (held, files.first())
                && count!(transaction, file.tenant, place) > i64::from(most)
            {
                transaction.rollback().await?;
                return Ok(Claimed::TooMany);
            }
            transaction.commit().await?;
            Ok(Claimed::All(active))
        })?;
        self.announce();
        Ok(claimed)
    }
}
