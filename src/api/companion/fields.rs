//! What Companion calls the fields that complaints of the core are about.

use crate::domain::Field;

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
    Field::ALL.map(field_name).to_vec()
}
