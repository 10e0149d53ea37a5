//! Why a bucket does not do what it is asked.

/// Why the bucket did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BucketError {
    /// It did not answer, or said "not now".
    #[error("the bucket is not available: {0}")]
    Unavailable(String),
    /// It said no.
    #[error("the bucket refused: {0}")]
    Refused(String),
}
