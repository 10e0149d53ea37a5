//! The files of a ticket, with the posts that they belong to.

use std::sync::Arc;

use futures_util::{Stream, TryStreamExt as _, stream};

use super::{Broker, BrokerError, allowed};
use crate::database::Selected;
use crate::domain::{Attachment, Caller, FileId, FileState, PostId, Scope, Selection, TicketId};

/// How many of them are read at once.
const PAGE: u32 = 100;

impl Broker {
    /// An active file of a ticket that the caller may read.
    ///
    /// # Errors
    /// [`BrokerError::NotFound`] when there is none, or it is on another ticket.
    pub async fn attachment(&self, caller: &Caller, ticket: TicketId, id: FileId) -> Result<Attachment, BrokerError> {
        let file = self.get(caller, id).await?;
        let place = self.database.place_of(&caller.tenant, ticket, id).await?;
        let place = place.filter(|_| file.state() == FileState::Active).ok_or(BrokerError::NotFound)?;
        Ok(Attachment { file, post: place.post })
    }

    /// The active files of a ticket, or of one of its posts, that the caller may read.
    ///
    /// Lowest number first, read page by page as they are asked for.
    pub fn attachments(
        self: &Arc<Self>,
        caller: Caller,
        ticket: TicketId,
        post: Option<PostId>,
    ) -> impl Stream<Item = Result<Attachment, BrokerError>> + Send + 'static + use<> {
        let broker = self.clone();
        let pages = stream::try_unfold(Some(FileId(0)), move |after| {
            let (broker, caller) = (broker.clone(), caller.clone());
            async move {
                let Some(after) = after else { return Ok::<_, BrokerError>(None) };
                let page = broker.page_of_ticket(&caller, ticket, post, after).await?;
                let next = page.last().filter(|_| page.len() == PAGE as usize).map(|last| last.file.id);
                Ok(Some((stream::iter(page.into_iter().map(Ok)), next)))
            }
        });
        pages.try_flatten()
    }

    async fn page_of_ticket(
        &self,
        caller: &Caller,
        ticket: TicketId,
        post: Option<PostId>,
        after: FileId,
    ) -> Result<Vec<Attachment>, BrokerError> {
        allowed(caller, Scope::FilesRead)?;
        let selection = Selection::newest();
        let selected = Selected { reach: caller.reach(), ticket: Some(ticket), selection: &selection };
        let looking = self.may_look(caller, &selected).await?;
        let page = self.database.attachments(&selected, post, after, PAGE, &looking.holding()).await;
        looking.answered();
        Ok(page?)
    }
}
