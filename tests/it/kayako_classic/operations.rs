//! The five operations and the test hook, as one client after the other uses them.

use time::OffsetDateTime;

use super::client::{Answer, DECLARATION, classic};
use crate::harness::Db;
use crate::kayako::sending::noise;

async fn an_attachment_is_made_listed_read_and_taken_off(db: Db) {
    let broker = classic(db).start().await;
    assert_eq!(broker.on_the_ticket(12).await, [], "nobody attached anything");
    let before = OffsetDateTime::now_utc().unix_timestamp();
    let made = broker.attached(12, 31, "a & b.txt", b"hello").await;
    let after = OffsetDateTime::now_utc().unix_timestamp();
    assert_eq!((made.ticket, made.post, made.name.as_str(), made.size), (12, 31, "a & b.txt", 5));
    assert_eq!((made.content_type.as_str(), made.contents.as_ref()), ("text/plain", None));
    assert!((before..=after).contains(&made.dateline), "{made:?}");

    assert_eq!(broker.on_the_ticket(12).await, std::slice::from_ref(&made));
    let one = format!("/Tickets/TicketAttachment/12/{}", made.id);
    let read = broker.signed("GET", &one).await.attachment();
    assert_eq!(read.contents.as_deref(), Some(&b"hello"[..]));
    let of_post = broker.signed("GET", "/Tickets/TicketPost/ListAll/12/31").await.attachments();
    assert_eq!(of_post, std::slice::from_ref(&read));
    assert_eq!(super::client::Attachment { contents: None, ..read }, made, "the same in each answer");

    let gone = broker.signed("DELETE", &format!("/Tickets/TicketAttachment//12/{}", made.id)).await;
    assert_eq!(gone.attachments(), []);
    assert!(gone.body.contains("<attachments>") && gone.body.contains("</attachments>"), "clients want a root: {}", gone.body);
    assert_eq!(broker.signed("DELETE", &one).await.refusal().0, 404);
    assert_eq!(broker.signed("GET", &one).await.refusal().0, 404);
    assert_eq!(broker.on_the_ticket(12).await, []);
    assert_eq!(broker.signed("GET", "/Tickets/TicketPost/ListAll/12/31").await.attachments(), []);
}

async fn lists_come_by_number_and_of_a_post_with_their_bytes(db: Db) {
    let broker = classic(db).start().await;
    let mut made = Vec::new();
    let bytes = |place: usize| noise(1 + place * 70_000);
    for place in 0..7 {
        let post = if place % 2 == 0 { 4 } else { 9 };
        made.push(broker.attached(77, post, &format!("{place}.bin"), &bytes(place)).await);
    }
    broker.attached(78, 4, "elsewhere.txt", b"other").await;
    assert_eq!(broker.on_the_ticket(77).await, made, "lowest number first");
    assert!(made.windows(2).all(|two| two[0].id < two[1].id), "{made:?}");
    for (post, places) in [(4, vec![0, 2, 4, 6]), (9, vec![1, 3, 5]), (5, vec![])] {
        let of_post = broker.signed("GET", &format!("/Tickets/TicketPost/ListAll/77/{post}")).await.attachments();
        assert_eq!(of_post.iter().map(|one| one.id).collect::<Vec<_>>(), places.iter().map(|place| made[*place].id).collect::<Vec<_>>());
        for (one, place) in of_post.iter().zip(places) {
            assert!(one.contents == Some(bytes(place)), "{place}: other bytes");
        }
    }
    assert!(made.iter().all(|one| one.contents.is_none()));
}

async fn a_long_ticket_is_listed_whole(db: Db) {
    let broker = classic(db).start().await;
    // More than a page of what any other list has.
    let ids: Vec<i64> = {
        let mut ids = Vec::new();
        for place in 0..130 {
            ids.push(broker.attached(5, 6, &format!("{place}.txt"), format!("text {place}").as_bytes()).await.id);
        }
        ids
    };
    assert_eq!(broker.on_the_ticket(5).await.iter().map(|one| one.id).collect::<Vec<_>>(), ids);
    let whole = broker.signed("GET", "/Tickets/TicketPost/ListAll/5/6").await.attachments();
    assert_eq!(whole.len(), 130);
    for (place, one) in whole.iter().enumerate() {
        assert_eq!(one.contents.as_deref(), Some(format!("text {place}").as_bytes()));
    }
}

fn is_a_root_with_text(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 200, "{what}: {}", answer.body);
    assert!(answer.header("content-type").starts_with("text/xml"), "{what}: {:?}", answer.headers);
    assert!(answer.body.starts_with(DECLARATION), "{what}: {}", answer.body);
    let document = roxmltree::Document::parse(&answer.body).unwrap();
    let root = document.root_element();
    assert!(!root.text().unwrap().trim().is_empty() && root.children().all(|child| child.is_text()), "{what}: {}", answer.body);
}

async fn the_test_hook_answers_every_verb_to_a_good_pair(db: Db) {
    let broker = classic(db).start().await;
    let pair = broker.pair();
    for path in ["/Core/TestAPI", "/Core/TestAPI/", "/Core/TestAPI/1", "/Core/TestAPI/17/", "/Core/Test", "/Core/Test/1"] {
        for method in ["GET", "DELETE"] {
            is_a_root_with_text(&broker.signed(method, path).await, &format!("{method} {path}"));
            let unsigned = broker.classic(method, &format!("/api/index.php?e={path}")).await;
            assert_eq!(unsigned.refusal(), (401, super::client::UNSIGNED), "{method} {path}");
        }
        for method in ["POST", "PUT"] {
            let request = || {
                let url = format!("{}/api/index.php?e={path}", broker.base);
                broker.http.request(method.parse().unwrap(), url).header("content-type", super::client::FORM)
            };
            is_a_root_with_text(&Answer::of(request().body(pair.says("-5"))).await, &format!("{method} {path}"));
            assert_eq!(Answer::of(request().body("salt=1")).await.refusal().0, 401, "{method} {path}");
        }
    }
}

on_both_engines!(
    an_attachment_is_made_listed_read_and_taken_off,
    lists_come_by_number_and_of_a_post_with_their_bytes,
    a_long_ticket_is_listed_whole,
    the_test_hook_answers_every_verb_to_a_good_pair
);
