//! What an operator reads of the fields of a file: in log lines, the audit log, events, policy files and on the command line.
//!
//! These names are an interface and never change; they are no dialect's, which have names of their own.

use crate::domain::complaints::Spelled;
use crate::domain::{Complaints, Field};

/// The name of a field.
#[must_use]
pub fn name(field: Field) -> &'static str {
    match field {
        Field::Name => "filename",
        Field::DeclaredType => "mimeType",
        Field::FileType => "type",
        Field::Disposition => "disposition",
        Field::Size => "size",
        Field::Checksum => "checksumSHA256",
        Field::Pixels => "pixels",
        Field::State => "state",
        Field::Parts => "parts",
        Field::PartNumbers => "partNumbers",
        Field::IdempotencyKey => "Idempotency-Key",
        Field::Message => "body",
    }
}

/// The field of that name.
#[must_use]
pub fn field_named(text: &str) -> Option<Field> {
    Field::ALL.into_iter().find(|field| name(*field) == text)
}

/// Complaints under these names.
#[must_use]
pub fn spelled(complaints: &Complaints) -> Spelled {
    complaints.spelled(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_that_of_one_field() {
        assert!(Field::ALL.into_iter().all(|field| field_named(name(field)) == Some(field)));
        assert_eq!(field_named("declared_type"), None);
    }
}
