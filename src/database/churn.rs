//! Changes that can be made to one file over and over. Each leaves a line in the audit log, and some an event for each endpoint: so many
//! are taken in an hour.

use std::time::Duration;

use time::OffsetDateTime;

use super::instant::Instant;
use crate::domain::{Action, File};

pub(super) const HOUR: time::Duration = time::Duration::HOUR;

/// How often one file may be named anew within an hour, and how often brought back. Deleting is never refused: it takes a file that was
/// brought back.
const MOST: i64 = 60;

/// How often one file may be put on tickets: some mails go to hundreds.
const MOST_ATTACHED: i64 = 600;

/// How often that was done to that file after `$3`, and when first. No more lines of a file than these can be of one hour, unless it is
/// taken off tickets that it was put on before.
pub(super) const RECENT: &str = "SELECT COUNT(*), MIN(at) FROM (SELECT action, at FROM audit_log WHERE file_id = $1 ORDER BY -id LIMIT 2000) \
                                 AS latest WHERE action = $2 AND at > $3";

/// What came of a change that a file takes only so often.
#[derive(Debug)]
pub enum Changed {
    /// The file as it is now.
    Done(Box<File>),
    /// Nothing: the file is not as it was seen.
    Outdated,
    /// Nothing: it was done too often within the last hour. After this time it can be done once more.
    TooOften(Duration),
}

/// How long the change has to wait, before it is written down in its transaction; `None` where it need not.
macro_rules! wait {
    ($transaction:expr, $change:expr) => {{
        let change: &$crate::domain::Change<'_> = $change;
        let recent: (i64, Option<$crate::database::instant::Instant>) = sqlx::query_as($crate::database::churn::RECENT)
            .bind(change.file.id.0)
            .bind(change.action.as_str())
            .bind($crate::database::instant::Instant(change.at - $crate::database::churn::HOUR))
            .fetch_one(&mut *$transaction)
            .await?;
        $crate::database::churn::left(recent, change.action, change.at)
    }};
}
pub(super) use wait;

pub(super) fn left((times, first): (i64, Option<Instant>), action: Action, now: OffsetDateTime) -> Option<Duration> {
    let most = if action == Action::Attached { MOST_ATTACHED } else { MOST };
    let first = first.filter(|_| times >= most)?;
    // A clock that was ahead shall hold nobody up for longer.
    Some((first.0 + HOUR - now).clamp(time::Duration::SECOND, HOUR).unsigned_abs())
}
