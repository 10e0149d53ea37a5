//! Refusals: short texts, and the statuses that clients know.

use super::client::{Answer, INDEX, classic, description};
use crate::harness::{Bed, Db, Setup};

async fn numbers_that_are_none_are_404(db: Db) {
    let broker = classic(db).start().await;
    let made = broker.attached(3, 4, "a.txt", b"Hello").await;
    let id = made.id;
    let good = format!("/Tickets/TicketAttachment/3/{id}");
    for path in [
        format!("/Tickets/TicketAttachment/4/{id}"),
        "/Tickets/TicketAttachment/3/999999".to_owned(),
        "/Tickets/TicketAttachment/3/0".to_owned(),
        "/Tickets/TicketAttachment/3/-1".to_owned(),
        "/Tickets/TicketAttachment/3/x".to_owned(),
        "/Tickets/TicketAttachment/3/9007199254740993".to_owned(),
        "/Tickets/TicketAttachment/3/99999999999999999999".to_owned(),
        format!("/Tickets/TicketAttachment/0/{id}"),
        format!("/Tickets/TicketAttachment/x/{id}"),
        format!("/Tickets/TicketAttachment/3/{id}.0"),
        format!("/Tickets/TicketAttachment/3/%252B{id}"),
        format!("/Tickets/TicketAttachment/3/{id}/1"),
    ] {
        for method in ["GET", "DELETE"] {
            let answer = broker.signed(method, &path).await;
            assert_eq!(answer.status, 404, "{method} {path}: {}", answer.body);
            answer.refusal();
        }
    }
    for path in [
        "/Tickets/TicketAttachment/ListAll/0",
        "/Tickets/TicketAttachment/ListAll/-1",
        "/Tickets/TicketAttachment/ListAll/x",
        "/Tickets/TicketAttachment/ListAll/9007199254740993",
        "/Tickets/TicketAttachment/ListAll",
        "/Tickets/TicketPost/ListAll/3",
        "/Tickets/TicketPost/ListAll/3/0",
        "/Tickets/TicketPost/ListAll/3/x",
        "/Tickets/TicketPost/ListAll/x/4",
        "/Tickets/TicketPost/ListAll/3/4/5",
        "/Tickets/TicketPost/ListAll",
        "/Tickets/TicketPost/3/4",
        "/Tickets/Ticket/ListAll/3",
        "/Tickets/Ticket/3",
        "/Base/User",
        "/Core",
        "/Core/TestAPIs",
        "/",
        "",
        "/Tickets",
        "/Tickets/TicketAttachment/../Core",
    ] {
        let answer = broker.signed("GET", path).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
        answer.refusal();
    }
    for url in ["/api/Tickets/Nothing", "/api/Tickets/TicketPost/ListAll/3", "/api/Tickets/", "/api/Core/Nothing"] {
        let answer = broker.classic("GET", &format!("{url}?{}", broker.pair().says("1"))).await;
        assert_eq!(answer.refusal().0, 404, "{url}: {}", answer.body);
    }
    assert_eq!(broker.on_the_ticket(3).await, std::slice::from_ref(&made));
    assert_eq!(broker.signed("GET", &good).await.attachment().id, id);
    assert_eq!(broker.on_the_ticket(9_007_199_254_740_992).await, []);
}

async fn other_methods_are_405_with_those_that_there_are(db: Db) {
    let broker = classic(db).start().await;
    let made = broker.attached(3, 4, "a.txt", b"Hello").await;
    let one = format!("/Tickets/TicketAttachment/3/{}", made.id);
    let said = broker.pair().says("1");
    for (path, allowed) in [
        ("/Tickets/TicketAttachment/ListAll/3", vec!["GET"]),
        (one.as_str(), vec!["DELETE", "GET"]),
        ("/Tickets/TicketPost/ListAll/3/4", vec!["GET"]),
        ("/Tickets/TicketAttachment", vec!["POST"]),
    ] {
        for method in ["PUT", "PATCH", "POST", "DELETE", "GET", "REPORT"] {
            if allowed.contains(&method) {
                continue;
            }
            for url in [format!("{INDEX}?e={path}&{said}"), format!("/api{path}?{said}")] {
                let answer = broker.classic(method, &url).await;
                assert_eq!(answer.refusal().0, 405, "{method} {url}: {}", answer.body);
                let mut told: Vec<_> = answer.header("allow").split(',').map(str::trim).filter(|method| *method != "HEAD").collect();
                told.sort_unstable();
                assert_eq!(told, allowed, "{method} {url}");
            }
        }
    }
    assert_eq!(broker.on_the_ticket(3).await, [made]);
}

/// What is off is nothing: not even its words are spoken.
#[tokio::test(flavor = "multi_thread")]
async fn where_the_dialect_is_off_its_paths_are_nobodys() {
    for dialects in ["desk", "desk,companion,kayako", "kayako-classic", "kayako,kayako-classic"] {
        let setup = Setup::on(Bed::Embedded).setting("DROPSLIP_DIALECTS", dialects);
        let broker = setup.setting("DROPSLIP_SECRETS", super::client::SECRET).start().await;
        let said = broker.pair().says("1");
        for url in [
            format!("{INDEX}?e=/Core/TestAPI&{said}"),
            format!("{INDEX}?/Core/TestAPI&{said}"),
            format!("/api/?e=/Core/TestAPI&{said}"),
            format!("/api?e=/Core/TestAPI&{said}"),
            format!("/api/Core/TestAPI?{said}"),
            format!("/api/Core/TestAPI&{said}"),
        ] {
            let response = broker.http.get(format!("{}{url}", broker.base)).send().await.unwrap();
            let expected = if dialects.contains("classic") { 200 } else { 404 };
            assert_eq!(response.status(), expected, "{dialects}: {url}");
        }
        // Kayako's own calls go through the same file.
        let me = broker.http.get(format!("{}{INDEX}?/v1/me.json", broker.base)).bearer_auth(&broker.token).send().await.unwrap();
        let expected = match dialects {
            "kayako-classic" | "desk" => 404,
            _ => 200,
        };
        assert_eq!(me.status(), expected, "{dialects}");
    }
}

async fn what_is_too_long_is_refused(db: Db) {
    let broker = classic(db).start().await;
    let said = broker.pair().says("1");
    let whole = broker.attaching(3, 4, "a.txt", b"Hello");
    let many = "&x=1".repeat(100_000);
    for body in [
        format!("{whole}&more={}", "x".repeat(70_000)),
        format!("{whole}{many}"),
        format!("{}={whole}", "x".repeat(70_000)),
        format!("filename={}&{said}&ticketid=3&ticketpostid=4&contents=SGVsbG8%3D", "x".repeat(70_000)),
    ] {
        let answer = broker.posts(body).await;
        assert!([400, 413].contains(&answer.refusal().0), "{} {}", answer.status, answer.body);
    }
    broker.comes_to(0, "refused").await;
    let fits = format!("{whole}&more={}", "x".repeat(50_000));
    assert_eq!(broker.posts(fits).await.status, 200);
}

async fn limits_are_429_and_say_when_to_come_again(db: Db) {
    let broker = classic(db).setting("DROPSLIP_ACTOR_REQUESTS_PER_SECOND", "1").start().await;
    let url = format!("{}{INDEX}?e=/Tickets/TicketAttachment/ListAll/3&{}", broker.base, broker.pair().says("1"));
    let asks = (0..30).map(|_| Answer::of(broker.http.get(&url)));
    let answers = futures_util::future::join_all(asks).await;
    assert!(answers.iter().any(|answer| answer.status == 200));
    let refused = answers.iter().find(|answer| answer.status != 200).unwrap();
    assert_eq!(refused.refusal().0, 429);
    assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 1);

    // What a form can hold by its length is reserved; of one that says none, as much as its type takes.
    for (most, is_chunked, length, status) in
        [("99 MiB", true, 1000, 429), ("101 MiB", true, 1000, 200), ("99 MiB", false, 1000, 200), ("1 MiB", false, 3 << 20, 429)]
    {
        let broker = classic(db).setting("DROPSLIP_ACTOR_RESERVED_BYTES", most).start().await;
        let (said, description) = (broker.pair().says("1"), description(3, 4, "a.txt", &vec![b'x'; length]));
        for (files, form) in [format!("{said}&{description}"), format!("{description}&{said}")].into_iter().enumerate() {
            let body = if is_chunked {
                reqwest::Body::wrap_stream(futures_util::stream::iter([Ok::<_, std::io::Error>(form)]))
            } else {
                form.into()
            };
            let answer = broker.posts(body).await;
            assert_eq!(answer.status, status, "{most}, {length}: {}", answer.body);
            if status == 429 {
                assert!(answer.refusal().0 == 429 && !answer.header("retry-after").is_empty());
            }
            broker.comes_to(if status == 200 { files + 1 } else { 0 }, most).await;
        }
    }
}

on_both_engines!(
    numbers_that_are_none_are_404,
    other_methods_are_405_with_those_that_there_are,
    what_is_too_long_is_refused,
    limits_are_429_and_say_when_to_come_again
);
