//! What must be true of texts that claim to be JSON Web Tokens, and of sets of keys; see `crate::fuzzing`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use time::OffsetDateTime;
use time::macros::datetime;

use super::claims::verified;
use super::compact::Compact;
use super::keys::{KeySet, Missing};
use super::{Algorithms, ClaimNames, ClaimPath, KeySource, Options, Verified};
use crate::domain::caller::MOST_TYPES;

const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05 UTC);
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn options() -> Option<Options> {
    let path = |name: &str| name.parse::<ClaimPath>().ok();
    Some(Options {
        keys: KeySource::Secret(SECRET.parse().ok()?),
        algorithms: Algorithms::of_secrets(),
        refresh: Duration::from_mins(10),
        issuer: "i".to_owned(),
        audience: "a".to_owned(),
        leeway: Duration::from_secs(30),
        max_lifetime: Duration::from_hours(24),
        claims: ClaimNames {
            actor: path("sub")?,
            actor_type: path("kind.of"),
            tenant: path("tenant")?,
            default_tenant: None,
            scope: path("scope")?,
            scope_names: None,
            file_types: path("file_types")?,
        },
    })
}

/// Whom a text stands for, by the steps of a verifier.
fn caller_of(text: &str, keys: &KeySet, options: &Options) -> Option<Verified> {
    let token = Compact::parse(text).ok()?;
    keys.prove(&token).ok().filter(|()| options.algorithms.contains(token.algorithm))?;
    verified(&token.claims().ok()?, options, NOW).ok()
}

fn signature(said: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()) else { return String::new() };
    mac.update(said.as_bytes());
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

/// Nobody makes a token up; and what a signed one claims, whatever that is, stays within what the operator set.
pub(crate) fn token(bytes: &[u8]) {
    let Some(options) = options() else { panic!("no options") };
    let Ok(keys) = KeySet::read(&options.keys, SECRET.as_bytes(), &options.algorithms) else { panic!("no keys") };
    let text = String::from_utf8_lossy(bytes);
    let proven = text.rsplit_once('.').is_some_and(|(said, proof)| signature(said) == proof);
    assert!(proven || caller_of(&text, &keys, &options).is_none(), "nobody signed {text:?}");
    // The same bytes as header and as claims of a token that is signed.
    let part = |text: &[u8]| URL_SAFE_NO_PAD.encode(text);
    let mut pieces = bytes.splitn(2, |byte| *byte == b'\n');
    let (first, second) = (pieces.next().unwrap_or_default(), pieces.next());
    let (header, claims) = second.map_or((&b"{\"alg\":\"HS256\"}"[..], first), |claims| (first, claims));
    let said = format!("{}.{}", part(header), part(claims));
    let Some(Verified { caller, expires_at }) = caller_of(&format!("{said}.{}", signature(&said)), &keys, &options) else { return };
    assert!(caller.actor.id > 0 && (1..=64).contains(&caller.tenant.as_str().len()), "{caller:?}");
    assert!(expires_at > NOW - options.leeway && expires_at <= NOW + options.max_lifetime + options.leeway * 2, "{expires_at}");
    assert!(caller.types.names().is_none_or(|names| names.len() <= MOST_TYPES), "{caller:?}");
}

/// A set is of public keys: none of its keys is a secret, whatever it is called, and a token of an algorithm of secrets finds none.
pub(crate) fn keys(bytes: &[u8]) {
    let Ok(allowed) = Algorithms::OF_SETS.parse::<Algorithms>() else { panic!("no algorithms") };
    let Ok(set) = KeySet::read(&KeySource::File("keys.json".into()), bytes, &allowed) else { return };
    let described = set.described();
    assert!(!described.chars().any(char::is_control), "{described:?}");
    for algorithm in ["HS256", "HS384", "HS512", "RS256", "ES256", "EdDSA"] {
        let header = URL_SAFE_NO_PAD.encode(format!("{{\"alg\":\"{algorithm}\"}}"));
        let text = format!("{header}.e30.{}", URL_SAFE_NO_PAD.encode([7; 64]));
        let Ok(token) = Compact::parse(&text) else { panic!("{algorithm}") };
        let proven = set.prove(&token);
        assert!(proven == Err(Missing::Unknown) || !algorithm.starts_with("HS"), "{algorithm} by {described}");
        assert!(proven.is_err(), "a made-up signature is good");
    }
}
