//! How large an image is, as its headers say: nothing is decoded.
//!
//! A header may lie, so the largest size that any header says is kept beside the size that is shown. A header may also stand late:
//! then a survey says which bytes it wants to see next, and [`Pieces`] bounds how many that are.
//!
//! All of it reads hostile bytes. Every number is checked, every place in the file is asked for through one reader, and that reader
//! counts: whoever makes it ask too often has made a file whose size is not found.

mod bitmap;
mod boxes;
mod codec;
mod fixed;
mod gif;
mod heif;
mod icon;
mod jp2;
mod jpeg;
mod jxl;
mod netpbm;
mod pieces;
mod png;
mod reader;
#[cfg(test)]
pub(super) mod samples;
mod tiff;
mod webp;

use std::ops::Range;

pub use pieces::{MOST_READ, MOST_READS, Pieces};
use reader::{Reader, Stop};

use super::pixels::Pixels;

/// What the headers of an image say about its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Width and height as a viewer shows it: turned where the file says so.
    pub shown: Pixels,
    /// The header with most pixels, as it stands there: it may be another page, frame or preview.
    pub largest: Pixels,
}

/// What looking at the known bytes came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Survey {
    /// These bytes begin like no image that is known here.
    NoImage,
    /// An image by its first bytes, but none of its headers says a size, or they never end.
    NotFound {
        /// What was seen before it was given up.
        largest: Option<Pixels>,
    },
    /// An image with its size.
    Found(Size),
    /// More has to be read to be sure.
    Wants {
        /// These bytes of the file, at least the first few of them. Never empty, never beyond the end.
        range: Range<u64>,
        /// What holds when they cannot be had.
        otherwise: Option<Size>,
        /// The largest header until now, which is no size yet.
        largest: Option<Pixels>,
    },
}

impl Survey {
    /// The size, as far as it is known when nothing more is read.
    #[must_use]
    pub fn size(&self) -> Option<Size> {
        match self {
            Self::Found(size) => Some(*size),
            Self::Wants { otherwise, .. } => *otherwise,
            Self::NoImage | Self::NotFound { .. } => None,
        }
    }

    /// The largest header, whether or not there is a size: a decoder may look at no other.
    #[must_use]
    pub fn largest(&self) -> Option<Pixels> {
        match self {
            Self::Found(size) => Some(size.largest),
            Self::NotFound { largest } | Self::Wants { largest, .. } => *largest,
            Self::NoImage => None,
        }
    }
}

/// Reads the headers of one kind of image that begins at a place in the file.
type Parser = fn(&Reader<'_>, u64, &mut Seen) -> Result<(), Stop>;

/// What was seen until now.
#[derive(Debug, Default)]
struct Seen {
    shown: Option<Pixels>,
    largest: Option<Pixels>,
    /// A quarter turn, to one side or the other.
    turned: bool,
    /// Whether what was seen may stand when more cannot be read.
    is_enough: bool,
}

impl Seen {
    /// A size that some header says.
    fn count(&mut self, width: u64, height: u64) {
        let said = pixels(width, height);
        let count = |pixels: Option<Pixels>| pixels.map_or(0, Pixels::count);
        if count(said) > count(self.largest) {
            self.largest = said;
        }
    }

    /// A size that some header says, and that is shown unless one is shown already.
    fn show(&mut self, width: u64, height: u64) {
        self.count(width, height);
        self.shown = self.shown.or(pixels(width, height));
    }

    /// A size that some header says, of which the largest is shown.
    fn show_largest(&mut self, width: u64, height: u64) {
        self.count(width, height);
        self.shown = self.largest;
    }

    /// What an EXIF orientation says: 5 to 8 lie on their side.
    fn orient(&mut self, orientation: Option<u64>) {
        self.turned = orientation.is_some_and(|orientation| (5..=8).contains(&orientation));
    }

    fn size(&self) -> Option<Size> {
        let largest = self.largest?;
        // Where the image that is shown has no size of its own, another has.
        let Pixels { width, height } = self.shown.unwrap_or(largest);
        let shown = if self.turned { Pixels { width: height, height: width } } else { Pixels { width, height } };
        Some(Size { shown, largest })
    }
}

/// What has no width or no height has no size.
fn pixels(width: u64, height: u64) -> Option<Pixels> {
    let narrow = |length: u64| u32::try_from(length).unwrap_or(u32::MAX);
    (width > 0 && height > 0).then(|| Pixels { width: narrow(width), height: narrow(height) })
}

/// Which parser reads a file that begins so; by what no text begins with, wherever that can be.
fn parser(start: &[u8]) -> Option<Parser> {
    const BY_MAGIC: [(&[u8], Parser); 13] = [
        (b"\xff\xd8\xff", jpeg::read),
        (b"\x89PNG\r\n\x1a\n", png::read),
        (b"GIF87a", gif::read),
        (b"GIF89a", gif::read),
        (b"II*\0", tiff::read),
        (b"MM\0*", tiff::read),
        (b"II+\0", tiff::read),
        (b"MM\0+", tiff::read),
        (b"II\xbc", tiff::read),
        (jp2::SIGNATURE, jp2::read),
        (b"\xff\x4f\xff\x51", jp2::read_codestream),
        (jxl::SIGNATURE, jxl::read),
        (b"\xff\x0a", jxl::read_codestream),
    ];
    let by_magic = BY_MAGIC.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, parser)| *parser);
    by_magic
        .or_else(|| (start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP")).then_some(webp::read as Parser))
        .or_else(|| heif::is_heif(start).then_some(heif::read as Parser))
        .or_else(|| bitmap::is_bitmap(start).then_some(bitmap::read as Parser))
        .or_else(|| icon::is_icon(start).then_some(icon::read as Parser))
        .or_else(|| icon::is_apple_icon(start).then_some(icon::read_apple as Parser))
        .or_else(|| netpbm::is_netpbm(start).then_some(netpbm::read as Parser))
        .or_else(|| fixed::is_fixed(start).then_some(fixed::read as Parser))
}

impl Pieces {
    /// What the known bytes say about the size of the image that they are.
    #[must_use]
    pub fn survey(&self) -> Survey {
        let Some(parser) = parser(self.start()) else { return Survey::NoImage };
        let reader = Reader::new(self);
        let mut seen = Seen::default();
        let read = parser(&reader, 0, &mut seen);
        let (size, largest) = (seen.size(), seen.largest);
        match read {
            // A file that ends early, or goes on as nothing known, has the size that its headers said before.
            Ok(()) | Err(Stop::End) => size.map_or(Survey::NotFound { largest }, Survey::Found),
            Err(Stop::Endless) => Survey::NotFound { largest },
            Err(Stop::Want(range)) => Survey::Wants { range, otherwise: size.filter(|_| seen.is_enough), largest },
        }
    }

    /// The bytes to read next, if any are wanted and may still be read.
    #[must_use]
    pub fn wanted(&self) -> Option<Range<u64>> {
        let left = self.left()?;
        let Survey::Wants { range, .. } = self.survey() else { return None };
        Some(range.start..range.end.min(range.start.saturating_add(left)))
    }
}

#[cfg(test)]
mod tests;
