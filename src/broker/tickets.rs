//! Files on tickets: attaching, listing, taking off, and all of them in one archive.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use time::OffsetDateTime;

use super::list::{Page, PageWanted};
use super::{Broker, BrokerError, allowed, too_often};
use crate::bucket::{BucketError, ObjectBody};
use crate::database::Attached;
use crate::domain::{ActorKind, Caller, FieldErrors, File, FileId, FileState, Position, Scope, Selection, Start, TicketId};
use crate::failpoint;
use crate::zip::Archive;

/// Most files of one ticket: so many entries of an archive's directory are kept in memory while it is sent.
const MOST_ON_TICKET: u32 = 10_000;

/// How many uploads are confirmed at the same time for one request.
const CONFIRMED_AT_ONCE: usize = 4;

/// How many records are read at once for an archive.
const ARCHIVE_PAGE: u32 = 100;

/// A file to attach, and what the request calls it.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// Such as `files[1].id`: complaints are about this.
    pub place: String,
    /// The file.
    pub id: FileId,
}

impl Broker {
    /// Attaches files to a ticket, all or none; those on it already stay. What is still `temp` is confirmed first, because some clients
    /// never do.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] with every file that is not there or not the caller's; [`BrokerError::Conflict`] with every one whose bytes
    /// have not arrived; [`BrokerError::Refused`] with every one that is not what was granted. Nothing is attached then, but what could
    /// be confirmed is.
    pub async fn attach(
        self: &Arc<Self>,
        caller: &Caller,
        ticket: TicketId,
        wanted: &[Attachment],
        now: OffsetDateTime,
    ) -> Result<(), BrokerError> {
        allowed(caller, Scope::FilesWrite)?;
        let began = Instant::now();
        let clock = || now + began.elapsed();
        // Who attaches is answered the ticket's files: nothing is done for whoever may not read them.
        allowed(caller, Scope::FilesRead)?;
        changes_tickets(caller)?;
        let mut unknown = FieldErrors::new();
        let mut waiting = Vec::new();
        for Attachment { place, id } in wanted {
            match self.find(caller, *id).await {
                Ok(file) if file.state() == FileState::Active => {}
                Ok(file) if file.state() == FileState::Temp => waiting.push((place.clone(), *id)),
                Ok(_) | Err(BrokerError::NotFound) => unknown.add(place, "not found"),
                Err(error) => return Err(error),
            }
        }
        unknown.or_ok(()).map_err(BrokerError::Invalid)?;
        failpoint::reach("attach: found");
        self.confirm_all(caller, waiting, &clock).await?;
        let ids: Vec<FileId> = wanted.iter().map(|wanted| wanted.id).collect();
        match self.database.attach(&caller.tenant, ticket, &ids, MOST_ON_TICKET, caller.actor, clock()).await? {
            Attached::All => {
                failpoint::reach("attach: recorded");
                Ok(())
            }
            Attached::Gone(id) => {
                let place = wanted.iter().find(|wanted| wanted.id == id).map_or("files", |wanted| &wanted.place);
                Err(BrokerError::Invalid(FieldErrors::one(place, "not found")))
            }
            Attached::TooOften(wait) => Err(too_often(wait)),
            Attached::TooMany => {
                Err(BrokerError::Conflict(FieldErrors::one("files", format!("a ticket has {MOST_ON_TICKET} files at most"))))
            }
        }
    }

    async fn confirm_all(
        self: &Arc<Self>,
        caller: &Caller,
        waiting: Vec<(String, FileId)>,
        clock: &impl Fn() -> OffsetDateTime,
    ) -> Result<(), BrokerError> {
        let confirmed = stream::iter(waiting).map(|(place, id)| {
            let (broker, caller) = (self.clone(), caller.clone());
            async move {
                let confirmed = async {
                    let _permit = broker.may_confirm(&caller).await?;
                    broker.confirm(&caller, id, clock()).await
                };
                (place, Box::pin(confirmed).await)
            }
        });
        let mut ended = confirmed.buffered(CONFIRMED_AT_ONCE);
        let (mut refused, mut conflicts) = (FieldErrors::new(), FieldErrors::new());
        while let Some((place, outcome)) = ended.next().await {
            match outcome {
                Ok(_) => failpoint::reach("attach: one confirmed"),
                Err(BrokerError::Refused(fields)) => refused.add(&place, format!("is not what was granted: {fields}")),
                Err(BrokerError::NotUploaded) => conflicts.add(&place, "nothing was uploaded yet"),
                Err(BrokerError::Changing) => conflicts.add(&place, "the upload keeps changing, try again"),
                Err(BrokerError::Conflict(fields)) => conflicts.add(&place, fields.to_string()),
                Err(BrokerError::NotFound) => conflicts.add(&place, "is gone"),
                Err(other) => return Err(other),
            }
        }
        refused.or_ok(()).map_err(BrokerError::Refused)?;
        conflicts.or_ok(()).map_err(BrokerError::Conflict)
    }

    /// Takes a file off a ticket; the file itself stays.
    ///
    /// # Errors
    /// [`BrokerError::NotFound`] when it was not on it.
    pub async fn detach(&self, caller: &Caller, ticket: TicketId, id: FileId, now: OffsetDateTime) -> Result<(), BrokerError> {
        allowed(caller, Scope::FilesWrite)?;
        changes_tickets(caller)?;
        // What the caller cannot see it cannot take off either.
        self.find(caller, id).await?;
        if self.database.detach(&caller.tenant, ticket, id, caller.actor, now).await? { Ok(()) } else { Err(BrokerError::NotFound) }
    }

    /// Whether a file is on a ticket of the caller's tenant.
    ///
    /// # Errors
    /// [`BrokerError::NotFound`] when it is not.
    pub async fn on_ticket(&self, caller: &Caller, ticket: TicketId, id: FileId) -> Result<(), BrokerError> {
        allowed(caller, Scope::FilesRead)?;
        if self.database.is_attached(&caller.tenant, ticket, id).await? { Ok(()) } else { Err(BrokerError::NotFound) }
    }

    /// All files of a ticket that the caller may read, as one archive; `None` when there are none.
    ///
    /// # Errors
    /// [`BrokerError::Forbidden`] without the right to read.
    pub async fn archive(self: Arc<Self>, caller: Caller, ticket: TicketId) -> Result<Option<TicketArchive>, BrokerError> {
        let Page { files, next, .. } = self.ticket_files(&caller, ticket, &archived(Start::Skip(0))).await?;
        let first = !files.is_empty();
        let step = Step::after(next.as_ref());
        let archive = TicketArchive { broker: self, caller, ticket, files: files.into(), step, current: None, archive: Archive::default() };
        Ok(first.then_some(archive))
    }
}

/// What tickets there are and whose, dropslip does not know: a customer could put files on anybody's.
fn changes_tickets(caller: &Caller) -> Result<(), BrokerError> {
    if caller.actor.kind == ActorKind::Users { Ok(()) } else { Err(BrokerError::NotFound) }
}

/// Some of the files of an archive.
fn archived(start: Start) -> PageWanted {
    PageWanted { selection: Selection::newest(), start, size: ARCHIVE_PAGE, counted: false }
}

/// A ticket's files on their way into one archive: a page of records, a piece of one file, and the directory to be.
pub struct TicketArchive {
    broker: Arc<Broker>,
    caller: Caller,
    ticket: TicketId,
    files: VecDeque<File>,
    step: Step,
    current: Option<ObjectBody>,
    archive: Archive,
}

/// What comes after the files at hand.
#[derive(Debug, Clone, Copy)]
enum Step {
    More(FileId),
    Last,
    Ended,
}

impl Step {
    fn after(next: Option<&Position>) -> Self {
        next.map_or(Self::Last, |position| Self::More(position.id))
    }
}

impl TicketArchive {
    /// The next piece; `None` after the last one.
    ///
    /// # Errors
    /// When the store stops in the middle, or a file is gone meanwhile.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BrokerError> {
        loop {
            if let Some(body) = &mut self.current {
                if let Some(bytes) = body.next().await? {
                    return Ok(Some(self.archive.bytes(&bytes).into()));
                }
                self.current = None;
                let tail = self.archive.end().ok_or_else(|| BucketError::Unavailable("it sent other bytes than there are".to_owned()))?;
                return Ok(Some(tail.into()));
            }
            if let Some(file) = self.files.pop_front() {
                self.current = Some(self.broker.read_download(&file, None).await?);
                return Ok(Some(self.archive.begin(file.name.as_str(), file.created_at, file.size()).into()));
            }
            match self.step {
                Step::More(id) => {
                    let more = archived(Start::After(Position { id, value: None }));
                    let Page { files, next, .. } = self.broker.ticket_files(&self.caller, self.ticket, &more).await?;
                    self.files = files.into();
                    self.step = Step::after(next.as_ref());
                }
                Step::Last => {
                    self.step = Step::Ended;
                    return Ok(Some(self.archive.finish().into()));
                }
                Step::Ended => return Ok(None),
            }
        }
    }
}
