//! What is written in the transaction of a change: its line in the audit log, and the events that webhooks are sent.

use std::sync::{Arc, PoisonError};

use serde_json::Value;
use time::OffsetDateTime;

use super::file_row::{parsed, signed};
use super::instant::Instant;
use super::{Database, DatabaseError, Engine, on_pool};
use crate::domain::{Action, Actor, Change, File, FileId, Subscription, Tenant};
use crate::event_json;
use crate::random;

/// Writes one line of the audit log.
pub(super) const AUDIT: &str =
    "INSERT INTO audit_log (at, tenant, actor_id, actor_kind, action, file_id, details) VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// Writes down in a transaction what it changes: for each change its line in the audit log, and its events.
///
/// After the commit, [`Database::announce`] wakes whoever sends them.
macro_rules! record {
    ($database:expr, $transaction:expr, $change:expr) => {{
        let change: &$crate::domain::Change<'_> = $change;
        if change.action.is_audited() {
            let actor = change.origin.actor();
            sqlx::query($crate::database::audit_log::AUDIT)
                .bind($crate::database::instant::Instant(change.at))
                .bind(change.file.tenant.as_str())
                .bind(actor.map(|actor| actor.id))
                .bind(actor.map(|actor| actor.kind.as_str()))
                .bind(change.action.as_str())
                .bind(change.file.id.0)
                .bind($crate::event_json::audited_details(change))
                .execute(&mut *$transaction)
                .await?;
        }
        $crate::database::audit_log::append!($database, $transaction, $database.outgoing(std::slice::from_ref(change)), change.at);
    }};
}
pub(super) use record;

/// Appends events to the outbox, if there are any.
macro_rules! append {
    ($database:expr, $transaction:expr, $outgoing:expr, $at:expr) => {
        if let Some(outgoing) = $outgoing {
            let append = sqlx::query($database.append_sql()).bind(outgoing).bind($crate::database::instant::Instant($at));
            append.execute(&mut *$transaction).await?;
        }
    };
}
pub(super) use append;

/// A row that cannot be read ends the transaction it was read in.
pub(super) fn unreadable(error: DatabaseError) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct Audited {
    /// Its number; they rise.
    pub id: i64,
    /// When it was done.
    pub at: OffsetDateTime,
    /// Whose file or token.
    pub tenant: Tenant,
    /// By whom; `None` for dropslip itself and for its command line.
    pub actor: Option<Actor>,
    /// What was done.
    pub action: String,
    /// To which file.
    pub file: Option<FileId>,
    /// What else there is to say.
    pub details: Value,
}

/// Which lines of the audit log are wanted; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// About this tenant's files and tokens.
    pub tenant: Option<Tenant>,
    /// About this file.
    pub file: Option<FileId>,
    /// By whom.
    pub actor: Option<AuditedActor>,
    /// What was done.
    pub action: Option<Action>,
    /// Then or later.
    pub since: Option<OffsetDateTime>,
    /// Earlier than then.
    pub until: Option<OffsetDateTime>,
    /// Before the line of this number.
    pub before: Option<i64>,
    /// After the line of this number: then the oldest come first.
    pub after: Option<i64>,
}

/// By whom something was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditedActor {
    /// Dropslip itself, or somebody at its command line.
    System,
    /// This one.
    Actor(Actor),
}

#[derive(sqlx::FromRow)]
struct AuditRow {
    id: i64,
    at: Instant,
    tenant: String,
    actor_id: Option<i64>,
    actor_kind: Option<String>,
    action: String,
    file_id: Option<i64>,
    details: String,
}

impl TryFrom<AuditRow> for Audited {
    type Error = DatabaseError;

    fn try_from(row: AuditRow) -> Result<Self, DatabaseError> {
        let actor = match (row.actor_id, &row.actor_kind) {
            (Some(id), Some(kind)) => Some(Actor { id, kind: parsed(kind)? }),
            _ => None,
        };
        let details =
            serde_json::from_str(&row.details).map_err(|error| DatabaseError::Broken(format!("details of the audit log: {error}")))?;
        let tenant = parsed(&row.tenant)?;
        Ok(Self { id: row.id, at: row.at.0, tenant, actor, action: row.action, file: row.file_id.map(FileId), details })
    }
}

impl Database {
    /// Says who subscribes to events from now on. Where nobody does, no event is written.
    pub fn subscribe(&self, subscriptions: Vec<Subscription>) {
        *self.subscribers.list.write().unwrap_or_else(PoisonError::into_inner) = subscriptions.into();
    }

    pub(super) fn subscriptions(&self) -> Arc<[Subscription]> {
        self.subscribers.list.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether anybody subscribes to that.
    pub(super) fn anybody_wants(&self, action: Action) -> bool {
        self.subscriptions().iter().any(|subscription| subscription.wants(action))
    }

    /// The events of changes, one for each endpoint that wants it, as one document for [`Database::append_sql`].
    pub(super) fn outgoing(&self, changes: &[Change<'_>]) -> Option<String> {
        let subscriptions = self.subscriptions();
        let mut rows = Vec::new();
        for change in changes {
            let mut wanted = subscriptions.iter().filter(|wish| wish.wants_of(change.action, &change.file.tenant)).peekable();
            if wanted.peek().is_none() {
                continue;
            }
            let (event_id, payload) = (fresh_event_id(change.at), event_json::payload(change));
            rows.extend(wanted.map(|wish| {
                let file = change.file;
                (
                    event_id.clone(),
                    wish.endpoint.clone(),
                    file.tenant.as_str().to_owned(),
                    change.action.as_str(),
                    file.id.0,
                    payload.clone(),
                )
            }));
        }
        if rows.is_empty() { None } else { serde_json::to_string(&rows).ok() }
    }

    /// `$1` is the document, `$2` the time.
    pub(super) fn append_sql(&self) -> &'static str {
        match &self.engine {
            Engine::Sqlite { .. } => {
                "INSERT INTO events (event_id, endpoint, tenant, type, file_id, payload, created_at, next_attempt_at) \
                 SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, $2, $2 FROM json_each($1)"
            }
            Engine::Postgres(_) => {
                "INSERT INTO events (event_id, endpoint, tenant, type, file_id, payload, created_at, next_attempt_at) \
                 SELECT e ->> 0, e ->> 1, e ->> 2, e ->> 3, (e ->> 4)::bigint, e ->> 5, $2, $2 FROM json_array_elements($1::json) AS e"
            }
        }
    }

    /// Wakes whoever sends events.
    pub(super) fn announce(&self) {
        self.subscribers.appended.notify_waiters();
    }

    /// Until this process appends events. Others may append some at any time.
    pub async fn events_appended(&self) {
        self.subscribers.appended.notified().await;
    }

    /// Counts and writes down that an upload of a temp file was refused; `false` when the file is not `temp` any more, was re-issued, or
    /// had `most` uploads refused before: then nothing is written.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn reject(&self, change: &Change<'_>, most: u64) -> Result<bool, DatabaseError> {
        // It holds the row too: events of a file are written in the order in which they happened.
        let sql = "UPDATE files SET refused = refused + 1 \
                   WHERE id = $1 AND tenant = $2 AND state = 'temp' AND staging_key = $3 AND refused < $4";
        let most = signed(most)?;
        let File { id, tenant, staging_key, .. } = change.file;
        let rejected = on_pool!(self, write connection => {
            let mut transaction = sqlx::Connection::begin(connection).await?;
            let counted = sqlx::query(sql).bind(id.0).bind(tenant.as_str()).bind(staging_key.as_str()).bind(most).execute(&mut *transaction).await?;
            if counted.rows_affected() == 1 {
                record!(self, transaction, change);
            }
            transaction.commit().await?;
            Ok(counted.rows_affected() == 1)
        })?;
        self.announce();
        Ok(rejected)
    }

    /// What the audit log says of the last time that something was done to a file.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn last_audited(&self, file: FileId, action: Action) -> Result<Option<Audited>, DatabaseError> {
        let filter = AuditFilter { file: Some(file), action: Some(action), ..AuditFilter::default() };
        Ok(self.audit_log(&filter, 1).await?.pop())
    }

    /// Lines of the audit log, newest first unless all after one are wanted, at most `limit`.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn audit_log(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<Audited>, DatabaseError> {
        let (before, after) = (filter.before.unwrap_or(i64::MAX), filter.after.unwrap_or(0));
        // By the index that leaves the fewest lines; what else is wanted is asked of each. Indexes have -id, so that they begin with the newest.
        let (found_by, by) = match (filter.file, &filter.tenant) {
            (Some(_), _) => ("file_id = $3 AND -id > $1 AND -id < $10 AND (tenant = $2 OR $2 IS NULL)", "-id"),
            (None, Some(_)) => ("tenant = $2 AND -id > $1 AND -id < $10 AND (file_id = $3 OR $3 IS NULL)", "-id"),
            (None, None) => ("id > $1 AND id < $10 AND (tenant = $2 OR $2 IS NULL) AND (file_id = $3 OR $3 IS NULL)", "id"),
        };
        let (from, to) = if by == "id" { (after, before) } else { (-before, -after) };
        let newest_first = filter.after.is_none();
        let direction = if newest_first == (by == "id") { "DESC" } else { "ASC" };
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT id, at, tenant, actor_id, actor_kind, action, file_id, details FROM audit_log WHERE {found_by} \
             AND (actor_id = $4 OR $4 IS NULL) AND (actor_kind = $5 OR (actor_kind IS NULL AND $5 = 'system') OR $5 IS NULL) \
             AND (action = $6 OR $6 IS NULL) AND (at >= $7 OR $7 IS NULL) AND (at < $8 OR $8 IS NULL) ORDER BY {by} {direction} LIMIT $9"
        ));
        let (actor_id, actor_kind) = match filter.actor {
            None => (None, None),
            Some(AuditedActor::System) => (None, Some("system")),
            Some(AuditedActor::Actor(actor)) => (Some(actor.id), Some(actor.kind.as_str())),
        };
        let rows: Vec<AuditRow> = on_pool!(self, read connection => {
            sqlx::query_as(sql)
                .bind(from)
                .bind(filter.tenant.as_ref().map(Tenant::as_str))
                .bind(filter.file.map(|file| file.0))
                .bind(actor_id)
                .bind(actor_kind)
                .bind(filter.action.map(Action::as_str))
                .bind(filter.since.map(Instant))
                .bind(filter.until.map(Instant))
                .bind(i64::from(limit))
                .bind(to)
                .fetch_all(connection)
                .await
        })?;
        rows.into_iter().map(Audited::try_from).collect()
    }
}

/// Rises with time, for the index's sake; the same for every endpoint and every attempt.
fn fresh_event_id(at: OffsetDateTime) -> String {
    let millis = at.unix_timestamp() * 1000 + i64::from(at.millisecond());
    format!("evt_{millis:012x}{}", hex::encode(random::bytes::<10>()))
}
