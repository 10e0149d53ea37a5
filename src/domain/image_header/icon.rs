//! Icons: every entry, and the header of the image in it.

use super::reader::{Reader, Stop};
use super::{Seen, bitmap, jp2, png};

/// Whether a file that begins so is an icon or a cursor of Windows with at least one entry.
pub(super) fn is_icon(start: &[u8]) -> bool {
    matches!(start, [0, 0, 1 | 2, 0, low, high, ..] if (*low, *high) != (0, 0))
}

pub(super) fn read(reader: &Reader<'_>, base: u64, seen: &mut Seen) -> Result<(), Stop> {
    let count = reader.u16_le(base.saturating_add(4))?;
    let entry = |number: u64| base.saturating_add(6 + number * 16);
    for number in 0..count {
        let [width, height] = reader.bytes(entry(number))?;
        let side = |length: u8| if length == 0 { 256 } else { u64::from(length) };
        seen.show_largest(side(width), side(height));
    }
    seen.is_enough = true;
    for number in 0..count {
        let at = base.saturating_add(reader.u32_le(entry(number).saturating_add(12))?);
        embedded(reader, at, seen)?;
    }
    Ok(())
}

/// The image of one entry, which may be larger than its entry says.
fn embedded(reader: &Reader<'_>, at: u64, seen: &mut Seen) -> Result<(), Stop> {
    let looked = match reader.bytes(at) {
        Ok(png::SIGNATURE) => count(png::read, reader, at, seen),
        Ok([12..=255, 0, 0, 0, ..]) => {
            // Its mask stands below it, and is as high.
            bitmap::size(reader, at).map(|(width, height)| seen.count(width, height / 2))
        }
        Ok(_) => Ok(()),
        Err(stop) => Err(stop),
    };
    seen.shown = seen.largest;
    if looked == Err(Stop::End) { Ok(()) } else { looked }
}

/// Counts what an image inside another says.
fn count(parser: super::Parser, reader: &Reader<'_>, at: u64, seen: &mut Seen) -> Result<(), Stop> {
    let mut its = Seen::default();
    let looked = parser(reader, at, &mut its);
    if let Some(largest) = its.largest {
        seen.count(largest.width.into(), largest.height.into());
    }
    match looked {
        // Its size is known; what else it wants is not shown in an icon.
        Err(Stop::Want(_)) if its.is_enough => Ok(()),
        other => other,
    }
}

/// Whether a file that begins so is an icon of macOS.
pub(super) fn is_apple_icon(start: &[u8]) -> bool {
    start.starts_with(b"icns") && start.get(12) == Some(&0)
}

pub(super) fn read_apple(reader: &Reader<'_>, base: u64, seen: &mut Seen) -> Result<(), Stop> {
    let mut at = base.saturating_add(8);
    loop {
        let (name, length) = (reader.bytes(at)?, reader.u32(at.saturating_add(4))?);
        let side = match &name {
            b"ic10" => 1024,
            b"ic09" | b"ic14" => 512,
            b"ic08" | b"ic13" => 256,
            b"ic07" | b"it32" | b"t8mk" => 128,
            b"icp6" | b"ic12" => 64,
            b"ich#" | b"ich4" | b"ich8" | b"ih32" | b"h8mk" => 48,
            b"ICN#" | b"icl4" | b"icl8" | b"il32" | b"l8mk" | b"icp5" | b"ic11" => 32,
            b"ics#" | b"ics4" | b"ics8" | b"is32" | b"s8mk" | b"icp4" => 16,
            _ => 0,
        };
        seen.count(side, side);
        let body = at.saturating_add(8);
        let looked = match reader.bytes(body) {
            Ok(png::SIGNATURE) => count(png::read, reader, body, seen),
            Ok([0, 0, 0, 0x0c, b'j', b'P', b' ', b' ']) => count(jp2::read, reader, body, seen),
            Ok([0xff, 0x4f, 0xff, 0x51, ..]) => count(jp2::read_codestream, reader, body, seen),
            Ok(_) => Ok(()),
            Err(stop) => Err(stop),
        };
        seen.shown = seen.largest;
        seen.is_enough |= seen.shown.is_some();
        if looked != Err(Stop::End) {
            looked?;
        }
        if length < 8 {
            return Err(Stop::End);
        }
        at = at.saturating_add(length);
    }
}
