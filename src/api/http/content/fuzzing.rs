//! What must be true of bodies that carry files, however they are cut; see `crate::fuzzing`.

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::stream;

use super::base64::Decoder;
use super::bounds::MOST_PIECE_BYTES;
use super::disposition::Named;
use super::{ContentReader, Fault, Limits, Piece};

const NAMES: &[&str] = &["content", "Content"];

/// What a body came to: its pieces, bytes that follow each other joined, and how it failed.
type Read = (Vec<Piece>, Option<String>);

fn read(bytes: &[u8], cut: usize, make: fn(Request<Body>) -> Result<ContentReader, Fault>) -> Read {
    let pieces: Vec<_> = bytes.chunks(cut).map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();
    let mut request = Request::new(Body::from_stream(stream::iter(pieces)));
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("multipart/form-data; boundary=XX"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.unwrap_or_else(|error| panic!("{error}")).block_on(async {
        let mut found = Vec::new();
        let mut reader = match make(request) {
            Ok(reader) => reader,
            Err(fault) => return (found, Some(format!("{fault:?}"))),
        };
        loop {
            match (reader.next().await, found.last_mut()) {
                (Ok(Some(Piece::Bytes(more))), Some(Piece::Bytes(before))) => {
                    assert!((1..=MOST_PIECE_BYTES).contains(&more.len()));
                    *before = [&before[..], &more].concat().into();
                }
                (Ok(Some(piece)), _) => found.push(piece),
                (Ok(None), _) => return (found, None),
                (Err(fault), _) => return (found, Some(format!("{fault:?}"))),
            }
        }
    })
}

/// The same pieces however it is cut, and a file is never left open where the body is whole. Where it fails, how much of a file came
/// before depends on how it was cut.
fn the_same_however_cut(bytes: &[u8], make: fn(Request<Body>) -> Result<ContentReader, Fault>) -> Read {
    let (whole, failure) = read(bytes, usize::MAX, make);
    for cut in [1, 3, 7] {
        let (other, otherwise) = read(bytes, cut, make);
        assert_eq!(otherwise.is_some(), failure.is_some(), "{failure:?}, {otherwise:?}");
        assert!(failure.is_some() || other == whole, "{other:?} is not {whole:?}");
    }
    let begun = whole.iter().filter(|piece| matches!(piece, Piece::File(_))).count();
    let ended = whole.iter().filter(|piece| matches!(piece, Piece::FileEnd)).count();
    assert!(begun == ended || failure.is_some());
    (whole, failure)
}

/// JSON is read as the usual parser reads it.
pub(crate) fn json(bytes: &[u8]) {
    let (_, failure) = the_same_however_cut(bytes, |request| ContentReader::json(request, NAMES, Limits::of(4096)));
    let is_json = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(bytes).is_ok();
    // A mark, nothing at all and half a character are read too.
    let is_lenient = bytes.starts_with(b"\xef\xbb\xbf") || bytes.trim_ascii().is_empty() || bytes.contains(&b'\\');
    assert!(failure.is_some() || is_json || is_lenient, "{:?}", String::from_utf8_lossy(bytes));
}

/// A form; and what is written into one comes out of it.
pub(crate) fn form(bytes: &[u8]) {
    the_same_however_cut(bytes, |request| ContentReader::form(request, NAMES, Limits::of(4096)));
    let text = format!("content={}", BASE64.encode(bytes));
    let (pieces, failure) = the_same_however_cut(text.as_bytes(), |request| ContentReader::form(request, NAMES, Limits::of(1 << 20)));
    assert_eq!(failure, None);
    assert!(bytes.is_empty() || pieces.contains(&Piece::Bytes(Bytes::copy_from_slice(bytes))));
}

/// A form of parts.
pub(crate) fn parts(bytes: &[u8]) {
    the_same_however_cut(bytes, |request| ContentReader::multipart(request, "files", Limits::of(4096)));
}

/// Base64 is what the usual decoder takes it for, however it is cut.
pub(crate) fn base64(bytes: &[u8]) {
    let decoded = |text: &[u8], cut: usize| {
        let (mut decoder, mut found) = (Decoder::default(), Vec::new());
        for piece in text.chunks(cut) {
            found.extend(decoder.take(piece).ok()?);
        }
        found.extend(decoder.end().ok()?);
        Some(found)
    };
    let plain: Vec<u8> = bytes.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n' | b'\t' | 0x0b | 0x0c)).collect();
    let expected = BASE64.decode(&plain).or_else(|_| base64::engine::general_purpose::STANDARD_NO_PAD.decode(&plain)).ok();
    for cut in [1, 2, 3, 5, usize::MAX] {
        assert_eq!(decoded(bytes, cut), expected, "cut by {cut}");
        assert_eq!(decoded(BASE64.encode(bytes).as_bytes(), cut).as_deref(), Some(bytes));
    }
}

/// A header is read whatever it is; a name that is written by the rules comes out of it.
pub(crate) fn disposition(bytes: &[u8]) {
    let (_, _) = (Named::in_header(bytes), Named::in_part(bytes));
    let name = String::from_utf8_lossy(bytes);
    let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
    assert_eq!(Named::in_header(format!("form-data; filename=\"{quoted}\"").as_bytes()).file_name.as_deref(), Some(&*name));
    let encoded = percent_encoding::utf8_percent_encode(&name, percent_encoding::NON_ALPHANUMERIC);
    let header = format!("attachment; filename*=UTF-8''{encoded}; filename=other");
    assert_eq!(Named::in_part(header.as_bytes()).file_name.as_deref(), Some(&*name));
}
