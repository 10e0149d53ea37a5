//! Which bytes of a file a `Range` header asks for (RFC 9110 section 14).

/// What is to be sent of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// All of it. Also where several ranges are asked for, or something else than bytes: a server may ignore both.
    Whole,
    /// The bytes with these numbers, both included.
    Part(u64, u64),
    /// Nothing: there are no such bytes.
    Unsatisfiable,
}

impl ByteRange {
    /// Reads a header's value for a file of `size` bytes.
    #[must_use]
    pub fn of(header: &str, size: u64) -> Self {
        parsed(header, size).unwrap_or(Self::Whole)
    }
}

/// `None` for what is no single range of bytes.
fn parsed(header: &str, size: u64) -> Option<ByteRange> {
    let (unit, range) = header.split_once('=')?;
    let (first, last) = range.trim().split_once('-').filter(|_| unit.trim().eq_ignore_ascii_case("bytes"))?;
    let end = size.checked_sub(1)?;
    match (first, last) {
        ("", length) => match number(length)? {
            0 => Some(ByteRange::Unsatisfiable),
            length => Some(ByteRange::Part(size.saturating_sub(length), end)),
        },
        (first, last) => {
            let first = number(first)?;
            let last = if last.is_empty() { end } else { number(last).filter(|last| *last >= first)? };
            Some(if first > end { ByteRange::Unsatisfiable } else { ByteRange::Part(first, last.min(end)) })
        }
    }
}

/// What has more digits than a number can have is larger than every file.
fn number(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        for (header, range) in [
            ("bytes=0-0", ByteRange::Part(0, 0)),
            ("bytes=0-", ByteRange::Part(0, 99)),
            ("bytes=10-19", ByteRange::Part(10, 19)),
            ("bytes=90-1000", ByteRange::Part(90, 99)),
            ("BYTES= 99-99 ", ByteRange::Part(99, 99)),
            ("bytes=-1", ByteRange::Part(99, 99)),
            ("bytes=-100", ByteRange::Part(0, 99)),
            ("bytes=-99999999999999999999999", ByteRange::Part(0, 99)),
            ("bytes=0-99999999999999999999999", ByteRange::Part(0, 99)),
            ("bytes=100-", ByteRange::Unsatisfiable),
            ("bytes=99999999999999999999999-", ByteRange::Unsatisfiable),
            ("bytes=-0", ByteRange::Unsatisfiable),
        ] {
            assert_eq!(ByteRange::of(header, 100), range, "{header}");
        }
        for ignored in
            ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=2-1", "bytes=0-1,3-4", "bytes=+1-2", "lines=0-1", "bytes=1", "bytes=--1"]
        {
            assert_eq!(ByteRange::of(ignored, 100), ByteRange::Whole, "{ignored}");
        }
        for any in ["bytes=0-", "bytes=-1", "bytes=0-0"] {
            assert_eq!(ByteRange::of(any, 0), ByteRange::Whole, "of nothing there is no part");
        }
    }
}
