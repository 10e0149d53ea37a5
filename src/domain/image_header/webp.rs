//! WebP: the canvas, every image and frame in it, and the orientation in its EXIF chunk.

use super::reader::{Reader, Stop, if_known};
use super::{Seen, tiff};

pub(super) fn read(reader: &Reader<'_>, base: u64, seen: &mut Seen) -> Result<(), Stop> {
    let mut at = base.saturating_add(12);
    // EXIF stands behind the image: it is worth a read only where the file says that it is there.
    let mut awaits_exif = false;
    loop {
        let (name, body, end) = chunk(reader, at)?;
        match &name {
            b"VP8X" => {
                let [flags] = reader.bytes(body)?;
                awaits_exif = flags & 0x08 != 0;
                canvas(reader, body, seen)?;
            }
            b"EXIF" => {
                seen.orient(tiff::orientation(reader, body, end)?);
                awaits_exif = false;
            }
            _ => seen.is_enough |= image(reader, name, body, end, seen)?,
        }
        at = end;
        if seen.is_enough && !awaits_exif {
            return if_known(rest(reader, at, seen));
        }
    }
}

/// What follows all that was waited for, in the known bytes.
fn rest(reader: &Reader<'_>, mut at: u64, seen: &mut Seen) -> Result<(), Stop> {
    loop {
        let (name, body, end) = chunk(reader, at)?;
        match &name {
            b"VP8X" => canvas(reader, body, seen)?,
            _ => drop(image(reader, name, body, end, seen)?),
        }
        at = end;
    }
}

/// A chunk's name, where its body begins and where the next chunk does.
fn chunk(reader: &Reader<'_>, at: u64) -> Result<([u8; 4], u64, u64), Stop> {
    let (name, length) = (reader.bytes(at)?, reader.u32_le(at.saturating_add(4))?);
    let body = at.saturating_add(8);
    Ok((name, body, body.saturating_add(length).saturating_add(length % 2)))
}

fn canvas(reader: &Reader<'_>, body: u64, seen: &mut Seen) -> Result<(), Stop> {
    seen.show(reader.u24_le(body.saturating_add(4))? + 1, reader.u24_le(body.saturating_add(7))? + 1);
    Ok(())
}

/// Whether the chunk is an image or a frame, which then was counted.
fn image(reader: &Reader<'_>, name: [u8; 4], body: u64, end: u64, seen: &mut Seen) -> Result<bool, Stop> {
    match &name {
        b"VP8 " => {
            // Three bytes about the frame, three that never change, and two bits of scale above each length.
            let (width, height) = (reader.u16_le(body.saturating_add(6))?, reader.u16_le(body.saturating_add(8))?);
            seen.show(width & 0x3fff, height & 0x3fff);
        }
        b"VP8L" => {
            let bits = reader.u32_le(body.saturating_add(1))?;
            seen.show((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1);
        }
        b"ANMF" => {
            let field = |number: u64| reader.u24_le(body.saturating_add(number * 3));
            let (left, top, width, height) = (field(0)? * 2, field(1)? * 2, field(2)? + 1, field(3)? + 1);
            seen.show(left + width, top + height);
            if_known(images_of_frame(reader, body.saturating_add(16), end, seen))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn images_of_frame(reader: &Reader<'_>, mut at: u64, end: u64, seen: &mut Seen) -> Result<(), Stop> {
    while at < end {
        let (name, body, next) = chunk(reader, at)?;
        if name != *b"ANMF" {
            image(reader, name, body, next, seen)?;
        }
        at = next;
    }
    Ok(())
}
