//! Traces: which requests have one, and what their parts are.
//!
//! Off unless an endpoint is set, and then a request that has none costs one look at a flag and at a header. Whether a request has a
//! trace is decided here, before any span is made: by the `traceparent` it came with, or else by a share of all.
//!
//! No attribute holds a key, a form, a signed URL or a token: only what the log may hold too.

mod exporter;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

pub use exporter::{Exporter, filter, layer};

/// The target of the spans of requests; those below it are their parts. Nothing else goes into a trace.
pub const TARGET: &str = "dropslip_trace";

/// The target of what happens within a request. Not for the log: its lines name the request.
pub const PARTS: &str = "dropslip_trace::part";

static ON: AtomicBool = AtomicBool::new(false);

/// Which share of the numbers from 0 to 2^64 has a trace.
static SHARE: AtomicU64 = AtomicU64::new(0);

/// Begins to trace this share of the requests that do not say themselves whether they are.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is no exact number")]
pub(crate) fn begin(share: f64) {
    // A cast keeps to the bounds of its type.
    SHARE.store((share.clamp(0.0, 1.0) * u64::MAX as f64) as u64, Ordering::Relaxed);
    ON.store(true, Ordering::Release);
}

/// Where a trace of this process begins.
#[derive(Debug, Clone)]
pub struct Origin(Option<SpanContext>);

/// Whether a request with this `traceparent` (W3C Trace Context, section 3.2) is traced, and what it goes on with.
#[must_use]
pub fn wanted<'a>(traceparent: impl FnOnce() -> Option<&'a str>) -> Option<Origin> {
    if !ON.load(Ordering::Acquire) {
        return None;
    }
    match traceparent().and_then(parsed) {
        Some(parent) => parent.is_sampled().then_some(Origin(Some(parent))),
        None => drawn().then_some(Origin(None)),
    }
}

/// Steps through all numbers evenly, so that a share of requests is that share also of few.
fn drawn() -> bool {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed) <= SHARE.load(Ordering::Relaxed) && SHARE.load(Ordering::Relaxed) > 0
}

/// The caller's span; `None` for what is no `traceparent` of version 0 or what a later one must keep of it.
fn parsed(header: &str) -> Option<SpanContext> {
    let mut parts = header.trim().split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lower_hex =
        |text: &str, chars: usize| text.len() == chars && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let fits = lower_hex(version, 2) && lower_hex(trace, 32) && lower_hex(span, 16) && lower_hex(flags, 2);
    if !fits || version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let context = SpanContext::new(TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?, flags, true, TraceState::NONE);
    context.is_valid().then_some(context)
}

impl Origin {
    /// Makes `span` go on where the caller's ended.
    pub fn lead_to(&self, span: &Span) {
        if let Some(parent) = &self.0 {
            // Refused for a span that has begun, which this one has not.
            let _ = span.set_parent(Context::new().with_remote_span_context(parent.clone()));
        }
    }
}

/// Whether what happens now is a part of a traced request.
fn is_traced() -> bool {
    ON.load(Ordering::Acquire) && Span::current().metadata().is_some_and(|metadata| metadata.target().starts_with(TARGET))
}

/// A part of a traced request that the database does; nothing elsewhere.
#[must_use]
pub fn database(what: &'static str) -> Span {
    if !is_traced() {
        return Span::none();
    }
    tracing::debug_span!(target: PARTS, "database", otel.name = what, otel.kind = "client", db.operation.name = what)
}

/// A part of a traced request that the bucket does; nothing elsewhere.
#[must_use]
pub fn s3(operation: &str) -> Span {
    if !is_traced() {
        return Span::none();
    }
    tracing::debug_span!(target: PARTS, "s3", otel.name = operation, otel.kind = "client", rpc.system = "aws-api",
        rpc.service = "S3", rpc.method = operation, otel.status_code = tracing::field::Empty)
}

/// Marks a part as failed.
pub fn failed(span: &Span) {
    span.record("otel.status_code", "ERROR");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_the_standard_says() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = parsed(good).unwrap();
        assert_eq!(context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(context.is_sampled() && context.is_remote());
        assert!(!parsed("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00").unwrap().is_sampled());
        // A later version may say more.
        assert!(parsed("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03-more").is_some());
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e473ü-00f067aa0ba902b7-01",
        ] {
            assert!(parsed(bad).is_none(), "{bad}");
        }
    }
}
