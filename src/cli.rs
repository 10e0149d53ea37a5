//! The command line.

mod audit_log;
mod check;
mod events;
mod health;
mod log;
mod operate;
mod policy;
mod present;
mod reload;
mod serve;
mod text;
mod token;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::config::{Config, SETTINGS};
use crate::output::{complain, out};
use crate::private;
use crate::server;
use crate::upload;

/// A broker for presigned direct-to-S3 uploads.
///
/// Without any setting, `dropslip serve` runs on this machine alone: SQLite and an S3 store inside the process, both kept in `data`.
#[derive(Debug, Parser)]
#[command(name = "dropslip", version, after_long_help = settings_help())]
struct Cli {
    /// The TOML file with settings (or `DROPSLIP_CONFIG`); the environment wins over it
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the broker
    Serve,
    /// Print the effective settings, secrets redacted, and where each comes from
    Config,
    /// Make, list and revoke access tokens
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Explain what the file types allow
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Take away expired slips and the bytes nobody owns (`serve` does this by itself)
    Sweep(operate::SweepOptions),
    /// Ask a broker whether it is ready: exit code 0 when it is
    Health(health::HealthOptions),
    /// Send SIGHUP to a broker on this machine or in this container, so that it reads its configuration again
    #[command(arg = clap::Arg::new("config").long("config").value_parser(clap::value_parser!(PathBuf)).hide(true))]
    Reload(reload::ReloadOptions),
    /// Compare database and bucket: exit code 0 when nothing is lost, forged or orphaned
    #[command(visible_alias = "audit")]
    Reconcile,
    /// Read the audit log: who did what to which file, newest first
    AuditLog(audit_log::AuditLogOptions),
    /// Webhooks: what was sent, what was given up, send it again
    #[command(subcommand)]
    Events(events::EventsCommand),
    /// Copy the SQLite database to a new file, as it is at one moment, and beside it the embedded mode’s installation secret; the broker
    /// may run meanwhile
    Backup(operate::BackupOptions),
    /// The bucket's own expiry rule for what was never confirmed, a second line behind the sweeper
    #[command(subcommand)]
    Lifecycle(operate::LifecycleCommand),
    /// Ask the configured bucket whether it does what dropslip relies on, with real requests, and say what to do where not
    ///
    /// Writes below `temp/check-...` and `files/` and deletes it again. Exit code: 0 when nothing is worse than info, 1 for
    /// warnings, 2 for errors (also of the configuration), 130 when it was interrupted.
    Check(check::CheckOptions),
    /// The bucket's CORS rule for the pages of the configured origins, never for all
    #[command(subcommand)]
    Cors(check::CorsCommand),
    /// Upload files through a broker: ask for a slip, drop the bytes, confirm
    // It reads no settings, so its help does not offer the option that every command takes.
    #[command(arg = clap::Arg::new("config").long("config").value_parser(clap::value_parser!(PathBuf)).hide(true))]
    Upload(upload::Options),
}

/// Runs the command line; the exit code is 0 when everything asked for was done.
#[must_use]
pub fn main() -> ExitCode {
    private::keep_to_own_user();
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    match runtime.block_on(run(cli)) {
        Ok(code) => code,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    complain!("dropslip: {error:#}");
    ExitCode::FAILURE
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let load = || {
        let config = Config::load(cli.config.as_deref()).context("configuration")?;
        #[cfg(feature = "failpoints")]
        config.failpoint.as_deref().into_iter().for_each(crate::failpoint::arm);
        anyhow::Ok(config)
    };
    // For commands that open what a broker keeps, beside one or alone.
    let keep = || {
        let config = load()?;
        let mended = server::mend(&config);
        if mended.any() {
            complain!("dropslip: {mended}");
        }
        anyhow::Ok(config)
    };
    match cli.command {
        Command::Serve => serve::run(load).await?,
        Command::Config => out(format_args!("{}", load()?.describe()))?,
        Command::Token(command) => return token::run(command, &keep()?).await,
        Command::Policy(command) => return policy::run(command, &load()?),
        Command::Sweep(options) => return operate::sweep(options, &keep()?).await,
        Command::Health(options) => return health::run(options, load).await,
        Command::Reload(options) => reload::run(&options)?,
        Command::Reconcile => return operate::reconcile(&keep()?).await,
        Command::AuditLog(options) => return audit_log::run(options, &keep()?).await,
        Command::Events(command) => return Box::pin(events::run(command, &keep()?)).await,
        Command::Backup(options) => return operate::backup(&options, &keep()?).await,
        Command::Lifecycle(command) => return operate::lifecycle(command, &load()?).await,
        Command::Check(options) => return Ok(check::check(&options, load()).await),
        Command::Cors(command) => return check::cors(command, &load()?).await,
        Command::Upload(options) => return upload::run(options).await,
    }
    Ok(ExitCode::SUCCESS)
}

/// Every setting, for `--help`.
fn settings_help() -> String {
    let lines: Vec<_> = SETTINGS.iter().map(|setting| format!("  {:<35} {}", setting.env_name(), setting.help())).collect();
    format!("Settings (environment, or lower-case without the prefix in the TOML file):\n{}", lines.join("\n"))
}
