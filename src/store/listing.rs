//! Pages of files, by number and not by offset: a page costs the same wherever it is.

use sqlx::AssertSqlSafe;
use time::OffsetDateTime;

use super::files::{COLUMNS, FileRow};
use super::instant::Instant;
use super::{Engine, Store, StoreError, within_time};
use crate::domain::{ActorKind, File, FileId, Tenant};

/// A value that takes the place of `$1`, `$2`, ...
#[derive(Debug, Clone, Copy)]
pub(super) enum Bound<'a> {
    Number(i64),
    Text(&'a str),
    Time(OffsetDateTime),
}

/// Binds each value in its own type.
macro_rules! bind_all {
    ($query:expr, $bound:expr) => {
        $bound.iter().fold($query, |query, bound| match *bound {
            Bound::Number(number) => query.bind(number),
            Bound::Text(text) => query.bind(text),
            Bound::Time(at) => query.bind(Instant(at)),
        })
    };
}
pub(super) use bind_all;

impl Store {
    /// The tenant's active files with numbers below `before`, newest first, at most `limit`; with `customer`, only those that this
    /// customer made.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn list_files(
        &self,
        tenant: &Tenant,
        customer: Option<i64>,
        before: Option<FileId>,
        limit: u32,
    ) -> Result<Vec<File>, StoreError> {
        let tenant = Bound::Text(tenant.as_str());
        // By -id, as in the index: see the migration.
        let after = Bound::Number(before.map_or(i64::MIN, |id| -id.0));
        let limit = Bound::Number(limit.into());
        // The words stand in the text: only then do both planners see that the partial index has every row.
        if let Some(customer) = customer {
            let which = format!(
                "WHERE tenant = $1 AND state = 'active' AND created_by_kind = '{}' AND created_by_id = $2 AND -id > $3 ORDER BY -id LIMIT $4",
                ActorKind::Customers.as_str()
            );
            self.files(&which, &[tenant, Bound::Number(customer), after, limit]).await
        } else {
            let which = "WHERE tenant = $1 AND state = 'active' AND -id > $2 ORDER BY -id LIMIT $3";
            self.files(which, &[tenant, after, limit]).await
        }
    }

    /// Many files: `which` is what follows `FROM files` in the statement, and bounds their number.
    ///
    /// SQLite's thread hands over row by row and wakes a reader for each, which costs more than to find them. So it answers all of
    /// them in one text.
    pub(super) async fn files(&self, which: &str, bound: &[Bound<'_>]) -> Result<Vec<File>, StoreError> {
        let rows: Vec<FileRow> = match &self.engine {
            Engine::Sqlite { read, .. } => {
                let sql = format!("SELECT json_group_array(json_array({COLUMNS})) FROM (SELECT {COLUMNS} FROM files {which})");
                let rows: String = within_time!(read, connection => {
                    bind_all!(sqlx::query_scalar(AssertSqlSafe(sql)), bound).fetch_one(connection).await
                })?;
                serde_json::from_str(&rows).map_err(|error| StoreError::Broken(error.to_string()))?
            }
            Engine::Postgres(pool) => {
                let sql = format!("SELECT {COLUMNS} FROM files {which}");
                within_time!(pool, connection => bind_all!(sqlx::query_as(AssertSqlSafe(sql)), bound).fetch_all(connection).await)?
            }
        };
        rows.into_iter().map(File::try_from).collect()
    }
}
