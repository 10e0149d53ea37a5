//! What the operator says about tokens: whose they are, where the keys are, and which claim means what.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jsonwebtoken::Algorithm;
use subtle::ConstantTimeEq as _;
use url::Url;

use crate::domain::web::{is_this_machine, without_query};
use crate::domain::{Scopes, Tenant};

/// Fewest bytes of a secret: those of the hash that it is used with (RFC 7518 section 3.2).
pub const LEAST_SECRET: usize = 32;

/// Everything about tokens.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the keys are.
    pub keys: KeySource,
    /// Which algorithms may be used at all.
    pub algorithms: Algorithms,
    /// How often keys are fetched from an address.
    pub refresh: Duration,
    /// The `iss` that every token must have.
    pub issuer: String,
    /// What `aud` must be or hold.
    pub audience: String,
    /// How far clocks may be apart.
    pub leeway: Duration,
    /// How long a token may live at most; zero for no bound.
    pub max_lifetime: Duration,
    /// Which claim means what.
    pub claims: ClaimNames,
}

/// Which claim means what.
#[derive(Debug, Clone)]
pub struct ClaimNames {
    /// The actor's number.
    pub actor: ClaimPath,
    /// `users` or `customers`; without, all are users.
    pub actor_type: Option<ClaimPath>,
    /// The tenant.
    pub tenant: ClaimPath,
    /// The tenant of tokens that name none; without, those are refused.
    pub default_tenant: Option<Tenant>,
    /// The scopes.
    pub scope: ClaimPath,
    /// What the issuer calls them; without, what they are called here.
    pub scope_names: Option<ScopeNames>,
    /// The file types that a token is limited to, if it is.
    pub file_types: ClaimPath,
}

/// Where the keys are.
#[derive(Clone)]
pub enum KeySource {
    /// A secret shared with the issuer.
    Secret(Secret),
    /// The same, kept in a file.
    SecretFile(PathBuf),
    /// A set of public keys in a file.
    File(PathBuf),
    /// A set of public keys at an address.
    Url(Url),
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(secret) => secret.fmt(f),
            Self::SecretFile(path) | Self::File(path) => path.fmt(f),
            Self::Url(url) => f.write_str(&without_query(url)),
        }
    }
}

impl KeySource {
    /// A set of public keys in a file or at an address.
    ///
    /// # Errors
    /// What would do.
    pub fn set(text: &str) -> Result<Self, String> {
        if !text.contains("://") {
            return if text.trim().is_empty() { Err("must not be blank".to_owned()) } else { Ok(Self::File(text.into())) };
        }
        let url = Url::parse(text).ok();
        let plain = url.filter(|url| url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
        let fits = |url: &Url| url.scheme() == "https" && url.has_host() || url.scheme() == "http" && is_this_machine(url);
        // The value may hold a password, so the complaint does not repeat it.
        plain
            .filter(fits)
            .map(Self::Url)
            .ok_or_else(|| "must be a file or an https:// URL without user; http:// only for this machine".to_owned())
    }
}

/// A secret; prints as nothing.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl Secret {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The value is a secret, so the complaint does not repeat it.
        if text.len() < LEAST_SECRET {
            return Err(format!("must be {LEAST_SECRET} bytes or longer, such as `openssl rand -hex 32` makes"));
        }
        Ok(Self(text.as_bytes().into()))
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Algorithms that may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Algorithms(Vec<Algorithm>);

impl Algorithms {
    /// Those of public keys, as a setting's text.
    pub const OF_SETS: &str = "RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,EdDSA";

    /// The one for secrets.
    #[must_use]
    pub fn of_secrets() -> Self {
        Self(vec![Algorithm::HS256])
    }

    pub(super) fn contains(&self, algorithm: Algorithm) -> bool {
        self.0.contains(&algorithm)
    }
}

impl FromStr for Algorithms {
    type Err = String;

    /// Reads `RS256,ES256`. There is no word for algorithms of secrets, and none for no algorithm.
    fn from_str(text: &str) -> Result<Self, String> {
        let word = |word: &str| Self::OF_SETS.split(',').find(|known| *known == word).and_then(|known| known.parse().ok());
        let words = text.split([',', ' ']).filter(|word| !word.is_empty());
        let algorithms: Option<Vec<Algorithm>> = words.map(word).collect();
        let algorithms = algorithms.filter(|algorithms| !algorithms.is_empty());
        algorithms.map(Self).ok_or_else(|| format!("must be some of {}, separated by commas", Self::OF_SETS))
    }
}

/// The name of a claim, or the way to one within others: `realm_access.roles`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(pub(super) String);

impl FromStr for ClaimPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = (1..=256).contains(&text.len()) && text.chars().all(|c| !c.is_whitespace() && !c.is_control());
        if fits { Ok(Self(text.to_owned())) } else { Err("must be the name of a claim, without spaces".to_owned()) }
    }
}

/// What an issuer calls scopes, and what each means here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeNames(Vec<(String, Scopes)>);

impl ScopeNames {
    pub(super) fn meaning(&self, name: &str) -> Option<Scopes> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, scopes)| *scopes)
    }
}

impl FromStr for ScopeNames {
    type Err = String;

    /// Reads `upload=files:write,files:read;admin=files:delete`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut names: Vec<(String, Scopes)> = Vec::new();
        for entry in text.split(';').map(str::trim).filter(|entry| !entry.is_empty()) {
            // Names of scopes may hold a ‘=’; ours never do.
            let (name, scopes) = entry.rsplit_once('=').ok_or("must be entries such as upload=files:write,files:read, separated by ‘;’")?;
            let name = name.trim();
            if name.is_empty() || name.contains(char::is_whitespace) {
                return Err("must name each scope by one word".to_owned());
            }
            if names.iter().any(|(known, _)| known == name) {
                return Err(format!("must name ‘{name}’ once"));
            }
            names.push((name.to_owned(), scopes.parse()?));
        }
        if names.is_empty() { Err("must not be blank".to_owned()) } else { Ok(Self(names)) }
    }
}
