//! Lists of files, page by page.

use std::time::{Duration, Instant};

use super::{Broker, BrokerError, allowed};
use crate::domain::{ActorKind, Caller, File, Position, Scope, Selection, Start, TicketId};
use crate::store::Selected;

/// How far files are counted: what lies behind is said to be as many.
const COUNTED: u32 = 100_000;

/// How long somebody waits for another's count of the same list.
const PATIENCE: Duration = Duration::from_secs(2);

/// Some files, and where the next page begins.
#[derive(Debug)]
pub struct Page {
    /// In the order of the selection.
    pub files: Vec<File>,
    /// The place of the last one when more follow.
    pub next: Option<Position>,
    /// How many there are on all pages, up to 100 000; `None` when nobody wanted to know.
    pub records: Option<u32>,
}

/// A page that is asked for.
#[derive(Debug)]
pub struct PageWanted {
    /// Of which files.
    pub selection: Selection,
    /// Where it begins.
    pub start: Start,
    /// Most files of it.
    pub size: u32,
    /// Whether all files are counted too. Never done from a [`Start::After`], where nobody can say on which page that is.
    pub counted: bool,
}

impl Broker {
    /// Some of the files that the caller may read.
    ///
    /// A walk from position to position meets each file once that stays where it is in the order, also while others come and go. Newest
    /// first, all do: numbers are never used again, and what is new has a higher one.
    ///
    /// # Errors
    /// [`BrokerError::Forbidden`] without the right to read.
    pub async fn list(&self, caller: &Caller, wanted: &PageWanted) -> Result<Page, BrokerError> {
        self.page(caller, None, wanted).await
    }

    /// The same of those that are attached to a ticket.
    ///
    /// # Errors
    /// [`BrokerError::Forbidden`] without the right to read.
    pub async fn ticket_files(&self, caller: &Caller, ticket: TicketId, wanted: &PageWanted) -> Result<Page, BrokerError> {
        self.page(caller, Some(ticket), wanted).await
    }

    async fn page(&self, caller: &Caller, ticket: Option<TicketId>, wanted: &PageWanted) -> Result<Page, BrokerError> {
        allowed(caller, Scope::FilesRead)?;
        let PageWanted { selection, start, size, counted } = wanted;
        // Customers reach their own files only, as in `find`.
        let customer = (caller.actor.kind == ActorKind::Customers).then_some(caller.actor.id);
        let selected = Selected { tenant: &caller.tenant, customer, types: &caller.types, ticket, selection };
        // One more than asked for tells whether there are more.
        let mut files = self.store.select_files(&selected, start, size.saturating_add(1)).await?;
        let more = files.len() > *size as usize;
        files.truncate(*size as usize);
        let there = u32::try_from(files.len()).unwrap_or(u32::MAX);
        let records = match start {
            Start::Skip(skipped) if *counted => Some(match there {
                // The last page tells by itself.
                1.. if !more => skipped + there,
                0 if *skipped == 0 => 0,
                _ => self.counted(&selected).await?,
            }),
            _ => None,
        };
        let by = selection.order.by;
        let next = files.last().filter(|_| more).map(|file| Position { id: file.id, value: by.of(file) });
        Ok(Page { files, next, records })
    }

    async fn counted(&self, selected: &Selected<'_>) -> Result<u32, BrokerError> {
        let (list, asked) = (format!("{selected:?}"), Instant::now());
        if let Some(count) = self.counts.known(&list, asked) {
            return Ok(count);
        }
        // All who ask at once would wait for each other's counts: one counts, for all who asked before it began. Where that takes too
        // long, most likely no count ends: nobody waits for one after the other then.
        let mut turn = tokio::time::timeout(PATIENCE, self.counting.wait(list.clone())).await.ok();
        if let Some((_, count)) = turn.as_deref().copied().flatten().filter(|(began, _)| *began >= asked) {
            return Ok(count);
        }
        let began = Instant::now();
        let count = self.store.count_files(selected, COUNTED).await?;
        if let Some(turn) = &mut turn {
            **turn = Some((began, count));
        }
        self.counts.keep(list, count, Instant::now());
        Ok(count)
    }
}
