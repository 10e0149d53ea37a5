//! The sizes in the headers of HEVC and AV1, which decoders go by whatever the boxes around them say.

/// Most pixels of a block of HEVC in one direction.
const LARGEST_BLOCK: u64 = 64;

/// Bits of a header, the high ones first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn bit(&mut self) -> Option<u64> {
        let byte = *self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit.into())
    }

    fn take(&mut self, count: u64) -> Option<u64> {
        (0..count).try_fold(0_u64, |sum, _| Some(sum << 1 | self.bit()?))
    }

    fn skip(&mut self, count: usize) {
        self.at = self.at.saturating_add(count);
    }

    /// Exponential Golomb, as in H.265; also what AV1 calls `uvlc`.
    fn golomb(&mut self) -> Option<u64> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > 32 {
                return None;
            }
        }
        Some((1 << zeros) - 1 + self.take(zeros)?)
    }
}

/// Every size in an `hvcC` property.
pub(super) fn hevc(body: &[u8]) -> Vec<(u64, u64)> {
    let mut sizes = Vec::new();
    let mut rest = body.get(22..).unwrap_or_default();
    let Some((arrays, after)) = rest.split_first() else { return sizes };
    rest = after;
    for _ in 0..*arrays {
        let Some(([_, high, low], after)) = rest.split_first_chunk() else { return sizes };
        rest = after;
        for _ in 0..u16::from_be_bytes([*high, *low]) {
            let Some((length, after)) = rest.split_first_chunk() else { return sizes };
            let Some((unit, after)) = after.split_at_checked(u16::from_be_bytes(*length).into()) else { return sizes };
            rest = after;
            sizes.extend(sequence(unit));
        }
    }
    sizes
}

/// The size in a sequence parameter set of HEVC.
fn sequence(unit: &[u8]) -> Option<(u64, u64)> {
    const SEQUENCE: u8 = 33;
    if unit.first()? >> 1 & 0x3f != SEQUENCE {
        return None;
    }
    // A three after two zeros is there to keep the zeros from being a mark.
    let mut bytes = Vec::new();
    let mut zeros = 0;
    for byte in unit.get(2..)?.iter().take(512) {
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        bytes.push(*byte);
    }
    let mut bits = Bits { bytes: &bytes, at: 0 };
    bits.skip(4);
    let layers = bits.take(3)?;
    bits.skip(1);
    // The profile and level: of all layers, then of those that have their own.
    bits.skip(88 + 8);
    let mut present = Vec::new();
    for _ in 0..layers {
        present.push((bits.bit()?, bits.bit()?));
    }
    if layers > 0 {
        bits.skip(2 * usize::try_from(8 - layers).ok()?);
    }
    for (has_profile, has_level) in present {
        bits.skip(if has_profile == 1 { 88 } else { 0 } + if has_level == 1 { 8 } else { 0 });
    }
    bits.golomb()?;
    let chroma = bits.golomb()?;
    if chroma == 3 {
        bits.skip(1);
    }
    let (width, height) = (bits.golomb()?, bits.golomb()?);
    // Up to the next block it is padded, which nobody sees. A header that cuts more away still makes a decoder hold it.
    let mut padding = [0; 4];
    if bits.bit()? == 1 {
        for cut in &mut padding {
            *cut = bits.golomb()?;
        }
    }
    let [left, right, top, bottom] = padding;
    let (across, down) = (if matches!(chroma, 1 | 2) { 2 } else { 1 }, if chroma == 1 { 2 } else { 1 });
    Some((
        width.saturating_sub(((left + right) * across).min(LARGEST_BLOCK)),
        height.saturating_sub(((top + bottom) * down).min(LARGEST_BLOCK)),
    ))
}

/// The sizes in the sequence headers of AV1 that stand at the beginning of these bytes.
pub(super) fn av1(mut bytes: &[u8]) -> Vec<(u64, u64)> {
    const SEQUENCE: u8 = 1;
    let mut sizes = Vec::new();
    while let Some((head, mut rest)) = bytes.split_first() {
        if head & 0x04 != 0 {
            rest = rest.get(1..).unwrap_or_default();
        }
        let mut length = rest.len();
        if head & 0x02 != 0 {
            let Some((value, after)) = leb128(rest) else { return sizes };
            (length, rest) = (value.min(after.len()), after);
        }
        let (unit, after) = rest.split_at(length);
        if head >> 3 & 15 == SEQUENCE {
            sizes.extend(sequence_header(unit));
        }
        bytes = after;
    }
    sizes
}

fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_usize;
    for (place, byte) in bytes.iter().enumerate().take(4) {
        value |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(place + 1..)?));
        }
    }
    None
}

/// The largest frame that a sequence header of AV1 says.
fn sequence_header(unit: &[u8]) -> Option<(u64, u64)> {
    let mut bits = Bits { bytes: unit, at: 0 };
    bits.skip(4);
    if bits.bit()? == 1 {
        bits.skip(5);
    } else {
        let (mut delay_length, mut has_model) = (0, false);
        if bits.bit()? == 1 {
            // Timing.
            bits.skip(64);
            if bits.bit()? == 1 {
                bits.golomb()?;
            }
            has_model = bits.bit()? == 1;
            if has_model {
                delay_length = usize::try_from(bits.take(5)? + 1).ok()?;
                bits.skip(42);
            }
        }
        let has_delay = bits.bit()? == 1;
        for _ in 0..=bits.take(5)? {
            bits.skip(12);
            if bits.take(5)? > 7 {
                bits.skip(1);
            }
            if has_model && bits.bit()? == 1 {
                bits.skip(2 * delay_length + 1);
            }
            if has_delay && bits.bit()? == 1 {
                bits.skip(4);
            }
        }
    }
    let (width, height) = (bits.take(4)? + 1, bits.take(4)? + 1);
    Some((bits.take(width)? + 1, bits.take(height)? + 1))
}
