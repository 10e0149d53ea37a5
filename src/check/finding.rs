//! What a check found, what to do about it, and both for a person and for a program.

use std::fmt::Write as _;

use serde::Serialize;

/// The widest line of the table.
const WIDTH: usize = 100;

/// How wide its first two columns are.
const STATUS: usize = 9;
const NAME: usize = 31;

/// How much of a store's own words is worth reading.
const MOST_CHARS: usize = 300;

/// How bad it is; the order is that of harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing to do.
    Info,
    /// It works now, and will fail later or for somebody.
    Warning,
    /// Uploads fail, or are not safe.
    Error,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check's name, and after a colon what of many it looked at; stays the same from version to version.
    pub check: String,
    /// How bad it is.
    pub status: Status,
    /// What was found.
    pub found: String,
    /// What to do; `None` where there is nothing to do.
    pub advice: Option<String>,
}

/// All rows of a run.
#[derive(Debug, Default)]
pub struct Report {
    findings: Vec<Finding>,
}

impl Report {
    pub(super) fn ok(&mut self, check: &str, found: impl AsRef<str>) {
        self.add(check, Status::Ok, found.as_ref(), None);
    }

    pub(super) fn info(&mut self, check: &str, found: impl AsRef<str>) {
        self.add(check, Status::Info, found.as_ref(), None);
    }

    pub(super) fn advise(&mut self, check: &str, status: Status, found: impl AsRef<str>, advice: impl AsRef<str>) {
        self.add(check, status, found.as_ref(), Some(advice.as_ref()));
    }

    fn add(&mut self, check: &str, status: Status, found: &str, advice: Option<&str>) {
        let (check, found, advice) = (printable(check), printable(found), advice.map(printable));
        self.findings.push(Finding { check, status, found, advice });
    }

    /// Takes over what was bad in another one.
    pub(super) fn take_errors(&mut self, other: Self) {
        self.findings.extend(other.findings.into_iter().filter(|finding| finding.status == Status::Error));
    }

    /// The rows, in the order in which they were looked at.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The worst status of all rows.
    #[must_use]
    pub fn worst(&self) -> Status {
        self.findings.iter().map(|finding| finding.status).max().unwrap_or(Status::Ok)
    }

    /// The rows for a person at a terminal, and a line that sums them up.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::new();
        for Finding { check, status, found, advice } in &self.findings {
            let (mut status, mut name) = (status.as_str(), check.as_str());
            // A long name has lines of its own.
            if name.chars().count() >= NAME {
                for line in wrapped(name, WIDTH - STATUS) {
                    let _ = writeln!(text, "{status:<STATUS$}{line}");
                    status = "";
                }
                name = "";
            }
            let advice = advice.iter().map(|advice| format!("-> {advice}"));
            for line in std::iter::once(found.clone()).chain(advice).flat_map(|text| wrapped(&text, WIDTH - STATUS - NAME)) {
                let _ = writeln!(text, "{}", format!("{status:<STATUS$}{name:<NAME$}{line}").trim_end());
                (status, name) = ("", "");
            }
        }
        let count = |status| self.findings.iter().filter(|finding| finding.status == status).count();
        let [ok, info, warnings, errors] = [Status::Ok, Status::Info, Status::Warning, Status::Error].map(count);
        let _ = writeln!(text, "\n{ok} ok, {info} info, {warnings} warnings, {errors} errors");
        text
    }
}

/// Breaks at spaces, and within a word that is longer than a line.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut length = 0;
    for word in text.split(' ') {
        if length > 0 && length + 1 + word.chars().count() <= width {
            line.push(' ');
            length += 1;
        } else if length > 0 {
            lines.push(std::mem::take(&mut line));
            length = 0;
        }
        for letter in word.chars() {
            if length == width {
                lines.push(std::mem::take(&mut line));
                length = 0;
            }
            line.push(letter);
            length += 1;
        }
    }
    lines.push(line);
    lines
}

/// Stores, addresses and files may be called anything: nothing of it may move a cursor, hide or turn letters around.
fn printable(text: &str) -> String {
    let harmless = |c: char| c.is_ascii_graphic() || c == ' ' || "‘’…".contains(c);
    let mut shown: String = text.chars().take(MOST_CHARS).map(|c| if harmless(c) { c } else { '?' }).collect();
    if text.chars().nth(MOST_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_never_wider_than_promised_and_loses_no_word() {
        let mut report = Report::default();
        report.advise("short", Status::Warning, "one two ".repeat(30), "three ".repeat(20));
        report.ok(&format!("cors-preflight:https://{}", "Q".repeat(150)), "Z".repeat(170));
        report.info("", "");
        let table = report.table();
        assert!(table.lines().all(|line| line.chars().count() <= WIDTH), "{table}");
        for (word, times) in [("one", 30), ("two", 30), ("three", 20)] {
            assert_eq!(table.split_whitespace().filter(|other| *other == word).count(), times, "{word}");
        }
        assert_eq!((table.matches('Q').count(), table.matches('Z').count()), (150, 170), "{table}");
        assert!(table.ends_with("\n1 ok, 1 info, 1 warnings, 0 errors\n"));
        assert_eq!(report.worst(), Status::Warning);
    }

    #[test]
    fn what_a_store_says_cannot_steer_a_terminal() {
        let mut report = Report::default();
        report.advise("a\x1b[2J", Status::Error, "b\r\nc\u{202e}d\u{9b}e\u{200b}", "f\u{7}");
        let Finding { check, found, advice, .. } = &report.findings()[0];
        assert_eq!((check.as_str(), found.as_str(), advice.as_deref()), ("a?[2J", "b??c?d?e?", Some("f?")));
        report.ok("long", "x".repeat(10_000));
        assert_eq!(report.findings()[1].found.chars().count(), MOST_CHARS + 1);
    }
}
