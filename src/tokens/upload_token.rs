//! Upload tokens: short-lived rights to upload, made from an access token, for clients that can send nothing but a URL.
//!
//! An upload token is `du2.<lookup>.<expiry>.<file types>.<mac>`, by a key of the installation secret. It is kept nowhere: the lookup
//! names the access token it was made from, so it ends when that is revoked, and it can do no more than that one.
//!
//! Of a JWT nothing is stored. An upload token made from one is `dj2.<actor and tenant>.<expiry>.<file types>.<mac>`; it ends with that
//! JWT, and not sooner.
//!
//! The version before made `du1`, by the stored hash of the access token, and `dj1`, by a key in the database: whoever read the database
//! could make some. They are read for as long as such a token can live, and never made.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use time::{Duration, OffsetDateTime};

use super::token::LOOKUP_CHARS;
use crate::domain::{Actor, Tenant, TypeLimit};
use crate::installation_secret::{Keys, MAC_BYTES};

/// The longest life of an upload token; one that claims more is not good (yet).
pub const LONGEST_LIFE: Duration = Duration::hours(24);

/// Most file types in one upload token.
pub const MOST_UPLOAD_TYPES: usize = 16;

const OF_TOKEN: &str = "du2";
const OF_BEARER: &str = "dj2";
const OF_TOKEN_BEFORE: &str = "du1";
const OF_BEARER_BEFORE: &str = "dj1";

/// What the version before used its keys for.
const PURPOSE_BEFORE: &[u8] = b"dropslip upload token\0";

/// What an upload token is made from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Maker<'a> {
    /// The access token with this public half.
    Token(&'a str),
    /// Somebody whose JWT is kept nowhere.
    Bearer(Actor, Tenant),
}

impl<'a> Maker<'a> {
    fn parse(version: &str, text: &'a str) -> Option<Self> {
        match version {
            OF_TOKEN | OF_TOKEN_BEFORE => {
                let is_lookup = text.len() == LOOKUP_CHARS && text.bytes().all(|b| b.is_ascii_hexdigit());
                is_lookup.then_some(Self::Token(text))
            }
            OF_BEARER | OF_BEARER_BEFORE => {
                let said = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
                let mut parts = said.splitn(3, ' ');
                let (kind, id, tenant) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
                Some(Self::Bearer(Actor { id, kind }, tenant))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Maker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(lookup) => write!(f, "{OF_TOKEN}.{lookup}"),
            Self::Bearer(actor, tenant) => {
                let said = format!("{} {} {}", actor.kind.as_str(), actor.id, tenant.as_str());
                write!(f, "{OF_BEARER}.{}", URL_SAFE_NO_PAD.encode(said))
            }
        }
    }
}

/// What an upload token says, not yet proven; prints without its proof.
pub(super) struct UploadToken<'a> {
    pub(super) maker: Maker<'a>,
    /// Whether the version before made it.
    pub(super) is_of_before: bool,
    expires_at: OffsetDateTime,
    types: Vec<&'a str>,
    said: &'a str,
    mac: [u8; MAC_BYTES],
}

impl fmt::Debug for UploadToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UploadToken({})", self.said)
    }
}

/// Makes an upload token; the text is its owner's secret.
pub(super) fn seal(maker: &Maker<'_>, keys: &Keys, types: &[String], expires_at: OffsetDateTime) -> String {
    let said = format!("{maker}.{}.{}", expires_at.unix_timestamp(), types.join("+"));
    let mac = hex::encode(keys.sign(&[said.as_bytes()]));
    format!("{said}.{mac}")
}

impl<'a> UploadToken<'a> {
    /// Reads what a caller presents; `None` when it cannot be an upload token.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (said, mac) = text.rsplit_once('.')?;
        let mut parts = said.split('.');
        let (Some(version), Some(maker), Some(expiry), Some(types), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let types: Vec<_> = types.split('+').collect();
        let mut proof = [0; MAC_BYTES];
        hex::decode_to_slice(mac, &mut proof).ok()?;
        let expires_at = OffsetDateTime::from_unix_timestamp(expiry.parse().ok()?).ok()?;
        let maker = Maker::parse(version, maker)?;
        let is_of_before = [OF_TOKEN_BEFORE, OF_BEARER_BEFORE].contains(&version);
        (types.len() <= MOST_UPLOAD_TYPES).then_some(Self { maker, is_of_before, expires_at, types, said, mac: proof })
    }

    /// Whether it says that it lives.
    pub(super) fn lives(&self, now: OffsetDateTime) -> bool {
        self.expires_at > now && self.expires_at <= now + LONGEST_LIFE
    }

    /// The file types it allows, when the installation secret made it and it has not expired.
    pub(super) fn open(&self, keys: &Keys, now: OffsetDateTime) -> Option<TypeLimit> {
        let proven = !self.is_of_before && keys.verify(&[self.said.as_bytes()], &self.mac);
        (proven && self.lives(now)).then(|| self.limit())
    }

    /// The same when the version before made it, by this key.
    pub(super) fn open_of_before(&self, key: &[u8], now: OffsetDateTime) -> Option<TypeLimit> {
        let proven = self.is_of_before && bool::from(mac_of_before(key, self.said).ct_eq(&self.mac));
        (proven && self.lives(now)).then(|| self.limit())
    }

    fn limit(&self) -> TypeLimit {
        TypeLimit::to(self.types.iter().map(|name| (*name).to_owned()))
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
fn mac_of_before(key: &[u8], said: &str) -> [u8; MAC_BYTES] {
    let mut mac: Hmac<Sha256> = Hmac::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(PURPOSE_BEFORE);
    mac.update(said.as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::domain::ActorKind;
    use crate::installation_secret::{InstallationSecret, Purpose, Source};

    const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05 UTC);

    const MAKER: Maker<'_> = Maker::Token("0123456789abcdef");

    fn bearer() -> Maker<'static> {
        Maker::Bearer(Actor { id: 7, kind: ActorKind::Customers }, "acme.eu_1-x".parse().unwrap())
    }

    fn keys(secret: u8) -> Keys {
        let secrets = format!("{secret:032}").parse().unwrap();
        InstallationSecret::new(secrets, Source::Database).keys(Purpose::UploadTokens).unwrap()
    }

    fn opened(text: &str, secret: u8, now: OffsetDateTime) -> Option<Vec<String>> {
        UploadToken::parse(text)?.open(&keys(secret), now).map(|types| types.names().unwrap().to_vec())
    }

    #[test]
    fn what_was_sealed_opens_until_it_expires() {
        let types = ["attachment".to_owned(), "image".to_owned()];
        for maker in [MAKER, bearer()] {
            let text = seal(&maker, &keys(1), &types, NOW + Duration::hours(1));
            assert_eq!(UploadToken::parse(&text).unwrap().maker, maker);
            assert_eq!(opened(&text, 1, NOW).unwrap(), types);
            assert_eq!(opened(&text, 1, NOW + Duration::minutes(59)).unwrap(), types);
            assert_eq!(opened(&text, 1, NOW + Duration::hours(1)), None);
            assert_eq!(opened(&text, 2, NOW), None, "another installation's");
        }
    }

    #[test]
    fn a_life_beyond_the_longest_is_not_good() {
        let living = |life: Duration| opened(&seal(&MAKER, &keys(1), &["image".to_owned()], NOW + life), 1, NOW);
        assert!(living(LONGEST_LIFE).is_some());
        assert_eq!(living(LONGEST_LIFE + Duration::seconds(1)), None);
    }

    #[test]
    fn every_changed_character_is_noticed() {
        for maker in [MAKER, bearer()] {
            let text = seal(&maker, &keys(1), &["image".to_owned()], NOW + Duration::hours(1));
            for place in 0..text.len() {
                let mut changed = text.clone().into_bytes();
                changed[place] = if changed[place] == b'1' { b'2' } else { b'1' };
                let changed = String::from_utf8(changed).unwrap();
                assert_eq!(opened(&changed, 1, NOW), None, "{changed}");
            }
        }
    }

    #[test]
    fn what_is_no_upload_token_is_not_looked_up() {
        let good = seal(&MAKER, &keys(1), &["image".to_owned()], NOW + Duration::hours(1));
        let of_types = |count: usize| seal(&MAKER, &keys(1), &vec!["image".to_owned(); count], NOW + Duration::hours(1));
        let (most, many) = (of_types(MOST_UPLOAD_TYPES), of_types(MOST_UPLOAD_TYPES + 1));
        assert!(UploadToken::parse(&good).is_some() && UploadToken::parse(&most).is_some());
        let of_nobody = format!("dj2{}", &good[3..]);
        for bad in [
            "",
            ".",
            "du2....",
            "dj2....",
            "du3....",
            &of_nobody,
            &good[1..],
            &good[..good.len() - 1],
            &format!("{good}0"),
            &format!("{good}.x"),
            &many,
            "ü",
        ] {
            assert!(UploadToken::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn what_the_version_before_made_opens_by_its_own_key_alone() {
        let hash = [7; 32];
        for maker in [MAKER, bearer()] {
            let made = |version: &str, key: &[u8]| {
                let said = seal(&maker, &keys(1), &["image".to_owned()], NOW + Duration::hours(1));
                let said = format!("{version}{}", &said[3..said.len() - 65]);
                format!("{said}.{}", hex::encode(mac_of_before(key, &said)))
            };
            let (letters, hash) = (&maker.to_string()[..2], hash.as_slice());
            let text = made(&format!("{letters}1"), hash);
            let old = UploadToken::parse(&text).unwrap();
            assert!(old.is_of_before && old.maker == maker);
            assert_eq!(old.open_of_before(hash, NOW).unwrap().names().unwrap(), ["image"]);
            assert!(old.open_of_before(hash, NOW + Duration::hours(1)).is_none() && old.open_of_before(&[8; 32], NOW).is_none());
            assert_eq!(opened(&text, 1, NOW), None, "no secret made it");
            // By the stored hash nobody makes one of today.
            let forged = made(&format!("{letters}2"), hash);
            let forged = UploadToken::parse(&forged).unwrap();
            assert!(forged.open(&keys(1), NOW).is_none() && forged.open_of_before(hash, NOW).is_none());
        }
    }

    #[test]
    fn it_prints_without_its_proof() {
        let text = seal(&MAKER, &keys(1), &["image".to_owned()], NOW);
        let proof = text.rsplit_once('.').unwrap().1;
        assert!(!format!("{:?}", UploadToken::parse(&text).unwrap()).contains(proof));
    }
}
