//! The direct path: a slip's bytes go past the broker, and its number stands in place of the contents.

use serde_json::json;

use super::client::{Answer, Pair, SECRET, classic, fields};
use crate::harness::{Db, TestBroker, new_file};

impl TestBroker {
    async fn names(&self, pair: &Pair, ticket: i64, post: i64, more: &str) -> Answer {
        let said = pair.says("1");
        self.posts(format!("{said}&ticketid={ticket}&ticketpostid={post}&{more}")).await
    }
}

async fn a_confirmed_slip_is_attached_by_its_number(db: Db) {
    let broker = classic(db).start().await;
    let pair = broker.pair();
    let bytes = vec![7; 1 << 20];
    let file = broker.active(&new_file("photo & co.bin", "application/octet-stream"), &bytes).await;
    let id = file["id"].as_i64().unwrap();
    let answer = broker.names(&pair, 12, 31, &format!("fileid={id}")).await;
    let made = answer.attachment();
    assert_eq!((made.id, made.ticket, made.post, made.size), (id, 12, 31, 1 << 20), "{}", answer.body);
    assert_eq!((made.name.as_str(), made.contents.as_ref()), ("photo & co.bin", None));
    assert_eq!(broker.on_the_ticket(12).await, std::slice::from_ref(&made));
    let read = broker.signed("GET", &format!("/Tickets/TicketAttachment/12/{id}")).await.attachment();
    assert!(read.contents.as_deref() == Some(&bytes));
    // Again changes nothing, and what else is said of its name is not looked at.
    assert_eq!(broker.names(&pair, 12, 31, &format!("filename=other.exe&fileid={id}")).await.attachment(), made);
    // Moved to another post, and on a second ticket too.
    assert_eq!(broker.names(&pair, 12, 32, &format!("fileid={id}")).await.attachment().post, 32);
    assert_eq!(broker.on_the_ticket(12).await[0].post, 32);
    assert_eq!(broker.signed("GET", "/Tickets/TicketPost/ListAll/12/31").await.attachments(), []);
    assert_eq!(broker.names(&pair, 13, 1, &format!("fileid={id}")).await.attachment().ticket, 13);
    assert_eq!((broker.on_the_ticket(12).await.len(), broker.on_the_ticket(13).await.len()), (1, 1));
    // Credentials may come last here too, and in the query.
    let last = format!("ticketid=14&fileid={id}&ticketpostid=2&{}", pair.says("2"));
    assert_eq!(broker.posts(last).await.attachment().ticket, 14);
    let url = format!("/api/index.php?e=/Tickets/TicketAttachment&{}", pair.says("3"));
    let in_query = broker.form(&url, format!("ticketid=15&ticketpostid=2&fileid={id}")).await;
    assert_eq!(in_query.attachment().ticket, 15);
}

async fn only_what_is_there_and_ones_own_is_attached(db: Db) {
    let broker = classic(db).start().await;
    let pair = broker.pair();
    let slip = broker.text_slip().await;
    let refused = broker.names(&pair, 12, 31, &format!("fileid={}", slip.id)).await;
    assert_eq!(refused.refusal().0, 400, "nothing was uploaded yet");
    assert!(refused.body.starts_with("fileid "), "{}", refused.body);
    broker.drop_bytes(&slip, b"Hello").await;
    assert_eq!(broker.confirm(slip.id).await.0, 200);
    assert_eq!(broker.names(&pair, 12, 31, &format!("fileid={}", slip.id)).await.attachment().size, 5);

    let stranger = Pair::of(SECRET, &broker.new_token("acme", 1, "files:read,files:write,files:delete").await);
    let of_others = broker.names(&stranger, 12, 31, &format!("fileid={}", slip.id)).await;
    let of_nobody = broker.names(&stranger, 12, 31, "fileid=999999").await;
    assert!([400, 404].contains(&of_others.refusal().0), "{}", of_others.body);
    assert_eq!((of_others.status, &of_others.body), (of_nobody.status, &of_nobody.body), "as of a file that there is not");
    assert_eq!(broker.signed_by(&stranger, "GET", "/Tickets/TicketAttachment/ListAll/12").await.attachments(), []);

    let gone = broker.active_note("gone").await;
    assert_eq!(broker.request("DELETE", &format!("/v2/files/{gone}.json")).send().await.unwrap().status(), 204);
    let good = format!("fileid={}", slip.id);
    for (more, about) in [
        (format!("fileid={gone}"), "fileid"),
        ("fileid=0".to_owned(), "fileid"),
        ("fileid=-1".to_owned(), "fileid"),
        ("fileid=x".to_owned(), "fileid"),
        ("fileid=9007199254740993".to_owned(), "fileid"),
        (format!("{good}&filename=a.txt&contents=SGVsbG8%3D"), "fileid"),
        (format!("filename=a.txt&contents=SGVsbG8%3D&{good}"), "fileid"),
    ] {
        let answer = broker.names(&pair, 12, 33, &more).await;
        let (status, text) = answer.refusal();
        assert!([400, 404].contains(&status) && text.starts_with(about), "{more}: {status} {text}");
        assert!(status == 400 || more == format!("fileid={gone}"), "{more}: {status}");
    }
    let large = format!("filename=a.txt&contents={}&{good}&ticketid=12&ticketpostid=31&{}", "A".repeat(3 << 20), pair.says("1"));
    assert_eq!(broker.posts(large).await.refusal().0, 400);
    assert_eq!(
        broker.on_the_ticket(12).await.iter().map(|one| (one.id, one.post)).collect::<Vec<_>>(),
        [(slip.id, 31)],
        "nothing was moved"
    );
    let missing = broker.posts(format!("{}&{good}", pair.says("1"))).await;
    assert_eq!(missing.refusal(), (400, "ticketid must be set\nticketpostid must be set\n"));
    // Attaching is writing.
    let reader = Pair::of(SECRET, &broker.new_token("default", 7, "files:read,files:delete").await);
    assert_eq!(broker.names(&reader, 12, 34, &good).await.refusal().0, 403);
    // Whose number it is must be readable too: the answer tells what it is.
    let writer = Pair::of(SECRET, &broker.new_token("default", 7, "files:write").await);
    assert_eq!(broker.names(&writer, 12, 34, &good).await.refusal().0, 403);
    assert_eq!(broker.on_the_ticket(12).await[0].post, 31, "nothing was moved");
    let both = Pair::of(SECRET, &broker.new_token("default", 7, "files:read,files:write").await);
    assert_eq!(broker.names(&both, 12, 34, &good).await.attachment().post, 34);
}

/// A file that was to end by itself stays once a ticket holds it.
async fn a_file_that_would_end_stays_on_its_ticket(db: Db) {
    let broker = classic(db).start().await;
    let (status, made) = broker.sends("?_filename=a.txt", "text/plain", "Hello").await;
    assert_eq!((status, made["data"]["expiry_at"].is_string()), (201, true), "{made}");
    let id = made["data"]["id"].as_i64().unwrap();
    let body = fields(&[("ticketid", "12"), ("ticketpostid", "31"), ("fileid", &id.to_string())]);
    assert_eq!(broker.posts(format!("{body}&{}", broker.pair().says("1"))).await.attachment().id, id);
    let (_, held) = broker.kayako("GET", &format!("/files/{id}.json")).await;
    assert_eq!((&held["data"]["expiry_at"], &held["data"]["content"]), (&json!(null), &json!("SGVsbG8=")));
}

on_both_engines!(
    a_confirmed_slip_is_attached_by_its_number,
    only_what_is_there_and_ones_own_is_attached,
    a_file_that_would_end_stays_on_its_ticket
);
