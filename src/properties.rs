//! What must be true of every parser that sees bytes from outside, whatever they are.
//!
//! Built for tests and for the fuzzer only. Each target of `fuzz/` calls one function of this list; the test below calls the same one
//! with every input that is kept in `fuzz/corpus`.

use crate::{api, domain, jwt, tokens, trace};

/// A property: it panics where it does not hold.
pub type Property = fn(&[u8]);

/// Every property by the name of its fuzz target and of its folder in `fuzz/corpus`.
pub const ALL: &[(&str, Property)] = &[
    ("bucket_event", domain::properties::bucket_event),
    ("evidence", domain::properties::evidence),
    ("file_name", domain::properties::file_name),
    ("media_type", domain::properties::media_type),
    ("policy", domain::properties::policy),
    ("authorization", api::properties::authorization),
    ("companion_body", api::properties::companion::body),
    ("companion_query", api::properties::companion::query),
    ("desk_body", api::properties::desk::body),
    ("desk_list", api::properties::desk::list),
    ("filter", api::properties::desk::filter),
    ("request_head", api::properties::request_head),
    ("traceparent", trace::properties::traceparent),
    ("jwks", jwt::properties::keys),
    ("jwt", jwt::properties::token),
    ("access_token", tokens::properties::access_token),
    ("upload_token", tokens::properties::upload_token),
];

/// Calls the property of that name, which is a fuzz target's.
///
/// # Panics
/// When it does not hold, or there is none.
pub fn hold(name: &str, bytes: &[u8]) {
    let Some((_, property)) = ALL.iter().find(|(known, _)| *known == name) else { panic!("there is no property {name}") };
    property(bytes);
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

    fn names_in(folder: PathBuf) -> BTreeSet<String> {
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn every_property_is_a_fuzz_target_and_has_a_corpus() {
        let names: BTreeSet<String> = ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names.len(), ALL.len());
        assert_eq!(names_in(fuzz().join("fuzz_targets")), names);
        assert_eq!(names_in(fuzz().join("corpus")), names);
        let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
        for name in names {
            let target = fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).unwrap();
            assert!(target.contains(&format!("properties::hold(\"{name}\", bytes)")), "{name}: {target}");
            assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n")), "{name} is not in fuzz/Cargo.toml");
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
                // What a person wrote down in a moment is where a fuzzer begins; the beginning of it must not be a surprise either.
                for length in 0..bytes.len().min(256) {
                    property(&bytes[..length]);
                }
                inputs += 1;
            }
            assert!(inputs >= 5, "{name} has {inputs} inputs");
        }
    }
}
