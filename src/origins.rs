//! Pages of other origins: who may ask, and with which headers. The same for the broker and the embedded store.
//!
//! The origin is the guard. Which headers a page of a configured origin sends is its own matter: monitoring adds `traceparent`, a library
//! `X-Requested-With`. They are answered by their names, because a literal `*` does not stand for `Authorization` (Fetch standard).

use std::sync::Arc;

use hyper::header::{ACCESS_CONTROL_REQUEST_HEADERS, HeaderMap, HeaderValue, ORIGIN};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// The longest list of headers that a page may announce, in bytes: a hundred names of usual length.
const LONGEST_LIST: usize = 4096;

/// The origins whose pages may ask. Cheap to clone: each request does.
#[derive(Clone)]
pub struct Origins(Arc<[HeaderValue]>);

impl Origins {
    /// These, each as a browser writes it.
    #[must_use]
    pub fn new(origins: &[String]) -> Self {
        Self(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect())
    }

    fn has(&self, origin: &HeaderValue) -> bool {
        self.0.contains(origin)
    }

    /// Lets their pages send any header; no wildcard, no cookies. What else they may is for the caller to add.
    pub fn layer(&self) -> CorsLayer {
        let origins = self.clone();
        CorsLayer::new()
            .allow_origin(AllowOrigin::predicate(move |origin, _| origins.has(origin)))
            .allow_headers(AllowHeaders::mirror_request())
    }

    /// To be called before [`Self::layer`] sees a request: forgets a list of headers that must not be repeated in the answer, because
    /// it is long, or a stranger's. A browser then lets the page send none of them.
    pub fn bound(&self, headers: &mut HeaderMap) {
        let Some(asked) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) else { return };
        let known = headers.get(ORIGIN).is_some_and(|origin| self.has(origin));
        if !known || asked.len() > LONGEST_LIST {
            headers.remove(ACCESS_CONTROL_REQUEST_HEADERS);
        }
    }
}
