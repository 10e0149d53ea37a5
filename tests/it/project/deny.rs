//! `deny.toml` holds for all dependencies, and would notice what it is for.

use std::path::Path;
use std::process::Command;

use crate::harness::{from_servers, project};

/// Whether a check passes by this configuration, and what it said.
fn check(config: &Path, which: &str) -> (bool, String) {
    let mut command = Command::new(from_servers("TEST_CARGO_DENY"));
    command.current_dir(project()).args(["--locked", "--color", "never", "--config"]).arg(config);
    let output = command.args(["check", "--hide-inclusion-graph", which]).output().unwrap();
    (output.status.success(), format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn licences_versions_and_sources_are_those_of_deny_toml() {
    for which in ["licenses", "bans", "sources"] {
        let (passes, said) = check(&project().join("deny.toml"), which);
        assert!(passes && said.contains(&format!("{which} ok")), "{which}: {said}");
        // Reasons that are gone must not stay.
        assert!(!said.contains("warning["), "{which}: {said}");
    }
}

#[test]
fn each_check_of_dependencies_can_fail() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("deny.toml");
    let good = std::fs::read_to_string(project().join("deny.toml")).unwrap();
    for (which, words, others, complaint) in [
        ("licenses", "\"MIT\", ", "", "license is not explicitly allowed"),
        ("licenses", "\"Zlib\"", "\"Zlib\", \"GPL-3.0\"", "license-not-encountered"),
        ("bans", "    { crate = \"atoi@", "    { crate = \"atoy@", "duplicate entries for crate 'atoi'"),
        ("bans", "{ crate = \"openssl\"", "{ crate = \"rustls\"", "crate 'rustls"),
        ("sources", "unknown-registry = \"deny\"", "unknown-registry = \"deny\"\nallow-registry = []", "source-not-allowed"),
    ] {
        let broken = good.replacen(words, others, 1);
        assert_ne!(broken, good, "{words} is not in deny.toml");
        std::fs::write(&config, broken).unwrap();
        let (passes, said) = check(&config, which);
        assert!(!passes && said.contains(complaint), "{words}: {said}");
    }
}
