//! Lists of files, page by page.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::{Broker, BrokerError, allowed};
use crate::database::{DatabaseError, Selected};
use crate::domain::{Caller, File, FileId, Position, PostId, Scope, Selection, Start, TicketId};

/// How far files are counted: what lies behind is said to be as many.
const COUNTED: u32 = 100_000;

/// How long a count may take, with all that it waits for, and how long a list with its count: the page itself comes first.
const COUNT_TIMEOUT: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(5);

/// Some files, and where the next page begins.
#[derive(Debug)]
pub struct Page {
    /// In the order of the selection.
    pub files: Vec<File>,
    /// The place of the last one when more follow.
    pub next: Option<Position>,
    /// How many there are on all pages, up to 100 000; `None` when nobody wanted to know. Where counting took too long, what was counted
    /// before, or how many there are at least.
    pub records: Option<u32>,
}

/// Some files of a ticket.
#[derive(Debug)]
pub struct TicketPage {
    /// The files.
    pub page: Page,
    /// The posts of those that belong to one.
    pub posts: BTreeMap<FileId, PostId>,
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

    /// The same of those that are attached to a ticket, and the posts that they belong to.
    ///
    /// # Errors
    /// [`BrokerError::Forbidden`] without the right to read.
    pub async fn ticket_files(&self, caller: &Caller, ticket: TicketId, wanted: &PageWanted) -> Result<TicketPage, BrokerError> {
        let page = self.page(caller, Some(ticket), wanted).await?;
        let ids: Vec<FileId> = page.files.iter().map(|file| file.id).collect();
        let posts = if ids.is_empty() { BTreeMap::new() } else { self.database.posts_of(&caller.tenant, ticket, &ids).await? };
        Ok(TicketPage { page, posts })
    }

    pub(super) async fn page(&self, caller: &Caller, ticket: Option<TicketId>, wanted: &PageWanted) -> Result<Page, BrokerError> {
        allowed(caller, Scope::FilesRead)?;
        let PageWanted { selection, start, size, counted } = wanted;
        let selected = Selected { reach: caller.reach(), ticket, selection };
        let asked = Instant::now();
        let looking = self.may_look(caller, &selected).await?;
        // One more than asked for tells whether there are more.
        let found = self.database.select_files(&selected, start, size.saturating_add(1), &looking.holding()).await;
        looking.answered();
        let mut files = found?;
        let more = files.len() > *size as usize;
        files.truncate(*size as usize);
        let there = u32::try_from(files.len()).unwrap_or(u32::MAX);
        let records = match start {
            Start::Skip(skipped) if *counted => Some(match there {
                // The last page tells by itself.
                1.. if !more => skipped + there,
                0 if *skipped == 0 => 0,
                _ => {
                    let deadline = (Instant::now() + COUNT_TIMEOUT).min(asked + TIMEOUT);
                    self.counted(caller, &selected, deadline).await?.unwrap_or_else(|| at_least(*skipped, there, more))
                }
            }),
            _ => None,
        };
        let by = selection.order.by;
        let next = files.last().filter(|_| more).map(|file| Position { id: file.id, value: by.of(file) });
        Ok(Page { files, next, records })
    }

    /// `None` when nothing is known by then, which is no reason to refuse the page.
    async fn counted(&self, caller: &Caller, selected: &Selected<'_>, deadline: Instant) -> Result<Option<u32>, BrokerError> {
        let (list, asked) = (format!("{selected:?}"), Instant::now());
        if let Some(count) = self.counts.known(&list, asked) {
            return Ok(Some(count));
        }
        let late = || Ok(self.counts.last(&list));
        // All who ask at once would wait for each other's counts: one counts, for all who asked before it began.
        let Ok(mut turn) = timeout_at(deadline.into(), self.counting.wait(list.clone())).await else { return late() };
        if let Some((_, count)) = turn.filter(|(began, _)| *began >= asked) {
            return Ok(Some(count));
        }
        let began = Instant::now();
        let looking = match timeout_at(deadline.into(), self.may_look(caller, selected)).await {
            Ok(Ok(looking)) => looking,
            Ok(Err(BrokerError::LimitExceeded(_) | BrokerError::Busy(_))) | Err(_) => return late(),
            Ok(Err(other)) => return Err(other),
        };
        // A count that is late is stopped.
        let counted = timeout_at(deadline.into(), self.database.count_files(selected, COUNTED, &looking.holding())).await;
        looking.answered();
        let count = match counted {
            Ok(Ok(count)) => count,
            Ok(Err(DatabaseError::Unavailable(_))) | Err(_) => return late(),
            Ok(Err(other)) => return Err(other.into()),
        };
        *turn = Some((began, count));
        self.counts.keep(list, count, Instant::now());
        Ok(Some(count))
    }
}

/// How many files there are at least, as a page of them shows. Behind the last one nothing shows.
fn at_least(skipped: u32, there: u32, more: bool) -> u32 {
    let shown = if there == 0 { 0 } else { skipped.saturating_add(there) };
    shown.saturating_add(u32::from(more)).min(COUNTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_shows_how_many_files_there_are_at_least() {
        assert_eq!((at_least(0, 50, true), at_least(100, 50, true)), (51, 151));
        assert_eq!((at_least(100, 7, false), at_least(100, 0, false)), (107, 0));
        assert_eq!(at_least(150_000, 50, true), COUNTED, "no more than a count would say");
    }
}
