//! `dropslip health`: asks a broker whether it is ready, where there is no other program that could.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use url::Url;

use crate::config::Config;
use crate::output::say;
use crate::server::reachable;

/// Longer than a broker takes to find out that something is away.
const TIMEOUT: Duration = Duration::from_secs(6);

/// What is shown of an answer at most, in characters.
const SHOWN: usize = 1000;

#[derive(Debug, Args)]
pub(super) struct HealthOptions {
    /// What to ask instead of `/readyz` of the configured broker on this machine
    #[arg(conflicts_with = "live")]
    url: Option<Url>,
    /// Ask `/healthz`: whether the broker serves, also while database or bucket are away. For what restarts it
    #[arg(long)]
    live: bool,
}

pub(super) async fn run(options: HealthOptions, load: impl Fn() -> anyhow::Result<Config>) -> anyhow::Result<ExitCode> {
    let url = match options.url {
        Some(url) => url.to_string(),
        None => format!("http://{}/{}", reachable(load()?.listen), if options.live { "healthz" } else { "readyz" }),
    };
    // No proxy: it is asked from beside the broker.
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(TIMEOUT).build()?;
    let mut answer = client.get(&url).send().await.with_context(|| format!("{url} does not answer"))?;
    let (status, mut body) = (answer.status(), Vec::new());
    while body.len() < SHOWN
        && let Some(piece) = answer.chunk().await?
    {
        body.extend_from_slice(&piece);
    }
    let text: String = String::from_utf8_lossy(&body).chars().filter(|c| !c.is_control() || *c == '\n').take(SHOWN).collect();
    say!("{}", text.trim())?;
    Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
