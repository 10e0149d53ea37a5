//! What README.md repeats of the code is what the code says. `UPDATE_README=1` writes it.

use std::fs;

use dropslip::config::SETTINGS;

use crate::harness::project;

const HEAD: &str = "| setting | meaning | default | example |\n|---|---|---|---|\n";

/// The rows of the table that begins with that head.
fn table<'a>(text: &'a str, head: &str) -> &'a str {
    let (_, below) = text.split_once(head).unwrap();
    let rows = below.split_inclusive('\n').take_while(|line| line.starts_with('|'));
    &below[..rows.map(str::len).sum()]
}

#[test]
fn the_table_of_settings_is_that_of_the_code() {
    let path = project().join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let written = table(&readme, HEAD);
    let rows: String = SETTINGS.iter().map(|setting| setting.row() + "\n").collect();
    assert!(rows.lines().count() > 60, "{rows}");
    if std::env::var_os("UPDATE_README").is_some() {
        fs::write(&path, readme.replace(written, &rows)).unwrap();
        return;
    }
    for (written, row) in written.lines().zip(rows.lines()) {
        assert_eq!(written, row, "run this test with UPDATE_README=1");
    }
    assert_eq!(written.lines().count(), rows.lines().count(), "run this test with UPDATE_README=1");
}
