//! Beginnings that the library does not know, or takes for granted too easily.

use super::super::media_type::MediaType;

/// What is recognized here. One of these must show how it begins, like all that the library knows.
const KNOWN: [&str; 14] = [
    "application/postscript",
    "application/vnd.adobe.photoshop",
    "audio/aac",
    "audio/mp4",
    "font/collection",
    "font/woff2",
    "image/heic",
    "image/heif",
    "image/x-canon-cr3",
    "video/3gpp",
    "video/3gpp2",
    "video/mp2t",
    "video/mp4",
    "video/quicktime",
];

/// Whether what a type of this name holds begins in a way that is known: then it must show it.
pub(in crate::domain) fn has_signature(media_type: &MediaType) -> bool {
    media_type.names().any(|name| KNOWN.contains(&name) || infer::is_mime_supported(name))
}

/// Four letters that an ISO base media file calls itself by, and what that makes it. What is not here is a film.
const BRANDS: [(&[u8], &str); 22] = [
    (b"avif", "image/avif"),
    (b"avis", "image/avif"),
    (b"heic", "image/heic"),
    (b"heix", "image/heic"),
    (b"heim", "image/heic"),
    (b"heis", "image/heic"),
    (b"hevc", "image/heic"),
    (b"hevx", "image/heic"),
    (b"hevm", "image/heic"),
    (b"hevs", "image/heic"),
    (b"crx ", "image/x-canon-cr3"),
    (b"qt  ", "video/quicktime"),
    (b"M4A ", "audio/mp4"),
    (b"M4B ", "audio/mp4"),
    (b"M4P ", "audio/mp4"),
    (b"F4A ", "audio/mp4"),
    (b"F4B ", "audio/mp4"),
    (b"3g2", "video/3gpp2"),
    (b"3gp", "video/3gpp"),
    (b"3ge", "video/3gpp"),
    (b"3gr", "video/3gpp"),
    (b"3gs", "video/3gpp"),
];

/// Brands of still images in general: the others of the same file say in which coding.
const IMAGE_BRANDS: [&[u8]; 5] = [b"mif1", b"mif2", b"msf1", b"miaf", b"mif3"];

/// The most brands that are looked at.
const MOST_BRANDS: usize = 64;

/// Atoms that a file of Apple's from before `ftyp` may begin with.
const QUICKTIME_ATOMS: [&[u8]; 8] = [b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"PICT", b"junk"];

/// TIFF in either order of bytes, small and big.
const TIFF: [&[u8]; 4] = [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"];

/// The type that bytes which are no text begin like; `None` where the library may know more.
pub(super) fn shown(granted: &MediaType, start: &[u8]) -> Option<&'static str> {
    let at = |offset: usize, magic: &[u8]| start.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    if at(4, b"ftyp") {
        return Some(by_brands(start));
    }
    if QUICKTIME_ATOMS.iter().any(|atom| at(4, atom)) && is_box_length(start) {
        return Some("video/quicktime");
    }
    if at(0, b"\xc5\xd0\xd3\xc6") {
        return Some("application/postscript");
    }
    if at(0, b"\x1a\x45\xdf\xa3") {
        let head = &start[..start.len().min(256)];
        let is_webm = head.windows(4).any(|window| window == b"webm");
        return Some(if is_webm { "video/webm" } else { "video/x-matroska" });
    }
    if (at(0, b"RF64") || at(0, b"BW64") || at(0, b"RIFX")) && at(8, b"WAVE") {
        return Some("audio/wav");
    }
    if at(0, b"RIFF") && at(8, b"RMID") {
        return Some("audio/midi");
    }
    if at(0, b"FORM") && at(8, b"AIFC") {
        return Some("audio/aiff");
    }
    if TIFF.iter().any(|magic| at(0, magic)) {
        return Some(if at(8, b"CR\x02") { "image/x-canon-cr2" } else { "image/tiff" });
    }
    if at(0, b"true\0") || at(0, b"\0\x01\0\0\0") {
        return Some("font/ttf");
    }
    if at(0, b"ttcf\0") {
        return Some("font/collection");
    }
    // The library has one name for both.
    if at(0, b"wOF2") {
        return Some("font/woff2");
    }
    if at(0, b"ADIF") {
        return Some("audio/aac");
    }
    // A tag of this kind may stand before any sound.
    if at(0, b"ID3") {
        return Some(if granted.is_one_of(&["audio/aac", "audio/flac", "audio/wav", "audio/aiff"]) {
            tagged(granted)
        } else {
            "audio/mpeg"
        });
    }
    if let Some(sound) = sound(granted, start) {
        return Some(sound);
    }
    is_transport_stream(start).then_some("video/mp2t")
}

/// What a sound is that a tag stands before: what it was granted as.
fn tagged(granted: &MediaType) -> &'static str {
    ["audio/aac", "audio/flac", "audio/wav", "audio/aiff"].into_iter().find(|name| granted.is_one_of(&[name])).unwrap_or("audio/mpeg")
}

fn by_brands(start: &[u8]) -> &'static str {
    let length = start.first_chunk().map_or(0, |length| u32::from_be_bytes(*length));
    let end = usize::try_from(length).unwrap_or(usize::MAX).clamp(12, 16 + 4 * MOST_BRANDS).min(start.len());
    let major = start.get(8..12).unwrap_or_default();
    let others = || start.get(16..end).unwrap_or_default().chunks_exact(4);
    let known = |brand: &[u8]| BRANDS.iter().find(|(name, _)| brand.starts_with(name)).map(|(_, kind)| *kind);
    if let Some(kind) = known(major) {
        return kind;
    }
    if IMAGE_BRANDS.contains(&major) {
        return others().filter_map(known).find(|kind| kind.starts_with("image/")).unwrap_or("image/heif");
    }
    // Films name the brands that they can be played as. That a phone could play it makes no film a phone's.
    match others().find_map(|brand| known(brand).filter(|kind| kind.starts_with("image/"))) {
        Some(image) if !others().any(|brand| matches!(brand, b"isom" | b"iso2" | b"mp41" | b"mp42" | b"avc1")) => image,
        _ => "video/mp4",
    }
}

/// Whether the first four bytes are a box's length: to the end, in the eight bytes after its name, or its own.
fn is_box_length(start: &[u8]) -> bool {
    start.first_chunk().is_some_and(|length| matches!(u32::from_be_bytes(*length), 0 | 1 | 8..))
}

/// MPEG audio, and AAC as broadcasters frame it, by the header of a frame.
fn sound(granted: &MediaType, start: &[u8]) -> Option<&'static str> {
    let (kind, length) = frame(start)?;
    let next = start.get(length..).filter(|next| length > 0 && next.len() >= FRAME_HEADER);
    match next {
        Some(next) => frame(next).is_some_and(|(next, _)| next == kind).then_some(kind),
        // One header alone is two bytes of evidence: enough for who said so.
        None => granted.is_one_of(&["audio/mpeg", "audio/aac"]).then_some(kind),
    }
}

/// What a frame that begins so holds, and its length in bytes; 0 where it does not say.
fn frame(start: &[u8]) -> Option<(&'static str, usize)> {
    let bytes: &[u8; FRAME_HEADER] = start.first_chunk()?;
    let header = bytes.first_chunk().map_or(0, |header| u32::from_be_bytes(*header));
    let (version, layer) = (header >> 19 & 3, header >> 17 & 3);
    if header >> 20 == 0xfff && layer == 0 {
        let length = usize::from(bytes[3] & 3) << 11 | usize::from(bytes[4]) << 3 | usize::from(bytes[5] >> 5);
        return (bytes[2] >> 2 & 0xf < 13 && length >= 7).then_some(("audio/aac", length));
    }
    let (rate, bits) = (header >> 10 & 3, header >> 12 & 0xf);
    if header >> 21 != 0x7ff || version == 1 || layer == 0 || rate == 3 || bits == 15 {
        return None;
    }
    let index = |bits: u32| usize::try_from(bits).unwrap_or_default();
    let per_second = [44_100, 48_000, 32_000][index(rate)] >> [2, 0, 1, 0][index(version)];
    let kilobits = KILOBITS[usize::from(version != 3)][index(layer)][index(bits)];
    let padding = usize::from(header >> 9 & 1 == 1);
    let length = match layer {
        3 => (12_000 * kilobits / per_second + padding) * 4,
        1 if version != 3 => 72_000 * kilobits / per_second + padding,
        _ => 144_000 * kilobits / per_second + padding,
    };
    Some(("audio/mpeg", if kilobits == 0 { 0 } else { length }))
}

/// As many bytes of a frame as say how long it is.
const FRAME_HEADER: usize = 6;

/// Kilobits a second by version, layer (none, III, II, I) and index (ISO 11172-3 and 13818-3).
const KILOBITS: [[[usize; 15]; 4]; 2] = [
    [
        [0; 15],
        [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
        [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
        [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    ],
    [
        [0; 15],
        [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
        [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
        [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    ],
];

/// Packets of 188 bytes that begin with the same byte, bare or each with a time of four bytes before it.
fn is_transport_stream(start: &[u8]) -> bool {
    let is_packet = |offset: usize| start.get(offset) == Some(&0x47);
    (0..3).all(|packet| is_packet(packet * 188)) || (0..3).all(|packet| is_packet(4 + packet * 192))
}
