//! Access tokens: made once, shown once, kept as a hash, in the database or in a file of the operator's. And JSON Web Tokens of others.
//!
//! A token is `dslip_<lookup>_<secret>`: the lookup finds its row, the 256 random bits of the secret prove it. Only the SHA-256
//! of the whole is stored. A fast hash is enough: nobody guesses 256 bits, so there is nothing to slow down.

#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod token_file;
mod upload_token;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use time::OffsetDateTime;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::domain::{Actor, ActorKind, Caller, Scope, Scopes, Tenant, TypeLimit};
use crate::jwt::{KeysAway, Verifier};
use crate::random;
use crate::store::{NewToken, Store, StoreError, TokenRow};
use upload_token::{Maker, UploadToken};

pub use token_file::{Entries, TokenFile};
pub use upload_token::{LONGEST_LIFE, MOST_UPLOAD_TYPES};

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

    /// What is kept of it.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
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

/// The token that somebody holds: what proves it, and who it stands for. Cheap to clone.
#[derive(Clone)]
pub struct Holder {
    proof: Proof,
    /// Who it stands for.
    pub caller: Caller,
    /// When it ends by itself.
    pub expires_at: Option<OffsetDateTime>,
}

/// What is known of a token.
#[derive(Clone)]
enum Proof {
    /// It is kept as a hash, found by its public half.
    Stored { lookup: Arc<str>, secret_sha256: Arc<[u8]> },
    /// It was signed by somebody else, and nothing of it is kept.
    Signed,
}

impl Holder {
    /// Of a token in the file, in the database, or in both: then it is for what the file says, and ends as soon as either says so.
    fn of_both(in_file: Option<Self>, in_database: Option<Self>) -> Option<Self> {
        match (in_file, in_database) {
            (Some(in_file), Some(in_database)) => {
                let expires_at = in_file.expires_at.into_iter().chain(in_database.expires_at).min();
                Some(Self { proof: in_database.proof, caller: in_file.caller, expires_at })
            }
            (in_file, in_database) => in_file.or(in_database),
        }
    }

    fn has_ended(&self, now: OffsetDateTime) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }

    /// The hash that is kept.
    fn sha256(&self) -> Option<&[u8; 32]> {
        match &self.proof {
            Proof::Stored { secret_sha256, .. } => (**secret_sha256).try_into().ok(),
            Proof::Signed => None,
        }
    }

    /// Whether that is the hash of what is kept.
    fn is_proven_by(&self, sha256: &[u8; 32]) -> bool {
        match &self.proof {
            Proof::Stored { secret_sha256, .. } => secret_sha256.ct_eq(sha256).into(),
            Proof::Signed => false,
        }
    }
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.proof {
            Proof::Stored { lookup, .. } => write!(f, "Holder({lookup})"),
            Proof::Signed => write!(f, "Holder({:?})", self.caller.actor),
        }
    }
}

/// How long a good token is trusted without asking the database: a revoked one is refused after that.
pub const TRUSTED: Duration = Duration::from_secs(2);

/// How often files of tokens and keys are looked at.
pub const LOOKED_AT: Duration = Duration::from_secs(2);

/// How many are remembered at most.
const REMEMBERED: usize = 10_000;

/// Tokens by their public half, and when the database was asked about each; nobody's for one that is in the file alone.
type Recent = HashMap<String, (Option<Holder>, Instant)>;

/// Why nobody can say who presents a token.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The issuer's keys are not there yet.
    #[error(transparent)]
    Keys(#[from] KeysAway),
}

/// Everybody who may call.
#[derive(Clone)]
pub struct Tokens {
    store: Store,
    development: Option<Token>,
    file: Option<Arc<TokenFile>>,
    jwt: Option<Arc<Verifier>>,
    recent: Arc<Mutex<Recent>>,
    upload_key: Arc<OnceCell<[u8; 32]>>,
}

/// Without the key that upload tokens are made with.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("development", &self.development).field("file", &self.file).finish_non_exhaustive()
    }
}

impl Tokens {
    /// The tokens in the database and, with the embedded store, one for development that is in no database.
    #[must_use]
    pub fn new(store: Store, development: Option<Token>) -> Self {
        Self { store, development, file: None, jwt: None, recent: Arc::default(), upload_key: Arc::default() }
    }

    /// The same, and those of a file and of an issuer.
    #[must_use]
    pub fn and(self, file: Option<TokenFile>, jwt: Option<Verifier>) -> Self {
        Self { file: file.map(Arc::new), jwt: jwt.map(Arc::new), ..self }
    }

    /// Who presents `text`; `None` when nobody does.
    ///
    /// # Errors
    /// When database or issuer cannot say.
    pub async fn authenticate(&self, text: &str, now: OffsetDateTime) -> Result<Option<Holder>, Unknown> {
        let Some(lookup) = lookup_of(text) else { return self.authenticate_signed(text, now).await };
        let presented = sha256(text);
        let in_file = self.in_file(&presented);
        let in_database = self.holder(lookup, in_file.is_some()).await?.filter(|holder| holder.is_proven_by(&presented));
        Ok(Holder::of_both(in_file, in_database).filter(|holder| !holder.has_ended(now)))
    }

    /// The token in the file that has that hash.
    fn in_file(&self, sha256: &[u8; 32]) -> Option<Holder> {
        self.file.as_ref()?.by_hash(sha256).filter(|holder| holder.is_proven_by(sha256))
    }

    /// The same for what is no token of ours.
    async fn authenticate_signed(&self, text: &str, now: OffsetDateTime) -> Result<Option<Holder>, Unknown> {
        let Some(jwt) = &self.jwt else { return Ok(None) };
        let verified = Box::pin(jwt.authenticate(text, now)).await?;
        Ok(verified.map(|good| Holder { proof: Proof::Signed, caller: good.caller, expires_at: Some(good.expires_at) }))
    }

    /// Looks at files and addresses of tokens and keys until `stop`.
    pub async fn watch(self, stop: CancellationToken) {
        // Each for itself: an issuer that does not answer must not keep a token in the file alive.
        let both = async { tokio::join!(self.watch_file(), self.watch_keys()) };
        let _ = stop.run_until_cancelled(both).await;
    }

    async fn watch_file(&self) {
        while self.file.is_some() {
            tokio::time::sleep(LOOKED_AT).await;
            // What is wrong is logged where it is found.
            drop(self.reload_file().await);
        }
    }

    async fn watch_keys(&self) {
        while let Some(jwt) = &self.jwt {
            tokio::time::sleep(LOOKED_AT).await;
            jwt.look_again().await;
        }
    }

    /// Reads everything again that comes from files and addresses, whether it is time or not.
    ///
    /// # Errors
    /// One line for each that cannot be used; what was known of it stays.
    pub async fn reload(&self) -> Result<(), String> {
        let mut failures: Vec<String> =
            self.reload_file().await.err().into_iter().map(|why| format!("DROPSLIP_TOKENS_FILE: {why}")).collect();
        if let Some(jwt) = &self.jwt {
            failures.extend(jwt.reload().await.err().map(|why| format!("the keys for JWTs: {why}")));
        }
        if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
    }

    async fn reload_file(&self) -> Result<(), String> {
        let Some(file) = self.file.clone() else { return Ok(()) };
        let reloaded = tokio::task::spawn_blocking(move || file.reload()).await;
        reloaded.map_err(|error| error.to_string())?
    }

    /// Makes an upload token: what `holder` may upload of these file types, until then at most. Answers when it ends, too.
    ///
    /// It is kept nowhere and ends with the access token it is made from.
    ///
    /// # Errors
    /// When the database cannot say.
    pub async fn upload_token(
        &self,
        holder: &Holder,
        types: &[String],
        expires_at: OffsetDateTime,
    ) -> Result<(String, OffsetDateTime), StoreError> {
        let expires_at = holder.expires_at.map_or(expires_at, |ends_at| ends_at.min(expires_at));
        let text = match &holder.proof {
            Proof::Stored { lookup, secret_sha256 } => upload_token::seal(&Maker::Token(lookup), secret_sha256, types, expires_at),
            Proof::Signed => upload_token::seal(
                &Maker::Bearer(holder.caller.actor, holder.caller.tenant.clone()),
                &self.upload_key().await?,
                types,
                expires_at,
            ),
        };
        Ok((text, expires_at))
    }

    /// Who presents the upload token `text`, with the right to upload files of its types and no other.
    ///
    /// # Errors
    /// When the database cannot say.
    pub async fn authenticate_upload(&self, text: &str, now: OffsetDateTime) -> Result<Option<Caller>, StoreError> {
        let Some(token) = UploadToken::parse(text) else { return Ok(None) };
        let scopes = Scopes::only(Scope::FilesWrite);
        match &token.maker {
            Maker::Token(lookup) => {
                // What the file alone has is called by its hash; what the database has too, by its public half.
                let mut holder = self.file.as_ref().and_then(|file| file.by_lookup(lookup));
                if holder.is_none() {
                    let in_database = self.holder(lookup, false).await?;
                    let in_file = in_database.as_ref().and_then(|holder| self.in_file(holder.sha256()?));
                    holder = Holder::of_both(in_file, in_database);
                }
                let holder = holder.filter(|holder| holder.caller.scopes.contains(Scope::FilesWrite) && !holder.has_ended(now));
                let Some(Holder { proof: Proof::Stored { secret_sha256, .. }, caller, .. }) = holder else { return Ok(None) };
                let types = token.open(&secret_sha256, now).map(|types| types.within(&caller.types));
                Ok(types.map(|types| Caller { scopes, types, ..caller }))
            }
            Maker::Bearer(actor, tenant) => {
                // Whoever takes no JWTs any more takes nothing that was made with them.
                if self.jwt.is_none() {
                    return Ok(None);
                }
                let (actor, tenant) = (*actor, tenant.clone());
                let types = token.open(&self.upload_key().await?, now);
                Ok(types.map(|types| Caller { actor, tenant, scopes, types }))
            }
        }
    }

    /// The key of upload tokens that are made from what is kept nowhere; the same for all brokers of the database.
    async fn upload_key(&self) -> Result<[u8; 32], StoreError> {
        let key = self.upload_key.get_or_try_init(|| self.store.shared_key(UPLOAD_KEY, random::bytes()));
        key.await.copied()
    }

    /// The token with that public half, which may have ended; who presents it has still to prove it, unless it `is_known` by the file.
    async fn holder(&self, lookup: &str, is_known: bool) -> Result<Option<Holder>, StoreError> {
        if let Some(development) = self.development.as_ref().filter(|development| development.lookup() == lookup) {
            let proof = Proof::Stored { lookup: lookup.into(), secret_sha256: development.sha256().as_slice().into() };
            return Ok(Some(Holder { proof, caller: development_caller(), expires_at: None }));
        }
        if let Some((holder, asked)) = self.recent().get(lookup)
            && asked.elapsed() < TRUSTED
        {
            return Ok(holder.clone());
        }
        let asked = Instant::now();
        let row = Box::pin(self.store.find_token(lookup)).await?;
        let holder = row.map(|row| Holder {
            proof: Proof::Stored { lookup: lookup.into(), secret_sha256: row.secret_sha256.into() },
            caller: row.caller,
            // However much the clocks of machines differ: what is revoked has ended long ago.
            expires_at: row.revoked_at.map(|_| OffsetDateTime::UNIX_EPOCH).or(row.expires_at),
        });
        // What is unknown is not remembered: nobody can fill this with guesses.
        if holder.is_some() || is_known {
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
        self.create_until(caller, None, now).await
    }

    /// The same for one that ends by itself.
    ///
    /// # Errors
    /// When the database cannot keep it.
    pub async fn create_until(
        &self,
        caller: &Caller,
        expires_at: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<(i64, Token), StoreError> {
        let token = Token::generate();
        let row = NewToken { lookup: token.lookup(), secret_sha256: token.sha256(), caller, expires_at, created_at: now };
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

/// The shared key's name in the database.
const UPLOAD_KEY: &str = "upload tokens";

/// The person at the laptop.
fn development_caller() -> Caller {
    let actor = Actor { id: 1, kind: ActorKind::Users };
    Caller { actor, tenant: Tenant::default(), scopes: Scopes::all(), types: TypeLimit::default() }
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
