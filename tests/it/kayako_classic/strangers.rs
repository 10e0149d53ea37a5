//! Whoever is not known yet costs little: forms that never end, of very many fields, in tiny pieces, or for calls that make no attachment.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::client::{FORM, INDEX, classic, description};
use crate::harness::{Db, new_file};
use crate::kayako::sending::noise;

const MIB: usize = 1 << 20;

/// Longer than an answer takes that comes after a minute.
const PATIENCE: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_which_nothing_comes_but_line_ends_has_a_minute() {
    let broker = classic(Db::Sqlite).start().await;
    let stream = TcpStream::connect(broker.server.address).await.unwrap();
    let (mut theirs, mut ours) = stream.into_split();
    let head = format!(
        "POST {INDEX}?e=/Tickets/TicketAttachment HTTP/1.1\r\nhost: x\r\ncontent-type: {FORM}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    ours.write_all(format!("{head}9\r\ncontents=\r\n").as_bytes()).await.unwrap();
    let dripping = tokio::spawn(async move {
        while ours.write_all(b"1\r\n\n\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let mut answer = vec![0; 4096];
    let length = tokio::time::timeout(PATIENCE, theirs.read(&mut answer)).await.unwrap().unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("contents must arrive"), "{answer}");
    dripping.abort();
    assert_eq!(broker.attached(3, 4, "a.txt", b"hello").await.size, 5, "whoever is quicker is served");
}

async fn a_form_has_a_hundred_fields_and_no_more(db: Db) {
    let broker = classic(db).start().await;
    let whole = format!("{}&{}", description(3, 4, "a.txt", b"hello"), broker.pair().says("1"));
    // Six stand there, and one that names the path leads there.
    let with = |more: usize| format!("{}{whole}", "x=1&".repeat(more));
    assert_eq!(broker.posts(with(93)).await.attachment().size, 5);
    for more in [95, 15_000] {
        let answer = broker.posts(with(more)).await;
        let (status, text) = answer.refusal();
        assert!(status == 400 && text.starts_with("body must have 100 parameters"), "{more}: {status} {text}");
    }
    broker.comes_to(1, "one was taken").await;
}

async fn bytes_in_tiny_pieces_are_the_same_bytes(db: Db) {
    let broker = classic(db).start().await;
    let body = format!("{}&{}", description(3, 4, "a.bin", &noise(30_000)), broker.pair().says("1"));
    let pieces = body.into_bytes().chunks(3).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect::<Vec<_>>();
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let made = broker.posts(body).await.attachment();
    let read = broker.signed("GET", &format!("/Tickets/TicketAttachment/3/{}", made.id)).await.attachment();
    assert!(read.contents == Some(noise(30_000)), "other bytes");
}

async fn calls_that_make_no_attachment_take_no_bytes(db: Db) {
    let broker = classic(db).start().await;
    let said = broker.pair().says("1");
    let large = description(3, 4, "a.bin", &noise(3 * MIB));
    for path in ["/Tickets/Ticket", "/Tickets/TicketPost", "/Base/User", "/Core/TestAPI", "/Tickets/TicketAttachment/ListAll/3"] {
        for body in [
            format!("e={path}&{said}&contents=Hello, world"),
            format!("e={path}&contents=SGVsbG8%3D&{said}"),
            format!("e={path}&{said}&{large}"),
            format!("e={path}&{large}&{said}"),
            format!("{large}&e={path}&{said}"),
            format!("{large}&{said}&e={path}"),
        ] {
            let answer = broker.form("/api/index.php", body.clone()).await;
            let known = ["/Core/TestAPI", "/Tickets/TicketAttachment/ListAll/3"].contains(&path);
            // Where the path comes last the call itself is answered, or what is wrong with the form; nothing was done with what came before.
            assert!(answer.status == 404 || known && [200, 400, 405].contains(&answer.status), "{path}: {} {:.80}", answer.status, body);
        }
    }
    broker.comes_to(0, "nobody's bytes are kept").await;
    assert_eq!(broker.form("/api/index.php", format!("e=/Tickets/TicketAttachment&{large}&{said}")).await.attachment().size, 3 * MIB);
}

/// A rule of the operator's own, without the file type that this dialect has by itself.
async fn a_file_type_that_is_missing_is_the_operators_matter(db: Db) {
    let own = "name = \"invoice\"\ntitle = \"Invoices\"\nmin_size = 1\nmax_size = \"20 MiB\"\ndispositions = [\"attachment\"]\n\
               slip_lifetime = \"30m\"\nsniff = \"reject\"\nunconfirmed = \"discard\"\n\
               content_types = [{ type = \"application/pdf\", extensions = [\"pdf\"] }]\n";
    let broker = classic(db).policy("invoice.toml", own).start().await;
    let said = broker.pair().says("1");
    for length in [5, 2 * MIB] {
        for body in [
            format!("{said}&{}", description(3, 4, "a.pdf", &noise(length))),
            format!("{}&{said}", description(3, 4, "a.pdf", &noise(length))),
        ] {
            let answer = broker.posts(body).await;
            let (status, text) = answer.refusal();
            assert!(status == 503 && !text.contains("invoice"), "{length}: {status} {text}");
            assert!(answer.headers.contains_key("retry-after"));
        }
    }
    broker.comes_to(0, "nothing is left").await;
}

/// What is wrong with a slip's bytes is said of its number: nothing else was sent.
async fn a_slip_that_cannot_be_confirmed_is_named_by_its_number(db: Db) {
    let broker = classic(db).start().await;
    let mut picture = new_file("a.png", "image/png");
    picture["type"] = "image".into();
    let slip = broker.authorize(&picture).await;
    let body = |id: i64| format!("{}&ticketid=3&ticketpostid=4&fileid={id}", broker.pair().says("1"));
    assert_eq!(broker.posts(body(slip.id)).await.refusal(), (400, "fileid must be that of a file whose bytes were uploaded\n"));
    broker.drop_bytes(&slip, b"MZ\x90\x00 this is a program and no picture").await;
    let answer = broker.posts(body(slip.id)).await;
    let (status, text) = answer.refusal();
    assert!(status == 400 && text.starts_with("fileid is not what was granted: "), "{status} {text}");
    assert_eq!(broker.on_the_ticket(3).await, []);
    let good = broker.active(&new_file("a.txt", "text/plain"), b"hello").await["id"].as_i64().unwrap();
    assert_eq!(broker.posts(body(good)).await.attachment().id, good);
}

on_both_engines!(
    a_form_has_a_hundred_fields_and_no_more,
    bytes_in_tiny_pieces_are_the_same_bytes,
    calls_that_make_no_attachment_take_no_bytes,
    a_file_type_that_is_missing_is_the_operators_matter,
    a_slip_that_cannot_be_confirmed_is_named_by_its_number
);
