//! What an operator asks: whether the broker can work, and how far behind it is.

use std::time::Instant;

use time::OffsetDateTime;
use tokio::time::timeout;

use super::Broker;
use crate::database::{Load, Unfit};
use crate::metrics::{Backlog, Gauges};

/// How long database and bucket may take to say that they are there.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(3);

/// How each sentence about it begins.
const DATABASE: &str = "the database";

/// For how long an answer is everybody's: whoever asks, database and bucket are asked about once a second.
const SAME_ANSWER: std::time::Duration = std::time::Duration::from_secs(1);

impl Broker {
    /// What is missing, one sentence each; none when all is well.
    ///
    /// It is asked often and must not wait for as long as a use case may. Who asks while another does waits for the same answer.
    pub async fn missing(&self) -> Vec<String> {
        let mut missing = {
            let mut seen = self.seen_missing.lock().await;
            match &*seen {
                Some((at, missing)) if at.elapsed() < SAME_ANSWER => missing.clone(),
                _ => {
                    let missing = self.look_what_is_missing().await;
                    *seen = Some((Instant::now(), missing.clone()));
                    missing
                }
            }
        };
        if !self.database.takes_writes() && !missing.iter().any(|what| what.starts_with(DATABASE)) {
            missing.insert(0, format!("{DATABASE} takes no writes"));
        }
        missing
    }

    async fn look_what_is_missing(&self) -> Vec<String> {
        let database = async { timeout(TIMEOUT, self.database.unfit(&self.storage)).await };
        let bucket = async { timeout(TIMEOUT, self.bucket.ping()).await.is_ok_and(|answer| answer.is_ok()) };
        let (database, bucket) = tokio::join!(database, bucket);
        let database = match database {
            Ok(Ok(None)) => None,
            Ok(Ok(Some(Unfit::File))) => Some(format!("{DATABASE} file was removed or replaced: put it back, or restart the broker")),
            Ok(Ok(Some(Unfit::Tables))) => Some(format!("{DATABASE} lacks migrations: restart the broker")),
            Ok(Ok(Some(Unfit::Storage(bound)))) => Some(format!("{DATABASE} is about {bound}, not {}", self.storage)),
            Ok(Err(_)) | Err(_) => Some(format!("{DATABASE} is not available")),
        };
        database.into_iter().chain((!bucket).then(|| "the bucket is not available".to_owned())).collect()
    }

    /// What is measured when somebody asks for it. A database that is away leaves out what only it knows.
    pub async fn gauges(&self, now: OffsetDateTime) -> Gauges {
        let (oldest, backlog) = tokio::join!(timeout(TIMEOUT, self.database.oldest_due()), timeout(TIMEOUT, self.database.backlog()));
        let (oldest, backlog) = (oldest.ok().and_then(Result::ok), backlog.ok().and_then(Result::ok));
        let lag = |due: Option<OffsetDateTime>| due.map_or(std::time::Duration::ZERO, |due| (now - due).try_into().unwrap_or_default());
        let Load { in_use, idle, most, queued } = self.database.load();
        Gauges {
            in_use,
            idle,
            most,
            queued,
            expired_lag: oldest.map(|oldest| lag(oldest.expired.map(|end| end + self.grace))),
            doomed_lag: oldest.map(|oldest| lag(oldest.doomed)),
            outbox: backlog.map(|kept| Backlog { waiting: kept.waiting, oldest: lag(kept.oldest), dead: kept.dead }),
        }
    }
}
