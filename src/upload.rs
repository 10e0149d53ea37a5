//! `dropslip upload`: the reference client, and what a client has to do to be one.
//!
//! Each file takes the three steps: the broker is asked for a slip (`desk`), the bytes are dropped into the store with it
//! (`form`), and the broker looks at what landed. The bytes are read from disk as they are sent (`source`), so memory does not
//! grow with the file. Files fail alone: one that is refused keeps none of the others from becoming active.
//!
//! # What is tried again
//! - Steps 1 and 3: a lost connection, 502, 503 and 504, three tries in all. A second slip for the same file does no harm: the first
//!   one expires unused.
//! - Step 2: a lost connection or 5xx once, with the same form or URL, while that has not expired. When it has, a new slip is asked for
//!   once.
//! - Step 2 in parts: each part five times, with a fresh URL each time. What then is missing in step 3 is sent again.
//!
//! # Large files
//! Where the broker takes files in parts, several of them are sent at once (`parts`), and what began is remembered (`unfinished`), so that
//! `--resume` goes on with it. `--jobs` bounds the connections to the store, whether whole files go over them or parts.
//!
//! # What comes out
//! A line on stdout for every active file and on stderr for every other, or with `--json` an object on stdout for each:
//! `report` has the shapes. Neither token nor form is ever printed.

mod desk;
mod failure;
mod form;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod object_store;
mod parts;
mod report;
mod slip;
mod source;
mod target;
mod unfinished;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::{StreamExt as _, stream};
use indicatif::ProgressBar;
use reqwest::{StatusCode, redirect};

use crate::config::client_environment;
use crate::output::complain;
use desk::{Desk, NewUpload, UploadedFile};
use failure::{Failure, Step, StepError, Unfinished};
use object_store::ObjectStore;
use parts::Parts;
use report::Report;
use slip::{Cut, Way};
use source::Source;
use target::Target;
use unfinished::Memory;

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the store is left alone between the two tries of step 2.
const BEFORE_SECOND_DROP: Duration = Duration::from_secs(1);

/// How often parts are sent that are missing in step 3 all the same.
const MISSING_ROUNDS: u32 = 2;

/// What a shell reports for a process that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// What the command line parser reports for arguments that are wrong.
const WRONG_USAGE: u8 = 2;

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
    /// How many connections to the store there are at once, for whole files and for parts of large ones
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=32))]
    jobs: u8,
    /// Go on with an unfinished upload in parts of the same file, if there is one; =ID names it by the file's number
    #[expect(clippy::option_option, reason = "absent, without a number, with one: how the parser says it")]
    #[arg(long, value_name = "ID", num_args = 0..=1, require_equals = true, value_parser = clap::value_parser!(i64).range(1..))]
    resume: Option<Option<i64>>,
    /// Send each file in one request, however large
    #[arg(long)]
    no_multipart: bool,
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
    if matches!(options.resume, Some(Some(_))) && options.files.len() > 1 {
        complain!("dropslip: --resume=ID is about one file, and there are {}", options.files.len());
        return Ok(ExitCode::from(WRONG_USAGE));
    }
    let mut environment = client_environment();
    let state_home = environment.state_home.take();
    let target = Target::find(options.server.as_deref(), options.token_file.as_deref(), environment)?;
    let http = http_client(&target).context("the HTTP client cannot start")?;
    let report = Arc::new(Report::new(options.json));
    let files = options.files.clone();
    let jobs = usize::from(options.jobs);
    let memory = Arc::new(Memory::new(target.server(), state_home.as_deref()));
    let uploads = Arc::new(Uploads {
        desk: Desk::new(http.clone(), target),
        store: ObjectStore::new(http, jobs),
        options,
        report: Arc::clone(&report),
        memory: Arc::clone(&memory),
    });

    // Listened for from here on; until now the signal ends the process by itself.
    let interrupt = tokio::signal::ctrl_c();
    tokio::select! {
        all_active = uploads.all(&files, jobs) => {
            Ok(if all_active? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        _ = interrupt => {
            report.interrupted(&memory.open());
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
    // By default the kernel ends a connection whose peer takes no bytes for 30 seconds; how long they may stand still is known in `object_store`.
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let builder = builder.tcp_user_timeout(None);
    // What stays on this machine is no proxy's business, least of all the token.
    let builder = if target.is_this_machine() { builder.no_proxy() } else { builder };
    builder.build()
}

/// What every upload of one run shares.
struct Uploads {
    desk: Desk,
    store: ObjectStore,
    options: Options,
    report: Arc<Report>,
    memory: Arc<Memory>,
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
        if let Some(file) = self.resumed(source, bar).await? {
            let compared = !self.options.checksum || file.object["evidence"]["checksumSHA256"].is_string();
            return if compared { Ok(file) } else { Err(Failure::NoChecksum { id: file.id }.at(Step::Confirm)) };
        }
        let checksum = if self.options.checksum {
            bar.set_message("checksum");
            Some(source.checksum_sha256(bar).await.map_err(|failure| failure.at(Step::Read))?)
        } else {
            None
        };
        let new = NewUpload {
            r#type: &self.options.type_name,
            filename: source.name(),
            mime_type: &self.options.mime_type,
            disposition: self.options.disposition.as_deref(),
            size: source.size(),
            multipart: !self.options.no_multipart,
            checksum_sha256: checksum.as_deref(),
        };
        self.begun_anew(&new, source, bar).await
    }

    /// All steps, with the bounded second chances of step 2.
    async fn begun_anew(&self, new: &NewUpload<'_>, source: &Source, bar: &ProgressBar) -> Result<UploadedFile, StepError> {
        let authorize = async || {
            bar.set_message("ask");
            self.desk.authorize(new).await.map_err(|failure| failure.at(Step::Authorize))
        };
        let mut slip = authorize().await?;
        let (mut may_repeat, mut may_renew) = (true, true);
        loop {
            bar.set_message("upload");
            let id = slip.file.id;
            let dropped = match &slip.way {
                Way::Form { url, params } => form::drop_bytes(&self.store, url, params, source, bar).await,
                Way::Put { url, headers } => form::put_bytes(&self.store, url, headers, source, bar).await,
                Way::Parts { part_size, part_count } => {
                    let Some(cut) = Cut::new(*part_size, *part_count, source.size()) else {
                        let nonsense = "its parts are not what this file can be cut into".to_owned();
                        return Err(Failure::BrokerNonsense(nonsense).at(Step::Authorize));
                    };
                    let all: Vec<u32> = (1..=cut.count).collect();
                    return self.in_parts(id, cut, all, source, bar).await;
                }
            };
            let Err(failure) = dropped else {
                source.is_unchanged().await.map_err(|failure| failure.at(Step::Read))?;
                bar.set_message("confirm");
                return self.desk.confirm(id, source.size()).await.map_err(|failure| failure.at(Step::Confirm));
            };
            let expired = slip.has_expired() && (failure.may_pass() || failure.is_refusal());
            if may_repeat && failure.may_pass() && !slip.has_expired() {
                may_repeat = false;
                tokio::time::sleep(BEFORE_SECOND_DROP).await;
            } else if may_renew && (failure.is_expired_form() || expired) {
                may_renew = false;
                slip = authorize().await?;
            } else {
                return Err(failure.at_the_drop());
            }
        }
    }

    /// Goes on with an earlier upload, if it is asked for and there is one.
    async fn resumed(&self, source: &Source, bar: &ProgressBar) -> Result<Option<UploadedFile>, StepError> {
        let Some(named) = self.options.resume else { return Ok(None) };
        let remembered = if named.is_none() { self.memory.find(source).await } else { None };
        let Some(id) = named.or(remembered) else { return Ok(None) };
        bar.set_message("ask");
        let size = source.size();
        let failure = match self.desk.arrived(id).await {
            Ok(arrived) => match Cut::new(arrived.part_size, arrived.part_count, size) {
                Some(cut) if named.is_none() || self.is_as_long(id, cut).await => {
                    let missing = cut.missing(&arrived.parts);
                    return self.in_parts(id, cut, missing, source, bar).await.map(Some);
                }
                _ => Failure::OtherFile { id, size },
            },
            // It may be active: then only the last answer was lost.
            Err(failure) if failure.is_answer(StatusCode::CONFLICT) => match self.desk.confirm(id, size).await {
                Ok(file) => {
                    self.memory.forget(source, id).await;
                    return Ok(Some(file));
                }
                Err(_) => failure,
            },
            Err(failure) if failure.is_answer(StatusCode::NOT_FOUND) => failure,
            // Broker or token may be better later.
            Err(failure) => {
                let unfinished = Some(Unfinished { id, remembered: remembered.is_some() });
                return Err(StepError { unfinished, ..failure.at(Step::Authorize) });
            }
        };
        if named.is_some() {
            return Err(failure.at(Step::Authorize));
        }
        // What is remembered is no promise: what the broker no longer knows of begins anew.
        self.memory.forget(source, id).await;
        Ok(None)
    }

    /// Whether the last part of that upload has the length that this file needs; as many parts say little of the size.
    async fn is_as_long(&self, id: i64, cut: Cut) -> bool {
        let Ok(signed) = self.desk.sign(id, &[cut.count]).await else { return true };
        signed.iter().all(|part| part.size.is_none_or(|size| size == cut.length(part.part_number)))
    }

    /// Steps 2 and 3 of a file in parts. What goes wrong leaves it to be gone on with, unless that makes no sense.
    async fn in_parts(&self, id: i64, cut: Cut, missing: Vec<u32>, source: &Source, bar: &ProgressBar) -> Result<UploadedFile, StepError> {
        let unfinished = self.memory.remember(source, id).await;
        let at_once = usize::from(self.options.jobs);
        let parts = Parts { desk: &self.desk, store: &self.store, source, bar, id, cut, at_once };
        let error = match self.parts_and_confirmation(&parts, missing).await {
            Ok(file) => {
                self.memory.forget(source, id).await;
                return Ok(file);
            }
            Err(error) => error,
        };
        if error.failure.is_changed_source() || error.failure.is_answer(StatusCode::UNPROCESSABLE_ENTITY) {
            // If this fails as well, the broker's sweeper comes by later.
            let _ = self.desk.give_up(id).await;
        } else if !error.failure.is_answer(StatusCode::NOT_FOUND) {
            return Err(StepError { unfinished: Some(unfinished), ..error });
        }
        self.memory.forget(source, id).await;
        Err(error)
    }

    async fn parts_and_confirmation(&self, parts: &Parts<'_>, mut missing: Vec<u32>) -> Result<UploadedFile, StepError> {
        let (source, id) = (parts.source, parts.id);
        for round in 0.. {
            parts.bar.set_message("upload");
            parts.send(&missing).await.map_err(Failure::at_the_drop)?;
            source.is_unchanged().await.map_err(|failure| failure.at(Step::Read))?;
            parts.bar.set_message("confirm");
            let failure = match self.desk.confirm(id, source.size()).await {
                Err(failure) if failure.is_answer(StatusCode::CONFLICT) && round < MISSING_ROUNDS => failure,
                done => return done.map_err(|failure| failure.at(Step::Confirm)),
            };
            // The broker names the missing ones for people; the list of what is there says it in numbers.
            let arrived = self.desk.arrived(id).await.map_err(|failure| failure.at(Step::Confirm))?;
            missing = parts.cut.missing(&arrived.parts);
            if missing.is_empty() {
                return Err(failure.at(Step::Confirm));
            }
        }
        Err(Failure::Defect("the rounds never end".to_owned()).at(Step::Confirm))
    }
}
