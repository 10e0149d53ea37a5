//! What happened to a file, as the audit log and webhooks tell it.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::wording::one_of;
use super::{Actor, File, Tenant};

const MICROS: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// What landed was looked at and sealed.
    Activated,
    /// What landed was not what was granted, and was deleted.
    Rejected,
    /// The slip died and nobody came back for it.
    Expired,
    /// The file was deleted, or its upload given up.
    Deleted,
    /// A deleted file was brought back.
    Restored,
    /// A deleted file's record and bytes are gone for good.
    Purged,
    /// It has another name or disposition.
    Renamed,
    /// It belongs to a ticket.
    Attached,
    /// It no longer belongs to a ticket.
    Detached,
    /// An access token was made.
    TokenCreated,
    /// An access token was ended.
    TokenRevoked,
}

impl Action {
    /// All, in the order refusals list them.
    pub const ALL: [Self; 11] = [
        Self::Activated,
        Self::Rejected,
        Self::Expired,
        Self::Deleted,
        Self::Restored,
        Self::Purged,
        Self::Renamed,
        Self::Attached,
        Self::Detached,
        Self::TokenCreated,
        Self::TokenRevoked,
    ];

    /// Those that webhooks are sent.
    pub const EVENTS: [Self; 5] = [Self::Activated, Self::Rejected, Self::Deleted, Self::Restored, Self::Expired];

    /// The word used in the log, in webhooks and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Activated => "file.activated",
            Self::Rejected => "file.rejected",
            Self::Expired => "file.expired",
            Self::Deleted => "file.deleted",
            Self::Restored => "file.restored",
            Self::Purged => "file.purged",
            Self::Renamed => "file.renamed",
            Self::Attached => "file.attached",
            Self::Detached => "file.detached",
            Self::TokenCreated => "token.created",
            Self::TokenRevoked => "token.revoked",
        }
    }

    /// Whether the audit log tells it. A slip that nobody came back for is nobody's deed, and there may be thousands a second.
    #[must_use]
    pub fn is_audited(self) -> bool {
        self != Self::Expired
    }
}

impl FromStr for Action {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|action| action.as_str() == text).ok_or_else(|| one_of(Self::ALL.map(Self::as_str)))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who asked for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct By {
    /// The person or program.
    pub actor: Actor,
    /// In which dialect; `None` where that is not known.
    pub dialect: Option<&'static str>,
}

impl From<Actor> for By {
    fn from(actor: Actor) -> Self {
        Self { actor, dialect: None }
    }
}

/// What made dropslip do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A request.
    Request(By),
    /// A sweep.
    Sweep,
    /// The bucket said that an object arrived.
    Notification,
}

impl Origin {
    /// Who asked for it; `None` for dropslip itself.
    #[must_use]
    pub fn actor(self) -> Option<Actor> {
        match self {
            Self::Request(by) => Some(by.actor),
            _ => None,
        }
    }

    /// In which dialect somebody asked for it.
    #[must_use]
    pub fn dialect(self) -> Option<&'static str> {
        match self {
            Self::Request(by) => by.dialect,
            _ => None,
        }
    }

    /// How the audit log names what was no request.
    #[must_use]
    pub fn via(self) -> Option<&'static str> {
        match self {
            Self::Request(_) => None,
            Self::Sweep => Some("sweep"),
            Self::Notification => Some("notification"),
        }
    }
}

/// What was done to a file.
#[derive(Debug, Clone)]
pub struct Change<'a> {
    /// The file as it is now.
    pub file: &'a File,
    /// What was done.
    pub action: Action,
    /// By whom.
    pub origin: Origin,
    /// When.
    pub at: OffsetDateTime,
    /// What else is to be said, by name.
    pub details: Map<String, Value>,
}

impl<'a> Change<'a> {
    /// A change of which there is nothing more to say.
    #[must_use]
    pub fn new(file: &'a File, action: Action, origin: Origin, at: OffsetDateTime) -> Self {
        Self { file, action, origin, at, details: Map::new() }
    }

    /// The same with one thing more to say.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }
}

/// UTC with microseconds.
#[must_use]
pub fn instant(at: OffsetDateTime) -> String {
    at.to_offset(time::UtcOffset::UTC).format(MICROS).unwrap_or_default()
}

/// Which events an endpoint wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The endpoint's name.
    pub endpoint: String,
    /// Of these tenants; empty for all.
    pub tenants: Vec<Tenant>,
    /// These; empty for all there are.
    pub types: Vec<Action>,
}

impl Subscription {
    /// Whether it wants this, whoever it is about.
    #[must_use]
    pub fn wants(&self, action: Action) -> bool {
        Action::EVENTS.contains(&action) && (self.types.is_empty() || self.types.contains(&action))
    }

    /// Whether it wants this of that tenant.
    #[must_use]
    pub fn wants_of(&self, action: Action, tenant: &Tenant) -> bool {
        self.wants(action) && (self.tenants.is_empty() || self.tenants.contains(tenant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_reads_back() {
        for action in Action::ALL {
            assert_eq!(action.as_str().parse(), Ok(action));
        }
        assert!("file.created".parse::<Action>().is_err());
    }

    #[test]
    fn an_endpoint_is_told_what_it_asked_for() {
        let all = Subscription { endpoint: "a".to_owned(), tenants: Vec::new(), types: Vec::new() };
        let (one, two): (Tenant, Tenant) = ("one".parse().unwrap(), "two".parse().unwrap());
        assert!(all.wants_of(Action::Expired, &two) && !all.wants(Action::Renamed) && !all.wants(Action::TokenCreated));
        let some = Subscription { tenants: vec![one.clone()], types: vec![Action::Deleted], ..all };
        assert!(some.wants_of(Action::Deleted, &one) && !some.wants_of(Action::Deleted, &two) && !some.wants_of(Action::Expired, &one));
    }
}
