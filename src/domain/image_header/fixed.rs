//! Formats whose width and height stand at fixed places, and `OpenEXR`, which is nearly so.

use super::Seen;
use super::reader::{Reader, Stop};

/// Where a format that begins so has its width and height.
struct Format {
    magic: &'static [u8],
    width: u64,
    height: u64,
    number: Number,
}

#[derive(Clone, Copy)]
enum Number {
    Two,
    Four,
    FourLittle,
}

const fn format(magic: &'static [u8], width: u64, height: u64, number: Number) -> Format {
    Format { magic, width, height, number }
}

const FORMATS: [Format; 14] = [
    // Photoshop, and its form for large images.
    format(b"8BPS\0\x01", 18, 14, Number::Four),
    format(b"8BPS\0\x02", 18, 14, Number::Four),
    format(b"DDS |\0\0\0", 16, 12, Number::FourLittle),
    format(b"qoif", 4, 8, Number::Four),
    format(b"farbfeld", 8, 12, Number::Four),
    format(b"gimp xcf ", 14, 18, Number::Four),
    format(b"\xabKTX 20\xbb\r\n\x1a\n", 20, 24, Number::FourLittle),
    // Sun's raster, and Silicon Graphics' with one or two bytes a channel.
    format(b"\x59\xa6\x6a\x95", 4, 8, Number::Four),
    format(b"\x01\xda\0\x01", 6, 8, Number::Two),
    format(b"\x01\xda\0\x02", 6, 8, Number::Two),
    format(b"\x01\xda\x01\x01", 6, 8, Number::Two),
    format(b"\x01\xda\x01\x02", 6, 8, Number::Two),
    format(b"BLP1", 12, 16, Number::FourLittle),
    format(b"BLP2", 12, 16, Number::FourLittle),
];

const EXR: &[u8] = b"\x76\x2f\x31\x01";
/// Attributes have these names; nothing says how many there are.
const MOST_NAME: u64 = 256;

fn of(start: &[u8]) -> Option<&'static Format> {
    FORMATS.iter().find(|format| start.starts_with(format.magic))
}

fn is_pcx(start: &[u8]) -> bool {
    matches!(start, [0x0a, 0 | 2..=5, 1, 1 | 2 | 4 | 8, ..])
}

/// The first page of a document of `DjVu` says its size behind its name.
fn is_djvu(start: &[u8]) -> bool {
    start.starts_with(b"AT&TFORM") && start.get(12..20) == Some(b"DJVUINFO")
}

pub(super) fn is_fixed(start: &[u8]) -> bool {
    of(start).is_some() || start.starts_with(EXR) || is_pcx(start) || is_djvu(start)
}

pub(super) fn read(reader: &Reader<'_>, base: u64, seen: &mut Seen) -> Result<(), Stop> {
    let start = reader.slice(base, reader.size().saturating_sub(base).min(24))?;
    if let Some(Format { width, height, number, .. }) = of(start) {
        let length = |at: u64| match number {
            Number::Two => reader.u16(base.saturating_add(at)),
            Number::Four => reader.u32(base.saturating_add(at)),
            Number::FourLittle => reader.u32_le(base.saturating_add(at)),
        };
        seen.show(length(*width)?, length(*height)?);
        Ok(())
    } else if start.starts_with(EXR) {
        windows(reader, base, seen)
    } else if is_djvu(start) {
        seen.show(reader.u16(base.saturating_add(24))?, reader.u16(base.saturating_add(26))?);
        Ok(())
    } else {
        // The first and the last column and row.
        let field = |number: u64| reader.u16_le(base.saturating_add(4 + number * 2));
        let side = |first: u64, last: u64| (last + 1).saturating_sub(first);
        seen.show(side(field(0)?, field(2)?), side(field(1)?, field(3)?));
        Ok(())
    }
}

/// The attributes of `OpenEXR`: a name, a type, a length and a value each, until a name is empty. Then another part may follow.
fn windows(reader: &Reader<'_>, base: u64, seen: &mut Seen) -> Result<(), Stop> {
    const PARTS: u64 = 0x1000;
    let has_parts = reader.u32_le(base.saturating_add(4))? & PARTS != 0;
    let (mut at, mut is_first, mut shown) = (base.saturating_add(8), true, None);
    loop {
        let name_end = reader.find(at, |byte| byte == 0)?;
        if name_end == at {
            if is_first || !has_parts {
                break;
            }
            (at, is_first) = (at.saturating_add(1), true);
            continue;
        }
        is_first = false;
        let name = reader.slice(at, name_end.saturating_sub(at).min(MOST_NAME))?;
        let length = reader.find(name_end.saturating_add(1), |byte| byte == 0)?.saturating_add(1);
        let value = length.saturating_add(4);
        if name == b"dataWindow" || name == b"displayWindow" {
            let field = |number: u64| Ok(i64::from(i32::from_le_bytes(reader.bytes(value.saturating_add(number * 4))?)));
            let side = |first: i64, last: i64| u64::try_from(last - first + 1).unwrap_or_default();
            let (width, height) = (side(field(0)?, field(2)?), side(field(1)?, field(3)?));
            seen.count(width, height);
            // What is displayed, else what there is data for.
            if name == b"displayWindow" || shown.is_none() {
                shown = Some((width, height));
            }
        }
        at = value.saturating_add(reader.u32_le(length)?);
    }
    if let Some((width, height)) = shown {
        seen.show(width, height);
    }
    Ok(())
}
