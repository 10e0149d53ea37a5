//! Calls whose client keeps the token to itself and signs each one with a secret that goes with it.
//!
//! The name of such a pair is the token's public half, and its secret is made of that name and of the installation secret. So nothing is
//! kept for a pair, and it ends with its token. There is no time in what is signed: whoever sees one signed call can repeat it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq as _};
use time::OffsetDateTime;

use super::signing::Signing;
use super::strangers::Presented;
use super::token::is_lookup;
use super::{Holder, Token, Tokens, Unknown};
use crate::database::DatabaseError;
use crate::domain::{Address, Caller};

/// What a client presents instead of a token; printed without its signature.
#[derive(Clone, Copy)]
pub struct SignedCall<'a> {
    /// The public half of a token.
    pub name: &'a str,
    /// What is signed: one of these, where it may have been spelled in several ways.
    pub said: &'a [&'a [u8]],
    /// HMAC-SHA256 of that by the secret, as raw bytes.
    pub signature: &'a [u8],
}

impl fmt::Debug for SignedCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedCall").field("name", &self.name).finish_non_exhaustive()
    }
}

impl SignedCall<'_> {
    /// Whether that secret has signed it; takes the same time whatever differs.
    fn is_signed_by(&self, secret: &str) -> Choice {
        self.said.iter().fold(Choice::from(0), |signed, said| signed | mac(secret, said).as_slice().ct_eq(self.signature))
    }
}

impl Signing {
    /// The secret that goes with the token of that public half; `None` where no secret may make one.
    #[must_use]
    pub fn pair_secret(&self, name: &str) -> Option<String> {
        self.calls.as_ref().map(|keys| BASE64.encode(keys.sign(&[name.as_bytes()])))
    }

    /// Whether the secret of that name has signed the call, as it is now or as it was made with an older secret of the installation.
    fn has_signed(&self, call: &SignedCall<'_>) -> bool {
        let Some(keys) = &self.calls else { return false };
        let name = [call.name.as_bytes()];
        let proofs = keys.sign_by_each(&name);
        proofs.fold(Choice::from(0), |signed, proof| signed | call.is_signed_by(&BASE64.encode(proof))).into()
    }
}

impl Tokens {
    /// Who has signed that call from there; `None` when nobody did.
    ///
    /// # Errors
    /// When the database cannot say, or there are too many bad ones from there.
    pub async fn signer(&self, call: &SignedCall<'_>, from: Option<Address>, now: OffsetDateTime) -> Result<Option<Caller>, Unknown> {
        let mut presented = self.strangers.token(from);
        let holder = self.signed(call, &mut presented, now).await?;
        presented.judged(holder.map(|holder| holder.caller))
    }

    async fn signed(
        &self,
        call: &SignedCall<'_>,
        presented: &mut Presented<'_>,
        now: OffsetDateTime,
    ) -> Result<Option<Holder>, DatabaseError> {
        // Proven before anything is looked up.
        let is_signed = self.signing.load_full().is_some_and(|signing| signing.has_signed(call));
        if !is_signed || !is_lookup(call.name) {
            return Ok(None);
        }
        let holder = self.named(call.name, true, presented, |_| true).await?;
        Ok(holder.filter(|holder| !holder.has_ended(now)))
    }

    /// The pair that goes with a token: its name, which is the token's public half, or the beginning of its hash where the file of tokens
    /// alone has it; and its secret. `None` when the token is not good now, or nothing may make a pair.
    ///
    /// # Errors
    /// When the database cannot say.
    pub async fn pair(&self, token: &Token, now: OffsetDateTime) -> Result<Option<(String, String)>, Unknown> {
        let holder = self.authenticate(token.reveal(), None, now).await?;
        let signing = self.signing.load_full();
        let name = holder.as_ref().and_then(Holder::lookup);
        Ok(name.zip(signing).and_then(|(name, signing)| Some((name.to_owned(), signing.pair_secret(name)?))))
    }

    /// Whether calls can be signed here.
    #[must_use]
    pub fn takes_signed_calls(&self) -> bool {
        self.signing.load_full().is_some_and(|signing| signing.calls.is_some())
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
fn mac(secret: &str, said: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of every length");
    mac.update(said);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::installation_secret::{InstallationSecret, Source};

    const NAME: &str = "0123456789abcdef";
    const OLD: &str = "0123456789abcdef0123456789abcdef";
    const NEW: &str = "fedcba9876543210fedcba9876543210";

    fn signing(secrets: &str, source: Source) -> Signing {
        Signing::of(&InstallationSecret::new(secrets.parse().unwrap(), source))
    }

    fn call<'a>(name: &'a str, said: &'a [&'a [u8]], signature: &'a [u8]) -> SignedCall<'a> {
        SignedCall { name, said, signature }
    }

    #[test]
    fn a_pair_signs_for_its_own_name_alone_and_lives_as_long_as_its_secret() {
        let [old, both, new] = [OLD, &format!("{NEW},{OLD}"), NEW].map(|secrets| signing(secrets, Source::DataFolder));
        let signature = mac(&old.pair_secret(NAME).unwrap(), b"-17");
        let good = call(NAME, &[b"-17"], &signature);
        assert!(old.has_signed(&good) && both.has_signed(&good) && !new.has_signed(&good));
        assert_eq!(both.pair_secret(NAME), new.pair_secret(NAME));
        assert!(old.has_signed(&call(NAME, &[b"another", b"-17"], &signature)));
        for bad in [
            call("0123456789abcdee", &[b"-17"], &signature),
            call(NAME, &[b"-18"], &signature),
            call(NAME, &[], &signature),
            call(NAME, &[b"-17"], &signature[1..]),
            call(NAME, &[b"-17"], &[]),
        ] {
            assert!(!old.has_signed(&bad), "{bad:?}");
        }
    }

    #[test]
    fn a_secret_in_the_database_makes_no_pair() {
        let open = signing(OLD, Source::Database);
        assert_eq!(open.pair_secret(NAME), None);
        let signature = mac(&signing(OLD, Source::DataFolder).pair_secret(NAME).unwrap(), b"1");
        assert!(!open.has_signed(&call(NAME, &[b"1"], &signature)));
    }

    /// As clients do it: the secret's text is the key.
    #[test]
    fn the_secret_is_44_letters_of_base64() {
        let secret = signing(OLD, Source::DataFolder).pair_secret(NAME).unwrap();
        assert!(secret.len() == 44 && secret.ends_with('='), "{secret}");
    }
}
