//! Every way in which clients write where they mean.

use super::client::{FORM, INDEX, all_escaped, description, escaped, fields};
use super::client::{Pair, classic};
use crate::harness::{Db, TestBroker};

/// Puts what is not empty together.
fn joined(pieces: &[&str], between: &str) -> String {
    pieces.iter().filter(|piece| !piece.is_empty()).copied().collect::<Vec<_>>().join(between)
}

/// The path and what else is said, in each style.
fn written(path: &str, said: &str) -> Vec<(&'static str, String)> {
    let e = format!("e={path}");
    let escaped_e = format!("e={}", escaped(path));
    let (with_sign, escaped_path) = (format!("{path}="), escaped(path));
    let with_both = format!("{escaped_path}=");
    let in_query = |first: &str, second: &str| joined(&[first, second], "&");
    vec![
        ("e comes first", format!("{INDEX}?{}", in_query(&e, said))),
        ("e comes last", format!("{INDEX}?{}", in_query(said, &e))),
        ("e is escaped", format!("{INDEX}?{}", in_query(&escaped_e, said))),
        ("a bare path", format!("{INDEX}?{}", in_query(path, said))),
        ("a bare path with a sign", format!("{INDEX}?{}", in_query(&with_sign, said))),
        ("an escaped bare path", format!("{INDEX}?{}", in_query(&escaped_path, said))),
        ("an escaped bare path with a sign", format!("{INDEX}?{}", in_query(&with_both, said))),
        ("e at the root", format!("/api/?{}", in_query(&e, said))),
        ("e last at the root", format!("/api/?{}", in_query(said, &e))),
        ("a bare path at the root", format!("/api/?{}", in_query(path, said))),
        ("e without a slash before it", format!("/api?{}", in_query(&e, said))),
        ("a bare path without a slash before it", format!("/api?{}", in_query(path, said))),
        ("a path and a query", joined(&[&format!("/api{path}"), said], "?")),
        ("the whole call as a path", format!("/api{}", in_query(path, said))),
    ]
}

/// The path as some clients change it.
fn changed(path: &str) -> Vec<(&'static str, String)> {
    let words: Vec<_> = path.split('/').map(escaped).collect();
    let hex: Vec<_> = path.split('/').map(|word| all_escaped(word).to_lowercase()).collect();
    vec![
        ("as it is", path.to_owned()),
        ("a slash behind it", format!("{path}/")),
        ("a doubled slash", path.replace("TicketAttachment/", "TicketAttachment//").replace("ListAll/", "ListAll//")),
        ("both", format!("{}/", path.replace("TicketAttachment/", "TicketAttachment//"))),
        ("each word is escaped", words.join("/")),
        ("each letter is escaped", hex.join("/")),
    ]
}

/// How many styles there are.
fn count() -> usize {
    written("", "").len()
}

struct Styled<'a> {
    broker: &'a TestBroker,
    pair: Pair,
    /// Which style, and which change of the path.
    place: (usize, usize),
}

impl Styled<'_> {
    fn url(&self, path: &str, said: &str) -> (String, String) {
        let (change, path) = &changed(path)[self.place.1];
        let (style, url) = &written(path, said)[self.place.0];
        (url.clone(), format!("{style}, {change}: {url}"))
    }

    /// Nobody escapes what is escaped.
    fn is_real(&self) -> bool {
        let (style, change) = (written("", "")[self.place.0].0, changed("")[self.place.1].0);
        !(style.contains("escaped") && change.contains("escaped"))
    }

    async fn lives(&self) {
        let ticket = 1000 + i64::try_from(self.place.0 * 10 + self.place.1).unwrap();
        let said = self.pair.says("-987654321");
        let (url, how) = self.url("/Tickets/TicketAttachment", "");
        let made = self.broker.form(&url, format!("{said}&{}", description(ticket, 2, "a.txt", b"Hello"))).await;
        assert_eq!(made.status, 200, "POST {how}: {}", made.body);
        let id = made.attachment().id;
        let (url, how) = self.url(&format!("/Tickets/TicketAttachment/ListAll/{ticket}"), &said);
        let list = self.broker.classic("GET", &url).await;
        assert_eq!(list.status, 200, "GET {how}: {}", list.body);
        assert_eq!(list.attachments(), [made.attachment()], "GET {how}");
        let (url, how) = self.url(&format!("/Tickets/TicketPost/ListAll/{ticket}/2"), &said);
        let of_post = self.broker.classic("GET", &url).await;
        assert_eq!(of_post.status, 200, "GET {how}: {}", of_post.body);
        let one = format!("/Tickets/TicketAttachment/{ticket}/{id}");
        let (url, how) = self.url(&one, &said);
        let read = self.broker.classic("GET", &url).await;
        assert_eq!(read.status, 200, "GET {how}: {}", read.body);
        assert_eq!(read.attachment().contents.as_deref(), Some(&b"Hello"[..]), "GET {how}");
        assert_eq!(of_post.attachments(), read.attachments(), "GET {how}");
        let gone = self.broker.classic("DELETE", &url).await;
        assert_eq!((gone.status, gone.attachments()), (200, vec![]), "DELETE {how}");
        assert_eq!(self.broker.classic("DELETE", &url).await.refusal().0, 404, "DELETE {how}");
        // The signature was looked at.
        let (url, how) = self.url(&one, "apikey=x&salt=1&signature=x");
        assert_eq!(self.broker.classic("GET", &url).await.refusal().0, 401, "GET {how}");
    }
}

async fn every_operation_works_in_every_style(db: Db) {
    let broker = classic(db).start().await;
    for style in 0..count() {
        for change in 0..changed("").len() {
            let styled = Styled { broker: &broker, pair: broker.pair(), place: (style, change) };
            if styled.is_real() {
                styled.lives().await;
            }
        }
    }
}

async fn a_call_as_a_path_takes_a_signature_that_nobody_escaped(db: Db) {
    let broker = classic(db).start().await;
    let pair = broker.pair();
    let made = broker.attached(3, 4, "a.txt", b"Hello").await;
    for characters in ["/", "+", "+/", "//"] {
        let salt = pair.salt_with(1, characters);
        let said = pair.says_raw(&salt);
        for path in ["/Tickets/TicketAttachment/ListAll/3", "/Tickets/TicketAttachment//ListAll/3/"] {
            for url in [format!("/api{path}&{said}"), format!("/api{path}?{said}")] {
                assert_eq!(broker.classic("GET", &url).await.attachments(), std::slice::from_ref(&made), "{url}");
                let wrong = url.replace(&salt, &format!("{salt}0"));
                assert_eq!(broker.classic("GET", &wrong).await.refusal().0, 401, "{wrong}");
            }
        }
    }
    let salt = pair.salt_with(1, "+/");
    let url = format!("/api/Tickets/TicketAttachment/3/{}&{}", made.id, pair.says_raw(&salt));
    assert_eq!(broker.classic("DELETE", &url).await.attachments(), []);
}

async fn a_form_may_say_where_it_goes(db: Db) {
    let broker = classic(db).start().await;
    let said = format!("{}&{}", broker.pair().says("abcdefg"), description(3, 4, "a.txt", b"Hello"));
    let e = fields(&[("e", "/Tickets/TicketAttachment")]);
    for url in [INDEX, "/api/", "/api"] {
        for body in [format!("{e}&{said}"), format!("{said}&{e}"), format!("e=/Tickets/TicketAttachment/&{said}")] {
            assert_eq!(broker.form(url, body.clone()).await.attachment().name, "a.txt", "{url} {body}");
        }
        let nowhere = broker.form(url, said.clone()).await;
        assert_eq!(nowhere.refusal().0, 404, "{url}: {}", nowhere.body);
        let elsewhere = broker.form(url, format!("e=/Tickets/Nothing&{said}")).await;
        assert_eq!(elsewhere.refusal().0, 404, "{url}: {}", elsewhere.body);
    }
    assert_eq!(broker.on_the_ticket(3).await.len(), 9);
}

async fn what_is_said_twice_is_the_same_or_refused(db: Db) {
    let broker = classic(db).start().await;
    let (pair, e) = (broker.pair(), "e=/Tickets/TicketAttachment");
    let description = description(3, 4, "a.txt", b"Hello");
    let said = pair.says("1");
    let whole = format!("{said}&{description}");
    for again in [&said, "ticketid=3", "ticketpostid=4&filename=a.txt", e, "contents=SGVsbG8%3D"] {
        let answer = broker.form(&format!("{INDEX}?{e}&{again}"), whole.clone()).await;
        assert_eq!(answer.status, 200, "{again}: {}", answer.body);
    }
    let there = broker.on_the_ticket(3).await.len();
    let other = pair.says("2");
    for (differently, names) in [
        (other.as_str(), vec!["salt", "signature"]),
        ("ticketid=5", vec!["ticketid"]),
        ("filename=b.txt", vec!["filename"]),
        ("apikey=0123456789abcdef", vec!["apikey"]),
    ] {
        let answer = broker.form(&format!("{INDEX}?{e}&{differently}"), whole.clone()).await;
        let (status, text) = answer.refusal();
        assert!(status == 400 && names.iter().any(|name| text.contains(name)), "{differently}: {status} {text}");
    }
    for body in [
        format!("{whole}&contents=V29ybGQ%3D"),
        format!("contents=V29ybGQ%3D&{whole}"),
        format!("{whole}&ticketid=5"),
        format!("ticketpostid=9&{whole}"),
        format!("{whole}&e=/Core/TestAPI"),
    ] {
        let answer = broker.form(&format!("{INDEX}?{e}"), body.clone()).await;
        assert_eq!(answer.refusal().0, 400, "{body}: {}", answer.body);
    }
    let twice = broker.classic("GET", &format!("{INDEX}?e=/Tickets/TicketAttachment/ListAll/3&{said}&salt=2")).await;
    assert_eq!(twice.refusal().0, 400, "{}", twice.body);
    let same = broker.classic("GET", &format!("{INDEX}?e=/Tickets/TicketAttachment/ListAll/3&{said}&{said}")).await;
    assert_eq!(same.attachments().len(), there, "and nothing of what was refused");
}

/// Whatever a client says its empty body is.
async fn a_call_without_a_body_is_taken_whatever_it_is_called(db: Db) {
    let broker = classic(db).start().await;
    broker.attached(3, 4, "a.txt", b"Hello").await;
    let url = format!("{}{INDEX}?e=/Tickets/TicketAttachment/ListAll/3&{}", broker.base, broker.pair().says("1"));
    for content_type in ["application/json", FORM, "text/xml", "multipart/form-data; boundary=x", ""] {
        let request = broker.http.get(&url);
        let request = if content_type.is_empty() { request } else { request.header("content-type", content_type).body("") };
        assert_eq!(super::client::Answer::of(request).await.attachments().len(), 1, "{content_type}");
    }
    for accept in ["text/html", "*/*", "application/json", ""] {
        let request = broker.http.get(&url).header("accept", accept);
        assert_eq!(super::client::Answer::of(request).await.attachments().len(), 1, "{accept}");
    }
}

on_both_engines!(
    every_operation_works_in_every_style,
    a_call_as_a_path_takes_a_signature_that_nobody_escaped,
    a_form_may_say_where_it_goes,
    what_is_said_twice_is_the_same_or_refused,
    a_call_without_a_body_is_taken_whatever_it_is_called
);
