//! Clients that stop, drip or come from several addresses.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::client::{FORM, INDEX, classic, description};
use crate::harness::{Db, TestBroker, count};
use crate::kayako::sending::noise;

const MIB: usize = 1 << 20;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// A body on its way.
pub struct Body {
    pub stream: TcpStream,
}

impl Body {
    /// Comes from that address and sends so many bytes of it.
    pub async fn begun(broker: &TestBroker, from: [u8; 4], body: &str, sent: usize) -> Self {
        let mut stream = TcpStream::connect(broker.server.address).await.unwrap();
        let from = std::net::Ipv4Addr::from(from);
        let head = format!(
            "POST {INDEX}?e=/Tickets/TicketAttachment HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {from}\r\nconnection: close\r\n\
             content-type: {FORM}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // It may be refused amid of it.
        let _ = stream.write_all(&body.as_bytes()[..sent]).await;
        Self { stream }
    }

    pub async fn goes_on(&mut self, rest: &str) {
        let _ = self.stream.write_all(rest.as_bytes()).await;
    }

    pub async fn ends(&mut self) {
        self.stream.shutdown().await.unwrap();
    }
}

/// The status and the whole answer; 0 where there is none.
pub async fn answered(mut stream: TcpStream) -> (u16, String) {
    let mut text = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut text)).await.unwrap();
    let text = String::from_utf8(text).unwrap();
    (text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default(), text)
}

impl TestBroker {
    /// Waits until so many keys are to go: one for each body of which nobody knows whose it is.
    pub async fn until_doomed(&self, expected: i64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let doomed = count(&self.database_url, "SELECT COUNT(*) FROM doomed_objects").await;
            if doomed == expected {
                return;
            }
            assert!(Instant::now() < deadline, "{doomed} keys are to go, and not {expected}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Sends a little now and then, for as long as it is taken; what is answered in the end.
async fn drips(body: Body, rest: &str, piece: usize, every: Duration) -> (u16, String) {
    let rest = rest.to_owned();
    let (mut theirs, mut ours) = body.stream.into_split();
    let dripping = tokio::spawn(async move {
        for piece in rest.as_bytes().chunks(piece) {
            if ours.write_all(piece).await.is_err() {
                break;
            }
            tokio::time::sleep(every).await;
        }
        ours
    });
    let mut text = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, theirs.read_to_end(&mut text)).await.unwrap();
    dripping.abort();
    let text = String::from_utf8(text).unwrap();
    (text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default(), text)
}

async fn whoever_is_too_slow_is_refused_and_his_place_is_free(db: Db) {
    let broker = classic(db).setting("DROPSLIP_UNSIGNED_UPLOADS", "1").start().await;
    let description = description(3, 4, "a.bin", &noise(3 * MIB));
    let said = broker.pair().says("1");
    let unsigned = format!("{description}&{said}");
    let body = Body::begun(&broker, [203, 0, 113, 1], &unsigned, 2 * MIB).await;
    broker.until_doomed(1).await;
    let refused = broker.posts(unsigned.clone()).await;
    assert_eq!(refused.refusal().0, 503, "the only place is taken");
    let began = Instant::now();
    // 8 KiB a second: it comes, but not as fast as it must.
    let (status, text) = drips(body, &unsigned[2 * MIB..], 4096, Duration::from_millis(500)).await;
    assert!(text.starts_with("HTTP/1.1 408 ") && status == 408, "{text}");
    assert!(text.to_lowercase().contains("content-type: text/plain"), "{text}");
    let took = began.elapsed();
    assert!((Duration::from_secs(8)..Duration::from_secs(40)).contains(&took), "{took:?}");
    broker.comes_to(0, "too slow").await;
    assert_eq!(broker.posts(unsigned.clone()).await.attachment().size, 3 * MIB, "the place is free again");

    // Fast enough is enough, and whoever signed first has all the time of the others.
    let slow_but_signed = format!("{said}&{description}");
    let signed = Body::begun(&broker, [203, 0, 113, 1], &slow_but_signed, slow_but_signed.len() - 60_000).await;
    let steady = Body::begun(&broker, [203, 0, 113, 1], &unsigned, unsigned.len() - 900_000).await;
    let (signed, steady) = tokio::join!(
        drips(signed, &slow_but_signed[slow_but_signed.len() - 60_000..], 4096, Duration::from_secs(1)),
        drips(steady, &unsigned[unsigned.len() - 900_000..], 30_000, Duration::from_millis(500)),
    );
    assert_eq!((signed.0, steady.0), (200, 200), "{} {}", signed.1, steady.1);
    broker.comes_to(3, "all but the slow one").await;
}

async fn more_than_the_places_are_503_and_only_the_unsigned(db: Db) {
    let broker = classic(db).start().await;
    let said = broker.pair().says("1");
    let description = description(3, 4, "a.bin", &noise(3 * MIB));
    let unsigned = format!("{description}&{said}");
    let mut held = Vec::new();
    for (from, place) in [([203, 0, 113, 1], 1), ([203, 0, 113, 1], 2), ([203, 0, 113, 2], 3), ([203, 0, 113, 2], 4)] {
        if place == 3 {
            // Two are all that one address has.
            let (status, text) = answered(Body::begun(&broker, [203, 0, 113, 1], &unsigned, unsigned.len()).await.stream).await;
            assert!(status == 503 && text.to_lowercase().contains("\r\nretry-after: "), "{text}");
        }
        held.push(Body::begun(&broker, from, &unsigned, 2 * MIB).await);
        broker.until_doomed(place).await;
    }
    for from in [[203, 0, 113, 1], [203, 0, 113, 2], [203, 0, 113, 3]] {
        let (status, text) = answered(Body::begun(&broker, from, &unsigned, unsigned.len()).await.stream).await;
        assert!(status == 503 && text.to_lowercase().contains("\r\nretry-after: "), "{from:?}: {text}");
        // Whoever signs first is not among them, and small bodies are not.
        for (what, body) in [
            ("signed first", format!("{said}&{description}")),
            ("small", format!("{}&{said}", super::client::description(4, 4, "b.txt", b"Hello"))),
        ] {
            let (status, text) = answered(Body::begun(&broker, from, &body, body.len()).await.stream).await;
            assert_eq!(status, 200, "{what} from {from:?}: {text}");
        }
    }
    assert_eq!((broker.on_the_ticket(3).await.len(), broker.on_the_ticket(4).await.len()), (3, 3));
    for mut body in held {
        body.goes_on(&unsigned[2 * MIB..]).await;
        let (status, text) = answered(body.stream).await;
        assert_eq!(status, 200, "{text}");
    }
    for from in [[203, 0, 113, 1], [203, 0, 113, 3]] {
        let (status, text) = answered(Body::begun(&broker, from, &unsigned, unsigned.len()).await.stream).await;
        assert_eq!(status, 200, "places are free again: {text}");
    }
    broker.comes_to(12, "all that were good").await;
}

/// What the setting says, and that none at all is a choice too.
async fn the_places_are_as_many_as_is_set(db: Db) {
    let none = classic(db).setting("DROPSLIP_UNSIGNED_UPLOADS", "1").start().await;
    let said = none.pair().says("1");
    let unsigned = format!("{}&{said}", description(3, 4, "a.bin", &noise(3 * MIB)));
    let held = Body::begun(&none, [203, 0, 113, 1], &unsigned, 2 * MIB).await;
    none.until_doomed(1).await;
    let (status, text) = answered(Body::begun(&none, [203, 0, 113, 2], &unsigned, unsigned.len()).await.stream).await;
    assert_eq!(status, 503, "{text}");
    drop(held);
    none.comes_to(0, "hung up").await;
    let deadline = Instant::now() + PATIENCE;
    while none.posts(unsigned.clone()).await.status != 200 {
        assert!(Instant::now() < deadline, "the place of whoever hung up is not free");
    }
}

on_both_engines!(
    whoever_is_too_slow_is_refused_and_his_place_is_free,
    more_than_the_places_are_503_and_only_the_unsigned,
    the_places_are_as_many_as_is_set
);
