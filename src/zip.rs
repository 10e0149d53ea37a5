//! ZIP archives, written from their beginning to their end without looking back: pure, no IO.
//!
//! Files are stored as they are; what people attach is compressed already. Each is followed by its size and checksum, as nobody
//! knows the checksum before. ZIP64 is used where a size, an offset or a number does not fit, and nowhere else: old readers do not know it.
//!
//! Source: PKWARE, APPNOTE.TXT, "ZIP File Format Specification", version 6.3.10.

use std::collections::{HashMap, HashSet};

use crc32fast::Hasher;
use time::OffsetDateTime;

/// Sizes and checksum follow the bytes (bit 3); names are UTF-8 (bit 11).
const FLAGS: u16 = 1 << 3 | 1 << 11;

/// Stored, not compressed.
const METHOD: u16 = 0;

/// What a reader must know, in tenths of a version: data descriptors, and ZIP64.
const PLAIN: u16 = 20;
const ZIP64: u16 = 45;

/// Made on Unix, by ZIP64's version: so that the permissions below mean something.
const MADE_BY: u16 = 3 << 8 | ZIP64;

/// A file that its owner may write and everybody read, as Unix says it.
const PERMISSIONS: u32 = 0o100_644 << 16;

/// Stands where the true value is in a ZIP64 field.
const ELSEWHERE: u32 = u32::MAX;

/// Names that Windows takes for devices, whatever their ending.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// Longest name, in bytes: what common file systems take.
const LONGEST_NAME: usize = 255;

/// Longest ending that is kept when a name is cut, in bytes with its dot.
const LONGEST_ENDING: usize = 32;

/// An archive on its way.
#[derive(Default)]
pub struct Archive {
    written: u64,
    names: Names,
    entries: Vec<Entry>,
    open: Option<(Hasher, u64)>,
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
        let large = is_large(size);
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
        self.open = Some((Hasher::new(), 0));
        self.count(head)
    }

    /// Takes note of bytes that are written as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        if let Some((hasher, seen)) = &mut self.open {
            hasher.update(bytes);
            *seen += bytes.len() as u64;
            self.written += bytes.len() as u64;
        }
    }

    /// What comes after the last byte of a file; `None` when there were more or fewer than was said.
    pub fn end(&mut self) -> Option<Vec<u8>> {
        let ((hasher, seen), entry) = self.open.take().zip(self.entries.last_mut())?;
        if seen != entry.size {
            return None;
        }
        entry.crc = hasher.finalize();
        let mut tail = Vec::with_capacity(24);
        u32s(&mut tail, &[0x0807_4b50, entry.crc]);
        match u32::try_from(entry.size) {
            Ok(size) if !is_large(entry.size) => u32s(&mut tail, &[size, size]),
            _ => u64s(&mut tail, &[entry.size, entry.size]),
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

impl Entry {
    /// Its line of the directory.
    fn write(&self, directory: &mut Vec<u8>) {
        // All three or none: Info-ZIP, reading one entry after the other, takes the absent ones of a mixture from the entry before.
        let large = is_large(self.size) || is_large(self.offset);
        let (size, offset) = if large { (ELSEWHERE, ELSEWHERE) } else { (short(self.size), short(self.offset)) };
        u32s(directory, &[0x0201_4b50]);
        u16s(directory, &[MADE_BY, if large { ZIP64 } else { PLAIN }, FLAGS, METHOD, self.at.time, self.at.date]);
        u32s(directory, &[self.crc, size, size]);
        u16s(directory, &[name_length(&self.name), if large { 28 } else { 0 }, 0, 0, 0]);
        u32s(directory, &[PERMISSIONS, offset]);
        directory.extend(self.name.as_bytes());
        if large {
            u16s(directory, &[1, 24]);
            u64s(directory, &[self.size, self.size, self.offset]);
        }
    }
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

/// A moment as MS-DOS told it: two seconds exact, from 1980 to 2107; in UTC, as nobody knows the reader's zone.
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

/// The names of an archive: one path component each, none twice, also where case does not count.
#[derive(Default)]
struct Names {
    taken: HashSet<String>,
    /// The number to try next.
    next: HashMap<String, u64>,
}

impl Names {
    fn fresh(&mut self, name: &str) -> String {
        let name = safe(name);
        let folded = name.to_lowercase();
        if self.taken.insert(folded.clone()) {
            return name;
        }
        let (stem, ending) = parted(&name);
        let number = self.next.entry(folded).or_insert(2);
        loop {
            let other = fitting(stem, &format!(" ({number}){ending}"));
            *number += 1;
            if self.taken.insert(other.to_lowercase()) {
                return other;
            }
        }
    }
}

/// A name that leads nowhere else and that every system can write: files are called by others.
fn safe(name: &str) -> String {
    let plain = |c: char| if c.is_control() || r#"/\<>:"|?*"#.contains(c) { '_' } else { c };
    let cleaned: String = name.chars().map(plain).collect();
    let kept = cleaned.trim_end_matches(['.', ' ']);
    let stem = kept.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix).is_some_and(|rest| rest.chars().count() == 1 && rest.chars().all(|c| "0123456789¹²³".contains(c)))
    };
    let is_device = DEVICES.contains(&stem.as_str()) || numbered("com") || numbered("lpt");
    let (stem, ending) = parted(kept);
    if kept.is_empty() || is_device { fitting(&format!("_{stem}"), ending) } else { fitting(stem, ending) }
}

/// A name and its ending.
fn parted(name: &str) -> (&str, &str) {
    let dot = name.rfind('.').filter(|dot| *dot > 0 && name.len() - dot <= LONGEST_ENDING);
    dot.map_or((name, ""), |dot| name.split_at(dot))
}

/// Both together, the first one cut between characters where that is too long.
fn fitting(stem: &str, ending: &str) -> String {
    let room = LONGEST_NAME.saturating_sub(ending.len());
    let kept = stem.get(..stem.floor_char_boundary(room)).unwrap_or_default();
    // What ends in a dot or a blank is called otherwise by some systems.
    let kept = if ending.is_empty() { kept.trim_end_matches(['.', ' ']) } else { kept };
    format!("{kept}{ending}")
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Seek as _, SeekFrom, Write as _};
    use std::process::Command;

    use time::macros::datetime;

    use super::*;

    const AT: OffsetDateTime = datetime!(2026-01-02 03:04:06 UTC);

    #[test]
    fn names_are_told_apart_and_lead_nowhere() {
        let mut names = Names::default();
        for (name, fresh) in [
            ("a.txt", "a.txt"),
            ("a.txt", "a (2).txt"),
            ("A.TXT", "A (3).TXT"),
            ("a (2).txt", "a (2) (2).txt"),
            ("a.tar.gz", "a.tar.gz"),
            ("a.tar.gz", "a.tar (2).gz"),
            (".profile", ".profile"),
            (".profile", ".profile (2)"),
            ("README", "README"),
            ("readme", "readme (2)"),
            ("grüße.txt", "grüße.txt"),
            ("GRÜSSE.txt", "GRÜSSE.txt"),
            ("GRÜßE.TXT", "GRÜßE (2).TXT"),
            ("../../etc/passwd", ".._.._etc_passwd"),
            (r"C:\windows\system32", "C__windows_system32"),
            ("..", "_"),
            ("/", "_ (2)"),
            ("", "_ (3)"),
            ("con", "_con"),
            ("COM1.txt", "_COM1.txt"),
            ("console.txt", "console.txt"),
            ("com10.txt", "com10.txt"),
            ("say \"hi\"?.txt", "say _hi__.txt"),
            ("a.txt. ", "a (4).txt"),
        ] {
            assert_eq!(names.fresh(name), fresh, "{name:?}");
        }
        let many: Vec<String> = (0..10_000).map(|_| names.fresh("same.bin")).collect();
        assert_eq!(many[9_999], "same (10000).bin");
    }

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
                archive.bytes(bytes.as_bytes());
                whole.extend(bytes.as_bytes());
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
        for (name, size) in [("huge.bin", HUGE), ("limit.bin", u64::from(u32::MAX)), ("after.txt", 0)] {
            let head = archive.begin(name, AT, size);
            write(&mut file, &head);
            archive.open = Some((zeros(size), size));
            archive.written += size;
            file.seek(SeekFrom::Current(i64::try_from(size).unwrap())).unwrap();
            let tail = archive.end().unwrap();
            write(&mut file, &tail);
        }
        let head = archive.begin("small.txt", AT, 5);
        write(&mut file, &head);
        archive.bytes(b"Hello");
        write(&mut file, b"Hello");
        let tail = [archive.end().unwrap(), archive.finish()].concat();
        write(&mut file, &tail);
        drop(file);
        let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nprint([(i.filename, i.file_size, hex(i.CRC)) for i in z.infolist()])\n\
            print(z.read('small.txt'), z.read('after.txt'), z.open('huge.bin').read(3), z.open('limit.bin').read(3))";
        let crc = |length| format!("{:#x}", zeros(length).finalize());
        let expected = format!(
            "[('huge.bin', {HUGE}, '{}'), ('limit.bin', {}, '{}'), ('after.txt', 0, '0x0'), ('small.txt', 5, '0xf7d18982')]\n\
             b'Hello' b'' b'\\x00\\x00\\x00' b'\\x00\\x00\\x00'\n",
            crc(HUGE),
            u32::MAX,
            crc(u64::from(u32::MAX))
        );
        assert_eq!(read_back(&path, script), expected);
        // What lies behind the large ones; they themselves would take it half a minute.
        tested_by_unzip(&path, &["small.txt", "after.txt"]);
    }

    #[test]
    fn other_bytes_than_were_promised_make_no_file() {
        let mut archive = Archive::default();
        archive.begin("a", AT, 5);
        archive.bytes(b"Hell");
        assert!(archive.end().is_none());
    }
}
