//! How dropslip is spoken: one file a dialect over the same broker.
//!
//! Every dialect has the same inner order: doc comment with its scope, `router()`, wire structs, handlers, error body.
//!
//! A handler fails with a [`Fault`], which knows its status and nothing about bodies: it travels in the response, is logged here
//! once, and the dialect's own layer writes the body. That way also the faults that no handler sees (no such path, wrong method,
//! a panic) are answered in the words of the dialect whose path was asked for.

pub mod admin;
mod auth;
mod body;
mod bucket_events;
mod bucket_events_secret;
mod companion;
mod desk;
mod downloads;
mod fault;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod openapi;
mod page;
mod query;
mod refused_tokens;
mod request_log;
mod route_label;
mod state;

use fault::RETRY_AFTER_SECONDS;
use openapi::Documents;
use request_log::{Asked, REQUEST_ID};

pub use bucket_events_secret::Secret as BucketEventsSecret;
#[doc(hidden)]
pub use desk::bench;
pub use downloads::Downloads;
pub use fault::Fault;
use fault::{rendered, to_its_end};
use request_log::answered;
pub use state::{AppState, Parts};

use std::convert::Infallible;
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
use hyper::body::Incoming;
use tower::Service;
use tower_http::cors::CorsLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::origins::Origins;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Every URL of dropslip. Pages from `origins` may call it; with `page_sends_to`, the origin of forms, it has a page of its own.
pub fn router(state: AppState, origins: &[String], page_sends_to: Option<&str>) -> Api {
    let (operating, described) = operating().split_for_parts();
    let documents = Documents::of(&state, described);
    let (desk, companion) = (desk::router(), companion::router());
    let notifications = if state.notifications.is_some() { bucket_events::router() } else { Router::new() };
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
