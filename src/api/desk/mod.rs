//! Teamwork Desk's files API, v2: asking for a slip, confirming an upload, reading, listing and downloading files.
//!
//! Served under `/v2` and `/desk/api/v2`. Bodies come bare or wrapped in `{"file": ...}`, and unknown members are ignored, because
//! the official clients send whole objects back. Beyond Desk a request may carry `size` and `checksumSHA256`, and the answer
//! carries `expiresAt`.

mod attributes;
pub mod bench;
mod cursor;
mod delete;
mod description;
mod document;
mod download;
mod errors;
pub(super) mod fields;
mod files;
mod filter;
mod filter_json;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod ids;
mod list;
mod list_query;
mod members;
mod parts;
mod request;
mod response;
mod tickets;
mod types;

use axum::Router;
use axum::middleware::Next;
use axum::routing::any;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use super::http::openapi::Part;
use super::http::{AppState, Fault, answered};
use crate::domain::{FileTypes, UploadMethod};

const PREFIXES: [&str; 2] = ["/v2", "/desk/api/v2"];

/// The other prefix under which a documented path works too, before its `/v2`.
pub(super) fn other_prefix(path: &str) -> Option<&'static str> {
    path.starts_with("/v2/").then_some("/desk/api")
}

/// Every URL of this dialect, with its own answer to unknown paths, wrong methods and panics.
pub(super) fn router() -> Router<AppState> {
    let router = PREFIXES.into_iter().fold(Router::new(), with_resource);
    let router = router.method_not_allowed_fallback(|| async { Fault::MethodNotAllowed });
    in_our_words(router)
}

/// What is documented of them.
pub(super) fn described(rules: &FileTypes, method: UploadMethod) -> Part {
    let described = resource().into_iter().fold(OpenApiRouter::new(), OpenApiRouter::routes).into_openapi();
    document::part(described, PREFIXES[0], rules, method)
}

/// The resource's routes below a prefix, and an answer to everything else there. Not nested: axum would rewrite each request's URL.
fn with_resource(router: Router<AppState>, prefix: &str) -> Router<AppState> {
    let below = resource().into_iter().flat_map(|(_, paths, methods)| paths.paths.into_keys().map(move |path| (path, methods.clone())));
    let router = below.fold(router, |router, (path, documented)| router.route(&format!("{prefix}{path}"), documented));
    let others = ["", "/", "/{*rest}"];
    others.into_iter().fold(router, |router, path| router.route(&format!("{prefix}{path}"), any(|| async { Fault::NotFound })))
}

/// Routes and their documentation; `document.rs` shows `/{id}` at a path's end as `/{id}.json`.
fn resource() -> [UtoipaMethodRouter<AppState>; 13] {
    [
        routes!(types::list),
        routes!(list::list, delete::delete_listed),
        routes!(delete::delete_many),
        routes!(files::authorize),
        routes!(files::reissue),
        routes!(files::read, files::confirm, delete::delete),
        routes!(delete::restore),
        routes!(parts::list, parts::sign, parts::abort),
        routes!(download::download),
        routes!(tickets::list, tickets::attach),
        routes!(tickets::detach),
        routes!(tickets::download),
        routes!(tickets::archive),
    ]
}

fn in_our_words(router: Router<AppState>) -> Router<AppState> {
    router.layer(axum::middleware::from_fn(async |request, next: Next| answered(next, request, &errors::FAULTS).await))
}
