//! What all brokers of a database share: keys, and moments that happened to the installation.

use time::OffsetDateTime;

use super::instant::Instant;
use super::{Database, DatabaseError, on_pool};

impl Database {
    /// The key of that name, the same for every broker of the database: `fresh` when there was none.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn shared_key(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32], DatabaseError> {
        // Of brokers that start at once, one writes it.
        let insert = "INSERT INTO shared_keys (name, secret) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        on_pool!(self, write connection => {
            sqlx::query(insert).bind(name).bind(fresh.as_slice()).execute(connection).await.map(drop)
        })?;
        let key = self.find_shared_key(name).await?;
        key.ok_or_else(|| DatabaseError::Broken(format!("the shared key ‘{name}’ was taken away")))
    }

    /// The key of that name, if there is one.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn find_shared_key(&self, name: &str) -> Result<Option<[u8; 32]>, DatabaseError> {
        let sql = "SELECT secret FROM shared_keys WHERE name = $1";
        let secret: Option<Vec<u8>> =
            on_pool!(self, read connection => sqlx::query_scalar(sql).bind(name).fetch_optional(connection).await)?;
        let whole =
            |secret: Vec<u8>| secret.try_into().map_err(|_| DatabaseError::Broken(format!("the shared key ‘{name}’ has not 32 bytes")));
        secret.map(whole).transpose()
    }

    /// When that happened for the first time, at any broker: now, unless it is written down already.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn first_time(&self, name: &str, now: OffsetDateTime) -> Result<OffsetDateTime, DatabaseError> {
        let insert = "INSERT INTO moments (name, happened_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        on_pool!(self, write connection => {
            sqlx::query(insert).bind(name).bind(Instant(now)).execute(connection).await.map(drop)
        })?;
        let sql = "SELECT happened_at FROM moments WHERE name = $1";
        let happened: Instant = on_pool!(self, read connection => sqlx::query_scalar(sql).bind(name).fetch_one(connection).await)?;
        Ok(happened.0)
    }
}
