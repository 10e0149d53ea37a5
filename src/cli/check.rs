//! `dropslip check` and `dropslip cors`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::broker::lifecycle_days;
use crate::bucket::{Bucket, cors};
use crate::check::{self, Installation, Report, Status};
use crate::config::{Config, Storage};
use crate::output::{complain, out, say};
use crate::server;

/// What a shell reports for a process that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Said instead of a rule that nobody asked for.
const NO_ORIGIN: &str = "no origin is configured: set DROPSLIP_CORS_ORIGINS to those of your pages, or DROPSLIP_PUBLIC_URL to that of the broker. \
                         A rule for all origins (*) is never written";

#[derive(Debug, Args)]
pub(super) struct CheckOptions {
    /// Print one JSON array of `check`, `status` (ok, info, warning, error), `found` and `advice` (or null)
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum CorsCommand {
    /// Print the rule, as `aws s3api put-bucket-cors` reads it
    Print,
    /// Ask the bucket like a browser does, and compare its rules; exit code as that of `check`
    Check(CheckOptions),
    /// Set the rule on the bucket, beside the rules that are there
    Apply,
}

/// Never fails: what cannot be looked at is a finding of its own, and what cannot even begin has the exit code of an error.
pub(super) async fn check(options: &CheckOptions, config: anyhow::Result<Config>) -> ExitCode {
    match checked(options, config).await {
        Ok(code) => code,
        Err(error) => {
            complain!("dropslip: {error:#}");
            exit_code(Status::Error)
        }
    }
}

async fn checked(options: &CheckOptions, config: anyhow::Result<Config>) -> anyhow::Result<ExitCode> {
    let config = config?;
    // Listened for from here on: what was written until then must be taken away.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let signalled = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let stop = CancellationToken::new();
    let installation = installation(&config, stop.clone()).await?;
    let examined = Box::pin(check::examine(&installation, signalled)).await;
    stop.cancel();
    print(&examined.report, options.json)?;
    if examined.interrupted {
        complain!("dropslip: interrupted; not everything was looked at");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    Ok(exit_code(examined.report.worst()))
}

pub(super) async fn cors(command: CorsCommand, config: &Config) -> anyhow::Result<ExitCode> {
    let origins = server::page_origins(config);
    match command {
        CorsCommand::Print | CorsCommand::Apply if origins.is_empty() => anyhow::bail!(NO_ORIGIN),
        CorsCommand::Print => say!("{:#}", cors::document(&origins))?,
        CorsCommand::Check(options) => {
            let stop = CancellationToken::new();
            let report = check::examine_cors(&installation(config, stop.clone()).await?).await;
            stop.cancel();
            print(&report, options.json)?;
            return Ok(exit_code(report.worst()));
        }
        CorsCommand::Apply if matches!(config.storage, Storage::Embedded { .. }) => {
            anyhow::bail!("the embedded store lets the configured origins in by itself and keeps no rules");
        }
        CorsCommand::Apply => {
            let (options, _) = server::bucket_options(config, CancellationToken::new()).await?;
            Bucket::open(options).await?.apply_cors(&origins).await?;
            say!("the bucket lets pages of {} in", origins.join(", "))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn installation(config: &Config, stop: CancellationToken) -> anyhow::Result<Installation> {
    server::dialects(config)?;
    let file_types = server::file_types(config)?;
    let (bucket, identity) = match server::bucket_options(config, stop).await {
        Ok((options, identity)) => (Ok(options), Some(identity)),
        Err(error) => (Err(format!("{error:#}")), None),
    };
    Ok(Installation {
        database_url: config.database_url.reveal().to_owned(),
        identity,
        bucket,
        embedded: matches!(config.storage, Storage::Embedded { .. }),
        method: config.s3_method,
        origins: server::page_origins(config),
        secret: secret(config).map_err(|error| format!("{error:#}")),
        queue: server::queue_options(config).map_err(|error| format!("{error:#}")),
        expiry_days: lifecycle_days(&file_types, config.sweep_grace.try_into()?),
        longest_slip: file_types.iter().map(|rule| rule.slip_lifetime).max().unwrap_or_default(),
        tokens_file: config.tokens_file.clone(),
        jwt: config.jwt.clone(),
    })
}

fn secret(config: &Config) -> anyhow::Result<check::Secret> {
    let server::Found { source, is_readable, why_no_keys } = server::find_secret(config)?;
    let dialects = server::dialects(config)?;
    let (log_in, signed_calls) = (dialects.with_sessions().collect(), dialects.with_signed_calls().collect());
    Ok(check::Secret { source, is_readable, why_no_keys, log_in, signed_calls })
}

fn print(report: &Report, json: bool) -> anyhow::Result<()> {
    if json {
        say!("{}", serde_json::to_string_pretty(report.findings())?)?;
    } else {
        out(format_args!("{}", report.table()))?;
    }
    Ok(())
}

fn exit_code(worst: Status) -> ExitCode {
    ExitCode::from(match worst {
        Status::Ok | Status::Info => 0,
        Status::Warning => 1,
        Status::Error => 2,
    })
}
