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
mod openapi;
mod page;

pub use cors::Api;
#[doc(hidden)]
pub use desk::bench;
pub use http::downloads::Downloads;
pub use http::{AppState, BucketEventsSecret, Fault, FieldErrors, Parts};

use std::sync::Arc;

use axum::http::StatusCode;
use axum::routing::any;
use axum::{Extension, Router};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use http::request_log::with_request_id;
use openapi::Documents;

/// What must be true of what this layer reads; see `crate::fuzzing`.
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing {
    pub(crate) use super::companion::fuzzing as companion;
    pub(crate) use super::desk::fuzzing as desk;
    pub(crate) use super::http::downloads::fuzzing as downloads;
    pub(crate) use super::http::fuzzing::{authorization, request_head};
}

/// What the dialects call things of the core, for the test that the core knows no such word. It promises nothing to anybody else.
#[doc(hidden)]
pub fn wire_names() -> impl Iterator<Item = &'static str> {
    desk::fields::wire_names().chain(companion::fields::wire_names())
}

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
    Api::new(plain, origins)
}

fn operating() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(health::alive)).routes(routes!(health::ready)).routes(routes!(openapi::serve))
}
