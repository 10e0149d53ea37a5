//! Who is told what happened, and who tells that objects arrived.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::values::{duration, filled};
use super::{Reader, env_name};
use crate::domain::web::web_url;
use crate::secret_file;

/// How often an event can be tried again at most.
const MOST_RETRIES: usize = 20;

/// Most bytes of a file with a token.
const LARGEST_TOKEN: usize = 4096;

/// Webhooks and bucket notifications.
#[derive(Debug, Clone)]
pub struct Events {
    /// Who is told of events; `None` for nobody.
    pub webhooks_file: Option<PathBuf>,
    /// How long to wait after each failed attempt to deliver an event but the last.
    pub webhooks_retry: Vec<Duration>,
    /// How long events are kept that arrived or were given up.
    pub retention: Duration,
    /// What a store must know that posts bucket notifications; `None` when none may.
    pub notifications_token: Option<NotificationsToken>,
    /// The queue of bucket notifications.
    pub notifications_sqs: Option<String>,
}

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

impl Reader {
    pub(super) fn events(&mut self) -> Option<Events> {
        let webhooks_file = self.optional("webhooks_file", filled).map(PathBuf::from);
        let webhooks_retry = self.required("webhooks_retry", "5s,5m,30m,2h,5h,10h,14h,20h,24h", durations);
        let retention = self.required("events_retention", "30d", retention);
        let token = self.optional("notifications_token", secret).map(NotificationsToken::Set);
        let token_file = self.optional("notifications_token_file", filled).map(|path| NotificationsToken::InFile(path.into()));
        if token.is_some() && token_file.is_some() {
            let why = format!("{}: must not be set beside {}", self.named("notifications_token_file"), env_name("notifications_token"));
            self.errors.push(why);
        }
        let notifications_sqs = self.optional("notifications_sqs", queue_url);
        Some(Events {
            webhooks_file,
            webhooks_retry: webhooks_retry?,
            retention: retention?,
            notifications_token: token.or(token_file),
            notifications_sqs,
        })
    }
}

/// An event that was only just given up must be there to be looked at, and to be sent again.
fn retention(text: &str) -> Result<Duration, String> {
    let long = duration(text).ok().filter(|time| *time >= Duration::from_hours(1));
    long.ok_or_else(|| format!("must be a time such as 30d or 12h, from 1 hour to 30 days, not ‘{text}’"))
}

/// Times separated by commas.
fn durations(text: &str) -> Result<Vec<Duration>, String> {
    let words = text.split([',', ' ']).filter(|word| !word.is_empty()).collect::<Vec<_>>();
    if words.len() > MOST_RETRIES {
        return Err(format!("must be {MOST_RETRIES} times or fewer"));
    }
    words.into_iter().map(duration).collect()
}

/// Short enough to be guessed is too short. The complaint does not repeat it.
fn secret(text: &str) -> Result<String, String> {
    let good = (16..=512).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if good { Ok(text.to_owned()) } else { Err("must be 16 to 512 visible characters without blanks".to_owned()) }
}

fn queue_url(text: &str) -> Result<String, String> {
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
