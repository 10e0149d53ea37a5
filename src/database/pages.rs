//! Pages of files, by number and not by offset: a page costs the same wherever it is.

use std::fmt::Write as _;

use sqlx::AssertSqlSafe;

use super::binding::{Bound, bind_all};
use super::file_row::{COLUMNS, FileRow};
use super::selection::{Selected, Statement};
use super::{Database, DatabaseError, Engine, Holding, within_time};
use crate::domain::{File, FileId, FileState};

impl Database {
    /// The list that is asked for most: active files with numbers below `before`, newest first, at most `limit`. The
    /// selection says no more than that: see `is_plain`.
    pub(super) async fn newest_files(
        &self,
        selected: &Selected<'_>,
        before: Option<FileId>,
        limit: u32,
        holding: &Holding,
    ) -> Result<Vec<File>, DatabaseError> {
        let mut statement = Statement::new(self.dialect());
        let (active, tenant) = statement.in_state(selected, FileState::Active);
        let mut which = format!("WHERE {active}{}", statement.of_maker(selected));
        let newest_first = if let Some(ticket) = selected.ticket {
            // In the order of the ticket's files, which are looked up one by one until there are enough.
            let ticket = statement.bind(Bound::Number(ticket.0));
            let before = statement.bind(Bound::Number(before.map_or(i64::MAX, |id| id.0)));
            let on_ticket =
                format!("SELECT file_id FROM ticket_files WHERE tenant = {tenant} AND ticket_id = {ticket} AND file_id < {before}");
            which = format!("JOIN ({on_ticket}) AS on_ticket ON id = file_id {which}");
            "file_id DESC".to_owned()
        } else {
            // One text for the first page and for those behind it: no file has the greatest number.
            let _ = write!(which, " AND {}", statement.behind(before.map_or(i64::MAX, |id| id.0), true));
            statement.dialect.ordered(selected.selection.order)
        };
        let limit = statement.bind(Bound::Number(limit.into()));
        which += &statement.of_types(selected);
        let _ = write!(which, " ORDER BY {newest_first} LIMIT {limit}");
        self.files(&which, &statement.bound, Some(holding)).await
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
