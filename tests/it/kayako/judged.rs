//! What checksums, file types and limits say of files that are sent.

use serde_json::{Value, json};

use super::sending::{PARTS, base64, error, noise, parts};
use crate::harness::{Bed, Db, Setup};

const JSON: &str = "application/json";

/// Of `Hello`, and of `World`.
const HELLO: &str = "8b1a9953c4611296a827abf8c47804d7";
const WORLD: &str = "f5a7924e621e84c9280a9a27e1bcb7f6";

async fn bytes_must_be_those_that_were_meant(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let in_base64 = "ixqZU8RhEpaoJ6v4xHgE1w==";
    for (query, header) in [
        (String::new(), HELLO),
        (String::new(), in_base64),
        (format!("&_md5={HELLO}"), ""),
        (format!("&_md5={}", HELLO.to_uppercase()), in_base64),
        (format!("&_md5={in_base64}"), ""),
        (String::new(), ""),
    ] {
        let (status, body) = broker.sends_with(&format!("?_filename=a.txt{query}"), &[("content-md5", header)], "Hello").await;
        assert_eq!(status, 201, "{query} {header}: {body}");
    }
    for (query, header, refusal) in [
        (String::new(), WORLD, ("CHECKSUM_MISMATCH", "_md5")),
        (format!("&_md5={WORLD}"), "", ("CHECKSUM_MISMATCH", "_md5")),
        (format!("&_md5={WORLD}"), HELLO, ("PARAMETERS_INCONSISTENT", "Content-MD5")),
        ("&_md5=x".to_owned(), "", ("FIELD_INVALID", "_md5")),
        (format!("&_md5={HELLO},{WORLD}"), "", ("FIELD_INVALID", "_md5")),
    ] {
        let (status, body) = broker.sends_with(&format!("?_filename=a.txt{query}"), &[("content-md5", header)], "Hello").await;
        assert_eq!((status, error(&body)), (400, refusal), "{query} {header}: {body}");
        if refusal.0 == "CHECKSUM_MISMATCH" {
            assert_eq!(body["errors"][0]["message"], "File data has been corrupted or altered during transfer");
        }
        broker.comes_to(6, &query).await;
    }
    let encoded = r#"{"name":"a.txt","content":"SGVsbG8="}"#;
    for (md5, expected) in [(HELLO, 201), (WORLD, 400)] {
        assert_eq!(broker.sends_with("", &[("content-type", JSON), ("content-md5", md5)], encoded).await.0, expected);
        assert_eq!(broker.sends(&format!("?_md5={md5}"), JSON, encoded).await.0, expected);
    }
    // What was refused is given up beside its answer.
    let mut files = 8;
    broker.comes_to(files, "both ways of each").await;
    let part = |name: &str| format!("Content-Disposition: form-data; name=\"files[]\"; filename=\"{name}\"");
    let form = parts(&[(&part("a.txt"), b"Hello"), (&part("b.txt"), b"World")]);
    for (query, expected) in [
        (format!("?_md5={HELLO},{WORLD}"), 201),
        (format!("?_md5[]={HELLO}&_md5[]={WORLD}"), 201),
        (format!("?_md5={HELLO}"), 201),
        (format!("?_md5={WORLD},{HELLO}"), 400),
        (format!("?_md5={HELLO},{HELLO}"), 400),
    ] {
        let (status, body) = broker.sends(&query, PARTS, form.clone()).await;
        assert_eq!(status, expected, "{query}: {body}");
        files += if expected == 201 { 2 } else { 0 };
        broker.comes_to(files, &query).await;
    }
}

/// Takes pictures and texts, and looks at what they are.
fn strict(max_size: &str) -> String {
    format!(
        "name = \"strict\"\ntitle = \"Pictures and texts\"\nmin_size = 2\nmax_size = \"{max_size}\"\ndispositions = [\"attachment\"]\n\
         slip_lifetime = \"1h\"\nsniff = \"reject\"\nunconfirmed = \"discard\"\ncontent_types = [\n\
         {{ type = \"image/png\", extensions = [\"png\"] }}, {{ type = \"text/plain\", extensions = [\"txt\"] }} ]\n"
    )
}

async fn the_file_type_says_what_is_taken(db: Db) {
    let plain = Setup::on(Bed::Embedded).database(db).start().await;
    let (status, body) = plain.sends("?_filename=setup.exe", "", "MZ").await;
    assert_eq!((status, error(&body)), (400, ("FIELD_INVALID", "name")), "{body}");
    plain.comes_to(0, "a program").await;
    assert_eq!(plain.sends("?_filename=setup.txt", "", "Hello").await.0, 201);

    let setup = Setup::on(Bed::Embedded).database(db).policy("strict.toml", strict("30 MiB"));
    let broker = setup.setting("DROPSLIP_KAYAKO_FILE_TYPE", "strict").start().await;
    let html = b"<!DOCTYPE html><html><script>alert(1)</script></html>".to_vec();
    for (query, content_type, bytes, about) in [
        ("?_filename=a.zip", "", b"Hello".to_vec(), vec!["content"]),
        ("?_filename=a.png", "image/png", html.clone(), vec!["content"]),
        ("?_filename=a.txt", "text/plain", b"x".to_vec(), vec!["content"]),
        ("?_filename=a.zip", "application/zip", b"x".to_vec(), vec!["content"]),
        ("?_filename=a.txt", "image/png", b"Hello".to_vec(), vec!["name"]),
    ] {
        let (status, body) = broker.sends(query, content_type, bytes).await;
        let errors = body["errors"].as_array().unwrap();
        assert!(errors.iter().all(|error| error["code"] == "FIELD_INVALID"), "{body}");
        let named: Vec<_> = errors.iter().map(|error| error["parameter"].as_str().unwrap()).collect();
        assert!(status == 400 && about.iter().all(|about| named.contains(about)), "{query} {content_type}: {body}");
        broker.comes_to(0, query).await;
    }
    // The name may come behind the bytes.
    let late = json!({"content": base64(b"x"), "name": "a.zip"}).to_string();
    let (status, body) = broker.sends("", JSON, late).await;
    let about: Vec<_> = body["errors"].as_array().unwrap().iter().map(|error| error["parameter"].as_str().unwrap()).collect();
    assert_eq!((status, about.contains(&"content")), (400, true), "{body}");
    broker.comes_to(0, "named late").await;

    // Most of it is never sent: the first bytes tell.
    let mut large = html.clone();
    large.resize(20 << 20, b' ');
    let head = format!("POST {}?_filename=a.png HTTP/1.1\r\ncontent-length: {}", super::sending::FILES, large.len());
    let (status, body) = broker.answered_early(&head, &large[..9 << 20]).await;
    assert_eq!((status, error(&body)), (400, ("FIELD_INVALID", "content")), "{body}");
    broker.comes_to(0, "HTML in a picture").await;

    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x02\x08\x06\0\0\0\0\0\0\0".to_vec();
    png.extend(noise(9 << 20));
    for (name, bytes) in [("a.txt", b"Hello".to_vec()), ("a.png", png)] {
        let (status, body) = broker.sends(&format!("?_filename={name}"), "", bytes).await;
        assert_eq!(status, 201, "{name}: {}", body["errors"]);
    }
}

async fn too_many_bytes_are_refused_whatever_was_promised(db: Db) {
    let setup = Setup::on(Bed::Embedded).database(db).policy("strict.toml", strict("10 MiB"));
    let broker = setup.setting("DROPSLIP_KAYAKO_FILE_TYPE", "strict").start().await;
    let bounded = Setup::on(Bed::Embedded).database(db).setting("DROPSLIP_MAX_PROXIED_BYTES", "10 MiB").start().await;
    for (broker, status, refusal) in [(&broker, 400, ("FIELD_INVALID", "content")), (&bounded, 413, ("CONTENT_TOO_LARGE", ""))] {
        let text = vec![b'x'; 10 << 20];
        let more = vec![b'x'; (10 << 20) + 1];
        let encoded = |bytes: &[u8]| json!({"content": base64(bytes), "name": "a.txt"}).to_string().into_bytes();
        let part = "Content-Disposition: form-data; name=\"files\"; filename=\"a.txt\"";
        for (content_type, good, bad) in [
            ("text/plain", text.clone(), more.clone()),
            (JSON, encoded(&text), encoded(&more)),
            (PARTS, parts(&[(part, &text)]), parts(&[(part, &more)])),
        ] {
            let before = broker.kept().await[0];
            let query = if content_type == "text/plain" { "?_filename=a.txt" } else { "" };
            let (answered, body) = broker.sends(query, content_type, bad.clone()).await;
            assert_eq!((answered, error(&body)), (status, refusal), "{content_type}: {body}");
            broker.comes_to(before, content_type).await;
            // Nobody knows how much will come.
            let stream = reqwest::Body::wrap_stream(futures_util::stream::iter(
                bad.chunks(1 << 20).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect::<Vec<_>>(),
            ));
            let (answered, body) = broker.sends(query, content_type, stream).await;
            assert_eq!((answered, error(&body)), (status, refusal), "{content_type} in chunks: {body}");
            broker.comes_to(before, content_type).await;
            let (answered, body) = broker.sends(query, content_type, good).await;
            assert_eq!(
                (answered, &body["data"]["size"], &body["data"]["content"]),
                (201, &json!(10 << 20), &Value::Null),
                "{content_type}"
            );
            broker.comes_to(before + 1, content_type).await;
        }
    }
}

on_both_engines!(bytes_must_be_those_that_were_meant, the_file_type_says_what_is_taken, too_many_bytes_are_refused_whatever_was_promised);
