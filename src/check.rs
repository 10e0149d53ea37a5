//! `dropslip check`: whether a bucket does what dropslip relies on, found out by asking it.
//!
//! Every check is a real request of the kind that an upload makes, under a prefix of its own below the staging prefix. What a check
//! wrote is deleted in any case, also after Ctrl-C. Checks do not depend on each other where they need not: a missing right makes
//! its own rows bad and lets the others go on. Only what would make all of them fail for one reason ends the run early.
//!
//! Some stores take forms that were tampered with. Then the broker itself is asked: a confirmation like any other, with a database
//! that lives for this run only. What counts is whether something else than the granted object can become a file.

mod bucket_events;
mod callers;
mod cleanup;
mod clock;
mod confirmation;
mod finding;
mod forms;
mod objects;
mod pages;
mod puts;
mod reach;
mod settings;
mod signing;
mod tampered_forms;
mod verdict;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use crate::bucket::bucket_events::QueueOptions;
use crate::bucket::{Bucket, BucketOptions};
use crate::domain::{SealedKey, StagingKey, UploadMethod};
use crate::installation_secret::Source;
use crate::jwt;
use crate::random;
use confirmation::Bench;
pub use finding::{Finding, Report, Status};

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long any answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a whole run may take: a store that stops answering in the middle of it must not hold it up row by row.
const RUN_TIMEOUT: Duration = Duration::from_mins(5);

/// How long a request that was given up may take to be carried out before what it wrote is looked for.
const STRAGGLERS: Duration = Duration::from_secs(2);

/// What is checked; holds the database's password, so nobody prints it.
#[derive(Clone)]
pub struct Installation {
    /// The database; it need not be up.
    pub database_url: String,
    /// What the database must be about.
    pub identity: Option<String>,
    /// The bucket, or why there is none to look at.
    pub bucket: Result<BucketOptions, String>,
    /// Whether the bucket is that of the store inside the process.
    pub embedded: bool,
    /// How files come that come in one request; `None` where the store is asked at the start.
    pub method: Option<UploadMethod>,
    /// The origins whose pages upload; no wildcards.
    pub origins: Vec<String>,
    /// After how many days the bucket should expire what was never confirmed.
    pub expiry_days: i32,
    /// Where the installation secret lies, or why it cannot be read.
    pub secret: Result<Secret, String>,
    /// Where the queue of bucket notifications is, or why it cannot be used; `None` when there is none.
    pub queue: Result<Option<QueueOptions>, String>,
    /// The longest life that a file type gives its forms.
    pub longest_slip: time::Duration,
    /// The file of tokens.
    pub tokens_file: Option<PathBuf>,
    /// Whose JWTs are taken.
    pub jwt: Option<jwt::Options>,
}

/// Where the installation secret lies, and what it does not sign.
#[derive(Debug, Clone)]
pub struct Secret {
    /// Where it lies.
    pub source: Source,
    /// Whether everybody on this machine can read its file.
    pub is_readable: bool,
    /// Why links to files have no keys, if they have none.
    pub why_no_keys: Option<String>,
    /// The dialects that are on and whose log-in begins a session, if the secret may sign one.
    pub log_in: Vec<&'static str>,
    /// The dialects whose clients sign their calls.
    pub signed_calls: Vec<&'static str>,
}

/// What a run came to.
#[derive(Debug)]
pub struct Examined {
    /// What was found.
    pub report: Report,
    /// Whether it was ended before it had looked at everything.
    pub interrupted: bool,
}

/// Looks at everything, unless `interrupt` is ready sooner; cleans up in either case.
pub async fn examine(installation: &Installation, interrupt: impl Future<Output = ()>) -> Examined {
    let mut report = Report::default();
    let mut interrupt = std::pin::pin!(interrupt);
    let reached = tokio::select! {
        reached = async {
            callers::look(installation, &mut report).await;
            bucket_events::look(installation, &mut report).await;
            reach::reach(installation, &mut report).await
        } => reached,
        () = &mut interrupt => return Examined { report, interrupted: true },
    };
    let Some(probe) = reached else { return Examined { report, interrupted: false } };
    let mut bench = None;
    let looked = tokio::select! {
        looked = timeout(RUN_TIMEOUT, look_closer(installation, &probe, &mut bench, &mut report)) => Some(looked),
        () = &mut interrupt => None,
    };
    if let Some(Err(_)) = looked {
        let found = format!("given up after {} minutes; not everything was looked at", RUN_TIMEOUT.as_secs() / 60);
        report.advise("time", Status::Error, found, "the store is too slow, or stopped answering: look into its log");
    }
    if !matches!(looked, Some(Ok(()))) {
        // A request that was given up may still be carried out.
        tokio::time::sleep(STRAGGLERS).await;
    }
    if let Some(bench) = bench {
        bench.close().await.into_iter().for_each(|key| drop(probe.remember(key)));
    }
    cleanup::clean_up(&probe, &mut report).await;
    Examined { report, interrupted: looked.is_none() }
}

/// Whether pages of the configured origins may use the bucket, and nothing else.
pub async fn examine_cors(installation: &Installation) -> Report {
    let mut report = Report::default();
    let mut reaching = Report::default();
    match reach::reach(installation, &mut reaching).await {
        Some(probe) => pages::look(installation, &probe, &mut report).await,
        None => report.take_errors(reaching),
    }
    report
}

async fn look_closer(installation: &Installation, probe: &Probe, bench: &mut Option<Bench>, report: &mut Report) {
    *bench = match Bench::open(&probe.options).await {
        Ok(bench) => Some(bench),
        Err(why) => {
            let advice = "make room in the folder for temporary files (TMPDIR): uploads are confirmed with a database in there";
            report.advise("confirm", Status::Error, why, advice);
            None
        }
    };
    // Whether tampering is refused says something only where the right thing is taken.
    let way = forms::way(probe, report).await;
    if forms::look(installation, probe, way, bench.as_ref(), report).await {
        tampered_forms::forms(probe, way, bench.as_ref(), report).await;
    }
    if puts::look(installation, probe, way, report).await {
        tampered_forms::puts(probe, way, bench.as_ref(), report).await;
    }
    objects::look(probe, way, report).await;
    settings::look(installation, probe, report).await;
    pages::look(installation, probe, report).await;
    signing::look(installation, report);
}

/// A bucket that answers, and what this run has written there.
struct Probe {
    bucket: Bucket,
    /// The same, reached as the broker reaches it.
    inner: Bucket,
    options: BucketOptions,
    http: reqwest::Client,
    run: [u8; 8],
    /// Everything a check writes is below one of these.
    staging: String,
    sealed: String,
    named: Mutex<Vec<String>>,
}

impl Probe {
    fn new(bucket: Bucket, inner: Bucket, options: BucketOptions, http: reqwest::Client) -> Self {
        let run = random::bytes();
        let (staging, sealed) = (StagingKey::folder_of_check(run), SealedKey::folder_of_check(run));
        Self { bucket, inner, options, http, run, staging, sealed, named: Mutex::new(Vec::new()) }
    }

    /// A staging key of this run's; what is named is deleted in the end.
    fn key(&self, name: &str) -> StagingKey {
        let key = StagingKey::of_check(self.run, name);
        self.remember(key.to_string());
        key
    }

    /// A key where sealed files are, and no form may write.
    fn sealed_key(&self, name: &str) -> SealedKey {
        let key = SealedKey::of_check(self.run, name);
        self.remember(key.to_string());
        key
    }

    fn remember(&self, key: String) -> String {
        self.named.lock().unwrap_or_else(PoisonError::into_inner).push(key.clone());
        key
    }

    fn keys(&self) -> Vec<String> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
