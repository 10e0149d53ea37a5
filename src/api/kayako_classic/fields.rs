//! What Kayako Classic calls the fields that complaints of the core are about.

use crate::domain::Field;

/// The name of a field. What the bytes are is all about `contents`.
pub(super) fn field_name(field: Field) -> &'static str {
    match field {
        Field::Name => "filename",
        Field::DeclaredType | Field::Size | Field::Pixels | Field::State | Field::Checksum => "contents",
        Field::FileType => "filetype",
        Field::Disposition => "disposition",
        Field::Parts => "parts",
        Field::PartNumbers => "part_numbers",
        Field::IdempotencyKey => "Idempotency-Key",
        Field::Message => "body",
    }
}

/// Every word that stands for something of the core's.
pub(super) fn names() -> Vec<&'static str> {
    Field::ALL.map(field_name).to_vec()
}
