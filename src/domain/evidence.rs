//! What the first bytes of an upload say about it, and what is decided from that.
//!
//! Only the beginning is looked at and nothing is decoded: decoders are where hostile files bite.

use std::str::FromStr;

use super::detection::detect;
use super::families::is_consistent;
use super::field_errors::{FieldErrors, one_of};
use super::media_type::MediaType;

/// How many of an image's first bytes are read: size fields stand behind embedded profiles and previews.
const IMAGE_START: u64 = 256 * 1024;

/// How many of anything else's first bytes are read.
const START: u64 = 16 * 1024;

/// What to do when the bytes are not what was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sniff {
    /// Refuse the upload.
    Reject,
    /// Accept it as what it is, or as bytes where the rule does not allow that.
    Relabel,
    /// Do not look.
    Trust,
}

impl FromStr for Sniff {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "reject" => Ok(Self::Reject),
            "relabel" => Ok(Self::Relabel),
            "trust" => Ok(Self::Trust),
            _ => Err(one_of(["reject", "relabel", "trust"])),
        }
    }
}

/// What looking at the bytes came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The bytes are what was granted, as far as bytes can tell.
    Matches,
    /// They are something else; the file's type was changed to what they are.
    Relabeled,
    /// Nobody looked, because the rule says so.
    Trusted,
}

impl Verdict {
    /// The word used on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Matches => "matches",
            Self::Relabeled => "relabeled",
            Self::Trusted => "trusted",
        }
    }
}

impl FromStr for Verdict {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Matches, Self::Relabeled, Self::Trusted];
        all.into_iter().find(|verdict| verdict.as_str() == text).ok_or_else(|| one_of(all.map(Self::as_str)))
    }
}

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pixels {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

/// What was seen and decided when a file became active; kept with it for an auditor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The type the bytes show; `None` where they show none.
    pub detected: Option<MediaType>,
    /// What that came to.
    pub verdict: Verdict,
    /// The type of the file from now on.
    pub decided: MediaType,
    /// An image's size.
    pub pixels: Option<Pixels>,
}

/// The rule that evidence is weighed by.
#[derive(Clone, Copy)]
pub struct Weighing<'a> {
    /// What to do when the bytes are not what was granted.
    pub sniff: Sniff,
    /// Most pixels an image may have.
    pub max_pixels: u64,
    /// The upload's size in bytes: its first bytes may not be all.
    pub size: u64,
    /// A detected type as the rule spells it, where it allows it.
    pub spelled: &'a dyn Fn(&MediaType) -> Option<MediaType>,
}

/// How many of an upload's first bytes [`weigh`] wants to see; none when nobody looks.
#[must_use]
pub fn bytes_wanted(granted: &MediaType, sniff: Sniff) -> u64 {
    match sniff {
        Sniff::Trust => 0,
        _ if granted.essence().starts_with("image/") => IMAGE_START,
        _ => START,
    }
}

/// Weighs the first bytes of an upload against the type that was granted.
///
/// # Errors
/// `mimeType` when the bytes are something else and the rule rejects that; `pixels` when an image has too many.
pub fn weigh(granted: &MediaType, start: &[u8], rule: &Weighing<'_>) -> Result<Evidence, FieldErrors> {
    if rule.sniff == Sniff::Trust {
        return Ok(Evidence { detected: None, verdict: Verdict::Trusted, decided: granted.clone(), pixels: None });
    }
    let detected = detect(granted, start);
    let pixels = pixels(start);
    if let Some(Pixels { width, height }) = pixels
        && u64::from(width) * u64::from(height) > rule.max_pixels
    {
        return Err(FieldErrors::one("pixels", format!("must be {} or fewer, but the image has {width} × {height}", rule.max_pixels)));
    }
    // An image whose size stands beyond the bytes that were read may be of any size: it is not taken for an image.
    let hidden_size = pixels.is_none() && rule.size > start.len() as u64 && has_readable_size(granted);
    let (verdict, decided) = if is_consistent(granted, detected.as_ref()) && !hidden_size {
        (Verdict::Matches, granted.clone())
    } else if rule.sniff == Sniff::Reject {
        let found = detected.filter(|_| !hidden_size).map_or_else(|| "something else".to_owned(), |d| d.to_string());
        return Err(FieldErrors::one("mimeType", format!("must be ‘{granted}’, but the bytes are {found}")));
    } else {
        let allowed = detected.as_ref().filter(|_| !hidden_size).and_then(|detected| (rule.spelled)(detected));
        (Verdict::Relabeled, allowed.unwrap_or_else(MediaType::octet_stream))
    };
    Ok(Evidence { detected, verdict, decided, pixels })
}

/// Types whose width and height can be read from their beginning.
fn has_readable_size(granted: &MediaType) -> bool {
    let subtype = granted.essence().strip_prefix("image/").unwrap_or_default();
    ["avif", "bmp", "gif", "heic", "heif", "jpeg", "png", "webp", "x-icon"].contains(&subtype)
}

fn pixels(start: &[u8]) -> Option<Pixels> {
    // The library reads hostile bytes: should it ever panic, the image has no known size.
    let size = std::panic::catch_unwind(|| imagesize::blob_size(start).ok()).ok()??;
    Some(Pixels { width: u32::try_from(size.width).ok()?, height: u32::try_from(size.height).ok()? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x06\0\0\0";
    const PDF: &[u8] = b"%PDF-1.7\n";
    const HTML: &[u8] = b"<!DOCTYPE html><script>alert(1)</script>";

    fn weighed(granted: &str, start: &[u8], sniff: Sniff) -> Result<Evidence, FieldErrors> {
        let spelled =
            |detected: &MediaType| Some(detected.clone()).filter(|d| d.essence() != "application/vnd.microsoft.portable-executable");
        weigh(&granted.parse().unwrap(), start, &Weighing { sniff, max_pixels: 1_000_000, spelled: &spelled, size: start.len() as u64 })
    }

    #[test]
    fn what_was_granted_is_found() {
        let evidence = weighed("image/png", PNG, Sniff::Reject).unwrap();
        assert_eq!((evidence.verdict, evidence.decided.essence()), (Verdict::Matches, "image/png"));
        assert_eq!(evidence.pixels, Some(Pixels { width: 640, height: 480 }));
        for (granted, start) in [
            ("application/pdf", PDF),
            ("text/plain", b"hello"),
            ("text/csv", b"a;b\n"),
            ("image/svg+xml", b"<svg xmlns='x'/>"),
            ("text/html", HTML),
            ("application/octet-stream", PNG),
            ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", b"PK\x03\x04...."),
            ("text/plain", b"\xff\xfeh\0i\0"),
            ("image/heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
            ("text/plain", b""),
        ] {
            assert_eq!(weighed(granted, start, Sniff::Reject).unwrap().verdict, Verdict::Matches, "{granted}");
        }
    }

    #[test]
    fn what_is_something_else_is_rejected() {
        for (granted, start) in [
            ("image/png", PDF),
            ("image/png", b"hello"),
            ("image/jpeg", PNG),
            ("text/plain", HTML),
            ("text/plain", b"MZ\0\0\0"),
            ("text/csv", b"a\0b"),
            ("application/pdf", HTML),
            ("image/png", b""),
        ] {
            let refusal = weighed(granted, start, Sniff::Reject).unwrap_err();
            assert!(refusal.by_field().contains_key("mimeType"), "{granted}");
        }
    }

    #[test]
    fn relabeling_takes_what_the_rule_allows_and_bytes_otherwise() {
        let decided = |granted, start| weighed(granted, start, Sniff::Relabel).unwrap().decided.to_string();
        assert_eq!(decided("image/png", PDF), "application/pdf");
        assert_eq!(decided("text/plain", HTML), "text/html");
        assert_eq!(decided("text/plain", b"MZ\0\0"), "application/octet-stream");
        assert_eq!(decided("image/png", b"hello"), "application/octet-stream");
    }

    #[test]
    fn trusting_does_not_look() {
        let evidence = weighed("image/png", HTML, Sniff::Trust).unwrap();
        assert_eq!((evidence.verdict, evidence.detected), (Verdict::Trusted, None));
        assert_eq!(bytes_wanted(&"image/png".parse().unwrap(), Sniff::Trust), 0);
    }

    #[test]
    fn an_image_bomb_is_refused_by_its_header() {
        let mut bomb = PNG.to_vec();
        bomb[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
        assert!(weighed("image/png", &bomb, Sniff::Relabel).unwrap_err().by_field().contains_key("pixels"));
    }

    #[test]
    fn an_image_that_hides_its_size_is_no_image() {
        let hidden = |sniff| {
            let rule = Weighing { sniff, max_pixels: 1_000_000, spelled: &|detected| Some(detected.clone()), size: 1_000_000 };
            weigh(&"image/jpeg".parse().unwrap(), &[b"\xff\xd8\xff\xe1\xff\xff".as_slice(), &[7; 2_000]].concat(), &rule)
        };
        assert!(hidden(Sniff::Reject).unwrap_err().by_field().contains_key("mimeType"));
        assert_eq!(hidden(Sniff::Relabel).unwrap().decided, MediaType::octet_stream());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(prefix in 0..9_usize, rest in proptest::collection::vec(any::<u8>(), 0..600)) {
            let starts: [&[u8]; 9] =
                [b"", PNG, b"\xff\xd8\xff\xe1", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8", b"BM", b"II*\0", b"\0\0\0\x18ftypheic", b"\0\0\x01\0"];
            let bytes = [starts[prefix], &rest].concat();
            for granted in ["image/png", "image/heic", "text/plain", "application/octet-stream"] {
                let _ = weighed(granted, &bytes, Sniff::Relabel);
            }
        }
    }
}
