use super::super::evidence::{Sniff, Verdict, Weighing, weigh};
use super::super::image_header::Pieces;
use super::*;

fn weighed(granted: &str, start: &[u8], sniff: Sniff) -> Result<(Verdict, String), String> {
    let spelled = |detected: &MediaType| Some(detected.clone());
    let rule = Weighing { sniff, max_pixels: u64::MAX, spelled: &spelled };
    let upload = Pieces::new(start.to_vec(), start.len() as u64);
    let evidence = weigh(&granted.parse().unwrap(), &upload, &rule).map_err(|why| format!("{why:?}"))?;
    Ok((evidence.verdict, evidence.decided.to_string()))
}

fn shown(granted: &str, start: &[u8]) -> Option<String> {
    detect(&granted.parse().unwrap(), start).map(|kind| kind.to_string())
}

/// A binary file: what it begins with, and then bytes that no text has.
fn binary(start: &[u8]) -> Vec<u8> {
    [start, &[0, 1, 2, 3].repeat(100)].concat()
}

#[test]
fn printable_beginnings_never_overrule_a_text() {
    for text in [
        "BMI,weight,height\n23,70,175\n",
        "BM25 notes",
        "MZ is a district\n",
        "BC,ID,Name\n",
        "GIF is pronounced so",
        "GIF89a is a version",
        "ID3 tags explained",
        "%! a line of TeX",
        "%!TEX root = main.tex\n",
        "a note on %PDF headers",
        "%PDF-1.7 is a version",
        "FWS,CWS\n",
        "RIFF1234WAVE",
        "RIFF of the year",
        "FORM 1040 AIFF",
        "PK is a short name",
        "OggS",
        "fLaC",
        "MThd",
        "8BPS",
        "wOFF",
        "#! not a script",
        "Rar! said the lion",
        "BZh is a name",
        "SQLite is a database",
        "1234ftypisom",
        "1234moov5678",
        "MAC address,owner\n",
        "DSD is a format",
        "AC1015 room,floor\n",
        "FLV and friends",
        "II*",
        "MM",
        "true",
        "OTTO von B.",
        "ttcf",
        "GGGG",
        "!<arch>",
        "-----BEGIN CERTIFICATE-----\nMIIB\n",
        "LZIP",
        "MSCF",
        "070701 phone\n",
        "Cr24",
        "Caf\u{e9} \u{65e5}\u{672c}\n",
    ] {
        for granted in ["text/plain", "text/csv", "text/markdown", "application/json", "application/yaml", "text/x-log"] {
            assert_eq!(weighed(granted, text.as_bytes(), Sniff::Reject), Ok((Verdict::Matches, granted.to_owned())), "{granted}: {text}");
        }
        assert_eq!(shown("application/octet-stream", text.as_bytes()).filter(|kind| kind.starts_with("image/")), None, "{text}");
        let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
        assert!(weighed("text/plain", &marked, Sniff::Reject).is_ok(), "{text}");
    }
    let latin_1 = b"Stra\xdfe;caf\xe9\nBM;\xa0\n";
    assert!(weighed("text/csv", latin_1, Sniff::Reject).is_ok());
    for wide in [&b"\xff\xfeB\0M\0I\0"[..], b"\xfe\xff\0B\0M\0I", b"\xff\xfe\0\0B\0\0\0M\0\0\0", b"\0\0\xfe\xff\0\0\0B\0\0\0M"] {
        assert!(weighed("text/csv", wide, Sniff::Reject).is_ok(), "{wide:?}");
    }
}

#[test]
fn what_is_no_text_stays_none() {
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x06\0\0\0";
    let bmp = b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x02\0\0\0\x02\0\0\0\x01\0\x18\0\0\0\0\0";
    for bytes in [&png[..], bmp, &binary(b"MZ\x90\0"), &binary(b"PK\x03\x04"), &binary(b"%PDF-1.7\n"), b"a\0b", &binary(b"GIF89a\x01\0")] {
        for granted in ["text/csv", "text/markdown", "text/plain", "application/json", "application/yaml"] {
            assert!(weighed(granted, bytes, Sniff::Reject).is_err(), "{granted}: {bytes:?}");
        }
    }
    for page in [
        "<!DOCTYPE html><p>x",
        "<!doctype HTML PUBLIC '-//W3C//DTD'>",
        "<html>",
        "\u{feff}<HTML lang=en>",
        "  \n<script>alert(1)</script>",
        "<!-- a --> <!-- b -->\n<iframe src=x>",
        "<head/>",
        "<body\tonload=x>",
        "<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'>",
    ] {
        assert!(weighed("text/plain", page.as_bytes(), Sniff::Reject).is_err(), "{page}");
        assert!(weighed("text/csv", page.as_bytes(), Sniff::Reject).is_err(), "{page}");
        assert!(weighed("text/html", page.as_bytes(), Sniff::Reject).is_ok(), "{page}");
        let wide: Vec<u8> =
            [0xfeff].into_iter().chain(page.trim_start_matches('\u{feff}').encode_utf16()).flat_map(u16::to_le_bytes).collect();
        assert!(weighed("text/plain", &wide, Sniff::Reject).is_err(), "{page}");
    }
    assert!(weighed("image/png", b"%PDF-1.7\nhello", Sniff::Reject).is_err());
    assert_eq!(weighed("text/plain", b"%PDF-1.4\nhello", Sniff::Relabel).unwrap().1, "application/pdf");
}

#[test]
fn a_tag_makes_no_page_and_markdown_may_hold_html() {
    for text in [
        "<p align=\"center\">x</p>\n\n# P\n",
        "<b>bold</b>",
        "<a href=x>",
        "<table>",
        "<h1>",
        "<htmlx>",
        "< html>",
        "<!-- only a comment -->\n# Title\n",
    ] {
        for granted in ["text/markdown", "text/plain", "text/csv"] {
            assert_eq!(weighed(granted, text.as_bytes(), Sniff::Reject), Ok((Verdict::Matches, granted.to_owned())), "{granted}: {text}");
        }
    }
    assert!(weighed("text/markdown", b"<script src=x></script>\n# Title", Sniff::Reject).is_ok());
    assert!(weighed("application/x-php", b"<!DOCTYPE html>\n<?php echo 1;", Sniff::Reject).is_ok());
    assert!(weighed("application/x-php", b"<?php echo 1;", Sniff::Reject).is_ok());
}

#[test]
fn a_drawing_begins_with_its_root_whatever_stands_before() {
    for drawing in [
        "<svg xmlns='x'/>",
        "<!-- Generator -->\n<svg .../>",
        "\u{feff}<?xml version=\"1.0\"?>\n<!-- a --><!DOCTYPE svg PUBLIC \"-//W3C//DTD SVG 1.1//EN\" \"svg11.dtd\">\n<svg>",
        "<!DOCTYPE svg [ <!ENTITY a \"<html>\"> ]>\n<svg:svg xmlns:svg='x'>",
        "<?xml version='1.0'?><?xml-stylesheet href='a'?>\n\n<svg\n width='1'>",
    ] {
        assert_eq!(shown("image/svg+xml", drawing.as_bytes()).as_deref(), Some("image/svg+xml"), "{drawing}");
        assert_eq!(weighed("image/svg+xml", drawing.as_bytes(), Sniff::Reject).unwrap().1, "image/svg+xml");
        assert!(weighed("text/plain", drawing.as_bytes(), Sniff::Reject).is_err(), "{drawing}");
        assert!(weighed("image/png", drawing.as_bytes(), Sniff::Reject).is_err(), "{drawing}");
    }
    assert!(weighed("image/svg+xml", b"<html><svg/>", Sniff::Reject).is_err(), "a page is no drawing");
}

#[test]
fn documents_of_xml_are_what_they_are_called() {
    let document = b"<?xml version=\"1.0\"?>\n<gpx version='1.1'/>";
    for granted in [
        "text/xml",
        "application/xml",
        "application/gpx+xml",
        "application/vnd.google-earth.kml+xml",
        "application/atom+xml",
        "text/vnd.trolltech.linguist",
        "application/rls-services+xml",
        "text/xsl",
    ] {
        assert!(weighed(granted, document, Sniff::Reject).is_ok(), "{granted}");
    }
    for granted in ["text/plain", "text/csv", "application/json", "image/png", "application/pdf"] {
        assert!(weighed(granted, document, Sniff::Reject).is_err(), "{granted}");
    }
}

#[test]
fn every_ftyp_box_is_iso_base_media() {
    let file = |major: &str, others: &[&str]| {
        let length = u32::try_from(16 + 4 * others.len()).unwrap().to_be_bytes();
        [&length[..], b"ftyp", major.as_bytes(), &[0; 4], others.concat().as_bytes(), b"\0\0\0\x08mdat"].concat()
    };
    for (major, others, kind) in [
        ("XAVC", &["XAVC", "mp42", "iso2"][..], "video/mp4"),
        ("iso8", &[], "video/mp4"),
        ("hvc1", &[], "video/mp4"),
        ("dby1", &["isom"], "video/mp4"),
        ("mp42", &["M4A ", "isom"], "video/mp4"),
        ("qt  ", &[], "video/quicktime"),
        ("M4A ", &["mp42"], "audio/mp4"),
        ("M4B ", &[], "audio/mp4"),
        ("3gp4", &[], "video/3gpp"),
        ("3g2a", &[], "video/3gpp2"),
        ("heic", &["mif1"], "image/heic"),
        ("mif1", &["heic"], "image/heic"),
        ("msf1", &["hevc"], "image/heic"),
        ("mif1", &["miaf", "avif"], "image/avif"),
        ("mif1", &[], "image/heif"),
        ("avif", &["mif1"], "image/avif"),
        ("crx ", &["isom"], "image/x-canon-cr3"),
        ("????", &[], "video/mp4"),
    ] {
        let bytes = file(major, others);
        assert_eq!(shown("application/octet-stream", &bytes).as_deref(), Some(kind), "{major} {others:?}");
        assert!(weighed(kind, &bytes, Sniff::Relabel).is_ok());
        for film in ["video/mp4", "audio/mp4", "video/quicktime", "video/3gpp", "audio/x-m4a", "video/x-m4v"] {
            let is_still = kind.starts_with("image/") && kind != "image/x-canon-cr3";
            assert_eq!(weighed(film, &bytes, Sniff::Reject).is_err(), is_still, "{major} as {film}");
        }
    }
}

#[test]
fn films_from_before_ftyp_and_sounds_of_every_kind_are_found() {
    for atom in ["moov", "mdat", "wide", "free", "skip", "pnot"] {
        let bytes = [b"\0\0\0\x08", atom.as_bytes(), b"\0\0\x10\0moov\0"].concat();
        assert_eq!(weighed("video/quicktime", &bytes, Sniff::Reject).unwrap().0, Verdict::Matches, "{atom}");
    }
    // Header after header, at the distance that the first says.
    for (header, length) in [
        (0xfffb_9064_u32, 417_usize),
        (0xfffa_9064, 417),
        (0xfff3_8064, 208),
        (0xfff2_8064, 208),
        (0xffe3_4064, 208),
        (0xfffd_8004, 417),
        (0xffff_9004, 312),
    ] {
        let frame = [&header.to_be_bytes()[..], &vec![0; length - 4]].concat();
        let two = [frame.clone(), frame.clone()].concat();
        assert_eq!(weighed("audio/mpeg", &two, Sniff::Reject).unwrap().0, Verdict::Matches, "{header:x}");
        assert_eq!(shown("image/png", &two).as_deref(), Some("audio/mpeg"), "{header:x}");
        assert!(weighed("audio/mpeg", &frame, Sniff::Reject).is_ok(), "{header:x}");
        assert_eq!(shown("application/x-own", &frame), None, "two bytes are no evidence: {header:x}");
    }
    for header in [0xffeb_9064_u32, 0xfff9_f064, 0xfffb_f064, 0xfffb_9c64, 0xff00_0000] {
        assert!(weighed("audio/mpeg", &binary(&header.to_be_bytes()), Sniff::Reject).is_err(), "{header:x}");
    }
    for (granted, start) in [
        ("audio/flac", &b"fLaC\0\0\0\x22"[..]),
        ("audio/x-flac", b"fLaC\0\0\0\x22"),
        ("audio/flac", b"ID3\x03\0\0\0\0\0\0fLaC"),
        ("audio/mpeg", b"ID3\x03\0\0\0\0\0\0"),
        ("audio/aiff", b"FORM\0\0\0\x10AIFFCOMM"),
        ("audio/x-aiff", b"FORM\0\0\0\x10AIFCCOMM"),
        ("audio/wav", b"RIFF\x24\0\0\0WAVEfmt "),
        ("audio/wav", b"RF64\xff\xff\xff\xffWAVEds64"),
        ("audio/vnd.wave", b"RIFF\x24\0\0\0WAVEfmt "),
        ("audio/midi", b"MThd\0\0\0\x06\0\0\0\0"),
        ("audio/ogg", b"OggS\0\x02\0\0"),
        ("video/ogg", b"OggS\0\x02\0\0"),
        ("application/ogg", b"OggS\0\x02\0\0"),
        ("audio/webm", b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm\x42\x87\x81\x04"),
        ("video/x-matroska", b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska\0"),
        ("font/woff", b"wOFF\0\x01\0\0\0\0"),
        ("font/woff2", b"wOF2\0\x01\0\0\0\0"),
        ("application/font-woff", b"wOFF\0\x01\0\0\0\0"),
        ("font/ttf", b"\0\x01\0\0\0\x0f\0\x80"),
        ("font/ttf", b"true\0\x0f\0\x80"),
        ("font/otf", b"OTTO\0\x0f\0\x80"),
        ("font/collection", b"ttcf\0\x01\0\0"),
        ("application/postscript", b"\xc5\xd0\xd3\xc6\x1e\0\0\0"),
        ("image/x-eps", b"\xc5\xd0\xd3\xc6\x1e\0\0\0"),
        ("application/postscript", b"%!PS-Adobe-3.0 EPSF-3.0\n"),
        ("application/postscript", b"%!\n"),
        ("application/pdf", b"\xef\xbb\xbf%PDF-1.7\n\xe2\xe3\0"),
        ("application/pdf", b"junk before it\0\n%PDF-1.3\n"),
        ("application/rtf", b"{\\rtf1\\ansi hello}"),
        ("text/rtf", b"{\\rtf1\\ansi hello}"),
        ("application/x-shellscript", b"#!/bin/sh\necho\n"),
    ] {
        assert_eq!(weighed(granted, start, Sniff::Reject), Ok((Verdict::Matches, granted.to_owned())), "{granted}: {start:?}");
        assert!(weighed(granted, &binary(b"\x89PNG\r\n\x1a\n"), Sniff::Reject).is_err(), "{granted}");
    }
    for (granted, start) in [
        ("image/tiff", &b"II*\0\x08\0\0\0CR"[..]),
        ("image/tiff", b"II\x2b\0\x08\0\0\0\x10\0\0\0"),
        ("image/tiff", b"MM\0\x2b\0\x08\0\0\0\0\0\0"),
        ("image/x-adobe-dng", b"II*\0\x08\0\0\0\0\0\0\0"),
        ("image/x-nikon-nef", b"MM\0*\0\0\0\x08\0\0\0\0"),
        ("image/x-canon-cr2", b"II*\0\x10\0\0\0CR\x02\0"),
    ] {
        // Without a size they are no images where the rule rejects, but what they begin with is known.
        assert_eq!(weighed(granted, start, Sniff::Relabel), Ok((Verdict::Matches, granted.to_owned())), "{granted}: {start:?}");
        assert_eq!(weighed(granted, b"%PDF-1.7\n\0", Sniff::Relabel).unwrap().0, Verdict::Relabeled, "{granted}");
    }
    let packets = [&[0x47][..], &[1; 187]].concat().repeat(3);
    assert!(weighed("video/mp2t", &packets, Sniff::Reject).is_ok());
}

#[test]
fn documents_match_the_container_that_they_are_kept_in() {
    let zip = binary(b"PK\x03\x04\x14\0");
    let ole = binary(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1");
    let png = binary(b"\x89PNG\r\n\x1a\n");
    for granted in [
        "application/vnd.ms-excel.sheet.macroenabled.12",
        "application/vnd.ms-visio.drawing",
        "application/vnd.apple.pages",
        "application/vnd.comicbook+zip",
        "application/vnd.google-earth.kmz",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.oasis.opendocument.text",
        "application/epub+zip",
        "application/java-archive",
        "application/x-own+zip",
        "application/vnd.openxmlformats-officedocument.of.the.future",
        "application/vnd.oasis.opendocument.graphics-template",
        "application/vnd.of.nobody",
        "model/3mf",
    ] {
        assert!(weighed(granted, &zip, Sniff::Reject).is_ok(), "{granted}");
        assert!(weighed(granted, &png, Sniff::Reject).is_err(), "{granted}");
    }
    for granted in [
        "application/vnd.visio",
        "application/vnd.ms-project",
        "application/msword",
        "application/vnd.ms-outlook",
        "application/vnd.of.nobody",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.ms-excel.sheet.macroenabled.12",
    ] {
        assert!(weighed(granted, &ole, Sniff::Reject).is_ok(), "{granted}");
        assert!(weighed(granted, &png, Sniff::Reject).is_err(), "{granted}");
    }
    assert!(weighed("application/vnd.oasis.opendocument.text", &ole, Sniff::Reject).is_err());
    for other in
        ["application/pdf", "application/json", "application/sql", "text/x-of-nobody", "video/mp4", "image/x-of-nobody", "application/gzip"]
    {
        assert!(weighed(other, &zip, Sniff::Reject).is_err(), "{other}");
        assert!(weighed(other, &ole, Sniff::Reject).is_err(), "{other}");
    }
}

#[test]
fn what_the_detector_says_is_spelled_as_rules_spell_it() {
    for (bytes, spelling) in [
        (&b"fLaC\0\0\0\x22"[..], "audio/flac"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
        (b"RIFF\x24\0\0\0AVI LIST", "video/x-msvideo"),
        (b"Rar!\x1a\x07\0\0", "application/vnd.rar"),
        (b"\0\0\x01\0\x01\0\x10\x10", "image/x-icon"),
        (b"\x1f\x8b\x08\0\0\0", "application/gzip"),
        (b"wOFF\0\x01\0\0\0\0", "font/woff"),
    ] {
        assert_eq!(shown("application/octet-stream", bytes).as_deref(), Some(spelling));
    }
}
