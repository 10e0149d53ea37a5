//! Temp records, as many as there are, in one transaction. The one place where the engines need different statements: each has
//! its own way to take many rows at once.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, LazyLock};

use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Connection as _, PgConnection, Sqlite, SqliteConnection};

use super::file_row::upload_id;
use super::group_commit::{Waiting, WriteBatch};
use super::idempotency::OwnedIdempotency;
use super::instant::Instant;
use super::postgres::Connections;
use super::search_name::SearchName;
use super::sqlite::WriteConnection;
use super::statement::within_time;
use crate::domain::File;
use crate::domain::file::ChecksumSha256;

/// Most rows of one SQLite statement. Each number of rows has a statement of its own, which is prepared once and used again.
const ROWS: usize = 64;

/// The columns of a temp record, without those that only confirming fills.
const FILE_COLUMNS: &str = "tenant, state, type_name, name, disposition, declared_type, granted_type, min_size, max_size, checksum_sha256, \
    staging_key, upload_id, part_size, size, created_at, updated_at, expires_at, created_by_id, created_by_kind, updated_by_id, updated_by_kind, \
    search_name_of, search_name";

/// One row of them. No `?1` to name a value twice: to bind a parameter with a name, SQLite's interface looks through all names.
const FILE_ROW: &str = "(?,'temp',?,?,?,?,?,?,?,?,?,?,?,0,?,?,?,?,?,?,?,?,?)";

const KEY_COLUMNS: &str = "tenant, actor_kind, actor_id, key, request_sha256, file_id, created_at";
const KEY_ROW: &str = "(?,?,?,?,?,?,?)";

/// A statement for each number of rows from 1 to [`ROWS`].
static INSERT_FILES: LazyLock<Vec<String>> =
    LazyLock::new(|| statements(&format!("INSERT INTO files ({FILE_COLUMNS}) VALUES "), FILE_ROW, ""));
static INSERT_KEYS: LazyLock<Vec<String>> =
    LazyLock::new(|| statements(&format!("INSERT INTO idempotency_keys ({KEY_COLUMNS}) VALUES "), KEY_ROW, " ON CONFLICT DO NOTHING"));

fn statements(before: &str, row: &str, after: &str) -> Vec<String> {
    (1..=ROWS).map(|rows| format!("{before}{}{after}", vec![row; rows].join(","))).collect()
}

/// The statement for so many rows.
fn statement(statements: &'static [String], rows: usize) -> &'static str {
    statements.get(rows.saturating_sub(1)).map_or("", String::as_str)
}

/// A size that was looked at before it was queued.
fn number(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn part_size(file: &File) -> Option<i64> {
    file.multipart.as_ref().and_then(|multipart| multipart.part_size).map(number)
}

/// SQLite: rows as values. It has one writer, so that the numbers of one statement follow each other.
pub(super) struct SqliteRecords(pub(super) Arc<WriteConnection>);

type SqliteQuery<'q> = Query<'q, Sqlite, SqliteArguments>;

impl WriteBatch for SqliteRecords {
    async fn write(&mut self, batch: &[Waiting]) -> Result<Option<Vec<i64>>, sqlx::Error> {
        within_time!(@Slips self.0, connection => {
            // One statement is a transaction of its own: two messages to SQLite's thread and back are spared.
            if batch.len() <= ROWS && batch.iter().all(|waiting| waiting.once.is_none()) {
                return Ok(Some(insert_rows(connection, batch).await?.collect()));
            }
            let mut transaction = connection.begin().await?;
            let mut ids: Vec<i64> = Vec::with_capacity(batch.len());
            for rows in batch.chunks(ROWS) {
                ids.extend(insert_rows(&mut transaction, rows).await?);
            }
            for rows in keys(batch, &ids).chunks(ROWS) {
                let insert = rows.iter().fold(sqlx::query(statement(&INSERT_KEYS, rows.len())), bind_key);
                if insert.execute(&mut *transaction).await?.rows_affected() != rows.len() as u64 {
                    transaction.rollback().await?;
                    return Ok(None);
                }
            }
            transaction.commit().await?;
            Ok(Some(ids))
        })
    }
}

/// Inserts up to [`ROWS`] records and answers their numbers.
async fn insert_rows(connection: &mut SqliteConnection, rows: &[Waiting]) -> Result<RangeInclusive<i64>, sqlx::Error> {
    let insert = rows.iter().fold(sqlx::query(statement(&INSERT_FILES, rows.len())), |query, waiting| bind_file(query, &waiting.file));
    let last = insert.execute(connection).await?.last_insert_rowid();
    Ok(last - number(rows.len() as u64) + 1..=last)
}

fn bind_file<'q>(query: SqliteQuery<'q>, file: &'q File) -> SqliteQuery<'q> {
    let (created_at, kind) = (Instant(file.created_at), file.created_by.kind.as_str());
    let SearchName { of, composed } = SearchName::of(&file.name);
    query
        .bind(file.tenant.as_str())
        .bind(file.type_name.as_str())
        .bind(file.name.as_str())
        .bind(file.disposition.as_str())
        .bind(file.declared_type.as_ref().map(ToString::to_string))
        .bind(file.grant.content_type.to_string())
        .bind(number(file.grant.min_size))
        .bind(number(file.grant.max_size))
        .bind(file.checksum_sha256.as_ref().map(ChecksumSha256::as_base64))
        .bind(file.staging_key.as_str())
        .bind(upload_id(file.multipart.as_ref()))
        .bind(part_size(file))
        .bind(created_at)
        .bind(created_at)
        .bind(Instant(file.expires_at))
        .bind(file.created_by.id)
        .bind(kind)
        .bind(file.created_by.id)
        .bind(kind)
        .bind(of)
        .bind(composed)
}

/// An Idempotency-Key to be written, and the number of the file it stands for.
struct Key<'a> {
    file: &'a File,
    once: &'a OwnedIdempotency,
    id: i64,
}

/// The Idempotency-Keys of a batch, in an order that is the same for all who write: nobody waits for each other in a circle.
fn keys<'a>(batch: &'a [Waiting], ids: &[i64]) -> Vec<Key<'a>> {
    let with_key =
        batch.iter().zip(ids).filter_map(|(waiting, id)| Some(Key { file: &waiting.file, once: waiting.once.as_ref()?, id: *id }));
    let mut keys: Vec<Key<'a>> = with_key.collect();
    keys.sort_by_key(|key| (key.file.tenant.as_str(), key.file.created_by.kind.as_str(), key.file.created_by.id, key.once.key.as_str()));
    keys
}

fn bind_key<'q>(query: SqliteQuery<'q>, key: &'q Key<'_>) -> SqliteQuery<'q> {
    query
        .bind(key.file.tenant.as_str())
        .bind(key.file.created_by.kind.as_str())
        .bind(key.file.created_by.id)
        .bind(&key.once.key)
        .bind(key.once.request_sha256.as_slice())
        .bind(key.id)
        .bind(Instant(key.file.created_at))
}

/// Postgres: rows as arrays, one a column.
pub(super) struct PostgresRecords(pub(super) Arc<Connections>);

const UNNEST_FILES: &str = "INSERT INTO files (tenant, state, type_name, name, disposition, declared_type, granted_type, min_size, max_size, \
    checksum_sha256, staging_key, upload_id, part_size, size, created_at, updated_at, expires_at, created_by_id, created_by_kind, \
    updated_by_id, updated_by_kind, search_name_of, search_name) \
    SELECT tenant, 'temp', type_name, name, disposition, declared_type, granted_type, min_size, max_size, checksum_sha256, staging_key, \
    upload_id, part_size, 0, created_at, created_at, expires_at, actor_id, actor_kind, actor_id, actor_kind, \
    search_name_of, search_name \
    FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::text[], $10::text[], \
    $11::text[], $12::bigint[], $13::timestamptz[], $14::timestamptz[], $15::bigint[], $16::text[], $17::text[], $18::text[]) \
    AS new (tenant, type_name, name, disposition, declared_type, granted_type, min_size, max_size, checksum_sha256, staging_key, \
    upload_id, part_size, created_at, expires_at, actor_id, actor_kind, search_name_of, search_name) RETURNING staging_key, id";

const UNNEST_KEYS: &str = "INSERT INTO idempotency_keys (tenant, actor_kind, actor_id, key, request_sha256, file_id, created_at) \
    SELECT * FROM UNNEST($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bytea[], $6::bigint[], $7::timestamptz[]) ON CONFLICT DO NOTHING";

impl WriteBatch for PostgresRecords {
    async fn write(&mut self, batch: &[Waiting]) -> Result<Option<Vec<i64>>, sqlx::Error> {
        within_time!(@Slips self.0, connection => insert(connection, batch).await)
    }
}

async fn insert(connection: &mut PgConnection, batch: &[Waiting]) -> Result<Option<Vec<i64>>, sqlx::Error> {
    // One statement is a transaction of its own: two messages to Postgres and back are spared.
    if batch.iter().all(|waiting| waiting.once.is_none()) {
        return insert_files(connection, batch).await.map(Some);
    }
    let mut transaction = connection.begin().await?;
    let ids = insert_files(&mut transaction, batch).await?;
    let keys = keys(batch, &ids);
    let remembered = sqlx::query(UNNEST_KEYS)
        .bind(keys.iter().map(|key| key.file.tenant.as_str()).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| key.file.created_by.kind.as_str()).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| key.file.created_by.id).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| key.once.key.as_str()).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| key.once.request_sha256.as_slice()).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| key.id).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| key.file.created_at).collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await?;
    if remembered.rows_affected() != keys.len() as u64 {
        transaction.rollback().await?;
        return Ok(None);
    }
    transaction.commit().await?;
    Ok(Some(ids))
}

async fn insert_files(connection: &mut PgConnection, batch: &[Waiting]) -> Result<Vec<i64>, sqlx::Error> {
    let files = || batch.iter().map(|waiting| &*waiting.file);
    let rows: Vec<(String, i64)> = sqlx::query_as(UNNEST_FILES)
        .bind(files().map(|file| file.tenant.as_str()).collect::<Vec<_>>())
        .bind(files().map(|file| file.type_name.as_str()).collect::<Vec<_>>())
        .bind(files().map(|file| file.name.as_str()).collect::<Vec<_>>())
        .bind(files().map(|file| file.disposition.as_str()).collect::<Vec<_>>())
        .bind(files().map(|file| file.declared_type.as_ref().map(ToString::to_string)).collect::<Vec<_>>())
        .bind(files().map(|file| file.grant.content_type.to_string()).collect::<Vec<_>>())
        .bind(files().map(|file| number(file.grant.min_size)).collect::<Vec<_>>())
        .bind(files().map(|file| number(file.grant.max_size)).collect::<Vec<_>>())
        .bind(files().map(|file| file.checksum_sha256.as_ref().map(ChecksumSha256::as_base64)).collect::<Vec<_>>())
        .bind(files().map(|file| file.staging_key.as_str()).collect::<Vec<_>>())
        .bind(files().map(|file| upload_id(file.multipart.as_ref())).collect::<Vec<_>>())
        .bind(files().map(part_size).collect::<Vec<_>>())
        .bind(files().map(|file| file.created_at).collect::<Vec<_>>())
        .bind(files().map(|file| file.expires_at).collect::<Vec<_>>())
        .bind(files().map(|file| file.created_by.id).collect::<Vec<_>>())
        .bind(files().map(|file| file.created_by.kind.as_str()).collect::<Vec<_>>())
        .bind(files().map(|file| SearchName::of(&file.name).of).collect::<Vec<_>>())
        .bind(files().map(|file| SearchName::of(&file.name).composed).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    // Nothing says in which order rows come back.
    let numbers: HashMap<&str, i64> = rows.iter().map(|(key, id)| (key.as_str(), *id)).collect();
    let ids: Option<Vec<i64>> = files().map(|file| numbers.get(file.staging_key.as_str()).copied()).collect();
    ids.ok_or(sqlx::Error::RowNotFound)
}
