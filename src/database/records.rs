//! Temp records, as many as there are, in one transaction. The one place where the engines need different statements: each has
//! its own way to take many rows at once.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, LazyLock};

use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Connection as _, PgConnection, Sqlite, SqliteConnection};

use super::file_row::{INSERTED, bind_arrays, bind_row, number};
use super::file_table::{Inserted, Value};
use super::group_commit::{Waiting, WriteBatch};
use super::idempotency::OwnedIdempotency;
use super::instant::Instant;
use super::postgres::Connections;
use super::sqlite::WriteConnection;
use super::statement::within_time;
use crate::domain::File;

/// Most rows of one SQLite statement. Each number of rows has a statement of its own, which is prepared once and used again.
const ROWS: usize = 64;

const KEY_COLUMNS: &str = "tenant, actor_kind, actor_id, key, request_sha256, file_id, created_at";
const KEY_ROW: &str = "(?,?,?,?,?,?,?)";

/// A statement for each number of rows from 1 to [`ROWS`].
static INSERT_FILES: LazyLock<Vec<String>> =
    LazyLock::new(|| statements(&format!("INSERT INTO files ({}) VALUES ", joined(INSERTED, |new| new.column)), &file_row(), ""));
static INSERT_KEYS: LazyLock<Vec<String>> =
    LazyLock::new(|| statements(&format!("INSERT INTO idempotency_keys ({KEY_COLUMNS}) VALUES "), KEY_ROW, " ON CONFLICT DO NOTHING"));

fn statements(before: &str, row: &str, after: &str) -> Vec<String> {
    (1..=ROWS).map(|rows| format!("{before}{}{after}", vec![row; rows].join(","))).collect()
}

/// One row. No `?1` to name a value twice: to bind a parameter with a name, SQLite's interface looks through all names.
fn file_row() -> String {
    let values = INSERTED.iter().map(|new| match new.value {
        Value::Fixed(sql) => sql,
        Value::Bound(_) | Value::Like(_) => "?",
    });
    format!("({})", values.collect::<Vec<_>>().join(","))
}

fn joined(columns: &[Inserted], text: fn(&Inserted) -> &'static str) -> String {
    columns.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// The statement for so many rows.
fn statement(statements: &'static [String], rows: usize) -> &'static str {
    statements.get(rows.saturating_sub(1)).map_or("", String::as_str)
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
    let insert = rows.iter().fold(sqlx::query(statement(&INSERT_FILES, rows.len())), |query, waiting| bind_row(query, &waiting.file));
    let last = insert.execute(connection).await?.last_insert_rowid();
    Ok(last - number(rows.len() as u64) + 1..=last)
}

/// An Idempotency-Key to be written, and the number of the file it stands for.
struct Key<'a> {
    file: &'a File,
    once: &'a OwnedIdempotency,
    id: i64,
}

/// The Idempotency-Keys of a batch, in an order that is the same for all who write: no deadlock.
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

static UNNEST_FILES: LazyLock<String> = LazyLock::new(|| {
    let bound: Vec<Inserted> = INSERTED.iter().filter(|new| matches!(new.value, Value::Bound(_))).copied().collect();
    let arrays = bound.iter().zip(1..).map(|(new, number)| match new.value {
        Value::Bound(kind) => format!("${number}::{kind}[]"),
        Value::Fixed(_) | Value::Like(_) => String::new(),
    });
    let values = joined(INSERTED, |new| match new.value {
        Value::Bound(_) => new.column,
        Value::Fixed(other) | Value::Like(other) => other,
    });
    let (columns, arrays, names) =
        (joined(INSERTED, |new| new.column), arrays.collect::<Vec<_>>().join(", "), joined(&bound, |new| new.column));
    format!("INSERT INTO files ({columns}) SELECT {values} FROM UNNEST({arrays}) AS new ({names}) RETURNING staging_key, id")
});

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
    let rows: Vec<(String, i64)> = bind_arrays(sqlx::query_as(UNNEST_FILES.as_str()), files).fetch_all(connection).await?;
    // Nothing says in which order rows come back.
    let numbers: HashMap<&str, i64> = rows.iter().map(|(key, id)| (key.as_str(), *id)).collect();
    let ids: Option<Vec<i64>> = files().map(|file| numbers.get(file.staging_key.as_str()).copied()).collect();
    ids.ok_or(sqlx::Error::RowNotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_record_is_written_with_the_columns_of_the_list() {
        let one = statement(&INSERT_FILES, 1);
        assert!(one.starts_with("INSERT INTO files (tenant, state, type_name, ") && one.contains(") VALUES (?,'temp',?,"), "{one}");
        assert_eq!(statement(&INSERT_FILES, 2).matches('?').count(), 2 * one.matches('?').count());
        let many = UNNEST_FILES.as_str();
        assert!(many.contains(") SELECT tenant, 'temp', type_name, ") && many.contains("UNNEST($1::text[], $2::text[], "), "{many}");
        assert_eq!(many.matches("created_at").count(), 4, "two arrays need not say the same: {many}");
        assert_eq!(many.matches('$').count() + 3, one.matches('?').count(), "nor three more: {many}");
    }
}
