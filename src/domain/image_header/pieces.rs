//! The bytes of a file that are known, and how many more may be read.

/// How often more of an image may be read after its first bytes.
pub const MOST_READS: usize = 16;

/// How many bytes these reads may have in all.
pub const MOST_READ: u64 = 1024 * 1024;

/// The bytes of a file that are known.
#[derive(Debug, Clone)]
pub struct Pieces {
    /// The first one begins where the file does.
    known: Vec<(u64, Vec<u8>)>,
    size: u64,
}

impl Pieces {
    /// The first bytes of a file of `size` bytes.
    #[must_use]
    pub fn new(start: Vec<u8>, size: u64) -> Self {
        Self { known: vec![(0, start)], size }
    }

    /// The first bytes.
    #[must_use]
    pub fn start(&self) -> &[u8] {
        self.known.first().map_or(&[], |(_, start)| start)
    }

    /// The size of the whole file in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many bytes may still be read, if any.
    pub(super) fn left(&self) -> Option<u64> {
        let later = self.known.get(1..).unwrap_or_default();
        let read: u64 = later.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        let left = MOST_READ.saturating_sub(read);
        (later.len() < MOST_READS && left > 0).then_some(left)
    }

    /// Adds bytes that stand at a place in the file.
    pub fn add(&mut self, at: u64, bytes: Vec<u8>) {
        self.known.push((at, bytes));
    }

    /// All that is known from a place on, without a gap; empty where nothing is.
    pub(super) fn from(&self, at: u64) -> &[u8] {
        let longest = self.known.iter().filter_map(|(begin, bytes)| bytes.get(usize::try_from(at.checked_sub(*begin)?).ok()?..));
        longest.max_by_key(|bytes| bytes.len()).unwrap_or_default()
    }
}
