//! What must be true of every parser that sees bytes from outside, whatever they are.
//!
//! Built for tests and for the fuzzer only. Each target of `fuzz/` calls one function of this list; the test below calls the same one
//! with every input that is kept in `fuzz/corpus`.

use std::collections::HashSet;

use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::domain::{FileId, FileName, Tenant};
use crate::installation_secret::{InstallationSecret, Source};
use crate::proxy_key::ProxyKeys;
use crate::zip::Archive;
use crate::{api, config, domain, jwt, policy_file, tokens, trace, upload, webhooks};

const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05 UTC);

/// A property: it panics where it does not hold.
pub type Property = fn(&[u8]);

/// Every property by the name of its fuzz target and of its folder in `fuzz/corpus`.
pub const ALL: &[(&str, Property)] = &[
    ("bucket_event", domain::fuzzing::bucket_event),
    ("byte_range", domain::fuzzing::byte_range),
    ("evidence", domain::fuzzing::evidence),
    ("file_name", domain::fuzzing::file_name),
    ("json_text", domain::fuzzing::json_text),
    ("image_header", domain::fuzzing::image_header),
    ("media_type", domain::fuzzing::media_type),
    ("parts", domain::fuzzing::parts),
    ("policy", policy_file::fuzzing::policy),
    ("authorization", api::fuzzing::authorization),
    ("companion_body", api::fuzzing::companion::body),
    ("companion_query", api::fuzzing::companion::query),
    ("companion_parts", api::fuzzing::companion::parts),
    ("desk_body", api::fuzzing::desk::body),
    ("desk_list", api::fuzzing::desk::list),
    ("kayako_head", api::fuzzing::kayako::head),
    ("kayako_query", api::fuzzing::kayako::query),
    ("classic_spelling", api::fuzzing::kayako_classic::spelling),
    ("classic_credentials", api::fuzzing::kayako_classic::credentials),
    ("filter", api::fuzzing::desk::filter),
    ("request_head", api::fuzzing::request_head),
    ("traceparent", trace::fuzzing::traceparent),
    ("jwks", jwt::fuzzing::keys),
    ("jwt", jwt::fuzzing::token),
    ("entity_tags", api::fuzzing::conditions::entity_tags),
    ("content_json", api::fuzzing::content::json),
    ("content_form", api::fuzzing::content::form),
    ("content_parts", api::fuzzing::content::parts),
    ("content_base64", api::fuzzing::content::base64),
    ("content_disposition", api::fuzzing::content::disposition),
    ("archive", archive),
    ("proxy_key", proxy_key),
    ("access_token", tokens::fuzzing::access_token),
    ("tokens_file", tokens::fuzzing::file),
    ("session", tokens::fuzzing::session),
    ("upload_token", tokens::fuzzing::upload_token),
    ("webhooks_file", webhooks::fuzzing::file),
    ("webhook_answer", webhooks::fuzzing::answer),
    ("settings", config::fuzzing::file),
    ("slip", upload::fuzzing::answer),
];

/// Calls the property of that name, which is a fuzz target's.
///
/// # Panics
/// When it does not hold, or there is none.
pub fn hold(name: &str, bytes: &[u8]) {
    let Some((_, property)) = ALL.iter().find(|(known, _)| *known == name) else { panic!("there is no property {name}") };
    property(bytes);
}

/// In an archive every file has a name of its own, on every system, that leads nowhere else.
fn archive(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (mut archive, mut seen, mut written) = (Archive::default(), HashSet::new(), 0);
    for line in text.split('\n').take(200) {
        // What is asked for is cleaned already; what is in the database may be older than the cleaning.
        for name in [line, FileName::sanitized(line).as_str()] {
            let head = archive.begin(name, NOW, 5);
            let entry = String::from_utf8_lossy(head.get(30..).unwrap_or_default()).into_owned();
            assert!((1..=255).contains(&entry.len()), "{} bytes", entry.len());
            assert!(!entry.contains(['/', '\\', ':']) && !entry.chars().any(char::is_control), "{entry:?}");
            assert!(entry != ".." && !entry.ends_with(['.', ' ']), "{entry:?}");
            assert!(seen.insert(entry.to_lowercase()), "{entry:?} is there twice");
            let hello = archive.bytes(b"hello");
            let Some(tail) = archive.end() else { panic!("{entry:?} has its five bytes") };
            written += head.len() + hello.len() + tail.len();
        }
    }
    let directory = archive.finish();
    let place = directory.len() - 6;
    let begin = directory.get(place..place + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    assert_eq!(begin.map(u64::from), Some(written as u64), "the directory does not say where it begins");
}

/// Nobody makes a key up; one that was made opens its own file, in its own time, and no other.
fn proxy_key(bytes: &[u8]) {
    let keys = |secret: &str| {
        let secret = InstallationSecret::new(secret.parse().unwrap_or_else(|why| panic!("{why}")), Source::DataFolder);
        ProxyKeys::new(&secret, Duration::hours(24)).unwrap_or_else(|| panic!("links have no keys"))
    };
    let (ours, others) = (keys("0123456789abcdef0123456789abcdef"), keys("fedcba9876543210fedcba9876543210"));
    let text = String::from_utf8_lossy(bytes);
    assert_eq!(others.open(&text, FileId(7), NOW), None, "nobody made {text:?}");
    let mut given = bytes.iter().copied();
    let mut next = || given.next().unwrap_or_default();
    let (id, hours, place) = (FileId(i64::from(next()) + 1), i64::from(next()) % 48 - 12, usize::from(next()));
    let name: String = given.take(64).map(|b| char::from(b"abcXYZ019-_."[usize::from(b) % 12])).collect();
    let Ok(tenant) = name.parse::<Tenant>() else { return };
    let key = ours.seal(&tenant, id, NOW - Duration::hours(hours));
    assert!(key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{key} is no part of a URL");
    assert_eq!(ours.open(&key, id, NOW), Some(tenant).filter(|_| (0..24).contains(&hours)), "{key}");
    assert_eq!(ours.open(&key, FileId(id.0 + 1), NOW), None);
    assert_eq!(others.open(&key, id, NOW), None);
    let mut other = key.into_bytes();
    let place = place % other.len();
    other[place] = if other[place] == b'A' { b'B' } else { b'A' };
    assert_eq!(ours.open(&String::from_utf8_lossy(&other), id, NOW), None);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    fn fuzz() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
    }

    fn names_in(folder: &Path) -> BTreeSet<String> {
        let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn every_property_is_a_fuzz_target_and_has_a_corpus() {
        let names: BTreeSet<String> = ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names.len(), ALL.len());
        assert_eq!(names_in(&fuzz().join("fuzz_targets")), names);
        assert_eq!(names_in(&fuzz().join("corpus")), names);
        let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
        for name in names {
            let target = fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).unwrap();
            assert!(target.contains(&format!("fuzzing::hold(\"{name}\", bytes)")), "{name}: {target}");
            assert!(
                manifest.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n")),
                "{name} is not in fuzz/Cargo.toml"
            );
        }
    }

    #[test]
    fn every_property_holds_for_every_input_that_is_kept() {
        for (name, property) in ALL {
            let mut inputs = 0;
            for entry in fs::read_dir(fuzz().join("corpus").join(name)).unwrap() {
                let path = entry.unwrap().path();
                let bytes = fs::read(&path).unwrap();
                std::panic::catch_unwind(|| property(&bytes)).unwrap_or_else(|_| panic!("{} does not hold", path.display()));
                // What a person wrote down is where a fuzzer begins; the beginning of it must not be a surprise either. What a fuzzer found
                // is called after its SHA-1.
                let found = path.file_name().is_some_and(|name| name.len() == 40);
                for length in 0..if found { 0 } else { bytes.len().min(256) } {
                    property(&bytes[..length]);
                }
                inputs += 1;
            }
            assert!(inputs >= 5, "{name} has {inputs} inputs");
        }
    }
}
