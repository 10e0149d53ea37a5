//! Where a request ends is never in doubt: what could hide a second request in a first one is read in one way, and then the connection ends.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{Bed, Setup, TestBroker, new_file};

const PATIENCE: Duration = Duration::from_secs(20);

/// Everything that listens: the broker, the embedded store below it, and the operator's own address.
fn doors(broker: &TestBroker) -> [(&'static str, SocketAddr); 3] {
    [("broker", broker.server.address), ("store", broker.server.embedded_s3.unwrap()), ("admin", broker.server.admin.unwrap())]
}

async fn broker() -> TestBroker {
    Setup::on(Bed::Embedded).setting("DROPSLIP_ADMIN_LISTEN", "127.0.0.1:0").start().await
}

/// What is answered to these bytes until the server ends the connection, which it must.
async fn until_the_end(what: &str, address: SocketAddr, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent).await.unwrap();
    let mut said = Vec::new();
    // A reset is an end too.
    let ended = timeout(PATIENCE, stream.read_to_end(&mut said)).await;
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(ended.is_ok(), "{what}: the connection goes on after {said}");
    said
}

fn answers(said: &str) -> usize {
    said.matches("HTTP/1.1 ").count() + said.matches("HTTP/1.0 ").count()
}

/// Reads one answer with its whole body.
async fn one_answer(what: &str, stream: &mut TcpStream) -> String {
    let (mut said, mut piece) = (String::new(), [0; 4096]);
    loop {
        if let Some((head, body)) = said.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse::<usize>().ok());
            let whole = length.map_or_else(|| body.ends_with("0\r\n\r\n"), |length| body.len() >= length);
            if whole {
                return said;
            }
        }
        let read = timeout(PATIENCE, stream.read(&mut piece)).await.unwrap_or_else(|_| panic!("{what}: no more than {said}")).unwrap();
        assert!(read > 0, "{what}: it ended after {said}");
        said.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
}

/// The second request, which nobody may answer.
const HIDDEN: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_a_length_and_chunks_is_read_as_chunked_and_is_the_last() {
    let broker = broker().await;
    let body = new_file("a.txt", "text/plain").to_string();
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let post = format!("POST /v2/files/ref.json HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n", broker.token);
    let alone = "transfer-encoding: chunked\r\n";
    let orders = [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n".to_owned(),
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n".to_owned(),
        "Content-Length: 5\r\nX: y\r\nTRANSFER-ENCODING:\tCHUNKED\t\r\nconnection: keep-alive\r\n".to_owned(),
        "transfer-encoding: identity\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n".to_owned(),
        // By the length the second request is a part of the first.
        format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", chunked.len() + HIDDEN.len()),
    ];
    for lengths in &orders {
        let said = until_the_end(lengths, broker.server.address, format!("{post}{lengths}\r\n{chunked}{HIDDEN}").as_bytes()).await;
        assert!(said.starts_with("HTTP/1.1 201 "), "{lengths}: it is not read as chunked: {said}");
        assert_eq!(answers(&said), 1, "{lengths}: a second request was answered: {said}");
        assert!(said.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{lengths}: it does not say that it ends: {said}");
    }
    // Chunks alone are nothing bad, and neither is a length: the connection goes on, also when both requests come at once.
    for lengths in [alone.to_owned(), format!("content-length: {}\r\n", body.len())] {
        let sent = if lengths == alone { &chunked } else { &body };
        let mut stream = TcpStream::connect(broker.server.address).await.unwrap();
        stream.write_all(format!("{post}{lengths}\r\n{sent}").as_bytes()).await.unwrap();
        let first = one_answer(&lengths, &mut stream).await;
        assert!(first.starts_with("HTTP/1.1 201 "), "{lengths}: {first}");
        stream.write_all(HIDDEN.as_bytes()).await.unwrap();
        let second = one_answer(&lengths, &mut stream).await;
        assert!(second.starts_with("HTTP/1.1 200 ") && answers(&second) == 1, "{lengths}: {second}");
        let last = HIDDEN.replace("host: x\r\n", "host: x\r\nconnection: close\r\n");
        let both = until_the_end(&lengths, broker.server.address, format!("{post}{lengths}\r\n{sent}{last}").as_bytes()).await;
        assert_eq!(answers(&both), 2, "{lengths}: {both}");
    }
    let slips = orders.len() + 4;
    assert_eq!(broker.text_slip().await.id, i64::try_from(slips).unwrap() + 1, "one slip for each request");
}

/// Heads that one reader takes otherwise than another.
const DOUBTFUL: [&str; 28] = [
    "content-length: 4\r\ntransfer-encoding: chunked",
    "transfer-encoding: chunked\r\ncontent-length: 4",
    "Transfer-Encoding: Chunked\r\nContent-Length: 4\r\nConnection: keep-alive",
    "content-length: 4\r\ntransfer-encoding:chunked",
    "content-length: 4\r\ntransfer-encoding: chunked\t",
    "content-length: 4\r\ntransfer-encoding: \tchunked",
    "content-length: 4\r\ntransfer-encoding: gzip, chunked",
    "content-length: 4\r\ntransfer-encoding: identity\r\ntransfer-encoding: chunked",
    "content-length: 4\r\ncontent-length: 4\r\ntransfer-encoding: chunked",
    "transfer-encoding: chunked\r\ncontent-length: nonsense",
    "content-length: 4\r\ntransfer-encoding: chunked, identity",
    "content-length: 4\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity",
    "content-length: 4\r\ntransfer-encoding: identity",
    "content-length: 4\r\ntransfer-encoding: xchunked",
    "content-length: 4\r\ntransfer-encoding: chunked;q=1",
    "content-length: 4\r\ntransfer-encoding: \"chunked\"",
    "content-length: 4\r\ntransfer-encoding: \u{b}chunked",
    "content-length: 4\r\ntransfer-encoding:",
    "content-length: 4\r\ntransfer-encoding : chunked",
    "content-length: 4\r\nx: y\r\n transfer-encoding: chunked",
    "content-length: 4\r\ntransfer-encoding:\r\n chunked",
    "content-length: +4",
    "content-length: -4",
    "content-length: 0x4",
    "content-length: 4, 4",
    "content-length: 4\r\ncontent-length: 5",
    "content-length: 4 4",
    "content-length : 4",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_second_request_comes_in_behind_a_doubtful_first_one() {
    let broker = broker().await;
    for (door, address) in doors(&broker) {
        // What hides it from readers of a length, and from readers of chunks.
        let bodies = [format!("0\r\n\r\n{HIDDEN}"), format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len())];
        let mut refused = 0;
        for (lengths, body) in DOUBTFUL.iter().flat_map(|lengths| bodies.iter().map(move |body| (lengths, body))) {
            for version in ["1.1", "1.0"] {
                let what = format!("{door}, HTTP/{version}, {lengths:?}, {body:?}");
                let sent = format!("POST /healthz HTTP/{version}\r\nhost: x\r\n{lengths}\r\n\r\n{body}");
                let said = until_the_end(&what, address, sent.as_bytes()).await;
                assert!(answers(&said) <= 1, "{what}: a second request was answered: {said}");
                assert!(!said.starts_with("HTTP/1.1 2"), "{what}: {said}");
                refused += usize::from(said.starts_with("HTTP/1.1 400 "));
            }
        }
        assert!(refused > DOUBTFUL.len(), "{door}: {refused} were refused as bad requests");
        // An ordinary second request on the same connection is answered, whichever way the first one tells its end.
        for first in ["content-length: 4\r\n\r\nabcd", "transfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n"] {
            let what = format!("{door}, {first:?}");
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(format!("POST /healthz HTTP/1.1\r\nhost: x\r\n{first}").as_bytes()).await.unwrap();
            let answered = one_answer(&what, &mut stream).await;
            assert!(answers(&answered) == 1 && !answered.starts_with("HTTP/1.1 400"), "{what}: {answered}");
            stream.write_all(HIDDEN.as_bytes()).await.unwrap();
            let answered = one_answer(&what, &mut stream).await;
            let expected = if door == "store" { "HTTP/1.1 4" } else { "HTTP/1.1 200 " };
            assert!(answered.starts_with(expected), "{what}: {answered}");
        }
    }
}
