//! Why a file did not become active, said once and completely.

use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;
use serde::Serialize;

/// Where an upload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Step {
    /// The file itself could not be read.
    Read,
    /// Step 1: asking the broker for a slip.
    Authorize,
    /// Step 2: dropping the bytes into the store.
    Upload,
    /// Step 3: making the broker look at what landed.
    Confirm,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Authorize => "authorize",
            Self::Upload => "upload",
            Self::Confirm => "confirm",
        })
    }
}

/// A step and why it failed.
#[derive(Debug, thiserror::Error)]
#[error("{}{failure}{}", prefix(*.step, failure), suffix(unfinished.as_ref()))]
pub(super) struct StepError {
    pub(super) step: Step,
    pub(super) failure: Failure,
    /// What `--resume` can go on with.
    pub(super) unfinished: Option<Unfinished>,
}

/// An upload in parts that can be gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unfinished {
    /// The file's number at the broker.
    pub(super) id: i64,
    /// Whether this machine remembers it.
    pub(super) remembered: bool,
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { id, remembered: true } => write!(f, "the same command with --resume goes on with it (id {id})"),
            Self { id, remembered: false } => write!(f, "the same command with --resume={id} goes on with it"),
        }
    }
}

fn suffix(unfinished: Option<&Unfinished>) -> String {
    unfinished.map(|unfinished| format!("; {unfinished}")).unwrap_or_default()
}

/// What a file is refused for says by itself what happened; all else needs to say during what.
fn prefix(step: Step, failure: &Failure) -> String {
    match failure {
        Failure::Refused { .. } | Failure::Source(_) => String::new(),
        _ => format!("{step}: "),
    }
}

/// What went wrong, in no step yet. Neither token, form nor URL with a query is in any of these.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The file cannot be read, or is not what it was when it was opened.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The broker does not want this file.
    #[error("refused: {complaints}")]
    Refused { status: StatusCode, complaints: String },
    /// The broker does not take the token.
    #[error("the broker does not accept the token from {token_origin}: {complaints}")]
    Unauthenticated { status: StatusCode, complaints: String, token_origin: String },
    /// The broker answered with something else than success.
    #[error("the broker answers {status}: {complaints}")]
    Broker { status: StatusCode, complaints: String },
    /// The broker, or what stands before it, wants to be asked elsewhere.
    #[error("the broker answers {status} and names {location}; give the right address with --server")]
    BrokerMoved { status: StatusCode, location: String },
    /// Nothing listens where the broker should be.
    #[error("no broker at {server}: {why}; start one with `dropslip serve`, or name its address with --server or DROPSLIP_SERVER")]
    NoBroker { server: String, why: String },
    /// The broker answered something that is no answer to the question.
    #[error("the broker's answer makes no sense: {0}")]
    BrokerNonsense(String),
    /// The store does not take the form.
    #[error("the store answers {status}: {said}")]
    ObjectStore { status: StatusCode, said: String },
    /// Nothing listens where the store should be.
    #[error("no store at {store}: {why}")]
    NoStore { store: String, why: String },
    /// A connection that stood was lost.
    #[error("the connection to {peer} was lost: {why}")]
    Lost { peer: String, why: String },
    /// No answer in time.
    #[error("no answer from {peer} within {} seconds", .after.as_secs())]
    TimedOut { peer: String, after: Duration },
    /// The bytes stopped moving.
    #[error("nothing moved to {peer} for {} seconds", .after.as_secs())]
    Stalled { peer: String, after: Duration },
    /// What `--resume` names is an upload of something else.
    #[error("file {id} is no upload in parts of {size} bytes: it is not this file's")]
    OtherFile { id: i64, size: u64 },
    /// The checksum that was asked for now would have had to be declared when the upload began.
    #[error("is active as id {id}, but its upload was begun without --checksum: nothing compared its bytes")]
    NoChecksum { id: i64 },
    /// A bug in this client.
    #[error("a defect of dropslip: {0}")]
    Defect(String),
}

/// What can be wrong with a file on disk.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    #[error("cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    #[error("there is no such file")]
    Missing,
    #[error("is a directory; name the files in it")]
    Directory,
    #[error("is neither a file nor a link to one")]
    NotRegular,
    #[error("became shorter while it was read: {size} bytes when it was opened, {read} now")]
    Shrank { size: u64, read: u64 },
    #[error("became longer while it was read: it had {size} bytes when it was opened")]
    Grew { size: u64 },
    #[error("was written to while it was read")]
    Changed,
}

impl Failure {
    /// The failure of this step.
    pub(super) fn at(self, step: Step) -> StepError {
        StepError { step, failure: self, unfinished: None }
    }

    /// The failure of step 2, or of the file on disk.
    pub(super) fn at_the_drop(self) -> StepError {
        let step = if matches!(self, Self::Source(_)) { Step::Read } else { Step::Upload };
        self.at(step)
    }

    /// Whether the same request may well succeed a little later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::NoBroker { .. } | Self::NoStore { .. } | Self::Lost { .. } => true,
            Self::Broker { status, .. } => {
                matches!(*status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
            }
            Self::ObjectStore { status, .. } => {
                status.is_server_error() || matches!(*status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
            }
            _ => false,
        }
    }

    /// Whether the file on disk is not what it was, so that nothing that was uploaded of it is of any use.
    pub(super) fn is_changed_source(&self) -> bool {
        use SourceError::{Changed, Grew, Shrank};
        matches!(self, Self::Source(Shrank { .. } | Grew { .. } | Changed))
    }

    /// Whether that is what the broker or the store answers.
    pub(super) fn is_answer(&self, expected: StatusCode) -> bool {
        self.status() == Some(expected.as_u16())
    }

    /// Whether the store refused what was sent, be it that its time is over: Garage says 400 then, others 403.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::ObjectStore { status, .. } if [StatusCode::FORBIDDEN, StatusCode::BAD_REQUEST].contains(status))
    }

    /// Whether the store refused the form because its time is over, which a new slip mends.
    pub(super) fn is_expired_form(&self) -> bool {
        self.is_refusal() && matches!(self, Self::ObjectStore { said, .. } if said.to_lowercase().contains("expir"))
    }

    /// The HTTP status, when there was an answer.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. }
            | Self::Unauthenticated { status, .. }
            | Self::Broker { status, .. }
            | Self::BrokerMoved { status, .. }
            | Self::ObjectStore { status, .. } => Some(status.as_u16()),
            _ => None,
        }
    }
}

/// The first `most` bytes of an answer.
pub(super) async fn body_text(mut response: reqwest::Response, most: usize) -> reqwest::Result<String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(chunk.get(..chunk.len().min(most - body.len())).unwrap_or_default());
        if body.len() == most {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// `text` on one line and not too long, for messages of peers that may be anything.
pub(super) fn shortened(text: &str) -> String {
    const MOST_CHARS: usize = 300;
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = words.char_indices().nth(MOST_CHARS) {
        words.truncate(cut);
        words.push('…');
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(status: u16, said: &str) -> Failure {
        Failure::ObjectStore { status: StatusCode::from_u16(status).unwrap(), said: said.to_owned() }
    }

    #[test]
    fn only_what_time_can_mend_is_tried_again() {
        let broker = |status: u16| Failure::Broker { status: StatusCode::from_u16(status).unwrap(), complaints: String::new() };
        assert_eq!([500, 502, 503, 504, 409, 415].map(|status| broker(status).may_pass()), [false, true, true, true, false, false]);
        assert_eq!([500, 503, 429, 408, 403, 400].map(|status| store(status, "").may_pass()), [true, true, true, true, false, false]);
        assert!(!Failure::Source(SourceError::Grew { size: 1 }).may_pass());
    }

    #[test]
    fn an_expired_form_is_told_from_a_forbidden_one() {
        assert!(store(403, "AccessDenied: Invalid according to Policy: Policy expired.").is_expired_form());
        assert!(!store(403, "AccessDenied: Invalid according to Policy: Policy Condition failed").is_expired_form());
        assert!(store(400, "InvalidRequest: Bad request: Expiration date is in the past").is_expired_form());
        assert!(!store(400, "EntityTooLarge: Your proposed upload exceeds the maximum allowed size").is_expired_form());
        assert!(!store(503, "expired").is_expired_form());
    }

    #[test]
    fn a_refusal_needs_no_step_and_all_else_names_it() {
        let refused = Failure::Refused { status: StatusCode::BAD_REQUEST, complaints: "size must be 5 or lower".to_owned() };
        assert_eq!(refused.at(Step::Authorize).to_string(), "refused: size must be 5 or lower");
        assert_eq!(
            store(500, "InternalError").at(Step::Upload).to_string(),
            "upload: the store answers 500 Internal Server Error: InternalError"
        );
    }

    #[test]
    fn what_can_be_gone_on_with_says_how() {
        let error = |remembered| StepError { unfinished: Some(Unfinished { id: 7, remembered }), ..store(500, "x").at(Step::Upload) };
        assert!(error(true).to_string().ends_with(": x; the same command with --resume goes on with it (id 7)"));
        assert!(error(false).to_string().ends_with(": x; the same command with --resume=7 goes on with it"));
    }

    #[test]
    fn a_long_message_of_a_peer_becomes_one_short_line() {
        assert_eq!(shortened(" a\n  b\t"), "a b");
        assert_eq!(shortened(&"ü".repeat(1000)).chars().count(), 301);
    }
}
