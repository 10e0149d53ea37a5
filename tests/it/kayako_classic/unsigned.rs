//! Bodies that come before it is known whose they are: the good ones arrive, and of the others nothing is left.

use super::client::{Pair, SECRET, UNSIGNED, classic, description, fields};
use super::hostile::{Body, answered};
use crate::harness::{Db, count};
use crate::kayako::sending::noise;

const MIB: usize = 1 << 20;

async fn wrong_credentials_at_the_end_leave_nothing(db: Db) {
    let broker = classic(db).start().await;
    let good = broker.pair();
    let other = Pair::of(SECRET, &broker.new_token("default", 2, "files:read,files:write").await);
    let (salt, nobody) = ("1234567", "0123456789abcdef");
    let signed = |key: &str, signature: &str| fields(&[("apikey", key), ("salt", salt), ("signature", signature)]);
    let wrong = [
        signed(&good.apikey, &other.signature(salt)),
        signed(nobody, &good.signature(salt)),
        signed(&good.apikey, "x"),
        fields(&[("apikey", &good.apikey), ("signature", &good.signature(""))]) + "&salt=",
        fields(&[("apikey", &good.apikey), ("salt", salt)]),
        String::new(),
    ];
    for (place, length) in [5, 500_000, 3 * MIB, 20 * MIB].into_iter().enumerate() {
        let bytes = noise(length);
        let description = description(3, 4, "a.bin", &bytes);
        for said in &wrong {
            let answer = broker.posts(format!("{description}&{said}")).await;
            assert_eq!(answer.refusal(), (401, UNSIGNED), "{length} {said}");
            broker.comes_to(place, "nothing is left").await;
            // Nor was there ever a record of it: the next file has the next number.
        }
        let before = count(&broker.database_url, "SELECT COALESCE(MAX(id), 0) FROM files").await;
        let made = broker.posts(format!("{description}&{}", good.says(salt))).await.attachment();
        assert_eq!((made.id, made.size), (before + 1, length));
        let read = broker.signed("GET", &format!("/Tickets/TicketAttachment/3/{}", made.id)).await.attachment();
        assert!(read.contents.as_deref() == Some(&bytes), "{length}: other bytes");
        broker.comes_to(place + 1, "a good one").await;
    }
    assert_eq!(broker.on_the_ticket(3).await.len(), 4);
}

/// Whatever is wrong with such a body is said once it is known whose it is, and to nobody else.
async fn what_is_wrong_is_told_to_whoever_signed(db: Db) {
    let broker = classic(db).start().await;
    let said = broker.pair().says("1");
    for length in [100, 3 * MIB] {
        let whole = description(3, 4, "a.bin", &noise(length));
        for (body, about) in [
            (whole.replace("a%2Ebin", "a%2Eexe"), "filename"),
            (whole.replace("ticketid=3", "ticketid=0"), "ticketid"),
            (whole.replace("ticketpostid=4", "ticketpostid=x"), "ticketpostid"),
            (whole.replace("filename=a%2Ebin&", ""), "filename"),
            (format!("{whole}%21"), "contents"),
        ] {
            assert_ne!(body, whole);
            let answer = broker.posts(format!("{body}&{said}")).await;
            let (status, text) = answer.refusal();
            assert!(status == 400 && text.starts_with(about), "{length}, {about}: {status} {text}");
            let unsigned = broker.posts(format!("{body}&{}", said.replace("salt=1", "salt=2"))).await;
            assert!([400, 401].contains(&unsigned.refusal().0), "{length}, {about}: {} {}", unsigned.status, unsigned.body);
            broker.comes_to(0, about).await;
        }
        // The description may come behind the contents.
        let (before, contents) = whole.split_once("&contents=").unwrap();
        let made = broker.posts(format!("contents={contents}&{said}&{before}")).await.attachment();
        assert_eq!(made.size, length);
        assert_eq!(broker.signed("DELETE", &format!("/Tickets/TicketAttachment/3/{}", made.id)).await.status, 200);
        broker.server.broker.sweep(time::OffsetDateTime::now_utc() + time::Duration::days(60)).await.unwrap();
        broker.comes_to(0, "purged").await;
    }
}

async fn a_client_that_hangs_up_leaves_nothing(db: Db) {
    let broker = classic(db).start().await;
    let said = broker.pair().says("1");
    let description = description(3, 4, "a.bin", &noise(20 * MIB));
    let mut bodies = vec![format!("{description}&{said}"), format!("{said}&{description}")];
    bodies.push(format!("contents={}", description.split_once("&contents=").unwrap().1));
    for body in bodies {
        for sent in [10, 200_000, MIB - 10, MIB + 1000, 9 * MIB, 21 * MIB, body.len() - 1] {
            let sending = Body::begun(&broker, [203, 0, 113, 1], &body, sent).await;
            drop(sending);
            broker.comes_to(0, &format!("hung up after {sent}")).await;
        }
    }
    // Also one that ends amid what it promised.
    let body = format!("{description}&{said}");
    let mut sending = Body::begun(&broker, [203, 0, 113, 1], &body, 9 * MIB).await;
    sending.ends().await;
    let (status, text) = answered(sending.stream).await;
    assert!([0, 400].contains(&status), "{status} {text}");
    broker.comes_to(0, "cut").await;
    assert_eq!(broker.posts(body).await.attachment().size, 20 * MIB);
    broker.comes_to(1, "whole").await;
}

/// The sweeper of another broker may come by at any time: what is still coming is not yet anybody's.
async fn bytes_on_their_way_are_no_file(db: Db) {
    let broker = classic(db).start().await;
    let body = format!("{}&{}", description(3, 4, "a.bin", &noise(3 * MIB)), broker.pair().says("1"));
    let mut sending = Body::begun(&broker, [203, 0, 113, 1], &body, 2 * MIB).await;
    broker.until_doomed(1).await;
    assert_eq!(count(&broker.database_url, "SELECT COUNT(*) FROM files").await, 0, "no record before it is known whose it is");
    assert_eq!(broker.on_the_ticket(3).await, []);
    broker.server.broker.sweep(time::OffsetDateTime::now_utc()).await.unwrap();
    sending.goes_on(&body[2 * MIB..]).await;
    let (status, text) = answered(sending.stream).await;
    assert_eq!(status, 200, "{text}");
    broker.comes_to(1, "it arrived").await;
    assert_eq!(broker.on_the_ticket(3).await[0].size, 3 * MIB);
    assert!(broker.server.broker.reconcile().await.unwrap().is_clean());
}

on_both_engines!(
    wrong_credentials_at_the_end_leave_nothing,
    what_is_wrong_is_told_to_whoever_signed,
    a_client_that_hangs_up_leaves_nothing,
    bytes_on_their_way_are_no_file
);
