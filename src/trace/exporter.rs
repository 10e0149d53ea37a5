//! How traces leave: in batches, as OTLP in protobuf over HTTP.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::{Metadata, Subscriber};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;
use url::Url;

use super::{TARGET, begin};
use crate::domain::web::innermost;

/// How long a receiver may take for a batch, and for the last one when the program ends.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How often the log says that a receiver takes nothing.
const SAID_EVERY: Duration = Duration::from_mins(1);

/// What a receiver may say at most, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Sends what is finished. A receiver that is away loses traces and nothing else.
#[derive(Debug)]
pub struct Exporter(SdkTracerProvider);

impl Exporter {
    /// Begins to trace `share` of all requests and to send it to `endpoint`, below whose root `/v1/traces` is meant.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn start(endpoint: &Url, share: f64) -> anyhow::Result<Self> {
        let mut endpoint = endpoint.clone();
        if endpoint.path() == "/" {
            endpoint.set_path("/v1/traces");
        }
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(TIMEOUT).build()?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Sender { http, runtime: Handle::current(), failing: Mutex::default() })
            .with_endpoint(endpoint.as_str())
            .with_timeout(TIMEOUT)
            .build()?;
        let about = Resource::builder().with_service_name("dropslip");
        let about = about.with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build();
        // What is traced was chosen before its span was made.
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(about).with_sampler(Sampler::AlwaysOn).build();
        begin(share);
        Ok(Self(provider))
    }

    /// Sends what is left.
    pub async fn stop(self) {
        // It waits on a thread of its own, so that the runtime can do the sending.
        let ended = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(TIMEOUT)).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// Makes spans of `tracing` those of traces.
#[must_use]
pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(exporter: &Exporter) -> OpenTelemetryLayer<S, SdkTracer> {
    let layer = tracing_opentelemetry::layer().with_tracer(exporter.0.tracer("dropslip"));
    layer.with_location(false).with_threads(false).with_tracked_inactivity(false).with_target(false).with_level(false)
}

/// What that layer is for: spans of requests and their parts.
#[must_use]
pub fn filter(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with(TARGET)
}

/// The HTTP client that is here anyway. Batches are made on a thread that is none of the runtime's.
#[derive(Debug)]
struct Sender {
    http: reqwest::Client,
    runtime: Handle,
    failing: Mutex<Failing>,
}

/// Batches that were lost since one arrived.
#[derive(Debug, Default)]
struct Failing {
    lost: u64,
    said: Option<Instant>,
}

impl Sender {
    /// Has the log say when traces begin to be lost, and when they arrive again. Its lines are no spans, so none of them is traced.
    fn tell(&self, outcome: Result<(), String>, now: Instant) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(()) if failing.lost > 0 => {
                tracing::info!(batches.lost = failing.lost, "traces are taken again");
                failing.lost = 0;
            }
            Ok(()) => {}
            Err(reason) => {
                failing.lost += 1;
                if failing.said.is_none_or(|said| now.duration_since(said) >= SAID_EVERY) {
                    failing.said = Some(now);
                    tracing::warn!(%reason, batches.lost = failing.lost, "traces are lost: DROPSLIP_OTLP_ENDPOINT does not take them");
                }
            }
        }
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let request = self.http.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body);
        let sent = self.runtime.spawn(async move {
            // No URL in errors: it may hold a password.
            let mut answer = request.send().await.map_err(reqwest::Error::without_url)?;
            let mut body = Vec::new();
            while body.len() < LONGEST_ANSWER
                && let Some(piece) = answer.chunk().await.map_err(reqwest::Error::without_url)?
            {
                body.extend_from_slice(&piece);
            }
            let mut response = Response::new(Bytes::from(body));
            *response.status_mut() = answer.status();
            *response.headers_mut() = answer.headers().clone();
            Ok::<_, reqwest::Error>(response)
        });
        let answer = sent.await?;
        let outcome = match &answer {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("it answered {}", answer.status())),
            Err(error) => Err(innermost(error)),
        };
        self.tell(outcome, Instant::now());
        Ok(answer?)
    }
}
