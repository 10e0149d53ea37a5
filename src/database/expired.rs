//! What the sweeper takes: expired temp records, and the doomed list.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use sqlx::Connection as _;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::audit_log::{append, record};
use super::binding::Bound;
use super::doomed_keys::{DOOM, doom};
use super::file_row::{parsed, unsigned};
use super::instant::Instant;
use super::leases::Lease;
use super::{Database, DatabaseError, Engine, on_pool, within_time};
use crate::domain::{Action, Actor, Caller, Change, File, FileId, Origin, Tenant};

/// A key whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doomed {
    /// The key.
    pub key: String,
    /// Whether an upload in parts may be open on it.
    pub upload: OpenUpload,
}

/// What is known of an upload in parts on a doomed key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenUpload {
    /// There never was one.
    None,
    /// There may be one, or several; only the object store knows their names.
    Unknown,
    /// This one may still be open.
    Named(String),
}

/// How many open slips one statement counts: no statement shall take long, however many there are.
const COUNTED_AT_ONCE: i64 = 100_000;

/// Later than every form's end.
const NEVER: OffsetDateTime = datetime!(9999-01-01 00:00 UTC);

/// What is waiting for the sweeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Temp records past their time.
    pub expired_files: i64,
    /// Doomed keys past theirs.
    pub due_objects: i64,
    /// Deleted files past their retention.
    pub purgeable_files: i64,
}

impl Database {
    /// Everybody's open slips, of those that were there when it began.
    ///
    /// It reads as much as there are, in the order of time and some at once. An index by tenant would answer for one of them at
    /// once, but every slip would write to another page of it: with a thousand tenants in turns that made slips several times slower.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn open_slips(&self) -> Result<HashMap<(Tenant, Actor), u64>, DatabaseError> {
        let newest = "SELECT COALESCE(MAX(id), 0) FROM files";
        let newest: i64 = on_pool!(self, read connection => sqlx::query_scalar(newest).fetch_one(connection).await)?;
        let (mut open, mut tenants) = (HashMap::new(), HashMap::new());
        let mut after = OffsetDateTime::UNIX_EPOCH;
        loop {
            let until = "SELECT expires_at FROM files WHERE state = 'temp' AND expires_at > $1 ORDER BY expires_at LIMIT 1 OFFSET $2";
            let until: Option<Instant> = on_pool!(self, read connection => {
                sqlx::query_scalar(until).bind(Instant(after)).bind(COUNTED_AT_ONCE).fetch_optional(connection).await
            })?;
            let sql = "SELECT tenant, created_by_kind, created_by_id, COUNT(*) FROM files \
                       WHERE state = 'temp' AND expires_at > $1 AND expires_at <= $2 AND id <= $3 GROUP BY tenant, created_by_kind, created_by_id";
            let rows: Vec<(String, String, i64, i64)> = on_pool!(self, read connection => {
                let query = sqlx::query_as(sql).bind(Instant(after)).bind(until.unwrap_or(Instant(NEVER)));
                query.bind(newest).fetch_all(connection).await
            })?;
            for (name, kind, id, slips) in rows {
                // One text for all actors of a tenant.
                let tenant: &Tenant = match tenants.entry(name) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => {
                        let tenant = parsed(new.key())?;
                        new.insert(tenant)
                    }
                };
                let sum: &mut u64 = open.entry((tenant.clone(), Actor { id, kind: parsed(&kind)? })).or_default();
                *sum = sum.saturating_add(unsigned(slips)?);
            }
            match until {
                Some(until) => after = until.0,
                None => return Ok(open),
            }
        }
    }

    /// Temp files whose form died before `before`, oldest first and those after `after`, at most `limit`.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn expired_files(
        &self,
        before: OffsetDateTime,
        after: Option<(OffsetDateTime, FileId)>,
        limit: u32,
    ) -> Result<Vec<File>, DatabaseError> {
        let (last_time, last_id) = after.map_or((OffsetDateTime::UNIX_EPOCH, 0), |(at, id)| (at, id.0));
        let which = "WHERE state = 'temp' AND expires_at < $1 AND expires_at >= $2 AND (expires_at > $2 OR id > $3) \
                     ORDER BY expires_at, id LIMIT $4";
        self.files(which, &[Bound::Time(before), Bound::Time(last_time), Bound::Number(last_id), Bound::Number(limit.into())], None).await
    }

    /// Forgets a temp file and dooms its staging key, all or nothing; `false` when it is not `temp` any more or was re-issued.
    /// Without `origin` there is no event: nobody knew of it.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn discard_temp_file(
        &self,
        file: &File,
        delete_after: OffsetDateTime,
        origin: Option<Origin>,
        at: OffsetDateTime,
    ) -> Result<bool, DatabaseError> {
        let sql = "DELETE FROM files WHERE id = $1 AND state = 'temp' AND staging_key = $2 AND expires_at = $3 RETURNING upload_id";
        let gone = on_pool!(self, write connection => {
            let mut transaction = connection.begin().await?;
            let deleted: Option<Option<String>> = sqlx::query_scalar(sql)
                .bind(file.id.0)
                .bind(file.staging_key.as_str())
                .bind(Instant(file.expires_at))
                .fetch_optional(&mut *transaction)
                .await?;
            if let Some(upload_id) = &deleted {
                // Nothing was ever written there of what comes through the broker.
                if !file.staging_key.is_of_received() {
                    let doom = sqlx::query(DOOM).bind(file.staging_key.as_str()).bind(Instant(delete_after)).bind(upload_id);
                    doom.execute(&mut *transaction).await?;
                }
                if let Some(origin) = origin {
                    record!(self, transaction, &Change::new(file, Action::Deleted, origin, at));
                }
            }
            transaction.commit().await?;
            Ok(deleted.is_some())
        })?;
        self.announce();
        Ok(gone)
    }

    /// Forgets temp files and dooms their staging keys, all or nothing: each key until `late_uploads` after its form's end.
    ///
    /// Answers those that were forgotten; not among them are files that are not `temp` any more, or whose slip is another since,
    /// and on Postgres those that somebody works on at the moment.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn discard_temp_files(
        &self,
        files: &[&File],
        late_uploads: Duration,
        at: OffsetDateTime,
    ) -> Result<Vec<FileId>, DatabaseError> {
        let is_told = self.anybody_wants(Action::Expired);
        let expired = |gone: &[i64]| {
            let gone: HashSet<i64> = gone.iter().copied().collect();
            let gone = files.iter().filter(|file| is_told && gone.contains(&file.id.0));
            self.outgoing(&gone.map(|file| Change::new(file, Action::Expired, Origin::Sweep, at)).collect::<Vec<_>>())
        };
        let gone: Vec<i64> = match &self.engine {
            Engine::Sqlite { write, .. } => {
                let rows = files.iter().map(|file| {
                    let doomed_until = file.expires_at + late_uploads;
                    (file.id.0, file.staging_key.as_str(), Instant(file.expires_at).micros(), Instant(doomed_until).micros())
                });
                let list = serde_json::to_string(&rows.collect::<Vec<_>>()).unwrap_or_default();
                within_time!(write, connection => {
                    let mut transaction = connection.begin().await?;
                    sqlx::query(DOOM_LISTED).bind(&list).execute(&mut *transaction).await?;
                    let gone: Vec<i64> = sqlx::query_scalar(DELETE_LISTED).bind(&list).fetch_all(&mut *transaction).await?;
                    append!(self, transaction, expired(&gone), at);
                    transaction.commit().await?;
                    Ok(gone)
                })
            }
            Engine::Postgres(pool) => within_time!(pool, connection => {
                let discard = sqlx::query_scalar(DISCARD_UNNESTED)
                    .bind(files.iter().map(|file| file.id.0).collect::<Vec<_>>())
                    .bind(files.iter().map(|file| file.staging_key.as_str()).collect::<Vec<_>>())
                    .bind(files.iter().map(|file| file.expires_at).collect::<Vec<_>>())
                    .bind(files.iter().map(|file| file.expires_at + late_uploads).collect::<Vec<_>>());
                if is_told {
                    let mut transaction = connection.begin().await?;
                    let gone: Vec<i64> = discard.fetch_all(&mut *transaction).await?;
                    append!(self, transaction, expired(&gone), at);
                    transaction.commit().await?;
                    Ok(gone)
                } else {
                    // Nothing more is to be written: one statement is a transaction by itself.
                    discard.fetch_all(connection).await
                }
            }),
        }?;
        if is_told {
            self.announce();
        }
        Ok(gone.into_iter().map(FileId).collect())
    }

    /// Takes keys that are due by `now` off the doomed list's free part: no file can claim them from now on, and no other sweeper works
    /// on them during the lease. At most `limit`, oldest first.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn lease_doomed(&self, now: OffsetDateTime, lease: Lease, limit: u32) -> Result<Vec<Doomed>, DatabaseError> {
        let skip = self.skip_locked();
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE doomed_objects SET leased_until = $1 WHERE key IN (SELECT key FROM doomed_objects WHERE delete_after <= $2 \
             AND (leased_until IS NULL OR leased_until <= $4 OR leased_until > $5) ORDER BY delete_after LIMIT $3 {skip}) RETURNING key, upload_id"
        ));
        let rows: Vec<(String, Option<String>)> = on_pool!(self, write connection => {
            let query = sqlx::query_as(sql).bind(Instant(lease.until)).bind(Instant(now)).bind(i64::from(limit));
            query.bind(Instant(lease.from)).bind(Instant(lease.latest_end())).fetch_all(connection).await
        })?;
        let doomed = rows.into_iter().map(|(key, upload_id)| {
            let upload = match upload_id {
                None => OpenUpload::None,
                Some(unknown) if unknown.is_empty() => OpenUpload::Unknown,
                Some(id) => OpenUpload::Named(id),
            };
            Doomed { key, upload }
        });
        Ok(doomed.collect())
    }

    /// Strikes keys off the doomed list whose objects are gone.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn forget_doomed(&self, keys: &[String]) -> Result<(), DatabaseError> {
        match &self.engine {
            Engine::Sqlite { write, .. } => {
                // One document instead of a thousand parameters.
                let list = serde_json::to_string(keys).unwrap_or_default();
                let sql = "DELETE FROM doomed_objects WHERE key IN (SELECT value FROM json_each($1))";
                within_time!(write, connection => sqlx::query(sql).bind(list).execute(connection).await.map(drop))
            }
            // An array and no subquery: the planner shall find each key by the index, whatever it believes of the list's size.
            Engine::Postgres(pool) => {
                let sql = "DELETE FROM doomed_objects WHERE key = ANY($1)";
                within_time!(pool, connection => sqlx::query(sql).bind(keys).execute(connection).await.map(drop))
            }
        }?;
        Ok(())
    }

    /// Forgets Idempotency-Keys made before `before`, oldest first, at most `limit`; answers how many.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn forget_idempotency_keys(&self, before: OffsetDateTime, limit: u32) -> Result<u64, DatabaseError> {
        let skip = self.skip_locked();
        let sql = sqlx::AssertSqlSafe(format!(
            "DELETE FROM idempotency_keys WHERE (tenant, actor_kind, actor_id, key) IN (SELECT tenant, actor_kind, actor_id, key \
             FROM idempotency_keys WHERE created_at < $1 ORDER BY created_at LIMIT $2 {skip})"
        ));
        let gone = on_pool!(self, write connection => {
            sqlx::query(sql).bind(Instant(before)).bind(i64::from(limit)).execute(connection).await.map(|r| r.rows_affected())
        })?;
        Ok(gone)
    }

    /// Forgets one Idempotency-Key, if it was made at `until` or before.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn forget_idempotency_key(&self, caller: &Caller, key: &str, until: OffsetDateTime) -> Result<(), DatabaseError> {
        let sql = "DELETE FROM idempotency_keys WHERE tenant = $1 AND actor_kind = $2 AND actor_id = $3 AND key = $4 AND created_at <= $5";
        on_pool!(self, write connection => {
            sqlx::query(sql)
                .bind(caller.tenant.as_str())
                .bind(caller.actor.kind.as_str())
                .bind(caller.actor.id)
                .bind(key)
                .bind(Instant(until))
                .execute(connection)
                .await
                .map(drop)
        })?;
        Ok(())
    }

    /// Postgres has many sweepers at once: each passes over the rows that another is taking. SQLite has one writer.
    pub(super) fn skip_locked(&self) -> &'static str {
        match &self.engine {
            Engine::Sqlite { .. } => "",
            Engine::Postgres(_) => "FOR UPDATE SKIP LOCKED",
        }
    }

    /// How much a sweep would find.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn waiting(
        &self,
        now: OffsetDateTime,
        expired_before: OffsetDateTime,
        deleted_until: OffsetDateTime,
    ) -> Result<Waiting, DatabaseError> {
        let expired = "SELECT COUNT(*) FROM files WHERE state = 'temp' AND expires_at < $1";
        let due = "SELECT COUNT(*) FROM doomed_objects WHERE delete_after <= $1";
        let purgeable = "SELECT COUNT(*) FROM files WHERE state = 'deleted' AND deleted_at <= $1";
        on_pool!(self, read connection => {
            let expired_files = sqlx::query_scalar(expired).bind(Instant(expired_before)).fetch_one(&mut *connection).await?;
            let due_objects = sqlx::query_scalar(due).bind(Instant(now)).fetch_one(&mut *connection).await?;
            let purgeable_files = sqlx::query_scalar(purgeable).bind(Instant(deleted_until)).fetch_one(connection).await?;
            Ok(Waiting { expired_files, due_objects, purgeable_files })
        })
        .map_err(DatabaseError::from)
    }
}

// ---- many temp files at once ----
//
// What a sweep saw of each file comes along, so that a slip that was issued again or extended meanwhile is left alone.

/// SQLite, first half: `$1` is a list of `[id, staging_key, expires_at, delete_after]`.
const DOOM_LISTED: &str = doom!(
    "SELECT files.staging_key, wanted.value ->> 3, files.upload_id FROM json_each($1) AS wanted \
     CROSS JOIN files ON files.id = wanted.value ->> 0 \
     WHERE files.state = 'temp' AND files.staging_key = wanted.value ->> 1 AND files.expires_at = wanted.value ->> 2"
);

/// SQLite, second half, in the same transaction: the one writer there is finds the same files again.
const DELETE_LISTED: &str = "DELETE FROM files WHERE id IN (SELECT files.id FROM json_each($1) AS wanted \
     CROSS JOIN files ON files.id = wanted.value ->> 0 \
     WHERE files.state = 'temp' AND files.staging_key = wanted.value ->> 1 AND files.expires_at = wanted.value ->> 2) RETURNING id";

/// Postgres, in one statement: what is locked belongs to a confirmation or another sweeper and is passed over, so nobody waits.
const DISCARD_UNNESTED: &str = concat!(
    "WITH wanted AS (SELECT * FROM UNNEST($1::bigint[], $2::text[], $3::timestamptz[], $4::timestamptz[]) \
     AS wanted (id, staging_key, expires_at, delete_after)), \
     held AS (SELECT files.id, wanted.delete_after FROM wanted JOIN files ON files.id = wanted.id \
     WHERE files.state = 'temp' AND files.staging_key = wanted.staging_key AND files.expires_at = wanted.expires_at \
     ORDER BY files.id FOR UPDATE OF files SKIP LOCKED), \
     gone AS (DELETE FROM files USING held WHERE files.id = held.id \
     RETURNING files.id, files.staging_key, held.delete_after, files.upload_id), \
     doomed AS (",
    doom!("SELECT staging_key, delete_after, upload_id FROM gone ORDER BY staging_key"),
    ") SELECT id FROM gone"
);
