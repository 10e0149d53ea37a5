//! Companion's S3 routes, as `@uppy/aws-s3` asks them: Uppy uploads through dropslip as it is.
//!
//! Served under `/u/{upload token}/s3`, for clients that can send nothing but a URL (`companionEndpoint` of Uppy 6), and under
//! `/companion/s3` and `/s3` for those that can send an `Authorization` header. `POST /companion/tokens.json` makes upload tokens.
//!
//! An upload is named by its staging key, which nobody knows but who got it: numbers of files can be counted up, so they
//! prove nothing among the many who may share one access token. Beyond Companion, `POST s3/confirm` confirms a single upload; the
//! end of a multipart upload confirms by itself.

mod auth;
mod document;
mod errors;
mod fields;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod multipart;
mod paths;
mod request;
mod response;
mod tokens;
mod uploads;

use axum::Router;
use axum::routing::any;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::http::dialect::{Dialect, Takes};
use super::http::openapi::{Installation, Part};
use super::http::{AppState, Fault};

/// Companion as the table has it.
pub(super) const DIALECT: Dialect = Dialect {
    name: "companion",
    routes,
    described,
    tag: (
        "Uppy",
        "The same for `@uppy/aws-s3`, which asks what it would ask Companion. Refusals have a `message` for people; HTTP/1.1 also says it as \
         the reason phrase of the status line.",
    ),
    refusals: "for Uppy one message for a person",
    label: paths::label,
    leads_to: |_| None,
    takes: Takes::Nothing,
    has_sessions: false,
    signs_calls: false,
    faults: &errors::FAULTS,
    files: None,
    names: fields::names,
};

/// Every URL of this dialect, with its own answer to unknown paths and wrong methods.
fn routes() -> Router<AppState> {
    let (s3, tokens): (Router<AppState>, Router<AppState>) = (s3().into(), tokens().into());
    let by_token = paths::by_token();
    let prefixes = [(by_token.as_str(), s3.clone()), (paths::WITH_HEADER, s3.clone().merge(tokens))];
    // Companion itself answers at the root: who puts dropslip in its place changes no path.
    let at_root = s3.method_not_allowed_fallback(|| async { Fault::MethodNotAllowed });
    prefixes.into_iter().fold(at_root, |router, (prefix, routes)| {
        // A nested router is not asked about its prefix with nothing but a slash behind it.
        let bare = Router::new().route(&format!("{prefix}/"), any(|| async { Fault::NotFound }));
        router.nest(prefix, in_our_shape(routes)).merge(bare)
    })
}

/// What is documented of them.
fn described(installation: &Installation<'_>) -> Part {
    document::part(s3().into_openapi(), tokens().into_openapi(), installation)
}

fn tokens() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(tokens::make_token))
}

fn s3() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(uploads::params)).routes(routes!(uploads::confirm)).merge(multipart::routes())
}

fn in_our_shape(router: Router<AppState>) -> Router<AppState> {
    router.fallback(|| async { Fault::NotFound }).method_not_allowed_fallback(|| async { Fault::MethodNotAllowed })
}
