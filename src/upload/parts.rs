//! Step 2 in parts: several at once, each read from its offset and tried again by itself.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::ProgressBar;
use tokio::sync::Mutex;

use super::desk::Desk;
use super::failure::Failure;
use super::object_store::ObjectStore;
use super::slip::{Cut, SignedPart};
use super::source::Source;

/// How often a part is sent, the first time included.
const TRIES: u32 = 5;

/// The wait before the second try; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// An upload in parts, and what goes into it.
pub(super) struct Parts<'a> {
    pub(super) desk: &'a Desk,
    pub(super) store: &'a ObjectStore,
    pub(super) source: &'a Source,
    pub(super) bar: &'a ProgressBar,
    /// The file's number.
    pub(super) id: i64,
    pub(super) cut: Cut,
    /// How many parts may be under way; those of other files count as well when it comes to connections.
    pub(super) at_once: usize,
}

impl Parts<'_> {
    /// Sends these parts, whose numbers ascend; the first one that cannot be sent ends the others.
    pub(super) async fn send(&self, numbers: &[u32]) -> Result<(), Failure> {
        let left: u64 = numbers.iter().map(|number| self.cut.length(*number)).sum();
        // What was there before is no speed of today.
        self.bar.set_position(self.source.size() - left);
        self.bar.reset_eta();
        // Few at a time: asking for URLs is what keeps the slip alive, and a URL that waits for its turn may expire.
        let urls = Urls { parts: self, numbers, batch: 2 * self.at_once, signed: Mutex::default() };
        let sending = stream::iter(numbers.iter().copied()).map(|number| self.send_one(number, &urls));
        sending.buffer_unordered(self.at_once).try_collect::<()>().await
    }

    async fn send_one(&self, number: u32, urls: &Urls<'_>) -> Result<(), Failure> {
        let (mut wait, mut refused) = (FIRST_WAIT, false);
        for attempt in 1.. {
            let connection = self.store.connection().await;
            // Any but the first try has a fresh URL: it costs little, and stores do not agree on how they say that one expired.
            let signed = if attempt == 1 { urls.of(number).await? } else { self.sign(&[number]).await?.remove(0) };
            let Err(failure) = self.put(&signed).await else { break };
            drop(connection);
            let is_refusal = failure.is_refusal();
            let again = failure.may_pass() || matches!(failure, Failure::Stalled { .. }) || (is_refusal && !refused);
            if !again || attempt == TRIES {
                return Err(failure);
            }
            // Refused twice in a row, and the second time with a URL of that moment: it is not a matter of time.
            refused = is_refusal;
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        Ok(())
    }

    async fn put(&self, signed: &SignedPart) -> Result<(), Failure> {
        let headers = signed.headers.headers()?;
        let (range, length) = (self.cut.range(signed.part_number), self.cut.length(signed.part_number));
        let (reading, bytes) = self.source.read(range, self.bar).await?;
        let done = self.store.put(&signed.url, headers, &reading, bytes, length).await;
        if done.is_err() {
            self.bar.dec(reading.bytes());
        }
        done
    }

    async fn sign(&self, numbers: &[u32]) -> Result<Vec<SignedPart>, Failure> {
        let signed = self.desk.sign(self.id, numbers).await?;
        let as_cut = |part: &SignedPart| part.size.is_none_or(|size| size == self.cut.length(part.part_number));
        if !signed.iter().all(as_cut) {
            return Err(Failure::BrokerNonsense("it signs a part of another size than it named before".to_owned()));
        }
        Ok(signed)
    }
}

/// URLs of the parts that are sent next.
struct Urls<'a> {
    parts: &'a Parts<'a>,
    numbers: &'a [u32],
    batch: usize,
    signed: Mutex<HashMap<u32, SignedPart>>,
}

impl Urls<'_> {
    /// Hands out the URL of a part, once; asks for those of its neighbours when it asks.
    async fn of(&self, number: u32) -> Result<SignedPart, Failure> {
        // Held while the broker is asked, so that nobody asks for the same parts.
        let mut signed = self.signed.lock().await;
        if !signed.contains_key(&number) {
            let batch = self.numbers.chunks(self.batch.max(1)).find(|batch| batch.contains(&number)).unwrap_or(&[]);
            signed.extend(self.parts.sign(batch).await?.into_iter().map(|part| (part.part_number, part)));
        }
        signed.remove(&number).ok_or_else(|| Failure::Defect(format!("part {number} has no URL")))
    }
}
