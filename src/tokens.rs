//! Access tokens: made once, shown once, kept as a hash, in the database or in a file of the operator's. And JSON Web Tokens of others.
//!
//! A token is `dslip_<lookup>_<secret>`: the lookup finds its row, the 256 random bits of the secret prove it. Only the SHA-256
//! of the whole is stored. A fast hash is enough: nobody guesses 256 bits, so there is nothing to slow down.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod session;
mod sessions;
mod signed_calls;
mod signing;
mod strangers;
mod token;
mod token_file;
mod unknown;
mod upload_token;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use subtle::ConstantTimeEq as _;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::database::{Database, DatabaseError, NewToken, TokenRow};
use crate::domain::{Actor, ActorKind, Address, Caller, Scope, Scopes, Tenant, TypeLimit};
use crate::jwt::Verifier;
use strangers::{Presented, Strangers};
use token::{lookup_of, sha256};
use upload_token::{Maker, UploadToken};

pub use session::{Guard, NewSession, SESSION_LIFE};
pub use sessions::Session;
pub use signed_calls::SignedCall;
pub use signing::Signing;
pub use token::Token;
pub use token_file::{Entries, TokenFile};
pub use unknown::Unknown;
pub use upload_token::{LONGEST_LIFE, MOST_UPLOAD_TYPES};

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

    /// What is public of it.
    fn lookup(&self) -> Option<&str> {
        match &self.proof {
            Proof::Stored { lookup, .. } => Some(lookup),
            Proof::Signed => None,
        }
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

/// Everybody who may call.
#[derive(Clone)]
pub struct Tokens {
    database: Database,
    development: Option<Token>,
    file: Option<Arc<TokenFile>>,
    jwt: Option<Arc<Verifier>>,
    recent: Arc<Mutex<Recent>>,
    strangers: Arc<Strangers>,
    /// What upload tokens and sessions are signed with; nothing in a command that makes none.
    signing: Arc<ArcSwapOption<Signing>>,
    /// Until when upload tokens of the version before are taken.
    before_until: OffsetDateTime,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("development", &self.development).field("file", &self.file).finish_non_exhaustive()
    }
}

impl Tokens {
    /// The tokens in the database and, with the embedded store, one for development that is in no database.
    #[must_use]
    pub fn new(database: Database, development: Option<Token>) -> Self {
        let (recent, strangers, signing) = (Arc::default(), Arc::new(Strangers::new()), Arc::default());
        let before_until = OffsetDateTime::UNIX_EPOCH;
        Self { database, development, file: None, jwt: None, recent, strangers, signing, before_until }
    }

    /// The same, and those of a file and of an issuer.
    #[must_use]
    pub fn and(self, file: Option<TokenFile>, jwt: Option<Verifier>) -> Self {
        Self { file: file.map(Arc::new), jwt: jwt.map(Arc::new), ..self }
    }

    /// The same, signing upload tokens and sessions. Upload tokens of the version before are good as well, for as long as one can live after
    /// `first_signed_at`, when this installation first signed with its secret.
    #[must_use]
    pub fn signing(self, signing: Signing, first_signed_at: OffsetDateTime) -> Self {
        self.sign_with(signing);
        Self { before_until: first_signed_at + LONGEST_LIFE, ..self }
    }

    /// From now on upload tokens and sessions are made and judged with these keys.
    pub fn sign_with(&self, signing: Signing) {
        self.signing.store(Some(Arc::new(signing)));
    }

    /// Who presents `text` from there; `None` when nobody does.
    ///
    /// # Errors
    /// When database or issuer cannot say, or there are too many bad ones from there.
    pub async fn authenticate(&self, text: &str, from: Option<Address>, now: OffsetDateTime) -> Result<Option<Holder>, Unknown> {
        let mut presented = self.strangers.token(from);
        let Some(lookup) = lookup_of(text) else {
            let holder = self.authenticate_signed(text, now).await?;
            return presented.judged(holder);
        };
        let hash = sha256(text);
        let in_file = self.in_file(&hash);
        let proves = |holder: &Holder| holder.is_proven_by(&hash);
        let in_database = self.holder(lookup, in_file.is_some(), &mut presented, proves).await?.filter(proves);
        presented.judged(Holder::of_both(in_file, in_database).filter(|holder| !holder.has_ended(now)))
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
    /// When there is nothing to sign it with.
    pub fn upload_token(
        &self,
        holder: &Holder,
        types: &[String],
        expires_at: OffsetDateTime,
    ) -> Result<(String, OffsetDateTime), DatabaseError> {
        let expires_at = holder.expires_at.map_or(expires_at, |ends_at| ends_at.min(expires_at));
        let signing = self.signing.load_full();
        let Some(keys) = signing.as_ref().and_then(|signing| signing.upload_tokens.as_ref()) else {
            return Err(DatabaseError::Broken("there is no secret that signs upload tokens".to_owned()));
        };
        let maker = match &holder.proof {
            Proof::Stored { lookup, .. } => Maker::Token(lookup),
            Proof::Signed => Maker::Bearer(holder.caller.actor, holder.caller.tenant.clone()),
        };
        Ok((upload_token::seal(&maker, keys, types, expires_at), expires_at))
    }

    /// Who presents the upload token `text` from there, with the right to upload files of its types and no other.
    ///
    /// # Errors
    /// When the database cannot say, or there are too many bad ones from there.
    pub async fn authenticate_upload(&self, text: &str, from: Option<Address>, now: OffsetDateTime) -> Result<Option<Caller>, Unknown> {
        let mut presented = self.strangers.token(from);
        let caller = self.uploader(text, &mut presented, now).await?;
        presented.judged(caller)
    }

    async fn uploader(&self, text: &str, presented: &mut Presented<'_>, now: OffsetDateTime) -> Result<Option<Caller>, DatabaseError> {
        let Some(token) = UploadToken::parse(text).filter(|token| token.lives(now)) else { return Ok(None) };
        // What the installation secret signed is proven before anything is looked up. What the version before signed is not.
        let signing = self.signing.load_full();
        let signed = signing.as_ref().and_then(|signing| token.open(signing.upload_tokens.as_ref()?, now));
        let may_be_of_before = token.is_of_before && now < self.before_until;
        if signed.is_none() && !may_be_of_before {
            return Ok(None);
        }
        let types_by = |key_of_before: &[u8]| signed.clone().or_else(|| token.open_of_before(key_of_before, now));
        let scopes = Scopes::only(Scope::FilesWrite);
        match &token.maker {
            Maker::Token(lookup) => {
                let proves = |holder: &Holder| holder.sha256().is_some_and(|hash| types_by(hash).is_some());
                let holder = self.named(lookup, signed.is_some(), presented, proves).await?;
                let holder = holder.filter(|holder| holder.caller.scopes.contains(Scope::FilesWrite) && !holder.has_ended(now));
                let Some(Holder { proof: Proof::Stored { secret_sha256, .. }, caller, .. }) = holder else { return Ok(None) };
                let types = types_by(&secret_sha256).map(|types| types.within(&caller.types));
                Ok(types.map(|types| Caller { scopes, types, ..caller }))
            }
            Maker::Bearer(actor, tenant) => {
                // Whoever takes no JWTs any more takes nothing that was made with them.
                if self.jwt.is_none() {
                    return Ok(None);
                }
                let (actor, tenant) = (*actor, tenant.clone());
                let types = if signed.is_some() { signed } else { self.key_of_before(presented).await?.and_then(|key| types_by(&key)) };
                Ok(types.map(|types| Caller { actor, tenant, scopes, types, dialect: None }))
            }
        }
    }

    /// The token with that public half, in the file, in the database or in both.
    async fn named(
        &self,
        lookup: &str,
        is_known: bool,
        presented: &mut Presented<'_>,
        proves: impl Fn(&Holder) -> bool,
    ) -> Result<Option<Holder>, DatabaseError> {
        // What the file alone has is called by its hash; what the database has too, by its public half.
        if let Some(holder) = self.file.as_ref().and_then(|file| file.by_lookup(lookup)) {
            return Ok(Some(holder));
        }
        let in_database = self.holder(lookup, is_known, presented, proves).await?;
        let in_file = in_database.as_ref().and_then(|holder| self.in_file(holder.sha256()?));
        Ok(Holder::of_both(in_file, in_database))
    }

    /// What the version before signed upload tokens with that were made from what is kept nowhere; the same for all brokers of the database.
    async fn key_of_before(&self, presented: &mut Presented<'_>) -> Result<Option<[u8; 32]>, DatabaseError> {
        let _lookup = presented.lookup().await;
        self.database.find_shared_key(KEY_OF_BEFORE).await
    }

    /// The token with that public half, which may have ended; who presents it has still to prove it, unless it `is_known` by the file.
    /// Of one over its rate, the database is asked in turn, unless what was known of it a moment ago `proves` it.
    async fn holder(
        &self,
        lookup: &str,
        is_known: bool,
        presented: &mut Presented<'_>,
        proves: impl Fn(&Holder) -> bool,
    ) -> Result<Option<Holder>, DatabaseError> {
        if let Some(development) = self.development.as_ref().filter(|development| development.lookup() == lookup) {
            let proof = Proof::Stored { lookup: lookup.into(), secret_sha256: development.sha256().as_slice().into() };
            return Ok(Some(Holder { proof, caller: development_caller(), expires_at: None }));
        }
        let mut was_good = is_known;
        if let Some((holder, asked)) = self.recent().get(lookup) {
            if asked.elapsed() < TRUSTED {
                return Ok(holder.clone());
            }
            was_good = was_good || holder.as_ref().is_some_and(proves);
        }
        let _lookup = if was_good { None } else { presented.lookup().await };
        let asked = Instant::now();
        let row = Box::pin(self.database.find_token(lookup)).await?;
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
    pub async fn create(&self, caller: &Caller, now: OffsetDateTime) -> Result<(i64, Token), DatabaseError> {
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
    ) -> Result<(i64, Token), DatabaseError> {
        let token = Token::generate();
        let row = NewToken { lookup: token.lookup(), secret_sha256: token.sha256(), caller, expires_at, created_at: now };
        Ok((self.database.insert_token(&row).await?, token))
    }

    /// Every token in the database, oldest first.
    ///
    /// # Errors
    /// When the database cannot say.
    pub async fn list(&self) -> Result<Vec<TokenRow>, DatabaseError> {
        self.database.list_tokens().await
    }

    /// Ends a token; `false` when there is none of that number that is still good.
    ///
    /// # Errors
    /// When the database cannot keep it.
    pub async fn revoke(&self, id: i64, now: OffsetDateTime) -> Result<bool, DatabaseError> {
        self.database.revoke_token(id, now).await
    }
}

/// The name of the version before's key in the database.
const KEY_OF_BEFORE: &str = "upload tokens";

/// Whether that looks like a token that somebody may hold: an access token, or a JWT, whose header is JSON.
#[must_use]
pub fn looks_like_token(text: &str) -> bool {
    lookup_of(text).is_some() || (text.starts_with("eyJ") && text.split('.').count() == 3)
}

/// The person at the laptop.
fn development_caller() -> Caller {
    let actor = Actor { id: 1, kind: ActorKind::Users };
    Caller { actor, tenant: Tenant::default(), scopes: Scopes::all(), types: TypeLimit::default(), dialect: None }
}
