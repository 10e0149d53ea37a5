//! Access tokens: only their hash is kept.

use serde_json::json;
use sqlx::Connection as _;
use time::OffsetDateTime;

use super::audit_log::AUDIT;
use super::file_row::parsed;
use super::instant::Instant;
use super::{Database, DatabaseError, on_pool};
use crate::domain::{Action, Actor, Caller, TypeLimit};

/// A token about to be written.
#[derive(Debug)]
pub struct NewToken<'a> {
    /// The public half that finds the row.
    pub lookup: &'a str,
    /// SHA-256 of the whole token.
    pub secret_sha256: [u8; 32],
    /// Who it stands for.
    pub caller: &'a Caller,
    /// When it ends by itself.
    pub expires_at: Option<OffsetDateTime>,
    /// Now.
    pub created_at: OffsetDateTime,
}

/// A token as stored: everything but the token.
#[derive(Debug, Clone)]
pub struct TokenRow {
    /// Its number, for `token revoke`.
    pub id: i64,
    /// SHA-256 of the whole token.
    pub secret_sha256: Vec<u8>,
    /// Who it stands for.
    pub caller: Caller,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it ends by itself.
    pub expires_at: Option<OffsetDateTime>,
    /// When it stopped being accepted.
    pub revoked_at: Option<OffsetDateTime>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    secret_sha256: Vec<u8>,
    tenant: String,
    actor_id: i64,
    actor_kind: String,
    scopes: String,
    file_types: Option<String>,
    expires_at: Option<Instant>,
    created_at: Instant,
    revoked_at: Option<Instant>,
}

impl TryFrom<Row> for TokenRow {
    type Error = DatabaseError;

    fn try_from(row: Row) -> Result<Self, DatabaseError> {
        let caller = Caller {
            actor: Actor { id: row.actor_id, kind: parsed(&row.actor_kind)? },
            tenant: parsed(&row.tenant)?,
            scopes: parsed(&row.scopes)?,
            types: row.file_types.as_deref().map_or_else(|| Ok(TypeLimit::default()), parsed)?,
            dialect: None,
        };
        let (expires_at, revoked_at) = (row.expires_at.map(|at| at.0), row.revoked_at.map(|at| at.0));
        Ok(Self { id: row.id, secret_sha256: row.secret_sha256, caller, created_at: row.created_at.0, expires_at, revoked_at })
    }
}

/// Tokens are made and ended at the command line only.
const VIA: &str = "command line";

/// Writes a line about a token into the audit log.
macro_rules! audit {
    ($transaction:expr, $at:expr, $tenant:expr, $action:expr, $details:expr) => {
        sqlx::query(AUDIT)
            .bind(Instant($at))
            .bind($tenant)
            .bind(None::<i64>)
            .bind(None::<&str>)
            .bind($action.as_str())
            .bind(None::<i64>)
            .bind($details)
            .execute(&mut *$transaction)
            .await?;
    };
}

impl Database {
    /// Writes a token's hash and returns its number.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn insert_token(&self, token: &NewToken<'_>) -> Result<i64, DatabaseError> {
        let sql = "INSERT INTO tokens (lookup, secret_sha256, tenant, actor_id, actor_kind, scopes, file_types, expires_at, created_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id";
        let Actor { id: actor_id, kind } = token.caller.actor;
        let id = on_pool!(self, write connection => {
            let mut transaction = connection.begin().await?;
            let id: i64 = sqlx::query_scalar(sql)
                .bind(token.lookup)
                .bind(token.secret_sha256.as_slice())
                .bind(token.caller.tenant.as_str())
                .bind(token.caller.actor.id)
                .bind(token.caller.actor.kind.as_str())
                .bind(token.caller.scopes.to_string())
                .bind(token.caller.types.names().map(|names| names.join(",")))
                .bind(token.expires_at.map(Instant))
                .bind(Instant(token.created_at))
                .fetch_one(&mut *transaction)
                .await?;
            let stands_for = json!({"id": actor_id, "type": kind.as_str()});
            let details = json!({"token": id, "for": stands_for, "scopes": token.caller.scopes.to_string(), "via": VIA}).to_string();
            audit!(transaction, token.created_at, token.caller.tenant.as_str(), Action::TokenCreated, details);
            transaction.commit().await?;
            Ok(id)
        })?;
        Ok(id)
    }

    /// The token with that public half, also when it was revoked.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn find_token(&self, lookup: &str) -> Result<Option<TokenRow>, DatabaseError> {
        let sql = "SELECT id, secret_sha256, tenant, actor_id, actor_kind, scopes, file_types, expires_at, created_at, revoked_at FROM tokens WHERE lookup = $1";
        let row: Option<Row> = on_pool!(self, read connection => sqlx::query_as(sql).bind(lookup).fetch_optional(connection).await)?;
        row.map(TokenRow::try_from).transpose()
    }

    /// Every token, oldest first.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn list_tokens(&self) -> Result<Vec<TokenRow>, DatabaseError> {
        let sql = "SELECT id, secret_sha256, tenant, actor_id, actor_kind, scopes, file_types, expires_at, created_at, revoked_at FROM tokens ORDER BY id";
        let rows: Vec<Row> = on_pool!(self, read connection => sqlx::query_as(sql).fetch_all(connection).await)?;
        rows.into_iter().map(TokenRow::try_from).collect()
    }

    /// Ends a token; `false` when there is none of that number that is still good.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn revoke_token(&self, id: i64, at: OffsetDateTime) -> Result<bool, DatabaseError> {
        let sql = "UPDATE tokens SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL RETURNING tenant";
        let revoked = on_pool!(self, write connection => {
            let mut transaction = connection.begin().await?;
            let tenant: Option<String> = sqlx::query_scalar(sql).bind(Instant(at)).bind(id).fetch_optional(&mut *transaction).await?;
            if let Some(tenant) = &tenant {
                let details = json!({"token": id, "via": VIA}).to_string();
                audit!(transaction, at, tenant.as_str(), Action::TokenRevoked, details);
            }
            transaction.commit().await?;
            Ok(tenant.is_some())
        })?;
        Ok(revoked)
    }
}
