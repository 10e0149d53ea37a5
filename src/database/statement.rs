//! What is asked on one connection, within its time.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;

use crate::metrics::{self, Statement};
use crate::trace;

/// How long a caller waits for a free connection, or SQLite for another writer.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection may take for all that one method does on it. Postgres itself gives up a little sooner.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(7);

/// What somebody holds until the database is done with what they asked, also when they are gone by then.
pub type Holding = Arc<dyn Any + Send + Sync>;

/// Runs `body`, which ends in a `Result<_, sqlx::Error>`; a connection that does not answer is never used again.
///
/// What is written is a change unless it says `@Read` or, for temp records, `@Slips`: times are counted by that. With a [`Holding`], the
/// statement is stopped when whoever asked is gone, and that is held until it has.
macro_rules! within_time {
    ($pool:expr, $connection:ident => $body:expr) => {
        $crate::database::statement::within_time!(@Write $pool, $connection => $body)
    };
    (@$kind:ident $pool:expr, $connection:ident => $body:expr) => {
        $crate::database::statement::within_time!(@$kind $pool, None::<&$crate::database::statement::Holding>, $connection => $body)
    };
    (@$kind:ident $pool:expr, $holding:expr, $connection:ident => $body:expr) => {{
        let connecting = $crate::metrics::connecting();
        let acquired = $pool.acquire().await;
        drop(connecting);
        let answer = match $crate::database::statement::counted(acquired) {
            Ok(mut held) => {
                if let Some(holding) = $holding {
                    $crate::database::statement::Lent::stoppable(&mut held, holding.clone());
                }
                let work = async {
                    let $connection = $crate::database::statement::Lent::connection(&mut held)?;
                    $body
                };
                match $crate::database::statement::in_time($crate::metrics::Statement::$kind, work).await {
                    Some(Ok(answer)) => {
                        $crate::database::statement::Lent::answered(held);
                        Ok(answer)
                    }
                    Some(Err(error)) => {
                        $crate::database::statement::Lent::failed(held);
                        Err(error)
                    }
                    None => {
                        $crate::database::statement::Lent::give_up(held);
                        Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))
                    }
                }
            }
            Err(error) => Err(error),
        };
        $pool.writes().note($crate::metrics::Statement::$kind, &answer);
        answer
    }};
}
pub(super) use within_time;

/// A connection that somebody has for a while.
pub(super) trait Lent {
    type Connection;

    /// To work on.
    fn connection(&mut self) -> Result<&mut Self::Connection, sqlx::Error>;

    /// When its caller goes away, it leaves what it is doing, and that is held until then.
    fn stoppable(&mut self, _holding: Holding) {}

    /// It did what it was asked.
    fn answered(self);

    /// It answered that it could not.
    fn failed(self);

    /// It does not answer: nobody knows what it is doing, so it is never used again.
    fn give_up(self);
}

pub(super) async fn in_time<T>(kind: Statement, work: impl Future<Output = Result<T, sqlx::Error>>) -> Option<Result<T, sqlx::Error>> {
    let timed = metrics::statement(kind);
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, work.instrument(trace::database(kind.name()))).await.ok();
    drop(timed);
    if !matches!(answer, Some(Ok(_))) {
        metrics::database_failed();
    }
    answer
}

/// Counts what failed.
pub(super) fn counted<T>(answer: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
    if answer.is_err() {
        metrics::database_failed();
    }
    answer
}
