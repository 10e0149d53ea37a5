//! How files are downloaded: what the operator chose, and who has a place now.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwapOption;
use axum::http::Extensions;
use time::Duration;

use super::places::{Connection, Link, Place, Places};
use crate::api::http::fault::Fault;
use crate::proxy_key::ProxyKeys;

/// How files are downloaded here.
pub struct Downloads {
    /// What keys in links are made with; nothing where links need a token. A request takes them once.
    keys: ArcSwapOption<ProxyKeys>,
    /// Whether the bytes go through the broker.
    pub proxied: bool,
    /// How long a presigned URL stays good.
    pub url_lifetime: Duration,
    places: Arc<Places>,
}

impl Downloads {
    /// With so many downloads through the broker at the same time.
    #[must_use]
    pub fn new(keys: Option<ProxyKeys>, proxied: bool, url_lifetime: Duration, at_once: u32) -> Self {
        Self { keys: ArcSwapOption::from(keys.map(Arc::new)), proxied, url_lifetime, places: Places::new(at_once as usize) }
    }

    /// From now on keys in links are made and judged with these.
    pub fn replace_keys(&self, keys: Option<ProxyKeys>) {
        self.keys.store(keys.map(Arc::new));
    }

    /// What keys in links are made with now, if they have any.
    pub(in crate::api) fn keys(&self) -> Option<Arc<ProxyKeys>> {
        self.keys.load_full()
    }

    /// The right to send bytes, until it is dropped.
    pub(in crate::api) fn place(&self, link: Link, asked_on: &Extensions) -> Result<Place, Fault> {
        Ok(self.places.take(link, Connection::of(asked_on), Instant::now())?)
    }
}
