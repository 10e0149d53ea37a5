//! Who is asking: an actor of one tenant, with scopes.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// One customer installation; every row has one and every query is bound to one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tenant(Arc<str>);

impl Tenant {
    /// The tenant of installations that have just one.
    pub const DEFAULT: &'static str = "default";

    /// The tenant's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tenant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = (1..=64).contains(&text.len());
        if fits && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            Ok(Self(text.into()))
        } else {
            Err("must be 1 to 64 letters, digits, '-', '_' or '.'".to_owned())
        }
    }
}

/// What kind of person or program an actor is; Desk knows agents (`users`) and `customers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActorKind {
    /// Agents and programs of the installation.
    Users,
    /// The people they serve.
    Customers,
}

impl ActorKind {
    /// The word used on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Customers => "customers",
        }
    }
}

impl FromStr for ActorKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "users" => Ok(Self::Users),
            "customers" => Ok(Self::Customers),
            _ => Err(super::field_errors::one_of(["users", "customers"])),
        }
    }
}

/// A person or program, as `createdBy` and `updatedBy` name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Actor {
    /// The number this actor has in the installation that dropslip serves.
    pub id: i64,
    /// Which of the two kinds it is.
    pub kind: ActorKind,
}

/// Something a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Reading file records.
    FilesRead,
    /// Asking for slips, confirming uploads and describing files.
    FilesWrite,
    /// Deleting files and bringing them back.
    FilesDelete,
}

impl Scope {
    const ALL: [Self; 3] = [Self::FilesRead, Self::FilesWrite, Self::FilesDelete];

    /// The word used on the command line, in the database and in refusals.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FilesRead => "files:read",
            Self::FilesWrite => "files:write",
            Self::FilesDelete => "files:delete",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The set of scopes of one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// Every one there is.
    #[must_use]
    pub fn all() -> Self {
        Scope::ALL.into_iter().fold(Self::default(), Self::with)
    }

    /// This one scope.
    #[must_use]
    pub fn only(scope: Scope) -> Self {
        Self::default().with(scope)
    }

    /// Whether `scope` is in the set.
    #[must_use]
    pub fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    fn with(self, scope: Scope) -> Self {
        Self(self.0 | scope.bit())
    }
}

impl FromStr for Scopes {
    type Err = String;

    /// Reads `files:read,files:write`; spaces also separate.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut scopes = Self::default();
        for word in text.split([',', ' ']).filter(|w| !w.is_empty()) {
            let scope = Scope::ALL.into_iter().find(|scope| scope.as_str() == word);
            scopes = scopes.with(scope.ok_or_else(|| super::field_errors::one_of(Scope::ALL.map(Scope::as_str)))?);
        }
        if scopes == Self::default() { Err("must name at least one scope".to_owned()) } else { Ok(scopes) }
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = Scope::ALL.into_iter().filter(|s| self.contains(*s)).map(Scope::as_str).collect();
        f.write_str(&words.join(","))
    }
}

/// Who is asking; nothing in dropslip happens without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The person or program.
    pub actor: Actor,
    /// The installation it belongs to: it can only see this tenant's files.
    pub tenant: Tenant,
    /// What its token allows.
    pub scopes: Scopes,
}
