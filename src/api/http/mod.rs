//! What all dialects share, and what knows none of them.
//!
//! A handler fails with a [`Fault`], which knows its status and nothing about bodies: it travels in the response, is logged here
//! once, and the dialect's own layer writes the body.

pub(super) mod archives;
pub(super) mod auth;
mod base64_text;
pub(super) mod body;
mod bucket_events_secret;
pub(super) mod conditions;
pub(super) mod content;
pub(super) mod dialect;
mod dialect_settings;
pub(super) mod downloads;
pub(super) mod fault;
pub(super) mod field_errors;
mod file_paths;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub(super) mod instants;
pub(super) mod lingering;
pub(super) mod openapi;
pub(super) mod query;
mod refused_tokens;
pub(super) mod rendering;
pub(super) mod request_log;
mod state;
pub(super) mod streamed;
pub(super) mod wording;

pub use bucket_events_secret::Secret as BucketEventsSecret;
pub use dialect::Dialects;
pub use dialect_settings::DialectSettings;
pub use fault::Fault;
pub(super) use fault::to_its_end;
pub use field_errors::FieldErrors;
pub use file_paths::FilePaths;
pub(super) use request_log::answered;
pub(super) use state::PublicUrl;
pub use state::{AppState, Parts};
