//! The one way in which parsers look at a file: it says what is missing, and counts.

use std::cell::Cell;
use std::ops::Range;

use super::Pieces;

/// How many bytes are read at once: sixteen times that is all that may be read.
const BLOCK: u64 = 64 * 1024;

/// How often the parsers may ask while they survey one file: far more often than an ordinary file lets them.
const MOST_STEPS: u32 = 1 << 18;

/// Why a parser stops before it is done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It needs the first bytes of this range, which are not known.
    Want(Range<u64>),
    /// The file ends here, or goes on as nothing that is known.
    End,
    /// The file makes the parser ask more than any ordinary one does.
    Endless,
}

pub(super) struct Reader<'a> {
    pieces: &'a Pieces,
    steps: Cell<u32>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(pieces: &'a Pieces) -> Self {
        Self { pieces, steps: Cell::new(0) }
    }

    /// Where the file ends.
    pub(super) fn size(&self) -> u64 {
        self.pieces.size()
    }

    /// `length` bytes at a place.
    pub(super) fn slice(&self, at: u64, length: u64) -> Result<&'a [u8], Stop> {
        self.step()?;
        let end = at.checked_add(length).filter(|end| *end <= self.size()).ok_or(Stop::End)?;
        let known = self.pieces.from(at);
        match usize::try_from(length).ok().and_then(|length| known.get(..length)) {
            Some(bytes) => Ok(bytes),
            None => Err(Stop::Want(at..end.max(at.saturating_add(BLOCK).min(self.size())))),
        }
    }

    /// `N` bytes at a place.
    pub(super) fn bytes<const N: usize>(&self, at: u64) -> Result<[u8; N], Stop> {
        self.slice(at, N as u64)?.try_into().map_err(|_| Stop::End)
    }

    pub(super) fn u16(&self, at: u64) -> Result<u64, Stop> {
        Ok(u64::from(u16::from_be_bytes(self.bytes(at)?)))
    }

    pub(super) fn u32(&self, at: u64) -> Result<u64, Stop> {
        Ok(u64::from(u32::from_be_bytes(self.bytes(at)?)))
    }

    pub(super) fn u16_le(&self, at: u64) -> Result<u64, Stop> {
        Ok(u64::from(u16::from_le_bytes(self.bytes(at)?)))
    }

    pub(super) fn u24_le(&self, at: u64) -> Result<u64, Stop> {
        let [low, middle, high] = self.bytes(at)?;
        Ok(u64::from(u32::from_le_bytes([low, middle, high, 0])))
    }

    pub(super) fn u32_le(&self, at: u64) -> Result<u64, Stop> {
        Ok(u64::from(u32::from_le_bytes(self.bytes(at)?)))
    }

    /// Where the next byte is that `is_it` takes, at `at` or after it.
    pub(super) fn find(&self, at: u64, is_it: impl Fn(u8) -> bool) -> Result<u64, Stop> {
        let mut at = at;
        loop {
            // One byte at least, or the reason why there is none.
            self.slice(at, 1)?;
            let known = self.pieces.from(at);
            match known.iter().position(|byte| is_it(*byte)) {
                Some(place) => return Ok(at.saturating_add(place as u64)),
                // The next piece may begin where this one ends.
                None => at = at.saturating_add(known.len() as u64),
            }
        }
    }

    fn step(&self) -> Result<(), Stop> {
        self.steps.set(self.steps.get().saturating_add(1));
        if self.steps.get() > MOST_STEPS { Err(Stop::Endless) } else { Ok(()) }
    }
}

/// What stands in bytes that are known, or nothing: for what is looked at where it costs no further read.
pub(super) fn if_known(looked: Result<(), Stop>) -> Result<(), Stop> {
    match looked {
        Err(Stop::Want(_) | Stop::End) => Ok(()),
        other => other,
    }
}
