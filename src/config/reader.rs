//! Settings as they stand in the file and in the environment.

use std::collections::BTreeMap;
use std::path::Path;

use super::given::Given;
use super::settings::SETTINGS;
use super::values::{Source, Value, as_text};
#[cfg(feature = "failpoints")]
use super::variables::FAILPOINT;
use super::variables::{PREFIX, is_service_link};
use crate::domain::toml_failure;
use crate::secret_file;

/// Names in the environment that are no settings of the server: the file itself, and those of `dropslip upload`.
const OTHER_NAMES: [&str; 3] = ["DROPSLIP_CONFIG", "DROPSLIP_SERVER", "DROPSLIP_TOKEN"];

impl Given {
    pub(super) fn read_file(&mut self, path: &Path) {
        let shown = path.display();
        match secret_file::read_text(path) {
            Ok(text) => self.read_text(&text, path),
            Err(error) => self.errors.push(format!("{shown}: {error}")),
        }
    }

    pub(super) fn read_text(&mut self, text: &str, path: &Path) {
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

    pub(super) fn read_environment(&mut self, environment: &BTreeMap<String, String>) {
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
}
