//! What nobody is shown: neither `dropslip config` nor anything that prints a configuration for debugging.

use std::fmt;

use url::Url;

use super::SETTINGS;
use crate::domain::sqlite_url::{has_known_parameters, names_a_file};

/// Where the database is; holds a password, which is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    text: String,
    /// The folder of data says where it is.
    by_folder: bool,
}

impl DatabaseUrl {
    /// The whole of it: for the database alone.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// The setting that decides where the database is, as the environment names it.
    #[must_use]
    pub fn setting(&self) -> &'static str {
        if self.by_folder { "DROPSLIP_DATA_DIR" } else { "DROPSLIP_DATABASE_URL" }
    }

    /// Whether it is a file in the folder of data, as nothing else was said.
    #[must_use]
    pub fn is_in_data_dir(&self) -> bool {
        self.by_folder
    }

    /// The same, by whether anybody set it.
    pub(super) fn unless_default(self, set: Option<&str>) -> Self {
        Self { by_folder: set.is_none(), ..self }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted(&self.text))
    }
}

pub(super) fn database_url(text: &str) -> Result<DatabaseUrl, String> {
    let known = ["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| text.starts_with(scheme));
    if text.starts_with("sqlite:") && !names_a_file(text) {
        return Err("must be a file: what is in memory only would be gone with the process".to_owned());
    }
    if text.starts_with("sqlite:") && !has_known_parameters(text) {
        return Err("must have no parameters but mode, cache, immutable and vfs; in its path, write ? as %3F and % as %25".to_owned());
    }
    // The value may hold a password, so the complaint does not repeat it.
    if known { Ok(DatabaseUrl { text: text.to_owned(), by_folder: false }) } else { Err("must start with sqlite: or postgres:".to_owned()) }
}

/// What a person may see of a setting's text.
pub(super) fn shown(key: &str, text: &str) -> String {
    match key {
        "database_url" => redacted(text),
        // An address may have a key in its query; what has no address is a file, whose name may have anything.
        "jwt_jwks" if text.contains("://") => text.split_once('?').map_or_else(|| text.to_owned(), |(address, _)| format!("{address}?***")),
        _ if SETTINGS.iter().any(|setting| setting.key == key && setting.is_secret) => "***".to_owned(),
        _ => text.to_owned(),
    }
}

/// A database URL without its password, wherever that stands; nothing of it when that is not certain.
fn redacted(database_url: &str) -> String {
    if let Some(path) = database_url.strip_prefix("sqlite:") {
        // SQLite has no password, but nobody knows what its parameters will be.
        return format!("sqlite:{}", path.split_once('?').map_or_else(|| path.to_owned(), |(path, _)| format!("{path}?***")));
    }
    let Ok(mut url) = Url::parse(database_url) else { return "***".to_owned() };
    if url.cannot_be_a_base() || url.password().is_some() && url.set_password(Some("***")).is_err() {
        return "***".to_owned();
    }
    if url.query().is_some() {
        url.set_query(Some("***"));
    }
    url.set_fragment(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::Config;
    use super::*;

    /// What must not be seen.
    const MARK: &str = "hunter2";

    /// Texts with the mark where a setting of some kind would have its secret.
    const HOLD_THE_MARK: [&str; 9] = [
        "hunter2hunter2hunter2hunter2hunter2hunter2",
        "postgres://u:hunter2@h/d",
        "postgres://h/d?user=u&password=hunter2",
        "postgres:///d?host=/run/postgresql&password=hunter2",
        "postgres:d?password=hunter2",
        "postgres://u:hun#hunter2@h/d",
        "postgres://u:hunter2@h:99999/d",
        "https://u:hunter2@example.com/keys",
        "https://example.com/keys?key=hunter2",
    ];

    /// Settings that are no secrets: names, places and rules, which `dropslip config` and the log may tell.
    const NO_SECRETS: [&str; 24] = [
        "data_dir",
        "dialects",
        "jwt_actor_claim",
        "jwt_actor_type_claim",
        "jwt_audience",
        "jwt_file_types_claim",
        "jwt_issuer",
        "jwt_jwks",
        "jwt_scope_claim",
        "jwt_secret_file",
        "jwt_tenant",
        "jwt_tenant_claim",
        "kayako_file_type",
        "kayako_tenant",
        "classic_file_type",
        "log",
        "notifications_token_file",
        "policies",
        "proxy_keys_file",
        "s3_bucket",
        "s3_region",
        "secrets_file",
        "tokens_file",
        "webhooks_file",
    ];

    /// What has to be set beside a setting for it to be taken.
    fn beside(key: &str) -> Vec<(&'static str, &'static str)> {
        let jwt: &[(&str, &str)] = &[("jwt_issuer", "x"), ("jwt_audience", "x"), ("jwt_secret", "0123456789abcdef0123456789abcdef")];
        let source = ["jwt_secret", "jwt_secret_file", "jwt_jwks"].contains(&key);
        match key.split('_').next() {
            Some("jwt") => jwt.iter().copied().filter(|(name, _)| *name != key && !(source && *name == "jwt_secret")).collect(),
            Some("s3") if key != "s3_bucket" => vec![("s3_bucket", "example-uploads")],
            _ => Vec::new(),
        }
    }

    fn config(settings: &[(&str, &str)]) -> Option<Config> {
        Config::from_parts(None, settings.iter().map(|(key, text)| (super::super::variables::env_name(key), (*text).to_owned()))).ok()
    }

    fn everything_printed(config: &Config) -> String {
        format!("{config:?}\n{config:#?}\n{}", config.describe())
    }

    /// Every setting is given every text that it takes: a new one that prints it is either a secret or a line in the list above.
    #[test]
    fn only_what_is_no_secret_is_printed() {
        let (mut taken, mut printed) = (BTreeSet::new(), BTreeSet::new());
        for key in SETTINGS.iter().map(|setting| setting.key) {
            for text in HOLD_THE_MARK {
                let Some(config) = config(&[beside(key), vec![(key, text)]].concat()) else { continue };
                taken.insert(key);
                if everything_printed(&config).contains(MARK) {
                    printed.insert(key);
                }
            }
        }
        assert_eq!(printed, BTreeSet::from(NO_SECRETS));
        let secret: BTreeSet<_> = taken.difference(&printed).copied().collect();
        let marked = SETTINGS.iter().filter(|setting| setting.is_secret).map(|setting| setting.key);
        assert_eq!(secret, marked.chain(["database_url"]).collect(), "what takes a secret and prints none");
    }

    #[test]
    fn a_configuration_full_of_secrets_prints_none() {
        for name in ["secrets", "proxy_keys"] {
            full_of_secrets(name);
        }
    }

    fn full_of_secrets(installation_secret: &str) {
        let secrets = [
            ("database_url", "postgres://u:hunter2-a@h/d"),
            ("jwt_secret", "hunter2-b-hunter2-b-hunter2-b-hunter2-b"),
            ("notifications_token", "hunter2-c-hunter2-c"),
            (installation_secret, "hunter2-d-hunter2-d-hunter2-d-hunter2-d,hunter2-e-hunter2-e-hunter2-e-hunter2-e"),
        ];
        let config = config(&[&secrets[..], &[("jwt_issuer", "x"), ("jwt_audience", "x")]].concat()).unwrap();
        let printed = everything_printed(&config);
        assert!(!printed.contains(MARK), "{printed}");
        assert!(printed.contains("postgres://u:***@h/d") && printed.contains(&format!("{installation_secret} = \"***\"")), "{printed}");
        assert_eq!(config.database_url.reveal(), secrets[0].1, "who connects gets all of it");
    }

    #[test]
    fn what_stands_in_the_query_of_an_address_is_not_printed() {
        let address = ("jwt_jwks", "https://example.com/keys?key=hunter2");
        let printed = everything_printed(&config(&[&beside("jwt_jwks")[..], &[address]].concat()).unwrap());
        assert!(printed.contains("https://example.com/keys?***") && !printed.contains(MARK), "{printed}");
    }
}
