//! A file as base64 in a member of a body: from its first character to its last.

use super::base64::{Decoder, NOT_BASE64};
use super::bounds::Left;
use super::{Fault, FileHead, Piece, Queue, invalid};

/// The member that holds the file, under any of its names.
pub(super) struct Encoded {
    names: &'static [&'static str],
    decoder: Decoder,
    /// Whether it was there already.
    was_there: bool,
}

impl Encoded {
    pub(super) fn new(names: &'static [&'static str]) -> Self {
        Self { names, decoder: Decoder::default(), was_there: false }
    }

    pub(super) fn is_called(&self, name: &str) -> bool {
        self.names.contains(&name)
    }

    /// A complaint about it, under its first name.
    pub(super) fn invalid(&self, message: &str) -> Fault {
        invalid(self.names.first().copied().unwrap_or("body"), message)
    }

    /// Refuses a second one.
    pub(super) fn once(&self) -> Result<(), Fault> {
        if self.was_there { Err(self.invalid("must be given once")) } else { Ok(()) }
    }

    pub(super) fn begin(&mut self, queue: &mut Queue) -> Result<(), Fault> {
        self.once()?;
        self.was_there = true;
        queue.push_back(Piece::File(FileHead::default()));
        Ok(())
    }

    pub(super) fn take(&mut self, text: &[u8], left: &mut Left, queue: &mut Queue) -> Result<(), Fault> {
        let bytes = self.decoder.take(text).map_err(|_| self.invalid(NOT_BASE64))?;
        put(bytes, left, queue)
    }

    pub(super) fn end(&mut self, left: &mut Left, queue: &mut Queue) -> Result<(), Fault> {
        let bytes = self.decoder.end().map_err(|_| self.invalid(NOT_BASE64))?;
        put(bytes, left, queue)?;
        queue.push_back(Piece::FileEnd);
        Ok(())
    }
}

fn put(bytes: Vec<u8>, left: &mut Left, queue: &mut Queue) -> Result<(), Fault> {
    left.content(bytes.len())?;
    if !bytes.is_empty() {
        queue.push_back(Piece::Bytes(bytes.into()));
    }
    Ok(())
}
