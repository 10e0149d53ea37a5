//! How many files and connections a broker with these settings may have open at the same time.

use crate::bucket::REQUESTS_AT_ONCE;
use crate::config::{Config, DownloadMode, Storage};
use crate::database::MOST_HANDLES;
use crate::embedded_s3;

/// Listeners, logs, webhooks, keys of issuers, and connections that are idle.
const RESERVE: u64 = 64;

/// What handles are needed for, and how many at most.
#[derive(Debug)]
pub struct Needed(Vec<(&'static str, u64)>);

impl Needed {
    /// With these settings.
    #[must_use]
    pub fn by(config: &Config) -> Self {
        let connections = u64::from(config.max_connections);
        let mut needed = vec![
            ("connections (DROPSLIP_MAX_CONNECTIONS)", connections),
            ("requests to the store", REQUESTS_AT_ONCE as u64),
            ("the database", u64::from(MOST_HANDLES)),
            ("all else", RESERVE),
        ];
        if config.downloads == DownloadMode::Proxy {
            needed.push(("downloads (DROPSLIP_MAX_DOWNLOADS)", u64::from(config.max_downloads).min(connections)));
        }
        let uploads = super::memory::uploads(config);
        if uploads > 0 {
            needed.push(("uploads to the store (DROPSLIP_MAX_PROXIED_UPLOADS, DROPSLIP_UNSIGNED_UPLOADS)", uploads));
        }
        if config.admin_listen.is_some() {
            needed.push(("connections to DROPSLIP_ADMIN_LISTEN", u64::from(super::ADMIN_BOUNDS.connections)));
        }
        if matches!(config.storage, Storage::Embedded { .. }) {
            // Each connection may read a file and write another.
            needed.push(("the embedded store", 3 * u64::from(embedded_s3::BOUNDS.connections)));
        }
        Self(needed)
    }

    /// All of them.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.0.iter().map(|(_, handles)| handles).sum()
    }

    /// Warns when there may be fewer.
    pub fn warn_beyond(&self, most: Option<u64>) {
        let Some(most) = most.filter(|most| *most < self.sum()) else { return };
        let parts: Vec<_> = self.0.iter().map(|(what, handles)| format!("{handles} for {what}")).collect();
        tracing::warn!(
            limit = most,
            needed = self.sum(),
            "the limit of open files is {most}, and these settings may need {}: {}. Raise the hard limit (LimitNOFILE of systemd, \
             --ulimit nofile of Docker, ulimit -Hn), or lower DROPSLIP_MAX_CONNECTIONS",
            self.sum(),
            parts.join(", ")
        );
    }
}
