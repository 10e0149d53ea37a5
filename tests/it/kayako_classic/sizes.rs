//! Bytes of any length, with what proves the call before and behind them.

use super::client::{classic, description};
use crate::harness::{Bed, Db, Setup, TestBroker};
use crate::kayako::sending::noise;

const MIB: usize = 1 << 20;

/// Every length at which something changes in how a body is read or written.
const LENGTHS: [usize; 12] = [1, 2, 3, 600_000, MIB - 1, MIB, MIB + 1, 3 * MIB, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 20 * MIB];

async fn bytes_of_any_length_arrive(broker: &TestBroker) {
    let said = broker.pair().says("1");
    let mut files = 0;
    for (place, length) in LENGTHS.into_iter().enumerate() {
        let bytes = noise(length);
        let ticket = 1 + i64::try_from(place).unwrap();
        let description = description(ticket, 7, "noise.bin", &bytes);
        for (order, body) in [("first", format!("{said}&{description}")), ("last", format!("{description}&{said}"))] {
            let answer = broker.posts(body).await;
            assert_eq!(answer.status, 200, "{length}, {order}: {}", answer.body);
            let made = answer.attachment();
            assert_eq!((made.size, made.name.as_str(), made.post), (length, "noise.bin", 7), "{length}, {order}");
            let read = broker.signed("GET", &format!("/Tickets/TicketAttachment/{ticket}/{}", made.id)).await;
            assert!(read.attachment().contents.as_deref() == Some(&bytes), "{length}, {order}: other bytes");
            let [kayako, desk] = broker.both_downloads(made.id).await;
            assert!(kayako == bytes && desk == bytes, "{length}, {order}: other bytes elsewhere");
            files += 1;
            broker.comes_to(files, order).await;
        }
        if length <= 8 * MIB {
            let of_post = broker.signed("GET", &format!("/Tickets/TicketPost/ListAll/{ticket}/7")).await.attachments();
            assert!(
                of_post.len() == 2 && of_post.iter().all(|one| one.contents.as_deref() == Some(&bytes)),
                "{length}: other bytes in the list"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_any_length_arrive_on_embedded() {
    bytes_of_any_length_arrive(&classic(Db::Sqlite).start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_any_length_arrive_on_seaweedfs() {
    bytes_of_any_length_arrive(&classic(Db::Postgres).start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_any_length_arrive_on_localstack() {
    let setup = Setup::on(Bed::LocalStack).setting("DROPSLIP_DIALECTS", "all").setting("DROPSLIP_SECRETS", super::client::SECRET);
    bytes_of_any_length_arrive(&setup.start().await).await;
}

/// What is escaped most comes to three times as much as base64 itself.
async fn a_form_may_escape_every_letter(db: Db) {
    let broker = classic(db).setting("DROPSLIP_MAX_PROXIED_BYTES", "2 MiB").start().await;
    let bytes = noise(MIB);
    let plain = crate::kayako::sending::base64(&bytes);
    // Twice the bytes is what encoded forms may have; so some letters only.
    let contents: String = plain
        .bytes()
        .enumerate()
        .map(|(place, byte)| if place % 4 == 0 { format!("%{byte:02X}") } else { char::from(byte).to_string() })
        .collect();
    let body = format!("ticketid=1&ticketpostid=2&filename=a.bin&contents={contents}&{}", broker.pair().says("1"));
    let made = broker.posts(body).await.attachment();
    let read = broker.signed("GET", &format!("/Tickets/TicketAttachment/1/{}", made.id)).await;
    assert!(read.attachment().contents.as_deref() == Some(&bytes));
}

on_both_engines!(a_form_may_escape_every_letter);
