//! `dropslip reload`: sends SIGHUP to a broker, where there is no shell that could.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};

use crate::output::say;

#[derive(Debug, Args)]
pub(super) struct ReloadOptions {
    /// The broker's process number; in a container it is 1
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..))]
    pid: i32,
}

pub(super) fn run(options: &ReloadOptions) -> anyhow::Result<()> {
    let ReloadOptions { pid } = options;
    // SIGHUP ends most programs, and process 1 outside of a container is the system's own.
    let program = |process: &str| fs::read_link(format!("/proc/{process}/exe"));
    let (own, theirs) = (program("self")?, program(&pid.to_string()).with_context(|| format!("process {pid} cannot be looked at"))?);
    // The program's file may have been replaced since it was started.
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().trim_end_matches(" (deleted)").to_owned());
    if name(&own) != name(&theirs) {
        bail!("process {pid} is {}, and no {}; name the broker's with --pid", theirs.display(), own.display());
    }
    let process = Pid::from_raw(*pid).context("no process has that number")?;
    kill_process(process, Signal::HUP).with_context(|| format!("process {pid} takes no signal"))?;
    Ok(say!("process {pid} was told; its log says what came of it")?)
}
