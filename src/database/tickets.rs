//! Which files are attached to which tickets.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::Connection as _;
use time::OffsetDateTime;

use super::audit_log::{record, unreadable};
use super::churn;
use super::file_row::{COLUMNS, FileRow};
use super::instant::Instant;
use super::{Database, DatabaseError, Engine, on_pool};
use crate::domain::{Action, By, Change, File, FileId, Origin, Tenant, TicketId};
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

impl Database {
    /// Attaches active files to a ticket, all or none; those that are attached already stay as they are.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn attach(
        &self,
        tenant: &Tenant,
        ticket: TicketId,
        files: &[FileId],
        most: u32,
        by: impl Into<By>,
        at: OffsetDateTime,
    ) -> Result<Attached, DatabaseError> {
        let by = by.into();
        let insert = "INSERT INTO ticket_files (tenant, ticket_id, file_id, added_at, added_by_id, added_by_kind) \
            VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, ticket_id, file_id) DO NOTHING";
        // One at a time for each ticket, so that nobody fills it up meanwhile. SQLite has one writer anyway.
        let turn = matches!(self.engine, Engine::Postgres(_)).then_some("SELECT pg_advisory_xact_lock(hashtextextended($1, $2))");
        // Who is held does not end by itself any more. It also keeps the file from being deleted before this has ended.
        let active = format!("UPDATE files SET keep_until = NULL WHERE id = $1 AND tenant = $2 AND state = 'active' RETURNING {COLUMNS}");
        let count = "SELECT COUNT(*) FROM ticket_files WHERE tenant = $1 AND ticket_id = $2";
        // In an order that is the same for all who attach: no deadlock.
        let files: BTreeSet<FileId> = files.iter().copied().collect();
        on_pool!(self, write connection => {
            let mut transaction = connection.begin().await?;
            if let Some(turn) = turn {
                sqlx::query(turn).bind(tenant.as_str()).bind(ticket.0).execute(&mut *transaction).await?;
            }
            for id in &files {
                let query = sqlx::query_as(sqlx::AssertSqlSafe(active.clone())).bind(id.0).bind(tenant.as_str());
                let row: Option<FileRow> = query.fetch_optional(&mut *transaction).await?;
                let Some(file) = row.map(File::try_from).transpose().map_err(unreadable)? else {
                    transaction.rollback().await?;
                    return Ok(Attached::Gone(*id));
                };
                let query = sqlx::query(insert).bind(tenant.as_str()).bind(ticket.0).bind(id.0).bind(Instant(at));
                let done = query.bind(by.actor.id).bind(by.actor.kind.as_str()).execute(&mut *transaction).await?;
                if done.rows_affected() > 0 {
                    let change = Change::new(&file, Action::Attached, Origin::Request(by), at).with("ticket", ticket.0);
                    if let Some(wait) = churn::wait!(transaction, &change) {
                        transaction.rollback().await?;
                        return Ok(Attached::TooOften(wait));
                    }
                    record!(self, transaction, &change);
                    failpoint::reach("attach: one recorded");
                }
            }
            let now: i64 = sqlx::query_scalar(count).bind(tenant.as_str()).bind(ticket.0).fetch_one(&mut *transaction).await?;
            if now > i64::from(most) {
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
        let delete = "DELETE FROM ticket_files WHERE tenant = $1 AND ticket_id = $2 AND file_id = $3";
        let find = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM files WHERE id = $1 AND tenant = $2"));
        on_pool!(self, write connection => {
            let mut transaction = connection.begin().await?;
            let query = sqlx::query(delete).bind(tenant.as_str()).bind(ticket.0).bind(file.0);
            if query.execute(&mut *transaction).await?.rows_affected() == 0 {
                transaction.rollback().await?;
                return Ok(false);
            }
            // A file that is on a ticket has a record.
            let row: FileRow = sqlx::query_as(find).bind(file.0).bind(tenant.as_str()).fetch_one(&mut *transaction).await?;
            let file = File::try_from(row).map_err(unreadable)?;
            record!(self, transaction, &Change::new(&file, Action::Detached, Origin::Request(by), at).with("ticket", ticket.0));
            transaction.commit().await?;
            Ok(true)
        })
        .map_err(DatabaseError::from)
    }

    /// Whether a file is attached to a ticket.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn is_attached(&self, tenant: &Tenant, ticket: TicketId, file: FileId) -> Result<bool, DatabaseError> {
        let sql = "SELECT COUNT(*) FROM ticket_files WHERE tenant = $1 AND ticket_id = $2 AND file_id = $3";
        let found: i64 = on_pool!(self, read connection => {
            sqlx::query_scalar(sql).bind(tenant.as_str()).bind(ticket.0).bind(file.0).fetch_one(connection).await
        })?;
        Ok(found > 0)
    }
}
