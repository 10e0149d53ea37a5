//! `dropslip sweep`, `reconcile`, `backup` and `lifecycle`: what an operator does beside a running broker.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::present;
use crate::broker::{Reconciliation, Swept, lifecycle_days};
use crate::bucket::lifecycle;
use crate::config::Config;
use crate::database::Waiting;
use crate::database::backup;
use crate::domain::StagingKey;
use crate::output::say;
use crate::secret_file;
use crate::server;
use crate::sweeper;

/// How many findings of a kind are printed one by one.
const SHOWN: usize = 20;

#[derive(Debug, Args)]
pub(super) struct SweepOptions {
    /// Sweep once and end, instead of every `DROPSLIP_SWEEP_INTERVAL`
    #[arg(long)]
    once: bool,
    /// Count what is waiting and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct BackupOptions {
    /// The copy; a file that exists is never replaced
    file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(super) enum LifecycleCommand {
    /// Print the rule, as `aws s3api put-bucket-lifecycle-configuration` reads it
    Print,
    /// Set the rule on the bucket, beside the rules that are there
    Apply,
}

pub(super) async fn sweep(options: SweepOptions, config: &Config) -> anyhow::Result<ExitCode> {
    if config.sweep_interval.is_zero() && !options.once && !options.dry_run {
        anyhow::bail!("DROPSLIP_SWEEP_INTERVAL is 0, which means never: say --once, or set it");
    }
    if options.dry_run {
        present::broker(config).await?;
    }
    let stop = CancellationToken::new();
    let broker = server::broker(config, stop.clone()).await?;
    if options.dry_run {
        let waiting = broker.waiting(OffsetDateTime::now_utc()).await?;
        let Waiting { expired_files, due_objects, purgeable_files } = waiting;
        say!("waiting: {expired_files} expired temp files, {due_objects} doomed objects, {purgeable_files} deleted files to purge")?;
    } else if options.once {
        let Swept { activated, discarded, ended, purged, deleted } = broker.sweep_now(OffsetDateTime::now_utc()).await?;
        say!("swept: {activated} activated, {discarded} discarded, {ended} ended, {purged} purged, {deleted} objects deleted")?;
    } else {
        tokio::select! {
            () = sweeper::run(broker.clone(), config.sweep_interval, stop.clone()) => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    }
    stop.cancel();
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn reconcile(config: &Config) -> anyhow::Result<ExitCode> {
    present::broker(config).await?;
    let stop = CancellationToken::new();
    let found = server::broker(config, stop.clone()).await?.reconcile().await?;
    stop.cancel();
    let Reconciliation { files, objects, lost, forged, orphaned } = &found;
    for id in lost.iter().take(SHOWN) {
        say!("lost: file {id} has no object")?;
    }
    for id in forged.iter().take(SHOWN) {
        say!("forged: file {id} has another object than was sealed")?;
    }
    for key in orphaned.iter().take(SHOWN) {
        say!("orphaned: nobody owns {key}")?;
    }
    say!("audited {files} files and {objects} objects: {} lost, {} forged, {} orphaned", lost.len(), forged.len(), orphaned.len())?;
    Ok(if found.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(super) async fn backup(options: &BackupOptions, config: &Config) -> anyhow::Result<ExitCode> {
    let secret = server::secret_in_data_folder(config).map(|from| (from, beside(&options.file)));
    if let Some((_, to)) = &secret
        && to.try_exists().with_context(|| to.display().to_string())?
    {
        anyhow::bail!("{}: a file that exists is never replaced", to.display());
    }
    backup::copy(config.database_url.reveal(), &options.file).await?;
    say!("copied the database to {}", options.file.display())?;
    if let Some((from, to)) = secret {
        // Without it the copy would come back with all links and upload tokens ended.
        secret_file::copy(&from, &to).with_context(|| to.display().to_string())?;
        say!("copied the installation secret to {}", to.display())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the secret's copy is put, by where that of the database is.
fn beside(copy: &Path) -> PathBuf {
    let mut name = copy.as_os_str().to_owned();
    name.push(".installation-secret");
    PathBuf::from(name)
}

pub(super) async fn lifecycle(command: LifecycleCommand, config: &Config) -> anyhow::Result<ExitCode> {
    match command {
        LifecycleCommand::Print => {
            let days = lifecycle_days(&server::file_types(config)?, config.sweep_grace.try_into()?);
            say!("{:#}", lifecycle::document(StagingKey::PREFIX, days))?;
        }
        LifecycleCommand::Apply => {
            let stop = CancellationToken::new();
            let days = server::broker(config, stop.clone()).await?.apply_lifecycle().await?;
            stop.cancel();
            say!("the bucket deletes what lies under {} for {days} days", StagingKey::PREFIX)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
