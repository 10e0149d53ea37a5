//! HEIF, with HEIC and AVIF: every item's size, the canvas of grids and overlays, tracks of sequences, and how the primary item is shown.

use std::collections::HashMap;

use super::boxes::{self, Box, each};
use super::reader::{Reader, Stop, if_known};
use super::{Seen, codec};

/// Brands of still images and of their sequences. Whatever codec is inside, the boxes are the same.
const BRANDS: [&[u8; 4]; 29] = [
    b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"mif3", b"msf1", b"miaf", b"avif", b"avis",
    b"avio", b"MA1A", b"MA1B", b"jpeg", b"jpgs", b"avci", b"avcs", b"j2ki", b"j2is", b"vvic", b"vvis", b"evbi", b"evbs", b"1pic",
];

/// Brands of files whose pictures are in a track, of which a viewer shows the first one.
const SEQUENCES: [&[u8; 4]; 9] = [b"msf1", b"hevc", b"hevx", b"hevm", b"hevs", b"avis", b"avcs", b"vvis", b"j2is"];

fn brands(start: &[u8]) -> impl Iterator<Item = &[u8]> {
    let length = start.get(..4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
    let end = usize::try_from(length).unwrap_or(usize::MAX).min(start.len()).min(4096);
    // The second of them is a version.
    start.get(8..end).unwrap_or_default().chunks_exact(4).enumerate().filter(|(place, _)| *place != 1).map(|(_, brand)| brand)
}

/// Whether a file that begins so is of this kind.
pub(super) fn is_heif(start: &[u8]) -> bool {
    start.get(4..8) == Some(b"ftyp") && brands(start).any(|brand| BRANDS.iter().any(|known| *known == brand))
}

pub(super) fn read(reader: &Reader<'_>, base: u64, seen: &mut Seen) -> Result<(), Stop> {
    let start = reader.slice(base, 8.max(reader.u32(base)?.min(4096)))?;
    let mut awaits_track = brands(start).any(|brand| SEQUENCES.iter().any(|known| *known == brand));
    let mut awaits_items = true;
    let mut at = base;
    while let Some(found) = boxes::at(reader, at, reader.size())? {
        match &found.name {
            b"meta" => {
                items(reader, &found, seen)?;
                awaits_items = false;
            }
            b"moov" => {
                track(reader, &found, seen, 0)?;
                // A sequence need not have items.
                (awaits_track, awaits_items) = (false, awaits_items && seen.shown.is_none());
            }
            _ => {}
        }
        at = found.end;
        if !awaits_items && !awaits_track {
            seen.is_enough = true;
            return if_known(rest(reader, at, seen));
        }
    }
    Ok(())
}

/// What else is in the known bytes: nothing belongs there.
fn rest(reader: &Reader<'_>, at: u64, seen: &mut Seen) -> Result<(), Stop> {
    each(reader, at, reader.size(), |found| match &found.name {
        b"meta" => items(reader, found, seen),
        b"moov" => track(reader, found, seen, 0),
        _ => Ok(()),
    })
}

/// What the items of a `meta` box say; of a broken one, those before the fault.
fn items(reader: &Reader<'_>, meta: &Box, seen: &mut Seen) -> Result<(), Stop> {
    let mut items = Items::default();
    match items.fill(reader, meta) {
        Ok(()) | Err(Stop::End) => items.tell(reader, seen),
        Err(stop) => Err(stop),
    }
}

/// What a property of an item says.
#[derive(Clone, Copy)]
enum Property {
    Size(u64, u64),
    /// A crop, as width and height.
    Crop(u64, u64),
    /// A quarter turn.
    Turn,
    Other,
}

/// The items of a `meta` box.
#[derive(Default)]
struct Items {
    primary: Option<u64>,
    properties: Vec<Property>,
    /// Sizes in the headers of codecs, in properties or in front of an item's data.
    coded: Vec<(u64, u64)>,
    /// By item, which properties it has, counted from one and in their order.
    has: HashMap<u64, Vec<u64>>,
    kinds: HashMap<u64, [u8; 4]>,
    /// By item, where its data begins: in the file, or in the box for that.
    places: HashMap<u64, Place>,
    data: Option<(u64, u64)>,
}

struct Place {
    is_in_box: bool,
    offset: u64,
}

impl Items {
    fn fill(&mut self, reader: &Reader<'_>, meta: &Box) -> Result<(), Stop> {
        let items = self;
        // Behind its version and flags. Where QuickTime wrote it, it has none.
        let is_plain = reader.bytes(meta.body.saturating_add(4)).is_ok_and(|name: [u8; 4]| name == *b"hdlr");
        let body = if is_plain { meta.body } else { meta.body.saturating_add(4) };
        each(reader, body, meta.end, |found| {
            match &found.name {
                b"pitm" => {
                    let is_wide = reader.bytes::<1>(found.body)? != [0];
                    let id = found.body.saturating_add(4);
                    items.primary = Some(if is_wide { reader.u32(id)? } else { reader.u16(id)? });
                }
                b"iprp" => each(reader, found.body, found.end, |found| match &found.name {
                    b"ipco" => each(reader, found.body, found.end, |found| items.property(reader, found)),
                    b"ipma" => items.associate(reader, found),
                    _ => Ok(()),
                })?,
                b"iinf" => items.name(reader, found)?,
                b"iloc" => items.locate(reader, found)?,
                b"idat" => items.data = Some((found.body, found.end)),
                _ => {}
            }
            Ok(())
        })
    }

    fn property(&mut self, reader: &Reader<'_>, found: &Box) -> Result<(), Stop> {
        let field = |number: u64| reader.u32(found.body.saturating_add(number * 4));
        let property = match &found.name {
            b"ispe" => Property::Size(field(1)?, field(2)?),
            b"irot" if reader.bytes::<1>(found.body)?[0] & 1 == 1 => Property::Turn,
            b"clap" => Property::Crop(field(0)? / field(1)?.max(1), field(2)? / field(3)?.max(1)),
            b"hvcC" | b"av1C" => {
                let body = reader.slice(found.body, found.end.saturating_sub(found.body).min(4096))?;
                let sizes = if found.name == *b"hvcC" { codec::hevc(body) } else { codec::av1(body.get(4..).unwrap_or_default()) };
                self.coded.extend(sizes);
                Property::Other
            }
            _ => Property::Other,
        };
        self.properties.push(property);
        Ok(())
    }

    fn associate(&mut self, reader: &Reader<'_>, found: &Box) -> Result<(), Stop> {
        let [version, _, _, flags] = reader.bytes(found.body)?;
        let entries = reader.u32(found.body.saturating_add(4))?;
        let mut at = found.body.saturating_add(8);
        for _ in 0..entries {
            if at >= found.end {
                break;
            }
            let (item, next) = if version == 0 { (reader.u16(at)?, 2) } else { (reader.u32(at)?, 4) };
            at = at.saturating_add(next);
            let [count] = reader.bytes(at)?;
            at = at.saturating_add(1);
            let has = self.has.entry(item).or_default();
            for _ in 0..count {
                if flags & 1 == 0 {
                    has.push(u64::from(reader.bytes::<1>(at)?[0] & 0x7f));
                    at = at.saturating_add(1);
                } else {
                    has.push(reader.u16(at)? & 0x7fff);
                    at = at.saturating_add(2);
                }
            }
        }
        Ok(())
    }

    /// Which kind each item is of.
    fn name(&mut self, reader: &Reader<'_>, found: &Box) -> Result<(), Stop> {
        let first = found.body.saturating_add(if reader.bytes::<1>(found.body)? == [0] { 6 } else { 8 });
        each(reader, first, found.end, |found| {
            let [version] = reader.bytes(found.body)?;
            if found.name == *b"infe" && version >= 2 {
                let id = found.body.saturating_add(4);
                let (id, kind) = if version == 2 { (reader.u16(id)?, 8) } else { (reader.u32(id)?, 10) };
                self.kinds.insert(id, reader.bytes(found.body.saturating_add(kind))?);
            }
            Ok(())
        })
    }

    /// Where the first bytes of each item are.
    fn locate(&mut self, reader: &Reader<'_>, found: &Box) -> Result<(), Stop> {
        let [version, _, _, _, lengths, more] = reader.bytes(found.body)?;
        let (offset, length) = (u64::from(lengths >> 4), u64::from(lengths & 15));
        let (base, index) = (u64::from(more >> 4), if version == 0 { 0 } else { u64::from(more & 15) });
        let wide = if version < 2 { 2 } else { 4 };
        let mut at = found.body.saturating_add(6);
        let mut next = |length: u64| {
            let bytes = reader.slice(at, length)?;
            at = at.saturating_add(length);
            Ok::<_, Stop>((bytes.iter().fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte)), at < found.end))
        };
        let (count, _) = next(wide)?;
        for _ in 0..count {
            let (item, is_inside) = next(wide)?;
            if !is_inside {
                break;
            }
            let method = if version == 0 { 0 } else { next(2)?.0 & 15 };
            next(2)?;
            let from = next(base)?.0;
            let (extents, _) = next(2)?;
            for extent in 0..extents {
                next(index)?;
                let offset = from.saturating_add(next(offset)?.0);
                let (_, is_inside) = next(length)?;
                if extent == 0 {
                    self.places.insert(item, Place { is_in_box: method == 1, offset });
                }
                if !is_inside {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Tells every size, and how the primary item is shown.
    fn tell(&self, reader: &Reader<'_>, seen: &mut Seen) -> Result<(), Stop> {
        let sizes = self.properties.iter().filter_map(|property| match property {
            Property::Size(width, height) => Some((*width, *height)),
            _ => None,
        });
        for (width, height) in sizes.clone() {
            seen.count(width, height);
        }
        for (width, height) in &self.coded {
            seen.count(*width, *height);
        }
        for (item, kind) in &self.kinds {
            match kind {
                b"grid" => self.canvas(reader, *item, 4, seen)?,
                b"iovl" => self.canvas(reader, *item, 10, seen)?,
                b"av01" => if_known(self.coded_in_data(reader, *item, seen))?,
                _ => {}
            }
        }
        if seen.shown.is_some() {
            return Ok(());
        }
        let (mut size, mut is_turned) = (None, false);
        for place in self.primary.and_then(|item| self.has.get(&item)).into_iter().flatten() {
            match place.checked_sub(1).and_then(|place| self.properties.get(usize::try_from(place).ok()?)) {
                Some(Property::Size(width, height)) => size = Some((*width, *height)),
                // Which way the crop lies depends on whether it was turned before.
                Some(Property::Crop(width, height)) => size = Some(if is_turned { (*height, *width) } else { (*width, *height) }),
                Some(Property::Turn) => is_turned = !is_turned,
                _ => {}
            }
        }
        let size = size.or_else(|| sizes.max_by_key(|(width, height)| width.saturating_mul(*height)));
        if let Some((width, height)) = size {
            seen.show(width, height);
            seen.turned = is_turned;
        }
        Ok(())
    }

    fn place(&self, item: u64) -> Option<u64> {
        let Place { is_in_box, offset } = self.places.get(&item)?;
        if *is_in_box { self.data.and_then(|(body, _)| body.checked_add(*offset)) } else { Some(*offset) }
    }

    /// The canvas of an item that is put together from others: `lengths` bytes into its data.
    fn canvas(&self, reader: &Reader<'_>, item: u64, lengths: u64, seen: &mut Seen) -> Result<(), Stop> {
        let Some(at) = self.place(item) else { return Ok(()) };
        let looked = (|| {
            let [_, flags] = reader.bytes(at)?;
            let place = at.saturating_add(lengths);
            let is_wide = flags & 1 == 1;
            let (width, height) = if is_wide {
                (reader.u32(place)?, reader.u32(place.saturating_add(4))?)
            } else {
                (reader.u16(place)?, reader.u16(place.saturating_add(2))?)
            };
            seen.count(width, height);
            Ok(())
        })();
        match looked {
            Err(Stop::End) => Ok(()),
            other => other,
        }
    }

    /// AV1 may have its header in front of its data only.
    fn coded_in_data(&self, reader: &Reader<'_>, item: u64, seen: &mut Seen) -> Result<(), Stop> {
        let Some(at) = self.place(item) else { return Ok(()) };
        let length = reader.size().saturating_sub(at).min(256);
        for (width, height) in codec::av1(reader.slice(at, length)?) {
            seen.count(width, height);
        }
        Ok(())
    }
}

/// What the tracks of a sequence say.
fn track(reader: &Reader<'_>, parent: &Box, seen: &mut Seen, depth: u8) -> Result<(), Stop> {
    each(reader, parent.body, parent.end, |found| {
        match &found.name {
            b"trak" | b"mdia" | b"minf" | b"stbl" if depth < 8 => track(reader, found, seen, depth + 1)?,
            b"tkhd" => {
                // Lengths have sixteen bits behind the point.
                let lengths = found.body.saturating_add(if reader.bytes::<1>(found.body)? == [1] { 88 } else { 76 });
                seen.show(reader.u32(lengths)? >> 16, reader.u32(lengths.saturating_add(4))? >> 16);
            }
            b"stsd" => each(reader, found.body.saturating_add(8), found.end, |entry| {
                let lengths = entry.body.saturating_add(24);
                seen.show(reader.u16(lengths)?, reader.u16(lengths.saturating_add(2))?);
                let mut items = Items::default();
                match each(reader, entry.body.saturating_add(78), entry.end, |found| items.property(reader, found)) {
                    // A track of sound has something else there.
                    Ok(()) | Err(Stop::End) => items.tell(reader, seen),
                    Err(stop) => Err(stop),
                }
            })?,
            _ => {}
        }
        Ok(())
    })
}
