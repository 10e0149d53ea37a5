//! What the SDK says of a request that failed: the status of its answer, or why there is none.

use std::fmt;

use aws_sdk_s3::error::SdkError;

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
