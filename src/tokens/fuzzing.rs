//! What must be true of texts that claim to be tokens; see `crate::fuzzing`.

use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::session::{self, Claimed, Guard, SESSION_LIFE};
use super::token::{LOOKUP_CHARS, Token, sha256};
use super::token_file::Entries;
use super::upload_token::{LONGEST_LIFE, MOST_UPLOAD_TYPES, Maker, UploadToken, seal};
use crate::domain::fuzzing::long_words;
use crate::domain::{Actor, ActorKind, Caller, Scopes, Tenant, TypeLimit};
use crate::installation_secret::{InstallationSecret, Keys, Purpose, Source};

const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05 UTC);

/// What reads as an access token is one to the letter, and prints without its secret.
pub(crate) fn access_token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Some(token) = Token::parse(&text) else { return };
    assert_eq!(token.reveal(), text);
    assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{text:?}");
    assert_eq!(token.lookup().len(), LOOKUP_CHARS);
    assert_eq!(sha256(&text), token.sha256());
    let secret = text.rsplit('_').next().unwrap_or_default();
    assert!(!format!("{token:?}").contains(secret));
}

/// The keys of some installation.
fn keys(seed: u8) -> Keys {
    let secrets = format!("{seed:032}").parse().unwrap_or_else(|why| panic!("{why}"));
    let secret = InstallationSecret::new(secrets, Source::DataFolder);
    secret.keys(Purpose::UploadTokens).unwrap_or_else(|| panic!("{seed} signs nothing"))
}

/// Nobody makes an upload token up; one that was made opens with its own key, in its own time, for its own types.
pub(crate) fn upload_token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(claimed) = UploadToken::parse(&text) {
        let opened = claimed.open(&keys(7), NOW).or_else(|| claimed.open_of_before(&[7; 32], NOW));
        assert!(opened.is_none(), "a token that nobody made: {text:?}");
        let (before, signature) = text.rsplit_once('.').unwrap_or_default();
        assert!(before.contains(signature) || !format!("{claimed:?}").contains(signature));
    }
    let mut given = bytes.iter().copied();
    let mut next = || given.next().unwrap_or_default();
    let (seed, seconds) = (next(), i64::from(next()) * 400);
    let actor = Actor { id: i64::from(next()) * 77_777_777 + 1, kind: if next() < 128 { ActorKind::Users } else { ActorKind::Customers } };
    let maker_is_token = next() < 128;
    let words: Vec<String> = given
        .map(|b| char::from(b"abcdefghij0123456789-"[usize::from(b) % 21]))
        .collect::<String>()
        .split('-')
        .map(str::to_owned)
        .collect();
    let types = &words[..words.len().min(MOST_UPLOAD_TYPES)];
    let lookup = format!("{seed:02x}").repeat(LOOKUP_CHARS / 2);
    let tenant: Tenant = format!("t{seed}.eu_1-x").parse().unwrap_or_default();
    let maker = || if maker_is_token { Maker::Token(&lookup) } else { Maker::Bearer(actor, tenant.clone()) };
    let (key, expires_at) = (keys(seed), NOW + Duration::seconds(seconds));
    let made = seal(&maker(), &key, types, expires_at);
    let Some(read) = UploadToken::parse(&made) else { panic!("{made} does not read back") };
    assert_eq!(read.maker, maker());
    let opened = read.open(&key, NOW);
    assert_eq!(opened.is_some(), expires_at > NOW && expires_at <= NOW + LONGEST_LIFE, "{made}");
    assert!(opened.is_none_or(|limit| limit.names() == Some(types)), "{made}");
    assert!(read.open(&keys(seed.wrapping_add(1)), NOW).is_none(), "another key opens {made}");
    assert!(read.open(&key, expires_at).is_none(), "{made} has ended");
    // Another text is another claim, wherever it differs.
    let place = usize::from(seed) * made.len() / 256;
    let mut other = made.clone().into_bytes();
    other[place] ^= 1;
    let other = String::from_utf8_lossy(&other).into_owned();
    // The proof is in hexadecimal digits of either case.
    let same_digit = other.eq_ignore_ascii_case(&made);
    assert!(same_digit || UploadToken::parse(&other).is_none_or(|other| other.open(&key, NOW).is_none()), "{other} was never made");
}

/// Nobody makes a session up; one that was made says what it was made from, and is good with its own key in its own time.
pub(crate) fn session(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(claimed) = Claimed::parse(&text) {
        assert!(!claimed.is_good(&keys(7), NOW), "a session that nobody made: {text:?}");
    }
    let mut given = bytes.iter().copied();
    let mut next = || given.next().unwrap_or_default();
    let (seed, minutes, of_token, is_open) = (next(), i64::from(next()) * 4, next() < 128, next() < 128);
    let types = match next() % 3 {
        0 => TypeLimit::default(),
        1 => TypeLimit::to([]),
        _ => TypeLimit::to(["image".to_owned(), "a-1".to_owned()]),
    };
    let actor = Actor { id: i64::from(next()) * 77_777_777 + 1, kind: ActorKind::Customers };
    let caller =
        Caller { actor, tenant: format!("t{seed}.eu_1-x").parse().unwrap_or_default(), scopes: Scopes::all(), types, dialect: None };
    let maker = if of_token { session::Maker::Token("0123456789abcdef".to_owned()) } else { session::Maker::Bearer(caller) };
    let guard = if is_open { Guard::Open } else { Guard::Guarded };
    let (key, ends_at) = (keys(seed), NOW + Duration::minutes(minutes));
    let made = session::seal(&format!("{seed:032x}"), &maker, &key, guard, ends_at);
    let Some(read) = Claimed::parse(made.reveal()) else { panic!("{made:?} does not read back") };
    assert_eq!((&read.maker, read.guard), (&maker, guard));
    assert_eq!(read.is_good(&key, NOW), ends_at > NOW && ends_at <= NOW + SESSION_LIFE);
    assert!(!read.is_good(&keys(seed.wrapping_add(1)), NOW), "another key opens {made:?}");
    match made.reveal_proof_for_changes() {
        Some(proof) => assert!(read.is_proven_for_changes(&key, proof) && !read.is_proven_for_changes(&keys(seed.wrapping_add(1)), proof)),
        None => assert!(is_open),
    }
    let place = usize::from(seed) * made.reveal().len() / 256;
    let mut other = made.reveal().as_bytes().to_vec();
    other[place] ^= 1;
    let other = String::from_utf8_lossy(&other).into_owned();
    assert!(Claimed::parse(&other).is_none_or(|other| !other.is_good(&key, NOW)), "{other} was never made");
}

/// A file that reads has a token for each entry, which nothing but its own hash proves; a complaint repeats nothing that stands there.
pub(crate) fn file(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let entries = match Entries::of(bytes) {
        Ok(entries) => entries,
        Err(why) => {
            assert!(!why.is_empty() && why.len() < 400 && !why.chars().any(char::is_control), "{why:?}");
            assert!(long_words(&text).all(|word| !why.contains(word)), "{why:?}");
            return;
        }
    };
    let Ok(table) = toml::from_str::<toml::Table>(&text) else { panic!("no TOML: {text:?}") };
    let listed = table.get("token").and_then(toml::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    assert!(entries.described(NOW).starts_with(&format!("{} tokens, ", listed.len())), "{}", entries.described(NOW));
    for entry in listed {
        let mut hash = [0; 32];
        let written = entry.get("sha256").and_then(toml::Value::as_str).unwrap_or_default();
        assert_eq!(hex::decode_to_slice(written, &mut hash), Ok(()), "{written:?}");
        let Some(holder) = entries.by_hash(&hash) else { panic!("{written:?} is not there") };
        assert!(holder.is_proven_by(&hash));
        assert_eq!(Some(holder.caller.actor.id), entry.get("user").and_then(toml::Value::as_integer));
        assert!(!holder.caller.scopes.to_string().is_empty() && holder.caller.types.names().is_none_or(|names| !names.is_empty()));
        hash[31] ^= 1;
        assert!(!holder.is_proven_by(&hash));
    }
}
