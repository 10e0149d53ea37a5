//! What a person or a program sees of an upload.
//!
//! Progress goes to stderr and only to a terminal. When a file ends there is one line, on stdout for an active file and on stderr for
//! any other:
//!
//! ```text
//! film.mp4  12.00 MiB  id 7 active
//! setup.exe: refused: filename must not end in .exe
//! ```
//!
//! With `--json` there is no progress, and one object a line on stdout for each file, in the order in which they end:
//!
//! ```text
//! {"path":"film.mp4","ok":true,"file":{"id":7,"state":"active", ...the broker's file object}}
//! {"path":"setup.exe","ok":false,"step":"authorize","status":400,"error":"refused: filename must not end in .exe"}
//! ```
//!
//! `step` is `read`, `authorize`, `upload` or `confirm`; `status` is the HTTP status, or null when there was no answer. `resume` is there
//! when `--resume` can go on with what arrived: the file's number.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;

use super::desk::UploadedFile;
use super::failure::{Step, StepError, Unfinished};
use crate::output::{complain, escaped, say, without_controls};

const BAR: &str = "{prefix:28!} {msg:8} {bar:20} {bytes:>10}/{total_bytes:10} {bytes_per_sec:>12} eta {eta}";

/// How often a bar is drawn while nothing moves, so that a long confirmation does not look dead.
const REDRAW: Duration = Duration::from_millis(200);

/// The one place that prints.
pub(super) struct Report {
    json: bool,
    bars: MultiProgress,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        // Draws nothing by itself where stderr is no terminal.
        Self { json, bars: MultiProgress::new() }
    }

    /// A bar for a file that begins.
    pub(super) fn bar(&self, path: &Path, size: u64) -> ProgressBar {
        if self.json || self.bars.is_hidden() {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = self.bars.add(ProgressBar::new(size)).with_style(style).with_prefix(shown(path));
        bar.enable_steady_tick(REDRAW);
        bar
    }

    /// Tells how a file ended.
    pub(super) fn ended(&self, path: &Path, outcome: &Result<UploadedFile, StepError>) -> io::Result<()> {
        let line = if self.json { json_line(path, outcome)? } else { plain_line(path, outcome) };
        // The bars stand aside, so that stdout can be the same terminal.
        self.bars.suspend(|| {
            if self.json || outcome.is_ok() {
                return say!("{line}");
            }
            complain!("{line}");
            Ok(())
        })
    }

    /// Sums up for a person, when not all went well.
    pub(super) fn all_ended(&self, active: usize, asked: usize) {
        if !self.json && active < asked && asked > 1 {
            complain!("dropslip: {active} of {asked} files are active");
        }
    }

    /// Tells that it ends before the files do, and how to go on.
    pub(super) fn interrupted(&self, unfinished: &BTreeMap<PathBuf, Unfinished>) {
        let _ = self.bars.clear();
        complain!("dropslip: interrupted");
        for (path, unfinished) in unfinished {
            complain!("{}: not finished; {unfinished}", shown(path));
        }
    }
}

fn plain_line(path: &Path, outcome: &Result<UploadedFile, StepError>) -> String {
    match outcome {
        Ok(file) => format!("{}  {}  id {} active", shown(path), HumanBytes(file.size), file.id),
        Err(error) => without_controls(&format!("{}: {error}", shown(path))),
    }
}

fn json_line(path: &Path, outcome: &Result<UploadedFile, StepError>) -> io::Result<String> {
    #[derive(Serialize)]
    struct Active<'a> {
        path: &'a str,
        ok: bool,
        file: &'a serde_json::Value,
    }
    #[derive(Serialize)]
    struct Failed<'a> {
        path: &'a str,
        ok: bool,
        step: Step,
        status: Option<u16>,
        error: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        resume: Option<i64>,
    }
    let path = &path.to_string_lossy();
    let line = match outcome {
        Ok(file) => serde_json::to_string(&Active { path, ok: true, file: &file.object }),
        Err(error) => {
            let (step, status) = (error.step, error.failure.status());
            let resume = error.unfinished.map(|unfinished| unfinished.id);
            serde_json::to_string(&Failed { path, ok: false, step, status, error: error.to_string(), resume })
        }
    };
    Ok(escaped(&line.map_err(io::Error::from)?))
}

/// A path for a terminal.
fn shown(path: &Path) -> String {
    without_controls(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upload::failure::{Failure, SourceError};

    #[test]
    fn the_two_shapes_of_json_are_what_is_promised() {
        let file = UploadedFile { id: 7, size: 5, object: serde_json::json!({"id": 7, "state": "active"}) };
        let line = json_line(Path::new("a \"b\".txt"), &Ok(file)).unwrap();
        assert_eq!(line, r#"{"path":"a \"b\".txt","ok":true,"file":{"id":7,"state":"active"}}"#);
        let failed = json_line(Path::new("a"), &Err(Failure::from(SourceError::Missing).at(Step::Read))).unwrap();
        assert_eq!(failed, r#"{"path":"a","ok":false,"step":"read","status":null,"error":"there is no such file"}"#);
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        let file = UploadedFile { id: 7, size: 5, object: serde_json::Value::Null };
        let line = plain_line(Path::new("a\x1b[2J\nb"), &Ok(file));
        assert_eq!(line, "a\u{fffd}[2J\u{fffd}b  5 B  id 7 active");
    }

    #[test]
    fn neither_output_lets_controls_or_turns_of_direction_through() {
        let name = "gpj.\u{202e}\u{9b}31m\u{7f}\u{2028}\u{2067}exe";
        let failed = || Err(Failure::BrokerNonsense(name.to_owned()).at(Step::Authorize));
        let active = || Ok(UploadedFile { id: 7, size: 5, object: serde_json::json!({ "filename": name }) });
        for outcome in [failed(), active()] {
            let (plain, json) = (plain_line(Path::new(name), &outcome), json_line(Path::new(name), &outcome).unwrap());
            assert!(plain == without_controls(&plain) && plain.contains("exe"), "{plain:?}");
            assert!(json == escaped(&json), "{json:?}");
            let object: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert_eq!(object["path"], name, "it says the same");
        }
    }

    #[test]
    fn an_upload_to_go_on_with_is_named_by_its_number() {
        let error = Failure::from(SourceError::Missing).at(Step::Upload);
        let error = StepError { unfinished: Some(Unfinished { id: 7, remembered: true }), ..error };
        assert!(json_line(Path::new("a"), &Err(error)).unwrap().ends_with(r#","resume":7}"#));
    }
}
