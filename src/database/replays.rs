//! Events that are sent again, or sooner than they would be.

use sqlx::Connection as _;
use time::OffsetDateTime;

use super::instant::Instant;
use super::{Database, DatabaseError, on_pool};

/// Which events are to be sent again.
#[derive(Debug, Clone)]
pub enum Replay {
    /// This one.
    Event(String),
    /// Those that were given up.
    Dead,
    /// Those that happened then or later, whether they arrived or not.
    Since(OffsetDateTime),
}

/// How many events are made pending again in one transaction.
const AT_ONCE: i64 = 100;

/// Makes events due as if they had never been tried.
const AGAIN: &str = "UPDATE events SET state = 'pending', attempts = 0, next_attempt_at = $1, leased_until = NULL, finished_at = NULL";

/// Whoever sends an event now writes down what comes of it.
const FREE: &str = "(leased_until IS NULL OR leased_until <= $1)";

/// One that is sent again.
#[derive(sqlx::FromRow)]
struct Again {
    id: i64,
    created_at: Instant,
    file_id: i64,
    endpoint: String,
}

impl Database {
    /// Has events sent now that arrived, were given up or wait for their time, to one endpoint or to all they went to; answers how
    /// many. Those of a file keep their order, and what waits behind one of them is due with it. What is being sent stays as it is.
    ///
    /// # Errors
    /// See [`DatabaseError`]; some of them may be sent again then.
    pub async fn replay_events(&self, replay: &Replay, endpoint: Option<&str>, now: OffsetDateTime) -> Result<u64, DatabaseError> {
        let (mut replayed, mut after) = (0, (OffsetDateTime::UNIX_EPOCH, 0_i64));
        loop {
            let rows = self.replay_some(replay, endpoint, now, after).await?;
            replayed += rows.len() as u64;
            let full = rows.len() as u64 == AT_ONCE.unsigned_abs();
            let last = match replay {
                Replay::Event(_) => None,
                Replay::Dead => rows.iter().map(|row| (OffsetDateTime::UNIX_EPOCH, row.id)).max(),
                Replay::Since(_) => rows.iter().map(|row| (row.created_at.0, row.id)).max(),
            };
            match last {
                Some(last) if full => after = last,
                _ => break,
            }
        }
        self.announce();
        Ok(replayed)
    }

    /// The next of them beyond `after`, by time and number.
    async fn replay_some(
        &self,
        replay: &Replay,
        endpoint: Option<&str>,
        now: OffsetDateTime,
        after: (OffsetDateTime, i64),
    ) -> Result<Vec<Again>, DatabaseError> {
        let skip = self.skip_locked();
        let which = match replay {
            Replay::Event(_) => format!("event_id = $2 AND {FREE} AND (endpoint = $3 OR $3 IS NULL)"),
            Replay::Dead => format!(
                "id IN (SELECT id FROM events WHERE state = 'dead' AND -id < $2 AND (endpoint = $3 OR $3 IS NULL) \
                 ORDER BY -id DESC LIMIT $4 {skip})"
            ),
            Replay::Since(_) => format!(
                "id IN (SELECT id FROM events WHERE created_at >= $2 AND (created_at > $2 OR id > $5) AND {FREE} \
                 AND (endpoint = $3 OR $3 IS NULL) ORDER BY created_at, id LIMIT $4 {skip})"
            ),
        };
        let sql = sqlx::AssertSqlSafe(format!("{AGAIN} WHERE {which} RETURNING id, created_at, file_id, endpoint"));
        // They were put off when what they wait for was.
        let followers = format!(
            "UPDATE events SET next_attempt_at = $1 WHERE file_id = $2 AND -id < $3 AND endpoint = $4 AND state = 'pending' \
             AND next_attempt_at > $1 AND {FREE}"
        );
        let rows: Vec<Again> = on_pool!(self, write connection => {
            let mut transaction = connection.begin().await?;
            let query = sqlx::query_as(sql).bind(Instant(now));
            let query = match replay {
                Replay::Event(event_id) => query.bind(event_id).bind(endpoint),
                Replay::Dead => query.bind(-after.1).bind(endpoint).bind(AT_ONCE),
                Replay::Since(since) => query.bind(Instant(after.0.max(*since))).bind(endpoint).bind(AT_ONCE).bind(after.1),
            };
            let rows: Vec<Again> = query.fetch_all(&mut *transaction).await?;
            for row in &rows {
                let query = sqlx::query(sqlx::AssertSqlSafe(followers.clone())).bind(Instant(now)).bind(row.file_id).bind(-row.id).bind(&row.endpoint);
                query.execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
            Ok(rows)
        })?;
        Ok(rows)
    }
}
