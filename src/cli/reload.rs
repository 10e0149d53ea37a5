//! `dropslip reload`: sends SIGHUP to a broker, where there is no shell that could.

use std::fs;

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
    // SIGHUP ends most programs, and process 1 outside of a container is the system's own. Of a broker this is all that its own user may
    // see: the path of its program is as private as its memory.
    let name = |process: &str| fs::read_to_string(format!("/proc/{process}/comm")).map(|name| name.trim_end().to_owned());
    let (own, theirs) = (name("self")?, name(&pid.to_string()).with_context(|| format!("process {pid} cannot be looked at"))?);
    if own != theirs {
        bail!("process {pid} is {theirs}, and no {own}; name the broker's with --pid");
    }
    let process = Pid::from_raw(*pid).context("no process has that number")?;
    kill_process(process, Signal::HUP).with_context(|| format!("process {pid} takes no signal"))?;
    Ok(say!("process {pid} was told; its log says what came of it")?)
}
