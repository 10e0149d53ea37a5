//! Rows that do not have yet what their names are searched for by.
//!
//! Who writes a name writes both beside it. Rows of before, and those of brokers of the version before, get them later: until then
//! such a row is found by its name as it is.

use sqlx::{AssertSqlSafe, Connection as _};

use super::search_name::{search_name, search_name_of};
use super::{Database, DatabaseError, Engine, within_time};
use crate::domain::FileId;

/// What [`Database::fill_search_names`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filled {
    /// How many rows got theirs.
    pub rows: u64,
    /// The lowest number that it looked at: go on below it. `None` when there was none to look at.
    pub last: Option<FileId>,
}

impl Database {
    /// Writes what names are searched by beside at most `limit` names that do not have it, of files with numbers below `below`.
    ///
    /// Safe to repeat, and by several brokers at once. Nothing that people see is changed.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn fill_search_names(&self, below: Option<FileId>, limit: u32) -> Result<Filled, DatabaseError> {
        let after = below.map_or(i64::MIN, |id| -id.0);
        let select = AssertSqlSafe(self.unsearched());
        let filled = match &self.engine {
            Engine::Sqlite { write, .. } => within_time!(write, connection => {
                // It reads first: a lock that it asked for only then would be refused at once while another process writes.
                let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
                let rows: Vec<(i64, String)> =
                    sqlx::query_as(select).bind(after).bind(i64::from(limit)).fetch_all(&mut *transaction).await?;
                for (id, name) in &rows {
                    let query = sqlx::query(FILL_ONE).bind(search_name_of(name)).bind(search_name(name));
                    query.bind(id).execute(&mut *transaction).await?;
                }
                transaction.commit().await?;
                Ok(Filled { rows: rows.len() as u64, last: rows.last().map(|(id, _)| FileId(*id)) })
            }),
            Engine::Postgres(pool) => within_time!(pool, connection => {
                let mut transaction = connection.begin().await?;
                let rows: Vec<(i64, String)> =
                    sqlx::query_as(select).bind(after).bind(i64::from(limit)).fetch_all(&mut *transaction).await?;
                let composed: Vec<Option<String>> = rows.iter().map(|(_, name)| search_name(name)).collect();
                let filled = sqlx::query(FILL_UNNESTED)
                    .bind(rows.iter().map(|(id, _)| *id).collect::<Vec<_>>())
                    .bind(composed)
                    .execute(&mut *transaction)
                    .await?;
                transaction.commit().await?;
                Ok(Filled { rows: filled.rows_affected(), last: rows.last().map(|(id, _)| FileId(*id)) })
            }),
        }?;
        Ok(filled)
    }

    /// Asks for rows that have no search name, or one of another name. In the words of the index that has them and nothing else.
    fn unsearched(&self) -> String {
        let (letters, other) = match &self.engine {
            Engine::Sqlite { .. } => ("length(CAST(name AS BLOB)) <> length(name)", "search_name_of IS NOT name"),
            Engine::Postgres(_) => ("octet_length(name) <> char_length(name)", "search_name_of IS DISTINCT FROM name"),
        };
        let skip = self.skip_locked();
        format!("SELECT id, name FROM files WHERE state <> 'temp' AND {letters} AND {other} AND -id > $1 ORDER BY -id LIMIT $2 {skip}")
    }
}

/// One row, which nobody else can write to meanwhile.
const FILL_ONE: &str = "UPDATE files SET search_name_of = $1, search_name = $2 WHERE id = $3";

/// Many rows, which are locked.
const FILL_UNNESTED: &str = "UPDATE files SET search_name_of = name, search_name = filled.composed \
     FROM UNNEST($1::bigint[], $2::text[]) AS filled (id, composed) WHERE files.id = filled.id";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_beside_a_name_is_as_little_as_will_do() {
        let of = |name| (search_name_of(name).is_some(), search_name(name));
        assert_eq!(of("resume.pdf"), (false, None));
        assert_eq!(of("R\u{e9}sum\u{e9}.pdf"), (true, None));
        assert_eq!(of("Re\u{301}sume\u{301}.pdf"), (true, Some("R\u{e9}sum\u{e9}.pdf".to_owned())));
    }
}
