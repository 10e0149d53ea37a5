//! How files are downloaded: by redirects or through the broker, and by which links.

use std::time::Duration;

use super::values::duration;

/// The shortest life of a presigned URL or of a key in a link: less is over before a slow client has begun.
const SHORTEST_LIFE: Duration = Duration::from_secs(5);

/// The longest life of a presigned URL.
const LONGEST_URL: Duration = Duration::from_hours(12);

/// How bytes come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownloadMode {
    /// By a redirect to the object store.
    Redirect,
    /// Through the broker, for stores that browsers cannot reach.
    Proxy,
}

/// What opens a link to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkMode {
    /// The key in it.
    Key,
    /// A token, as for everything else.
    Token,
}

pub(super) fn download_mode(text: &str) -> Result<DownloadMode, String> {
    match text {
        "redirect" => Ok(DownloadMode::Redirect),
        "proxy" => Ok(DownloadMode::Proxy),
        _ => Err(format!("must be redirect or proxy, not ‘{text}’")),
    }
}

pub(super) fn link_mode(text: &str) -> Result<LinkMode, String> {
    match text {
        "key" => Ok(LinkMode::Key),
        "token" => Ok(LinkMode::Token),
        _ => Err(format!("must be key or token, not ‘{text}’")),
    }
}

pub(super) fn url_lifetime(text: &str) -> Result<Duration, String> {
    let lives = |life: &Duration| (SHORTEST_LIFE..=LONGEST_URL).contains(life);
    duration(text).ok().filter(lives).ok_or_else(|| format!("must be a time from 5s to 12h, not ‘{text}’"))
}

pub(super) fn key_lifetime(text: &str) -> Result<Duration, String> {
    duration(text).ok().filter(|life| *life >= SHORTEST_LIFE).ok_or_else(|| format!("must be a time from 5s to 30 days, not ‘{text}’"))
}
