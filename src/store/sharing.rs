//! What all brokers of a database share: keys, and moments that happened to the installation.

use time::OffsetDateTime;

use super::instant::Instant;
use super::{Store, StoreError, on_pool};

impl Store {
    /// The key of that name, the same for every broker of the database: `fresh` when there was none.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn shared_key(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        // Of brokers that start at once, one writes it.
        let insert = "INSERT INTO shared_keys (name, secret) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        on_pool!(self, write connection => {
            sqlx::query(insert).bind(name).bind(fresh.as_slice()).execute(connection).await.map(drop)
        })?;
        let key = self.find_shared_key(name).await?;
        key.ok_or_else(|| StoreError::Broken(format!("the shared key ‘{name}’ was taken away")))
    }

    /// The key of that name, if there is one.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn find_shared_key(&self, name: &str) -> Result<Option<[u8; 32]>, StoreError> {
        let sql = "SELECT secret FROM shared_keys WHERE name = $1";
        let secret: Option<Vec<u8>> =
            on_pool!(self, read connection => sqlx::query_scalar(sql).bind(name).fetch_optional(connection).await)?;
        let whole =
            |secret: Vec<u8>| secret.try_into().map_err(|_| StoreError::Broken(format!("the shared key ‘{name}’ has not 32 bytes")));
        secret.map(whole).transpose()
    }

    /// When that happened for the first time, at any broker: now, unless it is written down already.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn first_time(&self, name: &str, now: OffsetDateTime) -> Result<OffsetDateTime, StoreError> {
        let insert = "INSERT INTO moments (name, happened_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        on_pool!(self, write connection => {
            sqlx::query(insert).bind(name).bind(Instant(now)).execute(connection).await.map(drop)
        })?;
        let sql = "SELECT happened_at FROM moments WHERE name = $1";
        let happened: Instant = on_pool!(self, read connection => sqlx::query_scalar(sql).bind(name).fetch_one(connection).await)?;
        Ok(happened.0)
    }
}
