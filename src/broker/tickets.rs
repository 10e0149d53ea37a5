//! Files on tickets: attaching them and taking them off.

use std::sync::Arc;
use std::time::Instant;

use futures_util::{StreamExt as _, stream};
use time::OffsetDateTime;

use super::{Broker, BrokerError, allowed, too_often};
use crate::database::{Attached, DatabaseError, Released};
use crate::domain::{Caller, FileId, FileState, Scope, TicketId, TicketPlace};
use crate::failpoint;

/// Most files of one ticket: so many entries of an archive's directory are kept in memory while it is sent.
pub(super) const MOST_ON_TICKET: u32 = 10_000;

/// How many uploads are confirmed at the same time for one request.
const CONFIRMED_AT_ONCE: usize = 4;

/// Why files were not attached: nothing was then, but what could be confirmed is. Files are named by their place in the list.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// These are not there, or not the caller's.
    #[error("files {0:?} of the list are not there")]
    NotFound(Vec<usize>),
    /// These could not be confirmed.
    #[error("{} files of the list could not be confirmed", .0.len())]
    Unconfirmed(Vec<(usize, BrokerError)>),
    /// The ticket would have more files than this.
    #[error("a ticket has {0} files at most")]
    TooMany(u32),
    /// It is about none of the files alone.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl From<DatabaseError> for AttachError {
    fn from(error: DatabaseError) -> Self {
        Self::Broker(error.into())
    }
}

impl Broker {
    /// Whether the caller may put files on tickets.
    ///
    /// # Errors
    /// [`BrokerError::Forbidden`] without the right to write; [`BrokerError::NotFound`] where tickets are not the caller's to change.
    pub fn may_attach(&self, caller: &Caller) -> Result<(), BrokerError> {
        allowed(caller, Scope::FilesWrite)?;
        changes_tickets(caller)
    }

    /// Attaches files to a ticket, all or none.
    ///
    /// Those on it already stay, or move to the post that is named. What is still `temp` is confirmed first, because some clients never do.
    ///
    /// # Errors
    /// See [`AttachError`].
    pub async fn attach(
        self: &Arc<Self>,
        caller: &Caller,
        place: TicketPlace,
        ids: &[FileId],
        now: OffsetDateTime,
    ) -> Result<(), AttachError> {
        allowed(caller, Scope::FilesWrite)?;
        let began = Instant::now();
        let clock = || now + began.elapsed();
        // Who attaches is answered the ticket's files: nothing is done for whoever may not read them.
        allowed(caller, Scope::FilesRead)?;
        self.may_attach(caller)?;
        let (mut unknown, mut waiting) = (Vec::new(), Vec::new());
        for (index, id) in ids.iter().enumerate() {
            match self.find(caller, *id).await {
                Ok(file) if file.state() == FileState::Active => {}
                Ok(file) if file.state() == FileState::Temp => waiting.push((index, *id)),
                Ok(_) | Err(BrokerError::NotFound) => unknown.push(index),
                Err(error) => return Err(error.into()),
            }
        }
        if !unknown.is_empty() {
            return Err(AttachError::NotFound(unknown));
        }
        failpoint::reach("attach: found");
        let unconfirmed = self.confirm_all(caller, waiting, &clock).await?;
        if !unconfirmed.is_empty() {
            return Err(AttachError::Unconfirmed(unconfirmed));
        }
        match self.database.attach(&caller.tenant, place, ids, MOST_ON_TICKET, caller.by(), clock()).await? {
            Attached::All => {
                failpoint::reach("attach: recorded");
                Ok(())
            }
            Attached::Gone(id) => Err(AttachError::NotFound(ids.iter().position(|wanted| *wanted == id).into_iter().collect())),
            Attached::TooOften(wait) => Err(too_often(wait).into()),
            Attached::TooMany => Err(AttachError::TooMany(MOST_ON_TICKET)),
        }
    }

    /// Confirms files of a list; answers those that cannot be, and why.
    ///
    /// # Errors
    /// What is about none of the files alone.
    async fn confirm_all(
        self: &Arc<Self>,
        caller: &Caller,
        waiting: Vec<(usize, FileId)>,
        clock: &impl Fn() -> OffsetDateTime,
    ) -> Result<Vec<(usize, BrokerError)>, BrokerError> {
        let confirmed = stream::iter(waiting).map(|(index, id)| {
            let (broker, caller) = (self.clone(), caller.clone());
            async move {
                let confirmed = async {
                    let _permit = broker.may_confirm(&caller).await?;
                    broker.confirm(&caller, id, clock()).await
                };
                (index, Box::pin(confirmed).await)
            }
        });
        let mut ended = confirmed.buffered(CONFIRMED_AT_ONCE);
        let mut unconfirmed = Vec::new();
        while let Some((index, outcome)) = ended.next().await {
            match outcome {
                Ok(_) => failpoint::reach("attach: one confirmed"),
                Err(
                    error @ (BrokerError::Refused(_)
                    | BrokerError::NotUploaded
                    | BrokerError::Changing
                    | BrokerError::Conflict(_)
                    | BrokerError::NotFound),
                ) => unconfirmed.push((index, error)),
                Err(other) => return Err(other),
            }
        }
        Ok(unconfirmed)
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
        if self.database.detach(&caller.tenant, ticket, id, caller.by(), now).await? { Ok(()) } else { Err(BrokerError::NotFound) }
    }

    /// Takes an active file off a ticket, and deletes it when nothing else holds it.
    ///
    /// It can be brought back, and is on no ticket then.
    ///
    /// # Errors
    /// [`BrokerError::NotFound`] when it was not on it, also the second time.
    pub async fn release(&self, caller: &Caller, ticket: TicketId, id: FileId, now: OffsetDateTime) -> Result<(), BrokerError> {
        allowed(caller, Scope::FilesDelete)?;
        changes_tickets(caller)?;
        self.find(caller, id).await?;
        let released = self.database.release_file(&caller.tenant, ticket, id, caller.by(), now).await?;
        if released == Released::Absent {
            return Err(BrokerError::NotFound);
        }
        failpoint::reach("release: recorded");
        tracing::info!(file.id = %id, deleted = released == Released::Deleted, "file taken off a ticket");
        Ok(())
    }

    /// Whether a file is on a ticket of the caller's tenant.
    ///
    /// # Errors
    /// [`BrokerError::NotFound`] when it is not.
    pub async fn on_ticket(&self, caller: &Caller, ticket: TicketId, id: FileId) -> Result<(), BrokerError> {
        allowed(caller, Scope::FilesRead)?;
        if self.database.is_attached(&caller.tenant, ticket, id).await? { Ok(()) } else { Err(BrokerError::NotFound) }
    }
}

/// What tickets there are and whose, dropslip does not know: a customer could put files on anybody's.
fn changes_tickets(caller: &Caller) -> Result<(), BrokerError> {
    if caller.reach().is_whole_tenant() { Ok(()) } else { Err(BrokerError::NotFound) }
}
