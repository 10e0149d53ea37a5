//! What is counted and timed, and its text for Prometheus.
//!
//! The metrics are statics of the process and every layer may count: whoever does something says so by one call here. Each call is one
//! or two additions to atomics; the labels are enums, so there is nothing to look up and nobody outside can make a new one. Only the
//! names of file types are the operator's, and there is a bound to how many are counted each by itself ([`file_types`]). What is
//! measured only when somebody asks (pool, queue, lag, memory) comes along in [`Gauges`] or from `/proc`.

mod funnel;
mod kinds;
mod process;

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

pub use funnel::{file, file_types};
pub use kinds::Timed;
use kinds::{Counter, Gauge, Label, Sizes, Times, by, by_both, labels, one};

/// The content type of [`text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

labels! {
    /// The way of a file: what was issued arrives, and is confirmed or rejected; what never arrives expires, or is given up.
    Step, "step": Issued = "issued", Reissued = "reissued", Arrived = "arrived", Confirmed = "confirmed", Rejected = "rejected",
    Expired = "expired", GivenUp = "given_up",
}

labels! {
    /// Why an upload was not what was granted.
    Reason, "reason": Size = "size", Type = "type", Checksum = "checksum", Pixels = "pixels", Other = "other",
}

labels! {
    /// What a request asks for.
    Operation, "operation": Slip = "slip", Reissue = "reissue", Parts = "parts", Confirm = "confirm", Read = "read", List = "list",
    Delete = "delete", Restore = "restore", Download = "download", Ticket = "ticket", Companion = "companion", Kayako = "kayako",
    KayakoClassic = "kayako_classic", Other = "other",
}

labels! {
    /// The first digit of an answer's status.
    Status, "status": Informed = "1xx", Done = "2xx", Moved = "3xx", Refused = "4xx", Failed = "5xx",
}

labels! {
    /// What there was too much of.
    Limit, "limit": OpenSlips = "open_slips", ReservedBytes = "reserved_bytes", Requests = "requests_per_second",
    Reissues = "reissues", Downloads = "downloads", BadTokens = "bad_tokens", Confirmations = "confirmations", Lists = "lists",
    Changes = "changes",
    Other = "other",
}

labels! {
    /// What a statement does: a batch of temp records of slips, another change, or reading.
    Statement, "kind": Slips = "slips", Write = "write", Read = "read",
}

labels! {
    /// A request to the bucket.
    S3, "operation": HeadObject = "HeadObject", GetObject = "GetObject", PutObject = "PutObject", CopyObject = "CopyObject",
    DeleteObject = "DeleteObject", DeleteObjects = "DeleteObjects", ListObjects = "ListObjectsV2", HeadBucket = "HeadBucket",
    CreateUpload = "CreateMultipartUpload", UploadPart = "UploadPart", CopyPart = "UploadPartCopy", CompleteUpload = "CompleteMultipartUpload",
    AbortUpload = "AbortMultipartUpload", ListParts = "ListParts", ListUploads = "ListMultipartUploads", Other = "other",
}

labels! {
    /// What the bucket said: yes; that the object is not there or is another one; anything else, also nothing.
    Outcome, "outcome": Done = "done", Absent = "absent", Failed = "failed",
}

labels! {
    /// What a sweep did.
    Swept, "what": Activated = "activated", Discarded = "discarded", Ended = "ended", Purged = "purged", Deleted = "deleted",
}

labels! {
    /// What connections to the database do.
    Connections, "state": InUse = "in_use", Idle = "idle",
}

labels! {
    /// Whether a reload found something to use.
    Reload, "outcome": Done = "done", Failed = "failed",
}

labels! {
    /// What came of sending an event to an endpoint: it arrived; it is sent again later; it is not.
    Delivery, "outcome": Delivered = "delivered", Failed = "failed", Dead = "dead",
}

labels! {
    /// What came of an object that a bucket notification speaks of. `Unreadable` is a whole message.
    Notification, "outcome": Confirmed = "confirmed", Refused = "refused", Unknown = "unknown", Ignored = "ignored", Failed = "failed",
    Unreadable = "unreadable",
}

labels! {
    /// Where events are that are kept.
    Outbox, "state": Waiting = "waiting", Dead = "dead",
}

labels! {
    /// What came of an upload that began before it was known whose it is: it was somebody's; there was no place for it; it was given up.
    Unsigned, "outcome": Signed = "signed", Busy = "busy", Gone = "gone",
}

impl Operation {
    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.text()
    }
}

impl Statement {
    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.text()
    }
}

static REJECTED: [Counter; Reason::ALL.len()] = [const { Counter::new() }; Reason::ALL.len()];
static LIMITED: [Counter; Limit::ALL.len()] = [const { Counter::new() }; Limit::ALL.len()];
static REQUESTS: [[Times; Status::ALL.len()]; Operation::ALL.len()] =
    [const { [const { Times::new() }; Status::ALL.len()] }; Operation::ALL.len()];
static QUEUED: Times = Times::new();
static BATCHES: Sizes = Sizes::new();
static STATEMENTS: [Times; Statement::ALL.len()] = [const { Times::new() }; Statement::ALL.len()];
static CONNECTING: Times = Times::new();
static WAITING: Gauge = Gauge::new();
static DATABASE_FAILURES: Counter = Counter::new();
static S3_TIMES: [Times; S3::ALL.len()] = [const { Times::new() }; S3::ALL.len()];
static S3_OUTCOMES: [[Counter; Outcome::ALL.len()]; S3::ALL.len()] =
    [const { [const { Counter::new() }; Outcome::ALL.len()] }; S3::ALL.len()];
static SWEEPS: Times = Times::new();
static SWEEP_FAILURES: Counter = Counter::new();
static SWEPT: [Counter; Swept::ALL.len()] = [const { Counter::new() }; Swept::ALL.len()];
static LAST_SWEEP: Gauge = Gauge::new();
static DELIVERIES: [Counter; Delivery::ALL.len()] = [const { Counter::new() }; Delivery::ALL.len()];
static NOTIFICATIONS: [Counter; Notification::ALL.len()] = [const { Counter::new() }; Notification::ALL.len()];
static QUEUE_FAILURES: Counter = Counter::new();
static UNSIGNED: [Counter; Unsigned::ALL.len()] = [const { Counter::new() }; Unsigned::ALL.len()];
static RELOADS: [Counter; Reload::ALL.len()] = [const { Counter::new() }; Reload::ALL.len()];

// ---- counting ----

/// An upload of a file of that type was rejected; `fields` are those that were complained about.
pub fn rejected<'a>(type_name: &str, fields: impl Iterator<Item = &'a str>) {
    file(Step::Rejected, type_name);
    let mut reasons = [false; Reason::ALL.len()];
    for field in fields {
        let reason = match field {
            "size" => Reason::Size,
            "mimeType" => Reason::Type,
            "checksumSHA256" => Reason::Checksum,
            "pixels" => Reason::Pixels,
            _ => Reason::Other,
        };
        if let Some(seen) = reasons.get_mut(reason.index()) {
            *seen = true;
        }
    }
    Reason::ALL.iter().zip(reasons).filter(|(_, seen)| *seen).for_each(|(reason, _)| add(&REJECTED, *reason, 1));
}

/// A request was refused because there is too much of `what`, as the refusal says it.
pub fn limited(what: &str) {
    let limit = match what {
        "open slips" => Limit::OpenSlips,
        "reserved bytes" => Limit::ReservedBytes,
        "requests per second" => Limit::Requests,
        "re-issued slips of this file" => Limit::Reissues,
        "downloads of this at the same time" | "downloads from your address at the same time" => Limit::Downloads,
        "bad tokens" => Limit::BadTokens,
        "changes of this file" => Limit::Changes,
        "confirmations at the same time" => Limit::Confirmations,
        "lists at the same time" => Limit::Lists,
        _ => Limit::Other,
    };
    add(&LIMITED, limit, 1);
}

/// A request was answered.
pub fn request(operation: Operation, status: u16, took: Duration) {
    let class = match status / 100 {
        1 => Status::Informed,
        2 => Status::Done,
        3 => Status::Moved,
        4 => Status::Refused,
        _ => Status::Failed,
    };
    if let Some(times) = REQUESTS.get(operation.index()).and_then(|row| row.get(class.index())) {
        times.took(took);
    }
}

/// A temp record waited so long for its batch.
pub fn queued(time: Duration) {
    QUEUED.took(time);
}

/// So many temp records are written at once.
pub fn batch(records: usize) {
    BATCHES.observe(records as u64);
}

/// The database works on a statement, or a transaction, until the answer is dropped.
pub fn statement(kind: Statement) -> Timed {
    Timed::new(STATEMENTS.get(kind.index()).unwrap_or(&QUEUED), None)
}

/// Somebody waits for a connection to the database until the answer is dropped.
pub fn connecting() -> Timed {
    Timed::new(&CONNECTING, Some(&WAITING))
}

/// The database did not do what it was asked.
pub fn database_failed() {
    DATABASE_FAILURES.add(1);
}

/// The bucket answered a request, or did not in time: `operation` as S3 calls it.
pub fn s3(operation: &str, outcome: Outcome, took: Duration) {
    let operation = S3::ALL.iter().find(|known| known.text() == operation).copied().unwrap_or(S3::Other);
    if let (Some(times), Some(outcomes)) = (S3_TIMES.get(operation.index()), S3_OUTCOMES.get(operation.index())) {
        times.took(took);
        add(outcomes, outcome, 1);
    }
}

/// A sweep ended; what it did, if it did not fail.
pub fn sweep(took: Duration, done: Option<[(Swept, usize); Swept::ALL.len()]>) {
    SWEEPS.took(took);
    match done {
        Some(done) => {
            for (what, count) in done {
                add(&SWEPT, what, count as u64);
            }
            LAST_SWEEP.set(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed()));
        }
        None => SWEEP_FAILURES.add(1),
    }
}

/// So many events were sent, or given up, with that outcome.
pub fn deliveries(outcome: Delivery, count: u64) {
    add(&DELIVERIES, outcome, count);
}

/// A bucket notification, or one of its objects, came to that.
pub fn notification(outcome: Notification) {
    add(&NOTIFICATIONS, outcome, 1);
}

/// The queue of bucket notifications could not be read.
pub fn queue_failed() {
    QUEUE_FAILURES.add(1);
}

/// An upload that began before it was known whose it is came to that.
pub fn unsigned(outcome: Unsigned) {
    add(&UNSIGNED, outcome, 1);
}

/// The configuration was read again.
pub fn reloaded(outcome: Reload) {
    add(&RELOADS, outcome, 1);
}

/// The program starts to serve.
pub fn started() {
    process::started();
}

fn add<L: Label>(counters: &[Counter], label: L, count: u64) {
    if let Some(counter) = counters.get(label.index()) {
        counter.add(count);
    }
}

// ---- telling ----

/// What is measured when somebody asks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gauges {
    /// Connections to the database that somebody works on.
    pub in_use: u32,
    /// Connections to the database that wait for work.
    pub idle: u32,
    /// Most connections to the database.
    pub most: u32,
    /// Temp records that wait to be written.
    pub queued: usize,
    /// Since when the oldest expired slip has been due to be swept; `None` when the database did not say.
    pub expired_lag: Option<Duration>,
    /// Since when the oldest doomed object has been.
    pub doomed_lag: Option<Duration>,
    /// What is in the outbox of events; `None` when the database did not say.
    pub outbox: Option<Backlog>,
}

/// What is in the outbox of events, each counted up to a bound.
#[derive(Debug, Clone, Copy, Default)]
pub struct Backlog {
    /// Events that are to be sent, for the first time or again.
    pub waiting: u32,
    /// How long ago the oldest of them happened.
    pub oldest: Duration,
    /// Events that were given up and not forgotten yet.
    pub dead: u32,
}

/// Everything, as Prometheus reads it: the `OpenMetrics` text format, see [`CONTENT_TYPE`].
///
/// # Errors
/// None that happens: the text is kept in memory.
pub fn text(gauges: Gauges) -> Result<String, fmt::Error> {
    let (mut registry, mut text) = (Registry::default(), String::with_capacity(64 * 1024));
    registry.register_collector(Box::new(gauges));
    encode(&mut text, &registry)?;
    Ok(text)
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        funnel::encode(encoder)?;
        by::<Reason, _>(encoder, "dropslip_rejections", "Complaints about uploads that were not as granted.", &REJECTED)?;
        by::<Limit, _>(encoder, "dropslip_limited", "Requests refused because an actor or tenant asks for too much.", &LIMITED)?;
        let help = "Uploads that began before it was known whose they are.";
        by::<Unsigned, _>(encoder, "dropslip_unsigned_uploads", help, &UNSIGNED)?;
        by_both::<Operation, Status, _, _>(encoder, "dropslip_request_seconds", "Time to answer requests, in seconds.", &REQUESTS)?;
        self.database(encoder)?;
        by::<S3, _>(encoder, "dropslip_s3_seconds", "Time of requests to the bucket with all their tries, in seconds.", &S3_TIMES)?;
        by_both::<S3, Outcome, _, _>(encoder, "dropslip_s3_requests", "Requests to the bucket by what it said.", &S3_OUTCOMES)?;
        self.sweeping(encoder)?;
        self.events(encoder)?;
        by::<Reload, _>(encoder, "dropslip_reloads", "How often the configuration was read again.", &RELOADS)?;
        build(encoder)?;
        process::encode(encoder)
    }
}

impl Gauges {
    #[expect(clippy::cast_precision_loss, reason = "a queue has a few thousand places")]
    fn database(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        by::<Statement, _>(encoder, "dropslip_database_seconds", "Time of statements and transactions, in seconds.", &STATEMENTS)?;
        one(encoder, "dropslip_database_wait_seconds", "Time until there was a connection to the database, in seconds.", &CONNECTING)?;
        one(encoder, "dropslip_database_waiting", "Those who wait for a connection now.", &WAITING)?;
        let connections = [f64::from(self.in_use), f64::from(self.idle)];
        by::<Connections, _>(encoder, "dropslip_database_connections", "Open connections to the database.", &connections)?;
        one(encoder, "dropslip_database_connections_most", "Most connections to the database.", &f64::from(self.most))?;
        one(encoder, "dropslip_database_failures", "Statements and connections that failed.", &DATABASE_FAILURES)?;
        one(encoder, "dropslip_writer_wait_seconds", "Time that slips waited for their batch, in seconds.", &QUEUED)?;
        one(encoder, "dropslip_writer_queue", "Slips that wait to be written now.", &(self.queued as f64))?;
        one(encoder, "dropslip_writer_batch_records", "Slips written at once.", &BATCHES)
    }

    fn sweeping(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        one(encoder, "dropslip_sweep_seconds", "Time of sweeps, in seconds.", &SWEEPS)?;
        one(encoder, "dropslip_sweep_failures", "Sweeps that did not end.", &SWEEP_FAILURES)?;
        by::<Swept, _>(encoder, "dropslip_swept", "What sweeps did.", &SWEPT)?;
        one(encoder, "dropslip_sweep_last_success_timestamp_seconds", "When a sweep ended well, in seconds since 1970.", &LAST_SWEEP)?;
        if let (Some(expired), Some(doomed)) = (self.expired_lag, self.doomed_lag) {
            let lags = [expired.as_secs_f64(), doomed.as_secs_f64()];
            by::<Lagging, _>(encoder, "dropslip_sweep_lag_seconds", "How long the oldest thing has been due to be swept.", &lags)?;
        }
        Ok(())
    }
}

impl Gauges {
    fn events(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        by::<Delivery, _>(encoder, "dropslip_event_deliveries", "Events sent to webhooks by what came of it.", &DELIVERIES)?;
        by::<Notification, _>(
            encoder,
            "dropslip_notifications",
            "What bucket notifications spoke of, by what came of it.",
            &NOTIFICATIONS,
        )?;
        one(encoder, "dropslip_notification_queue_failures", "Reads of the queue of notifications that failed.", &QUEUE_FAILURES)?;
        if let Some(Backlog { waiting, oldest, dead }) = self.outbox {
            by::<Outbox, _>(encoder, "dropslip_events", "Events that wait, or were given up.", &[f64::from(waiting), f64::from(dead)])?;
            one(encoder, "dropslip_events_oldest_seconds", "How long ago the oldest event that waits happened.", &oldest.as_secs_f64())?;
        }
        Ok(())
    }
}

labels! {
    /// What waits for a sweep.
    Lagging, "what": Expired = "expired", Doomed = "doomed",
}

/// Which program this is.
fn build(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("commit", env!("BUILD_COMMIT")), ("rustc", env!("BUILD_RUSTC"))];
    let mut info = encoder.encode_descriptor("dropslip_build_info", "Which program this is; always 1.", None, MetricType::Gauge)?;
    info.encode_family(&labels)?.encode_gauge(&1_u32)
}
