//! What the store's failures mean: whether to ask again, and what a person can do about it.

use std::fmt;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::{Bucket, BucketError};

impl Bucket {
    /// Whether that is a 404 which means that there is no such object or upload: only while the bucket itself answers.
    ///
    /// The answer to a `HEAD` has no body, so that a bucket which is away looks like one without that object; and for want of an
    /// object records are forgotten.
    ///
    /// # Errors
    /// Why the bucket does not answer.
    pub(super) async fn is_absence<E>(&self, error: &SdkError<E>) -> Result<bool, BucketError> {
        if status(error) != Some(404) {
            return Ok(false);
        }
        Box::pin(self.ping()).await.map(|()| true)
    }

    /// Says what a person can do about it, and whether to ask again.
    pub(super) fn explained<E: ProvideErrorMetadata + fmt::Debug>(&self, error: &SdkError<E>) -> BucketError {
        let name = &self.name;
        let Some(response) = error.raw_response() else { return BucketError::Unavailable(cause(error)) };
        let said = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or("no reason given");
        let region = response.headers().get("x-amz-bucket-region").filter(|region| *region != self.signer.region());
        match (response.status().as_u16(), region) {
            (_, Some(region)) => BucketError::Refused(format!("bucket ‘{name}’ is in region {region}, not {}", self.signer.region())),
            (404, _) => BucketError::Refused(format!("there is no bucket ‘{name}’")),
            (401 | 403, _) => BucketError::Refused(format!("the AWS credentials may not use bucket ‘{name}’ ({said})")),
            (501, _) => BucketError::Refused(format!("it does not know such requests ({said})")),
            (status @ (408 | 429 | 500..), _) => BucketError::Unavailable(format!("it answered {status} ({said})")),
            (status, _) => BucketError::Refused(format!("it answered {status} ({said})")),
        }
    }
}

/// Why there is no answer.
pub(super) fn cause<E>(error: &SdkError<E>) -> String {
    let cause = std::iter::successors(std::error::Error::source(&AsError(error)), |e| (*e).source()).last().map(ToString::to_string);
    cause.unwrap_or_else(|| kind(error).to_owned())
}

/// Lends an SDK error as a plain one, to walk down to its first cause.
struct AsError<'a, E>(&'a SdkError<E>);

impl<E> fmt::Debug for AsError<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(kind(self.0))
    }
}

impl<E> fmt::Display for AsError<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(kind(self.0))
    }
}

impl<E> std::error::Error for AsError<'_, E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self.0 {
            SdkError::DispatchFailure(failure) => failure.as_connector_error().map(|e| e as &(dyn std::error::Error + 'static)),
            _ => None,
        }
    }
}

fn kind<E>(error: &SdkError<E>) -> &'static str {
    match error {
        SdkError::TimeoutError(_) => "it did not answer in time",
        SdkError::DispatchFailure(_) => "no connection",
        SdkError::ConstructionFailure(_) => "the request could not be made",
        _ => "its answer makes no sense",
    }
}

pub(super) fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}
