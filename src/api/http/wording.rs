//! What faults say in every dialect that has no words of its own for them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::body::{BODY_TIMEOUT, MAX_BODY_BYTES};
use super::fault::Fault;
use super::field_errors::FieldErrors;
use crate::domain::complaints::Spelling;

/// What was not done and why: messages by field, all at once.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"errors": {"filename": ["must not end in ‘.exe’"], "size": ["must be 104857600 or lower"]}}))]
pub(in crate::api) struct Errors {
    /// Messages by the name of the field that they are about.
    pub(in crate::api) errors: BTreeMap<String, Vec<String>>,
}

/// What a fault says.
pub(in crate::api) enum Wording<'a> {
    /// Complaints about fields of the request.
    Fields(&'a FieldErrors),
    /// One thing.
    One(Sentence),
}

/// One thing that is said: for a form beside its field, and for a person behind the subject.
pub(in crate::api) struct Sentence {
    /// The field that it is about.
    pub(in crate::api) field: &'static str,
    /// What the message is about, for whoever sees no field; empty where it speaks for itself.
    pub(in crate::api) subject: &'static str,
    /// The message, which follows upon either.
    pub(in crate::api) message: Cow<'static, str>,
}

fn one(field: &'static str, subject: &'static str, message: impl Into<Cow<'static, str>>) -> Wording<'static> {
    Wording::One(Sentence { field, subject, message: message.into() })
}

/// What a fault says.
pub(in crate::api) fn wording(fault: &Fault) -> Wording<'_> {
    match fault {
        Fault::Invalid(fields) | Fault::Refused(fields) | Fault::Conflict(fields) => Wording::Fields(fields),
        Fault::Unauthenticated => one("authorization", "the authorization", "must be a good token, as Bearer or as the user of Basic"),
        Fault::Contradiction(names) => one("request", "", format!("{} must say the same", names.join(" and "))),
        Fault::UnknownSession => one("authorization", "the session", "has ended, or was never begun"),
        Fault::CsrfFailed => one("authorization", "the session", "needs its proof for changes"),
        Fault::NotAcceptable => one("accept", "the header Accept", "must allow what is answered"),
        Fault::Forbidden(scope) => one("authorization", "the token", format!("must have the scope {}", scope.as_str())),
        Fault::ForbiddenType(name) => one("authorization", "the token", format!("must be for the file type ‘{name}’")),
        Fault::NotFound => one("id", "", "not found"),
        Fault::MethodNotAllowed => one("method", "this method is", "not allowed here"),
        Fault::NotUploaded => one("state", "", "nothing was uploaded yet"),
        Fault::AlreadyActive => one("state", "the file", "is active already"),
        Fault::Changing => one("state", "", "the upload keeps changing, try again"),
        Fault::TooSlow => one("body", "the request", format!("must arrive within {} seconds", BODY_TIMEOUT.as_secs())),
        Fault::LimitExceeded(exceeded) => {
            one("limit", "", format!("too many {}, try again in {} s", exceeded.what, exceeded.retry_after_seconds))
        }
        Fault::RangeNotSatisfiable(size) => one("range", "the range", format!("must begin below {size}")),
        Fault::PreconditionFailed => one("etag", "the entity tag", "must be that of the file"),
        Fault::BodyTooLarge => one("body", "the request", format!("must be {MAX_BODY_BYTES} bytes or shorter")),
        Fault::ContentTooLarge(most) => {
            one("body", "the files", format!("must have {most} bytes or fewer together, and all else {MAX_BODY_BYTES}"))
        }
        Fault::ContentTooSlow => one("body", "the files", "must arrive without long pauses, and in the life of a slip"),
        Fault::Coded(coding) => {
            one("body", "the request", format!("must be sent as it is, without Content-Encoding: ‘{coding}’ is not read"))
        }
        Fault::Internal(_) => one("server", "the server", "failed"),
        Fault::Unavailable(_) => one("server", "the server is", "not available now, try again"),
    }
}

impl Wording<'_> {
    /// By field, for whoever shows messages beside fields, as the dialect names those of the core.
    pub(in crate::api) fn by_field(self, name: Spelling) -> Errors {
        let errors = match self {
            Self::Fields(fields) => fields.spelled(name).into_names(),
            Self::One(Sentence { field, message, .. }) => BTreeMap::from([(field.to_owned(), vec![message.into_owned()])]),
        };
        Errors { errors }
    }

    /// As one text for a person, as the dialect names fields of the core.
    pub(in crate::api) fn sentence(self, name: Spelling) -> String {
        match self {
            Self::Fields(fields) => fields.spelled(name).to_string(),
            Self::One(Sentence { subject: "", message, .. }) => message.into_owned(),
            Self::One(Sentence { subject, message, .. }) => format!("{subject} {message}"),
        }
    }
}
