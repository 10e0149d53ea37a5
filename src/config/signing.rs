//! Where the installation secret is, as far as it is set; else the broker has one of its own.

use std::path::PathBuf;

use super::given::Given;
use super::settings::Readings;
use crate::installation_secret::Secrets;

/// A secret that the operator has set.
#[derive(Debug, Clone)]
pub enum SecretSetting {
    /// The secrets themselves.
    Secrets {
        /// The setting that has them, as the environment names it.
        name: &'static str,
        /// The first signs, all verify.
        secrets: Secrets,
    },
    /// A file that holds them.
    File {
        /// The setting that names it.
        name: &'static str,
        /// Where it is.
        path: PathBuf,
    },
}

/// The settings that say it, one of them at a time. They had the names of keys in links when nothing else was signed with them.
const KEYS: [(&str, &str); 4] = [
    ("secrets", "DROPSLIP_SECRETS"),
    ("secrets_file", "DROPSLIP_SECRETS_FILE"),
    ("proxy_keys", "DROPSLIP_PROXY_KEYS"),
    ("proxy_keys_file", "DROPSLIP_PROXY_KEYS_FILE"),
];

impl SecretSetting {
    pub(super) fn of(readings: &Readings, given: &mut Given) -> Option<Self> {
        let mut set = KEYS.into_iter().filter(|(key, _)| given.text(key).is_some());
        if let (Some((first, _)), Some(_)) = (set.next(), set.next()) {
            given.complain(first, &format!("only one of {} may be set", KEYS.map(|(_, name)| name).join(", ")));
        }
        let file = |name, path: &Option<PathBuf>| path.clone().map(|path| Self::File { name, path });
        let secrets = |name, secrets: &Option<Secrets>| secrets.clone().map(|secrets| Self::Secrets { name, secrets });
        let [first, second, third, fourth] = KEYS.map(|(_, name)| name);
        secrets(first, &readings.secrets)
            .or_else(|| file(second, &readings.secrets_file))
            .or_else(|| secrets(third, &readings.proxy_keys))
            .or_else(|| file(fourth, &readings.proxy_keys_file))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, ConfigError};
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn config(settings: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_parts(None, settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn each_name_is_taken_and_two_at_once_are_refused() {
        assert!(config(&[]).unwrap().secret.is_none());
        for (place, (key, name)) in KEYS.into_iter().enumerate() {
            let said = match config(&[(name, SECRET)]).unwrap().secret.unwrap() {
                SecretSetting::Secrets { name, secrets } => (name, secrets == SECRET.parse().unwrap()),
                SecretSetting::File { name, path } => (name, path.as_os_str() == SECRET),
            };
            assert_eq!(said, (super::super::variables::env_name(key).as_str(), true));
            for (_, other) in &KEYS[place + 1..] {
                let ConfigError(lines) = config(&[(name, SECRET), (other, SECRET)]).unwrap_err();
                assert!(lines.len() == 1 && lines[0].starts_with(&format!("{name}: only one of")), "{lines:?}");
            }
        }
    }

    #[test]
    fn secrets_too_short_are_refused_without_being_repeated() {
        for name in ["DROPSLIP_SECRETS", "DROPSLIP_PROXY_KEYS"] {
            for short in ["hunter2", "0123456789abcdef0123456789abcdef,hunter2", "hunter2hunter2hunter2hunter2 123"] {
                let ConfigError(lines) = config(&[(name, short)]).unwrap_err();
                assert!(lines.len() == 1 && lines[0].starts_with(&format!("{name}: must be secrets of 32 or more")), "{lines:?}");
                assert!(!lines[0].contains("hunter2"), "{lines:?}");
            }
        }
    }
}
