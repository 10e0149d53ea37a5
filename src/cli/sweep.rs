//! `dropslip sweep`.

use std::process::ExitCode;

use clap::Args;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::broker::Swept;
use crate::config::Config;
use crate::server;
use crate::sweeper;

#[derive(Debug, Args)]
pub(super) struct SweepOptions {
    /// Sweep once and end, instead of every `DROPSLIP_SWEEP_INTERVAL`
    #[arg(long)]
    once: bool,
    /// Count what is waiting and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(options: SweepOptions, config: &Config) -> anyhow::Result<ExitCode> {
    let stop = CancellationToken::new();
    let broker = server::broker(config, stop.clone()).await?;
    if options.dry_run {
        let waiting = broker.waiting(OffsetDateTime::now_utc()).await?;
        println!("waiting: {} expired temp files, {} doomed objects", waiting.expired_files, waiting.due_objects);
    } else if options.once {
        let Swept { activated, discarded, deleted } = broker.sweep(OffsetDateTime::now_utc()).await?;
        println!("swept: {activated} activated, {discarded} discarded, {deleted} objects deleted");
    } else {
        tokio::select! {
            () = sweeper::run(broker.clone(), config.sweep_interval, stop.clone()) => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    }
    stop.cancel();
    Ok(ExitCode::SUCCESS)
}
