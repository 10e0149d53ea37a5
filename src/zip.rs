//! ZIP archives, written from their beginning to their end without looking back: pure, no IO.
//!
//! Files are not made smaller: what people attach is compressed already. Each is followed by its size and checksum, as nobody knows the
//! checksum before; readers that do not look back, as Java's, take that only from the method "deflate", which tells by itself where it
//! ends. So the bytes stand in its blocks for what is not compressed. ZIP64 is used where a size, an offset or a number does not fit, and
//! nowhere else: old readers do not know it.
//!
//! Sources: PKWARE, APPNOTE.TXT, "ZIP File Format Specification", version 6.3.10; RFC 1951, section 3.2.4.

mod names;

use crc32fast::Hasher;
use time::OffsetDateTime;

use names::Names;

/// Sizes and checksum follow the bytes (bit 3); names are UTF-8 (bit 11).
const FLAGS: u16 = 1 << 3 | 1 << 11;

/// Deflate.
const METHOD: u16 = 8;

/// Most bytes of a block that is not compressed, and how many stand before them.
const BLOCK: u64 = u16::MAX as u64;
const BLOCK_HEAD: u64 = 5;

/// What a reader must know, in tenths of a version: data descriptors, and ZIP64.
const PLAIN: u16 = 20;
const ZIP64: u16 = 45;

/// Made on Unix, by ZIP64's version: so that the permissions below mean something.
const MADE_BY: u16 = 3 << 8 | ZIP64;

/// A file that its owner may write and everybody read, as Unix says it.
const PERMISSIONS: u32 = 0o100_644 << 16;

/// Stands where the true value is in a ZIP64 field.
const ELSEWHERE: u32 = u32::MAX;

/// An archive on its way.
#[derive(Default)]
pub struct Archive {
    written: u64,
    names: Names,
    entries: Vec<Entry>,
    open: Option<Open>,
}

/// The file that is being written.
struct Open {
    hasher: Hasher,
    size: u64,
    seen: u64,
}

struct Entry {
    name: String,
    at: DosTime,
    crc: u32,
    size: u64,
    offset: u64,
}

impl Archive {
    /// What comes before the bytes of a file of `size` bytes.
    pub fn begin(&mut self, name: &str, at: OffsetDateTime, size: u64) -> Vec<u8> {
        let name = self.names.fresh(name);
        let at = DosTime::of(at);
        let large = is_large(packed(size));
        let mut head = Vec::with_capacity(64 + name.len());
        u32s(&mut head, &[0x0403_4b50]);
        u16s(&mut head, &[if large { ZIP64 } else { PLAIN }, FLAGS, METHOD, at.time, at.date]);
        // Checksum and sizes follow the bytes.
        let later = if large { ELSEWHERE } else { 0 };
        u32s(&mut head, &[0, later, later]);
        u16s(&mut head, &[name_length(&name), if large { 20 } else { 0 }]);
        head.extend(name.as_bytes());
        if large {
            u16s(&mut head, &[1, 16]);
            u64s(&mut head, &[0, 0]);
        }
        self.entries.push(Entry { name, at, crc: 0, size, offset: self.written });
        self.open = Some(Open { hasher: Hasher::new(), size, seen: 0 });
        self.count(head)
    }

    /// What is written for these bytes of the file.
    pub fn bytes(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut written = Vec::with_capacity(bytes.len() + 16);
        let Some(open) = &mut self.open else { return written };
        open.hasher.update(bytes);
        let mut rest = bytes;
        while !rest.is_empty() {
            if open.seen % BLOCK == 0 {
                written.extend(open.block());
            }
            let room = usize::try_from(BLOCK - open.seen % BLOCK).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at(room.min(rest.len()));
            written.extend(now);
            open.seen += now.len() as u64;
            rest = later;
        }
        self.count(written)
    }

    /// What comes after the last byte of a file; `None` when there were more or fewer than was said.
    pub fn end(&mut self) -> Option<Vec<u8>> {
        let (open, entry) = self.open.take().zip(self.entries.last_mut())?;
        if open.seen != open.size {
            return None;
        }
        let mut tail = Vec::with_capacity(32);
        if open.size == 0 {
            tail.extend(open.block());
        }
        entry.crc = open.hasher.finalize();
        u32s(&mut tail, &[0x0807_4b50, entry.crc]);
        let packed = packed(entry.size);
        match (u32::try_from(packed), u32::try_from(entry.size)) {
            (Ok(packed), Ok(size)) if !is_large(packed.into()) => u32s(&mut tail, &[packed, size]),
            _ => u64s(&mut tail, &[packed, entry.size]),
        }
        Some(self.count(tail))
    }

    /// What comes at the end: the directory.
    pub fn finish(&mut self) -> Vec<u8> {
        let (begin, number) = (self.written, self.entries.len() as u64);
        let mut directory = Vec::new();
        for entry in &self.entries {
            entry.write(&mut directory);
        }
        let (size, end) = (directory.len() as u64, begin + directory.len() as u64);
        if number >= u64::from(u16::MAX) || is_large(size) || is_large(begin) {
            u32s(&mut directory, &[0x0606_4b50]);
            u64s(&mut directory, &[44]);
            u16s(&mut directory, &[MADE_BY, ZIP64]);
            u32s(&mut directory, &[0, 0]);
            u64s(&mut directory, &[number, number, size, begin]);
            u32s(&mut directory, &[0x0706_4b50, 0]);
            u64s(&mut directory, &[end]);
            u32s(&mut directory, &[1]);
        }
        let number = u16::try_from(number).unwrap_or(u16::MAX);
        u32s(&mut directory, &[0x0605_4b50]);
        u16s(&mut directory, &[0, 0, number, number]);
        u32s(&mut directory, &[short(size), short(begin)]);
        u16s(&mut directory, &[0]);
        self.count(directory)
    }

    fn count(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        self.written += bytes.len() as u64;
        bytes
    }
}

impl Open {
    /// What stands before the next block: whether it is the last one, its length, and the same with every bit turned.
    fn block(&self) -> [u8; 5] {
        let left = self.size.saturating_sub(self.seen);
        let length = u16::try_from(left).unwrap_or(u16::MAX);
        let ([a, b], [c, d]) = (length.to_le_bytes(), (!length).to_le_bytes());
        [u8::from(left <= BLOCK), a, b, c, d]
    }
}

impl Entry {
    /// Its line of the directory.
    fn write(&self, directory: &mut Vec<u8>) {
        // All three or none: Info-ZIP, reading one entry after the other, takes the absent ones of a mixture from the entry before.
        let packed = packed(self.size);
        let large = is_large(packed) || is_large(self.offset);
        let written = |number| if large { ELSEWHERE } else { short(number) };
        u32s(directory, &[0x0201_4b50]);
        u16s(directory, &[MADE_BY, if large { ZIP64 } else { PLAIN }, FLAGS, METHOD, self.at.time, self.at.date]);
        u32s(directory, &[self.crc, written(packed), written(self.size)]);
        u16s(directory, &[name_length(&self.name), if large { 28 } else { 0 }, 0, 0, 0]);
        u32s(directory, &[PERMISSIONS, written(self.offset)]);
        directory.extend(self.name.as_bytes());
        if large {
            u16s(directory, &[1, 24]);
            u64s(directory, &[self.size, packed, self.offset]);
        }
    }
}

/// How many bytes stand in the archive for so many of a file.
fn packed(size: u64) -> u64 {
    size + size.div_ceil(BLOCK).max(1) * BLOCK_HEAD
}

/// Whether a number needs ZIP64; the largest of 32 bits says so itself.
fn is_large(number: u64) -> bool {
    number >= u64::from(ELSEWHERE)
}

fn short(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(ELSEWHERE)
}

fn name_length(name: &str) -> u16 {
    u16::try_from(name.len()).unwrap_or(u16::MAX)
}

fn u16s(to: &mut Vec<u8>, numbers: &[u16]) {
    to.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

fn u32s(to: &mut Vec<u8>, numbers: &[u32]) {
    to.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

fn u64s(to: &mut Vec<u8>, numbers: &[u64]) {
    to.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

/// A moment as MS-DOS writes it: two seconds exact, from 1980 to 2107; in UTC, as nobody knows the reader's zone.
#[derive(Clone, Copy)]
struct DosTime {
    time: u16,
    date: u16,
}

impl DosTime {
    fn of(at: OffsetDateTime) -> Self {
        let year = u16::try_from((at.year() - 1980).clamp(0, 127)).unwrap_or_default();
        let date = year << 9 | u16::from(u8::from(at.month())) << 5 | u16::from(at.day());
        let time = u16::from(at.hour()) << 11 | u16::from(at.minute()) << 5 | u16::from(at.second() / 2);
        Self { time, date }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Seek as _, SeekFrom, Write as _};
    use std::process::Command;

    use time::macros::datetime;

    use super::*;

    const AT: OffsetDateTime = datetime!(2026-01-02 03:04:06 UTC);

    /// Whole archives of these files, read by Python's own reader and by Info-ZIP.
    fn read_back(path: &std::path::Path, script: &str) -> String {
        let output = Command::new("python3").args(["-c", script]).arg(path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn tested_by_unzip(path: &std::path::Path, only: &[&str]) {
        let output = Command::new("unzip").arg("-tqq").arg(path).args(only).output().unwrap();
        assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    }

    #[test]
    fn more_files_than_sixteen_bits_count_read_back() {
        let folder = tempfile::tempdir().unwrap();
        for (number, is_zip64) in [(0, false), (1, false), (65_534, false), (65_535, true), (70_000, true)] {
            let (path, mut archive, mut whole) = (folder.path().join("many.zip"), Archive::default(), Vec::new());
            for file in 0..number {
                let bytes = format!("file {file}");
                whole.extend(archive.begin(&format!("ü{file}.txt"), AT, bytes.len() as u64));
                whole.extend(archive.bytes(bytes.as_bytes()));
                whole.extend(archive.end().unwrap());
            }
            whole.extend(archive.finish());
            assert_eq!(whole.windows(4).any(|four| four == [0x50, 0x4b, 6, 6]), is_zip64, "{number}");
            std::fs::write(&path, whole).unwrap();
            let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nl = z.infolist()\nassert z.testzip() is None\n\
                print(len(l), l and (l[-1].filename, z.read(l[-1]), l[-1].date_time))";
            let last = number - i32::from(number > 0);
            let expected = if number == 0 {
                "0 []\n".to_owned()
            } else {
                format!("{number} ('ü{last}.txt', b'file {last}', (2026, 1, 2, 3, 4, 6))\n")
            };
            assert_eq!(read_back(&path, script), expected);
            if number > 0 {
                tested_by_unzip(&path, &[]);
            }
        }
    }

    /// Of sizes that 32 bits do not hold there are holes in a file, not bytes.
    #[test]
    fn more_bytes_than_32_bits_count_read_back() {
        const HUGE: u64 = (1 << 32) + 12_345;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("huge.zip");
        let (mut file, mut archive) = (File::create(&path).unwrap(), Archive::default());
        let write = |file: &mut File, bytes: &[u8]| file.write_all(bytes).unwrap();
        // Checksums of zeros are put together from those of fewer zeros.
        let zeros = |length: u64| {
            let (mut whole, mut piece) = (Hasher::new(), Hasher::new());
            piece.update(&[0]);
            for bit in 0..33 {
                if length >> bit & 1 == 1 {
                    whole.combine(&piece);
                }
                piece.combine(&piece.clone());
            }
            whole
        };
        // A file that just needs ZIP64, and one that just does not.
        let limit = u64::from(u32::MAX) - 65_533 * BLOCK_HEAD;
        for (size, version) in [(limit, ZIP64), (limit - 1, PLAIN)] {
            assert_eq!(Archive::default().begin("limit.bin", AT, size)[4..6], version.to_le_bytes());
        }
        for (name, size) in [("huge.bin", HUGE), ("after.txt", 0)] {
            let head = archive.begin(name, AT, size);
            write(&mut file, &head);
            for begin in (0..size).step_by(65_535) {
                let open = archive.open.as_mut().unwrap();
                write(&mut file, &open.block());
                let length = (size - begin).min(BLOCK);
                open.seen += length;
                archive.written += BLOCK_HEAD + length;
                file.seek(SeekFrom::Current(i64::try_from(length).unwrap())).unwrap();
            }
            if size > 0 {
                archive.open.as_mut().unwrap().hasher = zeros(size);
            }
            let tail = archive.end().unwrap();
            write(&mut file, &tail);
        }
        let head = archive.begin("small.txt", AT, 5);
        write(&mut file, &head);
        let hello = archive.bytes(b"Hello");
        write(&mut file, &hello);
        let tail = [archive.end().unwrap(), archive.finish()].concat();
        write(&mut file, &tail);
        drop(file);
        let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nprint([(i.filename, i.file_size, hex(i.CRC)) for i in z.infolist()])\n\
            print(z.read('small.txt'), z.read('after.txt'), z.open('huge.bin').read(3))";
        let crc = |length| format!("{:#x}", zeros(length).finalize());
        let expected = format!(
            "[('huge.bin', {HUGE}, '{}'), ('after.txt', 0, '0x0'), ('small.txt', 5, '0xf7d18982')]\n\
             b'Hello' b'' b'\\x00\\x00\\x00'\n",
            crc(HUGE)
        );
        assert_eq!(read_back(&path, script), expected);
        // What lies behind the large ones; they themselves would take it half a minute.
        tested_by_unzip(&path, &["small.txt", "after.txt"]);
    }

    #[test]
    fn other_bytes_than_were_promised_make_no_file() {
        for (bytes, fits) in [("Hell", false), ("Hello", true), ("Hello!", false)] {
            let mut archive = Archive::default();
            archive.begin("a", AT, 5);
            archive.bytes(bytes.as_bytes());
            assert_eq!(archive.end().is_some(), fits, "{bytes}");
        }
    }
}
