//! Access tokens: made once, shown once, kept as a hash.
//!
//! A token is `dslip_<lookup>_<secret>`: the lookup finds its row, the 256 random bits of the secret prove it. Only the SHA-256
//! of the whole is stored. A fast hash is enough: nobody guesses 256 bits, so there is nothing to slow down.

#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod upload_token;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use time::OffsetDateTime;

use crate::domain::{Actor, ActorKind, Caller, Scope, Scopes, Tenant};
use crate::random;
use crate::store::{NewToken, Store, StoreError, TokenRow};
use upload_token::UploadToken;

pub use upload_token::{LONGEST_LIFE, MOST_TYPES};

const PREFIX: &str = "dslip_";
const LOOKUP_CHARS: usize = 16;
const SECRET_CHARS: usize = 64;

/// A token's text; prints as nothing but its lookup.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A new one from 256 random bits.
    #[must_use]
    pub fn generate() -> Self {
        let lookup = hex::encode(random::bytes::<{ LOOKUP_CHARS / 2 }>());
        let secret = hex::encode(random::bytes::<{ SECRET_CHARS / 2 }>());
        Self(format!("{PREFIX}{lookup}_{secret}"))
    }

    /// Reads what a caller presents; `None` when it cannot be a token.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        lookup_of(text).map(|_| Self(text.to_owned()))
    }

    /// The whole token: for its owner's eyes only.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    fn lookup(&self) -> &str {
        self.0.get(PREFIX.len()..PREFIX.len() + LOOKUP_CHARS).unwrap_or_default()
    }

    fn sha256(&self) -> [u8; 32] {
        sha256(&self.0)
    }
}

/// The public half of what may be a token; `None` when it cannot be one.
fn lookup_of(text: &str) -> Option<&str> {
    let (lookup, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let is_hex = |part: &str, chars| part.len() == chars && part.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
    (is_hex(lookup, LOOKUP_CHARS) && is_hex(secret, SECRET_CHARS)).then_some(lookup)
}

fn sha256(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.lookup())
    }
}

/// The token that somebody holds: what is stored of it, and who it stands for. Cheap to clone.
#[derive(Clone)]
pub struct Holder {
    lookup: Arc<str>,
    secret_sha256: Arc<[u8]>,
    /// Who it stands for.
    pub caller: Caller,
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Holder({})", self.lookup)
    }
}

/// How long a good token is trusted without asking the database: a revoked one is refused after that.
pub const TRUSTED: Duration = Duration::from_secs(2);

/// How many are remembered at most.
const REMEMBERED: usize = 10_000;

/// Good tokens by their public half, and when the database was asked about each.
type Recent = HashMap<String, (Holder, Instant)>;

/// Everybody who may call.
#[derive(Debug, Clone)]
pub struct Tokens {
    store: Store,
    development: Option<Token>,
    recent: Arc<Mutex<Recent>>,
}

impl Tokens {
    /// The tokens in the database and, with the embedded store, one for development that is in no database.
    #[must_use]
    pub fn new(store: Store, development: Option<Token>) -> Self {
        Self { store, development, recent: Arc::default() }
    }

    /// Who presents `text`; `None` when nobody does.
    ///
    /// # Errors
    /// When the database cannot say.
    pub async fn authenticate(&self, text: &str) -> Result<Option<Holder>, StoreError> {
        let Some(lookup) = lookup_of(text) else { return Ok(None) };
        let presented = sha256(text);
        let holder = self.holder(lookup).await?;
        Ok(holder.filter(|holder| bool::from(holder.secret_sha256.ct_eq(&presented))))
    }

    /// Makes an upload token: what `holder` may upload of these file types, until then.
    ///
    /// It is kept nowhere and ends with the access token it is made from.
    #[must_use]
    pub fn upload_token(&self, holder: &Holder, types: &[String], expires_at: OffsetDateTime) -> String {
        upload_token::seal(holder, types, expires_at)
    }

    /// Who presents the upload token `text`, with the right to upload and no other, and the file types it is for.
    ///
    /// # Errors
    /// When the database cannot say.
    pub async fn authenticate_upload(&self, text: &str, now: OffsetDateTime) -> Result<Option<(Caller, Vec<String>)>, StoreError> {
        let Some(token) = UploadToken::parse(text) else { return Ok(None) };
        let Some(holder) = self.holder(token.lookup).await? else { return Ok(None) };
        if !holder.caller.scopes.contains(Scope::FilesWrite) {
            return Ok(None);
        }
        let types = token.open(&holder, now);
        Ok(types.map(|types| (Caller { scopes: Scopes::only(Scope::FilesWrite), ..holder.caller }, types)))
    }

    /// The good token with that public half; who presents it has still to prove it.
    async fn holder(&self, lookup: &str) -> Result<Option<Holder>, StoreError> {
        if let Some(development) = self.development.as_ref().filter(|development| development.lookup() == lookup) {
            let secret_sha256 = development.sha256().as_slice().into();
            return Ok(development_caller().map(|caller| Holder { lookup: lookup.into(), secret_sha256, caller }));
        }
        if let Some((holder, asked)) = self.recent().get(lookup)
            && asked.elapsed() < TRUSTED
        {
            return Ok(Some(holder.clone()));
        }
        let asked = Instant::now();
        let row = Box::pin(self.store.find_token(lookup)).await?.filter(|row| row.revoked_at.is_none());
        let holder = row.map(|row| Holder { lookup: lookup.into(), secret_sha256: row.secret_sha256.into(), caller: row.caller });
        // What is unknown is not remembered: nobody can fill this with guesses.
        if let Some(holder) = &holder {
            let mut recent = self.recent();
            if recent.len() >= REMEMBERED {
                recent.retain(|_, (_, asked)| asked.elapsed() < TRUSTED);
            }
            if recent.len() < REMEMBERED {
                recent.insert(lookup.to_owned(), (holder.clone(), asked));
            }
        }
        Ok(holder)
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a token for `caller`; this is the only time its text is known. Returns its number too.
    ///
    /// # Errors
    /// When the database cannot keep it.
    pub async fn create(&self, caller: &Caller, now: OffsetDateTime) -> Result<(i64, Token), StoreError> {
        let token = Token::generate();
        let row = NewToken { lookup: token.lookup(), secret_sha256: token.sha256(), caller, created_at: now };
        Ok((self.store.insert_token(&row).await?, token))
    }

    /// Every token in the database, oldest first.
    ///
    /// # Errors
    /// When the database cannot say.
    pub async fn list(&self) -> Result<Vec<TokenRow>, StoreError> {
        self.store.list_tokens().await
    }

    /// Ends a token; `false` when there is none of that number that is still good.
    ///
    /// # Errors
    /// When the database cannot keep it.
    pub async fn revoke(&self, id: i64, now: OffsetDateTime) -> Result<bool, StoreError> {
        self.store.revoke_token(id, now).await
    }
}

/// The person at the laptop.
fn development_caller() -> Option<Caller> {
    let tenant = Tenant::DEFAULT.parse().ok()?;
    Some(Caller { actor: Actor { id: 1, kind: ActorKind::Users }, tenant, scopes: Scopes::all() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_prints_no_secret() {
        let token = Token::generate();
        assert_eq!(Token::parse(token.reveal()), Some(token.clone()));
        let secret = token.reveal().rsplit_once('_').unwrap().1;
        assert_eq!(secret.len(), 64);
        assert!(!format!("{token:?}").contains(secret));
        assert_ne!(Token::generate(), token);
    }

    #[test]
    fn what_is_no_token_is_not_looked_up() {
        let token = Token::generate();
        for bad in
            ["", "dslip_", "dslip__", &token.reveal().to_uppercase(), &token.reveal()[1..], &format!("{}0", token.reveal()), "dslip_üü_é"]
        {
            assert_eq!(Token::parse(bad), None, "{bad}");
        }
    }
}
