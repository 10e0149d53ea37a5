//! `dropslip upload`: the reference client, and what a client has to do to be one.
//!
//! Each file takes the three steps: the broker is asked for a slip (`desk`), the bytes are dropped into the store with it
//! (`form`), and the broker looks at what landed. The bytes are read from disk as they are sent (`source`), so memory does not
//! grow with the file. Files fail alone: one that is refused keeps none of the others from becoming active.
//!
//! # What is tried again
//! - Steps 1 and 3: a lost connection, 502, 503 and 504, three tries in all. A second slip for the same file does no harm: the first
//!   one expires unused.
//! - Step 2: a lost connection or 5xx once, with the same form, while that has not expired. When it has, a new slip is asked for once.
//!
//! # What comes out
//! A line on stdout for every active file and on stderr for every other, or with `--json` an object on stdout for each:
//! `report` has the shapes. Neither token nor form is ever printed.

mod desk;
mod failure;
mod form;
mod report;
mod source;
mod target;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::{StreamExt as _, stream};
use indicatif::ProgressBar;
use reqwest::redirect;

use desk::{Desk, UploadedFile, Wish};
use failure::{Failure, Step, StepError};
use report::Report;
use source::Source;
use target::Target;

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the store is left alone between the two tries of step 2.
const BEFORE_SECOND_DROP: Duration = Duration::from_secs(1);

/// What a shell reports for a process that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// What to upload, and how.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The files to upload
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[arg(long, value_name = "URL", help = "The broker (default: DROPSLIP_SERVER, else http://127.0.0.1:8080)")]
    server: Option<String>,
    #[arg(long, value_name = "FILE", help = "A file that holds the token (default: DROPSLIP_TOKEN, else data/development-token here)")]
    token_file: Option<PathBuf>,
    /// The file type
    #[arg(long = "type", value_name = "NAME", default_value = "attachment")]
    type_name: String,
    /// Where in a message the files stand: attachment or attachment-inline (default: the broker's)
    #[arg(long)]
    disposition: Option<String>,
    /// The content type; blank lets the broker find it by the extension
    #[arg(long, value_name = "TYPE", default_value = "", hide_default_value = true)]
    mime_type: String,
    /// How many files are uploaded at once
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=32))]
    jobs: u8,
    /// Compute each file's SHA-256 first, so that the store takes nothing else
    #[arg(long)]
    checksum: bool,
    /// Print one JSON object a line for each file when it ends, and no progress
    #[arg(long)]
    json: bool,
}

/// Uploads every file; the exit code is 0 only when all of them became active, and 130 after Ctrl-C.
///
/// # Errors
/// When it cannot begin (no token, a server that is no URL) or its results cannot be written.
pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let target = Target::find(options.server.as_deref(), options.token_file.as_deref())?;
    let http = http_client(&target).context("the HTTP client cannot start")?;
    let report = Arc::new(Report::new(options.json));
    let files = options.files.clone();
    let jobs = usize::from(options.jobs);
    let uploads = Arc::new(Uploads { desk: Desk::new(http.clone(), target), http, options, report: Arc::clone(&report) });

    // Listened for from here on; until now the signal ends the process by itself.
    let interrupt = tokio::signal::ctrl_c();
    tokio::select! {
        all_active = uploads.all(&files, jobs) => {
            Ok(if all_active? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        _ = interrupt => {
            report.clear();
            eprintln!("dropslip: interrupted");
            // Not by returning: the runtime would first wait for name lookups and disks that do not answer.
            std::process::exit(INTERRUPTED)
        }
    }
}

fn http_client(target: &Target) -> reqwest::Result<reqwest::Client> {
    // No redirect is followed: the form would be sent to a place that nobody signed it for, the token to one it is not for.
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(redirect::Policy::none())
        .user_agent(concat!("dropslip/", env!("CARGO_PKG_VERSION")));
    // By default the kernel ends a connection whose peer takes no bytes for 30 seconds; how long they may stand still is told in `form`.
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let builder = builder.tcp_user_timeout(None);
    // What stays on this machine is no proxy's business, least of all the token.
    let builder = if target.is_this_machine() { builder.no_proxy() } else { builder };
    builder.build()
}

/// What every upload of one run shares.
struct Uploads {
    desk: Desk,
    http: reqwest::Client,
    options: Options,
    report: Arc<Report>,
}

impl Uploads {
    /// Uploads `files`, at most `jobs` at once, and tells of each when it ends; whether all became active.
    async fn all(self: Arc<Self>, files: &[PathBuf], jobs: usize) -> anyhow::Result<bool> {
        let started = stream::iter(files).map(|path| {
            let this = Arc::clone(&self);
            let owned = path.clone();
            // A task each, so that the checksum of one file and the bytes of another use different processors.
            let task = tokio::spawn(async move { this.one(&owned).await });
            async move { (path, task.await.unwrap_or_else(|panic| Err(Failure::Defect(panic.to_string()).at(Step::Read)))) }
        });
        let mut ended = started.buffer_unordered(jobs);
        let mut active = 0;
        while let Some((path, outcome)) = ended.next().await {
            active += usize::from(outcome.is_ok());
            self.report.ended(path, &outcome).context("a result cannot be written")?;
        }
        self.report.all_ended(active, files.len());
        Ok(active == files.len())
    }

    async fn one(&self, path: &Path) -> Result<UploadedFile, StepError> {
        let source = Source::open(path).await.map_err(|failure| failure.at(Step::Read))?;
        let bar = self.report.bar(path, source.size());
        let outcome = self.three_steps(&source, &bar).await;
        bar.finish_and_clear();
        outcome
    }

    async fn three_steps(&self, source: &Source, bar: &ProgressBar) -> Result<UploadedFile, StepError> {
        let checksum = if self.options.checksum {
            bar.set_message("checksum");
            Some(source.checksum_sha256(bar).await.map_err(|failure| failure.at(Step::Read))?)
        } else {
            None
        };
        let wish = Wish {
            r#type: &self.options.type_name,
            filename: source.name(),
            mime_type: &self.options.mime_type,
            disposition: self.options.disposition.as_deref(),
            size: source.size(),
            checksum_sha256: checksum.as_deref(),
        };
        let id = self.granted_and_dropped(&wish, source, bar).await?;
        bar.set_message("confirm");
        self.desk.confirm(id, source.size()).await.map_err(|failure| failure.at(Step::Confirm))
    }

    /// Steps 1 and 2, with the bounded second chances of step 2; the id of the slip that worked.
    async fn granted_and_dropped(&self, wish: &Wish<'_>, source: &Source, bar: &ProgressBar) -> Result<i64, StepError> {
        let authorize = async || {
            bar.set_message("ask");
            self.desk.authorize(wish).await.map_err(|failure| failure.at(Step::Authorize))
        };
        let mut slip = authorize().await?;
        let (mut may_repeat, mut may_renew) = (true, true);
        loop {
            bar.set_message("upload");
            let Err(failure) = form::drop_bytes(&self.http, &slip, source, bar).await else { return Ok(slip.file.id) };
            if may_repeat && failure.may_pass() && !slip.has_expired() {
                may_repeat = false;
                tokio::time::sleep(BEFORE_SECOND_DROP).await;
            } else if may_renew && (failure.is_expired_form() || (failure.may_pass() && slip.has_expired())) {
                may_renew = false;
                slip = authorize().await?;
            } else {
                let step = if matches!(failure, Failure::Source(_)) { Step::Read } else { Step::Upload };
                return Err(failure.at(step));
            }
        }
    }
}
