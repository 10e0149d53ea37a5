//! A pair may what its token may, and ends with it.

use std::time::{Duration, Instant};

use dropslip::tokens::Tokens;
use time::OffsetDateTime;

use super::client::{Pair, SECRET, UNSIGNED, classic, description};
use crate::harness::Db;

async fn a_pair_may_what_its_token_may(db: Db) {
    let broker = classic(db).start().await;
    let made = broker.attached(3, 4, "a.txt", b"Hello").await;
    let one = format!("/Tickets/TicketAttachment/3/{}", made.id);
    for (scopes, reads, writes, deletes) in [
        ("files:read", 200, 403, 403),
        ("files:write", 403, 200, 403),
        ("files:read,files:write", 200, 200, 403),
        ("files:delete", 403, 403, 200),
    ] {
        let pair = Pair::of(SECRET, &broker.new_token("default", 7, scopes).await);
        for path in ["/Tickets/TicketAttachment/ListAll/3", &one, "/Tickets/TicketPost/ListAll/3/4"] {
            assert_eq!(broker.signed_by(&pair, "GET", path).await.status, reads, "{scopes}: GET {path}");
        }
        let said = pair.says("1");
        for body in [format!("{said}&{}", description(9, 4, "a.txt", b"Hello")), format!("{}&{said}", description(9, 4, "a.txt", b"Hello"))]
        {
            assert_eq!(broker.posts(body).await.status, writes, "{scopes}: POST");
        }
        assert_eq!(broker.signed_by(&pair, "GET", "/Core/TestAPI").await.status, 200, "{scopes}: the pair is good");
        // The last one takes it off.
        let refused = broker.signed_by(&pair, "DELETE", &one).await;
        assert_eq!(refused.status, deletes, "{scopes}: DELETE: {}", refused.body);
        if deletes == 403 {
            assert_eq!(refused.refusal().0, 403);
            assert_eq!(broker.on_the_ticket(3).await.len(), 1, "{scopes}");
        }
    }
    assert_eq!(broker.on_the_ticket(3).await, []);
}

async fn a_large_body_of_somebody_who_may_not_write_leaves_nothing(db: Db) {
    let broker = classic(db).start().await;
    let pair = Pair::of(SECRET, &broker.new_token("default", 7, "files:read,files:delete").await);
    let description = description(3, 4, "a.txt", &vec![b'x'; 3 << 20]);
    for body in [format!("{}&{description}", pair.says("1")), format!("{description}&{}", pair.says("1"))] {
        assert_eq!(broker.posts(body).await.refusal().0, 403);
        broker.comes_to(0, "refused").await;
    }
    assert_eq!(broker.posts(format!("{description}&{}", broker.pair().says("1"))).await.attachment().size, 3 << 20);
    broker.comes_to(1, "taken").await;
}

async fn others_are_nobody_to_a_ticket(db: Db) {
    let broker = classic(db).start().await;
    let made = broker.attached(3, 4, "a.txt", b"Hello").await;
    let stranger = Pair::of(SECRET, &broker.new_token("acme", 1, "files:read,files:write,files:delete").await);
    for path in ["/Tickets/TicketAttachment/ListAll/3", "/Tickets/TicketPost/ListAll/3/4"] {
        assert_eq!(broker.signed_by(&stranger, "GET", path).await.attachments(), [], "{path}");
    }
    let (theirs, missing) = (format!("/Tickets/TicketAttachment/3/{}", made.id), "/Tickets/TicketAttachment/3/999999");
    for method in ["GET", "DELETE"] {
        let (one, other) = (broker.signed_by(&stranger, method, &theirs).await, broker.signed_by(&stranger, method, missing).await);
        assert_eq!(one.refusal(), (404, other.body.as_str()), "{method}: as of a file that there is not");
    }
    assert_eq!(broker.on_the_ticket(3).await, [made]);
}

async fn a_pair_ends_with_its_token(db: Db) {
    let broker = classic(db).start().await;
    let pair = Pair::of(SECRET, &broker.new_token("default", 7, "files:read").await);
    let list = "/Tickets/TicketAttachment/ListAll/3";
    assert_eq!(broker.signed_by(&pair, "GET", list).await.status, 200);
    let tokens = Tokens::new(broker.database.clone(), None);
    let number = tokens.list().await.unwrap().iter().map(|row| row.id).max().unwrap();
    assert!(tokens.revoke(number, OffsetDateTime::now_utc()).await.unwrap());
    // A good one is trusted for two seconds.
    let until = Instant::now() + Duration::from_secs(10);
    let refused = loop {
        let answer = broker.signed_by(&pair, "GET", list).await;
        if answer.status != 200 {
            break answer;
        }
        assert!(Instant::now() < until, "the pair outlives its token");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(refused.refusal(), (401, UNSIGNED));
    assert_eq!(broker.signed("GET", list).await.status, 200, "no other one ends");
}

on_both_engines!(
    a_pair_may_what_its_token_may,
    a_large_body_of_somebody_who_may_not_write_leaves_nothing,
    others_are_nobody_to_a_ticket,
    a_pair_ends_with_its_token
);
