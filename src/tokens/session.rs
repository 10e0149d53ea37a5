//! Sessions: what a client sends for some hours in place of the token that it logged in with.
//!
//! A session is `<group>.<maker>.<end>.<guard>.<mac>`, by a key of the installation secret, and is kept nowhere. The group is what others may
//! be shown of it. The maker is the access token's public half, so a session ends when that is revoked; of a JWT nothing is stored, so what
//! it said stands there, and the session ends with it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use time::{Duration, OffsetDateTime};

use super::token::LOOKUP_CHARS;
use crate::domain::{Actor, Caller, Scopes, Tenant, TypeLimit};
use crate::installation_secret::{Keys, MAC_BYTES};

/// How long a session lives at most.
pub const SESSION_LIFE: Duration = Duration::hours(8);

/// Letters and digits of a group: half of a proof, which opens nothing.
pub(super) const GROUP_CHARS: usize = MAC_BYTES;

/// The longest text that is looked at: a JWT with the most file types says no more.
const LONGEST: usize = 8 * 1024;

/// What the two proofs of a session are about. No session begins with the second.
const OF_SESSION: &[u8] = b"session\0";
const OF_CHANGES: &[u8] = b"changes\0";

/// Whether changes need a proof beside the session, which a page of somebody else does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// They do.
    Guarded,
    /// They do not: for clients that can send no header.
    Open,
}

/// What a session was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Maker {
    /// The access token with this public half.
    Token(String),
    /// Somebody whose JWT is kept nowhere.
    Bearer(Caller),
}

impl fmt::Display for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(lookup) => write!(f, "t{lookup}"),
            Self::Bearer(Caller { actor, tenant, scopes, types, .. }) => {
                let types = types.names().map_or_else(|| "*".to_owned(), |names| names.join("+"));
                let said = format!("{} {} {} {scopes} {types}", actor.kind.as_str(), actor.id, tenant.as_str());
                write!(f, "b{}", URL_SAFE_NO_PAD.encode(said))
            }
        }
    }
}

impl Maker {
    fn parse(text: &str) -> Option<Self> {
        if let Some(lookup) = text.strip_prefix('t') {
            let is_lookup = lookup.len() == LOOKUP_CHARS && lookup.bytes().all(|b| b.is_ascii_hexdigit());
            return is_lookup.then(|| Self::Token(lookup.to_owned()));
        }
        let said = String::from_utf8(URL_SAFE_NO_PAD.decode(text.strip_prefix('b')?).ok()?).ok()?;
        let words: Vec<&str> = said.split(' ').collect();
        let [kind, id, tenant, scopes, types] = words[..] else { return None };
        let types = match types {
            "*" => TypeLimit::default(),
            "" => TypeLimit::to([]),
            names => TypeLimit::to(names.split('+').map(ToOwned::to_owned)),
        };
        let scopes = if scopes.is_empty() { Scopes::default() } else { scopes.parse().ok()? };
        let tenant: Tenant = tenant.parse().ok()?;
        Some(Self::Bearer(Caller { actor: Actor { id: id.parse().ok()?, kind: kind.parse().ok()? }, tenant, scopes, types, dialect: None }))
    }
}

/// A session that was just made; prints as nothing but its group.
#[derive(Clone)]
pub struct NewSession {
    text: String,
    proof_for_changes: Option<String>,
}

impl NewSession {
    /// The whole session: for its owner alone.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What changes need beside it, unless it is open.
    #[must_use]
    pub fn reveal_proof_for_changes(&self) -> Option<&str> {
        self.proof_for_changes.as_deref()
    }
}

impl fmt::Debug for NewSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewSession({})", self.text.get(..GROUP_CHARS).unwrap_or_default())
    }
}

/// Makes a session that ends then.
pub(super) fn seal(group: &str, maker: &Maker, keys: &Keys, guard: Guard, ends_at: OffsetDateTime) -> NewSession {
    let letter = if guard == Guard::Guarded { 'g' } else { 'o' };
    let said = format!("{group}.{maker}.{}.{letter}", ends_at.unix_timestamp());
    let proof_for_changes = (guard == Guard::Guarded).then(|| hex::encode(keys.sign(&[OF_CHANGES, said.as_bytes()])));
    let mac = hex::encode(keys.sign(&[OF_SESSION, said.as_bytes()]));
    NewSession { text: format!("{said}.{mac}"), proof_for_changes }
}

/// What a session says, not yet proven; prints without its proof.
pub(super) struct Claimed<'a> {
    pub(super) group: &'a str,
    pub(super) maker: Maker,
    pub(super) guard: Guard,
    ends_at: OffsetDateTime,
    said: &'a str,
    mac: [u8; MAC_BYTES],
}

impl fmt::Debug for Claimed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Claimed({})", self.said)
    }
}

impl<'a> Claimed<'a> {
    /// Reads what a client presents; `None` when it cannot be a session.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let (said, proof) = text.rsplit_once('.')?;
        let mut parts = said.split('.');
        let (Some(group), Some(maker), Some(end), Some(guard), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let mut mac = [0; MAC_BYTES];
        hex::decode_to_slice(proof, &mut mac).ok()?;
        let is_group = group.len() == GROUP_CHARS && group.bytes().all(|b| b.is_ascii_hexdigit());
        let guard = match guard {
            "g" => Guard::Guarded,
            "o" => Guard::Open,
            _ => return None,
        };
        let ends_at = OffsetDateTime::from_unix_timestamp(end.parse().ok()?).ok()?;
        is_group.then_some(())?;
        Some(Self { group, maker: Maker::parse(maker)?, guard, ends_at, said, mac })
    }

    /// Whether the installation secret made it and it has not ended.
    pub(super) fn is_good(&self, keys: &Keys, now: OffsetDateTime) -> bool {
        keys.verify(&[OF_SESSION, self.said.as_bytes()], &self.mac) && self.ends_at > now && self.ends_at <= now + SESSION_LIFE
    }

    /// Whether that is the proof for changes of this session. To be asked of a good one.
    pub(super) fn is_proven_for_changes(&self, keys: &Keys, proof: &str) -> bool {
        let mut mac = [0; MAC_BYTES];
        hex::decode_to_slice(proof, &mut mac).is_ok() && keys.verify(&[OF_CHANGES, self.said.as_bytes()], &mac)
    }
}
