//! `POST /Tickets/TicketAttachment`: a file with its bytes, or one that was uploaded before, on a post of a ticket.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, Response, header};
use axum::response::IntoResponse as _;
use time::OffsetDateTime;

use super::errors::About;
use super::fields::field_name;
use super::hook;
use super::incoming::Incoming;
use super::numbers::{self, HIGHEST};
use super::paths::{CONTROLLER, Call};
use super::request::{Arguments, MUST_BE_SET};
use super::response::{self as xml, Contents};
use crate::api::http::field_errors::FieldErrors;
use crate::api::http::openapi::{AnyCall, AnyFile, WithForm};
use crate::api::http::streamed::Streamed;
use crate::api::http::{AppState, Fault, to_its_end};
use crate::broker::{AttachError, BrokerError, Described, Receiving};
use crate::domain::{Attachment, Caller, FileId, FileName, TicketPlace};

const FILE_ID: &str = "fileid";
const FILE_NAME: &str = "filename";
const CONTENTS: &str = "contents";

/// Add an attachment to a post
///
/// A form with the bytes as base64, or with the number of a file that was uploaded before: then the broker carries no bytes. The fields come in
/// any order; `apikey`, `salt` and `signature` may be among them.
#[utoipa::path(
    post,
    path = "/Tickets/TicketAttachment",
    operation_id = "classicCreateAttachment",
    request_body(content = NewAttachmentBody, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = inline(String), content_type = "text/xml; charset=utf-8", description = "`attachments` with the new one, without its bytes."),
        (status = 400, body = inline(String), content_type = "text/plain; charset=utf-8", description = "Something is missing, the file type does not take the file, or its bytes are not what its name says: a line for each."),
        WithForm, AnyFile, AnyCall
    )
)]
pub(super) async fn create(State(state): State<AppState>, request: Request) -> Result<Response<Body>, Fault> {
    let (parts, body) = request.into_parts();
    let incoming = Incoming::read(&state, &parts, body).await?;
    attached(&state, incoming).await
}

/// The same where the path of the call stands in its body.
pub(super) async fn by_body(State(state): State<AppState>, request: Request) -> Result<Response<Body>, Fault> {
    let (parts, body) = request.into_parts();
    if parts.method != Method::POST {
        return Err(Fault::NotFound);
    }
    let incoming = Incoming::read(&state, &parts, body).await?;
    match incoming.arguments.one(CONTROLLER)?.and_then(Call::named).ok_or(Fault::NotFound)? {
        Call::Attach => attached(&state, incoming).await,
        Call::Test => Ok(hook::good()),
        Call::Other(allowed) => Ok(other_method(allowed)),
    }
}

fn other_method(allowed: &'static str) -> Response<Body> {
    let mut response = Fault::MethodNotAllowed.into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

/// What a form says of an attachment, beside its bytes.
struct New {
    place: TicketPlace,
    what: What,
}

enum What {
    Bytes(Box<Receiving>, FileName),
    File(FileId),
}

impl New {
    fn of(arguments: &Arguments, receiving: Option<Receiving>) -> Result<Self, Fault> {
        let mut errors = FieldErrors::new();
        let (must_be, any) = (format!("must be a whole number from 1 to {HIGHEST}"), "");
        let ticket = arguments.set("ticketid", numbers::ticket, &must_be, &mut errors)?;
        let post = arguments.set("ticketpostid", numbers::post, &must_be, &mut errors)?;
        let is_there = arguments.one(FILE_ID)?.is_some_and(|id| !id.trim().is_empty());
        let what = match (receiving, is_there) {
            (receiving, true) => {
                if receiving.is_some() {
                    errors.add(FILE_ID, "must not be set beside contents");
                }
                arguments.set(FILE_ID, numbers::file, &must_be, &mut errors)?.map(What::File)
            }
            (Some(receiving), false) => {
                let name = arguments.set(FILE_NAME, |name| Some(FileName::sanitized(name)), any, &mut errors)?;
                name.map(|name| What::Bytes(Box::new(receiving), name))
            }
            (None, false) => {
                arguments.set(FILE_NAME, |_| Some(()), any, &mut errors)?;
                errors.add(CONTENTS, MUST_BE_SET);
                None
            }
        };
        let (Some(ticket), Some(post), Some(what), true) = (ticket, post, what, errors.is_empty()) else {
            return Err(Fault::Invalid(errors));
        };
        Ok(Self { place: TicketPlace { ticket, post: Some(post) }, what })
    }
}

async fn attached(state: &AppState, incoming: Incoming) -> Result<Response<Body>, Fault> {
    let Incoming { caller, arguments, receiving } = incoming;
    state.broker.may_attach(&caller)?;
    let New { place, what } = New::of(&arguments, receiving)?;
    let most = state.broker.max_received();
    let attachment = match what {
        What::Bytes(mut receiving, name) => {
            let ended = receiving.end(Described { name, declared_type: None, md5: None }).await;
            ended.map_err(|error| Fault::from(error).of_content(most))?;
            let claimed = to_its_end(async move { receiving.claim_on(place).await.map_err(unattached) }).await;
            let claimed = claimed.map_err(|fault| fault.of_content(most))?;
            let file = claimed.into_iter().next().ok_or_else(|| Fault::Internal("no file was claimed".to_owned()))?;
            Attachment { file, post: place.post }
        }
        What::File(id) => match uploaded_before(state, &caller, place, id).await {
            // Which of the numbers it is that leads nowhere.
            Err(Fault::NotFound) => {
                let mut response = Fault::NotFound.into_response();
                response.extensions_mut().insert(About(FILE_ID));
                return Ok(response);
            }
            attached => attached?,
        },
    };
    let mut text = Streamed::default();
    text.push(&xml::open());
    xml::attachment(&mut text, place.ticket, &attachment, Contents::Left);
    text.push(xml::close());
    Ok(xml::answer(text.into_text()))
}

/// The direct path: the bytes went to the bucket before, without the broker.
async fn uploaded_before(state: &AppState, caller: &Caller, place: TicketPlace, id: FileId) -> Result<Attachment, Fault> {
    let (broker, asking) = (state.broker.clone(), caller.clone());
    to_its_end(async move { broker.attach(&asking, place, &[id], OffsetDateTime::now_utc()).await.map_err(unattached) }).await?;
    Ok(state.broker.attachment(caller, place.ticket, id).await?)
}

fn unattached(error: AttachError) -> Fault {
    match error {
        AttachError::Broker(error) => error.into(),
        AttachError::NotFound(_) => Fault::NotFound,
        AttachError::TooMany(most) => {
            Fault::Conflict(FieldErrors::one("ticketid", format!("must be that of a ticket with fewer than {most} files")))
        }
        AttachError::Unconfirmed(files) => files.into_iter().next().map_or(Fault::NotFound, |(_, error)| {
            let must_be = |what: String| Fault::Conflict(FieldErrors::one(FILE_ID, what));
            match error {
                BrokerError::NotUploaded => must_be("must be that of a file whose bytes were uploaded".to_owned()),
                BrokerError::Refused(complaints) => must_be(format!("is not what was granted: {}", complaints.spelled(field_name))),
                BrokerError::Conflict(complaints) => must_be(format!("is no good: {}", complaints.spelled(field_name))),
                other => other.into(),
            }
        }),
    }
}

// ---- what is documented of the body ----

/// An attachment, with its bytes or with the number of its file.
#[derive(utoipa::ToSchema)]
#[schema(as = ClassicNewAttachment)]
#[expect(dead_code, reason = "the schema of what is read piece by piece")]
pub(super) struct NewAttachmentBody {
    #[schema(minimum = 1)]
    ticketid: i64,
    #[schema(minimum = 1)]
    ticketpostid: i64,
    /// Its name; it is cleaned. Not looked at beside `fileid`.
    #[schema(nullable = false)]
    filename: Option<String>,
    /// Its bytes as base64; line breaks are passed over, and a space counts as a plus.
    #[schema(nullable = false)]
    contents: Option<String>,
    /// A file that was uploaded by a slip, in place of `contents`.
    #[schema(nullable = false, minimum = 1)]
    fileid: Option<i64>,
}
