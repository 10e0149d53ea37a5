//! Steps 1 and 3: the broker, spoken to in Desk's words.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, LOCATION, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::failure::{Failure, body_text, shortened};
use super::slip::{Arrived, SignedPart, Slip};
use super::target::Target;
use crate::domain::web::innermost;

/// How often a step is tried, the first time included.
const TRIES: u32 = 3;

/// How long a step may take with all its tries: a confirmation may have to wait for the copy of gigabytes.
const STEP_TIMEOUT: Duration = Duration::from_mins(6);

/// The wait before the second try where the broker names none; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The longest wait that a broker may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Most bytes of an answer that are read: the list of the 10 000 parts that a file can have takes about one million.
const MOST_ANSWER_BYTES: usize = 2 * 1024 * 1024;

/// What is asked for in step 1.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewUpload<'a> {
    pub(super) r#type: &'a str,
    pub(super) filename: &'a str,
    pub(super) mime_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) disposition: Option<&'a str>,
    pub(super) size: u64,
    /// Whether this client can upload in parts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) multipart: bool,
    #[serde(rename = "checksumSHA256", skip_serializing_if = "Option::is_none")]
    pub(super) checksum_sha256: Option<&'a str>,
}

/// What step 3 yields: the broker's file object as it is, and what is needed of it here.
#[derive(Debug)]
pub(super) struct UploadedFile {
    pub(super) id: i64,
    pub(super) size: u64,
    pub(super) object: serde_json::Value,
}

/// The broker as seen from here.
pub(super) struct Desk {
    http: reqwest::Client,
    target: Target,
}

impl Desk {
    pub(super) fn new(http: reqwest::Client, target: Target) -> Self {
        Self { http, target }
    }

    /// Step 1.
    pub(super) async fn authorize(&self, new: &NewUpload<'_>) -> Result<Slip, Failure> {
        let url = self.target.url("/v2/files/ref.json");
        let text = self.answer(|| self.http.post(&url).json(new)).await?;
        parsed(&text)
    }

    /// Step 3: good only when the broker says that a file of this size is active.
    pub(super) async fn confirm(&self, id: i64, size: u64) -> Result<UploadedFile, Failure> {
        #[derive(Deserialize)]
        struct Envelope {
            file: serde_json::Value,
        }
        #[derive(Deserialize)]
        struct Looked {
            state: String,
            size: u64,
        }
        let url = self.target.url(&format!("/v2/files/{id}.json"));
        let Envelope { file: object } = parsed(&self.answer(|| self.http.patch(&url)).await?)?;
        let looked = Looked::deserialize(&object).map_err(|error| Failure::BrokerNonsense(error.to_string()))?;
        if looked.state != "active" || looked.size != size {
            let Looked { state, size: landed } = looked;
            return Err(Failure::BrokerNonsense(format!("the file is {state} with {landed} bytes, and {size} bytes were sent")));
        }
        Ok(UploadedFile { id, size, object })
    }

    /// Presigned URLs for these parts of a file, whose numbers ascend.
    pub(super) async fn sign(&self, id: i64, numbers: &[u32]) -> Result<Vec<SignedPart>, Failure> {
        #[derive(Deserialize)]
        struct Signed {
            parts: Vec<SignedPart>,
        }
        let (url, wanted) = (self.parts_of(id), serde_json::json!({ "partNumbers": numbers }));
        let Signed { mut parts } = parsed(&self.answer(|| self.http.post(&url).json(&wanted)).await?)?;
        parts.sort_by_key(|part| part.part_number);
        if !parts.iter().map(|part| part.part_number).eq(numbers.iter().copied()) {
            return Err(Failure::BrokerNonsense("it signs other parts than those that were asked for".to_owned()));
        }
        Ok(parts)
    }

    /// Which parts of a file are there.
    pub(super) async fn arrived(&self, id: i64) -> Result<Arrived, Failure> {
        let url = self.parts_of(id);
        parsed(&self.answer(|| self.http.get(&url)).await?)
    }

    /// Makes the broker forget a file in parts, and the store its parts.
    pub(super) async fn give_up(&self, id: i64) -> Result<(), Failure> {
        let url = self.parts_of(id);
        self.answer(|| self.http.delete(&url)).await.map(drop)
    }

    fn parts_of(&self, id: i64) -> String {
        self.target.url(&format!("/v2/files/{id}/parts.json"))
    }

    /// The body of a good answer, within the bounds on tries and time.
    async fn answer(&self, request: impl Fn() -> RequestBuilder) -> Result<String, Failure> {
        let tries = async {
            let mut wait = FIRST_WAIT;
            for _ in 1..TRIES {
                let failure = match self.once(request()).await {
                    Err(asked) if asked.failure.may_pass() || asked.is_soon_allowed() => asked,
                    done => return done.map_err(|asked| asked.failure),
                };
                tokio::time::sleep(failure.wait.unwrap_or(wait).min(LONGEST_WAIT)).await;
                wait *= 2;
            }
            self.once(request()).await.map_err(|asked| asked.failure)
        };
        let timed_out = |_| Failure::TimedOut { peer: self.target.server().to_owned(), after: STEP_TIMEOUT };
        tokio::time::timeout(STEP_TIMEOUT, tries).await.map_err(timed_out)?
    }

    async fn once(&self, request: RequestBuilder) -> Result<String, Asked> {
        let lost = |error: reqwest::Error| Asked { failure: self.unreachable(&error), wait: None };
        let response = request.header(AUTHORIZATION, self.target.authorization.clone()).send().await.map_err(lost)?;
        let status = response.status();
        let wait = wait_asked_for(&response);
        if status.is_redirection() {
            return Err(Asked { failure: moved(&response), wait });
        }
        let text = body_text(response, MOST_ANSWER_BYTES).await.map_err(lost)?;
        if status.is_success() { Ok(text) } else { Err(Asked { failure: self.refusal(status, &text), wait }) }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let (server, why) = (self.target.server().to_owned(), innermost(error));
        if error.is_connect() { Failure::NoBroker { server, why } } else { Failure::Lost { peer: server, why } }
    }

    fn refusal(&self, status: StatusCode, text: &str) -> Failure {
        let complaints = complaints(text);
        match (status, complaints) {
            (StatusCode::UNAUTHORIZED, complaints) => {
                let complaints = complaints.unwrap_or_else(|| "it gives no reason".to_owned());
                Failure::Unauthenticated { status, complaints, token_origin: self.target.token_origin.clone() }
            }
            (StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN | StatusCode::UNPROCESSABLE_ENTITY, Some(complaints)) => {
                Failure::Refused { status, complaints }
            }
            (_, Some(complaints)) => Failure::Broker { status, complaints },
            (_, None) => Failure::Broker { status, complaints: "not in the words of a broker; is it one?".to_owned() },
        }
    }
}

/// A try that failed, and the wait before the next one when the broker named it.
struct Asked {
    failure: Failure,
    wait: Option<Duration>,
}

impl Asked {
    /// Whether too much was asked for, and soon no longer is.
    fn is_soon_allowed(&self) -> bool {
        self.failure.is_answer(StatusCode::TOO_MANY_REQUESTS) && self.wait.is_some_and(|wait| wait <= LONGEST_WAIT)
    }
}

fn wait_asked_for(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn moved(response: &Response) -> Failure {
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    // Its origin only: the rest is the path of this one request, and may hold anything.
    let origin = location.and_then(|text| response.url().join(text).ok()).map(|url| url.origin().ascii_serialization());
    Failure::BrokerMoved { status: response.status(), location: origin.unwrap_or_else(|| "no address".to_owned()) }
}

pub(super) fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| match error.classify() {
        // What is missing may be named; what is there may be a form.
        serde_json::error::Category::Data if error.to_string().starts_with("missing field") => Failure::BrokerNonsense(error.to_string()),
        _ => Failure::BrokerNonsense("it is not the JSON that was expected".to_owned()),
    })
}

/// `field message; field message` out of Desk's error body; `None` when it is none.
pub(super) fn complaints(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        errors: BTreeMap<String, Vec<String>>,
    }
    let Body { errors } = serde_json::from_str(text).ok()?;
    let complaints = errors.iter().flat_map(|(field, messages)| messages.iter().map(move |message| format!("{field} {message}")));
    let all = complaints.collect::<Vec<_>>().join("; ");
    (!all.is_empty()).then(|| shortened(&all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_complaints_of_a_broker_are_told_field_by_field() {
        assert_eq!(complaints(r#"{"errors":{"type":["must be set"],"size":["a","b"]}}"#).unwrap(), "size a; size b; type must be set");
        for other in ["", "<html>", r#"{"errors":{}}"#, r#"{"error":"x"}"#] {
            assert_eq!(complaints(other), None, "{other}");
        }
    }

    #[test]
    fn an_answer_that_is_not_understood_is_not_repeated() {
        let Err(failure) = parsed::<Slip>(r#"{"url":"http://s","params":{"policy":"hunter2","x":1},"file":{"id":1}}"#) else {
            panic!("parsed")
        };
        assert!(!failure.to_string().contains("hunter2"));
        let Err(failure) = parsed::<Slip>(r#"{"url":"http://s","file":{"id":1}}"#) else { panic!("parsed") };
        assert!(failure.to_string().contains("missing field `params`"), "{failure}");
    }

    #[test]
    fn a_wish_says_nothing_of_what_was_not_chosen() {
        let new = NewUpload {
            r#type: "image",
            filename: "a.png",
            mime_type: "",
            disposition: None,
            size: 5,
            multipart: false,
            checksum_sha256: None,
        };
        assert_eq!(serde_json::to_string(&new).unwrap(), r#"{"type":"image","filename":"a.png","mimeType":"","size":5}"#);
    }
}
