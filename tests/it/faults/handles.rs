//! How many files and connections the program may have open.

use std::process::Command;

use crate::harness::project;
use crate::process::Serving;

const SETTINGS: [(&str, &str); 3] =
    [("DROPSLIP_LISTEN", "127.0.0.1:0"), ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0"), ("DROPSLIP_DATA_DIR", "data")];

/// `dropslip serve` in a shell with these limits: soft and hard limit as they came to be, and its log.
fn served(limits: &str) -> (u64, u64, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.env_clear().envs(SETTINGS).env("PROGRAM", env!("CARGO_BIN_EXE_dropslip")).current_dir(folder.path());
    command.args(["-c", &format!("{limits} && exec \"$PROGRAM\" serve")]);
    let serving = Serving::by(&mut command, std::process::Stdio::piped(), "dropslip listens on ");
    let told = std::fs::read_to_string(format!("/proc/{}/limits", serving.id())).unwrap();
    let line = told.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let mut limits = line.split_whitespace().map(|limit| limit.parse().unwrap());
    let (soft, hard) = (limits.next().unwrap(), limits.next().unwrap());
    let (code, log) = serving.terminate();
    assert_eq!(code, 0, "{log}");
    (soft, hard, log)
}

#[test]
fn the_soft_limit_of_open_files_is_raised_to_the_hard_one() {
    let (soft, hard, log) = served("ulimit -S -n 64 && ulimit -H -n 4096");
    assert_eq!((soft, hard), (4096, 4096));
    assert!(!log.contains("limit of open files"), "{log}");
}

#[test]
fn a_hard_limit_that_is_too_low_for_the_settings_is_a_warning_with_numbers() {
    let (soft, hard, log) = served("ulimit -n 300");
    assert_eq!((soft, hard), (300, 300));
    let warning = log.lines().find(|line| line.contains("limit of open files")).unwrap_or_else(|| panic!("no warning: {log}"));
    for part in ["300", "900 for connections (DROPSLIP_MAX_CONNECTIONS)", "256 for requests to the store", "LimitNOFILE"] {
        assert!(warning.contains(part), "{part}: {warning}");
    }
    let page = std::fs::read_to_string(project().join("docs/operating.md")).unwrap();
    assert!(page.contains("LimitNOFILE"), "the page on operating says it too");
}
