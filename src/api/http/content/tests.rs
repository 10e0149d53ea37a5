use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Request;
use futures_util::stream;

use super::{ContentReader, Fault, FileHead, Limits, Piece};

const NAMES: &[&str] = &["content", "Content"];
const FORM: &str = "multipart/form-data; boundary=XX";

/// A request whose body comes in pieces of so many bytes.
fn request(headers: &[(&str, &str)], body: &[u8], cut: usize) -> Request<Body> {
    let pieces: Vec<_> = body.chunks(cut).map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();
    let mut request = Request::new(Body::from_stream(stream::iter(pieces)));
    for (name, value) in headers {
        let name: axum::http::HeaderName = name.parse().unwrap();
        request.headers_mut().append(name, axum::http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    request
}

/// What a body holds: its fields, and its files with their bytes.
#[derive(Debug, Default, PartialEq)]
struct Held {
    fields: Vec<(String, String)>,
    files: Vec<(FileHead, Vec<u8>)>,
}

async fn held(reader: Result<ContentReader, Fault>) -> Result<Held, String> {
    let said = |fault: Fault| match fault {
        Fault::Invalid(errors) => format!("{errors:?}"),
        other => format!("{other:?}"),
    };
    let (mut reader, mut found, mut is_open) = (reader.map_err(said)?, Held::default(), false);
    while let Some(piece) = reader.next().await.map_err(said)? {
        match piece {
            Piece::Field { name, value } => found.fields.push((name, value)),
            Piece::File(head) => {
                assert!(!std::mem::replace(&mut is_open, true), "a file in a file");
                found.files.push((head, Vec::new()));
            }
            Piece::Bytes(bytes) => {
                assert!(is_open && (1..=64 * 1024).contains(&bytes.len()));
                found.files.last_mut().unwrap().1.extend_from_slice(&bytes);
            }
            Piece::FileEnd => assert!(std::mem::take(&mut is_open)),
        }
    }
    assert!(!is_open, "a file without an end");
    Ok(found)
}

fn limits() -> Limits {
    Limits::of(1000)
}

async fn json(body: &str) -> Result<Held, String> {
    let whole = held(ContentReader::json(request(&[], body.as_bytes(), 70_000), NAMES, limits())).await;
    let cut = held(ContentReader::json(request(&[], body.as_bytes(), 1), NAMES, limits())).await;
    assert_eq!(whole, cut, "{body}");
    whole
}

async fn form(body: &str) -> Result<Held, String> {
    let whole = held(ContentReader::form(request(&[], body.as_bytes(), 70_000), NAMES, limits())).await;
    let cut = held(ContentReader::form(request(&[], body.as_bytes(), 1), NAMES, limits())).await;
    assert_eq!(whole, cut, "{body}");
    whole
}

async fn parts(body: &[u8]) -> Result<Held, String> {
    let whole = held(ContentReader::multipart(request(&[("content-type", FORM)], body, 70_000), "files", limits())).await;
    let cut = held(ContentReader::multipart(request(&[("content-type", FORM)], body, 1), "files", limits())).await;
    assert_eq!(whole, cut, "{}", String::from_utf8_lossy(body));
    whole
}

fn bytes(held: &Result<Held, String>) -> &[u8] {
    &held.as_ref().unwrap().files[0].1
}

#[tokio::test]
async fn a_file_in_json_comes_wherever_it_stands_and_however_it_is_escaped() {
    for body in [
        r#"{"name":"a.txt","content":"aGVs\nbG8=","n":17,"x":[{"content":"!"}]}"#,
        "\u{feff}{\"name\":\"a.txt\" , \"\\u0063ontent\" : \"aGVsbG8\",\"n\":17,\"z\":null}",
        r#"{"name":"a.txt","x":{"content":["!"]},"Content":"\u0061GVsbG8","n":17}"#,
    ] {
        let held = json(body).await.unwrap();
        assert_eq!(held.files, [(FileHead::default(), b"hello".to_vec())], "{body}");
        assert_eq!(held.fields, [("name".to_owned(), "a.txt".to_owned()), ("n".to_owned(), "17".to_owned())], "{body}");
    }
    assert_eq!(bytes(&json(r#"{"content":"\/\/\u002b+"}"#).await), [0xff, 0xff, 0xbe]);
    assert_eq!(bytes(&json(r#"{"content":""}"#).await), b"");
    assert_eq!(json("").await, Ok(Held::default()));
    assert_eq!(json(r#"{"content":null}"#).await, Ok(Held::default()));
    assert_eq!(json(r#"{"name":"x\ud83d"}"#).await.unwrap().fields[0].1, "x\u{fffd}");
}

#[tokio::test]
async fn json_that_is_none_is_refused() {
    for (bad, about) in [
        (r#"{"content":"aGVsbG8=""#, "body"),
        (r#"{"content":"aGVs"#, "body"),
        (r#"{"a":"content":"aGVsbG8="}"#, "body"),
        (r#"["content","aGVsbG8="]"#, "body"),
        (r#"{"a":1,"a":2}"#, "body"),
        ("{\"content\":\"aG\nVs\"}", "body"),
        (r#"{"content":"aGVs","content":"aGVs"}"#, "content"),
        (r#"{"content":"aGVs","Content":"aGVs"}"#, "content"),
        (r#"{"content":7}"#, "content"),
        (r#"{"content":["aGVs"]}"#, "content"),
        (r#"{"content":"aG Vs"}"#, "content"),
        (r#"{"content":"\ud83daa"}"#, "content"),
        (r#"{"content":"aGVsb"}"#, "content"),
        (r#"{"content":"aGVsbG8=aGVs"}"#, "content"),
        (r#"{"content":"__--"}"#, "content"),
    ] {
        let refused = json(bad).await.unwrap_err();
        assert!(refused.contains(&format!("\"{about}\"")), "{bad}: {refused}");
    }
    assert!(json(&format!(r#"{{"a":"{}","content":"aGVs"}}"#, "x".repeat(60_000))).await.is_ok());
    assert_eq!(json(&format!(r#"{{"a":"{}"}}"#, "x".repeat(65_536))).await, Err("BodyTooLarge".to_owned()));
}

#[tokio::test]
async fn a_file_in_a_form_comes_with_its_plus_signs() {
    for body in ["name=a+b.txt&content=aGVs%0D%0A%09bG8%3D&x=1", "name=a%20b.txt&c%6Fntent=aGVsbG8=&x=1"] {
        let held = form(body).await.unwrap();
        assert_eq!(held.files, [(FileHead::default(), b"hello".to_vec())], "{body}");
        assert_eq!(held.fields, [("name".to_owned(), "a b.txt".to_owned()), ("x".to_owned(), "1".to_owned())], "{body}");
    }
    for body in ["content=++++", "content=%2B%2b+ ", "content=%20%20%20%20"] {
        for written in [body.replace(' ', "%20"), body.to_owned()] {
            assert_eq!(bytes(&form(&written).await), [0xfb, 0xef, 0xbe], "{written}");
        }
    }
    assert_eq!(bytes(&form("content").await), b"");
    for bad in ["content=aGVs&content=aGVs", "content=aGVs%", "content=aGVs%4", "content=%zzGVs", "content=a"] {
        assert!(form(bad).await.unwrap_err().contains("\"content\""), "{bad}");
    }
}

#[tokio::test]
async fn parts_of_real_clients_are_files_and_fields() {
    let body = "--XX\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nnote\r\n\
        --XX\r\nContent-Disposition: form-data; name=\"files[0]\"; filename=\"a%22b.txt\"\r\nContent-Type: text/plain\r\n\r\nhel\r\nlo\r\n\
        --XX\r\nContent-Disposition: form-data; filename=\"C:\\x\\a.txt\"\r\nContent-Length: 3\r\nContent-MD5: m\r\n\r\nabc\r\n\
        --XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"; filename*=UTF-8''%e2%82%ac.txt\r\nContent-Transfer-Encoding: base64\r\n\r\naGVs\r\nbG8=\r\n\
        --XX\r\nContent-Disposition: form-data; name=\"none\"; filename=\"\"\r\nContent-Type: application/octet-stream\r\n\r\n\r\n--XX--\r\n";
    let held = parts(body.as_bytes()).await.unwrap();
    assert_eq!(held.fields, [("name".to_owned(), "note".to_owned())]);
    let names: Vec<_> = held.files.iter().map(|(head, bytes)| (head.name.as_deref().unwrap(), head.size, &bytes[..])).collect();
    assert_eq!(names, [("a\"b.txt", None, &b"hel\r\nlo"[..]), ("C:\\x\\a.txt", Some(3), b"abc"), ("€.txt", None, b"hello")]);
    assert_eq!(held.files[0].0.field.as_deref(), Some("files[0]"));
    assert_eq!(held.files[0].0.declared_type.as_deref(), Some("text/plain"));
    assert_eq!((held.files[1].0.field.as_deref(), held.files[1].0.md5.as_deref()), (None, Some("m")));
}

#[tokio::test]
async fn a_form_that_is_broken_or_too_much_is_refused() {
    let part = |headers: &str, text: &str| {
        format!("--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\"\r\n{headers}\r\n{text}\r\n")
    };
    let whole = |parts: &str| format!("{parts}--XX--");
    assert_eq!(bytes(&parts(whole(&part("Content-Length: 5\r\n", "hello")).as_bytes()).await), b"hello");
    for (bad, about) in [
        (part("", "hello"), "body"),
        ("--XX\r\nContent-Type: text/plain\r\n\r\nx\r\n--XX--".to_owned(), "body"),
        (whole(&part("Content-Length: 4\r\n", "hello")), "files"),
        (whole(&part("Content-Length: 6\r\n", "hello")), "files"),
        (whole(&part("Content-Length: x\r\n", "hello")), "files"),
        (whole(&part("Content-Transfer-Encoding: quoted-printable\r\n", "hello")), "files"),
        (whole(&part("Content-Transfer-Encoding: base64\r\n", "hello")), "files"),
        (whole(&part("", "x").repeat(21)), "files"),
    ] {
        let refused = parts(bad.as_bytes()).await.unwrap_err();
        assert!(refused.contains(&format!("\"{about}\"")), "{bad}: {refused}");
    }
    assert_eq!(parts(whole(&part("", "x").repeat(20)).as_bytes()).await.unwrap().files.len(), 20);
    let large = "BodyTooLarge".to_owned();
    assert_eq!(parts(whole(&part("", &"x".repeat(1001))).as_bytes()).await, Err(large.clone()));
    assert!(parts(whole(&part("", &"x".repeat(1000))).as_bytes()).await.is_ok());
    assert_eq!(parts(whole(&part(&format!("X: {}\r\n", "x".repeat(9_000)), "x")).as_bytes()).await, Err(large.clone()));
    assert_eq!(parts(&vec![b'x'; 20_000]).await, Err(large));
}

#[tokio::test]
async fn a_raw_body_is_one_file_of_the_length_that_it_says() {
    let headers = [
        ("content-length", "5"),
        ("content-disposition", "attachment; filename=\"a \\\"b\\\".txt\"; name=up"),
        ("content-type", "text/plain"),
    ];
    let held_of = |body: &'static [u8]| held(ContentReader::raw(request(&headers, body, 2), limits()));
    let read = held_of(b"hello").await.unwrap();
    let head = &read.files[0].0;
    assert_eq!((head.name.as_deref(), head.field.as_deref(), head.size), (Some("a \"b\".txt"), Some("up"), Some(5)));
    assert_eq!(read.files[0].1, b"hello");
    assert!(held_of(b"hell").await.unwrap_err().contains("must arrive whole"));
    assert_eq!(held(ContentReader::raw(request(&[("content-length", "1001")], b"", 1), limits())).await, Err("BodyTooLarge".to_owned()));
    assert_eq!(held(ContentReader::raw(request(&[], &[0; 1001], 7), limits())).await, Err("BodyTooLarge".to_owned()));
    assert_eq!(
        held(ContentReader::raw(request(&[("content-encoding", "gzip")], b"x", 1), limits())).await,
        Err("Coded(\"gzip\")".to_owned())
    );
}

#[tokio::test]
async fn a_client_that_sends_nothing_is_too_slow() {
    let body = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let limits = Limits { content: 10, idle: Duration::from_millis(1) };
    assert_eq!(held(ContentReader::raw(Request::new(body), limits)).await, Err("TooSlow".to_owned()));
    let body = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let mut request = Request::new(body);
    request.headers_mut().insert("content-type", FORM.parse().unwrap());
    assert_eq!(held(ContentReader::multipart(request, "files", limits)).await, Err("TooSlow".to_owned()));
}

#[tokio::test]
async fn nothing_is_read_before_it_is_asked_for_and_little_of_it_is_kept() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let (count, piece) = (1600, Bytes::from(vec![b'A'; 32 * 1024]));
    for kind in ["raw", "json", "form", "parts"] {
        let (before, behind) = match kind {
            "json" => ("{\"content\":\"", "\"}"),
            "form" => ("content=", "&name=x"),
            "parts" => ("--XX\r\nContent-Disposition: form-data; filename=\"a\"\r\n\r\n", "\r\n--XX--\r\n"),
            _ => ("", ""),
        };
        let given = Arc::new(AtomicUsize::new(0));
        let (counter, all) = (given.clone(), std::iter::once(Bytes::from(before)));
        let all = all.chain(std::iter::repeat_n(piece.clone(), count)).chain([Bytes::from(behind)]);
        let body = Body::from_stream(stream::iter(all.map(move |piece| {
            counter.fetch_add(piece.len(), Ordering::Relaxed);
            Ok::<_, std::io::Error>(piece)
        })));
        let mut request = Request::new(body);
        request.headers_mut().insert("content-type", FORM.parse().unwrap());
        let limits = Limits::of(100 << 20);
        let reader = match kind {
            "json" => ContentReader::json(request, NAMES, limits),
            "form" => ContentReader::form(request, NAMES, limits),
            "parts" => ContentReader::multipart(request, "files", limits),
            _ => ContentReader::raw(request, limits),
        };
        let mut reader = reader.unwrap();
        assert_eq!(given.load(Ordering::Relaxed), 0, "{kind}: nobody asked yet");
        let (mut taken, is_base64) = (0, matches!(kind, "json" | "form"));
        while let Some(piece) = reader.next().await.unwrap() {
            let Piece::Bytes(bytes) = piece else { continue };
            taken += bytes.len();
            let written = if is_base64 { taken / 3 * 4 } else { taken };
            let kept = given.load(Ordering::Relaxed) - written;
            assert!(kept <= 128 * 1024, "{kind}: {kept} bytes are kept");
        }
        let whole = count * piece.len();
        assert_eq!(taken, if is_base64 { whole / 4 * 3 } else { whole }, "{kind}");
    }
}
