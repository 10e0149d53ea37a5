//! SIGTERM: requests under way are answered, their writes are durable, new ones are turned away, and the exit code is 0.

use std::time::{Duration, Instant};

use dropslip::domain::{FileId, FileState};
use futures_util::future;
use tokio::net::TcpStream;

use super::proxy::{Break, Proxy};
use super::world::{Through, World, granted};
use crate::harness::{Db, from_servers};

async fn stops_after_the_confirmation_under_way(db: Db) {
    let proxy = Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await;
    let mut world = World::through(db, Through { s3: Some(proxy.address), database: None }).await;
    let mut program = world.start(None).await;
    let (slip, bytes) = world.uploaded(&program, "kept").await;
    proxy.breaks("x-amz-copy-source:", Break::Slow(Duration::from_secs(3)));

    let stopping = async {
        proxy.until_hit().await;
        program.signal("-TERM");
        let address = program.base.strip_prefix("http://").unwrap();
        let deadline = Instant::now() + Duration::from_secs(2);
        while TcpStream::connect(address).await.is_ok() {
            assert!(Instant::now() < deadline, "new connections are still taken");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let (answer, ()) = future::join(world.confirm(&program, slip.id), stopping).await;
    let answer = answer.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body["file"]["state"]), (200, &"active".into()), "{answer:?}");
    assert_eq!(program.end().await.code(), Some(0), "{}", program.log());

    let file = world.database.find_file(&"default".parse().unwrap(), FileId(slip.id)).await.unwrap().unwrap();
    assert_eq!(file.state(), FileState::Active);
    world.must_keep(slip.id, &bytes);
    world.sweep_and_audit("stopped").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_under_way_ends_before_the_program_does_on_sqlite() {
    stops_after_the_confirmation_under_way(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_under_way_ends_before_the_program_does_on_postgres() {
    stops_after_the_confirmation_under_way(Db::Postgres).await;
}

async fn commits_the_slips_under_way(db: Db) {
    let world = World::new(db).await;
    let mut program = world.start(None).await;
    granted(world.authorize(&program, "kept", None).await);
    // Each asks until it is turned away, so that the signal finds requests in every state.
    let asking = future::join_all((0..32).map(|_| async {
        let mut told = Vec::new();
        while let Ok(answer) = world.authorize(&program, "kept", None).await {
            told.push(granted(Ok(answer)).id);
        }
        told
    }));
    let stopping = async {
        granted(world.authorize(&program, "kept", None).await);
        program.signal("-TERM");
    };
    let (told, ()) = future::join(asking, stopping).await;
    let told: Vec<i64> = told.into_iter().flatten().collect();
    assert!(!told.is_empty());
    assert_eq!(program.end().await.code(), Some(0), "{}", program.log());
    for id in told {
        let file = world.database.find_file(&"default".parse().unwrap(), FileId(id)).await.unwrap();
        assert!(file.is_some(), "slip {id} was answered and is gone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slips_answered_while_stopping_are_durable_on_sqlite() {
    commits_the_slips_under_way(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slips_answered_while_stopping_are_durable_on_postgres() {
    commits_the_slips_under_way(Db::Postgres).await;
}
