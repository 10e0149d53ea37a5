//! What Desk calls the fields that complaints of the core are about.

use super::attributes::names_of;
use super::delete::removal_word;
use crate::broker::Removal;
use crate::domain::{Attribute, Field};

/// The name of a field.
pub(super) fn field_name(field: Field) -> &'static str {
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

/// Every word that stands for something of the core's.
pub(super) fn names() -> Vec<&'static str> {
    let attributes = Attribute::ALL.into_iter().flat_map(|attribute| names_of(attribute).iter().copied());
    Field::ALL.map(field_name).into_iter().chain(attributes).chain(Removal::ALL.map(removal_word)).collect()
}
