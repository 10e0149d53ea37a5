//! The open door under load: somebody hammers it, and whoever has a good key notices nothing.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::client::{Answer, FORM, INDEX, Pair, classic, description, fields};
use super::hostile::{Body, answered};
use crate::harness::{Db, TestBroker};
use crate::kayako::sending::noise;

const MIB: usize = 1 << 20;

/// Those who come from there.
fn from(address: [u8; 4]) -> reqwest::Client {
    let told = std::net::Ipv4Addr::from(address).to_string().parse().unwrap();
    let headers = [(reqwest::header::HeaderName::from_static("x-forwarded-for"), told)].into_iter().collect();
    reqwest::Client::builder().default_headers(headers).build().unwrap()
}

struct Hammer {
    on: Arc<AtomicBool>,
    /// By status.
    answers: Arc<Mutex<std::collections::BTreeMap<u16, usize>>>,
    running: tokio::task::JoinSet<()>,
}

impl Hammer {
    /// So many at once, over and over, from one address.
    fn with(broker: &TestBroker, many: usize, body: &str) -> Self {
        let (on, answers) = (Arc::new(AtomicBool::new(true)), Arc::new(Mutex::new(std::collections::BTreeMap::new())));
        let mut running = tokio::task::JoinSet::new();
        let body = bytes::Bytes::from(body.to_owned());
        let url = format!("{}{INDEX}?e=/Tickets/TicketAttachment", broker.base);
        for _ in 0..many {
            let (on, answers, body, url) = (on.clone(), answers.clone(), body.clone(), url.clone());
            running.spawn(async move {
                let http = from([203, 0, 113, 1]);
                while on.load(Ordering::Relaxed) {
                    // One that is refused amid its body may see a broken connection.
                    let sent = http.post(&url).header("content-type", FORM).body(body.clone()).send().await;
                    let status = sent.map_or(0, |response| response.status().as_u16());
                    *answers.lock().unwrap().entry(status).or_default() += 1;
                }
            });
        }
        Self { on, answers, running }
    }

    fn count(&self) -> usize {
        self.answers.lock().unwrap().values().sum()
    }

    async fn ends(self) -> std::collections::BTreeMap<u16, usize> {
        self.on.store(false, Ordering::Relaxed);
        self.running.join_all().await;
        self.answers.lock().unwrap().clone()
    }
}

async fn legitimate(broker: &TestBroker, http: &reqwest::Client, pair: &Pair, body: String, case: &str) -> Answer {
    let url = format!("{}{INDEX}?e=/Tickets/TicketAttachment", broker.base);
    let answer = Answer::of(http.post(url).header("content-type", FORM).body(body)).await;
    assert_eq!(answer.status, 200, "{case}: {}", answer.body);
    let made = answer.attachment();
    let one = format!("{}{INDEX}?e=/Tickets/TicketAttachment/{}/{}&{}", broker.base, made.ticket, made.id, pair.says("5"));
    let read = Answer::of(http.get(one)).await;
    assert_eq!(read.attachment().contents.map(|contents| contents.len()), Some(made.size), "{case}");
    answer
}

async fn good_calls_go_on_while_one_address_hammers(db: Db) {
    let broker = classic(db).start().await;
    let pair = broker.pair();
    let bad = fields(&[("apikey", &pair.apikey), ("salt", "1"), ("signature", &pair.signature("2"))]);
    let hammer = Hammer::with(&broker, 8, &format!("{}&{bad}", description(3, 4, "a.bin", &noise(2 * MIB))));
    let (said, small, large) = (pair.says("1"), description(7, 1, "b.txt", b"Hello"), description(8, 1, "c.bin", &noise(3 * MIB)));
    let made = AtomicUsize::new(0);
    let (same, other) = (from([203, 0, 113, 1]), from([203, 0, 113, 2]));
    let mut rounds = 0;
    while rounds < 4 || hammer.count() < 40 {
        rounds += 1;
        for (case, http, body) in [
            ("small, signed first, from there", &same, format!("{said}&{small}")),
            ("large, signed first, from there", &same, format!("{said}&{large}")),
            ("small, signed first", &other, format!("{said}&{small}")),
            ("small, signed last", &other, format!("{small}&{said}")),
            ("large, signed first", &other, format!("{said}&{large}")),
            ("large, signed last", &other, format!("{large}&{said}")),
        ] {
            legitimate(&broker, http, &pair, body, case).await;
            made.fetch_add(1, Ordering::Relaxed);
        }
        assert!(broker.on_the_ticket(3).await.is_empty());
        assert_eq!(broker.signed("GET", "/Core/TestAPI").await.status, 200);
        assert!(rounds < 200, "nobody hammers: {}", hammer.count());
    }
    let answers = hammer.ends().await;
    println!("{rounds} rounds; the hammer was answered {answers:?}");
    assert!(answers.get(&401).is_some_and(|count| *count > 0), "{answers:?}");
    assert!(answers.keys().all(|status| [0, 401, 429, 503].contains(status)), "{answers:?}");
    broker.comes_to(made.load(Ordering::Relaxed), "nothing of all that is left").await;
    assert!(broker.server.broker.reconcile().await.unwrap().is_clean());
}

/// Small ones are read into memory first: nobody can have all of that.
async fn good_calls_go_on_while_one_address_stops_amid_small_bodies(db: Db) {
    let broker = classic(db).start().await;
    let pair = broker.pair();
    let said = pair.says("1");
    let body = description(3, 4, "a.bin", &noise(700_000));
    assert!((800_000..MIB).contains(&body.len()), "{}", body.len());
    let mut stopped = Vec::new();
    for _ in 0..40 {
        stopped.push(Body::begun(&broker, [203, 0, 113, 1], &body, 800_000).await);
    }
    let other = from([203, 0, 113, 2]);
    let (small, middle, large) =
        (description(7, 1, "b.txt", b"Hello"), description(7, 1, "b.bin", &noise(600_000)), description(8, 1, "c.bin", &noise(3 * MIB)));
    for _ in 0..5 {
        for (case, body) in [
            ("small, signed last", format!("{small}&{said}")),
            ("nearly as large as memory takes, signed last", format!("{middle}&{said}")),
            ("small, signed first", format!("{said}&{small}")),
            ("large, signed first", format!("{said}&{large}")),
            ("large, signed last", format!("{large}&{said}")),
        ] {
            legitimate(&broker, &other, &pair, body, case).await;
        }
        assert_eq!(broker.signed("GET", "/Core/TestAPI").await.status, 200);
        legitimate(&broker, &from([203, 0, 113, 1]), &pair, format!("{said}&{large}"), "signed first, from there").await;
    }
    drop(stopped);
    broker.comes_to(30, "nothing of what stopped is left").await;
    let whole = format!("{body}&{said}");
    let (status, text) = answered(Body::begun(&broker, [203, 0, 113, 1], &whole, whole.len()).await.stream).await;
    assert_eq!(status, 200, "there is room again: {text}");
}

on_both_engines!(good_calls_go_on_while_one_address_hammers, good_calls_go_on_while_one_address_stops_amid_small_bodies);
