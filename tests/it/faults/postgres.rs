//! Postgres breaks at every step: the answer is 503 in time, a lost answer to a commit loses and doubles nothing, and it goes on
//! by itself when Postgres is back.

use std::time::{Duration, Instant};

use dropslip::broker::BrokerError;
use futures_util::future;
use serde_json::Value;
use time::OffsetDateTime;

use super::all;
use super::away::{assert_away, assert_within};
use super::proxy::{Break, PING, Proxy};
use super::world::{Answer, LONG, Program, Through, World, granted};
use crate::harness::{Db, Slip, from_servers};

/// Waiting for a connection, then for one answer, and what the test machine may add.
const BOUND: Duration = Duration::from_secs(15);

const AT_ONCE: usize = 24;

const BREAKS: [Break; 6] = [
    // The slowest first.
    Break::Stall,
    Break::StallAnswer,
    Break::Refuse,
    Break::CutRequest(3),
    Break::CutAnswer(0),
    Break::Slow(Duration::from_millis(200)),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Authorize,
    Replay,
    Reissue,
    Confirm,
    Sweep,
}

async fn ask(world: &World, program: &Program, step: Step, slip: &Slip) -> Answer {
    let answer = match step {
        Step::Authorize => world.authorize(program, "kept", Some("another")).await,
        Step::Replay => world.authorize(program, "kept", Some("once")).await,
        Step::Reissue => world.reissue(program, slip.id).await,
        Step::Confirm | Step::Sweep => world.confirm(program, slip.id).await,
    };
    answer.unwrap()
}

async fn world_behind(proxy: &Proxy) -> World {
    World::through(Db::Postgres, Through { s3: None, database: Some(proxy.address) }).await
}

/// Breaks every message that holds the text `on`.
async fn breaks(step: Step, on: &'static str, how: Break) {
    let case = format!("{step:?}, {how:?} on ‘{on}’");
    let proxy = Proxy::to(&from_servers("TEST_POSTGRES_URL")).await;
    let mut world = world_behind(&proxy).await;
    let program = world.start(None).await;
    let sweeper = world.broker().await;
    world.bystanders(&program).await;
    let mut slip = granted(world.authorize(&program, "kept", Some("once")).await);
    let bytes = super::world::unique_bytes();
    world.drop_bytes(&slip, &bytes).await;

    proxy.breaks(on, how);
    let slow = matches!(how, Break::Slow(_));
    if step == Step::Sweep {
        let started = Instant::now();
        let swept = sweeper.sweep(OffsetDateTime::now_utc() + LONG).await;
        assert!(started.elapsed() < BOUND, "{case} took {:?}", started.elapsed());
        assert!(if slow { swept.is_ok() } else { matches!(swept, Err(BrokerError::Database(_))) }, "{case}: {swept:?}");
    } else {
        let answer = ask(&world, &program, step, &slip).await;
        if slow {
            assert!(answer.status.is_success(), "{case}: {answer:?}");
            assert_within(&answer, BOUND, &case);
        } else {
            assert_away(&answer, BOUND, &case);
        }
    }
    assert!(proxy.hits() > 0, "{case}: its message was never seen");
    if on.is_empty() && !slow {
        world.becomes(&program, (503, "the database is not available\n"), &case).await;
    }

    proxy.heals();
    world.assert_ready(&program, &case).await;
    let answer = ask(&world, &program, step, &slip).await;
    assert!(answer.status.is_success(), "{case}, healed: {answer:?}");
    match step {
        Step::Authorize => {
            let other = granted(Ok(answer));
            let again = granted(world.authorize(&program, "kept", Some("another")).await);
            assert_eq!(again.id, other.id, "{case}: one key, one file");
            world.must_lose(other.id);
        }
        Step::Replay | Step::Reissue => {
            slip = granted(Ok(answer));
            world.drop_bytes(&slip, &bytes).await;
        }
        Step::Confirm | Step::Sweep => {}
    }
    assert_eq!(world.confirm(&program, slip.id).await.unwrap().status, 200, "{case}");
    world.must_keep(slip.id, &bytes);
    world.sweep_and_audit(&case).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_away_at_any_step_is_503_in_time_and_goes_on_when_it_is_back() {
    let steps = [Step::Authorize, Step::Replay, Step::Reissue, Step::Confirm, Step::Sweep];
    let cases = BREAKS.into_iter().flat_map(|how| steps.into_iter().flat_map(move |step| ["", "COMMIT"].map(|on| breaks(step, on, how))));
    all(cases.collect(), AT_ONCE).await;
}

/// A stall catches connections in any state; whichever it was, the program finds its way back to Postgres.
#[tokio::test(flavor = "multi_thread")]
async fn a_stall_under_load_is_over_when_it_is_over() {
    let proxy = Proxy::to(&from_servers("TEST_POSTGRES_URL")).await;
    let world = world_behind(&proxy).await;
    let program = world.start(None).await;
    let load = future::join_all((0..40).map(|_| async {
        loop {
            let answer = world.authorize(&program, "lost", None).await.unwrap();
            if !answer.status.is_success() {
                return answer;
            }
        }
    }));
    let stall = async {
        granted(world.authorize(&program, "lost", None).await);
        proxy.breaks("", Break::Stall);
    };
    let (refused, ()) = future::join(load, stall).await;
    for answer in refused {
        assert_away(&answer, BOUND, "under load");
    }
    finds_its_way_back(&proxy, &world, &program).await;
    world.sweep_and_audit("a stall under load").await;
}

/// sqlx waits for the answer to a ping before a connection goes back to the pool, without end: so many of them take all its places. Those
/// that lay idle go back when somebody asks again.
#[tokio::test(flavor = "multi_thread")]
async fn pings_that_are_never_answered_do_not_use_up_the_pool() {
    let proxy = Proxy::to(&from_servers("TEST_POSTGRES_URL")).await;
    let world = world_behind(&proxy).await;
    let program = world.start(None).await;
    // Reading takes a connection for each caller; slips share theirs.
    let load = || future::join_all((0..40).map(|_| world.ask(&program, "GET", "/v2/files/1.json", None, &Value::Null)));
    for _ in 0..5 {
        load().await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    proxy.breaks(PING, Break::StallAnswer);
    for answer in load().await.into_iter().map(Result::unwrap).filter(|answer| answer.status != 404) {
        assert_away(&answer, BOUND, "no answer to a ping");
    }
    assert!(proxy.hits() >= 16, "it sent {} pings only", proxy.hits());
    finds_its_way_back(&proxy, &world, &program).await;
    world.sweep_and_audit("no answer to a ping").await;
}

/// The database goes on with what nobody waits for any more: who hangs up and asks again must not have everybody's connections.
#[tokio::test(flavor = "multi_thread")]
async fn searches_that_were_given_up_leave_connections_to_others() {
    let proxy = Proxy::to(&from_servers("TEST_POSTGRES_URL")).await;
    let world = world_behind(&proxy).await;
    let program = world.start(None).await;
    proxy.breaks("strpos(", Break::StallAnswer);
    for _ in 0..40 {
        let search = world.ask(&program, "GET", "/v2/files.json?q=nothing", None, &Value::Null);
        assert!(tokio::time::timeout(Duration::from_millis(50), search).await.is_err(), "it was answered");
    }
    assert!((1..=5).contains(&proxy.hits()), "{} searches at once", proxy.hits());
    let other = world.ask(&program, "GET", "/v2/files/1.json", None, &Value::Null).await.unwrap();
    assert_eq!(other.status, 404, "{other:?}");
    finds_its_way_back(&proxy, &world, &program).await;
    world.sweep_and_audit("searches given up").await;
}

/// One counts for all who ask at once; when that one gets no answer, the others are told what there is at least, or that one is under way.
#[tokio::test(flavor = "multi_thread")]
async fn counts_that_never_end_are_lower_bounds_in_time() {
    let proxy = Proxy::to(&from_servers("TEST_POSTGRES_URL")).await;
    let world = world_behind(&proxy).await;
    let program = world.start(None).await;
    for _ in 0..2 {
        granted(world.authorize(&program, "lost", None).await);
    }
    let list = r#"/v2/files.json?pageSize=1&filter={"state":"temp"}"#;
    let count = || world.ask(&program, "GET", list, None, &Value::Null);
    let records = |answer: &Answer| answer.body["pagination"]["records"].as_u64();
    proxy.breaks("COUNT(", Break::StallAnswer);
    let answers: Vec<_> = future::join_all((0..10).map(|_| count())).await.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().any(|answer| answer.status == 200), "{answers:?}");
    for answer in answers {
        // The connection that stalls keeps its place until it is given up.
        assert!(answer.status == 429 || (answer.status == 200 && records(&answer) == Some(2)), "{answer:?}");
        assert!(answer.took < BOUND, "{answer:?}");
    }
    finds_its_way_back(&proxy, &world, &program).await;
    let deadline = Instant::now() + BOUND;
    loop {
        let answer = count().await.unwrap();
        if answer.status == 200 && records(&answer).unwrap() > 2 {
            break;
        }
        assert!([200, 429].contains(&answer.status.as_u16()) && Instant::now() < deadline, "the way back took a slip too: {answer:?}");
    }
    for answer in future::join_all((0..10).map(|_| count())).await.into_iter().map(Result::unwrap) {
        assert!(answer.status == 200 && records(&answer).unwrap() >= 2, "{answer:?}");
    }
    world.sweep_and_audit("counts without end").await;
}

async fn finds_its_way_back(proxy: &Proxy, world: &World, program: &Program) {
    proxy.heals();
    let deadline = Instant::now() + BOUND;
    loop {
        let answer = world.authorize(program, "lost", None).await.unwrap();
        if answer.status.is_success() {
            break;
        }
        assert_away(&answer, BOUND, "healed");
        assert!(Instant::now() < deadline, "it does not find its way back: {}", program.log());
    }
    world.assert_ready(program, "healed").await;
}
