//! S3 breaks at every step that needs it: the answer is 503 in time, and it goes on by itself when S3 is back.

use std::time::{Duration, Instant};

use dropslip::broker::BrokerError;
use time::OffsetDateTime;

use super::all;
use super::away::{assert_away, assert_within};
use super::proxy::{Break, INTERNAL_ERROR, Proxy, SLOW_DOWN};
use super::world::{LONG, Through, World, granted};
use crate::harness::{Db, from_servers};

/// What S3's operations may take with all their tries, and what the test machine may add.
const BOUND: Duration = Duration::from_secs(28);

/// How many cases run at the same time: most of them wait.
const AT_ONCE: usize = 24;

const BREAKS: [Break; 9] = [
    // The slowest first.
    Break::Stall,
    Break::StallAnswer,
    Break::Slow(Duration::from_secs(2)),
    Break::Refuse,
    Break::CutRequest(40),
    Break::CutAnswer(0),
    Break::CutAnswer(30),
    Break::Answer(INTERNAL_ERROR),
    Break::Answer(SLOW_DOWN),
];

/// A step, and a text that only its request to S3 holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Everything,
    Head,
    ReadStart,
    Copy,
    TidyUp,
    RefusalDelete,
    SweepDelete,
}

const STEPS: [(Step, &str); 7] = [
    (Step::Everything, ""),
    (Step::Head, "HEAD /"),
    (Step::ReadStart, "GET /"),
    (Step::Copy, "x-amz-copy-source:"),
    (Step::TidyUp, "DELETE /"),
    (Step::RefusalDelete, "DELETE /"),
    (Step::SweepDelete, "POST /"),
];

async fn breaks(step: Step, request: &'static str, how: Break) {
    let case = format!("{step:?}, {how:?}");
    let proxy = Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await;
    let mut world = World::through(Db::Sqlite, Through { s3: Some(proxy.address), database: None }).await;
    let program = world.start(None).await;
    let sweeper = world.broker().await;
    world.bystanders(&program).await;
    let (slip, bytes) = world.uploaded(&program, "kept").await;
    if step == Step::RefusalDelete {
        world.smuggle(&slip, b"").await;
    }

    proxy.breaks(request, how);
    let slow = matches!(how, Break::Slow(_));
    if step == Step::SweepDelete {
        let started = Instant::now();
        let swept = sweeper.sweep(OffsetDateTime::now_utc() + LONG).await;
        assert!(started.elapsed() < BOUND, "{case} took {:?}", started.elapsed());
        assert!(if slow { swept.is_ok() } else { matches!(swept, Err(BrokerError::Bucket(_))) }, "{case}: {swept:?}");
    } else {
        let answer = world.confirm(&program, slip.id).await.unwrap();
        match (step, slow) {
            (Step::TidyUp, _) | (_, true) if step != Step::RefusalDelete => {
                assert_eq!(answer.status, 200, "{case}: {answer:?}");
                assert_within(&answer, BOUND, &case);
            }
            (Step::RefusalDelete, true) => assert_eq!(answer.status, 422, "{case}: {answer:?}"),
            _ => assert_away(&answer, BOUND, &case),
        }
    }
    assert!(proxy.hits() > 0, "{case}: its request was never seen");
    if step == Step::Everything && !slow {
        world.becomes(&program, (503, "the bucket is not available\n"), &case).await;
        // Slips need no S3: clients may upload as soon as they reach it.
        let other = granted(world.authorize(&program, "lost", None).await);
        granted(world.reissue(&program, other.id).await);
        world.must_lose(other.id);
    }

    proxy.heals();
    world.assert_ready(&program, &case).await;
    if step == Step::RefusalDelete {
        world.drop_bytes(&slip, &bytes).await;
    }
    let answer = world.confirm(&program, slip.id).await.unwrap();
    assert_eq!(answer.status, 200, "{case}, healed: {answer:?}");
    world.must_keep(slip.id, &bytes);
    world.sweep_and_audit(&case).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_away_at_any_step_is_503_in_time_and_goes_on_when_it_is_back() {
    let cases = BREAKS.into_iter().flat_map(|how| STEPS.into_iter().map(move |(step, request)| breaks(step, request, how)));
    all(cases.collect(), AT_ONCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_failure_of_s3_is_not_the_clients_matter() {
    let proxy = Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await;
    let mut world = World::through(Db::Sqlite, Through { s3: Some(proxy.address), database: None }).await;
    let program = world.start(None).await;
    for (_, request) in &STEPS[..5] {
        for how in [Break::Refuse, Break::CutAnswer(30), Break::Answer(SLOW_DOWN)] {
            let (slip, bytes) = world.uploaded(&program, "kept").await;
            proxy.breaks_times(request, how, 1);
            let answer = world.confirm(&program, slip.id).await.unwrap();
            assert_eq!((answer.status.as_u16(), proxy.hits()), (200, 1), "{request}, {how:?}: {answer:?}");
            world.must_keep(slip.id, &bytes);
        }
    }
    world.sweep_and_audit("one failure each").await;
}
