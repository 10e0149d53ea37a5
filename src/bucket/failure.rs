//! What the store's failures mean: whether to ask again, and what a person can do about it.

use std::fmt;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::Bucket;
use super::error::BucketError;
use super::sdk_error::{cause, status};

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
