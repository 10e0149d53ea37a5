//! What the first bytes of an upload say about it, and what is decided from that.
//!
//! Only the beginning is looked at and nothing is decoded: decoders are where hostile files do harm.

use std::str::FromStr;

use super::detection::detect;
use super::families::is_consistent;
use super::image_header::{Pieces, Survey};
use super::media_type::MediaType;
use super::pixels::Pixels;
use super::wording::{one_of, short};
use super::{Complaints, Field};

/// How many of an image's first bytes are read: its size stands behind embedded profiles and previews.
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

/// What was seen and decided when a file became active; kept with it for an auditor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The type the bytes show; `None` where they show none.
    pub detected: Option<MediaType>,
    /// What that came to.
    pub verdict: Verdict,
    /// The type of the file from now on.
    pub decided: MediaType,
    /// An image's size as it is shown: turned where its orientation says so.
    pub pixels: Option<Pixels>,
}

/// The rule that evidence is weighed by.
#[derive(Clone, Copy)]
pub struct Weighing<'a> {
    /// What to do when the bytes are not what was granted.
    pub sniff: Sniff,
    /// Most pixels an image may have.
    pub max_pixels: u64,
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

/// Weighs what is known of an upload against the type that was granted.
///
/// # Errors
/// `mimeType` when the bytes are something else, or an image that shows no size, and the rule rejects that; `pixels` when any header of
/// an image says too many.
pub fn weigh(granted: &MediaType, upload: &Pieces, rule: &Weighing<'_>) -> Result<Evidence, Complaints> {
    if rule.sniff == Sniff::Trust {
        return Ok(Evidence { detected: None, verdict: Verdict::Trusted, decided: granted.clone(), pixels: None });
    }
    let detected = detect(granted, upload.start());
    let survey = survey(granted, detected.as_ref(), upload);
    let size = survey.size();
    if let Some(largest) = survey.largest()
        && largest.count() > rule.max_pixels
    {
        let (Pixels { width, height }, most) = (largest, rule.max_pixels);
        return Err(Complaints::one(Field::Pixels, format!("must be {most} or fewer, but the image has {width} × {height}")));
    }
    let (verdict, decided) = if is_consistent(granted, detected.as_ref()) {
        // An image whose size cannot be found may be of any size.
        if rule.sniff == Sniff::Reject && size.is_none() && must_show_size(granted, &survey) {
            return Err(Complaints::one(Field::DeclaredType, format!("must be ‘{}’ {SIZELESS}", short(granted.essence()))));
        }
        (Verdict::Matches, granted.clone())
    } else if rule.sniff == Sniff::Reject {
        let found = detected.map_or_else(|| "something else".to_owned(), |detected| detected.to_string());
        return Err(Complaints::one(Field::DeclaredType, format!("must be ‘{}’, but the bytes are {found}", short(granted.essence()))));
    } else {
        let allowed = detected.as_ref().and_then(|detected| (rule.spelled)(detected));
        (Verdict::Relabeled, allowed.unwrap_or_else(MediaType::octet_stream))
    };
    Ok(Evidence { detected, verdict, decided, pixels: size.map(|size| size.shown) })
}

/// Why an image is refused whose headers say no size within what is read of it.
const SIZELESS: &str = "that shows its width and height, but its header shows none or stands too far behind its beginning";

/// What the headers of an image say. Some begin with what a text may begin with: a text is none unless somebody takes it for one.
fn survey(granted: &MediaType, detected: Option<&MediaType>, upload: &Pieces) -> Survey {
    let is_control = |byte: &u8| *byte < b' ' && !byte.is_ascii_whitespace();
    if is_image(granted) || detected.is_some_and(is_image) || upload.start().iter().any(is_control) {
        upload.survey()
    } else {
        Survey::NoImage
    }
}

fn is_image(content_type: &MediaType) -> bool {
    content_type.essence().starts_with("image/")
}

/// Whether bytes that are taken for the granted type have a size that can be found.
fn must_show_size(granted: &MediaType, survey: &Survey) -> bool {
    let subtype = granted.essence().strip_prefix("image/").unwrap_or_default();
    let is_known = ["avif", "bmp", "gif", "heic", "heif", "jpeg", "jxl", "png", "tiff", "webp", "x-icon"].contains(&subtype);
    is_known || (is_image(granted) && *survey != Survey::NoImage)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::image_header::samples::{every_type, frame, jpeg, liars};
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x06\0\0\0";
    const PDF: &[u8] = b"%PDF-1.7\n";
    const HTML: &[u8] = b"<!DOCTYPE html><script>alert(1)</script>";

    fn weighed(granted: &str, start: &[u8], sniff: Sniff) -> Result<Evidence, Complaints> {
        let spelled =
            |detected: &MediaType| Some(detected.clone()).filter(|d| d.essence() != "application/vnd.microsoft.portable-executable");
        let upload = Pieces::new(start.to_vec(), start.len() as u64);
        weigh(&granted.parse().unwrap(), &upload, &Weighing { sniff, max_pixels: 1_000_000, spelled: &spelled })
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
            assert!(refusal.about(Field::DeclaredType).next().is_some(), "{granted}");
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
        for (granted, name, bomb) in every_type(16_000, 12_000).into_iter().chain(liars(16_000, 12_000)) {
            for sniff in [Sniff::Reject, Sniff::Relabel] {
                let refusal = weighed(granted, &bomb, sniff).unwrap_err();
                let said = "must be 1000000 or fewer, but the image has 16000 × 12000";
                assert_eq!(refusal, Complaints::one(Field::Pixels, said), "{name}");
            }
        }
        for (granted, name, image) in every_type(640, 480) {
            let evidence = weighed(granted, &image, Sniff::Reject).unwrap();
            assert_eq!(evidence.pixels, Some(Pixels { width: 640, height: 480 }), "{name}");
        }
        for (granted, name, image) in liars(640, 480) {
            assert!(weighed(granted, &image, Sniff::Reject).is_ok(), "{name}");
        }
    }

    #[test]
    fn an_image_that_shows_no_size_is_refused_or_has_none() {
        let weighed = |granted: &str, start: &[u8], size, sniff| {
            let rule = Weighing { sniff, max_pixels: 1_000_000, spelled: &|detected| Some(detected.clone()) };
            weigh(&granted.parse().unwrap(), &Pieces::new(start.to_vec(), size), &rule)
        };
        let late = [b"\xff\xd8\xff\xe1\xff\xff".as_slice(), &[7; 2_000]].concat();
        let empty = [&PNG[..16], &[0; 13]].concat();
        for (granted, start, size) in [
            ("image/jpeg", late.as_slice(), 1_000_000),
            ("image/jpeg", b"\xff\xd8\xff\xd9", 4),
            ("image/png", &empty, empty.len() as u64),
            ("image/png", b"\x89PNG\r\n\x1a\n\0\0\0\x04gAMA\0\0\xb1\x8f....", 24),
            ("image/heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", 24),
            ("image/tiff", b"II*\0\x08\0\0\0\0\0", 10),
        ] {
            let refusal = weighed(granted, start, size, Sniff::Reject).unwrap_err();
            let [(field, said)] = refusal.iter().collect::<Vec<_>>()[..] else { panic!("{refusal:?}") };
            assert!(field == Field::DeclaredType && said.contains("width and height") && said.len() < 200, "{granted}: {said:?}");
            let relabeled = weighed(granted, start, size, Sniff::Relabel).unwrap();
            assert_eq!((relabeled.verdict, relabeled.pixels), (Verdict::Matches, None), "{granted}");
            assert_eq!(relabeled.decided.essence(), granted);
        }
        // A header that was seen counts, also where its size is not taken for the image's.
        let bomb = [jpeg(&[frame(0xc0, 16_000, 12_000)])[..15].to_vec(), b"\xff\xe1\xff\xff".to_vec(), vec![7; 2_000]].concat();
        assert!(weighed("image/jpeg", &bomb, 1_000_000, Sniff::Relabel).unwrap_err().about(Field::Pixels).next().is_some());
        // What is not taken for an image needs no size.
        assert_eq!(weighed("application/octet-stream", &late, 1_000_000, Sniff::Reject).unwrap().verdict, Verdict::Matches);
    }

    #[test]
    fn a_text_is_no_image_by_its_first_letters() {
        for (granted, text) in [
            ("text/csv", "BMI,weight,height\n23,70,175\n"),
            ("text/plain", "GIF89a is, as a format, 30 years old"),
            ("text/plain", "P5 99999 99999 255 is a header of a grey map"),
            ("text/plain", "qoif is a quite okay image format"),
            ("application/octet-stream", "BM25 notes on ranking, as bytes"),
            ("application/octet-stream", "8BPS is how Photoshop's files begin"),
        ] {
            let upload = Pieces::new(text.as_bytes().to_vec(), text.len() as u64);
            let granted: MediaType = granted.parse().unwrap();
            assert_eq!(survey(&granted, None, &upload), Survey::NoImage, "{text}");
        }
        let map = Pieces::new(b"P5 30 20 255 ".to_vec(), 613);
        assert_eq!(
            survey(&"image/x-portable-graymap".parse().unwrap(), None, &map).size().unwrap().shown,
            Pixels { width: 30, height: 20 }
        );
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
