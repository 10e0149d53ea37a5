//! GIF: the logical screen, and every frame in the known bytes.

use super::Seen;
use super::reader::{Reader, Stop, if_known};

/// Right edge, lower edge, and where the next block begins.
type Frame = (u64, u64, u64);

pub(super) fn read(reader: &Reader<'_>, base: u64, seen: &mut Seen) -> Result<(), Stop> {
    let (width, height) = (reader.u16_le(base.saturating_add(6))?, reader.u16_le(base.saturating_add(8))?);
    seen.count(width, height);
    // Viewers widen the screen to its first frame, and some screens are empty.
    match first_frame(reader, base) {
        Ok(Some((right, bottom, next))) => {
            seen.show(width.max(right), height.max(bottom));
            seen.is_enough = true;
            if_known(frames(reader, next, (width.max(right), height.max(bottom)), seen))
        }
        other => {
            seen.show(width, height);
            other.map(drop)
        }
    }
}

fn first_frame(reader: &Reader<'_>, base: u64) -> Result<Option<Frame>, Stop> {
    let [flags] = reader.bytes(base.saturating_add(10))?;
    frame(reader, base.saturating_add(13).saturating_add(colors(flags)))
}

/// Some decoders widen their canvas to every frame that they meet.
fn frames(reader: &Reader<'_>, mut at: u64, mut canvas: (u64, u64), seen: &mut Seen) -> Result<(), Stop> {
    while let Some((right, bottom, next)) = frame(reader, at)? {
        canvas = (canvas.0.max(right), canvas.1.max(bottom));
        seen.count(canvas.0, canvas.1);
        at = next;
    }
    Ok(())
}

/// The right and lower edge of the next frame, and where its data ends; `None` at the end of the file.
fn frame(reader: &Reader<'_>, mut at: u64) -> Result<Option<Frame>, Stop> {
    loop {
        // Some decoders skip what is no block.
        at = reader.find(at, |byte| matches!(byte, b';' | b'!' | b','))?;
        let [block] = reader.bytes(at)?;
        at = at.saturating_add(1);
        match block {
            b';' => return Ok(None),
            b'!' => at = after_data(reader, at.saturating_add(1))?,
            b',' => {
                let field = |number: u64| reader.u16_le(at.saturating_add(number * 2));
                let (left, top, width, height) = (field(0)?, field(1)?, field(2)?, field(3)?);
                let [flags] = reader.bytes(at.saturating_add(8))?;
                let data = at.saturating_add(9).saturating_add(colors(flags));
                // A frame without data counts too. Behind the size of its codes its data is skipped like that of an extension.
                let next = after_data(reader, data.saturating_add(1)).or_else(|stop| match stop {
                    Stop::Want(_) | Stop::End => Ok(reader.size()),
                    Stop::Endless => Err(stop),
                });
                return Ok(Some((left + width, top + height, next?)));
            }
            _ => return Err(Stop::End),
        }
    }
}

/// The bytes that a table of colours has.
fn colors(flags: u8) -> u64 {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// What follows a row of sub-blocks.
fn after_data(reader: &Reader<'_>, mut at: u64) -> Result<u64, Stop> {
    loop {
        let [length] = reader.bytes(at)?;
        at = at.saturating_add(1).saturating_add(length.into());
        if length == 0 {
            return Ok(at);
        }
    }
}
