//! S3 multipart uploads: how a file is cut into parts, and whether all of them arrived.
//!
//! The bounds are those of "Amazon S3 multipart upload limits", Amazon S3 User Guide.

use super::{Complaints, Field};

/// Fewest bytes of every part but the last.
pub const MIN_PART_SIZE: u64 = 5 << 20;

/// Most bytes of a part, and of an object written by one request.
pub const MAX_PART_SIZE: u64 = 5 << 30;

/// Most parts of one upload.
pub const MAX_PARTS: u64 = 10_000;

/// Most bytes of an object that is put together from parts.
pub const MAX_OBJECT_SIZE: u64 = 5 << 40;

/// Who decides how large the parts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartSizes {
    /// The broker does, and tells.
    Granted,
    /// The client does, and never tells.
    ChosenByClient,
}

/// A file that is, or is to be, uploaded in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multipart {
    /// The store's name for the upload; `None` before the store was asked for one, and once the file is sealed.
    pub upload_id: Option<String>,
    /// Bytes of every part but the last; `None` when the client chooses.
    pub part_size: Option<u64>,
}

/// One part that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// 1 to 10,000.
    pub number: u32,
    /// Bytes.
    pub size: u64,
    /// Entity tag, as the store spells it; empty from a store that tells none.
    pub etag: String,
}

/// The part size for a file of `total` bytes: `preferred`, or whole MiB more where that would be too many parts.
#[must_use]
pub fn part_size_for(total: u64, preferred: u64) -> u64 {
    let least = total.div_ceil(MAX_PARTS).next_multiple_of(1 << 20);
    preferred.max(least).clamp(MIN_PART_SIZE, MAX_PART_SIZE)
}

/// How many parts a file of `total` bytes has; a file without bytes has one.
#[must_use]
pub fn part_count(total: u64, part_size: u64) -> u64 {
    total.div_ceil(part_size.max(1)).max(1)
}

/// The bytes of one part; `None` when the file has no such part.
#[must_use]
pub fn size_of_part(number: u32, total: u64, part_size: u64) -> Option<u64> {
    let count = part_count(total, part_size);
    let number = u64::from(number);
    if number == 0 || number > count {
        return None;
    }
    Some(if number < count { part_size } else { total - part_size * (count - 1) })
}

/// Judges whether parts make up the whole file, which has `min_size` to `max_size` bytes.
///
/// # Errors
/// What is missing or of a wrong size, as `parts`.
pub fn judge_parts(parts: &[Part], part_size: Option<u64>, min_size: u64, max_size: u64) -> Result<(), Complaints> {
    let wrong = |what: String| Err(Complaints::one(Field::Parts, what));
    let last = parts.iter().map(|part| u64::from(part.number)).max().unwrap_or_default();
    let count = match part_size {
        Some(size) => part_count(max_size, size),
        None => last.max(1),
    };
    let missing = missing(parts, count);
    if !missing.is_empty() {
        return wrong(format!("must be uploaded first: {missing} of {count}"));
    }
    if last > count {
        return wrong(format!("must be numbered 1 to {count}, but there is a part {last}"));
    }
    // None is missing and none has a higher number, so more of them are the same ones again.
    if parts.len() as u64 > count {
        return wrong(format!("must be there once each, but there are {} of {count}", parts.len()));
    }
    if let Some(size) = part_size {
        for part in parts {
            let expected = size_of_part(part.number, max_size, size).unwrap_or_default();
            if part.size != expected {
                return wrong(format!("must be uploaded again: part {} has {} bytes, not {expected}", part.number, part.size));
            }
        }
    }
    let total: u64 = parts.iter().map(|part| part.size).fold(0, u64::saturating_add);
    if total < min_size || total > max_size {
        return wrong(format!("must be {min_size} to {max_size} bytes together, but are {total}"));
    }
    Ok(())
}

/// The numbers up to `count` that are not there, as a person writes them (`2, 5-7`), and not more than fit a line.
fn missing(parts: &[Part], count: u64) -> String {
    const RANGES: usize = 10;
    let there: std::collections::BTreeSet<u64> = parts.iter().map(|part| u64::from(part.number)).collect();
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for number in (1..=count).filter(|number| !there.contains(number)) {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let shown: Vec<String> = ranges
        .iter()
        .take(RANGES)
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") })
        .chain((ranges.len() > RANGES).then(|| "…".to_owned()))
        .collect();
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn parts(sizes: &[u64]) -> Vec<Part> {
        (1..).zip(sizes).map(|(number, size)| Part { number, size: *size, etag: "e".to_owned() }).collect()
    }

    fn first(complaints: &Complaints) -> String {
        complaints.about(Field::Parts).next().unwrap().to_owned()
    }

    fn complaint(parts: &[Part], part_size: Option<u64>, total: u64) -> String {
        first(&judge_parts(parts, part_size, total, total).unwrap_err())
    }

    #[test]
    fn parts_grow_with_the_file_so_that_there_are_never_too_many() {
        assert_eq!(part_size_for(100 * MIB, 16 * MIB), 16 * MIB);
        assert_eq!(part_size_for(1 << 40, 16 * MIB), 105 * MIB);
        assert!(part_count(MAX_OBJECT_SIZE, part_size_for(MAX_OBJECT_SIZE, MIN_PART_SIZE)) <= MAX_PARTS);
        assert_eq!(part_size_for(1, 1), MIN_PART_SIZE);
    }

    #[test]
    fn every_missing_part_is_named() {
        let whole = parts(&[5 * MIB, 5 * MIB, 5 * MIB, 5 * MIB, MIB]);
        let total = 21 * MIB;
        assert_eq!(judge_parts(&whole, Some(5 * MIB), total, total), Ok(()));
        let some: Vec<_> = whole.iter().filter(|part| part.number != 2 && part.number < 4).cloned().collect();
        assert_eq!(complaint(&some, Some(5 * MIB), total), "must be uploaded first: 2, 4-5 of 5");
        assert_eq!(complaint(&[], Some(5 * MIB), total), "must be uploaded first: 1-5 of 5");
        assert_eq!(complaint(&[], None, total), "must be uploaded first: 1 of 1");
    }

    #[test]
    fn parts_of_a_wrong_size_are_named() {
        let total = 11 * MIB;
        let short = parts(&[5 * MIB, 5 * MIB - 1, MIB]);
        assert_eq!(complaint(&short, Some(5 * MIB), total), "must be uploaded again: part 2 has 5242879 bytes, not 5242880");
        assert_eq!(complaint(&parts(&[6 * MIB, 6 * MIB]), None, total), "must be 11534336 to 11534336 bytes together, but are 12582912");
        assert_eq!(complaint(&parts(&[5 * MIB, 5 * MIB, MIB, 1]), Some(5 * MIB), total), "must be numbered 1 to 3, but there is a part 4");
    }

    #[test]
    fn a_part_that_is_there_twice_is_refused() {
        let twice = [parts(&[MIB]), parts(&[MIB])].concat();
        for part_size in [None, Some(5 * MIB)] {
            let why = judge_parts(&twice, part_size, MIB, 5 * MIB).unwrap_err();
            assert_eq!(first(&why), "must be there once each, but there are 2 of 1");
        }
    }

    proptest! {
        #[test]
        fn the_parts_of_a_file_are_its_bytes(total in 0..MAX_OBJECT_SIZE, preferred in 0..MAX_PART_SIZE) {
            let size = part_size_for(total, preferred);
            let count = u32::try_from(part_count(total, size)).unwrap();
            prop_assert!(u64::from(count) <= MAX_PARTS);
            let sum: u64 = (1..=count).map(|number| size_of_part(number, total, size).unwrap()).sum();
            prop_assert_eq!(sum, total);
            prop_assert!((1..count).all(|number| size_of_part(number, total, size).unwrap() >= MIN_PART_SIZE));
            prop_assert_eq!(size_of_part(0, total, size), None);
            prop_assert_eq!(size_of_part(count + 1, total, size), None);
        }
    }
}
