//! What must be true of the list of endpoints, and of what they answer; see `crate::fuzzing`.

use std::collections::HashSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use time::macros::datetime;
use time::{Date, OffsetDateTime, Time};

use super::{LONGEST_RETRY_AFTER, Secret, parse, retry_after};
use crate::domain::fuzzing::long_words;

/// A list that reads has endpoints of different names, whose URLs and secrets are as they must be; a complaint repeats no secret.
pub(crate) fn file(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let endpoints = match parse(&text) {
        Ok(endpoints) => endpoints,
        Err(why) => {
            assert!(!why.is_empty() && why.len() < 400 && !why.chars().any(char::is_control), "{why:?}");
            // The name of an endpoint is shown, whatever it is.
            let public = why.split_once(": ").map(|(name, _)| name).unwrap_or_default();
            assert!(long_words(&text).all(|word| public.contains(word) || !why.contains(word)), "{why:?}");
            return;
        }
    };
    assert!(endpoints.len() <= 100);
    let mut names = HashSet::new();
    for endpoint in &endpoints {
        assert!(names.insert(endpoint.name.as_str()) && (1..=64).contains(&endpoint.name.len()), "{:?}", endpoint.name);
        assert!(endpoint.url.has_host() && endpoint.url.username().is_empty() && endpoint.url.password().is_none(), "{}", endpoint.url);
        let host = endpoint.url.host_str().unwrap_or_default();
        let here = host == "localhost" || host.starts_with("127.") || host == "[::1]";
        assert!(endpoint.url.scheme() == "https" || endpoint.url.scheme() == "http" && here, "{}", endpoint.url);
        assert!((1..=4).contains(&endpoint.secrets.len()));
        assert!(endpoint.secrets.iter().all(|secret| (24..=64).contains(&secret.0.len())));
        // Whoever writes a secret into the name or the address has shown it.
        let (shown, public) = (format!("{endpoint:?}"), format!("{}{}", endpoint.name, endpoint.url));
        let hidden = |secret: &Secret| public.contains(&BASE64.encode(&secret.0)) || !shown.contains(&BASE64.encode(&secret.0));
        assert!(endpoint.secrets.iter().all(hidden), "{shown}");
    }
}

/// However an endpoint says when it wants to be asked again, it is not put off for longer than a day.
pub(crate) fn answer(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
    let headers = HeaderMap::from_iter([(RETRY_AFTER, value)]);
    for now in [datetime!(2026-01-02 03:04:05 UTC), OffsetDateTime::new_utc(Date::MAX, Time::MIDNIGHT)] {
        let wait = retry_after(&headers, now);
        assert!(wait.is_none_or(|wait| wait <= LONGEST_RETRY_AFTER), "{headers:?} is {wait:?}");
        let plain = String::from_utf8_lossy(bytes);
        if let Ok(seconds) = plain.parse::<u64>()
            && plain.bytes().all(|b| b.is_ascii_digit())
        {
            assert_eq!(wait, Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER)), "{plain:?}");
        }
    }
}
