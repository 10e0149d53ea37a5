//! JPEG: segments up to the first scan, and what follows it in the known bytes.

use super::reader::{Reader, Stop, if_known};
use super::{Seen, tiff};

/// A picture may have as many others behind it (`MPF`), such as a map of its depth or light.
const MOST_OTHERS: u64 = 64;

pub(super) fn read(reader: &Reader<'_>, base: u64, seen: &mut Seen) -> Result<(), Stop> {
    let mut others = None;
    let scan = headers(reader, base, seen, Some(&mut others))?;
    // From here on only what is known already: headers do not belong here, but decoders look at them.
    seen.is_enough = true;
    if_known(rest(reader, scan, seen))?;
    match others {
        Some(index) => if_known(read_others(reader, base, index, seen)),
        None => Ok(()),
    }
}

/// The segments before the first scan; where that begins.
fn headers(reader: &Reader<'_>, base: u64, seen: &mut Seen, mut others: Option<&mut Option<u64>>) -> Result<u64, Stop> {
    let mut at = base.saturating_add(2);
    let mut oriented = false;
    loop {
        let (marker, body, end) = segment(reader, at)?;
        match marker {
            0xda => return Ok(end),
            _ if is_frame(marker) => {
                let (width, height) = frame(reader, body)?;
                seen.show_largest(width, height);
            }
            0xe1 if !oriented && end - body >= 6 && reader.bytes(body)? == *b"Exif\0\0" => {
                oriented = true;
                seen.orient(tiff::orientation(reader, body + 6, end)?);
            }
            0xe2 if end - body >= 4 && reader.bytes(body)? == *b"MPF\0" => {
                if let Some(others) = others.as_deref_mut() {
                    others.get_or_insert(body + 4);
                }
            }
            _ => {}
        }
        at = end;
    }
}

/// What follows the first scan, up to the end of the image.
fn rest(reader: &Reader<'_>, scan: u64, seen: &mut Seen) -> Result<(), Stop> {
    let mut at = scan;
    loop {
        let (marker, body, end) = segment(reader, at)?;
        match marker {
            0xd9 => return Ok(()),
            _ if is_frame(marker) => {
                let (width, height) = frame(reader, body)?;
                seen.count(width, height);
            }
            _ => {}
        }
        at = end;
    }
}

/// The next marker at `at` or after it, where its body begins and where that ends. What is no marker is skipped, as decoders do.
fn segment(reader: &Reader<'_>, from: u64) -> Result<(u8, u64, u64), Stop> {
    let mut at = from;
    loop {
        at = reader.find(at, |byte| byte == 0xff)?;
        at = reader.find(at, |byte| byte != 0xff)?;
        let [marker] = reader.bytes(at)?;
        let body = at.saturating_add(1);
        match marker {
            // A byte of a scan, what may stand between two pieces of one, and markers without meaning, of which some decoders skip no more.
            0x00 | 0x01 | 0xc8 | 0xd0..=0xd8 | 0xf0..=0xfd => at = body,
            0xd9 => return Ok((marker, body, body)),
            _ => {
                // Less than its own two bytes is no length, but some decoders go on behind it.
                let length = reader.u16(body)?.max(2);
                return Ok((marker, body.saturating_add(2), body.saturating_add(length)));
            }
        }
    }
}

/// Every marker that begins a frame, and the one that begins a row of them.
fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf | 0xde) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

/// Width and height of a frame.
fn frame(reader: &Reader<'_>, body: u64) -> Result<(u64, u64), Stop> {
    let (height, width) = (reader.u16(body.saturating_add(1))?, reader.u16(body.saturating_add(3))?);
    Ok((width, height))
}

/// The images that the index of a multi-picture file names.
fn read_others(reader: &Reader<'_>, base: u64, index: u64, seen: &mut Seen) -> Result<(), Stop> {
    const ENTRIES: u64 = 0xb002;
    let Some((list, length, is_big)) = tiff::bytes_of(reader, index, ENTRIES)? else { return Ok(()) };
    for entry in 0..(length / 16).min(MOST_OTHERS) {
        let place = list.saturating_add(entry * 16 + 8);
        let offset = if is_big { reader.u32(place)? } else { reader.u32_le(place)? };
        let other = index.saturating_add(offset);
        // The first one is this image, and stands there as 0.
        if offset > 0 && other > base && reader.bytes(other).is_ok_and(|soi: [u8; 2]| soi == [0xff, 0xd8]) {
            let mut its = Seen::default();
            if_known(headers(reader, other, &mut its, None).map(drop))?;
            if let Some(largest) = its.largest {
                seen.count(largest.width.into(), largest.height.into());
            }
        }
    }
    Ok(())
}
