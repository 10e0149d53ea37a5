//! Why a request was not done, in no dialect yet.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use tracing::Instrument as _;

use super::field_errors::FieldErrors;
use crate::broker::{BrokerError, BucketError, DatabaseError};
use crate::domain::Scope;
use crate::limits::Exceeded;
use crate::tokens::Unknown;

/// When a client may ask again after a 503, in seconds.
pub(in crate::api) const RETRY_AFTER_SECONDS: u64 = 2;

/// What there is too much of when an address presents many.
pub(in crate::api) const BAD_TOKENS: &str = "bad tokens";

/// Why a request was not done, in no dialect yet.
#[derive(Debug)]
pub enum Fault {
    /// 400: fields that cannot be granted.
    Invalid(FieldErrors),
    /// 400: the same thing stands in these places, and says something else in each.
    Contradiction(Vec<String>),
    /// 401: no token, or not a good one.
    Unauthenticated,
    /// 401: a session that has ended, or that nobody began.
    UnknownSession,
    /// 403: a session asks for a change without the proof that its own page asks.
    CsrfFailed,
    /// 403: the token lacks this scope.
    Forbidden(Scope),
    /// 403: the token is not for this file type.
    ForbiddenType(String),
    /// 404: no such path, or nothing there that the caller may see.
    NotFound,
    /// 405: the path knows other methods.
    MethodNotAllowed,
    /// 406: the client takes nothing that could be answered.
    NotAcceptable,
    /// 409: nothing was uploaded yet.
    NotUploaded,
    /// 409: it is active, and no form can change it any more.
    AlreadyActive,
    /// 409: the object changed each time it was looked at.
    Changing,
    /// 409: the file is not in a state for that.
    Conflict(FieldErrors),
    /// 408: the body took too long to arrive.
    TooSlow,
    /// 412: the file is not the one with the entity tag that was named.
    PreconditionFailed,
    /// 413: the body is longer than any description of a file.
    BodyTooLarge,
    /// 413: the files of the body have more bytes than these, or all else of it is too long.
    ContentTooLarge(u64),
    /// 408: the files of the body stopped coming, or took too long in all.
    ContentTooSlow,
    /// 415: the body is compressed, with this.
    Coded(String),
    /// 416: the file has so many bytes, and none of those that were asked for.
    RangeNotSatisfiable(u64),
    /// 422: what was uploaded is not what was granted.
    Refused(FieldErrors),
    /// 429: the caller's actor or tenant asks for too much, or there are too many bad tokens from an address.
    LimitExceeded(Exceeded),
    /// 500: a defect.
    Internal(String),
    /// 503: database or bucket are away.
    Unavailable(String),
}

impl Fault {
    /// The status it is answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) | Self::Contradiction(_) => StatusCode::BAD_REQUEST,
            Self::Unauthenticated | Self::UnknownSession => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) | Self::ForbiddenType(_) | Self::CsrfFailed => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::NotUploaded | Self::AlreadyActive | Self::Changing | Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooSlow | Self::ContentTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::BodyTooLarge | Self::ContentTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Coded(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RangeNotSatisfiable(_) => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::LimitExceeded(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<BrokerError> for Fault {
    fn from(error: BrokerError) -> Self {
        match error {
            BrokerError::Invalid(complaints) => Self::Invalid(complaints.into()),
            BrokerError::Refused(complaints) => Self::Refused(complaints.into()),
            BrokerError::Forbidden(scope) => Self::Forbidden(scope),
            BrokerError::ForbiddenType(name) => Self::ForbiddenType(name),
            BrokerError::NotFound => Self::NotFound,
            BrokerError::NotUploaded => Self::NotUploaded,
            BrokerError::AlreadyActive => Self::AlreadyActive,
            BrokerError::Changing => Self::Changing,
            BrokerError::Conflict(complaints) => Self::Conflict(complaints.into()),
            BrokerError::LimitExceeded(exceeded) => Self::LimitExceeded(exceeded),
            BrokerError::Database(error) => error.into(),
            BrokerError::TooLate => Self::TooSlow,
            BrokerError::TooLarge => Self::BodyTooLarge,
            // Another broker may have the rule, or this one after a reload.
            BrokerError::Busy(_) | BrokerError::UnknownType(_) => Self::Unavailable(error.to_string()),
            // A bucket that says no is an operator's matter: the client has done nothing wrong and may try again.
            BrokerError::Bucket(error @ (BucketError::Unavailable(_) | BucketError::Refused(_))) => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<DatabaseError> for Fault {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Unavailable(_) => Self::Unavailable(error.to_string()),
            DatabaseError::Broken(_) | DatabaseError::Pooled => Self::Internal(error.to_string()),
        }
    }
}

impl From<Unknown> for Fault {
    fn from(error: Unknown) -> Self {
        match error {
            Unknown::Database(error) => error.into(),
            Unknown::Keys(error) => Self::Unavailable(error.to_string()),
            Unknown::TooMany(retry_after_seconds) => Self::LimitExceeded(Exceeded { what: BAD_TOKENS, retry_after_seconds }),
        }
    }
}

impl IntoResponse for Fault {
    /// A response without body that carries the fault to the dialect's layer.
    fn into_response(self) -> Response<Body> {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

impl Fault {
    /// The same of a body that carries files, which may be longer than others and take longer.
    #[must_use]
    pub(in crate::api) fn of_content(self, most: u64) -> Self {
        match self {
            Self::BodyTooLarge => Self::ContentTooLarge(most),
            Self::TooSlow => Self::ContentTooSlow,
            other => other,
        }
    }
}

/// Work that goes on when the client hangs up: a copy of many bytes that is cut off has to be made again, and again.
pub(in crate::api) async fn to_its_end<T, E>(work: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, Fault>
where
    T: Send + 'static,
    E: Send + 'static,
    Fault: From<E>,
{
    let ended = tokio::spawn(work.in_current_span()).await;
    ended.map_err(|error| Fault::Internal(error.to_string()))?.map_err(Fault::from)
}
