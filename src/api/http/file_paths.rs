//! Where files are found, for whoever links to them.

use crate::domain::FileId;

/// Where a dialect has files, from the server's root.
#[derive(Clone, Copy)]
pub struct FilePaths {
    /// The record of a file.
    pub(in crate::api) record: fn(FileId) -> String,
    /// Its bytes, to which `proxyKey` may be added.
    pub(in crate::api) download: fn(FileId) -> String,
}
