//! Reserved bytes: what forms may still write, over all brokers.
//!
//! Nobody can take a form back. So each counts until it dies, also when its file became active, was deleted or got another form
//! meanwhile. Sums are kept by the minute in which forms die: nothing has to be done when one does.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use time::{Duration, OffsetDateTime};

use super::file_row::signed;
use super::instant::Instant;
use super::{Database, DatabaseError, Engine, on_pool, within_time};
use crate::domain::{Actor, StagingKey, Tenant};

/// How many forms are looked at in one transaction when the counting begins.
const BATCH: i64 = 500;

/// What actors and tenants may reserve, in bytes; zero means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReservedBytes {
    /// One actor.
    pub actor: u64,
    /// All actors of one tenant.
    pub tenant: u64,
}

/// A form that is about to be given to somebody.
#[derive(Debug, Clone, Copy)]
pub struct NewForm<'a> {
    /// What it may write to. A form for the same key takes the place of the earlier one: they write one object.
    pub staging_key: &'a StagingKey,
    /// For whom it is.
    pub tenant: &'a Tenant,
    /// Who made the file.
    pub actor: Actor,
    /// Bytes that it allows.
    pub bytes: u64,
    /// When it dies.
    pub ends_at: OffsetDateTime,
}

/// Who reserves at the same time waits here for each other: else both would see a sum without the other.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended('reserved bytes' || chr(10) || $1, 0))";

const FORGET: &str = "DELETE FROM reserved_forms WHERE staging_key = $1 RETURNING tenant, actor_kind, actor_id, bytes, ends_at";

const SUBTRACT: &str =
    "UPDATE reserved_bytes SET bytes = bytes - $4 WHERE tenant = $1 AND actor_kind = $2 AND actor_id = $3 AND ends_at = $5";

const REMEMBER: &str =
    "INSERT INTO reserved_forms (staging_key, tenant, actor_kind, actor_id, bytes, ends_at) VALUES ($1, $2, $3, $4, $5, $6)";

/// The rows of the tenant and of the actor, or neither. In this order, which is that of all who add: no deadlock.
const ADD: &str = "INSERT INTO reserved_bytes (tenant, actor_kind, actor_id, ends_at, bytes) \
    SELECT $1, kind, id, $5, $4 FROM (SELECT '' AS kind, 0 AS id UNION ALL SELECT $2, $3) AS both_of \
    WHERE ($7 = 0 OR $4 + (SELECT COALESCE(CAST(SUM(bytes) AS BIGINT), 0) FROM reserved_bytes \
                           WHERE tenant = $1 AND actor_kind = $2 AND actor_id = $3 AND ends_at > $6) <= $7) \
      AND ($8 = 0 OR $4 + (SELECT COALESCE(CAST(SUM(bytes) AS BIGINT), 0) FROM reserved_bytes \
                           WHERE tenant = $1 AND actor_kind = '' AND actor_id = 0 AND ends_at > $6) <= $8) \
    ON CONFLICT (tenant, actor_kind, actor_id, ends_at) DO UPDATE SET bytes = reserved_bytes.bytes + excluded.bytes";

/// A row of [`FORGET`].
type Forgotten = (String, String, i64, i64, Instant);

/// Takes a form out of the sums, if it is in them.
macro_rules! forget {
    ($transaction:ident, $key:expr) => {{
        let forgotten: Vec<Forgotten> = sqlx::query_as(FORGET).bind($key).fetch_all(&mut *$transaction).await?;
        for (tenant, kind, id, bytes, ends_at) in forgotten {
            let ends_at = Instant(minute_after(ends_at.0));
            for (kind, id) in [("", 0), (kind.as_str(), id)] {
                let subtract = sqlx::query(SUBTRACT).bind(tenant.as_str()).bind(kind).bind(id).bind(bytes).bind(ends_at);
                subtract.execute(&mut *$transaction).await?;
            }
        }
    }};
}

/// Reserves in a transaction that is alone at it; whether there was room.
macro_rules! reserve {
    ($transaction:ident, $form:ident, $bytes:ident, $limits:ident, $now:ident) => {{
        forget!($transaction, $form.staging_key.as_str());
        let (kind, id, ends_at) = ($form.actor.kind.as_str(), $form.actor.id, Instant(minute_after($form.ends_at)));
        let added = sqlx::query(ADD).bind($form.tenant.as_str()).bind(kind).bind(id).bind($bytes).bind(ends_at);
        let added = added.bind(Instant($now)).bind($limits.0).bind($limits.1).execute(&mut *$transaction).await?;
        if added.rows_affected() == 0 {
            $transaction.rollback().await?;
            return Ok(false);
        }
        let remember = sqlx::query(REMEMBER).bind($form.staging_key.as_str()).bind($form.tenant.as_str()).bind(kind).bind(id);
        remember.bind($bytes).bind(Instant($form.ends_at)).execute(&mut *$transaction).await?;
        $transaction.commit().await?;
        Ok(true)
    }};
}

impl Database {
    /// Counts a form before anybody is given it; `false` when its actor or tenant would exceed a limit, and nothing is counted then.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn reserve(&self, form: &NewForm<'_>, limits: ReservedBytes, now: OffsetDateTime) -> Result<bool, DatabaseError> {
        let bytes = signed(form.bytes)?;
        let limits = (signed(limits.actor)?, signed(limits.tenant)?);
        let reserved = match &self.engine {
            Engine::Sqlite { write, .. } => within_time!(write, connection => {
                // It begins with a statement that writes, so that no other process writes from then on.
                let mut transaction = connection.begin().await?;
                reserve!(transaction, form, bytes, limits, now)
            }),
            Engine::Postgres(pool) => within_time!(pool, connection => {
                let mut transaction = connection.begin().await?;
                alone(&mut transaction, form, limits).await?;
                reserve!(transaction, form, bytes, limits, now)
            }),
        };
        Ok(reserved?)
    }

    /// Counts a form no more: nobody was given it, or nothing can be written with it.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn release(&self, staging_key: &StagingKey) -> Result<(), DatabaseError> {
        on_pool!(self, write connection => {
            let mut transaction = connection.begin().await?;
            forget!(transaction, staging_key.as_str());
            transaction.commit().await
        })?;
        Ok(())
    }

    /// Counts the forms of all temp files that are not counted yet: of a time without limits, or by brokers that know of none.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn reserve_all(&self, now: OffsetDateTime) -> Result<u64, DatabaseError> {
        let page = "SELECT id, expires_at FROM files WHERE state = 'temp' AND expires_at >= $1 AND (expires_at > $1 OR id > $2) \
                    ORDER BY expires_at, id LIMIT $3";
        let remember = "INSERT INTO reserved_forms (staging_key, tenant, actor_kind, actor_id, bytes, ends_at) \
                        SELECT staging_key, tenant, created_by_kind, created_by_id, max_size, expires_at FROM files \
                        WHERE state = 'temp' AND expires_at >= $1 AND expires_at <= $2 \
                        ON CONFLICT DO NOTHING RETURNING tenant, actor_kind, actor_id, bytes, ends_at";
        let (mut after, mut counted) = ((Instant(now), 0), 0);
        loop {
            let rows: Vec<(i64, Instant)> = on_pool!(self, read connection => {
                sqlx::query_as(page).bind(after.0).bind(after.1).bind(BATCH).fetch_all(connection).await
            })?;
            let Some((id, last)) = rows.last().copied() else { return Ok(counted) };
            counted += on_pool!(self, write connection => {
                let mut transaction = connection.begin().await?;
                let mut forms: Vec<Forgotten> =
                    sqlx::query_as(remember).bind(after.0).bind(last).fetch_all(&mut *transaction).await?;
                // In an order that is the same for all who add: no deadlock.
                forms.sort_by(|one, other| (&one.0, &one.1, one.2, one.4.0).cmp(&(&other.0, &other.1, other.2, other.4.0)));
                for (tenant, kind, id, bytes, ends_at) in &forms {
                    let add = sqlx::query(ADD).bind(tenant).bind(kind).bind(id).bind(bytes).bind(Instant(minute_after(ends_at.0)));
                    add.bind(Instant(now)).bind(0_i64).bind(0_i64).execute(&mut *transaction).await?;
                }
                transaction.commit().await?;
                Ok(forms.len() as u64)
            })?;
            after = (last, id);
        }
    }

    /// Forgets forms that died before `before`, and sums of minutes before it: at most `limit` of each. Answers of which there were more.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn forget_reserved(&self, before: OffsetDateTime, limit: u32) -> Result<u64, DatabaseError> {
        let skip = self.skip_locked();
        let forms = AssertSqlSafe(format!(
            "DELETE FROM reserved_forms WHERE staging_key IN \
             (SELECT staging_key FROM reserved_forms WHERE ends_at < $1 ORDER BY ends_at LIMIT $2 {skip})"
        ));
        let sums = AssertSqlSafe(format!(
            "DELETE FROM reserved_bytes WHERE (tenant, actor_kind, actor_id, ends_at) IN (SELECT tenant, actor_kind, actor_id, ends_at \
             FROM reserved_bytes WHERE ends_at < $1 ORDER BY ends_at LIMIT $2 {skip})"
        ));
        let limit = i64::from(limit);
        let (forms, sums) = on_pool!(self, write connection => {
            let forms = sqlx::query(forms).bind(Instant(before)).bind(limit).execute(&mut *connection).await?.rows_affected();
            Ok((forms, sqlx::query(sums).bind(Instant(before)).bind(limit).execute(connection).await?.rows_affected()))
        })?;
        Ok(forms.max(sums))
    }
}

/// Keeps others from reserving for the same tenant or actor until the transaction ends.
async fn alone(connection: &mut PgConnection, form: &NewForm<'_>, limits: (i64, i64)) -> Result<(), sqlx::Error> {
    let actor = format!("{}\n{}\n{}", form.tenant.as_str(), form.actor.kind.as_str(), form.actor.id);
    // The tenant first, for all alike: no deadlock.
    let locks = [(limits.1, form.tenant.as_str()), (limits.0, actor.as_str())];
    for (_, name) in locks.into_iter().filter(|(limit, _)| *limit != 0) {
        sqlx::query(LOCK).bind(name).execute(&mut *connection).await?;
    }
    Ok(())
}

/// The end of the minute in which that is: a form counts up to a minute longer than it lives.
fn minute_after(at: OffsetDateTime) -> OffsetDateTime {
    let into = Duration::seconds(at.unix_timestamp().rem_euclid(60)) + Duration::nanoseconds(at.nanosecond().into());
    if into.is_zero() { at } else { at.checked_add(Duration::MINUTE - into).unwrap_or(at) }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::minute_after;

    #[test]
    fn forms_count_to_the_end_of_their_minute() {
        for (at, end) in [
            (datetime!(2026-01-01 10:00:00 UTC), datetime!(2026-01-01 10:00:00 UTC)),
            (datetime!(2026-01-01 10:00:00.000001 UTC), datetime!(2026-01-01 10:01:00 UTC)),
            (datetime!(2026-01-01 10:59:59.999999 UTC), datetime!(2026-01-01 11:00:00 UTC)),
            (datetime!(1969-12-31 23:59:30 UTC), datetime!(1970-01-01 00:00:00 UTC)),
        ] {
            assert_eq!(minute_after(at), end);
        }
    }
}
