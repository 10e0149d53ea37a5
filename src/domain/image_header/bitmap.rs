//! BMP, of Windows and of OS/2.

use super::Seen;
use super::reader::{Reader, Stop};

/// Behind the fourteen bytes of the file.
const HEADER: u64 = 14;

/// Whether a file that begins so has a header behind the two letters, with which many a text begins.
pub(super) fn is_bitmap(start: &[u8]) -> bool {
    start.starts_with(b"BM") && matches!(start.get(14..18), Some([12..=255, 0, 0, 0]))
}

pub(super) fn read(reader: &Reader<'_>, base: u64, seen: &mut Seen) -> Result<(), Stop> {
    let (width, height) = size(reader, base.saturating_add(HEADER))?;
    seen.show(width, height);
    Ok(())
}

/// What the header of a bitmap says, in a file of its own or in an icon.
pub(super) fn size(reader: &Reader<'_>, at: u64) -> Result<(u64, u64), Stop> {
    let lengths = at.saturating_add(4);
    if reader.u32_le(at)? == 12 {
        return Ok((reader.u16_le(lengths)?, reader.u16_le(lengths.saturating_add(2))?));
    }
    // Less than nothing where the rows go from top to bottom.
    let length = |at: u64| Ok(u64::from(i32::from_le_bytes(reader.bytes(at)?).unsigned_abs()));
    Ok((length(lengths)?, length(lengths.saturating_add(4))?))
}
