//! Kayako Classic's `TicketAttachment`: XML, signed calls, and every spelling of a URL that its clients have.
//!
//! Whatever the spelling, a call leads to a path below `/api/Tickets` or `/api/Core` before anything else looks at it. All that is not
//! here of Kayako Classic is 404 in its words.

mod attachments;
mod auth;
mod create;
mod delete;
mod document;
mod errors;
mod fields;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod held;
mod hook;
mod incoming;
mod layer;
mod numbers;
mod pace;
mod paths;
mod request;
mod response;
mod settings;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::any;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use super::http::dialect::{Dialect, Takes};
use super::http::openapi::{Installation, Part};
use super::http::{AppState, Fault};

pub use settings::ClassicSettings;

/// Kayako Classic as the table has it.
pub(super) const DIALECT: Dialect = Dialect {
    name: "kayako-classic",
    routes,
    described,
    tag: (
        "Kayako Classic",
        "Kayako Classic's TicketAttachment, as XML. Each call is signed by a pair of `dropslip token classic`, in the query or in the form.",
    ),
    refusals: "for Kayako Classic's clients a line of plain text for each complaint",
    label: paths::label,
    leads_to: paths::leads_to,
    takes: Takes::BytesOfStrangers,
    has_sessions: false,
    signs_calls: true,
    faults: &errors::FAULTS,
    files: None,
    names: fields::names,
};

/// Every URL of this dialect, with its own answer to unknown paths and wrong methods.
fn routes() -> Router<AppState> {
    let prefix = paths::PREFIX;
    let described = resource().into_iter().flat_map(|(_, paths, methods)| paths.paths.into_keys().map(move |path| (path, methods.clone())));
    let router = described.fold(Router::new(), |router, (path, documented)| router.route(&format!("{prefix}{path}"), documented));
    let router = paths::HOOKS.into_iter().fold(router, |router, path| router.route(path, any(hook::test)));
    // Here the path may stand in the body.
    let router = paths::ENTRANCES.into_iter().fold(router, |router, path| router.route(path, any(create::by_body)));
    let router = paths::OTHERS.into_iter().fold(router, |router, path| router.route(path, any(|| async { Fault::NotFound })));
    router.method_not_allowed_fallback(|| async { Fault::MethodNotAllowed }).layer(from_fn(layer::answered))
}

/// What is documented of them.
fn described(_: &Installation<'_>) -> Part {
    let documented = resource().into_iter().fold(OpenApiRouter::new(), OpenApiRouter::routes).routes(routes!(hook::test));
    document::part(documented.into_openapi())
}

/// Routes and their documentation.
fn resource() -> [UtoipaMethodRouter<AppState>; 4] {
    [routes!(create::create), routes!(attachments::list), routes!(attachments::list_post), routes!(attachments::read, delete::delete)]
}
