//! Who has a session, and who is known by a name of his own.

use time::OffsetDateTime;

use super::session::{self, Claimed, Guard, Maker, NewSession, SESSION_LIFE};
use super::strangers::Presented;
use super::{Holder, Proof, Tokens, Unknown};
use crate::database::DatabaseError;
use crate::domain::{Actor, Address, Caller, Tenant};

/// A session that is good.
#[derive(Debug)]
pub struct Session {
    /// Who logged in.
    pub caller: Caller,
    /// What others may be shown of it.
    pub group: String,
    /// Whether a change has the proof that it needs.
    pub may_change: bool,
}

impl Tokens {
    /// Makes a session that stands for `holder` until his token ends, some hours at most. `None` where no secret may sign one.
    #[must_use]
    pub fn log_in(&self, holder: &Holder, guard: Guard, now: OffsetDateTime) -> Option<NewSession> {
        let signing = self.signing.load_full()?;
        let keys = signing.sessions.as_ref()?;
        let ends_at = holder.expires_at.map_or(now + SESSION_LIFE, |ends_at| ends_at.min(now + SESSION_LIFE));
        let maker = match &holder.proof {
            Proof::Stored { lookup, .. } => Maker::Token(lookup.to_string()),
            Proof::Signed => Maker::Bearer(holder.caller.clone()),
        };
        let group = signing.group(&holder.caller.tenant, holder.caller.actor)?;
        Some(session::seal(&group, &maker, keys, guard, ends_at))
    }

    /// Who presents the session `text` from there, with or without the proof for changes; `None` when it cannot be loaded.
    ///
    /// # Errors
    /// When the database cannot say, or there are too many bad ones from there.
    pub async fn session(
        &self,
        text: &str,
        proof_for_changes: Option<&str>,
        from: Option<Address>,
        now: OffsetDateTime,
    ) -> Result<Option<Session>, Unknown> {
        let mut presented = self.strangers.token(from);
        let session = self.load(text, proof_for_changes, &mut presented, now).await?;
        presented.judged(session)
    }

    async fn load(
        &self,
        text: &str,
        proof_for_changes: Option<&str>,
        presented: &mut Presented<'_>,
        now: OffsetDateTime,
    ) -> Result<Option<Session>, DatabaseError> {
        let signing = self.signing.load_full();
        let Some(keys) = signing.as_ref().and_then(|signing| signing.sessions.as_ref()) else { return Ok(None) };
        // Proven before anything is looked up.
        let Some(claimed) = Claimed::parse(text).filter(|claimed| claimed.is_good(keys, now)) else { return Ok(None) };
        let caller = match &claimed.maker {
            Maker::Token(lookup) => {
                let holder = self.named(lookup, true, presented, |_| true).await?;
                holder.filter(|holder| !holder.has_ended(now)).map(|holder| holder.caller)
            }
            // Whoever takes no JWTs any more takes nothing that was made with them.
            Maker::Bearer(caller) => self.jwt.is_some().then(|| caller.clone()),
        };
        let proven = || proof_for_changes.is_some_and(|proof| claimed.is_proven_for_changes(keys, proof));
        let may_change = claimed.guard == Guard::Open || proven();
        Ok(caller.map(|caller| Session { caller, group: claimed.group.to_owned(), may_change }))
    }

    /// What tells others that things belong to this actor, and opens nothing. Another one after the secret was replaced.
    #[must_use]
    pub fn group(&self, tenant: &Tenant, actor: Actor) -> String {
        let signing = self.signing.load_full();
        signing.and_then(|signing| signing.group(tenant, actor)).unwrap_or_default()
    }

    /// The customer whom whoever presents this name stands for; nobody can tell the name from the number. `None` where nothing signs.
    #[must_use]
    pub fn anonymous(&self, tenant: &Tenant, name: &[u8]) -> Option<Actor> {
        self.signing.load_full()?.anonymous(tenant, name)
    }

    /// Whether sessions can be made here.
    #[must_use]
    pub fn makes_sessions(&self) -> bool {
        self.signing.load_full().is_some_and(|signing| signing.sessions.is_some())
    }
}
