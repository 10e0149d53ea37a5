//! What a test reads of a database, and asks of it, behind the program's back.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqlSafeStr as _, SqliteConnection};

/// The first column, which is a text, of each row.
pub async fn texts(url: &str, sql: &str) -> Vec<String> {
    let sql = AssertSqlSafe(sql.to_owned());
    if url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        let found = sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap();
        // Whoever closes it last tidies up, and the program is not to meet that.
        connection.close().await.unwrap();
        found
    } else {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap()
    }
}

/// The same for each of two engines, which do not have all words in common.
async fn texts_of(url: &str, sqlite: &str, postgres: &str) -> Vec<String> {
    texts(url, if url.starts_with("sqlite:") { sqlite } else { postgres }).await
}

/// A secret as its owner's row has it.
pub async fn secret(url: &str, column: &str, rest: &str) -> Vec<u8> {
    let sqlite = format!("SELECT hex({column}) FROM {rest}");
    let found = texts_of(url, &sqlite, &format!("SELECT encode({column}, 'hex') FROM {rest}")).await;
    hex::decode(&found[0]).unwrap()
}

/// Numbers, staging keys and granted types of the temp files whose upload in parts is open at the store.
pub async fn open_uploads(url: &str) -> Vec<(Value, String, String)> {
    let sql = "SELECT id || '|' || staging_key || '|' || granted_type FROM files WHERE state = 'temp' AND upload_id <> ''";
    let split = |row: String| {
        let parts: Vec<&str> = row.split('|').collect();
        (json!(parts[0].parse::<i64>().unwrap()), parts[1].to_owned(), parts[2].to_owned())
    };
    texts(url, sql).await.into_iter().map(split).collect()
}

/// How many names the program has not looked at yet, so that they are found in one spelling alone.
pub async fn names_to_look_at(url: &str) -> u64 {
    let unlike = if url.starts_with("sqlite:") {
        "length(CAST(name AS BLOB)) <> length(name) AND search_name_of IS NOT name"
    } else {
        "octet_length(name) <> char_length(name) AND search_name_of IS DISTINCT FROM name"
    };
    let count = texts(url, &format!("SELECT CAST(COUNT(*) AS TEXT) FROM files WHERE state <> 'temp' AND {unlike}")).await;
    count[0].parse().unwrap()
}

/// What a column takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub kind: String,
    /// It takes NULL, or has a value of its own where a statement names none.
    pub optional: bool,
}

/// Every column of every table, as `table.column`.
pub async fn columns(url: &str) -> BTreeMap<String, Column> {
    let sqlite = "SELECT tables.name || '.' || columns.name || '|' || columns.type || '|' \
                  || (columns.\"notnull\" = 0 OR columns.dflt_value IS NOT NULL OR columns.type = 'INTEGER' AND columns.pk = 1) \
                  FROM sqlite_schema AS tables JOIN pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'";
    let postgres = "SELECT table_name || '.' || column_name || '|' || data_type || '|' \
                    || CASE WHEN is_nullable = 'YES' OR column_default IS NOT NULL OR is_identity = 'YES' THEN 1 ELSE 0 END \
                    FROM information_schema.columns WHERE table_schema = 'public'";
    let split = |row: String| {
        let parts: Vec<&str> = row.split('|').collect();
        (parts[0].to_owned(), Column { kind: parts[1].to_owned(), optional: parts[2] == "1" })
    };
    texts_of(url, sqlite, postgres).await.into_iter().map(split).collect()
}

/// Every table, and how many rows it has.
pub async fn counts(url: &str) -> BTreeMap<String, u64> {
    let sqlite = "SELECT name FROM sqlite_schema WHERE type = 'table'";
    let mut counts = BTreeMap::new();
    for table in texts_of(url, sqlite, "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'").await {
        let count = texts(url, &format!("SELECT CAST(COUNT(*) AS TEXT) FROM {table}")).await;
        counts.insert(table, count[0].parse().unwrap());
    }
    counts
}

/// Which of these statements the database would not take.
pub async fn refused(url: &str, statements: &[&str]) -> Vec<String> {
    let mut refused = Vec::new();
    let mut note = |statement: &str, error: Option<sqlx::Error>| {
        refused.extend(error.map(|error| format!("{statement}: {error}")));
    };
    if url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        for statement in statements {
            note(statement, connection.prepare(AssertSqlSafe((*statement).to_owned()).into_sql_str()).await.err());
        }
        connection.close().await.unwrap();
    } else {
        let mut connection = PgConnection::connect(url).await.unwrap();
        for statement in statements {
            note(statement, connection.prepare(AssertSqlSafe((*statement).to_owned()).into_sql_str()).await.err());
        }
    }
    refused
}
