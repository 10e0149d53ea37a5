//! The store: how many connections it gets, how long it may keep one waiting, and what it says when it refuses.

use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, HeaderMap};
use reqwest::{Body, RequestBuilder, Response, StatusCode};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, MissedTickBehavior, interval};
use url::Url;

use super::failure::{Failure, SourceError, body_text, shortened};
use super::source::Reading;
use crate::domain::web::innermost;

/// How long the bytes may stand still.
const STALL: Duration = Duration::from_mins(1);

/// How long the store may take to answer when it has them all: it may be hashing and copying gigabytes.
const ANSWER: Duration = Duration::from_mins(6);

/// Most bytes of an error that are read.
const MOST_ERROR_BYTES: usize = 256 * 1024;

/// The store as seen from here.
pub(super) struct ObjectStore {
    pub(super) http: reqwest::Client,
    connections: Semaphore,
}

impl ObjectStore {
    /// `most` connections at once, whatever goes over them: whole files, or parts of one or of several.
    pub(super) fn new(http: reqwest::Client, most: usize) -> Self {
        Self { http, connections: Semaphore::new(most) }
    }

    /// Waits for the turn of one more connection, which ends with this value.
    pub(super) async fn connection(&self) -> Option<SemaphorePermit<'_>> {
        // Nobody closes the semaphore, so there always is one.
        self.connections.acquire().await.ok()
    }

    /// Sends `size` bytes to a presigned URL.
    pub(super) async fn put<S>(&self, url: &Url, headers: HeaderMap, reading: &Reading, bytes: S, size: u64) -> Result<(), Failure>
    where
        S: futures_util::Stream<Item = Result<Vec<u8>, SourceError>> + Send + 'static,
    {
        // Said here because a stream does not know its length; without it the request would be chunked, which stores refuse.
        let request = self.http.put(url.clone()).headers(headers).header(CONTENT_LENGTH, size).body(Body::wrap_stream(bytes));
        self.send(request, url, reading, size).await
    }

    /// Sends a request whose body is what `reading` reads, `size` bytes in all.
    pub(super) async fn send(&self, request: RequestBuilder, url: &Url, reading: &Reading, size: u64) -> Result<(), Failure> {
        let store = url.origin().ascii_serialization();
        let sent = async {
            let response = request.send().await?;
            let status = response.status();
            Ok((status, if status.is_success() { String::new() } else { refusal(response).await? }))
        };
        let answer: reqwest::Result<(StatusCode, String)> = unless_stalled(sent, reading, size, &store, STALL).await?;
        // What the file did comes before what the connection made of it.
        if let Some(error) = reading.take_error() {
            return Err(error.into());
        }
        match answer {
            Ok((status, _)) if status.is_success() => Ok(()),
            Ok((status, said)) => Err(Failure::ObjectStore { status, said }),
            Err(error) if error.is_connect() => Err(Failure::NoStore { store, why: innermost(&error) }),
            Err(error) => Err(Failure::Lost { peer: store, why: innermost(&error) }),
        }
    }
}

/// What `work` yields, unless no byte moves for too long before it does.
async fn unless_stalled<T>(
    work: impl Future<Output = T>,
    reading: &Reading,
    size: u64,
    store: &str,
    stall: Duration,
) -> Result<T, Failure> {
    let mut work = std::pin::pin!(work);
    let mut ticks = interval((stall / 10).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut seen, mut since) = (reading.bytes(), Instant::now());
    loop {
        tokio::select! {
            result = &mut work => return Ok(result),
            _ = ticks.tick() => {}
        }
        let now = reading.bytes();
        if now != seen {
            (seen, since) = (now, Instant::now());
        } else if seen == size && since.elapsed() >= ANSWER {
            return Err(Failure::TimedOut { peer: store.to_owned(), after: ANSWER });
        } else if seen < size && since.elapsed() >= stall {
            return Err(Failure::Stalled { peer: store.to_owned(), after: stall });
        }
    }
}

async fn refusal(response: Response) -> reqwest::Result<String> {
    let text = body_text(response, MOST_ERROR_BYTES).await?;
    Ok(shortened(&said(&text)))
}

/// `Code: Message` of S3's error document; what else it may hold, such as the string that was to be signed, is not repeated.
pub(super) fn said(text: &str) -> String {
    match (element(text, "Code"), element(text, "Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) if text.trim().is_empty() => "nothing more".to_owned(),
        (None, None) => "something that is no S3 error; is it a store?".to_owned(),
    }
}

/// The text of the first such element. S3's errors are flat, so looking for the tags is as good as parsing.
fn element(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (inner, _) = rest.split_once(&format!("</{name}>"))?;
    // The ampersand last, so that nothing is unescaped twice.
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&#34;", "\""), ("&amp;", "&")];
    let plain = entities.iter().fold(inner.trim().to_owned(), |text, (entity, character)| text.replace(entity, character));
    (!plain.is_empty()).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_store_is_its_code_and_message_and_nothing_else() {
        let text = "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code><Message>Policy Condition failed: [&quot;eq&quot;] &amp;lt;</Message>\
                    <StringToSign>secret</StringToSign></Error>";
        assert_eq!(said(text), "AccessDenied: Policy Condition failed: [\"eq\"] &lt;");
        assert_eq!(said("<Error><Code>SlowDown</Code><Message/></Error>"), "SlowDown");
        assert_eq!(said("<Error><Code>Cut"), "something that is no S3 error; is it a store?");
        assert_eq!(said(" "), "nothing more");
    }

    #[tokio::test]
    async fn an_upload_that_stands_still_is_given_up() {
        let limit = Duration::from_millis(20);
        let never = std::future::pending::<()>();
        let failure = unless_stalled(never, &Reading::default(), 1, "http://store", limit).await.unwrap_err();
        assert!(matches!(failure, Failure::Stalled { .. }), "{failure}");
    }

    #[tokio::test]
    async fn a_store_that_has_all_bytes_may_think_longer_than_bytes_may_stand_still() {
        let answer = tokio::time::sleep(Duration::from_millis(50));
        assert!(unless_stalled(answer, &Reading::default(), 0, "http://store", Duration::from_millis(10)).await.is_ok());
    }
}
