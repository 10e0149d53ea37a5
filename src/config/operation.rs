//! What an operator sets around the broker itself: what stands before it, where it is watched, and how it ends.

use std::net::SocketAddr;
use std::time::Duration;

use url::Url;

use super::values::{connections, drain_delay, share, socket_address};
use super::{Config, Reader, SETTINGS, env_name};
use crate::domain::TrustedProxies;
use crate::domain::web::web_url;

/// How the program is reached, watched and stopped.
#[derive(Debug, Clone)]
pub struct Operating {
    /// Most connections at the same time.
    pub max_connections: u32,
    /// Whose word is taken for where a request comes from.
    pub trusted_proxies: TrustedProxies,
    /// Where metrics and health are told, apart from everything else; `None` for nowhere.
    pub admin_listen: Option<SocketAddr>,
    /// How long requests are still taken after a stop was asked for, while `/readyz` says that it stops.
    pub drain_delay: Duration,
    /// Where traces go, by OTLP over HTTP; `None` for nowhere.
    pub otlp_endpoint: Option<Url>,
    /// Which share of the requests is traced that do not say so themselves, 0 to 1.
    pub trace_share: f64,
}

/// What a reload puts into force; for all else the program has to start again.
const RELOADED: [&str; 9] =
    ["policies", "log", "secrets", "secrets_file", "proxy_keys", "proxy_keys_file", "links", "proxy_key_lifetime", "webhooks_file"];

impl Config {
    /// The settings that are others than in `running` and have no effect before a restart, by name.
    #[must_use]
    pub fn changed_for_a_restart(&self, running: &Self) -> Vec<String> {
        let text = |config: &Self, key: &str| config.effective.iter().find(|(name, _)| *name == key).map(|(_, value)| value.text.clone());
        let keys = SETTINGS.iter().map(|setting| setting.key).filter(|key| !RELOADED.contains(key));
        keys.filter(|key| text(self, key) != text(running, key)).map(env_name).collect()
    }
}

impl Reader {
    pub(super) fn operating(&mut self) -> Option<Operating> {
        let max_connections = self.required("max_connections", "900", connections);
        let trusted_proxies = self.optional("trusted_proxies", TrustedProxies::parse).unwrap_or_default();
        let admin_listen = self.optional("admin_listen", socket_address);
        let drain_delay = self.required("drain_delay", "0", drain_delay);
        let otlp_endpoint = self.optional("otlp_endpoint", web_url);
        let trace_share = self.required("trace_share", "0.01", share);
        Some(Operating {
            max_connections: max_connections?,
            trusted_proxies,
            admin_listen,
            drain_delay: drain_delay?,
            otlp_endpoint,
            trace_share: trace_share?,
        })
    }
}
