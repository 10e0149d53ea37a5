//! What is said of a request beside its answer: an id, a span for its log lines, a part of a trace, and how long it took.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::IntoResponse as _;
use futures_util::FutureExt as _;
use tracing::{Instrument as _, Span};

use super::fault::{BAD_TOKENS, Fault};
use super::refused_tokens;
use super::rendering::Rendering;
use crate::metrics::{self, Operation};
use crate::{random, trace};

/// The name of an id, in requests and answers.
pub(in crate::api) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names the trace that a request is a part of.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The longest id of a client's own; UUIDs, ULIDs and trace ids are shorter. Another is replaced.
const LONGEST_REQUEST_ID: usize = 128;

/// The longest segment of a path that is logged as it is: file numbers and words are shorter, upload tokens longer.
const LONGEST_LOGGED_SEGMENT: usize = 40;

/// A request as its log lines name it: what goes wrong with it is logged at its end, once.
pub(in crate::api) struct Asked {
    since: Instant,
    /// The request's part of a trace, if it has one.
    traced: Option<Span>,
    id: Option<HeaderValue>,
    method: Method,
    uri: Uri,
    operation: Operation,
}

impl Asked {
    /// Its id is the client's own, or a fresh one.
    pub(in crate::api) fn of(request: &Request<Body>, operation: Operation) -> Self {
        let id = request.headers().get(REQUEST_ID).filter(|id| is_request_id(id)).cloned().or_else(fresh_request_id);
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let origin = trace::wanted(|| request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok()));
        let mut asked = Self { since: Instant::now(), traced: None, id, method, uri, operation };
        asked.traced = origin.map(|origin| asked.traced(&origin));
        asked
    }

    /// With what the log says too, and what tools for traces look for.
    fn traced(&self, origin: &trace::Origin) -> Span {
        let (id, path) = (self.id(), loggable(self.uri.path()));
        let name = format!("{} {}", self.method, self.operation.name());
        let span = tracing::info_span!(target: trace::TARGET, "request", request.id = id, method = %self.method, path = %path,
            otel.name = name, otel.kind = "server", http.request.method = %self.method, url.path = %path,
            http.response.status_code = tracing::field::Empty, otel.status_code = tracing::field::Empty);
        origin.lead_to(&span);
        span
    }

    fn id(&self) -> &str {
        self.id.as_ref().and_then(|id| id.to_str().ok()).unwrap_or_default()
    }

    fn span(&self) -> Span {
        if let Some(span) = &self.traced {
            return span.clone();
        }
        let id = self.id();
        tracing::info_span!("request", request.id = id, method = %self.method, path = %loggable(self.uri.path()))
    }

    /// Whether such a request logs nothing unless it fails. To begin a span costs more than to sign a form.
    fn logs_nothing(&self) -> bool {
        (self.method == Method::GET || self.operation == Operation::Slip) && !tracing::enabled!(tracing::Level::DEBUG)
    }

    /// Every line that is logged meanwhile carries the id.
    pub(in crate::api) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        if self.traced.is_none() && self.logs_nothing() { work.await } else { work.instrument(self.span()).await }
    }

    /// So does the answer, and the line that tells why it is a refusal.
    pub(in crate::api) fn end(self, response: &mut Response<Body>) {
        if let Some(fault) = response.extensions_mut().remove::<Arc<Fault>>() {
            if !is_of_a_token(&fault) || refused_tokens::has_a_line() {
                self.span().in_scope(|| log(&fault, response.status()));
            }
            if let Fault::LimitExceeded(exceeded) = &*fault {
                metrics::limited(exceeded.what);
            }
        }
        metrics::request(self.operation, response.status().as_u16(), self.since.elapsed());
        if let Some(span) = &self.traced {
            span.record("http.response.status_code", response.status().as_u16());
            if response.status().is_server_error() {
                trace::failed(span);
            }
        }
        // Beside what the handler has said itself.
        response.headers_mut().append(header::VARY, HeaderValue::from_static("origin"));
        if let Some(id) = self.id {
            response.headers_mut().insert(REQUEST_ID, id);
        }
    }
}

/// Whether it can be had by anybody, with a bad token or none.
fn is_of_a_token(fault: &Fault) -> bool {
    match fault {
        Fault::Unauthenticated | Fault::UnknownSession => true,
        Fault::LimitExceeded(exceeded) => exceeded.what == BAD_TOKENS,
        _ => false,
    }
}

fn log(fault: &Fault, status: StatusCode) {
    match fault {
        Fault::Internal(why) => tracing::error!(status = 500, why, "request failed"),
        Fault::Unavailable(why) => tracing::warn!(status = 503, why, "request could not be served"),
        other => tracing::info!(status = status.as_u16(), fault = ?other, "request refused"),
    }
}

/// Whether a client's own id is good for headers and logs: short, and nothing that means something to a shell, a terminal or a query.
pub(in crate::api) fn is_request_id(id: &HeaderValue) -> bool {
    (1..=LONGEST_REQUEST_ID).contains(&id.len()) && id.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=@".contains(b))
}

/// Unlike every other of this process, and most likely of all others: 64 random bits, counted up.
fn fresh_request_id() -> Option<HeaderValue> {
    static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(u64::from_ne_bytes(random::bytes())));
    HeaderValue::from_str(&format!("{:016x}", NEXT.fetch_add(1, Ordering::Relaxed))).ok()
}

/// A path without upload tokens, wherever they stand in it: also what is no good URL may hold a good token.
pub(in crate::api) fn loggable(path: &str) -> Cow<'_, str> {
    if path.len() <= LONGEST_LOGGED_SEGMENT {
        return path.into();
    }
    let shown = |segment| if str::len(segment) > LONGEST_LOGGED_SEGMENT { "***" } else { segment };
    path.split('/').map(shown).collect::<Vec<_>>().join("/").into()
}

/// What every answer of a dialect has in common: a body for each fault, also for a panic, an id, and that nobody keeps it, unless its
/// handler says how long.
pub(in crate::api) async fn answered(next: Next, request: Request<Body>, operation: Operation, faults: &Rendering) -> Response<Body> {
    let asked = Asked::of(&request, operation);
    let panicked = |_| Fault::Internal("a handler panicked".to_owned()).into_response();
    let mut response = asked.during(AssertUnwindSafe(next.run(request)).catch_unwind()).await.unwrap_or_else(panicked);
    faults.apply(&mut response);
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    asked.end(&mut response);
    response
}

/// The same for what belongs to no dialect and has no faults.
pub(in crate::api) async fn with_request_id(request: Request<Body>, next: Next) -> Response<Body> {
    let asked = Asked::of(&request, Operation::Other);
    let mut response = asked.during(next.run(request)).await;
    asked.end(&mut response);
    response
}

/// The answer to a path that nobody has.
pub(in crate::api) fn not_found(request: &Request<Body>, operation: Operation) -> Response<Body> {
    let mut response = StatusCode::NOT_FOUND.into_response();
    Asked::of(request, operation).end(&mut response);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_upload_token_is_logged_wherever_it_stands() {
        let token = format!("du2.0123456789abcdef.1767323045.image.{}", "0".repeat(64));
        for path in
            [format!("/u/{token}/s3/params"), format!("//u//{token}"), format!("/%75/{token}/"), format!("/u/{token}x"), token.clone()]
        {
            assert!(!loggable(&path).contains("00000000"), "{path}");
        }
        assert_eq!(loggable(&format!("/u/{token}/s3/multipart/42/1")), "/u/***/s3/multipart/42/1");
        assert_eq!(loggable("/desk/api/v2/files/9223372036854775807.json"), "/desk/api/v2/files/9223372036854775807.json");
        assert_eq!(loggable("/"), "/");
    }

    #[test]
    fn a_foreign_request_id_is_short_and_plain_or_replaced() {
        let longest = "x".repeat(LONGEST_REQUEST_ID);
        for good in ["1", "018f3c2e-7b1a-7c3d-9e4f-001122334455", "Root=1-67891233-abcdef012345678912345678", "a/b+c=@d:e_f.g", &longest] {
            assert!(is_request_id(&HeaderValue::from_str(good).unwrap()), "{good}");
        }
        let too_long = "x".repeat(LONGEST_REQUEST_ID + 1);
        for bad in ["", " ", "a b", "a\tb", "\"quoted\"", "{json}", "a,b", "$(x)", "<b>", "ü", too_long.as_str()] {
            assert!(!is_request_id(&HeaderValue::from_bytes(bad.as_bytes()).unwrap()), "{bad}");
        }
    }
}
