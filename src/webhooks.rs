//! Webhooks: events from the outbox to endpoints, signed, at least once, in order for each file.
//!
//! Each endpoint has a worker of its own, so that a slow one keeps nobody waiting. It takes events on for a minute, sends a few at
//! the same time and writes down what came of each. What it had taken on when its broker died, another takes on after that.
//!
//! The endpoints can be replaced under way: whose entry is the same keeps its worker, others end theirs or get one.

mod endpoint;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod once;
mod signature;
mod target;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::database::{Database, DatabaseClock, DatabaseError, Lease, Leased, Outcome};
use crate::domain::web::innermost;
use crate::failpoint;
use crate::metrics::{self, Delivery};
use crate::random;
pub use endpoint::{Endpoint, Secret, parse};

/// How many events are on their way to one endpoint from one broker at the same time.
const AT_ONCE: usize = 8;

/// How long an event is left to whoever took it on: well beyond the longest request.
const LEASE: time::Duration = time::Duration::minutes(1);
const _: () = assert!(LEASE.whole_seconds().cast_unsigned() > 3 * target::REQUEST_TIMEOUT.as_secs());

/// How often the outbox is looked into for what others wrote, or what is to be tried again.
const LOOK: Duration = Duration::from_secs(1);

/// How long a database that fails is left alone.
const STORE_PAUSE: Duration = Duration::from_secs(5);

/// How often it is looked whether another broker heard that an endpoint wants nothing more.
const GONE_LOOK: Duration = Duration::from_secs(10);

/// After so many failures in a row an endpoint gets one event at a time, with pauses that double up to a minute.
const FAILURES_IN_A_ROW: u32 = 5;
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How far an answer can put off the next attempt.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(24);

/// Bytes of an answer that are read, so that its connection can be used again.
const ANSWER_BYTES: usize = 16 * 1024;

/// Every endpoint and what is sent to it.
pub struct Webhooks {
    database: Database,
    targets: watch::Sender<Targets>,
    /// How long to wait after each failure but the last.
    retry: Vec<Duration>,
}

type Targets = Arc<[Arc<Target>]>;

struct Target {
    endpoint: Endpoint,
    http: reqwest::Client,
    /// It answered 410.
    gone: AtomicBool,
    /// Failures in a row.
    failures: AtomicU32,
}

/// What an endpoint said.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status; `None` when it did not answer.
    pub status: Option<StatusCode>,
    /// The same for people.
    pub said: String,
    retry_after: Option<Duration>,
}

impl Answer {
    /// Whether the event arrived.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.status.is_some_and(|status| status.is_success())
    }
}

/// What was done with the events that were due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// Arrived.
    pub delivered: usize,
    /// To be tried again later.
    pub deferred: usize,
    /// Given up.
    pub dead: usize,
}

impl Webhooks {
    /// Prepares what sends; nothing is sent yet.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(database: Database, endpoints: Vec<Endpoint>, retry: Vec<Duration>) -> reqwest::Result<Self> {
        Ok(Self { database, targets: watch::Sender::new(targets(endpoints, &[])?), retry })
    }

    /// From now on these are sent to. What is under way to others ends as it began.
    ///
    /// # Errors
    /// When no HTTP client can be made; nothing is replaced then.
    pub fn replace(&self, endpoints: Vec<Endpoint>) -> reqwest::Result<()> {
        let before = self.targets();
        self.targets.send_replace(targets(endpoints, &before)?);
        Ok(())
    }

    fn targets(&self) -> Targets {
        self.targets.borrow().clone()
    }

    /// Sends what is due to every endpoint until `stop`, then ends what is under way.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let (mut replaced, mut workers) = (self.targets.subscribe(), JoinSet::new());
        let mut served: Vec<(Arc<Target>, CancellationToken)> = Vec::new();
        while !stop.is_cancelled() {
            let targets = replaced.borrow_and_update().clone();
            served.retain(|(target, ending)| {
                let stays = targets.iter().any(|other| Arc::ptr_eq(target, other));
                if !stays {
                    ending.cancel();
                }
                stays
            });
            for target in targets.iter() {
                if !served.iter().any(|(other, _)| Arc::ptr_eq(target, other)) {
                    let ending = stop.child_token();
                    served.push((target.clone(), ending.clone()));
                    let (sender, target) = (self.clone(), target.clone());
                    workers.spawn(async move { sender.keep_serving(&target, &ending).await });
                }
            }
            tokio::select! {
                Ok(()) = replaced.changed() => {}
                Some(_) = workers.join_next() => {}
                () = stop.cancelled() => {}
            }
        }
        while workers.join_next().await.is_some() {}
    }

    /// Serves one endpoint until `stop`, from the beginning should that panic.
    async fn keep_serving(self: &Arc<Self>, target: &Arc<Target>, stop: &CancellationToken) {
        loop {
            let (sender, served, ending) = (self.clone(), target.clone(), stop.clone());
            let Err(error) = tokio::spawn(async move { sender.serve(&served, &ending).await }).await else { return };
            tracing::error!(endpoint = target.endpoint.name, %error, "the worker of an endpoint failed; another takes its place");
            if stop.run_until_cancelled(tokio::time::sleep(STORE_PAUSE)).await.is_none() {
                return;
            }
        }
    }

    async fn serve(self: &Arc<Self>, target: &Arc<Target>, stop: &CancellationToken) {
        let name = target.endpoint.name.as_str();
        // Tasks of their own: one that is not polled while the next events are taken on could hold the connection that takes them.
        let mut under_way = JoinSet::new();
        let (mut paused_until, mut gone_asked, mut clock) = (Instant::now(), None::<Instant>, DatabaseClock::default());
        while !stop.is_cancelled() {
            if gone_asked.is_none_or(|asked| asked.elapsed() > GONE_LOOK) {
                gone_asked = Some(Instant::now());
                self.look_whether_gone(target).await;
            }
            let most = if target.failures.load(Ordering::Relaxed) < FAILURES_IN_A_ROW { AT_ONCE } else { 1 };
            let free = most.saturating_sub(under_way.len());
            let mut taken = 0;
            if free > 0 && Instant::now() >= paused_until {
                let leased = async {
                    let lease = Lease::of(LEASE, clock.now(&self.database).await?);
                    let most = u32::try_from(free).unwrap_or(1);
                    Ok((lease, self.database.lease_events(name, OffsetDateTime::now_utc(), lease, most).await?))
                };
                match leased.await {
                    Ok((lease, leased)) => {
                        taken = leased.len();
                        if taken > 0 {
                            failpoint::reach("event: leased");
                        }
                        for event in leased {
                            let (sender, target) = (self.clone(), target.clone());
                            under_way.spawn(async move { sender.deliver(&target, event, lease, &OffsetDateTime::now_utc).await });
                        }
                    }
                    Err::<_, DatabaseError>(error) => {
                        tracing::warn!(endpoint = name, %error, "the outbox cannot be read now");
                        paused_until = Instant::now() + STORE_PAUSE;
                    }
                }
            }
            // Only when all there was is under way, there is time to wait for more.
            let more = async {
                if taken == free && taken > 0 {
                    std::future::pending::<()>().await;
                }
                let woken = async {
                    self.database.events_appended().await;
                    // A pause is a pause.
                    tokio::time::sleep_until(paused_until.into()).await;
                };
                let _ = tokio::time::timeout(LOOK, woken).await;
            };
            tokio::select! {
                Some(settled) = under_way.join_next() => match settled {
                    Ok(Ok((_, pause))) => paused_until = paused_until.max(Instant::now() + pause),
                    // Its lease runs out, and it is sent again.
                    Ok(Err(error)) => {
                        tracing::warn!(endpoint = name, %error, "what came of an event cannot be written down now");
                        paused_until = Instant::now() + STORE_PAUSE;
                    }
                    Err(error) => tracing::error!(endpoint = name, %error, "sending an event failed"),
                },
                () = more => {}
                () = stop.cancelled() => {}
            }
        }
        while under_way.join_next().await.is_some() {}
    }

    /// Sends one event and writes down what came of it; also how long the endpoint is to be left alone.
    async fn deliver(
        &self,
        target: &Target,
        event: Leased,
        lease: Lease,
        clock: &impl Fn() -> OffsetDateTime,
    ) -> Result<(Outcome, Duration), DatabaseError> {
        let name = target.endpoint.name.as_str();
        let answer = if self.is_gone(target).await? {
            Answer { status: None, said: "not sent: the endpoint is gone".to_owned(), retry_after: None }
        } else {
            target.send(&event.event_id, event.payload.clone(), clock()).await
        };
        failpoint::reach("event: sent");
        let now = clock();
        if answer.status == Some(StatusCode::GONE) {
            tracing::warn!(endpoint = name, "an endpoint answered 410: nothing more is sent to it until `dropslip events enable`");
            self.database.endpoint_is_gone(name, target.endpoint.url.as_str(), now).await?;
            target.gone.store(true, Ordering::Relaxed);
        }
        let gone = !answer.is_success() && self.is_gone(target).await?;
        let (outcome, pause) = if gone { (Outcome::Dead, Duration::ZERO) } else { self.judged(target, &event, &answer, now) };
        let settled = self.database.settle_event(&event, lease.until, &outcome, &answer.said, now).await?;
        failpoint::reach("event: settled");
        // What another broker took on meanwhile is counted there.
        if settled {
            metrics::deliveries(
                match &outcome {
                    Outcome::Delivered => Delivery::Delivered,
                    Outcome::Later(_) => Delivery::Failed,
                    Outcome::Dead => Delivery::Dead,
                },
                1,
            );
        }
        match &outcome {
            Outcome::Delivered => tracing::debug!(endpoint = name, event = event.event_id, settled, "event delivered"),
            Outcome::Later(at) => {
                tracing::info!(endpoint = name, event = event.event_id, attempt = event.attempts, answer = answer.said, again_at = %at, "event not delivered");
            }
            Outcome::Dead => {
                tracing::warn!(endpoint = name, event = event.event_id, attempt = event.attempts, answer = answer.said, "event given up");
            }
        }
        Ok((outcome, pause))
    }

    fn judged(&self, target: &Target, event: &Leased, answer: &Answer, now: OffsetDateTime) -> (Outcome, Duration) {
        if answer.is_success() {
            target.failures.store(0, Ordering::Relaxed);
            return (Outcome::Delivered, Duration::ZERO);
        }
        let failures = target.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let doubled = Duration::from_secs(1 << failures.saturating_sub(FAILURES_IN_A_ROW).min(6)).min(LONGEST_PAUSE);
        let tired = if failures < FAILURES_IN_A_ROW { Duration::ZERO } else { doubled };
        // Whoever says how long to wait speaks for all its events, but a minute is enough to be sure of that.
        let asked = answer.retry_after.unwrap_or_default();
        let pause = tired.max(asked.min(LONGEST_PAUSE));
        let tried = usize::try_from(event.attempts).unwrap_or(usize::MAX);
        let outcome = match tried.checked_sub(1).and_then(|last| self.retry.get(last)) {
            Some(delay) => Outcome::Later(now + with_jitter(*delay).max(asked)),
            None => Outcome::Dead,
        };
        (outcome, pause)
    }

    /// Whether an endpoint wants nothing more. What was heard of it may be over, and events are given up for it: the database tells.
    async fn is_gone(&self, target: &Target) -> Result<bool, DatabaseError> {
        if !target.gone.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let gone = self.database.endpoint_gone_since(&target.endpoint.name, target.endpoint.url.as_str()).await?.is_some();
        target.gone.store(gone, Ordering::Relaxed);
        Ok(gone)
    }

    async fn look_whether_gone(&self, target: &Target) {
        match self.database.endpoint_gone_since(&target.endpoint.name, target.endpoint.url.as_str()).await {
            Ok(since) => target.gone.store(since.is_some(), Ordering::Relaxed),
            Err(error) => tracing::warn!(endpoint = target.endpoint.name, %error, "whether an endpoint is gone cannot be read now"),
        }
    }
}

impl Target {
    async fn send(&self, event_id: &str, payload: String, now: OffsetDateTime) -> Answer {
        let timestamp = now.unix_timestamp();
        let signatures = signature::signatures(&self.endpoint.secrets, event_id, timestamp, &payload);
        let request = self
            .http
            .post(self.endpoint.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", event_id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signatures)
            .body(payload);
        match request.send().await {
            Ok(mut response) => {
                let status = response.status();
                let retry_after = retry_after(response.headers(), now);
                let mut read = 0;
                while let Ok(Some(chunk)) = response.chunk().await {
                    read += chunk.len();
                    if read > ANSWER_BYTES {
                        break;
                    }
                }
                Answer { status: Some(status), said: status.to_string(), retry_after }
            }
            Err(error) => Answer { status: None, said: reason(error), retry_after: None },
        }
    }
}

/// What is sent to, one for each endpoint; those that are the same as before are kept, with what is known of them.
fn targets(endpoints: Vec<Endpoint>, before: &[Arc<Target>]) -> reqwest::Result<Targets> {
    let targets = endpoints.into_iter().map(|endpoint| {
        if let Some(same) = before.iter().find(|target| target.endpoint == endpoint) {
            return Ok(same.clone());
        }
        let http = target::client(&endpoint.url, endpoint.allow_private)?;
        Ok(Arc::new(Target { endpoint, http, gone: AtomicBool::new(false), failures: AtomicU32::new(0) }))
    });
    targets.collect()
}

/// Why there was no answer.
fn reason(error: reqwest::Error) -> String {
    if error.is_timeout() { "no answer in time".to_owned() } else { innermost(&error.without_url()) }
}

/// When an endpoint wants to be asked again, in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: OffsetDateTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let until = |date: OffsetDateTime| Duration::try_from(date - now).unwrap_or(Duration::ZERO);
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => until(OffsetDateTime::parse(text, &Rfc2822).ok()?),
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

/// Up to a fifth longer, so that what failed together is not tried again together.
fn with_jitter(delay: Duration) -> Duration {
    let share = u32::from(u16::from_ne_bytes(random::bytes()));
    delay + delay / 5 * share / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn jitter_is_a_fifth_at_most() {
        for _ in 0..1000 {
            let delay = with_jitter(Duration::from_hours(24));
            assert!((24 * 3600..=24 * 3600 * 6 / 5).contains(&delay.as_secs()), "{delay:?}");
        }
        assert_eq!(with_jitter(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let now = datetime!(2026-01-02 03:04:05 UTC);
        let said = |text: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]), now).map(|wait| wait.as_secs());
        assert_eq!(said("120"), Some(120));
        assert_eq!(said("Fri, 02 Jan 2026 03:05:05 GMT"), Some(60));
        assert_eq!(said("Fri, 02 Jan 2026 03:00:00 GMT"), Some(0));
        assert_eq!(said("99999999999"), Some(24 * 3600));
        assert_eq!(said("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
