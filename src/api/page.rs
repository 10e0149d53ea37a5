//! The upload page: files that are compiled in, under the paths that they have in the repository.
//!
//! `/` is `web/index.html`. The page is a client like any other: what stands here knows no token and asks the broker nothing.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use sha2::{Digest as _, Sha256};

use super::http::conditions::is_known;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! assets {
    ($($kind:ident $path:literal),* $(,)?) => {
        [$(Asset { path: concat!("/", $path), content_type: $kind, bytes: include_bytes!(concat!("../../", $path)) }),*]
    };
}

/// Everything but the page itself. The client is served as it is published.
const ASSETS: [Asset; 20] = assets![
    CSS "web/page.css",
    SVG "web/icon.svg",
    SCRIPT "web/dropping.js",
    SCRIPT "web/page.js",
    SCRIPT "web/policy.js",
    SCRIPT "web/queue.js",
    SCRIPT "web/row.js",
    SCRIPT "web/session.js",
    SCRIPT "web/thumbnail.js",
    SCRIPT "web/words.js",
    SCRIPT "clients/js/src/broker.js",
    SCRIPT "clients/js/src/checksum.js",
    SCRIPT "clients/js/src/client.js",
    SCRIPT "clients/js/src/errors.js",
    SCRIPT "clients/js/src/index.js",
    SCRIPT "clients/js/src/parts.js",
    SCRIPT "clients/js/src/resume.js",
    SCRIPT "clients/js/src/send.js",
    SCRIPT "clients/js/src/upload.js",
    SCRIPT "clients/js/src/waiting.js",
];

const INDEX: Asset = Asset { path: "/", content_type: HTML, bytes: include_bytes!("../../web/index.html") };

#[derive(Debug, Clone, Copy)]
struct Asset {
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

/// The page's paths. Its scripts may send to this server and to where forms go, and nowhere else.
pub(super) fn router<S: Clone + Send + Sync + 'static>(form_origin: &str) -> Router<S> {
    let policy = policy(form_origin);
    std::iter::once(INDEX).chain(ASSETS).fold(Router::new(), |router, asset| {
        let etag = format!("\"{}\"", hex::encode(&Sha256::digest(asset.bytes)[..16]));
        let policy = policy.clone();
        router.route(asset.path, get(async move |headers: HeaderMap| answer(asset, &etag, &policy, &headers)))
    })
}

/// No inline script, no inline style, nothing from elsewhere, no frame around it.
fn policy(form_origin: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self' {form_origin}; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    )
}

fn answer(asset: Asset, etag: &str, policy: &str, asked: &HeaderMap) -> Response<Body> {
    let mut response =
        if is_known(asked, etag) { StatusCode::NOT_MODIFIED.into_response() } else { Body::from(asset.bytes).into_response() };
    let fixed: [(HeaderName, &str); 7] = [
        (header::CONTENT_TYPE, asset.content_type),
        // Names carry no version, so a browser asks each time; the tag makes that cheap.
        (header::CACHE_CONTROL, "no-cache"),
        (header::ETAG, etag),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
