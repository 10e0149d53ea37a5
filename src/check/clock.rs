//! What time it is for all checks.

use time::OffsetDateTime;

pub(super) fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}
