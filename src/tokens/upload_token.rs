//! Upload tokens: short-lived rights to upload, made from an access token, for clients that can send nothing but a URL.
//!
//! An upload token is `du1.<lookup>.<expiry>.<file types>.<mac>`. It is kept nowhere: the lookup names the access token it was made
//! from, whose stored hash is the key of the HMAC-SHA256. So every broker of a database can check it, it ends when its access
//! token is revoked, and it can do no more than that one.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use time::{Duration, OffsetDateTime};

use super::{Holder, LOOKUP_CHARS};

/// The longest life of an upload token; one that claims more is not good (yet).
pub const LONGEST_LIFE: Duration = Duration::hours(24);

/// Most file types in one upload token.
pub const MOST_TYPES: usize = 16;

const VERSION: &str = "du1";

/// What the key of the HMAC is used for: the same hash must never sign anything else.
const PURPOSE: &[u8] = b"dropslip upload token\0";

/// What an upload token says, not yet proven; prints without its proof.
pub(super) struct UploadToken<'a> {
    pub(super) lookup: &'a str,
    expires_at: OffsetDateTime,
    types: Vec<&'a str>,
    said: &'a str,
    mac: [u8; 32],
}

impl fmt::Debug for UploadToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UploadToken({})", self.said)
    }
}

/// Makes an upload token; the text is its owner's secret.
pub(super) fn seal(holder: &Holder, types: &[String], expires_at: OffsetDateTime) -> String {
    let said = format!("{VERSION}.{}.{}.{}", holder.lookup, expires_at.unix_timestamp(), types.join("+"));
    let mac = hex::encode(mac(&holder.secret_sha256, &said));
    format!("{said}.{mac}")
}

impl<'a> UploadToken<'a> {
    /// Reads what a caller presents; `None` when it cannot be an upload token.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (said, mac) = text.rsplit_once('.')?;
        let mut parts = said.split('.');
        let (Some(VERSION), Some(lookup), Some(expiry), Some(types), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let is_lookup = lookup.len() == LOOKUP_CHARS && lookup.bytes().all(|b| b.is_ascii_hexdigit());
        let types: Vec<_> = types.split('+').collect();
        let mut proof = [0; 32];
        hex::decode_to_slice(mac, &mut proof).ok()?;
        let expires_at = OffsetDateTime::from_unix_timestamp(expiry.parse().ok()?).ok()?;
        (is_lookup && types.len() <= MOST_TYPES).then_some(Self { lookup, expires_at, types, said, mac: proof })
    }

    /// The file types it allows, when `holder`'s access token made it and it has not expired.
    pub(super) fn open(self, holder: &Holder, now: OffsetDateTime) -> Option<Vec<String>> {
        let proven = bool::from(mac(&holder.secret_sha256, self.said).ct_eq(&self.mac));
        let lives = self.expires_at > now && self.expires_at <= now + LONGEST_LIFE;
        (proven && lives).then(|| self.types.into_iter().map(ToOwned::to_owned).collect())
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
fn mac(key: &[u8], said: &str) -> [u8; 32] {
    let mut mac: Hmac<Sha256> = Hmac::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(PURPOSE);
    mac.update(said.as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::domain::{Actor, ActorKind, Caller, Scopes};

    const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05 UTC);

    fn holder(secret: u8) -> Holder {
        let caller = Caller { actor: Actor { id: 7, kind: ActorKind::Users }, tenant: "acme".parse().unwrap(), scopes: Scopes::all() };
        Holder { lookup: "0123456789abcdef".into(), secret_sha256: [secret; 32].as_slice().into(), caller }
    }

    fn opened(text: &str, holder: &Holder, now: OffsetDateTime) -> Option<Vec<String>> {
        UploadToken::parse(text)?.open(holder, now)
    }

    #[test]
    fn what_was_sealed_opens_until_it_expires() {
        let types = ["attachment".to_owned(), "image".to_owned()];
        let text = seal(&holder(1), &types, NOW + Duration::hours(1));
        assert_eq!(opened(&text, &holder(1), NOW).unwrap(), types);
        assert_eq!(opened(&text, &holder(1), NOW + Duration::minutes(59)).unwrap(), types);
        assert_eq!(opened(&text, &holder(1), NOW + Duration::hours(1)), None);
        assert_eq!(opened(&text, &holder(2), NOW), None, "another access token's");
    }

    #[test]
    fn a_life_beyond_the_longest_is_not_good() {
        let text = seal(&holder(1), &["image".to_owned()], NOW + LONGEST_LIFE + Duration::seconds(1));
        assert_eq!(opened(&text, &holder(1), NOW), None);
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let text = seal(&holder(1), &["image".to_owned()], NOW + Duration::hours(1));
        for place in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[place] = if changed[place] == b'1' { b'2' } else { b'1' };
            let changed = String::from_utf8(changed).unwrap();
            // The lookup finds another row then, so that the hash is another too.
            let found = if changed.contains("0123456789abcdef") { holder(1) } else { holder(2) };
            assert_eq!(opened(&changed, &found, NOW), None, "{changed}");
        }
    }

    #[test]
    fn what_is_no_upload_token_is_not_looked_up() {
        let good = seal(&holder(1), &["image".to_owned()], NOW + Duration::hours(1));
        let many = seal(&holder(1), &vec!["image".to_owned(); MOST_TYPES + 1], NOW + Duration::hours(1));
        for bad in ["", ".", "du1....", &good[1..], &good[..good.len() - 1], &format!("{good}0"), &format!("{good}.x"), &many, "ü"] {
            assert!(UploadToken::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn it_prints_without_its_proof() {
        let text = seal(&holder(1), &["image".to_owned()], NOW);
        let proof = text.rsplit_once('.').unwrap().1;
        assert!(!format!("{:?}", UploadToken::parse(&text).unwrap()).contains(proof));
    }
}
