//! How much a body that carries files may be: its files, what is beside them, and how it is written.

use std::time::Duration;

use super::Fault;

/// Most bytes of everything that is no file: names, values, headers of parts, blanks.
pub(in crate::api) const MOST_BESIDE: usize = 64 * 1024;

/// Most files of one body.
pub(in crate::api) const MOST_FILES: usize = 20;

/// Longest headers of a part, in bytes, with what stands before the first part.
pub(super) const MOST_HEADER_BYTES: usize = 8 * 1024;

/// Longest piece of a file, in bytes.
pub(super) const MOST_PIECE_BYTES: usize = 64 * 1024;

/// How long a client may send nothing.
const IDLE: Duration = Duration::from_mins(1);

/// What one body may be.
#[derive(Debug, Clone, Copy)]
pub(in crate::api) struct Limits {
    /// Most bytes of all its files together, as they are stored.
    pub(in crate::api) content: u64,
    /// How long no byte may come.
    pub(in crate::api) idle: Duration,
}

impl Limits {
    /// So many bytes of files, within the usual time.
    pub(in crate::api) fn of(content: u64) -> Self {
        Self { content, idle: IDLE }
    }

    /// The longest body of bytes as they are.
    pub(super) fn plain(self) -> u64 {
        self.content.saturating_add(MOST_BESIDE as u64)
    }

    /// The longest body of base64.
    pub(super) fn base64(self) -> u64 {
        self.content.div_ceil(3).saturating_mul(4).saturating_add(MOST_BESIDE as u64)
    }

    /// The longest body of base64 with percent signs.
    pub(super) fn escaped(self) -> u64 {
        self.base64().saturating_mul(2)
    }
}

/// What is left of the bounds while a body is read.
#[derive(Debug)]
pub(super) struct Left {
    content: u64,
    beside: usize,
}

impl Left {
    pub(super) fn of(limits: Limits) -> Self {
        Self { content: limits.content, beside: MOST_BESIDE }
    }

    /// So many bytes of a file came.
    pub(super) fn content(&mut self, bytes: usize) -> Result<(), Fault> {
        self.content = self.content.checked_sub(bytes as u64).ok_or(Fault::BodyTooLarge)?;
        Ok(())
    }

    /// So many bytes of anything else came.
    pub(super) fn beside(&mut self, bytes: usize) -> Result<(), Fault> {
        self.beside = self.beside.checked_sub(bytes).ok_or(Fault::BodyTooLarge)?;
        Ok(())
    }
}
