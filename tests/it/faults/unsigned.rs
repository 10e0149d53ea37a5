//! Bytes that come before it is known whose they are: a file in the end, or nothing at all.

use std::net::IpAddr;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dropslip::broker::{AttachError, BrokerError, Described, Known, Receiving, Unsigned};
use dropslip::domain::{Actor, ActorKind, Address, Caller, FileName, PostId, Scopes, TicketId, TicketPlace, TypeLimit};
use futures_util::TryStreamExt as _;
#[cfg(feature = "failpoints")]
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::proxy::{Break, INTERNAL_ERROR, Proxy};
use super::receiving_clients::noise;
use super::world::{Through, World};
#[cfg(feature = "failpoints")]
use super::{
    death::{confirm, populated, was_killed},
    use_cases::{doing, outcomes},
    world::unique_bytes,
};
use crate::harness::{Bed, Db, Setup, TestBroker, count, from_servers, short_lived};

const BOUND: Duration = Duration::from_secs(20);

/// More than two parts.
const LARGE: usize = 20 << 20;

const PLACE: TicketPlace = TicketPlace { ticket: TicketId(7), post: Some(PostId(31)) };

fn user() -> Caller {
    Caller {
        actor: Actor { id: 1, kind: ActorKind::Users },
        tenant: "default".parse().unwrap(),
        scopes: Scopes::all(),
        types: TypeLimit::default(),
        dialect: None,
    }
}

fn described(name: &str) -> Described {
    Described { name: FileName::sanitized(name), declared_type: None, md5: None }
}

fn address(last: u8) -> Address {
    IpAddr::from([192, 0, 2, last]).into()
}

async fn begun(broker: &TestBroker, from: Option<Address>) -> Result<Unsigned, BrokerError> {
    broker.server.broker.receive_unsigned("artifact", from, OffsetDateTime::now_utc()).await
}

/// So many bytes that came, and nobody knows whose they are.
async fn came(broker: &TestBroker, bytes: &[u8]) -> Unsigned {
    let mut unsigned = begun(broker, None).await.unwrap();
    for piece in bytes.chunks(60_000) {
        unsigned.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    unsigned
}

async fn wrote(receiving: &mut Receiving, bytes: &[u8]) {
    for piece in bytes.chunks(60_000) {
        receiving.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
}

/// One embedded, one over the network.
async fn on_both_beds(db: Db) -> [TestBroker; 2] {
    [Setup::on(Bed::Embedded).database(db).start().await, Setup::on(Bed::SeaweedFs).database(db).start().await]
}

async fn what_is_signed_in_the_end_is_a_file_like_all_others(db: Db) {
    for broker in on_both_beds(db).await {
        for (place, length) in [5, 100_000, 8 << 20, LARGE].into_iter().enumerate() {
            let (case, bytes) = (format!("{length} bytes on {:?}", broker.bed), noise(length));
            // All of it came before, or half of it.
            let before = if place % 2 == 0 { length } else { length / 2 };
            let unsigned = came(&broker, &bytes[..before]).await;
            assert_eq!(broker.records().await, 0, "{case}: nobody is told of a file");
            let mut receiving = unsigned.signed(&user(), Known::default()).await.unwrap();
            assert_eq!(broker.records().await, 1, "{case}");
            wrote(&mut receiving, &bytes[before..]).await;
            receiving.end(described("a.bin")).await.unwrap();
            let files = receiving.claim_on(PLACE).await.unwrap();
            let file = &files[0];
            assert_eq!((files.len(), file.size(), file.name.as_str()), (1, length as u64, "a.bin"), "{case}");
            assert_eq!(broker.bytes_of(file.sealed_key().unwrap().as_str()).await, bytes, "{case}");
            assert_eq!(file.keep_until, None, "{case}");
            let attachment = broker.server.broker.attachment(&user(), PLACE.ticket, file.id).await.unwrap();
            assert_eq!((&attachment.file, attachment.post), (file, PLACE.post), "{case}");
            broker.until_nothing_is_left(place + 1, &case).await;
        }
    }
}

async fn what_nobody_signs_leaves_nothing(db: Db) {
    for broker in on_both_beds(db).await {
        for length in [0, 5, 100_000, 9 << 20, LARGE] {
            let case = format!("{length} bytes on {:?}", broker.bed);
            let unsigned = came(&broker, &noise(length)).await;
            assert_eq!(count(&broker.database_url, "SELECT COUNT(*) FROM doomed_objects").await, 1, "{case}: its key was doomed before");
            drop(unsigned);
            broker.until_nothing_is_left(0, &case).await;
        }
    }
}

async fn what_is_refused_once_it_is_known_whose_it_is_leaves_nothing(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    for length in [100_000, LARGE] {
        let bytes = noise(length);
        let reads = Caller { scopes: "files:read".parse().unwrap(), ..user() };
        let other_types = Caller { types: TypeLimit::to(["image".to_owned()]), ..user() };
        assert!(matches!(came(&broker, &bytes).await.signed(&reads, Known::default()).await, Err(BrokerError::Forbidden(_))));
        assert!(matches!(came(&broker, &bytes).await.signed(&other_types, Known::default()).await, Err(BrokerError::ForbiddenType(_))));
        let fewer = Known { size: Some(10), ..Known::default() };
        let mut receiving = came(&broker, &bytes).await.signed(&user(), fewer).await.unwrap();
        assert!(matches!(receiving.end(described("a.bin")).await, Err(BrokerError::Invalid(_))), "other bytes than were promised");
        drop(receiving);
        // A customer may upload, and may not say what is on a ticket.
        let customer = Caller { actor: Actor { id: 1, kind: ActorKind::Customers }, ..user() };
        let mut receiving = came(&broker, &bytes).await.signed(&customer, Known::default()).await.unwrap();
        receiving.end(described("a.bin")).await.unwrap();
        assert!(matches!(receiving.claim_on(PLACE).await, Err(AttachError::Broker(BrokerError::NotFound))));
        drop(came(&broker, &bytes).await.signed(&user(), Known::default()).await.unwrap());
        broker.until_nothing_is_left(0, "refused").await;
    }
    let mut receiving = came(&broker, b"five!").await.signed(&user(), Known { size: Some(5), ..Known::default() }).await.unwrap();
    receiving.end(described("a.bin")).await.unwrap();
    assert_eq!(receiving.claim(None).await.unwrap().len(), 1, "without a ticket");
    broker.until_nothing_is_left(1, "taken").await;
}

async fn no_more_comes_than_the_rule_and_the_setting_take(db: Db) {
    let setup = Setup::on(Bed::Embedded).database(db).policy("attachment.toml", short_lived("2s", 1000));
    let broker = setup.setting("DROPSLIP_MAX_PROXIED_BYTES", "2000").start().await;
    let receive = || broker.server.broker.receive_unsigned("attachment", None, OffsetDateTime::now_utc());
    let mut unsigned = receive().await.unwrap();
    unsigned.write(noise(1000).into()).await.unwrap();
    assert!(matches!(unsigned.write(noise(1).into()).await, Err(BrokerError::Invalid(_))), "the rule's");
    drop(unsigned);
    let strange = broker.server.broker.receive_unsigned("no-such-type", None, OffsetDateTime::now_utc()).await;
    assert!(matches!(strange, Err(BrokerError::Invalid(_))));
    let mut late = receive().await.unwrap();
    late.write(noise(10).into()).await.unwrap();
    let deadline = Instant::now() + BOUND;
    while late.write(Bytes::new()).await.is_ok() {
        assert!(Instant::now() < deadline, "it takes longer than a slip lives");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(matches!(late.signed(&user(), Known::default()).await, Err(BrokerError::TooLate)));
    broker.until_nothing_is_left(0, "the rule").await;

    let broker = Setup::on(Bed::Embedded).database(db).setting("DROPSLIP_MAX_PROXIED_BYTES", "2000").start().await;
    let mut unsigned = came(&broker, &noise(2000)).await;
    assert!(matches!(unsigned.write(noise(1).into()).await, Err(BrokerError::TooLarge)), "the setting's");
    drop(unsigned);
    broker.until_nothing_is_left(0, "the setting").await;
}

/// What is asked of a future until it has been looked at so often, by a client that is gone then.
async fn cut<F: Future>(future: F, looks: usize) -> Option<F::Output> {
    let mut future = Box::pin(future);
    for _ in 0..looks {
        if let Poll::Ready(outcome) = futures_util::poll!(&mut future) {
            return Some(outcome);
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    None
}

/// Its places are free again, and what was begun is gone.
async fn a_client_that_is_gone_at_any_moment_leaves_nothing(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).setting("DROPSLIP_UNSIGNED_UPLOADS", "1").start().await;
    let (small, large) = (noise(1000), noise(9 << 20));
    let (mut gone, mut there) = (0, 0);
    for looks in (0..12).chain([200]) {
        for bytes in [&small, &large] {
            let begun = cut(begun(&broker, None), looks).await;
            if looks == 200 {
                assert!(begun.as_ref().is_some_and(Result::is_ok), "it begins");
            }
            drop(begun);
            broker.until_nothing_is_left(0, "beginning").await;
            let mut unsigned = free(&broker).await;
            for piece in bytes.chunks(1 << 20) {
                unsigned.write(Bytes::copy_from_slice(piece)).await.unwrap();
            }
            let signed = cut(unsigned.signed(&user(), Known::default()), looks).await;
            match signed {
                None => gone += 1,
                Some(receiving) => drop((receiving.unwrap(), there += 1)),
            }
            broker.until_nothing_is_left(0, &format!("{looks} looks, {} bytes", bytes.len())).await;
        }
    }
    assert!(gone > 0 && there > 0, "{gone} gone, {there} there");
    drop(free(&broker).await);
}

/// Half of them for one address, all of them for all; a place is free once its bytes are gone.
async fn places_are_few_and_shared_by_address(db: Db) {
    let broker = Setup::on(Bed::SeaweedFs).database(db).start().await;
    let busy = |outcome: Result<Unsigned, BrokerError>| matches!(outcome, Err(BrokerError::Busy(_)));
    let before = told("busy");
    let (one, two) = (begun(&broker, Some(address(1))).await.unwrap(), begun(&broker, Some(address(1))).await.unwrap());
    assert!(busy(begun(&broker, Some(address(1))).await), "half is the most for one");
    let mut others = vec![begun(&broker, Some(address(2))).await.unwrap(), begun(&broker, None).await.unwrap()];
    assert!(busy(begun(&broker, Some(address(3))).await) && busy(begun(&broker, None).await), "all are taken");
    assert!(told("busy") >= before + 3.0);
    // Whoever is known leaves the place at once, and goes on.
    let before = told("signed");
    let mut signed = others.pop().unwrap().signed(&user(), Known::default()).await.unwrap();
    assert!(told("signed") > before);
    let fourth = begun(&broker, Some(address(3))).await.unwrap();
    assert!(busy(begun(&broker, Some(address(4))).await));
    signed.write(noise(10).into()).await.unwrap();
    signed.end(described("a.bin")).await.unwrap();
    assert_eq!(signed.claim(None).await.unwrap().len(), 1);
    let before = told("gone");
    drop((one, two, others, fourth));
    broker.until_nothing_is_left(1, "all gave up").await;
    assert!(told("gone") >= before + 4.0);

    for round in 0..3 {
        let mut large = free(&broker).await;
        for piece in noise(9 << 20).chunks(1 << 20) {
            large.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        let second = free(&broker).await;
        assert!(busy(begun(&broker, Some(address(1))).await));
        drop(large);
        let third = free(&broker).await;
        let open = broker.s3.list_multipart_uploads().bucket(&broker.bucket).send().await.unwrap();
        let doomed = count(&broker.database_url, "SELECT COUNT(*) FROM doomed_objects").await;
        assert_eq!((open.uploads().len(), doomed), (0, 2), "round {round}: its bytes are gone, and the keys of two others are doomed");
        drop((second, third));
        broker.until_nothing_is_left(1, "both of them").await;
    }
}

/// A place for one address, as soon as it has one.
async fn free(broker: &TestBroker) -> Unsigned {
    let deadline = Instant::now() + BOUND;
    loop {
        match begun(broker, Some(address(1))).await {
            Ok(unsigned) => return unsigned,
            Err(BrokerError::Busy(_)) => assert!(Instant::now() < deadline, "a place stays taken"),
            Err(error) => panic!("{error}"),
        }
        tokio::task::yield_now().await;
    }
}

/// How often that came of an upload, in this process.
fn told(outcome: &str) -> f64 {
    let text = dropslip::metrics::text(dropslip::metrics::Gauges::default()).unwrap();
    let name = format!("dropslip_unsigned_uploads_total{{outcome=\"{outcome}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
}

async fn files_of_a_ticket_come_from_page_to_page_and_by_post(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let mut ids = Vec::new();
    for number in 0..250_i64 {
        let mut receiving = broker.server.broker.receive(&user(), "artifact", OffsetDateTime::now_utc()).await.unwrap();
        let name = format!("{number}.bin");
        receiving.begin(Known { name: Some(FileName::sanitized(&name)), ..Known::default() }).await.unwrap();
        receiving.write(Bytes::from_static(b"x")).await.unwrap();
        receiving.end(described(&name)).await.unwrap();
        let place = TicketPlace { ticket: TicketId(7), post: (number % 2 == 0).then_some(PostId(1 + number % 4)) };
        ids.push((receiving.claim_on(place).await.unwrap()[0].id, place.post));
    }
    let found = async |caller: Caller, post: Option<PostId>| {
        let found: Vec<_> = broker.server.broker.attachments(caller, TicketId(7), post).try_collect().await.unwrap();
        found.into_iter().map(|attachment| (attachment.file.id, attachment.post)).collect::<Vec<_>>()
    };
    assert_eq!(found(user(), None).await, ids, "lowest number first, each once");
    for post in [1, 3] {
        let of_post: Vec<_> = ids.iter().filter(|(_, of)| *of == Some(PostId(post))).copied().collect();
        assert!(of_post.len() > 50);
        assert_eq!(found(user(), Some(PostId(post))).await, of_post);
    }
    assert_eq!(found(user(), Some(PostId(2))).await, []);
    assert_eq!(found(Caller { tenant: "other".parse().unwrap(), ..user() }, None).await, []);
    let writes = Caller { scopes: "files:write".parse().unwrap(), ..user() };
    let refused: Result<Vec<_>, _> = broker.server.broker.attachments(writes, TicketId(7), None).try_collect().await;
    assert!(matches!(refused, Err(BrokerError::Forbidden(_))));

    // Taken off, it is deleted and no attachment; again there is nothing to take off.
    let (id, now) = (ids[0].0, OffsetDateTime::now_utc());
    let release = async |caller: &Caller| broker.server.broker.release(caller, TicketId(7), id, now).await;
    let reads = Caller { scopes: "files:read,files:write".parse().unwrap(), ..user() };
    assert!(matches!(release(&reads).await, Err(BrokerError::Forbidden(_))));
    let customer = Caller { actor: Actor { id: 1, kind: ActorKind::Customers }, ..user() };
    assert!(matches!(release(&customer).await, Err(BrokerError::NotFound)));
    release(&user()).await.unwrap();
    assert!(matches!(release(&user()).await, Err(BrokerError::NotFound)), "once");
    assert!(matches!(broker.server.broker.attachment(&user(), TicketId(7), id).await, Err(BrokerError::NotFound)));
    assert!(matches!(broker.server.broker.attachment(&user(), TicketId(8), ids[1].0).await, Err(BrokerError::NotFound)), "another ticket");
    assert_eq!(found(user(), None).await, ids[1..]);
    broker.server.broker.restore(&user(), id, now).await.unwrap();
    assert_eq!(found(user(), None).await, ids[1..], "it is back, and on no ticket");
}

on_both_engines!(
    what_is_signed_in_the_end_is_a_file_like_all_others,
    what_nobody_signs_leaves_nothing,
    what_is_refused_once_it_is_known_whose_it_is_leaves_nothing,
    no_more_comes_than_the_rule_and_the_setting_take,
    a_client_that_is_gone_at_any_moment_leaves_nothing,
    places_are_few_and_shared_by_address,
    files_of_a_ticket_come_from_page_to_page_and_by_post,
);

/// Whoever it was is told so, and a sweep takes what could not be taken back.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_meanwhile_leaves_what_a_sweep_takes() {
    for (step, on) in [("begin", "?uploads"), ("part", "x-id=UploadPart")] {
        for how in [Break::Refuse, Break::CutAnswer(0), Break::Answer(INTERNAL_ERROR)] {
            let case = format!("{step}, {how:?}");
            let proxy = Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await;
            let mut world = World::through(Db::Sqlite, Through { s3: Some(proxy.address), database: None }).await;
            world.receives();
            let broker = world.broker().await;
            let send = async || {
                let mut unsigned = broker.receive_unsigned("received", None, OffsetDateTime::now_utc()).await?;
                for piece in noise(LARGE).chunks(1 << 20) {
                    unsigned.write(Bytes::copy_from_slice(piece)).await?;
                }
                let mut receiving = unsigned.signed(&user(), Known::default()).await?;
                receiving.end(described("a.txt")).await?;
                receiving.claim(None).await
            };
            proxy.breaks(on, how);
            let refused = send().await;
            assert!(proxy.hits() > 0, "{case}: the step was never reached");
            assert!(matches!(refused, Err(BrokerError::Bucket(_))), "{case}: {refused:?}");
            proxy.heals();
            let files = send().await.unwrap();
            world.must_keep(files[0].id.0, &noise(LARGE));
            world.sweep_and_audit(&case).await;
        }
    }
}

#[cfg(feature = "failpoints")]
impl World {
    async fn does(&self, dies_at: Option<&str>, case: &Value) -> std::process::Output {
        let mut command = doing(self.settings(), self.folder.path(), dies_at, "default", std::slice::from_ref(case));
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
    }
}

/// Dies on the way of bytes whose sender is known in the end only; the client sends all of it again.
#[cfg(feature = "failpoints")]
pub async fn dies_while_unsigned(db: Db, point: &str) {
    let in_parts = ["receive: upload begun", "receive: upload named", "receive: part written"].contains(&point);
    let lengths = if in_parts { vec![LARGE] } else { vec![100_000, LARGE] };
    for length in lengths {
        let case = format!("{point}, {length} bytes");
        let mut world = populated(db).await;
        world.receives();
        let bytes: Vec<u8> = unique_bytes().into_iter().cycle().take(length).collect();
        let body = world.folder.path().join("body");
        std::fs::write(&body, &bytes).unwrap();
        let sent = json!({"do": "unsigned", "file_type": "received", "name": "a.txt", "bytes": body, "ticket": 7, "post": 31});
        let died = world.does(Some(point), &sent).await;
        assert!(was_killed(died.status), "{case} was never reached: {died:?}");

        let listed = json!({"do": "attachments", "ticket": 7, "post": 31});
        let there = outcomes(&world.does(None, &listed).await);
        let mut expected = Vec::new();
        if point == "receive: claimed" {
            let id = there[0][0][0].as_i64().unwrap_or_else(|| panic!("{case}: {there:?}"));
            world.must_keep(id, &bytes);
            expected.push(json!([id, 31]));
        }
        assert_eq!(there, [json!(expected)], "{case}: on the ticket once it was claimed, and not before");
        let again = world.does(None, &sent).await;
        let id = outcomes(&again).first().and_then(Value::as_i64).unwrap_or_else(|| panic!("{case}: {again:?}"));
        world.must_keep(id, &bytes);
        expected.push(json!([id, 31]));
        world.sweep_and_audit(&case).await;
        assert_eq!(outcomes(&world.does(None, &listed).await), [json!(expected)], "{case}");
    }
}

/// A file is taken off its only ticket.
#[cfg(feature = "failpoints")]
pub async fn dies_while_releasing(db: Db, point: &str) {
    let mut world = populated(db).await;
    let program = world.start(None).await;
    let (slip, bytes) = world.uploaded(&program, "kept").await;
    confirm(&mut world, &program, slip.id, &bytes).await;
    let put = world.ask(&program, "PUT", "/v2/tickets/7/files.json", None, &json!({"ids": [slip.id]})).await.unwrap();
    assert_eq!(put.status, 200, "{put:?}");
    drop(program);
    let (release, listed) = (json!({"do": "release", "ticket": 7, "file": slip.id}), json!({"do": "attachments", "ticket": 7}));
    let died = world.does(Some(point), &release).await;
    assert!(was_killed(died.status), "{point} was never reached: {died:?}");

    let is_done = point == "release: recorded";
    let there = outcomes(&world.does(None, &listed).await);
    let expected = if is_done { json!([]) } else { json!([[slip.id, null]]) };
    assert_eq!(there, [expected], "{point}: on the ticket and active, or neither");
    let again = outcomes(&world.does(None, &release).await);
    let expected = if is_done { json!("no such file") } else { Value::Null };
    assert_eq!(again, [expected], "{point}: it is taken off once");
    world.must_lose(slip.id);
    world.sweep_and_audit(point).await;
}
