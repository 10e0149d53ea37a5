//! Pages of files, by number and not by offset: a page costs the same wherever it is.

use std::fmt::Write as _;

use sqlx::AssertSqlSafe;

use super::binding::{Bound, bind_all, of_types};
use super::file_row::{COLUMNS, FileRow};
use super::{Database, DatabaseError, Engine, Holding, Selected, within_time};
use crate::domain::{File, FileId};

impl Database {
    /// The list that is asked for most: active files with numbers below `before`, newest first, at most `limit`, whatever the
    /// selection itself says.
    pub(super) async fn newest_files(
        &self,
        selected: &Selected<'_>,
        before: Option<FileId>,
        limit: u32,
        holding: &Holding,
    ) -> Result<Vec<File>, DatabaseError> {
        let mut bound = vec![Bound::Text(selected.reach.tenant.as_str())];
        let mut bind = |value| {
            bound.push(value);
            bound.len()
        };
        // The words stand in the text: only then do both planners see that a partial index has every row.
        let mut which = String::from("WHERE tenant = $1 AND state = 'active'");
        if let Some(maker) = selected.reach.maker {
            let kind = maker.kind.as_str();
            let _ = write!(which, " AND created_by_kind = '{kind}' AND created_by_id = ${}", bind(Bound::Number(maker.id)));
        }
        let newest_first = if let Some(ticket) = selected.ticket {
            // In the order of the ticket's files, which are looked up one by one until there are enough.
            let (ticket, before) = (bind(Bound::Number(ticket.0)), bind(Bound::Number(before.map_or(i64::MAX, |id| id.0))));
            let on_ticket = format!("SELECT file_id FROM ticket_files WHERE tenant = $1 AND ticket_id = ${ticket} AND file_id < ${before}");
            which = format!("JOIN ({on_ticket}) AS on_ticket ON id = file_id {which}");
            "file_id DESC"
        } else {
            // By -id, as in the index: see the migration.
            let _ = write!(which, " AND -id > ${}", bind(Bound::Number(before.map_or(i64::MIN, |id| -id.0))));
            "-id"
        };
        let limit = bind(Bound::Number(limit.into()));
        which += &of_types(selected.reach.types, limit + 1);
        let _ = write!(which, " ORDER BY {newest_first} LIMIT ${limit}");
        bound.extend(selected.reach.types.names().into_iter().flatten().map(|name| Bound::Text(name)));
        self.files(&which, &bound, Some(holding)).await
    }

    /// Many files: `which` is what follows `FROM files` in the statement, and bounds their number.
    ///
    /// SQLite's thread hands over row by row and wakes a reader for each, which costs more than to find them. So it answers all of
    /// them in one text.
    pub(super) async fn files(&self, which: &str, bound: &[Bound<'_>], holding: Option<&Holding>) -> Result<Vec<File>, DatabaseError> {
        let rows: Vec<FileRow> = match &self.engine {
            Engine::Sqlite { read, .. } => {
                let sql = format!("SELECT json_group_array(json_array({COLUMNS})) FROM (SELECT {COLUMNS} FROM files {which})");
                let rows: String = within_time!(@Read read, holding, connection => {
                    bind_all!(sqlx::query_scalar(AssertSqlSafe(sql)), bound).fetch_one(connection).await
                })?;
                serde_json::from_str(&rows).map_err(|error| DatabaseError::Broken(error.to_string()))?
            }
            Engine::Postgres(pool) => {
                let sql = format!("SELECT {COLUMNS} FROM files {which}");
                within_time!(@Read pool, holding, connection => {
                    bind_all!(sqlx::query_as(AssertSqlSafe(sql)), bound).fetch_all(connection).await
                })?
            }
        };
        rows.into_iter().map(File::try_from).collect()
    }
}
