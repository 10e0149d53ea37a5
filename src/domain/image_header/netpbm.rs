//! The formats of Netpbm and of Radiance, whose headers are text.

use super::Seen;
use super::reader::{Reader, Stop};

/// A number has no more digits.
const MOST_DIGITS: u64 = 20;

/// Whether a file that begins so may be of this kind. Many a text begins so too: who asks knows whether it is one.
pub(super) fn is_netpbm(start: &[u8]) -> bool {
    let is_map = matches!(start, [b'P', b'1'..=b'7' | b'f' | b'F', space, ..] if space.is_ascii_whitespace());
    is_map || is_radiance(start)
}

fn is_radiance(start: &[u8]) -> bool {
    start.starts_with(b"#?RADIANCE\n") || start.starts_with(b"#?RGBE\n")
}

pub(super) fn read(reader: &Reader<'_>, base: u64, seen: &mut Seen) -> Result<(), Stop> {
    let [_, kind] = reader.bytes(base)?;
    match kind {
        b'7' => read_arbitrary(reader, base, seen),
        b'?' => read_radiance(reader, base, seen),
        _ => {
            let (width, at) = number(reader, base.saturating_add(2))?;
            let (height, _) = number(reader, at)?;
            seen.show(width, height);
            Ok(())
        }
    }
}

/// A map of any number of channels: one field in a line.
fn read_arbitrary(reader: &Reader<'_>, base: u64, seen: &mut Seen) -> Result<(), Stop> {
    let (mut width, mut height) = (0, 0);
    let mut at = reader.find(base, |byte| byte == b'\n')?.saturating_add(1);
    loop {
        let end = reader.find(at, |byte| byte == b'\n')?;
        let line = reader.slice(at, end.saturating_sub(at))?;
        // The last of them counts in some decoders, the first in others.
        if line.starts_with(b"WIDTH ") {
            width = number(reader, at.saturating_add(6))?.0.max(width);
        } else if line.starts_with(b"HEIGHT ") {
            height = number(reader, at.saturating_add(7))?.0.max(height);
        } else if line.starts_with(b"ENDHDR") {
            seen.show(width, height);
            return Ok(());
        }
        at = end.saturating_add(1);
    }
}

/// Lines up to an empty one, then one such as `-Y 480 +X 640`.
fn read_radiance(reader: &Reader<'_>, base: u64, seen: &mut Seen) -> Result<(), Stop> {
    let mut at = base;
    let mut is_size = false;
    loop {
        let end = reader.find(at, |byte| byte == b'\n')?;
        if is_size {
            let (one, next) = number(reader, at.saturating_add(2))?;
            let (other, _) = number(reader, next.saturating_add(3))?;
            let [_, axis] = reader.bytes(at)?;
            if axis == b'X' {
                seen.show(one, other);
            } else {
                seen.show(other, one);
            }
            return Ok(());
        }
        is_size = end == at;
        at = end.saturating_add(1);
    }
}

/// The next number, behind blanks and comments, and where it ends.
fn number(reader: &Reader<'_>, from: u64) -> Result<(u64, u64), Stop> {
    let mut at = from;
    loop {
        at = reader.find(at, |byte| !byte.is_ascii_whitespace())?;
        if reader.bytes(at)? != [b'#'] {
            break;
        }
        at = reader.find(at, |byte| byte == b'\n' || byte == b'\r')?;
    }
    let mut value = 0_u64;
    for length in 0..=MOST_DIGITS {
        let place = at.saturating_add(length);
        match reader.bytes(place) {
            Ok([digit @ b'0'..=b'9']) => value = value.saturating_mul(10).saturating_add((digit - b'0').into()),
            Ok(_) | Err(Stop::End) if length > 0 => return Ok((value, place)),
            Ok(_) => return Err(Stop::End),
            Err(stop) => return Err(stop),
        }
    }
    Err(Stop::End)
}
