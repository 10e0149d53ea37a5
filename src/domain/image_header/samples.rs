//! Headers made by hand, for the tests of this module and for those that upload them.

#![expect(unreachable_pub, reason = "tests of two crates use it")]

/// A number, low byte first.
pub fn le(value: u64, length: usize) -> Vec<u8> {
    value.to_le_bytes()[..length].to_vec()
}

/// A number, high byte first.
pub fn be(value: u64, length: usize) -> Vec<u8> {
    value.to_be_bytes()[8 - length..].to_vec()
}

// JPEG

pub fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    [&[0xff, marker], be(body.len() as u64 + 2, 2).as_slice(), body].concat()
}

pub fn frame(marker: u8, width: u64, height: u64) -> Vec<u8> {
    segment(marker, &[&[8], be(height, 2).as_slice(), &be(width, 2), b"\x01\x01\x11\0"].concat())
}

pub fn scan() -> Vec<u8> {
    [segment(0xda, b"\x01\x01\0\0\x3f\0"), b"\x12\xff\0\x34".to_vec()].concat()
}

pub fn jpeg(segments: &[Vec<u8>]) -> Vec<u8> {
    [b"\xff\xd8".as_slice(), &segments.concat(), b"\xff\xd9"].concat()
}

/// A TIFF that says nothing but an orientation.
pub fn orientation(value: u64) -> Vec<u8> {
    tiff(Order::Big, &[vec![(274, 3, vec![value])]], 8)
}

pub fn exif(value: u64) -> Vec<u8> {
    segment(0xe1, &[b"Exif\0\0".as_slice(), &orientation(value)].concat())
}

// PNG

pub fn chunk(name: &[u8], body: &[u8]) -> Vec<u8> {
    [be(body.len() as u64, 4).as_slice(), name, body, b"crc!"].concat()
}

pub fn png(width: u64, height: u64, chunks: &[Vec<u8>]) -> Vec<u8> {
    let header = [be(width, 4).as_slice(), &be(height, 4), &[8, 6, 0, 0, 0]].concat();
    [b"\x89PNG\r\n\x1a\n".as_slice(), &chunk(b"IHDR", &header), &chunks.concat(), &chunk(b"IDAT", &[0; 20]), &chunk(b"IEND", b"")].concat()
}

pub fn frame_control(left: u64, top: u64, width: u64, height: u64) -> Vec<u8> {
    chunk(b"fcTL", &[be(0, 4), be(width, 4), be(height, 4), be(left, 4), be(top, 4), vec![0; 6]].concat())
}

// GIF

pub fn gif_frame(left: u64, top: u64, width: u64, height: u64) -> Vec<u8> {
    [b",".as_slice(), &le(left, 2), &le(top, 2), &le(width, 2), &le(height, 2), b"\0\x02\x02\x4c\x01\0"].concat()
}

pub fn gif(width: u64, height: u64, blocks: &[Vec<u8>]) -> Vec<u8> {
    let colors = [0xff; 6];
    [b"GIF89a".as_slice(), &le(width, 2), &le(height, 2), &[0x80, 0, 0], &colors, &blocks.concat(), b";"].concat()
}

// WebP

pub fn riff(name: &[u8], body: &[u8]) -> Vec<u8> {
    [name, &le(body.len() as u64, 4), body, &[0][..body.len() % 2]].concat()
}

pub fn webp(chunks: &[Vec<u8>]) -> Vec<u8> {
    let chunks = chunks.concat();
    [b"RIFF".as_slice(), &le(chunks.len() as u64 + 4, 4), b"WEBP", &chunks].concat()
}

pub fn vp8x(flags: u8, width: u64, height: u64) -> Vec<u8> {
    riff(b"VP8X", &[&[flags, 0, 0, 0], le(width - 1, 3).as_slice(), &le(height - 1, 3)].concat())
}

pub fn vp8(width: u64, height: u64) -> Vec<u8> {
    riff(b"VP8 ", &[b"\x10\0\0\x9d\x01\x2a".as_slice(), &le(width, 2), &le(height, 2), &[0; 20]].concat())
}

pub fn vp8l(width: u64, height: u64) -> Vec<u8> {
    riff(b"VP8L", &[&[0x2f], le((width - 1) | (height - 1) << 14, 4).as_slice(), &[0; 9]].concat())
}

pub fn anmf(left: u64, top: u64, width: u64, height: u64, image: &[u8]) -> Vec<u8> {
    let numbers = [left / 2, top / 2, width - 1, height - 1, 100].map(|number| le(number, 3));
    riff(b"ANMF", &[numbers.concat().as_slice(), &[0], image].concat())
}

// TIFF

#[derive(Clone, Copy, PartialEq)]
pub enum Order {
    Little,
    Big,
    LittleWide,
    BigWide,
}

/// A tag, its type and its values.
pub type Tag = (u64, u64, Vec<u64>);

/// Directories one behind the other, the first at `at`. A tag 330 names the directory of that number as one below.
pub fn tiff(order: Order, directories: &[Vec<Tag>], at: usize) -> Vec<u8> {
    let is_wide = matches!(order, Order::LittleWide | Order::BigWide);
    let number = |value: u64, length| if matches!(order, Order::Big | Order::BigWide) { be(value, length) } else { le(value, length) };
    let (room, entry, count) = if is_wide { (8, 20, 8) } else { (4, 12, 2) };
    let length = |tags: &[Tag]| count + entry * tags.len() + room;
    let begins: Vec<usize> =
        (0..directories.len()).map(|place| at + directories[..place].iter().map(|tags| length(tags)).sum::<usize>()).collect();
    let mut bytes = match order {
        Order::Little => b"II*\0".to_vec(),
        Order::Big => b"MM\0*".to_vec(),
        Order::LittleWide => b"II+\0\x08\0\0\0".to_vec(),
        Order::BigWide => b"MM\0+\0\x08\0\0".to_vec(),
    };
    bytes.extend(number(at as u64, room));
    bytes.resize(at, 0);
    let below: Vec<u64> = directories.iter().flatten().filter(|(tag, ..)| *tag == 330).flat_map(|(_, _, values)| values.clone()).collect();
    for (place, tags) in directories.iter().enumerate() {
        bytes.extend(number(tags.len() as u64, count));
        for (tag, kind, values) in tags {
            let each = match kind {
                3 => 2,
                16 | 18 => 8,
                _ => 4,
            };
            let values: Vec<u8> = values
                .iter()
                .flat_map(|value| number(if *tag == 330 { begins[usize::try_from(*value).unwrap()] as u64 } else { *value }, each))
                .collect();
            let values = if values.len() > room { panic!("these need a place of their own") } else { values };
            bytes.extend([number(*tag, 2), number(*kind, 2), number((values.len() / each) as u64, room)].concat());
            bytes.extend(&values);
            bytes.resize(bytes.len() + room - values.len(), 0);
        }
        let next = begins.get(place + 1).filter(|_| !below.contains(&(place as u64 + 1)));
        bytes.extend(number(next.map_or(0, |next| *next as u64), room));
    }
    bytes
}

pub fn page(width: u64, height: u64) -> Vec<Tag> {
    vec![(256, 4, vec![width]), (257, 4, vec![height])]
}

// HEIF

pub fn bmff(name: &[u8], body: &[u8]) -> Vec<u8> {
    [be(body.len() as u64 + 8, 4).as_slice(), name, body].concat()
}

pub fn ftyp<const N: usize>(brands: &[&[u8; 4]; N]) -> Vec<u8> {
    bmff(b"ftyp", &[brands[0].as_slice(), b"\0\0\0\0", &brands.map(|brand| brand.to_vec()).concat()].concat())
}

pub fn ispe(width: u64, height: u64) -> Vec<u8> {
    bmff(b"ispe", &[be(0, 4), be(width, 4), be(height, 4)].concat())
}

/// Items 1, 2 and so on, each with its properties; item 1 is the primary one.
pub fn meta(items: &[Vec<Vec<u8>>], more: &[Vec<u8>]) -> Vec<u8> {
    let mut place = 0;
    let associations: Vec<Vec<u8>> = (1..)
        .zip(items)
        .map(|(item, properties)| {
            let has: Vec<u8> = properties
                .iter()
                .map(|_| {
                    place += 1;
                    place
                })
                .collect();
            [be(item, 2).as_slice(), &[u8::try_from(has.len()).unwrap()], &has].concat()
        })
        .collect();
    let ipma = bmff(b"ipma", &[be(0, 4), be(items.len() as u64, 4), associations.concat()].concat());
    let iprp = bmff(b"iprp", &[bmff(b"ipco", &items.concat().concat()), ipma].concat());
    let pitm = bmff(b"pitm", &[be(0, 4), be(1, 2)].concat());
    bmff(b"meta", &[be(0, 4), bmff(b"hdlr", &[0; 24]), pitm, more.concat(), iprp].concat())
}

/// A grid as item 1, whose canvas stands in the box for data.
pub fn grid(width: u64, height: u64) -> Vec<Vec<u8>> {
    let infe = bmff(b"infe", &[be(0x0200_0000, 4).as_slice(), &be(1, 2), &be(0, 2), b"grid\0"].concat());
    let iinf = bmff(b"iinf", &[be(0, 4), be(1, 2), infe].concat());
    let iloc = bmff(
        b"iloc",
        &[be(0x0100_0000, 4).as_slice(), b"\x44\0", &be(1, 2), &be(1, 2), &be(1, 2), &be(0, 2), &be(1, 2), &be(0, 4), &be(12, 4)].concat(),
    );
    let idat = bmff(b"idat", &[b"\0\x01\0\0".to_vec(), be(width, 4), be(height, 4)].concat());
    vec![iinf, iloc, idat]
}

pub fn heic(meta: &[u8]) -> Vec<u8> {
    [ftyp(&[b"heic", b"mif1"]).as_slice(), meta, &bmff(b"mdat", &[0; 16])].concat()
}

/// An AVIF sequence with one track of that size, and the same in its sample entry.
pub fn track(width: u64, height: u64) -> Vec<u8> {
    let tkhd = bmff(b"tkhd", &[vec![0; 76], be(width << 16, 4), be(height << 16, 4)].concat());
    let entry = bmff(b"av01", &[vec![0; 24], be(width, 2), be(height, 2), vec![0; 50]].concat());
    let stsd = bmff(b"stsd", &[be(0, 4), be(1, 4), entry].concat());
    bmff(b"moov", &bmff(b"trak", &[tkhd, bmff(b"mdia", &bmff(b"minf", &bmff(b"stbl", &stsd)))].concat()))
}

// Others

pub fn bmp(width: i32, height: i32) -> Vec<u8> {
    [b"BM".as_slice(), &[0; 12], &le(40, 4), &width.to_le_bytes(), &height.to_le_bytes(), &[1, 0, 24, 0], &[0; 24]].concat()
}

/// One entry of that size, which holds `image`.
pub fn ico(width: u8, height: u8, image: &[u8]) -> Vec<u8> {
    [&[0, 0, 1, 0, 1, 0, width, height, 0, 0, 1, 0, 32, 0], le(image.len() as u64, 4).as_slice(), &le(22, 4), image].concat()
}

pub fn jp2(width: u64, height: u64) -> Vec<u8> {
    let header = bmff(b"jp2h", &bmff(b"ihdr", &[be(height, 4).as_slice(), &be(width, 4), b"\0\x03\x07\x07\0\0"].concat()));
    [b"\0\0\0\x0cjP  \r\n\x87\n".as_slice(), &bmff(b"ftyp", b"jp2 \0\0\0\0jp2 "), &header, &bmff(b"jp2c", &j2k(width, height))].concat()
}

pub fn j2k(width: u64, height: u64) -> Vec<u8> {
    [b"\xff\x4f\xff\x51\0\x29\0\0".as_slice(), &be(width, 4), &be(height, 4), &[0; 8], &be(width, 4), &be(height, 4), &[0; 12]].concat()
}

pub fn jxl(width: u64, height: u64, orientation: u64) -> Vec<u8> {
    let mut bits: Vec<u64> = Vec::new();
    let mut put = |value: u64, count: u64| bits.extend((0..count).map(|place| value >> place & 1));
    for (value, count) in [(0, 1), (2, 2), (height - 1, 18), (0, 3), (2, 2), (width - 1, 18), (0, 1), (1, 1), (orientation - 1, 3)] {
        put(value, count);
    }
    let bytes = bits.chunks(8).map(|bits| bits.iter().rev().fold(0, |sum, bit| sum << 1 | u8::try_from(*bit).unwrap()));
    b"\xff\x0a".iter().copied().chain(bytes).chain([0; 8]).collect()
}

pub fn exr(width: u64, height: u64) -> Vec<u8> {
    let window = |name: &[u8]| [name, b"\0box2i\0", &le(16, 4), &le(0, 8), &le(width - 1, 4), &le(height - 1, 4)].concat();
    [b"\x76\x2f\x31\x01\x02\0\0\0".as_slice(), &window(b"dataWindow"), &window(b"displayWindow"), &[0; 9]].concat()
}

/// An image of every type, with its type, a name and that size.
pub fn every_type(width: u64, height: u64) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let (w, h) = (i32::try_from(width).unwrap(), i32::try_from(height).unwrap());
    let text = |text: String| [text.into_bytes(), vec![0; 32]].concat();
    vec![
        ("image/jpeg", "a.jpg", jpeg(&[frame(0xc0, width, height), scan()])),
        ("image/png", "a.png", png(width, height, &[])),
        ("image/gif", "a.gif", gif(width, height, &[gif_frame(0, 0, 1, 1)])),
        ("image/webp", "lossy.webp", webp(&[vp8(width, height)])),
        ("image/webp", "lossless.webp", webp(&[vp8l(width, height)])),
        ("image/webp", "extended.webp", webp(&[vp8x(0, width, height), vp8(1, 1)])),
        ("image/tiff", "little.tif", tiff(Order::Little, &[page(width, height)], 8)),
        ("image/tiff", "big.tif", tiff(Order::Big, &[page(width, height)], 8)),
        ("image/tiff", "wide.tif", tiff(Order::LittleWide, &[page(width, height)], 16)),
        ("image/heic", "a.heic", heic(&meta(&[vec![ispe(width, height)]], &[]))),
        ("image/avif", "a.avif", [ftyp(&[b"avif", b"mif1"]), meta(&[vec![ispe(width, height)]], &[])].concat()),
        ("image/bmp", "a.bmp", bmp(w, h)),
        ("image/bmp", "down.bmp", bmp(w, -h)),
        ("image/x-icon", "a.ico", ico(16, 16, &png(width, height, &[]))),
        ("image/jp2", "a.jp2", jp2(width, height)),
        ("image/jxl", "a.jxl", jxl(width, height, 1)),
        (
            "image/vnd.adobe.photoshop",
            "a.psd",
            [b"8BPS\0\x01\0\0\0\0\0\0\0\x03".as_slice(), &be(height, 4), &be(width, 4), &[0; 8]].concat(),
        ),
        ("image/vnd-ms.dds", "a.dds", [b"DDS |\0\0\0\x07\x10\0\0".as_slice(), &le(height, 4), &le(width, 4), &[0; 108]].concat()),
        ("image/x-qoi", "a.qoi", [b"qoif".as_slice(), &be(width, 4), &be(height, 4), b"\x03\0"].concat()),
        ("image/x-portable-pixmap", "a.ppm", text(format!("P6\n# a comment\n{width} {height}\n255\n"))),
        ("image/x-portable-arbitrarymap", "a.pam", text(format!("P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH 3\nENDHDR\n"))),
        ("image/vnd.radiance", "a.hdr", text(format!("#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {height} +X {width}\n"))),
        ("image/x-exr", "a.exr", exr(width, height)),
    ]
}

/// Images whose first header says 1 × 1 and another one that size.
pub fn liars(width: u64, height: u64) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let small = || frame(0xc0, 1, 1);
    let heif = |properties: &[Vec<u8>], more: &[Vec<u8>]| heic(&meta(&[properties.to_vec()], more));
    vec![
        ("image/jpeg", "two-frames.jpg", jpeg(&[small(), frame(0xc2, width, height), scan()])),
        ("image/jpeg", "first-frame.jpg", jpeg(&[frame(0xc2, width, height), small(), scan()])),
        ("image/jpeg", "behind-scan.jpg", jpeg(&[small(), scan(), frame(0xc1, width, height), scan()])),
        ("image/jpeg", "hierarchical.jpg", jpeg(&[frame(0xde, width, height), small(), scan()])),
        ("image/png", "animated.png", png(1, 1, &[chunk(b"acTL", &[0; 8]), frame_control(0, 0, width, height)])),
        ("image/png", "moved.png", png(1, 1, &[frame_control(width - 1, height - 1, 1, 1)])),
        ("image/png", "two-headers.png", png(1, 1, &[png(width, height, &[])[8..33].to_vec()])),
        ("image/gif", "frame.gif", gif(1, 1, &[gif_frame(0, 0, width, height)])),
        ("image/gif", "later.gif", gif(1, 1, &[gif_frame(0, 0, 1, 1), b"!\xfe\x03abc\0".to_vec(), gif_frame(0, 0, width, height)])),
        ("image/gif", "two-sides.gif", gif(1, 1, &[gif_frame(0, 0, width, 1), gif_frame(0, 0, 1, height)])),
        ("image/gif", "moved.gif", gif(1, 1, &[gif_frame(0, 0, 1, 1), gif_frame(width - 1, height - 1, 1, 1)])),
        ("image/webp", "image.webp", webp(&[vp8x(0, 1, 1), vp8(width, height)])),
        ("image/webp", "lossless-image.webp", webp(&[vp8x(0, 1, 1), vp8l(width, height)])),
        ("image/webp", "frame.webp", webp(&[vp8x(2, 1, 1), anmf(0, 0, width, height, &vp8(1, 1))])),
        ("image/webp", "in-frame.webp", webp(&[vp8x(2, 1, 1), anmf(0, 0, 1, 1, &vp8(1, 1)), anmf(0, 0, 1, 1, &vp8l(width, height))])),
        ("image/tiff", "second-page.tif", tiff(Order::Little, &[page(1, 1), page(width, height)], 8)),
        ("image/tiff", "below.tif", tiff(Order::Big, &[[page(1, 1), vec![(330, 4, vec![1])]].concat(), page(width, height)], 8)),
        ("image/tiff", "wide.tif", tiff(Order::BigWide, &[page(1, 1), page(width, height)], 16)),
        ("image/tiff", "twice.tif", tiff(Order::Little, &[[page(1, 1), page(width, height)].concat()], 8)),
        ("image/tiff", "tile.tif", tiff(Order::Little, &[[page(1, 1), vec![(322, 4, vec![width]), (323, 4, vec![height])]].concat()], 8)),
        ("image/heic", "second-item.heic", heic(&meta(&[vec![ispe(1, 1)], vec![ispe(width, height)]], &[]))),
        ("image/heic", "grid.heic", heif(&[ispe(1, 1)], &grid(width, height))),
        ("image/avif", "track.avif", [ftyp(&[b"avis", b"avif"]), meta(&[vec![ispe(1, 1)]], &[]), track(width, height)].concat()),
        ("image/x-icon", "bitmap.ico", ico(16, 16, &bmp(i32::try_from(width).unwrap(), i32::try_from(height * 2).unwrap())[14..])),
    ]
}
