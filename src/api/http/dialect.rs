//! What a dialect is to everything around it. The table of them is in `api/mod.rs`.

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, Uri};

use super::file_paths::FilePaths;
use super::openapi::{Installation, Part};
use super::rendering::Rendering;
use super::state::AppState;
use crate::metrics::Operation;

/// The name in `DROPSLIP_DIALECTS` that stands for every dialect.
pub(in crate::api) const ALL: &str = "all";

/// What comes through the broker by a dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Takes {
    /// Descriptions of files alone.
    Nothing,
    /// Their bytes, once it is known whose they are.
    Bytes,
    /// Bytes before that too.
    BytesOfStrangers,
}

/// One family of URLs and bodies over the broker.
pub(in crate::api) struct Dialect {
    /// What `DROPSLIP_DIALECTS` calls it.
    pub(in crate::api) name: &'static str,
    /// Its URLs; what is unknown below them is a fault of its own.
    pub(in crate::api) routes: fn() -> Router<AppState>,
    /// Its part of the OpenAPI document.
    pub(in crate::api) described: fn(&Installation<'_>) -> Part,
    /// What the document files its operations under, and says of them.
    pub(in crate::api) tag: (&'static str, &'static str),
    /// What its refusals look like, for the document.
    pub(in crate::api) refusals: &'static str,
    /// What a request asks for, as metrics tell it apart: by method and path, so that it costs nothing but a look. `None` where it is
    /// another's.
    pub(in crate::api) label: fn(&Method, &str) -> Option<Operation>,
    /// Where a URL leads that is another spelling of one of its own; looked at before anything else is. `None` for all others.
    pub(in crate::api) leads_to: fn(&Uri) -> Option<Uri>,
    /// What comes through the broker by it, which takes memory and handles.
    pub(in crate::api) takes: Takes,
    /// Whether its clients log in: sessions need a secret outside of the database.
    pub(in crate::api) has_sessions: bool,
    /// Whether its clients sign their calls: their pairs need such a secret too.
    pub(in crate::api) signs_calls: bool,
    /// How it says its faults.
    pub(in crate::api) faults: &'static Rendering,
    /// Where others may link to its files.
    pub(in crate::api) files: Option<FilePaths>,
    /// What it calls things of the core: no such word may stand in the core.
    pub(in crate::api) names: fn() -> Vec<&'static str>,
}

/// The dialects that are spoken.
#[derive(Clone)]
pub struct Dialects(Arc<[&'static Dialect]>);

impl Dialects {
    /// Those of a table that are named, in its order.
    pub(in crate::api) fn named(table: &'static [Dialect], names: &[String]) -> Result<Self, String> {
        let known = |name: &String| name == ALL || table.iter().any(|dialect| dialect.name == name);
        if let Some(unknown) = names.iter().find(|name| !known(name)) {
            let known: Vec<_> = table.iter().map(|dialect| dialect.name).collect();
            return Err(format!("there is no dialect ‘{unknown}’: it must be some of {}, or {ALL}", known.join(", ")));
        }
        let wanted = |dialect: &&Dialect| names.iter().any(|name| name == ALL || name == dialect.name);
        Ok(Self(table.iter().filter(wanted).collect()))
    }

    pub(in crate::api) fn iter(&self) -> impl Iterator<Item = &'static Dialect> {
        self.0.iter().copied()
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.iter().map(|dialect| dialect.name)
    }

    /// The names of those whose clients log in.
    pub fn with_sessions(&self) -> impl Iterator<Item = &'static str> {
        self.iter().filter(|dialect| dialect.has_sessions).map(|dialect| dialect.name)
    }

    /// The names of those whose clients sign their calls.
    pub fn with_signed_calls(&self) -> impl Iterator<Item = &'static str> {
        self.iter().filter(|dialect| dialect.signs_calls).map(|dialect| dialect.name)
    }

    /// Whether files come through the broker by one of them.
    #[must_use]
    pub fn take_bytes(&self) -> bool {
        self.iter().any(|dialect| dialect.takes != Takes::Nothing)
    }

    /// Whether some of those come before it is known whose they are.
    #[must_use]
    pub fn take_unsigned(&self) -> bool {
        self.iter().any(|dialect| dialect.takes == Takes::BytesOfStrangers)
    }

    /// Where a URL leads that is another spelling of one that there is.
    pub(in crate::api) fn lead(&self, uri: &Uri) -> Option<Uri> {
        self.iter().find_map(|dialect| (dialect.leads_to)(uri))
    }

    /// Where files can be linked to, if one of them has such paths.
    #[must_use]
    pub fn files(&self) -> Option<FilePaths> {
        self.iter().find_map(|dialect| dialect.files)
    }

    /// What a request asks for that may be any one's.
    pub(in crate::api) fn label(&self, method: &Method, path: &str) -> Operation {
        self.iter().find_map(|dialect| (dialect.label)(method, path)).unwrap_or(Operation::Other)
    }
}
