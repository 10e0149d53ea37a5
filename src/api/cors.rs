//! Which requests come from pages, and what pages of other origins may do.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, Method, Request, Response, header};
use axum::routing::future::RouteFuture;
use hyper::body::Incoming;
use tower::Service;
use tower_http::cors::CorsLayer;

use super::http::dialect::Dialects;
use super::http::request_log::REQUEST_ID;
use crate::origins::Origins;

/// Every URL. Requests that come from no page are spared the layer that is for pages.
#[derive(Clone)]
pub struct Api {
    plain: Router,
    for_pages: Router,
    origins: Origins,
    dialects: Dialects,
}

impl Service<Request<Incoming>> for Api {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        if let Some(uri) = self.dialects.lead(request.uri()) {
            *request.uri_mut() = uri;
        }
        let from_page = request.headers().contains_key(header::ORIGIN) || request.method() == Method::OPTIONS;
        if !from_page {
            return self.plain.call(request);
        }
        self.origins.bound(request.headers_mut());
        self.for_pages.call(request)
    }
}

impl Api {
    /// What `plain` answers, also to pages of these origins.
    pub(super) fn new(plain: Router, dialects: Dialects, origins: &[String]) -> Self {
        let origins = Origins::new(origins);
        Self { for_pages: plain.clone().layer(cors(&origins)), plain, origins, dialects }
    }
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
            HeaderName::from_static("x-csrf-token"),
            HeaderName::from_static("x-api-version"),
        ])
        // Set on every answer, also those that this layer does not see.
        .vary([])
        .max_age(Duration::from_mins(10))
}
