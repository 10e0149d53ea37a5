//! Tickets and their posts, which others keep: dropslip knows their numbers, and which files are on them.

use super::File;

/// A ticket's number, in the system that keeps tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TicketId(pub i64);

/// The number of a post of a ticket, 1 or higher; there too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PostId(pub i64);

/// Where a file is put: on a ticket, and there on a post if it belongs to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketPlace {
    /// On which ticket.
    pub ticket: TicketId,
    /// On which of its posts.
    pub post: Option<PostId>,
}

/// A file on a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The file.
    pub file: File,
    /// The post that it belongs to.
    pub post: Option<PostId>,
}

impl From<TicketId> for TicketPlace {
    fn from(ticket: TicketId) -> Self {
        Self { ticket, post: None }
    }
}
