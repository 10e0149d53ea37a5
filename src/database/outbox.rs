//! The outbox: events on their way to webhooks, one row for each event and endpoint.
//!
//! Several brokers share it. Who sends an event leases its row; a lease that ran out belongs to a broker that died, and another goes
//! on. An event waits until every earlier one of the same file has reached the same endpoint or was given up.

use std::str::FromStr;

use sqlx::Connection as _;
use time::OffsetDateTime;

use super::instant::Instant;
use super::leases::Lease;
use super::{Database, DatabaseError, Engine, on_pool};
use crate::domain::FileId;
use crate::domain::wording::one_of;

/// An event that is to be sent now.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Leased {
    /// Its row.
    pub id: i64,
    /// Its name, the same over all attempts.
    pub event_id: String,
    /// The file it is about.
    pub file_id: i64,
    /// What is sent.
    pub payload: String,
    /// How often it was tried, this time included.
    pub attempts: i64,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It arrived.
    Delivered,
    /// It is tried again then.
    Later(OffsetDateTime),
    /// It is not tried again.
    Dead,
}

/// Where an event is on its way to one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventState {
    /// To be sent, for the first time or again.
    Pending,
    /// It arrived.
    Delivered,
    /// It was given up.
    Dead,
}

impl EventState {
    const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Dead];

    /// The word used in the database and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

impl FromStr for EventState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| one_of(Self::ALL.map(Self::as_str)))
    }
}

/// An event and what became of it at one endpoint.
#[derive(Debug, Clone)]
pub struct EventRow {
    /// Its row; they rise.
    pub id: i64,
    /// Its name, the same for all endpoints.
    pub event_id: String,
    /// To whom.
    pub endpoint: String,
    /// Whose file.
    pub tenant: String,
    /// What happened.
    pub action: String,
    /// To which file.
    pub file: FileId,
    /// What is sent.
    pub payload: String,
    /// Where it is.
    pub state: String,
    /// When it happened.
    pub created_at: OffsetDateTime,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried next, while it is pending.
    pub next_attempt_at: OffsetDateTime,
    /// What came of the last attempt.
    pub last_answer: Option<String>,
    /// When it arrived or was given up.
    pub finished_at: Option<OffsetDateTime>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    event_id: String,
    endpoint: String,
    tenant: String,
    r#type: String,
    file_id: i64,
    payload: String,
    state: String,
    created_at: Instant,
    attempts: i64,
    next_attempt_at: Instant,
    last_answer: Option<String>,
    finished_at: Option<Instant>,
}

impl From<Row> for EventRow {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            event_id: row.event_id,
            endpoint: row.endpoint,
            tenant: row.tenant,
            action: row.r#type,
            file: FileId(row.file_id),
            payload: row.payload,
            state: row.state,
            created_at: row.created_at.0,
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at.0,
            last_answer: row.last_answer,
            finished_at: row.finished_at.map(|at| at.0),
        }
    }
}

const COLUMNS: &str =
    "id, event_id, endpoint, tenant, type, file_id, payload, state, created_at, attempts, next_attempt_at, last_answer, finished_at";

/// Which events are wanted; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// In this state.
    pub state: Option<EventState>,
    /// To this endpoint.
    pub endpoint: Option<String>,
    /// About this file.
    pub file: Option<FileId>,
    /// Before the row of this number.
    pub before: Option<i64>,
}

/// How many events are counted at most when somebody asks how many there are.
pub const COUNTED: u32 = 10_000;

/// What is in the outbox, each counted up to [`COUNTED`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Events that are to be sent, for the first time or again.
    pub waiting: u32,
    /// When the first of them happened.
    pub oldest: Option<OffsetDateTime>,
    /// Events that were given up and not forgotten yet.
    pub dead: u32,
}

impl Database {
    /// Takes on events for an endpoint that are due by `now`, oldest first, at most `limit`: nobody else sends them during the lease.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn lease_events(&self, endpoint: &str, now: OffsetDateTime, lease: Lease, limit: u32) -> Result<Vec<Leased>, DatabaseError> {
        let skip = self.skip_locked();
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE events SET leased_until = $1, attempts = attempts + 1 WHERE id IN (SELECT due.id FROM events AS due \
             WHERE due.endpoint = $2 AND due.state = 'pending' AND due.next_attempt_at <= $3 \
             AND (due.leased_until IS NULL OR due.leased_until <= $5 OR due.leased_until > $6) AND NOT EXISTS (SELECT 1 FROM events AS earlier WHERE earlier.file_id = due.file_id AND -earlier.id > -due.id \
             AND earlier.endpoint = due.endpoint AND earlier.state = 'pending') ORDER BY due.next_attempt_at, due.id LIMIT $4 {skip}) \
             RETURNING id, event_id, file_id, payload, attempts"
        ));
        let mut leased: Vec<Leased> = on_pool!(self, write connection => {
            let query = sqlx::query_as(sql).bind(Instant(lease.until)).bind(endpoint).bind(Instant(now)).bind(i64::from(limit));
            query.bind(Instant(lease.from)).bind(Instant(lease.latest_end())).fetch_all(connection).await
        })?;
        leased.sort_by_key(|event| event.id);
        Ok(leased)
    }

    /// Writes down what came of an attempt; `false` when the lease that ends at `leased_until` is somebody else's by now.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn settle_event(
        &self,
        event: &Leased,
        leased_until: OffsetDateTime,
        outcome: &Outcome,
        answer: &str,
        now: OffsetDateTime,
    ) -> Result<bool, DatabaseError> {
        let sql = "UPDATE events SET state = $1, finished_at = $2, next_attempt_at = COALESCE($3, next_attempt_at), leased_until = NULL, \
                   last_answer = $4 WHERE id = $5 AND state = 'pending' AND leased_until = $6 RETURNING endpoint";
        // Those that wait for it are due when it is: nobody looks at them before.
        let followers = "UPDATE events SET next_attempt_at = $1 WHERE file_id = $2 AND -id < $3 AND endpoint = $4 AND state = 'pending' \
                         AND next_attempt_at < $1";
        let (state, later) = match outcome {
            Outcome::Delivered => (EventState::Delivered, None),
            Outcome::Later(at) => (EventState::Pending, Some(*at)),
            Outcome::Dead => (EventState::Dead, None),
        };
        let finished = if later.is_some() { None } else { Some(Instant(now)) };
        let settled = on_pool!(self, write connection => {
            let mut transaction = connection.begin().await?;
            let endpoint: Option<String> = sqlx::query_scalar(sql)
                .bind(state.as_str())
                .bind(finished)
                .bind(later.map(Instant))
                .bind(answer)
                .bind(event.id)
                .bind(Instant(leased_until))
                .fetch_optional(&mut *transaction)
                .await?;
            if let (Some(endpoint), Some(later)) = (&endpoint, later) {
                let query = sqlx::query(followers).bind(Instant(later)).bind(event.file_id).bind(-event.id).bind(endpoint);
                query.execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
            Ok(endpoint.is_some())
        })?;
        Ok(settled)
    }

    /// Events, newest first, at most `limit`.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn list_events(&self, filter: &EventFilter, limit: u32) -> Result<Vec<EventRow>, DatabaseError> {
        let before = filter.before.unwrap_or(i64::MAX);
        let (found_by, order, before) = match (filter.file, filter.state) {
            (Some(_), _) => ("file_id = $3 AND -id > $1 AND (state = $2 OR $2 IS NULL)", "-id", -before),
            (None, Some(_)) => ("state = $2 AND -id > $1 AND (file_id = $3 OR $3 IS NULL)", "-id", -before),
            (None, None) => ("id < $1 AND (state = $2 OR $2 IS NULL) AND (file_id = $3 OR $3 IS NULL)", "id DESC", before),
        };
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM events WHERE {found_by} AND (endpoint = $4 OR $4 IS NULL) ORDER BY {order} LIMIT $5"
        ));
        let rows: Vec<Row> = on_pool!(self, read connection => {
            sqlx::query_as(sql)
                .bind(before)
                .bind(filter.state.map(EventState::as_str))
                .bind(filter.file.map(|file| file.0))
                .bind(filter.endpoint.as_deref())
                .bind(i64::from(limit))
                .fetch_all(connection)
                .await
        })?;
        Ok(rows.into_iter().map(EventRow::from).collect())
    }

    /// An event at every endpoint.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn find_event(&self, event_id: &str) -> Result<Vec<EventRow>, DatabaseError> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM events WHERE event_id = $1 ORDER BY endpoint"));
        let rows: Vec<Row> = on_pool!(self, read connection => sqlx::query_as(sql).bind(event_id).fetch_all(connection).await)?;
        Ok(rows.into_iter().map(EventRow::from).collect())
    }

    /// Forgets events that arrived or were given up before `before`, at most `limit`; answers how many.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn forget_events(&self, before: OffsetDateTime, limit: u32) -> Result<u64, DatabaseError> {
        let skip = self.skip_locked();
        let sql = sqlx::AssertSqlSafe(format!(
            "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE state <> 'pending' AND finished_at < $1 ORDER BY finished_at LIMIT $2 {skip})"
        ));
        let gone = on_pool!(self, write connection => {
            sqlx::query(sql).bind(Instant(before)).bind(i64::from(limit)).execute(connection).await.map(|r| r.rows_affected())
        })?;
        Ok(gone)
    }

    /// Gives up events that have been due since before `before`, at most `limit`: no broker knows their endpoint any more. Those of
    /// endpoints that this one knows are left to whoever sends them, however late that is.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn give_up_events(&self, before: OffsetDateTime, now: OffsetDateTime, limit: u32) -> Result<u64, DatabaseError> {
        let skip = self.skip_locked();
        let known = self.subscriptions();
        let others = (4..).take(known.len()).map(|number| format!(" AND endpoint <> ${number}")).collect::<Vec<_>>().concat();
        // SQLite keeps no statistics here, and without them would look at all that is still to be sent.
        let by = if matches!(self.engine, Engine::Sqlite { .. }) { "INDEXED BY events_overdue" } else { "" };
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE events SET state = 'dead', finished_at = $1, last_answer = 'no broker knows the endpoint' WHERE id IN (SELECT id FROM events {by} \
             WHERE state = 'pending' AND next_attempt_at < $2 AND (leased_until IS NULL OR leased_until <= $1){others} ORDER BY next_attempt_at LIMIT $3 {skip})"
        ));
        let given_up = on_pool!(self, write connection => {
            let mut query = sqlx::query(sql).bind(Instant(now)).bind(Instant(before)).bind(i64::from(limit));
            for subscription in known.iter() {
                query = query.bind(&subscription.endpoint);
            }
            query.execute(connection).await.map(|r| r.rows_affected())
        })?;
        Ok(given_up)
    }

    /// What is in the outbox now.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn backlog(&self) -> Result<Backlog, DatabaseError> {
        // By the index of states, in the order of numbers, which rise with time.
        let sql = "SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM events WHERE state = $1 LIMIT $3) AS waiting), \
                   (SELECT created_at FROM events WHERE state = $1 ORDER BY -id DESC LIMIT 1), \
                   (SELECT COUNT(*) FROM (SELECT 1 FROM events WHERE state = $2 LIMIT $3) AS dead)";
        let (waiting, oldest, dead): (i64, Option<Instant>, i64) = on_pool!(self, read connection => {
            let query = sqlx::query_as(sql).bind(EventState::Pending.as_str()).bind(EventState::Dead.as_str());
            query.bind(i64::from(COUNTED)).fetch_one(connection).await
        })?;
        let count = |count: i64| u32::try_from(count).unwrap_or(COUNTED);
        Ok(Backlog { waiting: count(waiting), oldest: oldest.map(|at| at.0), dead: count(dead) })
    }

    /// Remembers that an endpoint wants nothing more at this URL.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn endpoint_is_gone(&self, endpoint: &str, url: &str, at: OffsetDateTime) -> Result<(), DatabaseError> {
        let sql = "INSERT INTO gone_endpoints (name, url, gone_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET url = excluded.url, gone_at = excluded.gone_at";
        on_pool!(self, write connection => sqlx::query(sql).bind(endpoint).bind(url).bind(Instant(at)).execute(connection).await.map(drop))?;
        Ok(())
    }

    /// Since when an endpoint wants nothing more at this URL.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn endpoint_gone_since(&self, endpoint: &str, url: &str) -> Result<Option<OffsetDateTime>, DatabaseError> {
        let sql = "SELECT gone_at FROM gone_endpoints WHERE name = $1 AND url = $2";
        let gone: Option<Instant> =
            on_pool!(self, read connection => sqlx::query_scalar(sql).bind(endpoint).bind(url).fetch_optional(connection).await)?;
        Ok(gone.map(|at| at.0))
    }

    /// Forgets that an endpoint was gone; `false` when it was not.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn endpoint_is_back(&self, endpoint: &str) -> Result<bool, DatabaseError> {
        let sql = "DELETE FROM gone_endpoints WHERE name = $1";
        let back =
            on_pool!(self, write connection => sqlx::query(sql).bind(endpoint).execute(connection).await.map(|r| r.rows_affected()))?;
        Ok(back == 1)
    }
}
