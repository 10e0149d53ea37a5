//! Who is sent events, and who reports objects that arrived.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::given::Given;
use super::settings::Readings;
use super::values::duration;
use super::variables::env_name;
use crate::domain::web::web_url;
use crate::secret_file;

/// How often an event can be tried again at most.
const MOST_RETRIES: usize = 20;

/// Most bytes of a file with a token.
const LARGEST_TOKEN: usize = 4096;

/// A secret of the store's, or where it is kept. It is never shown.
#[derive(Clone)]
pub enum NotificationsToken {
    /// As set.
    Set(String),
    /// In this file.
    InFile(PathBuf),
}

impl fmt::Debug for NotificationsToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NotificationsToken(***)")
    }
}

impl NotificationsToken {
    /// Reads it.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no such secret.
    pub fn read(&self) -> Result<String, String> {
        match self {
            Self::Set(token) => Ok(token.clone()),
            Self::InFile(path) => {
                let text = secret_file::read_trusted_text(path, LARGEST_TOKEN).map_err(|error| format!("{}: {error}", path.display()))?;
                secret(text.trim()).map_err(|why| format!("{}: {why}", path.display()))
            }
        }
    }
}

impl NotificationsToken {
    pub(super) fn of(readings: &Readings, given: &mut Given) -> Option<Self> {
        if readings.notifications_token.is_some() && readings.notifications_token_file.is_some() {
            given.complain("notifications_token_file", &format!("must not be set beside {}", env_name("notifications_token")));
        }
        readings.notifications_token.clone().or_else(|| readings.notifications_token_file.clone().map(Self::InFile))
    }
}

/// An event that was only just given up must be there to be looked at, and to be sent again.
pub(super) fn events_retention(text: &str) -> Result<Duration, String> {
    let long = duration(text).ok().filter(|time| *time >= Duration::from_hours(1));
    long.ok_or_else(|| format!("must be a time such as 30d or 12h, from 1 hour to 30 days, not ‘{text}’"))
}

/// Times separated by commas.
pub(super) fn durations(text: &str) -> Result<Vec<Duration>, String> {
    let words = text.split([',', ' ']).filter(|word| !word.is_empty()).collect::<Vec<_>>();
    if words.len() > MOST_RETRIES {
        return Err(format!("must be {MOST_RETRIES} times or fewer"));
    }
    words.into_iter().map(duration).collect()
}

pub(super) fn notifications_token(text: &str) -> Result<NotificationsToken, String> {
    secret(text).map(NotificationsToken::Set)
}

/// Short enough to be guessed is too short. The complaint does not repeat it.
fn secret(text: &str) -> Result<String, String> {
    let good = (16..=512).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if good { Ok(text.to_owned()) } else { Err("must be 16 to 512 visible characters without blanks".to_owned()) }
}

pub(super) fn queue_url(text: &str) -> Result<String, String> {
    let url = web_url(text).ok().filter(|url| url.path().trim_matches('/').contains('/'));
    let url =
        url.ok_or_else(|| "must be the URL of a queue such as https://sqs.eu-central-1.amazonaws.com/123456789012/uploads".to_owned())?;
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    #[test]
    fn secrets_are_not_described_and_complaints_repeat_none() {
        let config = |name: &str, value: &str| Config::from_parts(None, [(name.to_owned(), value.to_owned())]);
        let good = config("DROPSLIP_NOTIFICATIONS_TOKEN", "hunter2hunter2hunter2").unwrap();
        assert!(good.describe().contains("notifications_token = \"***\"") && !good.describe().contains("hunter2"));
        for (name, value) in [
            ("DROPSLIP_NOTIFICATIONS_TOKEN", "hunter2"),
            ("DROPSLIP_NOTIFICATIONS_TOKEN", "hunter2 hunter2 hunter2"),
            ("DROPSLIP_NOTIFICATIONS_SQS", "https://sqs.eu-central-1.amazonaws.com"),
            ("DROPSLIP_WEBHOOKS_RETRY", "5s,soon"),
            ("DROPSLIP_EVENTS_RETENTION", "31d"),
            ("DROPSLIP_EVENTS_RETENTION", "59m"),
            ("DROPSLIP_EVENTS_RETENTION", "0"),
        ] {
            let error = config(name, value).unwrap_err().to_string();
            assert!(error.starts_with(name) && !error.contains("hunter2"), "{error}");
        }
        assert!(config("DROPSLIP_WEBHOOKS_RETRY", &["1s"; 20].join(",")).is_ok());
        let many = config("DROPSLIP_WEBHOOKS_RETRY", &["1s"; 21].join(",")).unwrap_err().to_string();
        assert!(many.contains("must be 20 times or fewer"), "{many}");
    }
}
