//! Who is asking: an actor of one tenant, with scopes, perhaps for some file types only.

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

impl Default for Tenant {
    fn default() -> Self {
        Self(Self::DEFAULT.into())
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
            _ => Err(super::wording::one_of(["users", "customers"])),
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

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        known.ok_or_else(|| super::wording::one_of(Self::ALL.map(Self::as_str)))
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

    /// What is in either.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn with(self, scope: Scope) -> Self {
        self.and(Self(scope.bit()))
    }
}

impl FromStr for Scopes {
    type Err = String;

    /// Reads `files:read,files:write`; spaces also separate.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut scopes = Self::default();
        for word in text.split([',', ' ']).filter(|w| !w.is_empty()) {
            scopes = scopes.with(word.parse()?);
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

/// Most file types that one token may be limited to.
pub const MOST_TYPES: usize = 64;

/// The file types that a token is for: all, or these. Files of others are nothing to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TypeLimit(Option<Arc<[String]>>);

impl TypeLimit {
    /// These and no others; none at all when there are none.
    #[must_use]
    pub fn to(names: impl IntoIterator<Item = String>) -> Self {
        Self(Some(names.into_iter().collect()))
    }

    /// Whether files of that type are something to it.
    #[must_use]
    pub fn allows(&self, type_name: &str) -> bool {
        self.0.as_ref().is_none_or(|names| names.iter().any(|name| name == type_name))
    }

    /// The names; `None` for all there are.
    #[must_use]
    pub fn names(&self) -> Option<&[String]> {
        self.0.as_deref()
    }

    /// What both allow.
    #[must_use]
    pub fn within(&self, other: &Self) -> Self {
        match self.names() {
            None => other.clone(),
            Some(names) => Self::to(names.iter().filter(|name| other.allows(name)).cloned()),
        }
    }
}

impl FromStr for TypeLimit {
    type Err = String;

    /// Reads `image,attachment`; spaces also separate.
    fn from_str(text: &str) -> Result<Self, String> {
        let names: Vec<&str> = text.split([',', ' ']).filter(|word| !word.is_empty()).collect();
        if !(1..=MOST_TYPES).contains(&names.len()) || !names.iter().all(|name| super::file_type::is_word(name)) {
            return Err(format!("must be 1 to {MOST_TYPES} names of file types: lower-case letters, digits and '-'"));
        }
        Ok(Self::to(names.into_iter().map(ToOwned::to_owned)))
    }
}

impl fmt::Display for TypeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.names().map_or(Ok(()), |names| f.write_str(&names.join(",")))
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
    /// The file types that it is allowed for.
    pub types: TypeLimit,
    /// In which dialect it asks; `None` for what is no request of a client's.
    pub dialect: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_allows_what_it_names_and_none_allows_all() {
        let (all, two, none) = (TypeLimit::default(), "image, attachment".parse::<TypeLimit>().unwrap(), TypeLimit::to([]));
        assert!(all.allows("image") && all.allows(""));
        assert!(two.allows("image") && two.allows("attachment") && !two.allows("Image") && !two.allows("imag") && !two.allows(""));
        assert!(!none.allows("image") && !none.allows(""));
        assert_eq!(two.to_string(), "image,attachment");
        for bad in ["", " , ", "Image", "im/age", "a,%", &"x,".repeat(MOST_TYPES + 1)] {
            assert!(bad.parse::<TypeLimit>().is_err(), "{bad}");
        }
        assert!("x,".repeat(MOST_TYPES).parse::<TypeLimit>().is_ok());
    }

    #[test]
    fn a_limit_within_another_is_never_wider() {
        let (all, image, both) =
            (TypeLimit::default(), TypeLimit::to(["image".to_owned()]), "image,attachment".parse::<TypeLimit>().unwrap());
        assert_eq!(image.within(&all), image);
        assert_eq!(all.within(&image), image);
        assert_eq!(both.within(&image), image);
        assert_eq!(image.within(&TypeLimit::to(["attachment".to_owned()])), TypeLimit::to([]));
    }
}
