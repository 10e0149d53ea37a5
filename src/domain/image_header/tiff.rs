//! TIFF in both byte orders and both widths, and its kin: every directory; and the EXIF orientation, which is one of its tags.

use std::collections::{HashSet, VecDeque};

use super::Seen;
use super::reader::{Reader, Stop};

const NEW_SUBFILE_TYPE: u64 = 254;
const WIDTH: u64 = 256;
const HEIGHT: u64 = 257;
const ORIENTATION: u64 = 274;
const TILE_WIDTH: u64 = 322;
const TILE_HEIGHT: u64 = 323;
const SUB_DIRECTORIES: u64 = 330;
/// Width and height in JPEG XR, whose directories are those of TIFF.
const XR_WIDTH: u64 = 0xbc80;
const XR_HEIGHT: u64 = 0xbc81;

/// A decoder reads a tile as a whole, so that one may be far larger than the image in it. Below this it is an ordinary one, and an
/// image that is smaller than its tile is no larger for that.
const ORDINARY_TILE: u64 = 1 << 20;

/// The first bytes of a TIFF, also of one inside another file.
struct Tiff<'r, 'a> {
    reader: &'r Reader<'a>,
    base: u64,
    /// Nothing of it stands here or later.
    end: u64,
    is_big_endian: bool,
    /// `BigTIFF`: eight bytes where others have four.
    is_wide: bool,
}

/// One tag of a directory.
struct Entry {
    tag: u64,
    kind: u64,
    count: u64,
    /// Where its value stands, or the place of it.
    value: u64,
}

#[derive(Default)]
struct Directory {
    width: u64,
    height: u64,
    tile: (u64, u64),
    orientation: Option<u64>,
    /// A small version of another image.
    is_reduced: bool,
    below: Vec<u64>,
    next: u64,
}

pub(super) fn read(reader: &Reader<'_>, base: u64, seen: &mut Seen) -> Result<(), Stop> {
    let tiff = Tiff::open(reader, base, reader.size())?.ok_or(Stop::End)?;
    // The whole chain before what hangs below it: pages are shown, and a directory below one is another form of it.
    let mut waiting = VecDeque::from([tiff.first()?]);
    let mut below = VecDeque::new();
    let mut known = HashSet::new();
    let mut orientation = None;
    let mut shows_reduced = false;
    while let Some(at) = waiting.pop_front().or_else(|| below.pop_front()) {
        if at == 0 || !known.insert(at) {
            continue;
        }
        let directory = match tiff.directory(at) {
            Ok(directory) => directory,
            // This one leads nowhere; others may.
            Err(Stop::End) => continue,
            Err(stop) => return Err(stop),
        };
        waiting.push_front(directory.next);
        below.extend(directory.below);
        let Directory { width, height, tile, .. } = directory;
        if width > 0 && height > 0 {
            // A raw photo begins with a preview.
            if seen.shown.is_none() || (shows_reduced && !directory.is_reduced) {
                seen.shown = None;
                shows_reduced = directory.is_reduced;
                orientation = directory.orientation.or(orientation);
            }
            seen.show(width, height);
            seen.orient(orientation);
            seen.is_enough = true;
        }
        if tile.0.saturating_mul(tile.1) > ORDINARY_TILE {
            seen.count(tile.0, tile.1);
        }
    }
    Ok(())
}

/// The EXIF orientation in a TIFF that stands from `base` to `end` in another file, perhaps behind a mark; `None` where it says none.
pub(super) fn orientation(reader: &Reader<'_>, base: u64, end: u64) -> Result<Option<u64>, Stop> {
    let marked = end.saturating_sub(base) > 6 && reader.bytes(base).is_ok_and(|mark: [u8; 6]| mark == *b"Exif\0\0");
    let base = if marked { base + 6 } else { base };
    let looked = first_entry(reader, base, end, ORIENTATION).and_then(|found| match found {
        Some((tiff, entry)) => tiff.number(&entry).map(Some),
        None => Ok(None),
    });
    match looked {
        Err(Stop::End) => Ok(None),
        other => other,
    }
}

/// Where the bytes of a tag stand in the first directory, how many they are, and whether numbers in them are big-endian.
pub(super) fn bytes_of(reader: &Reader<'_>, base: u64, tag: u64) -> Result<Option<(u64, u64, bool)>, Stop> {
    let Some((tiff, entry)) = first_entry(reader, base, reader.size(), tag)? else { return Ok(None) };
    Ok(Some((tiff.values(&entry)?, entry.count, tiff.is_big_endian)))
}

fn first_entry<'r, 'a>(reader: &'r Reader<'a>, base: u64, end: u64, tag: u64) -> Result<Option<(Tiff<'r, 'a>, Entry)>, Stop> {
    let Some(tiff) = Tiff::open(reader, base, end)? else { return Ok(None) };
    let (entries, count) = tiff.entries(tiff.first()?)?;
    for number in 0..count {
        let entry = tiff.entry(entries, number)?;
        if entry.tag == tag {
            return Ok(Some((tiff, entry)));
        }
    }
    Ok(None)
}

impl<'r, 'a> Tiff<'r, 'a> {
    fn open(reader: &'r Reader<'a>, base: u64, end: u64) -> Result<Option<Self>, Stop> {
        let (is_big_endian, is_wide) = match &reader.bytes(base)? {
            b"II*\0" | b"II\xbc\x01" | b"II\xbc\0" => (false, false),
            b"MM\0*" => (true, false),
            b"II+\0" => (false, true),
            b"MM\0+" => (true, true),
            _ => return Ok(None),
        };
        Ok(Some(Self { reader, base, end, is_big_endian, is_wide }))
    }

    fn first(&self) -> Result<u64, Stop> {
        if self.is_wide { self.at(8, 8) } else { self.at(4, 4) }
    }

    /// A number of `length` bytes.
    fn at(&self, offset: u64, length: u64) -> Result<u64, Stop> {
        let place = self.base.checked_add(offset).ok_or(Stop::End)?;
        if place.checked_add(length).is_none_or(|end| end > self.end) {
            return Err(Stop::End);
        }
        let bytes = self.reader.slice(place, length)?;
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Ok(if self.is_big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
    }

    /// Where the tags of a directory begin, and how many there are.
    fn entries(&self, directory: u64) -> Result<(u64, u64), Stop> {
        let length = if self.is_wide { 8 } else { 2 };
        Ok((directory.saturating_add(length), self.at(directory, length)?))
    }

    fn entry(&self, entries: u64, number: u64) -> Result<Entry, Stop> {
        let place = entries.saturating_add(number.saturating_mul(if self.is_wide { 20 } else { 12 }));
        let (tag, kind) = (self.at(place, 2)?, self.at(place.saturating_add(2), 2)?);
        let (count, value) =
            if self.is_wide { (self.at(place.saturating_add(4), 8)?, 12) } else { (self.at(place.saturating_add(4), 4)?, 8) };
        Ok(Entry { tag, kind, count, value: place.saturating_add(value) })
    }

    /// Where the values of a tag begin: in its place when they are short, and elsewhere when not. From the start of the file.
    fn values(&self, entry: &Entry) -> Result<u64, Stop> {
        let room = if self.is_wide { 8 } else { 4 };
        let is_here = entry.count.saturating_mul(length_of(entry.kind)) <= room;
        let offset = if is_here { entry.value } else { self.at(entry.value, room)? };
        self.base.checked_add(offset).ok_or(Stop::End)
    }

    /// The first value of a tag that has whole numbers.
    fn number(&self, entry: &Entry) -> Result<u64, Stop> {
        self.at(self.values(entry)?.saturating_sub(self.base), length_of(entry.kind))
    }

    fn directory(&self, at: u64) -> Result<Directory, Stop> {
        let (entries, count) = self.entries(at)?;
        let mut directory = Directory::default();
        for number in 0..count {
            // A directory that is cut off, or a value beyond the end, leaves what could be read: decoders go on with that.
            let entry = match self.entry(entries, number) {
                Err(Stop::End) => break,
                other => other?,
            };
            let added = self.add(&entry, &mut directory);
            if added != Err(Stop::End) {
                added?;
            }
        }
        let next = entries.saturating_add(count.saturating_mul(if self.is_wide { 20 } else { 12 }));
        // What ends with its last tag has no next one.
        directory.next = match self.at(next, if self.is_wide { 8 } else { 4 }) {
            Err(Stop::End) => 0,
            other => other?,
        };
        Ok(directory)
    }

    fn add(&self, entry: &Entry, directory: &mut Directory) -> Result<(), Stop> {
        // A tag that is there twice is read in its first place by some and in its last by others.
        let most = |before: u64| self.number(entry).map(|value| value.max(before));
        match entry.tag {
            WIDTH | XR_WIDTH => directory.width = most(directory.width)?,
            HEIGHT | XR_HEIGHT => directory.height = most(directory.height)?,
            TILE_WIDTH => directory.tile.0 = most(directory.tile.0)?,
            TILE_HEIGHT => directory.tile.1 = most(directory.tile.1)?,
            ORIENTATION => directory.orientation = Some(self.number(entry)?),
            NEW_SUBFILE_TYPE => directory.is_reduced = self.number(entry)? & 1 == 1,
            SUB_DIRECTORIES => self.below(entry, &mut directory.below)?,
            _ => {}
        }
        Ok(())
    }

    fn below(&self, entry: &Entry, below: &mut Vec<u64>) -> Result<(), Stop> {
        let (first, length) = (self.values(entry)?.saturating_sub(self.base), length_of(entry.kind));
        for number in 0..entry.count {
            below.push(self.at(first.saturating_add(number.saturating_mul(length)), length)?);
        }
        Ok(())
    }
}

/// The bytes of one value. What is no whole number is as long as it is, for its place, and no less than that for its value.
fn length_of(kind: u64) -> u64 {
    match kind {
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 | 17 | 18 => 8,
        _ => 1,
    }
}
