//! A database that answers and takes no writes for a while: the broker is not ready, and is again by itself.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};

use crate::faults::away::{NO_WRITES, assert_away};
use crate::faults::proxy::{Break, Proxy};
use crate::faults::world::{Through, World, granted};
use crate::harness::{Bed, Db, TestBroker, execute, from_servers, new_file, unique};

const BOUND: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_sqlite_is_not_ready_until_it_takes_writes_again() {
    let world = World::new(Db::Sqlite).await;
    let program = world.start(None).await;
    world.assert_ready(&program, "at first").await;
    let mut other = SqliteConnection::connect(&world.database_url).await.unwrap();
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    assert_away(&world.authorize(&program, "kept", None).await.unwrap(), BOUND, "locked");
    assert_eq!(world.readiness(&program).await, (503, NO_WRITES.to_owned()));
    sqlx::query("COMMIT").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    // Nobody asks for a slip meanwhile.
    world.assert_ready(&program, "unlocked").await;
    granted(world.authorize(&program, "kept", None).await);
    let log = program.log();
    assert!(log.contains("a write failed") && log.contains("the database takes writes again"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_postgres_is_not_ready_until_it_takes_writes_again() {
    read_only_for_a_while(&World::new(Db::Postgres).await).await;
}

/// Whoever may make no temporary table is not asked for one.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_temporary_tables_is_ready_again_too() {
    let server = from_servers("TEST_POSTGRES_URL");
    let name = unique("untemporary_");
    execute(&server, &format!("CREATE ROLE {name} LOGIN")).await;
    execute(&server, &format!("CREATE DATABASE {name} OWNER {name}")).await;
    execute(&server, &format!("REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC, {name}")).await;
    let mut url = url::Url::parse(&server).unwrap();
    url.set_username(&name).unwrap();
    url.set_path(&name);
    let world = World::at(url.as_str()).await;
    let mut role = PgConnection::connect(url.as_str()).await.unwrap();
    assert!(sqlx::query("CREATE TEMPORARY TABLE refused (id INT)").execute(&mut role).await.is_err(), "it may make one");
    role.close().await.unwrap();
    read_only_for_a_while(&world).await;
}

async fn read_only_for_a_while(world: &World) {
    let program = world.start(None).await;
    world.assert_ready(&program, "at first").await;
    let name = world.database_url.rsplit_once('/').unwrap().1.to_owned();
    let mut server = PgConnection::connect(&from_servers("TEST_POSTGRES_URL")).await.unwrap();
    let mut set = async |what: &str| {
        sqlx::query(AssertSqlSafe(format!("ALTER DATABASE {name} {what}"))).execute(&mut server).await.unwrap();
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
        sqlx::query(end).bind(&name).execute(&mut server).await.unwrap();
    };
    let deadline = Instant::now() + BOUND;
    // A connection that was just being opened may be none that is read-only, and none that is ended.
    while world.readiness(&program).await != (503, NO_WRITES.to_owned()) {
        assert!(Instant::now() < deadline, "{}", program.log());
        set("SET default_transaction_read_only = on").await;
        let _ = world.authorize(&program, "kept", None).await;
    }
    assert_away(&world.authorize(&program, "kept", None).await.unwrap(), BOUND, "read-only");
    set("RESET default_transaction_read_only").await;
    world.assert_ready(&program, "writable again").await;
    granted(world.authorize(&program, "kept", None).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_whether_it_is_ready_shares_an_answer() {
    let proxy = Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await;
    let world = World::through(Db::Sqlite, Through { s3: Some(proxy.address), database: None }).await;
    let program = world.start(None).await;
    world.assert_ready(&program, "at first").await;
    proxy.breaks("HEAD /fault-", Break::Slow(Duration::ZERO));
    let began = Instant::now();
    let asked = futures_util::future::join_all((0..50).map(|_| world.readiness(&program))).await;
    assert!(asked.iter().all(|(status, _)| *status == 200), "{asked:?}");
    let most = 2 + usize::try_from(began.elapsed().as_secs()).unwrap();
    assert!(proxy.hits() <= most, "the bucket was asked {} times", proxy.hits());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_before_are_filled_while_another_process_writes() {
    let broker = TestBroker::on(Bed::Embedded).await;
    for _ in 0..3 {
        let mut body = new_file("Größe.txt", "text/plain");
        body["size"] = json!(5);
        let slip = broker.authorize(&body).await;
        broker.drop_bytes(&slip, b"hello").await;
        assert_eq!(broker.confirm(slip.id).await.0, 200);
    }
    let mut other = SqliteConnection::connect(&broker.database_url).await.unwrap();
    let writing = async move {
        for _ in 0..300 {
            sqlx::query("UPDATE files SET search_name_of = NULL").execute(&mut other).await.unwrap();
        }
        other.close().await.unwrap();
    };
    tokio::pin!(writing);
    let mut filled = 0;
    loop {
        tokio::select! {
            () = &mut writing => break,
            // One after the other: what is read must not be old when it is written.
            now = broker.database.fill_search_names(None, 100) => filled += now.unwrap().rows,
        }
    }
    filled += broker.database.fill_search_names(None, 100).await.unwrap().rows;
    assert!(filled >= 3, "{filled}");
}
