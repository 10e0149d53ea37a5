//! What tokens sign with: a key of the installation secret for each purpose.

use crate::domain::{Actor, ActorKind, Tenant};
use crate::installation_secret::{InstallationSecret, Keys, Purpose};

/// Numbers of anonymous customers begin here, far above those that operators give, and end where programs lose digits (2^53).
const FIRST_ANONYMOUS: u64 = 1 << 52;

/// A key for each thing that is signed.
#[derive(Debug, Clone)]
pub struct Signing {
    pub(super) upload_tokens: Option<Keys>,
    /// None where the secret lies in the database.
    pub(super) sessions: Option<Keys>,
    groups: Option<Keys>,
    anonymous: Option<Keys>,
    /// None where the secret lies in the database.
    pub(super) calls: Option<Keys>,
}

impl Signing {
    /// Everything that this secret may sign.
    #[must_use]
    pub fn of(secret: &InstallationSecret) -> Self {
        let keys = |purpose| secret.keys(purpose);
        Self {
            upload_tokens: keys(Purpose::UploadTokens),
            sessions: keys(Purpose::Sessions),
            groups: keys(Purpose::Groups),
            anonymous: keys(Purpose::Anonymous),
            calls: keys(Purpose::SignedCalls),
        }
    }

    pub(super) fn group(&self, tenant: &Tenant, actor: Actor) -> Option<String> {
        let said = format!("{} {} {}", actor.kind.as_str(), actor.id, tenant.as_str());
        let proof = self.groups.as_ref()?.sign(&[said.as_bytes()]);
        Some(hex::encode(&proof[..proof.len() / 2]))
    }

    pub(super) fn anonymous(&self, tenant: &Tenant, name: &[u8]) -> Option<Actor> {
        let proof = self.anonymous.as_ref()?.sign(&[tenant.as_str().as_bytes(), b"\0", name]);
        let number = proof.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))?;
        let id = i64::try_from(number % FIRST_ANONYMOUS + FIRST_ANONYMOUS).ok()?;
        Some(Actor { id, kind: ActorKind::Customers })
    }
}
