//! Pages of files, by number and not by offset: a page costs the same wherever it is.

use super::files::{COLUMNS, FileRow};
use super::{Store, StoreError, on_pool};
use crate::domain::{ActorKind, File, FileId, Tenant, TypeLimit};

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
        // By -id, as in the index: see the migration.
        let after = before.map_or(i64::MIN, |id| -id.0);
        // The words stand in the text: only then do both planners see that the partial index has every row.
        let rows: Vec<FileRow> = if let Some(customer) = customer {
            let sql = sqlx::AssertSqlSafe(format!(
                "SELECT {COLUMNS} FROM files WHERE tenant = $1 AND state = 'active' AND created_by_kind = '{}' AND created_by_id = $2 AND -id > $3{} \
                 ORDER BY -id LIMIT $4",
                ActorKind::Customers.as_str(),
                of_types(types, 5)
            ));
            on_pool!(self, read connection => {
                let query = sqlx::query_as(sql).bind(tenant.as_str()).bind(customer).bind(after).bind(i64::from(limit));
                let named = types.names().into_iter().flatten();
                named.fold(query, |query, name| query.bind(name)).fetch_all(connection).await
            })?
        } else {
            let sql = sqlx::AssertSqlSafe(format!(
                "SELECT {COLUMNS} FROM files WHERE tenant = $1 AND state = 'active' AND -id > $2{} ORDER BY -id LIMIT $3",
                of_types(types, 4)
            ));
            on_pool!(self, read connection => {
                let query = sqlx::query_as(sql).bind(tenant.as_str()).bind(after).bind(i64::from(limit));
                let named = types.names().into_iter().flatten();
                named.fold(query, |query, name| query.bind(name)).fetch_all(connection).await
            })?
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
