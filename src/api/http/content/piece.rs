//! What a body comes to, and what is said of one that comes to nothing.

use std::collections::VecDeque;

use axum::body::Bytes;

use super::Fault;
use crate::api::http::field_errors::FieldErrors;

/// One thing that a body holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) enum Piece {
    /// A field that is no file.
    Field { name: String, value: String },
    /// A file begins. Its bytes follow, then its end.
    File(FileHead),
    /// Some bytes of the file that began; never none, up to 64 KiB.
    Bytes(Bytes),
    /// The file is complete.
    FileEnd,
}

/// What is said of a file before its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::api) struct FileHead {
    /// The field that it is the value of.
    pub(in crate::api) field: Option<String>,
    /// Its name as it was sent: paths and odd characters are for `FileName::sanitized`.
    pub(in crate::api) name: Option<String>,
    /// Its content type as it was sent.
    pub(in crate::api) declared_type: Option<String>,
    /// How many bytes it has as it is stored, where a header says so.
    pub(in crate::api) size: Option<u64>,
    /// Its MD5 as it was written, for `md5`.
    pub(in crate::api) md5: Option<String>,
}

/// Pieces that were read and not asked for yet.
pub(super) type Queue = VecDeque<Piece>;

/// What makes pieces of bytes, however they are cut. What it leaves in the queue when it fails came before the failure.
pub(super) trait Machine {
    fn take(&mut self, bytes: Bytes, queue: &mut Queue) -> Result<(), Fault>;

    fn end(&mut self, queue: &mut Queue) -> Result<(), Fault>;
}

/// A body that broke off, or whose length is not what it says.
pub(super) fn not_whole() -> Fault {
    invalid("body", "must arrive whole")
}

pub(super) fn invalid(name: &str, message: &str) -> Fault {
    Fault::Invalid(FieldErrors::one(name, message))
}
