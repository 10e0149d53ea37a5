//! JPEG XL: the first bits of its codestream, by itself or in boxes.

use super::Seen;
use super::boxes;
use super::reader::{Reader, Stop};

pub(super) const SIGNATURE: &[u8] = b"\0\0\0\x0cJXL \r\n\x87\n";

pub(super) fn read(reader: &Reader<'_>, base: u64, seen: &mut Seen) -> Result<(), Stop> {
    let mut at = base;
    while let Some(found) = boxes::at(reader, at, reader.size())? {
        match &found.name {
            b"jxlc" => return read_codestream(reader, found.body, seen),
            // A part of it, behind its number.
            b"jxlp" => return read_codestream(reader, found.body.saturating_add(4), seen),
            _ => at = found.end,
        }
    }
    Ok(())
}

pub(super) fn read_codestream(reader: &Reader<'_>, base: u64, seen: &mut Seen) -> Result<(), Stop> {
    let length = reader.size().saturating_sub(base).min(16);
    let bytes = reader.slice(base, length)?.strip_prefix(b"\xff\x0a").ok_or(Stop::End)?;
    // The low bits come first; all of it fits here.
    let mut bits = bytes.iter().rev().fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
    let mut take = |count: u32| {
        let value = bits & ((1 << count) - 1);
        bits >>= count;
        u64::try_from(value).unwrap_or_default()
    };
    let is_small = take(1) == 1;
    let side = |take: &mut dyn FnMut(u32) -> u64| {
        if is_small {
            return (take(5) + 1) * 8;
        }
        let count = [9, 13, 18, 30][usize::try_from(take(2)).unwrap_or_default()];
        take(count) + 1
    };
    let height = side(&mut take);
    let width = match take(3) {
        0 => side(&mut take),
        1 => height,
        2 => height * 12 / 10,
        3 => height * 4 / 3,
        4 => height * 3 / 2,
        5 => height * 16 / 9,
        6 => height * 5 / 4,
        _ => height * 2,
    };
    seen.show(width, height);
    let (is_default, has_more) = (take(1) == 1, take(1) == 1);
    if !is_default && has_more {
        seen.orient(Some(take(3) + 1));
    }
    Ok(())
}
