//! What every handler works with.

use std::ops::Deref;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::bucket_events_secret::Secret;
use super::dialect_settings::DialectSettings;
use super::downloads::Downloads;
use super::file_paths::FilePaths;
use crate::broker::Broker;
use crate::tokens::Tokens;

/// What every handler works with. Each request clones it several times.
#[derive(Clone)]
pub struct AppState(Arc<Parts>);

/// What the state is made of.
pub struct Parts {
    /// The use cases.
    pub broker: Arc<Broker>,
    /// Everybody who may call.
    pub tokens: Tokens,
    /// Where browsers reach the broker, without a slash at the end.
    pub public_url: Arc<str>,
    /// What a store must know that posts bucket notifications; `None` when none may.
    pub notifications: Option<Secret>,
    /// Cancelled once a stop was asked for: requests are taken, and `/readyz` sends them elsewhere.
    pub stopping: CancellationToken,
    /// Where files can be linked to; `None` where no dialect that is on has such paths.
    pub files: Option<FilePaths>,
    /// What is configured of single dialects.
    pub settings: DialectSettings,
    /// How files are downloaded.
    pub downloads: Downloads,
}

/// Where browsers reach the broker, for layers that have no state: an extension of each request of a dialect.
#[derive(Clone)]
pub(in crate::api) struct PublicUrl(pub(in crate::api) Arc<str>);

impl From<Parts> for AppState {
    fn from(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for AppState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
