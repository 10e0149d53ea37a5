//! The program as a process of its own.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The program in an empty folder, with no setting but those given.
pub fn dropslip(folder: &Path, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dropslip"));
    command.env_clear().current_dir(folder).envs(settings.iter().copied());
    command
}

pub fn run(folder: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> Output {
    dropslip(folder, settings).args(arguments).output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A running `dropslip serve`; killed when dropped.
pub struct Serving {
    child: Child,
    pub banner: String,
}

impl Serving {
    /// Starts it and reads what it says until it says where it listens (and, embedded, the last line of the script).
    pub fn start(folder: &Path, settings: &[(&str, &str)], last_line: &str) -> Self {
        Self::logging_to(Stdio::piped(), folder, settings, last_line)
    }

    /// The same with a log that may be longer than a pipe holds.
    pub fn logging_to(log: impl Into<Stdio>, folder: &Path, settings: &[(&str, &str)], last_line: &str) -> Self {
        Self::by(dropslip(folder, settings).arg("serve"), log, last_line)
    }

    /// The same by a command of the caller's.
    pub fn by(command: &mut Command, log: impl Into<Stdio>, last_line: &str) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut serving = Self { child, banner: String::new() };
        let mut lines = BufReader::new(serving.child.stdout.take().unwrap()).lines();
        for line in lines.by_ref() {
            let line = line.unwrap();
            serving.banner += &line;
            serving.banner.push('\n');
            if line.starts_with(last_line) {
                return serving;
            }
        }
        let errors = serving.errors();
        panic!("it ended after {}{errors}", serving.banner);
    }

    pub fn url(&self) -> &str {
        self.banner.lines().find_map(|line| line.strip_prefix("dropslip listens on ")).unwrap()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn terminate(mut self) -> (i32, String) {
        Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        let log = self.errors();
        (self.child.wait().unwrap().code().unwrap(), log)
    }

    /// The rest of its log, unless that goes elsewhere.
    fn errors(&mut self) -> String {
        let mut errors = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut errors).unwrap();
        }
        errors
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
