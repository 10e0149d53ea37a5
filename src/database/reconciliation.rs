//! What a reconciliation asks: which records own objects, and which keys are owned.

use std::collections::HashSet;

use super::binding::Bound;
use super::{Database, DatabaseError, on_pool};
use crate::domain::{File, FileId};

impl Database {
    /// Files that own a sealed object, of all tenants, by number after `after`, at most `limit`.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn sealed_files(&self, after: FileId, limit: u32) -> Result<Vec<File>, DatabaseError> {
        let which = "WHERE id > $1 AND sealed_key IS NOT NULL ORDER BY id LIMIT $2";
        self.files(which, &[Bound::Number(after.0), Bound::Number(limit.into())], None).await
    }

    /// Those of `keys` that a record owns or the doomed list names.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn owned_keys(&self, keys: &[String]) -> Result<HashSet<String>, DatabaseError> {
        let list = serde_json::to_string(keys).unwrap_or_default();
        let unfolded = match &self.engine {
            super::Engine::Sqlite { .. } => "SELECT value FROM json_each($1)",
            super::Engine::Postgres(_) => "SELECT json_array_elements_text($1::json)",
        };
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT sealed_key FROM files WHERE sealed_key IN ({unfolded}) \
             UNION SELECT staging_key FROM files WHERE state = 'temp' AND staging_key IN ({unfolded}) \
             UNION SELECT key FROM doomed_objects WHERE key IN ({unfolded})"
        ));
        let owned: Vec<String> = on_pool!(self, read pool => sqlx::query_scalar(sql).bind(list).fetch_all(pool).await)?;
        Ok(owned.into_iter().collect())
    }
}
