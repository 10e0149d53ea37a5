//! Every setting: its name, its default, its check. The only reader of the environment.
//!
//! A setting comes from the TOML file under its lower-case name (`listen`), or from the environment under its full name
//! (`DROPSLIP_LISTEN`), which wins. A name nobody knows or a value nobody can use stops the start: a misspelled setting that is
//! silently ignored is worse than none.

mod client;
mod downloads;
mod events;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod identity;
mod operation;
mod secrets;
mod settings;
mod signing;
mod storage;
mod values;
mod variables;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use crate::domain::text::without_mark;
use crate::domain::web::web_url;
use crate::domain::{UploadMethod, sqlite_url, toml_failure};
use crate::jwt;
use crate::limits::Limit;
use crate::secret_file;
pub use client::{ClientEnvironment, client_environment};
pub use downloads::Downloads;
pub use events::{Events, NotificationsToken};
pub use operation::Operating;
pub use secrets::DatabaseUrl;
use secrets::{database_url, shown};
pub use settings::{SETTINGS, Setting};
pub use signing::SecretSetting;
pub use storage::{Log, Storage};
use values::{
    Source, Value, as_text, audit_retention, boolean, bucket_name, byte_size, copied_at_once, duration, endpoint, filled, log_filter,
    log_format, origins, part_size, quoted, retention, socket_address, upload_method, whole_number,
};
use variables::{PREFIX, is_service_link, without_marks};

/// Names in the environment that are no settings of the server: the file itself, and those of `dropslip upload`.
const OTHER_NAMES: [&str; 3] = ["DROPSLIP_CONFIG", "DROPSLIP_SERVER", "DROPSLIP_TOKEN"];

/// Known to the tests' build only: in any other it is refused like every unknown name.
#[cfg(feature = "failpoints")]
const FAILPOINT: &str = "DROPSLIP_FAILPOINT";

/// The effective configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the broker listens.
    pub listen: SocketAddr,
    /// Where browsers reach it; `None` when that follows from the address it listens on.
    pub public_url: Option<Url>,
    /// `sqlite:` or `postgres:`; holds a password.
    pub database_url: DatabaseUrl,
    /// Where the bytes go.
    pub storage: Storage,
    /// How files come that come in one request; `None` asks the store.
    pub s3_method: Option<UploadMethod>,
    /// From how many bytes on files come in parts, if the client can.
    pub multipart_threshold: u64,
    /// Bytes of a part, as long as that does not make too many.
    pub part_size: u64,
    /// From how many bytes on a file is sealed by a copy in parts.
    pub copy_in_parts_above: u64,
    /// Whether the broker serves the upload page.
    pub upload_page: bool,
    /// The folder of file types; `None` for the shipped ones.
    pub policies: Option<PathBuf>,
    /// Origins of other pages that may call the broker.
    pub cors_origins: Vec<String>,
    /// A file of tokens.
    pub tokens_file: Option<PathBuf>,
    /// Whose JWTs are taken, if any are.
    pub jwt: Option<jwt::Options>,
    /// How often to sweep; zero for never.
    pub sweep_interval: Duration,
    /// How long an expired form's upload is left alone.
    pub sweep_grace: Duration,
    /// Webhooks and bucket notifications.
    pub events: Events,
    /// How long a deleted file can be brought back.
    pub deleted_retention: Duration,
    /// How long lines of the audit log are kept; `None` for ever.
    pub audit_retention: Option<Duration>,
    /// What one actor may ask for.
    pub actor_limit: Limit,
    /// What one tenant may ask for.
    pub tenant_limit: Limit,
    /// The installation secret, where one is set.
    pub secret: Option<SecretSetting>,
    /// How it is watched and stopped.
    pub operating: Operating,
    /// How files are downloaded.
    pub downloads: Downloads,
    /// What to log.
    pub log: Log,
    /// Where a test wants this process to die.
    #[cfg(feature = "failpoints")]
    pub failpoint: Option<String>,
    effective: Vec<(&'static str, Value)>,
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
        let mut reader = Reader { values: BTreeMap::new(), errors: Vec::new(), effective: Vec::new() };
        let named = environment.get("DROPSLIP_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
        if let Some(path) = file.map(Path::to_path_buf).or(named) {
            reader.read_file(&path);
        }
        reader.read_environment(&environment);
        let config = reader.config();
        #[cfg(feature = "failpoints")]
        let config = config.map(|config| Self { failpoint: environment.get(FAILPOINT).cloned(), ..config });
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
}

struct Reader {
    values: BTreeMap<&'static str, Value>,
    errors: Vec<String>,
    effective: Vec<(&'static str, Value)>,
}

impl Reader {
    fn read_file(&mut self, path: &Path) {
        let shown = path.display();
        match secret_file::read_text(path) {
            Ok(text) => self.read_text(&text, path),
            Err(error) => self.errors.push(format!("{shown}: {error}")),
        }
    }

    fn read_text(&mut self, text: &str, path: &Path) {
        let shown = path.display();
        let table: toml::Table = match toml::from_str(text) {
            Ok(table) => table,
            Err(error) => return self.errors.push(format!("{shown}: {}", toml_failure(text, &error))),
        };
        for (name, value) in table {
            let Some(setting) = SETTINGS.iter().find(|setting| setting.key == name) else {
                self.errors.push(format!("{name}: no such setting (in {shown})"));
                continue;
            };
            match as_text(&value) {
                Some(text) => drop(self.values.insert(setting.key, Value { text, source: Source::File(path.to_path_buf()) })),
                None => self.errors.push(format!("{name}: must be a text, a number, true, false or a list of texts (in {shown})")),
            }
        }
    }

    fn read_environment(&mut self, environment: &BTreeMap<String, String>) {
        for (name, text) in environment {
            let key = name.strip_prefix(PREFIX).unwrap_or_default().to_lowercase();
            match SETTINGS.iter().find(|setting| setting.key == key) {
                // An empty variable is how compose files and CI say "not set".
                Some(_) if text.is_empty() => {}
                Some(setting) => drop(self.values.insert(setting.key, Value { text: text.clone(), source: Source::Environment })),
                #[cfg(feature = "failpoints")]
                None if name == FAILPOINT && crate::failpoint::ALL.contains(&text.as_str()) => {}
                None if OTHER_NAMES.contains(&name.as_str()) || is_service_link(name) => {}
                None => self.errors.push(format!("{name}: no such setting")),
            }
        }
    }

    fn config(mut self) -> Result<Config, ConfigError> {
        match self.assembled() {
            Some(config) if self.errors.is_empty() => Ok(config),
            _ => Err(ConfigError(self.errors)),
        }
    }

    /// Reads every setting before it gives up, so that all complaints come at once.
    fn assembled(&mut self) -> Option<Config> {
        let listen = self.required("listen", "127.0.0.1:8080", socket_address);
        let public_url = self.optional("public_url", web_url);
        let name = self.optional("s3_bucket", bucket_name);
        let region = self.optional("s3_region", filled);
        let endpoint = self.optional("s3_endpoint", endpoint);
        let public_endpoint = self.optional("s3_public_endpoint", values::endpoint);
        let default_style = if endpoint.is_some() { "true" } else { "false" };
        let path_style = self.required("s3_path_style", default_style, boolean);
        let data_dir = self.required("data_dir", "data", filled).map(PathBuf::from);
        let embedded_listen = self.required("embedded_s3_listen", "127.0.0.1:9000", socket_address);
        let development_token = self.required("development_token", "true", boolean);
        let default_database = sqlite_url(&data_dir.clone().unwrap_or_default().join("dropslip.db"));
        let database_url = self.required("database_url", &default_database, database_url).map(|url| url.from(self.source("database_url")));
        let s3_method = self.required("s3_method", "post", upload_method);
        let multipart_threshold = self.required("multipart_threshold", "100 MB", byte_size);
        let part_size = self.required("part_size", "16 MiB", part_size);
        let copy_in_parts_above = self.required("copy_in_parts_above", "1 GiB", copied_at_once);
        // A page that anybody can reach is for the operator to switch on.
        let upload_page = self.required("page", if name.is_none() { "true" } else { "false" }, boolean);
        let policies = self.optional("policies", filled).map(PathBuf::from);
        let cors_origins = self.optional("cors_origins", origins).unwrap_or_default();
        let tokens_file = self.optional("tokens_file", filled).map(PathBuf::from);
        let jwt = self.jwt();
        let sweep_interval = self.required("sweep_interval", "1m", duration);
        let sweep_grace = self.required("sweep_grace", "1h", duration);
        let events = self.events();
        let deleted_retention = self.required("deleted_retention", "30d", retention);
        let audit_retention = self.optional("audit_retention", audit_retention);
        let actor_limit = self.limit("actor_open_slips", "100000", "actor_reserved_bytes", "actor_requests_per_second");
        let tenant_limit = self.limit("tenant_open_slips", "1000000", "tenant_reserved_bytes", "tenant_requests_per_second");
        let secret = self.secret();
        let operating = self.operating();
        let downloads = self.downloads();
        let filter = self.required("log", "info", log_filter);
        let json = self.required("log_format", "auto", log_format);
        if name.is_none() && endpoint.is_some() {
            self.errors.push(format!("{}: has no effect without {}", self.named("s3_endpoint"), env_name("s3_bucket")));
        }
        let storage = match name {
            Some(name) => Storage::Bucket { name, region, endpoint, public_endpoint, path_style: path_style? },
            None => Storage::Embedded {
                listen: embedded_listen?,
                region,
                public_endpoint,
                data_dir: data_dir?,
                development_token: development_token?,
            },
        };
        let log = Log { filter: filter?, json: json? };
        let effective = std::mem::take(&mut self.effective);
        Some(Config {
            listen: listen?,
            public_url,
            database_url: database_url?,
            storage,
            s3_method: s3_method?,
            multipart_threshold: multipart_threshold?,
            part_size: part_size?,
            copy_in_parts_above: copy_in_parts_above?,
            upload_page: upload_page?,
            policies,
            cors_origins,
            tokens_file,
            jwt,
            sweep_interval: sweep_interval?,
            sweep_grace: sweep_grace?,
            events: events?,
            deleted_retention: deleted_retention?,
            audit_retention,
            actor_limit: actor_limit?,
            tenant_limit: tenant_limit?,
            secret,
            operating: operating?,
            downloads: downloads?,
            log,
            #[cfg(feature = "failpoints")]
            failpoint: None,
            effective,
        })
    }

    fn limit(&mut self, open: &'static str, open_default: &str, bytes: &'static str, rate: &'static str) -> Option<Limit> {
        let open_slips = self.required(open, open_default, whole_number);
        let reserved_bytes = self.required(bytes, "0", byte_size);
        let requests_per_second = self.required(rate, "0", whole_number);
        Some(Limit { open_slips: open_slips?, reserved_bytes: reserved_bytes?, requests_per_second: requests_per_second? })
    }

    fn optional<T>(&mut self, key: &'static str, parse: fn(&str) -> Result<T, String>) -> Option<T> {
        let value = self.values.get(key)?.clone();
        let parsed = parse(&value.text);
        self.effective.push((key, value));
        parsed.map_err(|why| self.errors.push(format!("{}: {why}", self.named(key)))).ok()
    }

    fn required<T>(&mut self, key: &'static str, default: &str, parse: fn(&str) -> Result<T, String>) -> Option<T> {
        let default = Value { text: default.to_owned(), source: Source::Default };
        self.values.entry(key).or_insert(default);
        self.optional(key, parse)
    }

    fn source(&self, key: &str) -> Option<&Source> {
        self.values.get(key).map(|value| &value.source)
    }

    /// The setting's name where the person wrote it.
    fn named(&self, key: &str) -> String {
        match self.source(key) {
            Some(Source::File(path)) => format!("{key} (in {})", path.display()),
            _ => env_name(key),
        }
    }
}

fn env_name(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase())
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
        assert_eq!(config.cors_origins, ["https://a.test", "https://b.test"]);
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
