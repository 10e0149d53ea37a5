//! Taking an attachment off its ticket.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::Response;
use time::OffsetDateTime;

use super::auth::Signed;
use super::numbers::{file, ticket};
use super::response as xml;
use crate::api::http::openapi::{AnyCall, AnyFile};
use crate::api::http::{AppState, Fault, to_its_end};

/// Delete an attachment
///
/// It is off the ticket, and deleted when nothing else holds the file; then it can be restored through `/v2`. The second time it is not found.
#[utoipa::path(
    delete,
    path = "/Tickets/TicketAttachment/{ticketid}/{id}",
    operation_id = "classicDeleteAttachment",
    params(
        ("ticketid" = i64, Path, minimum = 1, description = "The ticket's number."),
        ("id" = i64, Path, minimum = 1, description = "The attachment's number."),
    ),
    responses(
        (status = 200, body = inline(String), content_type = "text/xml; charset=utf-8", description = "`attachments` without any."),
        AnyFile, AnyCall
    )
)]
pub(super) async fn delete(
    State(state): State<AppState>,
    Path((of_ticket, id)): Path<(String, String)>,
    signed: Signed,
) -> Result<Response<Body>, Fault> {
    let (ticket, id) = ticket(&of_ticket).zip(file(&id)).ok_or(Fault::NotFound)?;
    let (broker, caller) = (state.broker.clone(), signed.caller);
    to_its_end(async move { broker.release(&caller, ticket, id, OffsetDateTime::now_utc()).await }).await?;
    Ok(xml::answer(xml::none()))
}
