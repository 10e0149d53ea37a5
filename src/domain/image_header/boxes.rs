//! Boxes, of which HEIF, JPEG 2000 and JPEG XL are made: a length, a name, and other boxes or bytes inside.

use super::reader::{Reader, Stop};

/// A box in a file.
pub(super) struct Box {
    pub(super) name: [u8; 4],
    /// Where its body begins.
    pub(super) body: u64,
    /// Where it ends and the next one begins.
    pub(super) end: u64,
}

/// The box at a place, which must end where its parent does or before; `None` where that place is the parent's end.
pub(super) fn at(reader: &Reader<'_>, at: u64, parent: u64) -> Result<Option<Box>, Stop> {
    if at >= parent {
        return Ok(None);
    }
    let (length, name) = (reader.u32(at)?, reader.bytes(at.saturating_add(4))?);
    let (body, end) = match length {
        // To the end of what it stands in.
        0 => (at.saturating_add(8), parent),
        1 => (at.saturating_add(16), at.saturating_add(u64::from_be_bytes(reader.bytes(at.saturating_add(8))?))),
        _ => (at.saturating_add(8), at.saturating_add(length)),
    };
    if end < body {
        return Err(Stop::End);
    }
    Ok(Some(Box { name, body, end: end.min(parent) }))
}

/// Calls `each` with every box from `from` to `parent`.
pub(super) fn each(reader: &Reader<'_>, from: u64, parent: u64, mut each: impl FnMut(&Box) -> Result<(), Stop>) -> Result<(), Stop> {
    let mut place = from;
    while let Some(found) = at(reader, place, parent)? {
        each(&found)?;
        place = found.end;
    }
    Ok(())
}
