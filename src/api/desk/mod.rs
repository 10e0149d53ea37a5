//! Teamwork Desk's files API, v2: asking for a slip, confirming an upload, reading, listing and downloading files.
//!
//! Served under `/v2` and `/desk/api/v2`. Bodies come bare or wrapped in `{"file": ...}`, and unknown members are ignored, because
//! the official clients send whole objects back. Beyond Desk a request may carry `size` and `checksumSHA256`, and the answer
//! carries `expiresAt`.

mod attributes;
mod auth;
pub mod bench;
mod cursor;
mod delete;
mod description;
mod document;
mod download;
mod errors;
mod fields;
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
mod paths;
mod request;
mod response;
mod tickets;
mod types;

use axum::Router;
use axum::routing::any;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use super::http::dialect::{Dialect, Takes};
use super::http::openapi::{Installation, Part};
use super::http::{AppState, Fault};

/// Desk as the table has it.
pub(super) const DIALECT: Dialect = Dialect {
    name: "desk",
    routes,
    described,
    tag: ("Files", "The three steps: ask for a slip, drop the bytes into the store, confirm."),
    refusals: "messages by field",
    label: paths::label,
    leads_to: |_| None,
    takes: Takes::Nothing,
    has_sessions: false,
    signs_calls: false,
    faults: &errors::FAULTS,
    files: Some(paths::FILES),
    names: fields::names,
};

/// Every URL of this dialect, with its own answer to unknown paths and wrong methods.
fn routes() -> Router<AppState> {
    let router = paths::PREFIXES.into_iter().fold(Router::new(), with_resource);
    router.method_not_allowed_fallback(|| async { Fault::MethodNotAllowed })
}

/// What is documented of them.
fn described(installation: &Installation<'_>) -> Part {
    let described = resource().into_iter().fold(OpenApiRouter::new(), OpenApiRouter::routes).into_openapi();
    document::part(described, installation)
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
