//! Where the broker listens and is reached, and which pages may call it.

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::net::TcpListener;

use crate::config::Config;

/// Where browsers reach a broker that listens on `address`, without a slash at the end.
pub(super) fn public_url(config: &Config, address: SocketAddr) -> String {
    config.public_url.as_ref().map_or_else(|| format!("http://{}", reachable(address)), |url| url.as_str().trim_end_matches('/').to_owned())
}

pub(super) async fn bind(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("{setting}: cannot listen on {address}"))
}

/// The origins whose pages a bucket must let in: the configured ones, and that of the broker where browsers know it.
#[must_use]
pub fn page_origins(config: &Config) -> Vec<String> {
    let own = config.public_url.as_ref().map(|url| url.origin().ascii_serialization());
    let mut origins: Vec<String> = Vec::new();
    for origin in own.into_iter().chain(config.cors_origins.iter().flatten().cloned()) {
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    origins
}

/// Where this machine reaches what listens on `address`: a wildcard is no destination.
#[must_use]
pub fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], address.port())),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, address.port())),
        other => other,
    }
}

/// The origins of pages that may call a broker on `address`: the configured ones and its own.
pub(super) fn origins(config: &Config, address: SocketAddr, public_url: &str) -> Vec<String> {
    let mut origins = own_origins(address, public_url);
    origins.extend(config.cors_origins.iter().flatten().cloned());
    origins
}

/// The origins of the broker's own pages: its public one and, on loopback, every name that a person may type for it.
fn own_origins(address: SocketAddr, public_url: &str) -> Vec<String> {
    let mut origins: Vec<String> = url::Url::parse(public_url).map(|url| url.origin().ascii_serialization()).into_iter().collect();
    if address.ip().is_loopback() {
        let port = address.port();
        origins.extend([format!("http://127.0.0.1:{port}"), format!("http://localhost:{port}"), format!("http://[::1]:{port}")]);
    }
    origins.dedup();
    origins
}
