use proptest::prelude::*;

use super::samples::*;
use super::*;

/// The size when all of the file is read at once; and that it is the same when it is read piece by piece.
fn size(file: &[u8]) -> Option<Size> {
    let at_once = Pieces::new(file.to_vec(), file.len() as u64).survey();
    assert!(!matches!(at_once, Survey::Wants { .. }), "{at_once:?}");
    let (by_pieces, _) = read(file, 32);
    assert_eq!(by_pieces.map(|size| size.shown), at_once.size().map(|size| size.shown), "{}", file[..file.len().min(16)].escape_ascii());
    at_once.size()
}

/// The size when so many bytes are read at first, and how many reads followed.
fn read(file: &[u8], first: usize) -> (Option<Size>, usize) {
    let mut pieces = Pieces::new(file[..first.min(file.len())].to_vec(), file.len() as u64);
    let mut reads = 0;
    while let Some(range) = pieces.wanted() {
        pieces.add(range.start, file[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()].to_vec());
        reads += 1;
    }
    (pieces.survey().size(), reads)
}

fn shown(file: &[u8]) -> Option<(u32, u32)> {
    size(file).map(|size| (size.shown.width, size.shown.height))
}

fn largest(file: &[u8]) -> Option<(u32, u32)> {
    size(file).map(|size| (size.largest.width, size.largest.height))
}

const FIRST: usize = 256 * 1024;

#[test]
fn every_type_says_its_size() {
    for (_, name, file) in every_type(16_000, 12_000) {
        assert_eq!(largest(&file), Some((16_000, 12_000)), "{name}");
        assert_eq!(shown(&file), Some((16_000, 12_000)), "{name}");
    }
    for (_, name, file) in every_type(640, 480) {
        assert_eq!(shown(&file), Some((640, 480)), "{name}");
    }
}

#[test]
fn the_largest_of_all_headers_counts() {
    for (_, name, file) in liars(16_000, 12_000) {
        assert_eq!(largest(&file), Some((16_000, 12_000)), "{name}");
    }
}

#[test]
fn an_image_that_lies_on_its_side_is_told_as_it_is_shown() {
    let heif = |properties: &[Vec<u8>]| heic(&meta(&[properties.to_vec()], &[]));
    for value in 0..=9 {
        let expected = if (5..=8).contains(&value) { (3, 4) } else { (4, 3) };
        let tag = |width, height| [page(width, height), vec![(274, 3, vec![value])]].concat();
        for (name, file) in [
            ("jpeg", jpeg(&[exif(value), frame(0xc0, 4, 3), scan()])),
            ("png", png(4, 3, &[chunk(b"eXIf", &orientation(value))])),
            ("webp", webp(&[vp8x(8, 4, 3), vp8(4, 3), riff(b"EXIF", &orientation(value))])),
            ("webp, marked", webp(&[vp8x(8, 4, 3), vp8l(4, 3), riff(b"EXIF", &[b"Exif\0\0".as_slice(), &orientation(value)].concat())])),
            ("tiff", tiff(Order::Little, &[tag(4, 3)], 8)),
            ("tiff, wide", tiff(Order::BigWide, &[tag(4, 3)], 16)),
        ] {
            assert_eq!(shown(&file), Some(expected), "{name} {value}");
            assert_eq!(largest(&file), Some((4, 3)), "{name} {value}");
        }
        if (1..=8).contains(&value) {
            assert_eq!(shown(&jxl(4, 3, value)), Some(expected), "{value}");
        }
    }
    for turns in 0..4_u8 {
        let expected = if turns % 2 == 1 { (3, 4) } else { (4, 3) };
        assert_eq!(shown(&heif(&[ispe(4, 3), bmff(b"irot", &[turns])])), Some(expected));
    }
    // What is no turn, and a turn of an item that is not shown.
    assert_eq!(shown(&heif(&[ispe(4, 3), bmff(b"imir", &[1])])), Some((4, 3)));
    assert_eq!(shown(&heic(&meta(&[vec![ispe(4, 3)], vec![ispe(2, 1), bmff(b"irot", &[1])]], &[]))), Some((4, 3)));
    // A photo is cropped, then turned.
    let crop = [be(3, 4), be(1, 4), be(2, 4), be(1, 4), vec![0; 16]].concat();
    assert_eq!(shown(&heif(&[ispe(40, 30), bmff(b"clap", &crop), bmff(b"irot", &[3])])), Some((2, 3)));
    // The first Exif counts, and none of a picture behind it.
    assert_eq!(shown(&jpeg(&[exif(1), exif(6), frame(0xc0, 4, 3), scan()])), Some((4, 3)));
}

#[test]
fn a_size_that_stands_late_is_found_by_further_reads() {
    let filler = segment(0xe1, &vec![0xaa; 65_000]);
    let profile = segment(0xe2, &vec![0xff; 65_533]);
    let size = |file: &[u8], reads: usize| {
        let (size, made) = read(file, FIRST);
        assert!((1..=reads).contains(&made), "{made} reads of {}", file[..12].escape_ascii());
        size.map(|size| (size.shown.width, size.shown.height))
    };
    assert_eq!(size(&jpeg(&[vec![filler.clone(); 5].concat(), frame(0xc0, 30, 20), scan()]), 1), Some((30, 20)));
    assert_eq!(size(&jpeg(&[vec![profile; 15].concat(), frame(0xc2, 30, 20), scan()]), 12), Some((30, 20)));
    // Also where a first frame is a bait.
    let bait = jpeg(&[frame(0xc0, 1, 1), vec![filler.clone(); 5].concat(), frame(0xc0, 30, 20), scan()]);
    assert_eq!(size(&bait, 1), Some((30, 20)));
    let data = bmff(b"mdat", &vec![0; 300_000]);
    let late = |brand| [ftyp(&[brand, b"mif1"]), data.clone(), meta(&[vec![ispe(30, 20), bmff(b"irot", &[1])]], &[])].concat();
    assert_eq!(size(&late(b"heic"), 1), Some((20, 30)));
    assert_eq!(size(&late(b"avif"), 1), Some((20, 30)));
    for order in [Order::Little, Order::Big, Order::LittleWide, Order::BigWide] {
        assert_eq!(size(&tiff(order, &[page(30, 20)], 5_000_000), 1), Some((30, 20)));
    }
    let pixels = riff(b"VP8L", &[vp8l(30, 20)[8..].to_vec(), vec![0; 300_000]].concat());
    assert_eq!(size(&webp(&[vp8x(8, 30, 20), pixels, riff(b"EXIF", &orientation(6))]), 1), Some((20, 30)));
    assert_eq!(size(&webp(&[riff(b"ICCP", &vec![0; 300_000]), vp8(30, 20)]), 1), Some((30, 20)));
    assert_eq!(size(&png(30, 20, &[chunk(b"iTXt", &vec![0; 300_000]), chunk(b"eXIf", &orientation(8))]), 1), Some((20, 30)));
    let comment = [b"!\xfe".to_vec(), [&[200], [b'x'; 200].as_slice()].concat().repeat(1_500), vec![0]].concat();
    assert_eq!(size(&gif(0, 0, &[comment, gif_frame(0, 0, 30, 20)]), 1), Some((30, 20)));
    assert_eq!(size(&[b"P6 #".as_slice(), &vec![b'x'; 300_000], b"\n30 20 255\n"].concat(), 1), Some((30, 20)));
    let start = jp2(30, 20)[..12].to_vec();
    assert_eq!(size(&[start, bmff(b"xml ", &vec![b' '; 300_000]), jp2(30, 20)[12..].to_vec()].concat(), 1), Some((30, 20)));
}

#[test]
fn what_stands_in_the_first_bytes_costs_no_further_read() {
    let much = vec![0; 2_000_000];
    for (_, name, file) in every_type(6_400, 4_800).into_iter().chain(liars(6_400, 4_800)) {
        // As in ordinary files, where the data follows the headers.
        let file = match name {
            _ if file.starts_with(b"\xff\xd8") => [&file[..file.len() - 2], &much, &file[file.len() - 2..]].concat(),
            _ if file.starts_with(b"\x89PNG") => [&file[..file.len() - 44], &chunk(b"IDAT", &much), &file[file.len() - 12..]].concat(),
            _ => [file, much.clone()].concat(),
        };
        let (size, reads) = read(&file, FIRST);
        assert_eq!((size.map(|size| (size.largest.width, size.largest.height)), reads), (Some((6_400, 4_800)), 0), "{name}");
    }
}

#[test]
fn what_never_ends_is_given_up() {
    let many = |unit: &[u8], count: usize| unit.repeat(count);
    let small = segment(0xe0, b"");
    for (name, file) in [
        ("segments of nothing", jpeg(&[many(&small, 1_000_000), frame(0xc0, 30, 20), scan()])),
        ("fill bytes", jpeg(&[vec![0xff; 3_000_000], frame(0xc0, 30, 20), scan()])),
        ("sub-blocks", gif(30, 20, &[b"!\xfe".to_vec(), many(&[1, 1], 1_000_000), vec![0], gif_frame(0, 0, 30, 20)])),
        ("boxes", [ftyp(&[b"heic"]), many(&bmff(b"free", b""), 300_000), meta(&[vec![ispe(30, 20)]], &[])].concat()),
        ("chunks", webp(&[many(&riff(b"XXXX", b""), 300_000), vp8(30, 20)])),
        ("a comment", [b"P6 #".as_slice(), &vec![b'x'; 3_000_000], b"\n30 20 255\n"].concat()),
    ] {
        let (size, reads) = read(&file, FIRST);
        assert_eq!(size, None, "{name}");
        assert!(reads <= MOST_READS, "{name}: {reads} reads");
    }
}

#[test]
fn offsets_that_lead_in_circles_or_beyond_the_end_are_left() {
    // A directory whose next one is itself, or is below itself.
    let mut circle = tiff(Order::Little, &[page(30, 20)], 8);
    let next = circle.len() - 4;
    circle[next] = 8;
    assert_eq!(shown(&circle), Some((30, 20)));
    assert_eq!(shown(&tiff(Order::Big, &[[page(30, 20), vec![(330, 4, vec![0])]].concat()], 8)), Some((30, 20)));
    circle[next..].copy_from_slice(&[0xff; 4]);
    assert_eq!(shown(&circle), Some((30, 20)));
    assert_eq!(shown(b"II*\0\xff\xff\xff\xff"), None);
    assert_eq!(shown(b"II+\0\x08\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"), None);
    // As many directories as there are bytes, each of as many entries as there may be.
    let overlapping = [b"II*\0\x08\0\0\0".to_vec(), [0xff, 0xff, 0, 0, 0, 0].repeat(100_000)].concat();
    assert_eq!(shown(&overlapping), None);
    // More tags than there are bytes are read to the end, once.
    let many =
        [b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0".as_slice(), &[0xff; 8], &tiff(Order::LittleWide, &[page(30, 20)], 16)[24..64]].concat();
    assert_eq!(shown(&many), Some((30, 20)));
    for length in [0, 1, 2, 7] {
        let meta = [be(length, 4).as_slice(), b"meta", &[0xff; 40]].concat();
        assert_eq!(shown(&[ftyp(&[b"heic"]), meta].concat()), None, "a box of {length} bytes");
    }
    // Sixty-four bits, and to the end of the file.
    let inside = meta(&[vec![ispe(30, 20)]], &[])[8..].to_vec();
    let wide = [be(1, 4).as_slice(), b"meta", &be(inside.len() as u64 + 16, 8), &inside].concat();
    assert_eq!(shown(&[ftyp(&[b"heic"]), wide].concat()), Some((30, 20)));
    let open = [be(0, 4).as_slice(), b"meta", &inside].concat();
    assert_eq!(shown(&[ftyp(&[b"heic"]), open].concat()), Some((30, 20)));
}

#[test]
fn a_marker_without_meaning_hides_no_frame() {
    for marker in [0xc8, 0xf0, 0xfd] {
        let file = jpeg(&[frame(0xc0, 1, 1), vec![0xff, marker, 2, 8], frame(0xc1, 40, 30), scan()]);
        assert_eq!(largest(&file), Some((40, 30)), "{marker:x}");
    }
}

#[test]
fn a_raw_photo_is_shown_in_full_and_a_page_is_not_its_preview() {
    let reduced = |width, height| [vec![(254, 4, vec![1])], page(width, height)].concat();
    let raw = tiff(Order::Little, &[[reduced(3, 2), vec![(274, 3, vec![6]), (330, 4, vec![1])]].concat(), page(30, 20)], 8);
    assert_eq!(shown(&raw), Some((20, 30)));
    assert_eq!(shown(&tiff(Order::Little, &[page(30, 20), reduced(3, 2)], 8)), Some((30, 20)));
    assert_eq!(shown(&tiff(Order::Little, &[page(30, 20), page(300, 200)], 8)), Some((30, 20)));
}

#[test]
fn what_is_no_header_says_no_size() {
    let nothing = |file: &[u8]| Pieces::new(file.to_vec(), file.len() as u64).survey();
    for file in [
        b"".as_slice(),
        b"BM",
        b"BMI,weight,height\n23,70,175\n",
        b"BM25 notes",
        b"\0\0\x01\0\0\0",
        b"\0\0\x01\xba....................",
        b"%PDF-1.7",
        b"\0\0\0\x18ftypisom\0\0\0\0isommp42",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"PK\x03\x04",
    ] {
        assert_eq!(nothing(file), Survey::NoImage, "{}", file.escape_ascii());
    }
    for (_, name, file) in every_type(640, 480) {
        for length in 0..file.len() {
            let size = nothing(&file[..length]).size();
            assert!(size.is_none() || size.unwrap().largest.count() <= 640 * 480, "{length} bytes of {name}: {size:?}");
        }
    }
    // Without a width or a height there is none.
    for file in
        [png(0, 9, &[]), jpeg(&[frame(0xc0, 9, 0), scan()]), tiff(Order::Little, &[page(0, 9)], 8), heic(&meta(&[vec![ispe(9, 0)]], &[]))]
    {
        assert_eq!(nothing(&file), Survey::NotFound { largest: None });
    }
    // Another chunk in front of its header makes a file no PNG.
    let chunk_first = [b"\x89PNG\r\n\x1a\n".as_slice(), &chunk(b"gAMA", b"...."), &png(9, 9, &[])[8..]].concat();
    assert_eq!(nothing(&chunk_first), Survey::NotFound { largest: None });
}

#[test]
fn a_codec_says_its_size_itself() {
    // The sequence header of an AV1 image of 640 × 480, and the parameter set of an HEVC one of 1280 × 720.
    let av1 = sequence_of_av1(640, 480);
    let small = |more: Vec<u8>| heic(&meta(&[vec![ispe(1, 1), more]], &[]));
    assert_eq!(largest(&small(bmff(b"av1C", &[b"\x81\0\0\0".as_slice(), &av1].concat()))), Some((640, 480)));
    let hevc = hvcc(b"\x42\x01\x01\x01\x60\0\0\x03\0\x90\0\0\x03\0\0\x03\0\x5d\xa0\x02\x80\x80\x2d\x16\x59\x59\xa4\x93\x2b\xc0\x5a\x02\0\0\x03\0\x02\0\0\x03\0\x32\x10");
    assert_eq!(largest(&small(bmff(b"hvcC", &hevc))), Some((1280, 720)));
}

/// The header of a still picture.
fn sequence_of_av1(width: u64, height: u64) -> Vec<u8> {
    let bits = [(0, 3), (1, 1), (1, 1), (0, 5), (15, 4), (15, 4), (width - 1, 16), (height - 1, 16), (0, 14)];
    let bits: Vec<u64> = bits.iter().flat_map(|(value, count)| (0..*count).rev().map(move |place| value >> place & 1)).collect();
    let bytes: Vec<u8> = bits.chunks(8).map(|bits| bits.iter().fold(0, |sum, bit| sum << 1 | u8::try_from(*bit).unwrap())).collect();
    [&[0x0a, u8::try_from(bytes.len()).unwrap()], bytes.as_slice()].concat()
}

fn hvcc(sequence: &[u8]) -> Vec<u8> {
    [&[0; 22], b"\x01\x21\0\x01".as_slice(), &be(sequence.len() as u64, 2), sequence].concat()
}

proptest! {
    #[test]
    fn changed_headers_break_nothing(which in any::<prop::sample::Index>(), choice in any::<u8>(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8)) {
        let (samples, lying) = (every_type(640, 480), liars(640, 480));
        let all: Vec<&Vec<u8>> = samples.iter().chain(&lying).map(|(_, _, file)| file).collect();
        let mut file = [&[choice], all[which.index(all.len())].as_slice()].concat();
        for (place, byte) in changes {
            let place = place.index(file.len());
            file[place] = byte;
        }
        crate::domain::fuzzing::image_header(&file);
    }
}
