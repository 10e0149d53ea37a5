//! The log: lines on stderr, by a filter that can be replaced.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing::Subscriber;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::config::Config;
use crate::trace::{self, Exporter};

/// The way to the filter.
pub(super) struct Filter(reload::Handle<EnvFilter, Registry>);

impl Filter {
    /// Replaces it; answers what is in force now.
    pub(super) fn replace(&self, config: &Config) -> anyhow::Result<String> {
        self.0.reload(filter(&config.log)?)?;
        Ok(config.log.clone())
    }
}

/// Begins to log, and to trace where there is an exporter.
pub(super) fn to_stderr(config: &Config, exporter: Option<&Exporter>) -> anyhow::Result<Filter> {
    let (filter, handle) = reload::Layer::new(filter(&config.log)?);
    let json = config.log_format.unwrap_or_else(|| !std::io::stderr().is_terminal());
    match exporter {
        None => tracing_subscriber::registry().with(filter).with(lines(json)).try_init()?,
        Some(exporter) => {
            let traces = trace::layer(exporter).with_filter(filter_fn(trace::filter));
            tracing_subscriber::registry().with(lines(json).with_filter(filter)).with(traces).try_init()?;
        }
    }
    Ok(Filter(handle))
}

fn lines<S: Subscriber + for<'a> LookupSpan<'a>>(json: bool) -> Box<dyn Layer<S> + Send + Sync> {
    let lines = fmt::layer().with_writer(std::io::stderr);
    if json { lines.json().flatten_event(true).with_span_list(false).boxed() } else { lines.boxed() }
}

fn filter(log: &str) -> anyhow::Result<EnvFilter> {
    // The embedded store's protocol logs every refused form as an error of its own; whoever asks for it by name gets it.
    let quiet = if log.contains("s3s") { "" } else { ",s3s::ops=off,s3s::service=off" };
    // Lines name the request that they are about, and not a part of it.
    format!("{}{quiet},{}=off", log, trace::PARTS).parse().context("DROPSLIP_LOG")
}
