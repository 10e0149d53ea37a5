//! The SQS queue that a bucket's notifications are put into.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::operation::delete_message::DeleteMessageError;
use aws_sdk_sqs::types::MessageSystemAttributeName;
use url::Url;

use super::sdk_error::cause;
use super::timeouts;

/// How long an empty queue may keep a request waiting, in seconds: the longest that SQS knows.
const LONG_POLL_SECONDS: i32 = 20;

/// How many messages are taken at once: the most that SQS gives.
const MOST_MESSAGES: i32 = 10;

/// How long a message is left to whoever took it, in seconds. Who works longer shares it with another, which does no harm.
const VISIBILITY_SECONDS: i32 = 60;

/// Longer than the longest poll.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a small request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the queue is.
#[derive(Debug, Clone)]
pub struct QueueOptions {
    /// `https://sqs.eu-central-1.amazonaws.com/123456789012/uploads`, or the same at a store that is no AWS.
    pub url: String,
    /// The region where the URL does not say it.
    pub region: Option<String>,
}

/// Why the queue did not do what it was asked; names it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct QueueError(String);

/// The queue.
pub struct Queue {
    client: Client,
    url: String,
    /// The last part of the URL.
    name: String,
}

/// One message.
#[derive(Debug, Clone)]
pub struct Message {
    /// What the bucket said.
    pub body: String,
    /// How often it was taken, this time included.
    pub received: u32,
    receipt: String,
}

impl Queue {
    /// The queue at that URL, with the same credentials as the bucket.
    ///
    /// # Errors
    /// When the URL is none.
    pub async fn open(options: &QueueOptions) -> Result<Self, QueueError> {
        let url = Url::parse(&options.url).map_err(|error| QueueError(format!("the queue's URL: {error}")))?;
        let region = region_of(&url).map(ToOwned::to_owned).or_else(|| options.region.clone());
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(region) = region {
            loader = loader.region(Region::new(region));
        }
        let shared = Box::pin(loader.load()).await;
        let region = shared.region().cloned().unwrap_or_else(|| Region::new("us-east-1"));
        let builder = aws_sdk_sqs::config::Builder::from(&shared)
            .region(region)
            // A queue's URL begins with where it is asked, at AWS and everywhere else.
            .endpoint_url(url.origin().ascii_serialization())
            .timeout_config(timeouts(RECEIVE_TIMEOUT, RECEIVE_TIMEOUT * 2));
        let name = url.path_segments().and_then(Iterator::last).unwrap_or_default().to_owned();
        Ok(Self { client: Client::from_conf(builder.build()), url: options.url.clone(), name })
    }

    /// The next messages; waits a while for some.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn receive(&self) -> Result<Vec<Message>, QueueError> {
        let request = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(MOST_MESSAGES)
            .wait_time_seconds(LONG_POLL_SECONDS)
            .visibility_timeout(VISIBILITY_SECONDS)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        let output = request.send().await.map_err(|error| self.explained(&error))?;
        let messages = output.messages.unwrap_or_default().into_iter().filter_map(|message| {
            let count = message.attributes.as_ref().and_then(|all| all.get(&MessageSystemAttributeName::ApproximateReceiveCount));
            let received = count.and_then(|count| count.parse().ok()).unwrap_or(1);
            Some(Message { body: message.body?, received, receipt: message.receipt_handle? })
        });
        Ok(messages.collect())
    }

    /// Takes a message out of the queue for good.
    ///
    /// # Errors
    /// See [`QueueError`]; it comes again then.
    pub async fn delete(&self, message: &Message) -> Result<(), QueueError> {
        self.delete_by(&message.receipt).await.map_err(|error| self.explained(&error))
    }

    /// Finds out whether messages may be taken and deleted. One that waits is looked at and stays; that counts as once taken.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn probe(&self) -> Result<(), QueueError> {
        let look = self.client.receive_message().queue_url(&self.url).max_number_of_messages(1).wait_time_seconds(0).visibility_timeout(0);
        look.send().await.map_err(|error| self.explained(&error))?;
        // No message has that receipt: whoever may not delete hears that instead.
        match self.delete_by("dropslip-check").await {
            Err(error) if is_denied(&error) || error.raw_response().is_none() => Err(self.explained(&error)),
            _ => Ok(()),
        }
    }

    async fn delete_by(&self, receipt: &str) -> Result<(), SdkError<DeleteMessageError>> {
        let request = self.client.delete_message().queue_url(&self.url).receipt_handle(receipt).customize();
        let request =
            request.config_override(aws_sdk_sqs::config::Builder::new().timeout_config(timeouts(REQUEST_TIMEOUT, REQUEST_TIMEOUT * 2)));
        request.send().await.map(drop)
    }

    fn explained<E: ProvideErrorMetadata>(&self, error: &SdkError<E>) -> QueueError {
        let name = &self.name;
        let Some(response) = error.raw_response() else {
            return QueueError(format!("the queue ‘{name}’ is not available: {}", cause(error)));
        };
        let said = code(error).unwrap_or("no reason given");
        QueueError(match response.status().as_u16() {
            _ if is_denied(error) => format!("the AWS credentials may not use queue ‘{name}’ ({said})"),
            _ if said.contains("QueueDoesNotExist") || said.contains("NonExistentQueue") => format!("there is no queue ‘{name}’ ({said})"),
            status @ (408 | 429 | 500..) => format!("the queue ‘{name}’ is not available: it answered {status} ({said})"),
            status => format!("the queue ‘{name}’ refused: it answered {status} ({said})"),
        })
    }
}

fn code<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

/// 400 or 403, by the age of the protocol.
fn is_denied<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let status = error.raw_response().map(|response| response.status().as_u16());
    matches!(status, Some(401 | 403)) || code(error).is_some_and(|code| code.contains("AccessDenied"))
}

/// `sqs.REGION.amazonaws.com`, in every partition.
fn region_of(url: &Url) -> Option<&str> {
    let (region, rest) = url.host_str()?.strip_prefix("sqs.")?.split_once('.')?;
    rest.starts_with("amazonaws.com").then_some(region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_in_the_url_of_aws_queues() {
        let region = |url: &str| region_of(&url.parse().unwrap()).map(ToOwned::to_owned);
        assert_eq!(region("https://sqs.eu-central-1.amazonaws.com/1/q").as_deref(), Some("eu-central-1"));
        assert_eq!(region("https://sqs.cn-north-1.amazonaws.com.cn/1/q").as_deref(), Some("cn-north-1"));
        assert_eq!(region("http://127.0.0.1:4566/000000000000/q"), None);
        assert_eq!(region("http://sqs.us-east-1.localhost.localstack.cloud:4566/1/q"), None);
    }
}
