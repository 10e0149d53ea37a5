//! Step 3: files as ordinary programs write them are what they are called; bytes that are something else are not.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::harness::{Bed, Setup, TestBroker, ask, error_fields, from_servers, new_file, project};
use crate::upload::declared_types::strict;

/// What a strict rule names: type, extension, and how its files are made by `tests/oracles/make_file.py`.
const MADE: [(&str, &str, &str); 38] = [
    ("audio/wav", "wav", "wav"),
    ("audio/aiff", "aiff", "aiff"),
    ("audio/flac", "flac", "flac"),
    ("audio/mpeg", "mp3", "mp3"),
    ("audio/mpeg", "mp3", "mp3 at 22 kHz"),
    ("audio/mpeg", "mp3", "mp3 at 8 kHz"),
    ("audio/mpeg", "mp3", "mp3 with checksums"),
    ("audio/mpeg", "mp3", "mp3 with a tag"),
    ("image/png", "png", "png"),
    ("image/jpeg", "jpg", "jpeg"),
    ("image/gif", "gif", "gif"),
    ("image/webp", "webp", "webp"),
    ("image/tiff", "tif", "tiff"),
    ("image/bmp", "bmp", "bmp"),
    ("image/x-icon", "ico", "ico"),
    ("application/pdf", "pdf", "pdf"),
    ("application/postscript", "eps", "eps"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx", "xlsx"),
    ("application/vnd.ms-excel.sheet.macroenabled.12", "xlsm", "xlsx"),
    ("application/vnd.ms-visio.drawing", "vsdx", "vsdx"),
    ("application/vnd.apple.pages", "pages", "pages"),
    ("application/vnd.comicbook+zip", "cbz", "cbz"),
    ("application/vnd.google-earth.kmz", "kmz", "kmz"),
    ("application/zip", "zip", "zip"),
    ("application/java-archive", "jar", "zip"),
    ("application/x-tar", "tar", "tar"),
    ("application/gzip", "gz", "gz"),
    ("application/x-bzip2", "bz2", "bz2"),
    ("application/x-xz", "xz", "xz"),
    ("application/vnd.sqlite3", "sqlite", "sqlite"),
    ("message/rfc822", "eml", "eml"),
    ("application/vnd.comicbook+zip", "cbz", "zip"),
    ("audio/x-wav", "wave", "wav"),
    ("audio/x-flac", "fla", "flac"),
    ("audio/x-aiff", "aif", "aiff"),
    ("image/vnd.microsoft.icon", "icon", "ico"),
    ("application/x-sqlite3", "db", "sqlite"),
    ("application/x-7z-compressed", "7z", "zip"),
];

/// What happens to one file of a type: its name, what is declared, its bytes, and the type that is decided.
struct Case<'a> {
    name: &'a str,
    declared: &'a str,
    bytes: &'a [u8],
    decided: Option<&'a str>,
}

fn case<'a>(name: &'a str, declared: &'a str, bytes: &'a [u8], decided: impl Into<Option<&'a str>>) -> Case<'a> {
    Case { name, declared, bytes, decided: decided.into() }
}

/// Uploads and confirms; the type that was decided, or `None` for bytes that were refused.
async fn decided(broker: &TestBroker, name: &str, declared: &str, bytes: &[u8]) -> (Option<String>, Value) {
    let slip = broker.authorize(&new_file(name, declared)).await;
    broker.drop_bytes(&slip, bytes).await;
    let (status, body) = broker.confirm(slip.id).await;
    if status == 422 {
        assert_eq!(error_fields(&body), ["mimeType"], "{name}: {body}");
        let (active, read) = broker.read(slip.id).await;
        assert!(active == 200 && read["file"]["state"] == "temp", "{name}: the slip stays good: {read}");
        return (None, body);
    }
    assert_eq!(status, 200, "{name} as {declared}: {body}");
    (Some(body["file"]["mimeType"].as_str().unwrap().to_owned()), body)
}

async fn tried(broker: &TestBroker, cases: &[Case<'_>]) {
    for Case { name, declared, bytes, decided: expected } in cases {
        let (got, body) = decided(broker, name, declared, bytes).await;
        assert_eq!(got.as_deref(), *expected, "{name} as {declared}: {body}");
    }
}

fn rule(types: &[(&str, &str)]) -> String {
    let entries = types.iter().map(|(pattern, extension)| format!(r#"{{ type = "{pattern}", extensions = ["{extension}"] }}"#));
    strict(&entries.collect::<Vec<_>>().join(", "))
}

async fn programs_write_what_they_say(bed: Bed) {
    let mut types: Vec<_> = MADE.iter().map(|(pattern, extension, _)| (*pattern, *extension)).collect();
    types.dedup();
    let broker = Setup::on(bed).policy("attachment.toml", rule(&types)).start().await;
    let questions: Vec<_> = MADE.iter().map(|(_, _, kind)| json!(kind)).collect();
    let made = ask(&from_servers("TEST_PYTHON"), "make_file.py", &questions);
    for ((pattern, extension, kind), made) in MADE.into_iter().zip(made) {
        let bytes = BASE64.decode(made.as_str().unwrap()).unwrap();
        let name = format!("a.{extension}");
        let (got, body) = decided(&broker, &name, pattern, &bytes).await;
        if pattern == "application/x-7z-compressed" {
            assert_eq!(got, None, "a ZIP archive is none of 7-Zip: {body}");
            continue;
        }
        assert_eq!(
            (got.as_deref(), &body["file"]["evidence"]["verdict"]),
            (Some(pattern), &json!("matches")),
            "{kind} as {pattern}: {body}"
        );
        assert_eq!(body["file"].get("pixelWidth").is_some(), pattern.starts_with("image/"), "{kind}: {body}");
    }
}

#[tokio::test]
async fn programs_write_what_they_say_on_the_embedded_store() {
    programs_write_what_they_say(Bed::Embedded).await;
}

#[tokio::test]
async fn programs_write_what_they_say_on_seaweedfs() {
    programs_write_what_they_say(Bed::SeaweedFs).await;
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x06\0\0\0";
const BMP: &[u8] = b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x02\0\0\0\x02\0\0\0\x01\0\x18\0\0\0\0\0\x10\0\0\0";
const EXE: &[u8] = b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0";
const PDF: &[u8] = b"%PDF-1.7\nhello";
const OLE: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0\0\0\0\0\0\0";
const XAVC: &[u8] = b"\0\0\0\x1cftypXAVC\0\0\0\0XAVCmp42iso2\0\0\0\x08mdat";

#[tokio::test]
async fn text_is_text_where_text_was_granted() {
    let types = [("text/csv", "csv"), ("text/markdown", "md"), ("text/plain", "txt"), ("image/svg+xml", "svg"), ("image/png", "png")];
    let broker = Setup::on(Bed::Embedded).policy("attachment.toml", rule(&types)).start().await;
    tried(
        &broker,
        &[
            case("people.csv", "text/csv", b"BMI,weight,height\n23,70,175\n", "text/csv"),
            case("README.md", "text/markdown", b"<p align=\"center\">x</p>\n\n# P\n", "text/markdown"),
            case("drawing.svg", "image/svg+xml", b"<!-- Generator -->\n<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
            case("note.txt", "text/plain", b"GIF is pronounced so", "text/plain"),
            case("note.txt", "text/plain", b"%!TEX root = main.tex", "text/plain"),
            case("empty.txt", "text/plain", b"", "text/plain"),
            case("people.csv", "text/csv", PNG, None),
            case("people.csv", "text/csv", EXE, None),
            case("people.csv", "text/csv", BMP, None),
            case("README.md", "text/markdown", PNG, None),
            case("note.txt", "text/plain", b"<!DOCTYPE html><p>x", None),
            case("note.txt", "text/plain", b"<html><p>x", None),
            case("note.txt", "text/plain", b"<script>x</script>", None),
            case("note.txt", "text/plain", b"\n<iframe src=x>", None),
            case("photo.png", "image/png", PDF, None),
            case("photo.png", "image/png", PNG, "image/png"),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_shipped_rule_keeps_texts_and_relabels_what_is_none() {
    let broker = TestBroker::on(Bed::Embedded).await;
    tried(
        &broker,
        &[
            case("people.csv", "text/csv", b"BMI,weight,height\n23,70,175\n", "text/csv"),
            case("ranking.dat", "", b"BM25 notes", "application/octet-stream"),
            case("README.md", "text/markdown", b"<p align=\"center\">x</p>\n\n# P\n", "text/markdown"),
            case("drawing.svg", "image/svg+xml", b"<!-- Generator -->\n<svg/>", "image/svg+xml"),
            case("note.txt", "text/plain", b"GIF is pronounced so", "text/plain"),
            case("people.csv", "text/csv", PNG, "image/png"),
            case("people.csv", "text/csv", EXE, "application/octet-stream"),
            case("people.csv", "text/csv", BMP, "image/bmp"),
            case("README.md", "text/markdown", PNG, "image/png"),
            case("note.txt", "text/plain", b"<!DOCTYPE html><p>x", "text/html"),
            case("photo.png", "image/png", PDF, "application/pdf"),
            case("setup.bin", "application/x-msdownload", EXE, "application/octet-stream"),
            case("a.flac", "audio/x-flac", b"fLaC\0\0\0\x22", "audio/flac"),
            case("voice.webm", "audio/webm;codecs=opus", b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm", "audio/webm"),
            case("a.wav", "audio/x-wav", b"fLaC\0\0\0\x22", "audio/flac"),
        ],
    )
    .await;
    let (_, body) = decided(&broker, "ranking.dat", "", b"BM25 notes").await;
    assert!(body["file"].get("pixelWidth").is_none(), "{body}");
}

#[tokio::test]
async fn beginnings_and_containers_of_documents_are_known() {
    let types = [
        ("video/mp4", "mp4"),
        ("video/quicktime", "mov"),
        ("application/postscript", "eps"),
        ("application/vnd.visio", "vsd"),
        ("application/vnd.ms-project", "mpp"),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
        ("font/woff", "woff"),
        ("font/ttf", "ttf"),
        ("image/heic", "heic"),
    ];
    let broker = Setup::on(Bed::Embedded).policy("attachment.toml", rule(&types)).start().await;
    let docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
    tried(
        &broker,
        &[
            case("C0001.MP4", "video/mp4", XAVC, "video/mp4"),
            case("a.mov", "video/quicktime", b"\0\0\0\x08skip\0\0\0\x08moov", "video/quicktime"),
            case("a.mov", "video/quicktime", b"\0\0\0\x14pnot\0\0\0\0\0\0\0\0\0\0\0\0", "video/quicktime"),
            case("a.mov", "video/quicktime", b"\0\0\0\x08free\0\0\0\x08mdat", "video/quicktime"),
            case("a.eps", "application/postscript", b"\xc5\xd0\xd3\xc6\x1e\0\0\0", "application/postscript"),
            case("a.vsd", "application/vnd.visio", OLE, "application/vnd.visio"),
            case("a.mpp", "application/vnd.ms-project", OLE, "application/vnd.ms-project"),
            case("secret.docx", docx, OLE, docx),
            case("a.woff", "font/woff", b"wOFF\0\x01\0\0\0\0\0\0", "font/woff"),
            case("a.ttf", "font/ttf", b"\0\x01\0\0\0\x0f\0\x80", "font/ttf"),
            case("a.mp4", "video/mp4", PNG, None),
            case("a.heic", "image/heic", XAVC, None),
            case("a.mov", "video/quicktime", b"\0\0\0\x08some\0\0\0\x08moov", None),
            case("a.vsd", "application/vnd.visio", PNG, None),
            case("secret.docx", docx, PNG, None),
            case("a.woff", "font/woff", PDF, None),
        ],
    )
    .await;
}

#[test]
fn every_name_that_the_detector_says_is_brought_into_one_spelling() {
    // The library has no list of what it knows: its source is asked, where cargo keeps it.
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let arguments = ["metadata", "--format-version=1", "--offline", "--locked", "--filter-platform", &host];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(project()).output().unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let infer = packages.iter().find(|package| package["name"] == "infer").unwrap();
    let manifest = Path::new(infer["manifest_path"].as_str().unwrap());
    let map = std::fs::read_to_string(manifest.with_file_name("src").join("map.rs")).unwrap();
    let names: BTreeSet<_> = map.split('"').skip(1).step_by(2).filter(|word| word.contains('/') && !word.contains([' ', ':'])).collect();
    assert!(names.len() > 80 && names.contains("audio/x-flac"), "{names:?}");
    let canonical = |name: &str| name.parse::<dropslip::domain::MediaType>().unwrap().canonical().to_string();
    for name in &names {
        assert_eq!(canonical(&canonical(name)), canonical(name));
    }
    // Where the shipped rules, or the registry of types, call it otherwise than the library does.
    for (said, spelled) in [
        ("audio/x-flac", "audio/flac"),
        ("audio/x-wav", "audio/wav"),
        ("audio/m4a", "audio/mp4"),
        ("audio/x-aiff", "audio/x-aiff"),
        ("video/x-m4v", "video/mp4"),
        ("image/vnd.microsoft.icon", "image/x-icon"),
        ("application/font-woff", "font/woff"),
        ("application/font-sfnt", "font/sfnt"),
    ] {
        assert!(names.contains(said), "{said}");
        assert_eq!(canonical(said), spelled);
    }
    // No name with ‘x-’ is left where a registered one is known.
    let odd: Vec<_> = names.iter().map(|name| canonical(name)).filter(|name| name.contains("font-") || name == "audio/m4a").collect();
    assert!(odd.is_empty(), "{odd:?}");
}
