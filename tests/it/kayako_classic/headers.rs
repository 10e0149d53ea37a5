//! What answers say of themselves, and what a store that breaks does to them.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::client::{Answer, INDEX, SECRET, classic};
use crate::faults::proxy::{Break, Proxy};
use crate::harness::{Bed, Db, Setup, from_servers};
use crate::kayako::sending::noise;

async fn lengths_are_true_and_head_is_get_without_a_body(db: Db) {
    let broker = classic(db).start().await;
    let bytes = noise(300_001);
    let made = broker.attached(3, 4, "a & b.bin", &bytes).await;
    broker.attached(3, 4, "b.txt", b"Hello").await;
    let said = broker.pair().says("1");
    let one = format!("/Tickets/TicketAttachment/3/{}", made.id);
    for path in ["/Tickets/TicketAttachment/ListAll/3", &one, "/Tickets/TicketPost/ListAll/3/4", "/Core/TestAPI"] {
        let url = format!("{}{INDEX}?e={path}&{said}", broker.base);
        let get = Answer::of(broker.http.get(&url)).await;
        assert_eq!(get.status, 200, "{path}: {}", get.body);
        let length = get.header("content-length");
        assert!(length.is_empty() || length == get.body.len().to_string(), "{path}: {length} and not {}", get.body.len());
        assert_eq!(get.header("content-type").to_lowercase().split(';').next(), Some("text/xml"), "{path}");
        assert!(!get.header("cache-control").is_empty(), "{path}: {:?}", get.headers);
        let head = Answer::of(broker.http.head(&url)).await;
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        let length = head.header("content-length");
        assert!(length.is_empty() || length == get.body.len().to_string(), "{path}: HEAD says {length}");
        let unsigned = Answer::of(broker.http.head(url.replace(&said, "salt=1"))).await;
        assert_eq!((unsigned.status, unsigned.body.as_str()), (401, ""), "{path}");
    }
    // By hand, as no client can be trusted to see what is wrong with a length.
    for path in ["/Tickets/TicketAttachment/ListAll/3", &one, "/Tickets/TicketPost/ListAll/3/4", "/Tickets/TicketAttachment/3/9999"] {
        let mut stream = TcpStream::connect(broker.server.address).await.unwrap();
        let request = format!("GET {INDEX}?e={path}&{said} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut whole = String::new();
        stream.read_to_string(&mut whole).await.unwrap();
        let (head, body) = whole.split_once("\r\n\r\n").unwrap();
        let head = head.to_lowercase();
        if let Some(length) = head.lines().find_map(|line| line.strip_prefix("content-length: ")) {
            assert_eq!(length.parse::<usize>().unwrap(), body.len(), "{path}: {head}");
        } else {
            assert!(head.contains("transfer-encoding: chunked") && body.ends_with("0\r\n\r\n"), "{path}: {head}");
        }
    }
}

/// Requests that the store gets pass the proxy, which would break them.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_away_is_503_and_one_that_dies_breaks_the_connection() {
    let proxy = Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await;
    let setup = Setup::on(Bed::SeaweedFs).setting("DROPSLIP_DIALECTS", "all").setting("DROPSLIP_SECRETS", SECRET);
    let broker = setup.setting("DROPSLIP_S3_ENDPOINT", format!("http://{}", proxy.address)).start().await;
    let bytes = noise(3 << 20);
    let made = broker.attached(3, 4, "a.bin", &bytes).await;
    broker.attached(3, 4, "b.txt", b"Hello").await;
    let said = broker.pair().says("1");
    let url = |path: &str| format!("{}{INDEX}?e={path}&{said}", broker.base);
    let (list, one, post) = (
        "/Tickets/TicketAttachment/ListAll/3".to_owned(),
        format!("/Tickets/TicketAttachment/3/{}", made.id),
        "/Tickets/TicketPost/ListAll/3/4".to_owned(),
    );

    proxy.breaks("GET /", Break::CutAnswer(1 << 20));
    for path in [&one, &post] {
        let cut = broker.http.get(url(path)).send().await.unwrap();
        assert_eq!(cut.status(), 200);
        cut.bytes().await.unwrap_err();
    }
    proxy.breaks("GET /", Break::Refuse);
    for path in [&one, &post] {
        let refused = broker.signed("GET", path).await;
        assert_eq!(refused.refusal().0, 503, "{path}");
        assert!(!refused.header("retry-after").is_empty(), "{path}");
    }
    let hits = proxy.hits();
    assert_eq!(broker.on_the_ticket(3).await.len(), 2);
    assert_eq!(broker.http.head(url(&one)).send().await.unwrap().status(), 200);
    assert_eq!(proxy.hits(), hits, "nothing was read for a list");
    proxy.breaks("x-id=PutObject", Break::Refuse);
    for last in [false, true] {
        let description = super::client::description(3, 4, "c.txt", b"Hello");
        let refused = broker.posts(if last { format!("{description}&{said}") } else { format!("{said}&{description}") }).await;
        assert_eq!(refused.refusal().0, 503, "{}", refused.body);
        assert!(!refused.header("retry-after").is_empty());
    }
    proxy.heals();
    assert_eq!(broker.signed("GET", &post).await.attachments().len(), 2);
    assert_eq!(broker.on_the_ticket(3).await.len(), 2, "what was refused is on no ticket");
    assert!(broker.signed("GET", &list).await.status == 200);
    assert!(broker.signed("GET", &one).await.attachment().contents.as_deref() == Some(&bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_contents_takes_a_place_among_the_downloads() {
    let broker = classic(Db::Sqlite).setting("DROPSLIP_MAX_DOWNLOADS", "1").start().await;
    let made = broker.attached(3, 4, "a.bin", &noise(16 << 20)).await;
    let said = broker.pair().says("1");
    let one = format!("{}{INDEX}?e=/Tickets/TicketAttachment/3/{}&{said}", broker.base, made.id);
    // Nobody takes its bytes: its place is taken.
    let held = broker.http.get(&one).send().await.unwrap();
    assert_eq!(held.status(), 200);
    let second = Answer::of(broker.http.get(&one)).await;
    assert_eq!(second.refusal().0, 503);
    assert!(!second.header("retry-after").is_empty());
    assert_eq!(broker.on_the_ticket(3).await.len(), 1);
    assert!(held.bytes().await.unwrap().len() > 21 << 20);
    assert_eq!(broker.http.get(&one).send().await.unwrap().status(), 200);
}

on_both_engines!(lengths_are_true_and_head_is_get_without_a_body);
