//! The files of a ticket with the posts that they belong to.

use std::collections::BTreeMap;

use serde_json::json;
use sqlx::AssertSqlSafe;

use super::binding::{Bound, bind_all};
use super::file_row::{COLUMNS, FileRow};
use super::selection::{Selected, Statement};
use super::tickets::post_of;
use super::{Database, DatabaseError, Engine, Holding, on_pool};
use crate::domain::{Attachment, File, FileId, FileState, PostId, Tenant, TicketId};

#[derive(sqlx::FromRow)]
struct AttachmentRow {
    #[sqlx(flatten)]
    file: FileRow,
    post_id: i64,
}

impl Database {
    /// A page of the active files of a ticket, or of one of its posts.
    ///
    /// Those behind that number, lowest first, at most `limit`. Of the selection nothing counts but whose files they are and on which ticket.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn attachments(
        &self,
        selected: &Selected<'_>,
        post: Option<PostId>,
        after: FileId,
        limit: u32,
        holding: &Holding,
    ) -> Result<Vec<Attachment>, DatabaseError> {
        let Some(ticket) = selected.ticket else { return Ok(Vec::new()) };
        let mut statement = Statement::new(self.dialect());
        let (active, tenant) = statement.in_state(selected, FileState::Active);
        // In the order of the ticket's files, which are looked up one by one until there are enough.
        let (ticket, after) = (statement.bind(Bound::Number(ticket.0)), statement.bind(Bound::Number(after.0)));
        let of_post = post.map(|post| format!(" AND post_id = {}", statement.bind(Bound::Number(post.0)))).unwrap_or_default();
        let (maker, types) = (statement.of_maker(selected), statement.of_types(selected));
        let limit = statement.bind(Bound::Number(limit.into()));
        let sql = AssertSqlSafe(format!(
            "SELECT {COLUMNS}, post_id FROM files JOIN (SELECT file_id, post_id FROM ticket_files WHERE tenant = {tenant} \
             AND ticket_id = {ticket} AND file_id > {after}{of_post}) AS on_ticket ON id = file_id \
             WHERE {active}{maker}{types} ORDER BY file_id LIMIT {limit}"
        ));
        let bound = &statement.bound;
        let rows: Vec<AttachmentRow> =
            on_pool!(self, read holding, connection => bind_all!(sqlx::query_as(sql), bound).fetch_all(connection).await)?;
        rows.into_iter().map(|row| Ok(Attachment { file: File::try_from(row.file)?, post: post_of(row.post_id) })).collect()
    }

    /// To which posts of a ticket these files belong; nothing of those that belong to none.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn posts_of(&self, tenant: &Tenant, ticket: TicketId, files: &[FileId]) -> Result<BTreeMap<FileId, PostId>, DatabaseError> {
        let those = match &self.engine {
            Engine::Sqlite { .. } => "IN (SELECT value FROM json_each($3))",
            Engine::Postgres(_) => "= ANY(ARRAY(SELECT json_array_elements_text($3::json)::bigint))",
        };
        let sql = AssertSqlSafe(format!(
            "SELECT file_id, post_id FROM ticket_files WHERE tenant = $1 AND ticket_id = $2 AND file_id {those} AND post_id > 0"
        ));
        let ids = json!(files.iter().map(|id| id.0).collect::<Vec<_>>()).to_string();
        let rows: Vec<(i64, i64)> = on_pool!(self, read connection => {
            sqlx::query_as(sql).bind(tenant.as_str()).bind(ticket.0).bind(&ids).fetch_all(connection).await
        })?;
        Ok(rows.into_iter().filter_map(|(file, post)| Some((FileId(file), post_of(post)?))).collect())
    }
}
