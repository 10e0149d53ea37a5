//! JPEG 2000: the header box of JP2, and the codestream in it or by itself.

use super::Seen;
use super::boxes::{self, each};
use super::reader::{Reader, Stop, if_known};

pub(super) const SIGNATURE: &[u8] = b"\0\0\0\x0cjP  \r\n\x87\n";

pub(super) fn read(reader: &Reader<'_>, base: u64, seen: &mut Seen) -> Result<(), Stop> {
    let mut at = base;
    while let Some(found) = boxes::at(reader, at, reader.size())? {
        match &found.name {
            b"jp2h" => each(reader, found.body, found.end, |found| {
                if found.name == *b"ihdr" {
                    let (height, width) = (reader.u32(found.body)?, reader.u32(found.body.saturating_add(4))?);
                    seen.show(width, height);
                }
                Ok(())
            })?,
            b"jp2c" => {
                read_codestream(reader, found.body, seen)?;
                seen.is_enough = true;
                return if_known(rest(reader, found.end, seen));
            }
            _ => {}
        }
        at = found.end;
    }
    Ok(())
}

/// Further images in the known bytes.
fn rest(reader: &Reader<'_>, at: u64, seen: &mut Seen) -> Result<(), Stop> {
    each(reader, at, reader.size(), |found| if found.name == *b"jp2c" { read_codestream(reader, found.body, seen) } else { Ok(()) })
}

pub(super) fn read_codestream(reader: &Reader<'_>, base: u64, seen: &mut Seen) -> Result<(), Stop> {
    if reader.bytes(base)? != *b"\xff\x4f\xff\x51" {
        return Err(Stop::End);
    }
    let field = |number: u64| reader.u32(base.saturating_add(8 + number * 4));
    // The image begins somewhere on its grid and goes on to the grid's end.
    seen.show(field(0)?.saturating_sub(field(2)?), field(1)?.saturating_sub(field(3)?));
    Ok(())
}
