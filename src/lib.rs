//! A broker for presigned direct-to-S3 uploads.
//!
//! A caller asks for a slip (an S3 POST form signed with AWS4-HMAC-SHA256), a browser or phone drops the bytes straight into the
//! bucket with it, and a last call makes the broker look at what really landed before the file becomes `active`. The broker
//! never carries the bytes.
//!
//! # Layers
//!
//! Arrows point down only: ARCHITECTURE.md draws them, `tests/it/project/layers.rs` holds them.

// They panic when whoever reads them has gone: `output` does not.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod disk;
pub mod domain;
pub mod event_json;
pub mod failpoint;
pub mod fair;
pub mod field_names;
pub mod handles;
pub mod installation_secret;
pub mod metrics;
pub mod origins;
pub mod output;
pub mod policy_file;
pub mod private;
pub mod random;
pub mod secret_file;
pub mod trace;

pub mod post_policy;

pub mod bucket;
pub mod database;

pub mod jwt;
pub mod limits;

pub mod broker;
pub mod bucket_events;
pub mod proxy_key;
pub mod sweeper;
pub mod tokens;
pub mod webhooks;
pub mod zip;

pub mod api;

pub mod config;

pub mod embedded_s3;
pub mod listener;
pub mod server;

pub mod check;
pub mod upload;

pub mod cli;

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
