//! docs/threat-model.md names its proofs; they exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::harness::project;

fn test_names(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            test_names(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            // What follows a test's attribute, up to its name.
            for after in text.split("#[test]").skip(1).chain(text.split("#[tokio::test").skip(1)) {
                let name = after.split("fn ").nth(1).and_then(|rest| rest.split('(').next()).unwrap_or_default();
                names.insert(name.to_owned());
            }
            // Those that are made of a list, one for each engine.
            for list in text.split("on_both_engines!(").skip(1).filter_map(|rest| rest.split(')').next()) {
                names.extend(list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(ToOwned::to_owned));
            }
            // Those that a property macro makes of a function.
            if text.contains("proptest! {") {
                names.extend(text.split("fn ").skip(1).filter_map(|rest| rest.split('(').next()).map(ToOwned::to_owned));
            }
        }
    }
}

#[test]
fn the_threat_model_names_tests_that_exist() {
    let mut names = BTreeSet::new();
    for folder in ["tests/it", "src"] {
        test_names(&project().join(folder), &mut names);
    }
    let page = fs::read_to_string(project().join("docs/threat-model.md")).unwrap();
    // Every row of the tables, whether or not it has a proof.
    let tables = page.split("\n## What, how, and the proof\n").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let rows: Vec<&str> = tables.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| wish |")).collect();
    let mut count = 0;
    for row in &rows {
        assert_eq!(row.matches(" | ").count(), 3, "wish, who, what stops them, tests: {row}");
        let proofs = row.rsplit(" | ").next().unwrap();
        let mut quoted = proofs.split('`').skip(1).step_by(2).peekable();
        assert!(quoted.peek().is_some(), "no proof of: {row}");
        let (tests, targets) = proofs.split_once("fuzzed: ").unwrap_or((proofs, ""));
        for test in tests.split('`').skip(1).step_by(2) {
            let exists = match test.split_once('*') {
                Some((before, after)) => names.iter().any(|name| name.starts_with(before) && name.ends_with(after)),
                None => names.contains(test),
            };
            assert!(exists, "there is no test {test}, which is to prove: {row}");
            count += 1;
        }
        for target in targets.split('`').skip(1).step_by(2) {
            assert!(project().join(format!("fuzz/fuzz_targets/{target}.rs")).exists(), "there is no fuzz target {target}");
        }
    }
    assert!(rows.len() > 30 && count > 60, "{} rows with {count} tests: does this test still read the page?", rows.len());
    let targets = fs::read_dir(project().join("fuzz/fuzz_targets")).unwrap().map(|entry| entry.unwrap().path());
    for target in targets {
        let target = target.file_stem().unwrap().to_str().unwrap().to_owned();
        let known = page.contains(&format!("`{target}`")) || ["byte_range", "entity_tags"].contains(&target.as_str());
        assert!(known, "the page does not say what the fuzz target {target} is about");
    }
}
