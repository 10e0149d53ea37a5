//! How dropslip is spoken: one file a dialect over the same broker.
//!
//! Every dialect has the same inner order: doc comment with its scope, `router()`, wire structs, handlers, error body.
//!
//! A handler fails with a [`Fault`], which knows its status and nothing about bodies: it travels in the response, is logged here
//! once, and the dialect's own layer writes the body. That way also the faults that no handler sees (no such path, wrong method,
//! a panic) are answered in the words of the dialect whose path was asked for.

pub mod admin;
mod asked;
mod auth;
mod body;
mod companion;
mod desk;
mod downloads;
mod notifications;
mod openapi;
mod operation;
mod page;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod query;
mod refusals;

use asked::Asked;
use openapi::Documents;

#[doc(hidden)]
pub use desk::bench;
pub use downloads::Downloads;
pub use notifications::Secret as NotificationsSecret;

use std::convert::Infallible;
use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::routing::any;
use axum::routing::future::RouteFuture;
use axum::{Extension, Router};
use futures_util::FutureExt as _;
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;
use tower::Service;
use tower_http::cors::CorsLayer;
use tracing::Instrument as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::broker::{Broker, BrokerError};
use crate::bucket::BucketError;
use crate::domain::{FieldErrors, Scope};
use crate::limits::Exceeded;
use crate::origins::Origins;
use crate::store::StoreError;
use crate::tokens::{Tokens, Unknown};

/// When a client may ask again after a 503, in seconds.
const RETRY_AFTER_SECONDS: u64 = 2;

/// What there is too much of when an address presents many.
const BAD_TOKENS: &str = "bad tokens";

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What every handler works with. Each request clones it several times.
#[derive(Clone)]
pub struct AppState(Arc<Parts>);

/// What the state is made of.
pub struct Parts {
    /// The use cases.
    pub broker: Arc<Broker>,
    /// Everybody who may call.
    pub tokens: Tokens,
    /// Where browsers reach the broker, without a slash at the end.
    pub public_url: Arc<str>,
    /// What a store must know that posts bucket notifications; `None` when none may.
    pub notifications: Option<NotificationsSecret>,
    /// Cancelled once a stop was asked for: requests are taken, and `/readyz` sends them elsewhere.
    pub stopping: CancellationToken,
    /// How files are downloaded.
    pub downloads: Downloads,
}

impl From<Parts> for AppState {
    fn from(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for AppState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// Every URL of dropslip. Pages from `origins` may call it; with `page_sends_to`, the origin of forms, it has a page of its own.
pub fn router(state: AppState, origins: &[String], page_sends_to: Option<&str>) -> Api {
    let (operating, described) = operating().split_for_parts();
    let documents = Documents::of(&state, described);
    let (desk, companion) = (desk::router(), companion::router());
    let notifications = if state.notifications.is_some() { notifications::router() } else { Router::new() };
    // Each dialect gives its own answers an id, so that none passes two layers that do.
    let with_id = || axum::middleware::from_fn(with_request_id);
    let page: Router<AppState> = page_sends_to.map(page::router).unwrap_or_default();
    let others = operating.layer(Extension(Arc::new(documents))).merge(page).layer(with_id());
    let nothing = any(|| async { StatusCode::NOT_FOUND }).layer(with_id());
    let plain = others.merge(desk).merge(companion).merge(notifications).fallback_service(nothing).with_state(state);
    let origins = Origins::new(origins);
    Api { for_pages: plain.clone().layer(cors(&origins)), plain, origins }
}

fn operating() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(alive)).routes(routes!(ready)).routes(routes!(openapi::serve))
}

/// Every URL. Requests that come from no page are spared the layer that is for pages.
#[derive(Clone)]
pub struct Api {
    plain: Router,
    for_pages: Router,
    origins: Origins,
}

impl Service<Request<Incoming>> for Api {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        let from_page = request.headers().contains_key(header::ORIGIN) || request.method() == Method::OPTIONS;
        if !from_page {
            return self.plain.call(request);
        }
        self.origins.bound(request.headers_mut());
        self.for_pages.call(request)
    }
}

/// Whether the process lives
#[utoipa::path(get, path = "/healthz", operation_id = "alive", tag = "Operating", security(()), responses(
    (status = 200, body = String, content_type = "text/plain", description = "It does.")
))]
async fn alive() -> &'static str {
    "ok\n"
}

/// Whether database and bucket answer
#[utoipa::path(get, path = "/readyz", operation_id = "ready", tag = "Operating", security(()), responses(
    (status = 200, body = String, content_type = "text/plain", description = "Both do, and the database is the right one."),
    (status = 503, body = String, content_type = "text/plain", description = "Something is missing: the text names it, a line each.")
))]
async fn ready(State(state): State<AppState>) -> Response<Body> {
    let mut missing = state.broker.missing().await;
    if state.stopping.is_cancelled() {
        missing.push("the broker is stopping".to_owned());
    }
    if missing.is_empty() {
        return "ready\n".into_response();
    }
    let lines: Vec<_> = missing.into_iter().map(|what| what + "\n").collect();
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS))], lines.concat()).into_response()
}

/// CORS for the given origins only: any header, no wildcard, no cookies.
fn cors(origins: &Origins) -> CorsLayer {
    origins
        .layer()
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .expose_headers([
            REQUEST_ID,
            header::RETRY_AFTER,
            header::ACCEPT_RANGES,
            header::CONTENT_RANGE,
            header::CONTENT_DISPOSITION,
            header::CONTENT_LENGTH,
            header::ETAG,
        ])
        // Set on every answer, also those that this layer does not see.
        .vary([])
        .max_age(Duration::from_mins(10))
}

/// For what belongs to no dialect.
async fn with_request_id(request: Request<Body>, next: Next) -> Response<Body> {
    let asked = Asked::of(&request);
    let mut response = asked.during(next.run(request)).await;
    asked.end(&mut response);
    response
}

/// What every answer of a dialect has in common: a body for each fault, also for a panic, an id, and that nobody keeps it, unless its
/// handler says how long.
async fn answered(next: Next, request: Request<Body>, rendered: fn(Response<Body>) -> Response<Body>) -> Response<Body> {
    let asked = Asked::of(&request);
    let panicked = |_| Fault::Internal("a handler panicked".to_owned()).into_response();
    let response = asked.during(AssertUnwindSafe(next.run(request)).catch_unwind()).await.unwrap_or_else(panicked);
    let mut response = rendered(response);
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    asked.end(&mut response);
    response
}

/// Why a request was not done, in no dialect yet.
#[derive(Debug)]
pub enum Fault {
    /// 400: fields that cannot be granted.
    Invalid(FieldErrors),
    /// 401: no token, or not a good one.
    Unauthenticated,
    /// 403: the token lacks this scope.
    Forbidden(Scope),
    /// 403: the token is not for this file type.
    ForbiddenType(String),
    /// 404: no such path, or nothing there that the caller may see.
    NotFound,
    /// 405: the path knows other methods.
    MethodNotAllowed,
    /// 409: nothing was uploaded yet.
    NotUploaded,
    /// 409: it is active, and no form can change it any more.
    AlreadyActive,
    /// 409: the object changed each time it was looked at.
    Changing,
    /// 409: the file is not in a state for that.
    Conflict(FieldErrors),
    /// 408: the body took too long to arrive.
    TooSlow,
    /// 412: the file is not the one with the entity tag that was named.
    PreconditionFailed,
    /// 413: the body is longer than any description of a file.
    BodyTooLarge,
    /// 415: the body is compressed, with this.
    Coded(String),
    /// 416: the file has so many bytes, and none of those that were asked for.
    RangeNotSatisfiable(u64),
    /// 422: what was uploaded is not what was granted.
    Refused(FieldErrors),
    /// 429: the caller's actor or tenant asks for too much, or there are too many bad tokens from an address.
    LimitExceeded(Exceeded),
    /// 500: a defect.
    Internal(String),
    /// 503: database or bucket are away.
    Unavailable(String),
}

impl Fault {
    /// The status it is answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) | Self::ForbiddenType(_) => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotUploaded | Self::AlreadyActive | Self::Changing | Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Coded(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RangeNotSatisfiable(_) => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::LimitExceeded(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<BrokerError> for Fault {
    fn from(error: BrokerError) -> Self {
        match error {
            BrokerError::Invalid(fields) => Self::Invalid(fields),
            BrokerError::Refused(fields) => Self::Refused(fields),
            BrokerError::Forbidden(scope) => Self::Forbidden(scope),
            BrokerError::ForbiddenType(name) => Self::ForbiddenType(name),
            BrokerError::NotFound => Self::NotFound,
            BrokerError::NotUploaded => Self::NotUploaded,
            BrokerError::AlreadyActive => Self::AlreadyActive,
            BrokerError::Changing => Self::Changing,
            BrokerError::Conflict(fields) => Self::Conflict(fields),
            BrokerError::LimitExceeded(exceeded) => Self::LimitExceeded(exceeded),
            BrokerError::Store(error) => error.into(),
            // Another broker may have the rule, or this one after a reload.
            BrokerError::Busy | BrokerError::UnknownType(_) => Self::Unavailable(error.to_string()),
            // A bucket that says no is an operator's matter: the client has done nothing wrong and may try again.
            BrokerError::Bucket(error @ (BucketError::Unavailable(_) | BucketError::Refused(_))) => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::Unavailable(error.to_string()),
            StoreError::Broken(_) | StoreError::Pooled => Self::Internal(error.to_string()),
        }
    }
}

impl From<Unknown> for Fault {
    fn from(error: Unknown) -> Self {
        match error {
            Unknown::Store(error) => error.into(),
            Unknown::Keys(error) => Self::Unavailable(error.to_string()),
            Unknown::TooMany(retry_after_seconds) => Self::LimitExceeded(Exceeded { what: BAD_TOKENS, retry_after_seconds }),
        }
    }
}

impl IntoResponse for Fault {
    /// A response without body that carries the fault to the dialect's layer.
    fn into_response(self) -> Response<Body> {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// Work that goes on when the client hangs up: a copy of many bytes that is cut off has to be made again, and again.
async fn to_its_end<T: Send + 'static>(work: impl Future<Output = Result<T, BrokerError>> + Send + 'static) -> Result<T, Fault> {
    let ended = tokio::spawn(work.in_current_span()).await;
    ended.map_err(|error| Fault::Internal(error.to_string()))?.map_err(Fault::from)
}

/// Gives the fault of a response the body of a dialect.
fn rendered(mut response: Response<Body>, body: fn(&Fault) -> Vec<u8>) -> Response<Body> {
    let Some(fault) = response.extensions().get::<Arc<Fault>>().cloned() else { return response };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    match &*fault {
        Fault::Unauthenticated => drop(headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"dropslip\""))),
        Fault::LimitExceeded(exceeded) => drop(headers.insert(header::RETRY_AFTER, HeaderValue::from(exceeded.retry_after_seconds))),
        // What would be read (RFC 9110, section 15.5.16).
        Fault::Coded(_) => drop(headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))),
        Fault::RangeNotSatisfiable(size) => {
            drop(HeaderValue::from_str(&format!("bytes */{size}")).map(|value| headers.insert(header::CONTENT_RANGE, value)));
        }
        Fault::Unavailable(_) => drop(headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS))),
        _ => {}
    }
    headers.remove(header::CONTENT_LENGTH);
    *response.body_mut() = Body::from(body(&fault));
    response
}
