//! The log: lines on stderr, by a filter that can be replaced.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, reload};

use crate::config::Log;

/// The way to the filter.
pub(super) struct Filter(reload::Handle<EnvFilter, Registry>);

impl Filter {
    /// Replaces it; answers what is in force now.
    pub(super) fn replace(&self, log: &Log) -> anyhow::Result<String> {
        self.0.reload(filter(log)?)?;
        Ok(log.filter.clone())
    }
}

/// Begins to log.
pub(super) fn to_stderr(log: &Log) -> anyhow::Result<Filter> {
    let (filter, handle) = reload::Layer::new(filter(log)?);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let json = log.json.unwrap_or_else(|| !std::io::stderr().is_terminal());
    let lines = if json { lines.json().flatten_event(true).with_span_list(false).boxed() } else { lines.boxed() };
    tracing_subscriber::registry().with(filter).with(lines).try_init()?;
    Ok(Filter(handle))
}

fn filter(log: &Log) -> anyhow::Result<EnvFilter> {
    // The embedded store's protocol logs every refused form as an error of its own; whoever asks for it by name gets it.
    let quiet = if log.filter.contains("s3s") { "" } else { ",s3s::ops=off,s3s::service=off" };
    format!("{}{quiet}", log.filter).parse().context("DROPSLIP_LOG")
}
