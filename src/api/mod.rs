//! How dropslip is spoken: one folder a dialect over the same broker, and `http/` with what they share.
//!
//! Every dialect has the same shape: `mod.rs` with its scope and routes, `auth`, `request`, `response`, `errors`, then a file a resource.
//!
//! A handler fails with a [`Fault`], which knows its status and nothing about bodies: it travels in the response, is logged here
//! once, and the dialect's own layer writes the body. That way also the faults that no handler sees (no such path, wrong method,
//! a panic) are answered in the words of the dialect whose path was asked for.

pub mod admin;
mod bucket_events;
mod companion;
mod cors;
mod desk;
mod health;
mod http;
mod kayako;
mod kayako_classic;
mod openapi;
mod page;

pub use cors::Api;
#[doc(hidden)]
pub use desk::bench;
pub use http::downloads::Downloads;
pub use http::{AppState, BucketEventsSecret, DialectSettings, Dialects, Fault, FieldErrors, FilePaths, Parts};
pub use kayako::KayakoSettings;
pub use kayako_classic::ClassicSettings;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::{Extension, Router};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::metrics::Operation;
use http::auth::SpokenIn;
use http::dialect::Dialect;
use http::request_log::{not_found, with_request_id};
use http::{PublicUrl, answered};
use openapi::Documents;

/// Every dialect there is. No other file names more than one.
static DIALECTS: [Dialect; 4] = [desk::DIALECT, companion::DIALECT, kayako::DIALECT, kayako_classic::DIALECT];

/// Those of `DROPSLIP_DIALECTS`.
///
/// # Errors
/// With the name that no dialect has, and those that there are.
pub fn dialects(names: &[String]) -> Result<Dialects, String> {
    Dialects::named(&DIALECTS, names)
}

/// What must be true of what this layer reads; see `crate::fuzzing`.
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing {
    pub(crate) use super::companion::fuzzing as companion;
    pub(crate) use super::desk::fuzzing as desk;
    pub(crate) use super::http::conditions::fuzzing as conditions;
    pub(crate) use super::http::content::fuzzing as content;
    pub(crate) use super::http::fuzzing::{authorization, request_head};
    pub(crate) use super::kayako::fuzzing as kayako;
    pub(crate) use super::kayako_classic::fuzzing as kayako_classic;
}

/// What the dialects call things of the core, for the test that the core knows no such word. It promises nothing to anybody else.
#[doc(hidden)]
pub fn wire_names() -> impl Iterator<Item = &'static str> {
    DIALECTS.iter().flat_map(|dialect| (dialect.names)())
}

/// Every URL of dropslip. Pages from `origins` may call it; with `page_sends_to`, the origin of forms, it has a page of its own.
pub fn router(state: AppState, dialects: &Dialects, origins: &[String], page_sends_to: Option<&str>) -> Api {
    let (operating, described) = operating().split_for_parts();
    let documents = Documents::of(&state, dialects.clone(), described);
    let notifications = if state.notifications.is_some() { bucket_events::router() } else { Router::new() };
    let page: Router<AppState> = page_sends_to.map(page::router).unwrap_or_default();
    // Each dialect gives its own answers an id, so that none passes two layers that do.
    let others = operating.layer(Extension(Arc::new(documents))).merge(page).layer(from_fn(with_request_id));
    let all = dialects.iter().fold(others.merge(notifications), |router, dialect| router.merge(spoken(dialect, &state.public_url)));
    let known = dialects.clone();
    let nothing = move |request: Request| {
        let operation = known.label(request.method(), request.uri().path());
        std::future::ready(not_found(&request, operation))
    };
    Api::new(all.fallback(nothing).with_state(state), dialects.clone(), origins)
}

/// The URLs of a dialect, each answer in its words.
fn spoken(dialect: &'static Dialect, public_url: &Arc<str>) -> Router<AppState> {
    let public_url = PublicUrl(public_url.clone());
    (dialect.routes)().layer(from_fn(move |mut request: Request<Body>, next: Next| {
        request.extensions_mut().insert(public_url.clone());
        request.extensions_mut().insert(SpokenIn(dialect.name));
        async move {
            let operation = (dialect.label)(request.method(), request.uri().path()).unwrap_or(Operation::Other);
            answered(next, request, operation, dialect.faults).await
        }
    }))
}

fn operating() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(health::alive)).routes(routes!(health::ready)).routes(routes!(openapi::serve))
}
