//! Every setting: its name, its default, its check. The only given of the environment.
//!
//! A setting comes from the TOML file under its lower-case name (`listen`), or from the environment under its full name
//! (`DROPSLIP_LISTEN`), which wins. A name nobody knows or a value nobody can use stops the start: a misspelled setting that is
//! silently ignored is worse than none.

mod client;
mod defaults;
mod dialects;
mod downloads;
mod events;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod given;
mod identity;
mod limits;
mod reader;
mod secrets;
mod setting;
mod settings;
mod signing;
mod storage;
mod values;
mod variables;

use std::fmt::Write as _;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use crate::domain::text::without_mark;
use crate::jwt;
use crate::limits::Limit;
pub use client::{ClientEnvironment, client_environment};
pub use downloads::{DownloadMode, LinkMode};
pub use events::NotificationsToken;
use given::Given;
pub use secrets::DatabaseUrl;
use secrets::shown;
pub use setting::Setting;
use settings::Readings;
pub use settings::{SETTINGS, Settings};
pub use signing::SecretSetting;
pub use storage::Storage;
use values::{Source, Value, quoted};
use variables::{PREFIX, env_name, without_marks};

/// The effective configuration: every setting by its name, and what several of them say together.
#[derive(Debug, Clone)]
pub struct Config {
    settings: Settings,
    /// Where the bytes go.
    pub storage: Storage,
    /// Whose JWTs are taken, if any are.
    pub jwt: Option<jwt::Options>,
    /// What a store must know that posts bucket notifications; `None` when none may.
    pub notifications_secret: Option<NotificationsToken>,
    /// What one actor may ask for.
    pub actor_limit: Limit,
    /// What one tenant may ask for.
    pub tenant_limit: Limit,
    /// The installation secret, where one is set.
    pub secret: Option<SecretSetting>,
    /// Where a test wants this process to die.
    #[cfg(feature = "failpoints")]
    pub failpoint: Option<String>,
    effective: Vec<(&'static str, Value)>,
}

impl Deref for Config {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

/// Everything that is wrong with the configuration, one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

impl Config {
    /// Reads the file named by `--config` or `DROPSLIP_CONFIG`, then the environment.
    ///
    /// # Errors
    /// Every unknown name and every bad value, with the setting's name.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut environment = Vec::new();
        for (name, value) in std::env::vars_os() {
            // Others' may be anything.
            let Some(name) = name.to_str().filter(|name| without_mark(name).starts_with(PREFIX)) else { continue };
            let value = value.into_string().map_err(|_| ConfigError(vec![format!("{name}: must be UTF-8")]))?;
            environment.push((name.to_owned(), value));
        }
        Self::from_parts(file, environment)
    }

    /// The same with an environment of the caller's choice.
    ///
    /// # Errors
    /// Every unknown name and every bad value, with the setting's name.
    pub fn from_parts(file: Option<&Path>, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let environment = without_marks(environment);
        let mut given = Given::default();
        let named = environment.get("DROPSLIP_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
        if let Some(path) = file.map(Path::to_path_buf).or(named) {
            given.read_file(&path);
        }
        given.read_environment(&environment);
        let config = Self::of(given);
        #[cfg(feature = "failpoints")]
        let config = config.map(|config| Self { failpoint: environment.get(variables::FAILPOINT).cloned(), ..config });
        config
    }

    /// Every setting with its effective value and where that came from; secrets redacted.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut lines = String::new();
        for (key, value) in &self.effective {
            let shown = shown(key, &value.text);
            let source = match &value.source {
                Source::Environment => env_name(key),
                Source::File(path) => path.display().to_string(),
                Source::Default => "default".to_owned(),
            };
            let _ = writeln!(lines, "{key} = {} # {source}", quoted(&shown));
        }
        for setting in SETTINGS.iter().filter(|setting| !self.effective.iter().any(|(key, _)| *key == setting.key)) {
            let _ = writeln!(lines, "# {} is not set", setting.key);
        }
        lines
    }

    fn of(mut given: Given) -> Result<Self, ConfigError> {
        match Self::assembled(&mut given) {
            Some(config) if given.errors.is_empty() => Ok(config),
            _ => Err(ConfigError(given.errors)),
        }
    }

    /// Every complaint is made before it gives up.
    fn assembled(given: &mut Given) -> Option<Self> {
        let mut readings = Readings::of(given);
        readings.database_url = readings.database_url.map(|url| url.unless_default(given.text("database_url")));
        dialects::judge_page(&readings, given);
        let storage = Storage::of(&readings, given);
        let jwt = identity::options(&readings, given);
        let notifications_secret = NotificationsToken::of(&readings, given);
        let secret = SecretSetting::of(&readings, given);
        let settings = readings.whole()?;
        Some(Self {
            storage: storage?,
            jwt,
            notifications_secret,
            actor_limit: limits::of_actor(&settings),
            tenant_limit: limits::of_tenant(&settings),
            secret,
            #[cfg(feature = "failpoints")]
            failpoint: None,
            effective: std::mem::take(&mut given.effective),
            settings,
        })
    }

    /// The settings that are others than in `running` and have no effect before a restart, by name.
    #[must_use]
    pub fn changed_for_a_restart(&self, running: &Self) -> Vec<String> {
        let text = |config: &Self, key: &str| config.effective.iter().find(|(name, _)| *name == key).map(|(_, value)| value.text.clone());
        let fixed = SETTINGS.iter().filter(|setting| !setting.is_reloaded);
        fixed.filter(|setting| text(self, setting.key) != text(running, setting.key)).map(Setting::env_name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_parts(None, environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn without_any_setting_everything_is_embedded_and_on_loopback() {
        let config = config(&[]).unwrap();
        assert!(config.listen.ip().is_loopback());
        assert_eq!(config.database_url.reveal(), "sqlite:data/dropslip.db");
        let Storage::Embedded { listen, development_token, .. } = config.storage else { panic!("no embedded store") };
        assert!(listen.ip().is_loopback() && development_token);
    }

    #[test]
    fn every_complaint_names_its_setting() {
        let ConfigError(lines) = config(&[
            ("DROPSLIP_LISTEN", "8080"),
            ("DROPSLIP_LISTEM", "127.0.0.1:8080"),
            ("DROPSLIP_DATABASE_URL", "mysql://u:hunter2@h/d"),
            ("DROPSLIP_S3_PATH_STYLE", "maybe"),
            ("DROPSLIP_CORS_ORIGINS", "https://a.test,*"),
            ("DROPSLIP_S3_ENDPOINT", "http://127.0.0.1:1"),
        ])
        .unwrap_err();
        for name in ["LISTEN", "LISTEM", "DATABASE_URL", "S3_PATH_STYLE", "CORS_ORIGINS", "S3_ENDPOINT"] {
            assert!(lines.iter().any(|line| line.starts_with(&format!("DROPSLIP_{name}: "))), "{name} is not in {lines:#?}");
        }
        assert_eq!(lines.len(), 6);
        assert!(!lines.join(" ").contains("hunter2"));
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dropslip.toml");
        std::fs::write(
            &path,
            "listen = \"127.0.0.1:1\"\ns3_bucket = \"from-file\"\ncors_origins = [\"https://a.test\", \"https://b.test\"]\n",
        )
        .unwrap();
        let environment = [("DROPSLIP_LISTEN".to_owned(), "127.0.0.1:2".to_owned())];
        let config = Config::from_parts(Some(&path), environment).unwrap();
        assert_eq!(config.listen.port(), 2);
        assert_eq!(config.cors_origins.as_deref().unwrap(), ["https://a.test", "https://b.test"]);
        assert!(matches!(config.storage, Storage::Bucket { name, .. } if name == "from-file"));
    }

    #[test]
    fn a_mark_before_a_file_of_variables_or_a_value_is_left_out() {
        let (marked, plain) = (("\u{feff}DROPSLIP_LISTEN", "127.0.0.1:1"), ("DROPSLIP_LISTEN", "\u{feff}127.0.0.1:2"));
        assert_eq!(config(&[marked]).unwrap().listen.port(), 1);
        assert_eq!((config(&[marked, plain]).unwrap().listen.port(), config(&[plain, marked]).unwrap().listen.port()), (2, 2));
        assert!(config(&[("\u{feff}DROPSLIP_LISTEM", "x")]).unwrap_err().to_string().starts_with("DROPSLIP_LISTEM: no such setting"));
    }

    #[test]
    fn a_bad_file_is_named_with_line_or_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dropslip.toml");
        for (text, complaint) in [("listem = 1", "listem: no such setting"), ("listen = [", "line 1"), ("listen = \"x\"", "listen (in ")] {
            std::fs::write(&path, text).unwrap();
            let error = Config::from_parts(Some(&path), []).unwrap_err().to_string();
            assert!(error.contains(complaint) && error.contains("dropslip.toml"), "{error}");
        }
    }

    #[test]
    fn a_place_to_die_that_nobody_knows_is_refused() {
        let known = config(&[("DROPSLIP_FAILPOINT", "confirm: copied")]);
        assert_eq!(known.is_ok(), cfg!(feature = "failpoints"), "only the tests' build knows the setting");
        assert!(config(&[("DROPSLIP_FAILPOINT", "confirm: copyed")]).is_err());
    }

    #[test]
    fn names_from_the_client_and_from_kubernetes_are_no_settings() {
        assert!(
            config(&[
                ("DROPSLIP_TOKEN", "x"),
                ("DROPSLIP_PORT", "tcp://10.0.0.1:80"),
                ("DROPSLIP_SERVICE_HOST", "x"),
                ("DROPSLIP_LOG", "")
            ])
            .is_ok()
        );
    }
}
