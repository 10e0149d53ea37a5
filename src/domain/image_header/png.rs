//! PNG: `IHDR`, the frames of an animation, and the orientation in `eXIf`.

use super::reader::{Reader, Stop, if_known};
use super::{Seen, tiff};

pub(super) const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

pub(super) fn read(reader: &Reader<'_>, base: u64, seen: &mut Seen) -> Result<(), Stop> {
    let header = base.saturating_add(8);
    if reader.slice(header, 8)?.get(4..) != Some(b"IHDR") {
        return Err(Stop::End);
    }
    seen.show(reader.u32(header.saturating_add(8))?, reader.u32(header.saturating_add(12))?);
    seen.is_enough = true;
    let data = chunks(reader, header, seen, true)?;
    // Metadata may also follow the image data, which has hundreds of chunks: it counts where it is known already.
    if_known(chunks(reader, data, seen, false).map(drop))
}

/// Chunks from `at` on, to the image data or to the end; where that is.
fn chunks(reader: &Reader<'_>, mut at: u64, seen: &mut Seen, until_data: bool) -> Result<u64, Stop> {
    loop {
        let length = reader.u32(at)?;
        let body = at.saturating_add(8);
        let end = body.saturating_add(length);
        match &reader.bytes(at.saturating_add(4))? {
            b"IDAT" if until_data => return Ok(at),
            b"IEND" => return Ok(at),
            // Where it is twice, the first counts for some and the last for others.
            b"IHDR" => seen.count(reader.u32(body)?, reader.u32(body.saturating_add(4))?),
            b"fcTL" => {
                let field = |number: u64| reader.u32(body.saturating_add(number * 4));
                let (width, height, left, top) = (field(1)?, field(2)?, field(3)?, field(4)?);
                seen.count(left.saturating_add(width), top.saturating_add(height));
            }
            b"eXIf" => seen.orient(tiff::orientation(reader, body, end)?),
            _ => {}
        }
        // Each has a checksum behind it.
        at = end.saturating_add(4);
    }
}
