//! Rebuilds when a migration is added (the `migrate!` macro only notices changes of files it already knows), and tells the program
//! what it was built from and with.

#![expect(clippy::disallowed_methods, reason = "Cargo speaks to a build script in the environment")]

use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    // Only where it is worth a rebuild at each commit.
    let released = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = released.then(commit).flatten().unwrap_or_else(|| "unknown".to_owned());
    let rustc = env::var("RUSTC").ok().and_then(|rustc| said(&rustc, &["--version"]));
    // Not called DROPSLIP_...: `cargo run` hands them on to the program, which would refuse them as settings that it does not know.
    println!("cargo:rustc-env=BUILD_COMMIT={commit}");
    println!("cargo:rustc-env=BUILD_RUSTC={}", rustc.as_deref().unwrap_or("unknown"));
}

/// The commit that is checked out, where there is a repository; a build of an archive or in a container may say it in the environment.
fn commit() -> Option<String> {
    println!("cargo:rerun-if-env-changed=DROPSLIP_COMMIT");
    if let Ok(told) = env::var("DROPSLIP_COMMIT") {
        return Some(told);
    }
    let log = said("git", &["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo:rerun-if-changed={log}");
    said("git", &["rev-parse", "--short=12", "HEAD"])
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!text.is_empty() && !text.contains('\n')).then_some(text)
}
