//! Tokens that live for a day at most, as an older version signed them, signed again for today.
//!
//! Written out here and not asked of the program: what its clients hold was made by the old one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use time::OffsetDateTime;

use crate::harness::Db;

const HOUR: i64 = 3600;

fn mac(key: &[u8], pieces: &[&[u8]]) -> [u8; 32] {
    let mut mac: Hmac<Sha256> = Hmac::new_from_slice(key).unwrap();
    for piece in pieces {
        mac.update(piece);
    }
    mac.finalize().into_bytes().into()
}

/// An upload token like `old`, which lives for an hour from now. Its key is the hash of the access token it was made from, or the
/// database's shared one.
pub fn upload_token(old: &str, key: &[u8]) -> String {
    let sealed = |said: String| {
        let proof = hex::encode(mac(key, &[b"dropslip upload token\0", said.as_bytes()]));
        format!("{said}.{proof}")
    };
    let (said, _) = old.rsplit_once('.').unwrap();
    assert_eq!(sealed(said.to_owned()), old, "this is how it was signed");
    let parts: Vec<&str> = said.split('.').collect();
    let [version, maker, _, types] = parts[..] else { panic!("{old}") };
    sealed(format!("{version}.{maker}.{}.{types}", OffsetDateTime::now_utc().unix_timestamp() + HOUR))
}

/// The same claim as that of a token of today, proven by the stored hash as of old.
pub fn forged(new: &str, key: &[u8]) -> String {
    let (said, _) = new.rsplit_once('.').unwrap();
    format!("{said}.{}", hex::encode(mac(key, &[b"dropslip upload token\0", said.as_bytes()])))
}

/// A moment as a statement of that engine says it.
pub fn hours_ago(db: Db, hours: i64) -> String {
    match db {
        Db::Sqlite => format!("(unixepoch() - {}) * 1000000", hours * HOUR),
        Db::Postgres => format!("now() - interval '{hours} hours'"),
    }
}

/// The part of an upload token that names the access token it was made from.
pub fn maker(upload_token: &str) -> &str {
    upload_token.split('.').nth(1).unwrap()
}

/// A key of a link to the file of that number like `old`, issued now.
pub fn proxy_key(old: &str, secret: &str, id: i64) -> String {
    let sealed = |said: &[u8]| {
        let proof = mac(secret.as_bytes(), &[b"dropslip proxyKey download\0", &id.to_be_bytes(), said]);
        URL_SAFE_NO_PAD.encode([said, &proof].concat())
    };
    let bytes = URL_SAFE_NO_PAD.decode(old).unwrap();
    let mut said = bytes[..bytes.len() - 32].to_vec();
    assert_eq!(sealed(&said), old, "this is how it was signed");
    // A version, four bytes that name the secret, then both moments.
    let now = OffsetDateTime::now_utc().unix_timestamp();
    for (place, moment) in [(5, now), (9, now + HOUR)] {
        said[place..place + 4].copy_from_slice(&u32::try_from(moment).unwrap().to_be_bytes());
    }
    sealed(&said)
}
