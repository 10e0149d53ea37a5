//! What is known of one setting beside its type: enough to write its documentation.

use std::borrow::Cow;

use super::given::Given;
use super::variables::env_name;

/// One setting, as the documentation and the error messages name it.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name in the TOML file.
    pub key: &'static str,
    /// What it is for, with units and bounds, in Markdown as README.md has it.
    pub about: &'static str,
    /// Other values, in Markdown; may be blank.
    pub example: &'static str,
    pub(super) default: Default,
    pub(super) is_secret: bool,
    pub(super) is_reloaded: bool,
}

/// What holds where nobody sets it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Default {
    /// The value by the settings that were read before; `None` for no value.
    pub(super) value: fn(&Given) -> Option<Cow<'static, str>>,
    /// What the documentation says: the value itself, or words in Markdown.
    said: Said,
}

#[derive(Debug, Clone, Copy)]
enum Said {
    Value(&'static str),
    Words(&'static str),
}

impl Default {
    pub(super) const fn value(value: fn(&Given) -> Option<Cow<'static, str>>, text: &'static str) -> Self {
        Self { value, said: Said::Value(text) }
    }

    pub(super) const fn words(value: fn(&Given) -> Option<Cow<'static, str>>, words: &'static str) -> Self {
        Self { value, said: Said::Words(words) }
    }
}

impl Setting {
    /// Never shown.
    pub(super) const fn secret(self) -> Self {
        Self { is_secret: true, ..self }
    }

    /// A reload puts it into force; for all others the program has to start again.
    pub(super) const fn reloaded(self) -> Self {
        Self { is_reloaded: true, ..self }
    }

    /// Its name in the environment.
    #[must_use]
    pub fn env_name(&self) -> String {
        env_name(self.key)
    }

    /// Its row in README.md.
    #[must_use]
    pub fn row(&self) -> String {
        let default = match self.default.said {
            Said::Value(text) => format!("`{text}`"),
            Said::Words(words) => words.to_owned(),
        };
        format!("| `{}` | {} | {default} | {} |", self.env_name(), self.about, self.example).replace("|  |", "| |")
    }

    /// What `--help` says: the same without Markdown.
    #[must_use]
    pub fn help(&self) -> String {
        let (Said::Value(default) | Said::Words(default)) = self.default.said;
        format!("{} (default: {})", plain(self.about), plain(default))
    }
}

/// Markdown without its marks: code as it is, and of a link the words.
fn plain(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some((before, link)) = rest.split_once('[') {
        text += before;
        if let Some((words, after)) = link.split_once("](").and_then(|(words, target)| Some((words, target.split_once(')')?.1))) {
            text += words;
            rest = after;
        } else {
            text.push('[');
            rest = link;
        }
    }
    text += rest;
    text.replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::super::SETTINGS;
    use super::*;

    #[test]
    fn help_has_the_words_without_their_marks() {
        assert_eq!(plain("the [upload page](#the-upload-page), `true` or [not"), "the upload page, true or [not");
        for setting in SETTINGS {
            let (row, help) = (setting.row(), setting.help());
            assert_eq!(row.matches(" | ").count(), 3, "{row}");
            assert!(!help.contains(['`', '\n']) && !help.contains("]("), "{help}");
            assert!(!setting.about.is_empty() && !setting.about.ends_with('.'), "{row}");
        }
    }
}
