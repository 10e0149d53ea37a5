//! JSON Web Tokens: who their bearer is, by the signature of an issuer that the operator trusts.
//!
//! What a token says of itself decides nothing. Keys come from the configuration alone; which algorithms a key may be used with comes from
//! the key; a token only names the key (`kid`) and the algorithm, and both must fit. Keys or addresses within a token (`jwk`, `jku`,
//! `x5u`) are never looked at.
//!
//! Keys are fetched at the start, again after a while, and when a token is signed by one that nobody knows: it names another, or it names
//! none and the signature does not fit. A fetch that fails leaves the keys as they are. Good tokens are remembered for a moment, never beyond their end.

mod claims;
mod compact;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod keys;
mod options;
mod source;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::domain::Caller;
use compact::Compact;
use keys::{KeySet, Missing, NO_KEY};
use source::Source;

pub use options::{Algorithms, ClaimNames, ClaimPath, KeySource, LEAST_SECRET, Options, ScopeNames, Secret};

/// No longer text is looked into, in bytes.
const LONGEST_TOKEN: usize = 8 * 1024;

/// How long a good token is remembered: a key that was taken away is forgotten at once, with all that it signed.
const REMEMBERED: Duration = Duration::from_secs(30);

/// How many are remembered at most.
const MOST_REMEMBERED: usize = 10_000;

/// A key that nobody knows is asked for at most so often: anybody can make up names of keys.
const DEMAND: Duration = Duration::from_secs(30);

/// How soon keys are asked for again while there are none.
const RETRY: Duration = Duration::from_secs(5);

/// How soon they are asked for again after a fetch that failed, when the interval is longer.
const RETRY_WITH_KEYS: Duration = Duration::from_mins(1);

/// There is no key yet, so nobody can say whether a token is good.
#[derive(Debug, thiserror::Error)]
#[error("the keys of DROPSLIP_JWT_JWKS are not there yet: {0}")]
pub struct KeysAway(String);

/// Whom a good token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The caller.
    pub caller: Caller,
    /// When the token ends, without leeway.
    pub expires_at: OffsetDateTime,
}

/// A good token as it is remembered.
struct Remembered {
    verified: Verified,
    until: OffsetDateTime,
    since: Instant,
}

/// Why a token is not taken.
enum Refusal {
    /// What is wrong with it.
    Bad(&'static str),
    /// Nobody can say.
    NoKeys,
}

impl From<&'static str> for Refusal {
    fn from(why: &'static str) -> Self {
        Self::Bad(why)
    }
}

/// How the last fetch went.
#[derive(Default)]
struct Fetches {
    tried: Option<Instant>,
    demanded: Option<Instant>,
    /// Why the last one failed.
    failure: Option<String>,
}

/// Looks at tokens.
pub struct Verifier {
    options: Options,
    source: Source,
    keys: RwLock<Arc<KeySet>>,
    fetches: tokio::sync::Mutex<Fetches>,
    remembered: Mutex<HashMap<[u8; 32], Remembered>>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verifier({:?})", self.options.keys)
    }
}

impl Verifier {
    /// Reads the keys. Those of an address may be away: they are asked for again until they come.
    ///
    /// # Errors
    /// With the reason, when a file cannot be used.
    pub async fn open(options: Options) -> Result<Self, String> {
        let source = Source::new(&options.keys)?;
        let verifier =
            Self { options, source, keys: RwLock::default(), fetches: tokio::sync::Mutex::default(), remembered: Mutex::default() };
        let fetched = verifier.fetch(&mut *verifier.fetches.lock().await).await;
        match fetched {
            Err(why) if !verifier.source.is_remote() => Err(why),
            Ok(()) if !verifier.source.is_remote() && verifier.keys().is_empty() => Err(NO_KEY.to_owned()),
            _ => Ok(verifier),
        }
    }

    /// Who presents `text`; `None` when it is no good token.
    ///
    /// # Errors
    /// When no key is there yet.
    pub async fn authenticate(&self, text: &str, now: OffsetDateTime) -> Result<Option<Verified>, KeysAway> {
        if text.len() > LONGEST_TOKEN {
            tracing::debug!("a JWT is refused: it is longer than {LONGEST_TOKEN} bytes");
            return Ok(None);
        }
        let hash = Sha256::digest(text.as_bytes()).into();
        if let Some(verified) = self.recall(&hash, now) {
            return Ok(Some(verified));
        }
        let (verified, keys) = match self.verified(text, now).await {
            Ok(good) => good,
            Err(Refusal::Bad(why)) => {
                tracing::debug!("a JWT is refused: {why}");
                return Ok(None);
            }
            Err(Refusal::NoKeys) => return Err(KeysAway(self.failure().await.unwrap_or_default())),
        };
        self.remember(hash, &verified, &keys, now);
        Ok(Some(verified))
    }

    async fn verified(&self, text: &str, now: OffsetDateTime) -> Result<(Verified, Arc<KeySet>), Refusal> {
        let token = Compact::parse(text)?;
        if !self.options.algorithms.contains(token.algorithm) {
            return Err("its algorithm is not allowed".into());
        }
        let mut keys = self.keys();
        let mut proven = keys.prove(&token);
        if proven.is_err_and(Missing::may_have_come) {
            self.demand(&keys).await;
            let known = std::mem::replace(&mut keys, self.keys());
            if !Arc::ptr_eq(&known, &keys) {
                proven = keys.prove(&token);
            }
        }
        if keys.is_unread() {
            return Err(Refusal::NoKeys);
        }
        proven.map_err(Missing::as_str)?;
        let verified = claims::verified(&token.claims()?, &self.options, now)?;
        Ok((verified, keys))
    }

    /// Fetches the keys anew, whatever was fetched when; what is remembered by keys that are gone is forgotten.
    ///
    /// # Errors
    /// Why that failed; the keys are as they were.
    pub async fn reload(&self) -> Result<(), String> {
        self.fetch(&mut *self.fetches.lock().await).await
    }

    /// What there is to do now and then: files are looked at each time, addresses when it is time.
    pub async fn look_again(&self) {
        let mut fetches = self.fetches.lock().await;
        let due = if self.source.is_remote() {
            let wait = match fetches.failure {
                None => self.options.refresh,
                Some(_) if self.keys().is_unread() => RETRY,
                Some(_) => self.options.refresh.min(RETRY_WITH_KEYS),
            };
            fetches.tried.is_none_or(|tried| tried.elapsed() >= wait)
        } else {
            self.source.can_change()
        };
        if due {
            let _ = self.fetch(&mut fetches).await;
        }
    }

    /// What the keys are, for a person.
    #[must_use]
    pub fn described(&self) -> String {
        self.keys().described()
    }

    /// Why the last fetch failed, if it did.
    pub async fn failure(&self) -> Option<String> {
        self.fetches.lock().await.failure.clone()
    }

    /// What is wrong with keys that were read: there may be none of use.
    #[must_use]
    pub fn lack(&self) -> Option<&'static str> {
        self.keys().is_empty().then_some(NO_KEY)
    }

    /// A token may be signed by a key that is not among `known`. One fetch at a time; whoever waited for another's looks at what that brought.
    async fn demand(&self, known: &Arc<KeySet>) {
        if !self.source.can_change() {
            return;
        }
        let mut fetches = self.fetches.lock().await;
        let asked_lately = fetches.demanded.is_some_and(|demanded| demanded.elapsed() < DEMAND);
        if asked_lately || !Arc::ptr_eq(known, &self.keys()) {
            return;
        }
        fetches.demanded = Some(Instant::now());
        let _ = self.fetch(&mut fetches).await;
    }

    async fn fetch(&self, fetches: &mut Fetches) -> Result<(), String> {
        fetches.tried = Some(Instant::now());
        let read = match self.source.read().await {
            Ok(bytes) => KeySet::read(&self.options.keys, &bytes, &self.options.algorithms),
            Err(why) => Err(why),
        };
        match read {
            Ok(keys) => {
                fetches.failure = None;
                let mut current = self.keys.write().unwrap_or_else(PoisonError::into_inner);
                if **current != keys {
                    if keys.is_empty() {
                        tracing::error!(from = %self.source, "the set of keys for JWTs is read: {NO_KEY}. Every JWT is refused from now on");
                    } else {
                        tracing::info!(keys = keys.described(), "the keys for JWTs are read");
                    }
                    *current = Arc::new(keys);
                    drop(current);
                    // By a key that is gone nothing is good any more.
                    self.remembered().clear();
                }
                Ok(())
            }
            Err(why) => {
                // A file is looked at every few seconds: the same complaint is made once.
                if fetches.failure.as_ref() != Some(&why) || self.source.is_remote() {
                    tracing::warn!(why, from = %self.source, "the keys for JWTs cannot be read; those that are known stay");
                }
                fetches.failure = Some(why.clone());
                Err(why)
            }
        }
    }

    fn keys(&self) -> Arc<KeySet> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remembered(&self) -> MutexGuard<'_, HashMap<[u8; 32], Remembered>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recall(&self, hash: &[u8; 32], now: OffsetDateTime) -> Option<Verified> {
        let remembered = self.remembered();
        let good = remembered.get(hash).filter(|good| good.since.elapsed() < REMEMBERED && now < good.until)?;
        Some(good.verified.clone())
    }

    fn remember(&self, hash: [u8; 32], verified: &Verified, by: &Arc<KeySet>, now: OffsetDateTime) {
        let mut remembered = self.remembered();
        // Asked under the lock that a change of keys takes too: what they no longer prove must not come in after it was cleared.
        if !Arc::ptr_eq(by, &self.keys()) {
            return;
        }
        if remembered.len() >= MOST_REMEMBERED {
            remembered.retain(|_, good| good.since.elapsed() < REMEMBERED && now < good.until);
        }
        if remembered.len() < MOST_REMEMBERED {
            let until = verified.expires_at.saturating_add(self.options.leeway.try_into().unwrap_or_default());
            remembered.insert(hash, Remembered { verified: verified.clone(), until, since: Instant::now() });
        }
    }
}

#[cfg(test)]
mod tests;
