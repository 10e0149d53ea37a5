//! Pages of files, by number and not by offset: a page costs the same wherever it is.

use super::files::{COLUMNS, FileRow};
use super::{Store, StoreError, on_pool};
use crate::domain::{ActorKind, File, FileId, Tenant};

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
        // By -id, as in the index: see the migration.
        let after = before.map_or(i64::MIN, |id| -id.0);
        // The words stand in the text: only then do both planners see that the partial index has every row.
        let rows: Vec<FileRow> = if let Some(customer) = customer {
            let sql = sqlx::AssertSqlSafe(format!(
                "SELECT {COLUMNS} FROM files WHERE tenant = $1 AND state = 'active' AND created_by_kind = '{}' AND created_by_id = $2 AND -id > $3 \
                 ORDER BY -id LIMIT $4",
                ActorKind::Customers.as_str()
            ));
            on_pool!(self, read connection => {
                let query = sqlx::query_as(sql).bind(tenant.as_str()).bind(customer).bind(after).bind(i64::from(limit));
                query.fetch_all(connection).await
            })?
        } else {
            let sql = sqlx::AssertSqlSafe(format!(
                "SELECT {COLUMNS} FROM files WHERE tenant = $1 AND state = 'active' AND -id > $2 ORDER BY -id LIMIT $3"
            ));
            on_pool!(self, read connection => {
                sqlx::query_as(sql).bind(tenant.as_str()).bind(after).bind(i64::from(limit)).fetch_all(connection).await
            })?
        };
        rows.into_iter().map(File::try_from).collect()
    }
}
