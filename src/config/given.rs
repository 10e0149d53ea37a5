//! What is set by somebody, what of it was read, and what is wrong with it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::values::{Source, Value};
use super::variables::env_name;

#[derive(Default)]
pub(super) struct Given {
    pub(super) values: BTreeMap<&'static str, Value>,
    pub(super) errors: Vec<String>,
    /// What was read, defaults too, in the order of the documentation.
    pub(super) effective: Vec<(&'static str, Value)>,
}

impl Given {
    /// One setting by what is set, else by its default.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        default: Option<Cow<'static, str>>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let by_default = || default.map(|text| Value { text: text.into_owned(), source: Source::Default });
        let value = self.values.get(key).cloned().or_else(by_default)?;
        let parsed = parse(&value.text);
        self.effective.push((key, value));
        parsed.map_err(|why| self.complain(key, &why)).ok()
    }

    /// What is set for it by somebody.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(|value| value.text.as_str())
    }

    /// The names of what is set by somebody.
    pub(super) fn set(&self) -> impl Iterator<Item = &'static str> {
        self.values.keys().copied()
    }

    /// Names the setting as the person wrote it.
    pub(super) fn complain(&mut self, key: &str, why: &str) {
        let name = match self.values.get(key).map(|value| &value.source) {
            Some(Source::File(path)) => format!("{key} (in {})", path.display()),
            _ => env_name(key),
        };
        self.errors.push(format!("{name}: {why}"));
    }
}
