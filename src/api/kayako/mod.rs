//! Kayako's Files API, below `/api/v1`, and who may call it.
//!
//! Names end in `.json` or not, and `/api/index.php?/v1/files&limit=3` is the same as `/api/v1/files?limit=3`. All that is not here of
//! Kayako is 404 in its words.

mod auth;
mod case;
mod conditions;
mod create;
mod credentials;
mod delete;
mod document;
mod errors;
mod fields;
mod file;
mod files;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod ids;
mod incoming;
mod layer;
mod list_query;
mod me;
mod partial;
mod paths;
mod reference;
mod request;
mod response;
mod settings;
mod way;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::any;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use super::http::dialect::{Dialect, Takes};
use super::http::openapi::{Installation, Part};
use super::http::{AppState, Fault};

pub use settings::KayakoSettings;

/// Kayako as the table has it.
pub(super) const DIALECT: Dialect = Dialect {
    name: "kayako",
    routes,
    described,
    tag: (
        "Kayako",
        "Kayako's Files API. A token is the password of Basic beside any address, or Bearer. Every answer repeats its status in the body.",
    ),
    refusals: "for Kayako's clients a list of errors with a code each",
    label: paths::label,
    leads_to: paths::leads_to,
    takes: Takes::Bytes,
    has_sessions: true,
    signs_calls: false,
    faults: &errors::FAULTS,
    files: None,
    names: fields::names,
};

/// Every URL of this dialect, with its own answer to unknown paths and wrong methods.
fn routes() -> Router<AppState> {
    let prefix = paths::PREFIX;
    let described = resource().into_iter().flat_map(|(_, paths, methods)| paths.paths.into_keys().map(move |path| (path, methods.clone())));
    let spelled = described.flat_map(|(path, methods)| paths::spellings(&path).into_iter().map(move |path| (path, methods.clone())));
    let router = spelled.fold(Router::new(), |router, (path, documented)| router.route(&format!("{prefix}{path}"), documented));
    let others = ["", "/", "/{*rest}"];
    let router =
        others.into_iter().fold(router, |router, path| router.route(&format!("{prefix}{path}"), any(|| async { Fault::NotFound })));
    router.method_not_allowed_fallback(|| async { Fault::MethodNotAllowed }).layer(from_fn(layer::answered))
}

/// What is documented of them.
fn described(_: &Installation<'_>) -> Part {
    document::part(resource().into_iter().fold(OpenApiRouter::new(), OpenApiRouter::routes).into_openapi())
}

/// Routes and their documentation. A path that ends in `.json` is there without it too.
fn resource() -> [UtoipaMethodRouter<AppState>; 5] {
    [
        routes!(me::read),
        routes!(files::list, create::create, delete::delete_listed),
        routes!(reference::refer),
        routes!(files::read, reference::confirm, delete::delete),
        routes!(files::content),
    ]
}
