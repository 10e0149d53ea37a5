//! Attachments of a ticket: all of them, those of one post, and one with its bytes.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, Method, Response, header};
use futures_util::stream::{self, TryStreamExt as _};
use futures_util::{Stream, StreamExt as _};

use super::auth::Signed;
use super::numbers::{file, post, ticket};
use super::response::{self as xml, Contents, XML};
use crate::api::http::downloads::of_unknown_length;
use crate::api::http::downloads::places::{Link, What};
use crate::api::http::openapi::{AnyCall, AnyFile};
use crate::api::http::streamed::{Segment, Streamed, body, text_body};
use crate::api::http::{AppState, Fault};
use crate::broker::BrokerError;
use crate::domain::{Attachment, PostId, TicketId};

/// List a ticket's attachments
///
/// Those that the key may read, of whatever dialect, lowest number first, without their bytes. A ticket that nobody attached to has none.
#[utoipa::path(
    get,
    path = "/Tickets/TicketAttachment/ListAll/{ticketid}",
    operation_id = "classicListAttachments",
    params(("ticketid" = i64, Path, minimum = 1, description = "The ticket's number.")),
    responses(
        (status = 200, body = inline(String), content_type = "text/xml; charset=utf-8", description = "`attachments`, each an `attachment` with `id`, `ticketid`, `ticketpostid`, `filename`, `filesize`, `filetype` and `dateline`."),
        AnyFile, AnyCall
    )
)]
pub(super) async fn list(State(state): State<AppState>, Path(of_ticket): Path<String>, signed: Signed) -> Result<Response<Body>, Fault> {
    let ticket = ticket(&of_ticket).ok_or(Fault::NotFound)?;
    several(&state, signed, ticket, None, Contents::Left).await
}

/// List a post's attachments
///
/// With their bytes, which are written while they are read from the bucket, one file after the other.
#[utoipa::path(
    get,
    path = "/Tickets/TicketPost/ListAll/{ticketid}/{ticketpostid}",
    operation_id = "classicListPostAttachments",
    params(
        ("ticketid" = i64, Path, minimum = 1, description = "The ticket's number."),
        ("ticketpostid" = i64, Path, minimum = 1, description = "The number of one of its posts."),
    ),
    responses(
        (status = 200, body = inline(String), content_type = "text/xml; charset=utf-8", description = "The same, each with `contents` as base64."),
        AnyFile, AnyCall
    )
)]
pub(super) async fn list_post(
    State(state): State<AppState>,
    Path((of_ticket, of_post)): Path<(String, String)>,
    signed: Signed,
) -> Result<Response<Body>, Fault> {
    let (ticket, post) = ticket(&of_ticket).zip(post(&of_post)).ok_or(Fault::NotFound)?;
    several(&state, signed, ticket, Some(post), Contents::Shown).await
}

/// Read an attachment
///
/// With its bytes as base64. On another ticket it is not found.
#[utoipa::path(
    get,
    path = "/Tickets/TicketAttachment/{ticketid}/{id}",
    operation_id = "classicReadAttachment",
    params(
        ("ticketid" = i64, Path, minimum = 1, description = "The ticket's number."),
        ("id" = i64, Path, minimum = 1, description = "The attachment's number, which is the file's in every dialect."),
    ),
    responses(
        (status = 200, body = inline(String), content_type = "text/xml; charset=utf-8", description = "`attachments` with this one, and its `contents`."),
        AnyFile, AnyCall
    )
)]
pub(super) async fn read(
    State(state): State<AppState>,
    Path((of_ticket, id)): Path<(String, String)>,
    signed: Signed,
) -> Result<Response<Body>, Fault> {
    let (ticket, id) = ticket(&of_ticket).zip(file(&id)).ok_or(Fault::NotFound)?;
    let Signed { caller, parts } = signed;
    let attachment = state.broker.attachment(&caller, ticket, id).await?;
    let mut text = Streamed::default();
    text.push(&xml::open());
    xml::attachment(&mut text, ticket, &attachment, Contents::Shown);
    text.push(xml::close());
    let link = Link { tenant: caller.tenant, actor: Some(caller.actor), what: What::File(id) };
    text.answer(&state, link, &parts, XML).await
}

/// Attachments as they are read from the database, page by page.
async fn several(
    state: &AppState,
    signed: Signed,
    ticket: TicketId,
    post: Option<PostId>,
    contents: Contents,
) -> Result<Response<Body>, Fault> {
    let Signed { caller, parts } = signed;
    let link = Link { tenant: caller.tenant.clone(), actor: Some(caller.actor), what: What::Archive(ticket) };
    let mut found = Box::pin(state.broker.attachments(caller, ticket, post));
    // What cannot even begin is a refusal.
    let Some(first) = found.try_next().await? else { return Ok(xml::answer(xml::none())) };
    let written = written(stream::iter([Ok(first)]).chain(found), ticket, contents);
    let body = match contents {
        _ if parts.method == Method::HEAD => of_unknown_length(),
        Contents::Shown => body(state, link, &parts.extensions, written).await?,
        Contents::Left => text_body(state, written),
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(XML));
    Ok(response)
}

fn written(
    found: impl Stream<Item = Result<Attachment, BrokerError>> + Send + 'static,
    ticket: TicketId,
    contents: Contents,
) -> impl Stream<Item = Result<Segment, BrokerError>> + Send + 'static {
    let text = |text: String| stream::iter([Ok(Segment::Text(text.into()))]);
    let each = found.map_ok(move |attachment| {
        let mut text = Streamed::default();
        xml::attachment(&mut text, ticket, &attachment, contents);
        stream::iter(text.into_segments().into_iter().map(Ok))
    });
    text(xml::open()).chain(each.try_flatten()).chain(text(xml::close().to_owned()))
}
