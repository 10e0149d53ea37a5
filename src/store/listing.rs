//! Pages of files, by number and not by offset: a page costs the same wherever it is.

use sqlx::AssertSqlSafe;
use time::OffsetDateTime;

use super::files::{COLUMNS, FileRow};
use super::instant::Instant;
use super::{Engine, Store, StoreError, within_time};
use crate::domain::{ActorKind, File, FileId, Tenant, TypeLimit};

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
    /// customer made, and none of a type that `types` leaves out.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn list_files(
        &self,
        tenant: &Tenant,
        customer: Option<i64>,
        types: &TypeLimit,
        before: Option<FileId>,
        limit: u32,
    ) -> Result<Vec<File>, StoreError> {
        let tenant = Bound::Text(tenant.as_str());
        // By -id, as in the index: see the migration.
        let after = Bound::Number(before.map_or(i64::MIN, |id| -id.0));
        let limit = Bound::Number(limit.into());
        // The words stand in the text: only then do both planners see that the partial index has every row.
        let (which, mut bound) = if let Some(customer) = customer {
            let which = format!(
                "WHERE tenant = $1 AND state = 'active' AND created_by_kind = '{}' AND created_by_id = $2 AND -id > $3{} ORDER BY -id LIMIT $4",
                ActorKind::Customers.as_str(),
                of_types(types, 5)
            );
            (which, vec![tenant, Bound::Number(customer), after, limit])
        } else {
            let which = format!("WHERE tenant = $1 AND state = 'active' AND -id > $2{} ORDER BY -id LIMIT $3", of_types(types, 4));
            (which, vec![tenant, after, limit])
        };
        bound.extend(types.names().into_iter().flatten().map(|name| Bound::Text(name)));
        self.files(&which, &bound).await
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

/// The condition that a file is of one of these types, whose names are bound from parameter `first` on; nothing for all types.
pub(super) fn of_types(types: &TypeLimit, first: usize) -> String {
    match types.names() {
        None => String::new(),
        // `IN ()` is no SQL to Postgres.
        Some([]) => " AND FALSE".to_owned(),
        Some(names) => {
            let parameters: Vec<_> = (first..first + names.len()).map(|number| format!("${number}")).collect();
            format!(" AND type_name IN ({})", parameters.join(", "))
        }
    }
}
