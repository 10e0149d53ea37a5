//! How files are downloaded: by redirects or through the broker, and by which links.

use std::time::Duration;

use super::Reader;
use super::values::{connections, download_mode, duration};

/// The shortest life of a presigned URL or of a key in a link: less is over before a slow client has begun.
const SHORTEST_LIFE: Duration = Duration::from_secs(5);

/// The longest life of a presigned URL.
const LONGEST_URL: Duration = Duration::from_hours(12);

/// How files are downloaded.
#[derive(Debug, Clone)]
pub struct Downloads {
    /// Whether the bytes go through the broker.
    pub proxied: bool,
    /// How long a presigned URL stays good.
    pub url_lifetime: Duration,
    /// Most downloads through the broker at the same time.
    pub at_once: u32,
    /// Whether links to files have keys; without one, each needs a token.
    pub keys_in_links: bool,
    /// How long a key in a link stays good.
    pub proxy_key_lifetime: Duration,
}

impl Reader {
    pub(super) fn downloads(&mut self) -> Option<Downloads> {
        let proxied = self.required("downloads", "redirect", download_mode);
        let url_lifetime = self.required("download_url_lifetime", "5m", url_lifetime);
        let at_once = self.required("max_downloads", "100", connections);
        let keys_in_links = self.required("links", "key", keys_in_links);
        let proxy_key_lifetime = self.required("proxy_key_lifetime", "24h", key_lifetime);
        Some(Downloads {
            proxied: proxied?,
            url_lifetime: url_lifetime?,
            at_once: at_once?,
            keys_in_links: keys_in_links?,
            proxy_key_lifetime: proxy_key_lifetime?,
        })
    }
}

fn keys_in_links(text: &str) -> Result<bool, String> {
    match text {
        "key" => Ok(true),
        "token" => Ok(false),
        _ => Err(format!("must be key or token, not ‘{text}’")),
    }
}

fn url_lifetime(text: &str) -> Result<Duration, String> {
    let lives = |life: &Duration| (SHORTEST_LIFE..=LONGEST_URL).contains(life);
    duration(text).ok().filter(lives).ok_or_else(|| format!("must be a time from 5s to 12h, not ‘{text}’"))
}

fn key_lifetime(text: &str) -> Result<Duration, String> {
    duration(text).ok().filter(|life| *life >= SHORTEST_LIFE).ok_or_else(|| format!("must be a time from 5s to 30 days, not ‘{text}’"))
}
