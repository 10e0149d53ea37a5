//! Refusals that come while their clients are still sending.

use axum::http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::sending::FILES;
use crate::harness::{Bed, Setup, TestBroker};

/// More than every buffer between the two takes.
const BYTES: usize = 24 << 20;

/// Sends all of its body before it reads a byte, as many programs do; what it reads then.
async fn stubborn(broker: &TestBroker, path: &str, token: &str) -> Result<String, std::io::Error> {
    let mut stream = TcpStream::connect(broker.base.trim_start_matches("http://")).await?;
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {BYTES}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&vec![b'x'; BYTES]).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn whoever_sends_all_before_he_reads_learns_why_he_is_refused() {
    let broker = Setup::on(Bed::Embedded).start().await;
    let of = |name: &str| format!("{FILES}?_filename={name}&fields=id");
    for (path, token, status, code) in [
        (of("a.exe"), broker.token.as_str(), StatusCode::BAD_REQUEST, "FIELD_INVALID"),
        (FILES.to_owned(), &broker.token, StatusCode::BAD_REQUEST, "FIELD_REQUIRED"),
        (of("a.bin"), "nobodys", StatusCode::UNAUTHORIZED, "AUTHENTICATION_FAILED"),
        ("/api/v1/me.json".to_owned(), &broker.token, StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_SUPPORTED"),
    ] {
        let answer = stubborn(&broker, &path, token).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {}", status.as_u16())) && answer.contains(code), "{path}: {answer}");
    }
    let answer = stubborn(&broker, &of("a.bin"), &broker.token).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");

    let small = Setup::on(Bed::Embedded).setting("DROPSLIP_MAX_PROXIED_BYTES", "1 MiB").start().await;
    let answer = stubborn(&small, &of("a.bin"), &small.token).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("1048576 bytes"), "{answer}");
}
