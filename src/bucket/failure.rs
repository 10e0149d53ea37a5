//! What the store's failures mean: whether to ask again, and what a person can do about it.

use std::fmt;
use std::time::{Duration, SystemTime};

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
        let off = response.headers().get("date").and_then(|date| clocks_apart(date, SystemTime::now()));
        match (response.status().as_u16(), region) {
            (_, Some(region)) => BucketError::Refused(format!("bucket ‘{name}’ is in region {region}, not {}", self.signer.region())),
            (404, _) => BucketError::Refused(format!("there is no bucket ‘{name}’")),
            // Its own word for it is in a body, which the answer to a `HEAD` does not have.
            (401 | 403, _) if off.is_some() || said == "RequestTimeTooSkewed" => {
                let off = off.map_or_else(|| "too far".to_owned(), |off| format!("{} s", off.as_secs()));
                BucketError::Unavailable(format!("its clock and the one of this machine are {off} apart: set them by NTP ({said})"))
            }
            (401 | 403, _) => BucketError::Refused(format!("the AWS credentials may not use bucket ‘{name}’ ({said})")),
            (501, _) => BucketError::Refused(format!("it does not know such requests ({said})")),
            (status @ (408 | 429 | 500..), _) => BucketError::Unavailable(format!("it answered {status} ({said})")),
            (status, _) => BucketError::Refused(format!("it answered {status} ({said})")),
        }
    }
}

/// Stores refuse what was signed a quarter of an hour before or after; signing, the way and reading may take half a minute of that.
const FARTHEST: Duration = Duration::from_secs(15 * 60 - 30);

/// How far the clock of a store that says `date` is from this one, if it is so far that it refuses everything for that.
fn clocks_apart(date: &str, now: SystemTime) -> Option<Duration> {
    let there = httpdate::parse_http_date(date).ok()?;
    let apart = there.duration_since(now).unwrap_or_else(|before| before.duration());
    (apart > FARTHEST).then_some(apart)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_apart_when_a_store_refuses_everything_for_that() {
        let there = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let apart = |now| clocks_apart("Sun, 06 Nov 1994 08:49:37 GMT", now);
        let hour = Duration::from_hours(1);
        assert_eq!([apart(there), apart(there + Duration::from_mins(14)), apart(there - Duration::from_mins(14))], [None; 3]);
        assert_eq!([apart(there + hour), apart(there - hour)], [Some(hour); 2]);
        assert_eq!(clocks_apart("yesterday", there), None);
    }
}
