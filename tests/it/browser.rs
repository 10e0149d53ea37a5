//! Scripts of `tests/browser`, run by Node's own test runner: Chromium and the JavaScript client against real brokers.

use std::process::Command;

use crate::harness::from_servers;

/// Runs one script with these names in its environment; every test in it must pass, and none may be skipped.
///
/// # Panics
/// With what the script printed, when it fails.
pub async fn run_script(script: &str, environment: &[(&str, String)]) {
    // A script that waits for what never comes must fail and not hang.
    let mut command = Command::new("timeout");
    command.current_dir(from_servers("TEST_BROWSER")).args(["--kill-after=5", "300", "node", "--test", "--test-reporter=tap", script]);
    command.envs(environment.iter().map(|(name, value)| (*name, value.as_str())));
    // The broker under test runs in this process: its runtime must not be kept from running.
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let passed = |line: &str| printed.lines().any(|printed| printed == line);
    let all_passed = output.status.success() && passed("# fail 0") && passed("# skipped 0") && passed("# todo 0") && !passed("# pass 0");
    assert!(all_passed, "{script}: {printed}{}", String::from_utf8_lossy(&output.stderr));
}
