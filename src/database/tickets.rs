//! Which files are put on which tickets, and taken off.
//!
//! Whoever puts a file on a ticket, or takes one off and asks who else has it, holds the file's row meanwhile. So of two who do that at
//! once the one sees what the other did.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use sqlx::Connection as _;
use time::OffsetDateTime;

use super::audit_log::{record, unreadable};
use super::deletion::delete;
use super::file_row::{COLUMNS, FileRow};
use super::{Database, DatabaseError, Engine, on_pool};
use crate::domain::{Action, By, Change, File, FileId, Origin, PostId, Tenant, TicketId, TicketPlace};
use crate::failpoint;

/// What became of files that were to be attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attached {
    /// All of them are.
    All,
    /// None was: this one is not active any more.
    Gone(FileId),
    /// None was: the ticket would have more files than it may.
    TooMany,
    /// None was: one of them was put on tickets too often within the last hour. After this time it can be once more.
    TooOften(Duration),
}

/// What became of a file that was to be taken off a ticket, and deleted with that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// It is off, and deleted: nothing else held it.
    Deleted,
    /// It is off, and something else holds it.
    Held,
    /// It was not on that ticket, or is not active.
    Absent,
}

/// Whoever has a file put on a ticket holds its row: it is not deleted before that has ended, and does not end by itself any more.
static HOLD: LazyLock<String> =
    LazyLock::new(|| format!("UPDATE files SET keep_until = NULL WHERE id = $1 AND tenant = $2 AND state = 'active' RETURNING {COLUMNS}"));

/// A file that is on a ticket moves where a post is named, else it stays as it is.
pub(super) const PUT: &str = "INSERT INTO ticket_files (tenant, ticket_id, file_id, added_at, added_by_id, added_by_kind, post_id) \
    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant, ticket_id, file_id) DO UPDATE SET post_id = excluded.post_id \
    WHERE excluded.post_id > 0 AND ticket_files.post_id <> excluded.post_id";

const TAKE_OFF: &str = "DELETE FROM ticket_files WHERE tenant = $1 AND ticket_id = $2 AND file_id = $3 RETURNING post_id";

/// Whether anything holds a file.
const HELD: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM ticket_files WHERE file_id = $1 LIMIT 1) AS held";

pub(super) const COUNT: &str = "SELECT COUNT(*) FROM ticket_files WHERE tenant = $1 AND ticket_id = $2";

/// Waits until nobody else puts files on that ticket.
macro_rules! take_turn {
    ($transaction:expr, $turn:expr, $tenant:expr, $place:expr) => {
        if let Some(turn) = $turn {
            sqlx::query(turn).bind($tenant.as_str()).bind($place.ticket.0).execute(&mut *$transaction).await?;
        }
    };
}
pub(super) use take_turn;

/// Puts a file on a ticket, in a transaction that holds its row; how long it has to wait where that was done too often.
macro_rules! put_on {
    ($database:expr, $transaction:expr, $place:expr, $file:expr, $actor:expr, $origin:expr, $at:expr) => {{
        let (place, file, actor): ($crate::domain::TicketPlace, &$crate::domain::File, $crate::domain::Actor) = ($place, $file, $actor);
        let put = sqlx::query($crate::database::tickets::PUT).bind(file.tenant.as_str()).bind(place.ticket.0).bind(file.id.0);
        let put = put.bind($crate::database::instant::Instant($at)).bind(actor.id).bind(actor.kind.as_str());
        let put = put.bind(place.post.map_or(0, |post| post.0)).execute(&mut *$transaction).await?;
        let mut wait = None;
        if put.rows_affected() > 0 {
            let change = $crate::domain::Change::new(file, $crate::domain::Action::Attached, $origin, $at);
            let change = $crate::database::tickets::with_place(change, place);
            wait = $crate::database::churn::wait!($transaction, &change);
            if wait.is_none() {
                $crate::database::audit_log::record!($database, $transaction, &change);
                $crate::failpoint::reach("attach: one recorded");
            }
        }
        wait
    }};
}
pub(super) use put_on;

/// How many files a ticket has.
macro_rules! count {
    ($transaction:expr, $tenant:expr, $place:expr) => {{
        let count = sqlx::query_scalar::<_, i64>($crate::database::tickets::COUNT).bind($tenant.as_str()).bind($place.ticket.0);
        count.fetch_one(&mut *$transaction).await?
    }};
}
pub(super) use count;

/// Takes a file off a ticket; where it was on it.
macro_rules! take_off {
    ($transaction:expr, $tenant:expr, $ticket:expr, $file:expr) => {{
        let taken = sqlx::query_scalar::<_, i64>(TAKE_OFF).bind($tenant.as_str()).bind($ticket.0).bind($file.0);
        let post = taken.fetch_optional(&mut *$transaction).await?;
        post.map(|post| TicketPlace { ticket: $ticket, post: post_of(post) })
    }};
}

/// The same change, saying on which ticket and post.
pub(super) fn with_place(change: Change<'_>, place: TicketPlace) -> Change<'_> {
    let change = change.with("ticket", place.ticket.0);
    match place.post {
        Some(post) => change.with("post", post.0),
        None => change,
    }
}

/// What stands in the column `post_id`.
pub(super) fn post_of(column: i64) -> Option<PostId> {
    (column > 0).then_some(PostId(column))
}

impl Database {
    /// Attaches active files to a ticket, all or none.
    ///
    /// Those that are attached already stay as they are, or move to the post that is named.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn attach(
        &self,
        tenant: &Tenant,
        place: TicketPlace,
        files: &[FileId],
        most: u32,
        by: impl Into<By>,
        at: OffsetDateTime,
    ) -> Result<Attached, DatabaseError> {
        let by = by.into();
        let turn = self.turn();
        // In an order that is the same for all who attach: no deadlock.
        let files: BTreeSet<FileId> = files.iter().copied().collect();
        on_pool!(self, write connection => {
            let mut transaction = connection.begin().await?;
            take_turn!(transaction, turn, tenant, place);
            for id in &files {
                let query = sqlx::query_as(HOLD.as_str()).bind(id.0).bind(tenant.as_str());
                let row: Option<FileRow> = query.fetch_optional(&mut *transaction).await?;
                let Some(file) = row.map(File::try_from).transpose().map_err(unreadable)? else {
                    transaction.rollback().await?;
                    return Ok(Attached::Gone(*id));
                };
                if let Some(wait) = put_on!(self, transaction, place, &file, by.actor, Origin::Request(by), at) {
                    transaction.rollback().await?;
                    return Ok(Attached::TooOften(wait));
                }
            }
            if count!(transaction, tenant, place) > i64::from(most) {
                transaction.rollback().await?;
                return Ok(Attached::TooMany);
            }
            transaction.commit().await?;
            Ok(Attached::All)
        })
        .map_err(DatabaseError::from)
    }

    /// Takes a file off a ticket; whether it was on it.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn detach(
        &self,
        tenant: &Tenant,
        ticket: TicketId,
        file: FileId,
        by: impl Into<By>,
        at: OffsetDateTime,
    ) -> Result<bool, DatabaseError> {
        let by = by.into();
        let find = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM files WHERE id = $1 AND tenant = $2"));
        on_pool!(self, write connection => {
            let mut transaction = connection.begin().await?;
            let Some(place) = take_off!(transaction, tenant, ticket, file) else {
                transaction.rollback().await?;
                return Ok(false);
            };
            // A file that is on a ticket has a record.
            let row: FileRow = sqlx::query_as(find).bind(file.0).bind(tenant.as_str()).fetch_one(&mut *transaction).await?;
            let file = File::try_from(row).map_err(unreadable)?;
            record!(self, transaction, &with_place(Change::new(&file, Action::Detached, Origin::Request(by), at), place));
            transaction.commit().await?;
            Ok(true)
        })
        .map_err(DatabaseError::from)
    }

    /// Takes an active file off a ticket, and deletes it when nothing else holds it.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn release_file(
        &self,
        tenant: &Tenant,
        ticket: TicketId,
        file: FileId,
        by: impl Into<By>,
        at: OffsetDateTime,
    ) -> Result<Released, DatabaseError> {
        let by = by.into();
        let released = on_pool!(self, write connection => {
            let mut transaction = connection.begin().await?;
            // Its row first, as those who attach have it: no deadlock, and nobody holds it anew from here on.
            let query = sqlx::query_as(HOLD.as_str()).bind(file.0).bind(tenant.as_str());
            let row: Option<FileRow> = query.fetch_optional(&mut *transaction).await?;
            let held = row.map(File::try_from).transpose().map_err(unreadable)?;
            let place = take_off!(transaction, tenant, ticket, file);
            let (Some(held), Some(place)) = (held, place) else {
                transaction.rollback().await?;
                return Ok(Released::Absent);
            };
            record!(self, transaction, &with_place(Change::new(&held, Action::Detached, Origin::Request(by), at), place));
            failpoint::reach("release: taken off");
            let others: i64 = sqlx::query_scalar(HELD).bind(file.0).fetch_one(&mut *transaction).await?;
            let released = if others > 0 { Released::Held } else { Released::Deleted };
            if released == Released::Deleted && delete!(self, transaction, file, tenant, by, at).is_none() {
                transaction.rollback().await?;
                return Ok(Released::Absent);
            }
            transaction.commit().await?;
            Ok(released)
        })?;
        self.announce();
        Ok(released)
    }

    /// Whether a file is attached to a ticket.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn is_attached(&self, tenant: &Tenant, ticket: TicketId, file: FileId) -> Result<bool, DatabaseError> {
        Ok(self.place_of(tenant, ticket, file).await?.is_some())
    }

    /// Where on a ticket a file is; `None` when it is not on it.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn place_of(&self, tenant: &Tenant, ticket: TicketId, file: FileId) -> Result<Option<TicketPlace>, DatabaseError> {
        let sql = "SELECT post_id FROM ticket_files WHERE tenant = $1 AND ticket_id = $2 AND file_id = $3";
        let post: Option<i64> = on_pool!(self, read connection => {
            sqlx::query_scalar(sql).bind(tenant.as_str()).bind(ticket.0).bind(file.0).fetch_optional(connection).await
        })?;
        Ok(post.map(|post| TicketPlace { ticket, post: post_of(post) }))
    }

    /// How those who put files on a ticket wait for each other, so that nobody fills it up meanwhile. SQLite has one writer anyway.
    pub(super) fn turn(&self) -> Option<&'static str> {
        matches!(self.engine, Engine::Postgres(_)).then_some("SELECT pg_advisory_xact_lock(hashtextextended($1, $2))")
    }
}
