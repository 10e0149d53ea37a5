//! Lists are fair: one actor's searches keep nobody else waiting, whoever hangs up stops its search, and a late count is no refusal.
//!
//! Searches are slow here because each name takes its time to be looked at: the table is behind a view.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dropslip::database::{Database, Holding, Selected};
use dropslip::domain::{Reach, Selection, Start, Tenant, TypeLimit};
use dropslip::metrics;
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use time::OffsetDateTime;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::harness::{Bed, Db, Setup, TestBroker, answer, count, execute};

const DEADLINE: Duration = Duration::from_mins(1);

/// Files of the tenants `one` and `two`: a search of all of them takes many seconds.
const MANY: usize = 6000;

/// Files of the tenant `few`.
const FEW: usize = 20;

/// What no name has, so that a search looks at all.
const NOWHERE: &str = "q=zzz";

/// Searches that one actor has under way or waiting, at most.
const ASKED_AT_ONCE: usize = 32;

async fn columns(url: &str) -> Vec<String> {
    let names: String = if url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        let names =
            sqlx::query_scalar("SELECT group_concat(name) FROM pragma_table_info('files')").fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        names
    } else {
        let mut connection = PgConnection::connect(url).await.unwrap();
        let sql = "SELECT string_agg(column_name, ',') FROM information_schema.columns WHERE table_name = 'files'";
        let names = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        names
    };
    names.split(',').map(str::to_owned).collect()
}

/// Active files by SQL, and then the view that makes searching among them slow.
async fn fill(db: Db, url: &str) {
    let (numbers, now) = match db {
        Db::Sqlite => {
            ("(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < MOST) SELECT i FROM n)", "1780000000000000")
        }
        Db::Postgres => ("generate_series(1, MOST) AS n (i)", "now()"),
    };
    for (tenant, most) in [("one", MANY), ("two", MANY), ("few", FEW)] {
        let numbers = numbers.replace("MOST", &most.to_string());
        let sql = format!(
            "INSERT INTO files (tenant, state, type_name, name, disposition, granted_type, decided_type, verdict, min_size, max_size, staging_key, \
             sealed_key, size, etag, created_at, updated_at, expires_at, created_by_id, created_by_kind, updated_by_id, updated_by_kind) \
             SELECT '{tenant}', 'active', 'attachment', 'note-' || i || '.txt', 'attachment', 'text/plain', 'text/plain', 'matches', 1, 9, \
             'temp/{tenant}-' || i, 'files/{tenant}-' || i, 5, 'e', {now}, {now}, {now}, 1, 'users', 1, 'users' FROM {numbers}"
        );
        execute(url, &sql).await;
    }
    let slow = match db {
        Db::Sqlite => {
            "(WITH RECURSIVE n (i) AS (SELECT id * 0 UNION ALL SELECT i + 1 FROM n WHERE i < 8000) SELECT CAST(MAX(i) AS TEXT) FROM n)"
        }
        Db::Postgres => "slow(id)",
    };
    if db == Db::Postgres {
        let sleeping = "CREATE FUNCTION slow(id BIGINT) RETURNS TEXT LANGUAGE plpgsql STABLE AS \
            $$ BEGIN PERFORM pg_sleep(0.005); RETURN NULL; END $$";
        execute(url, sleeping).await;
    }
    let columns = columns(url).await;
    let shown: Vec<_> =
        columns.iter().map(|name| if name == "search_name_of" { format!("{slow} AS {name}") } else { name.clone() }).collect();
    execute(url, "ALTER TABLE files RENAME TO kept_files").await;
    execute(url, &format!("CREATE VIEW files AS SELECT {} FROM kept_files", shown.join(", "))).await;
}

async fn started(db: Db) -> TestBroker {
    let broker = Setup::on(Bed::Embedded).database(db).setting("DROPSLIP_SWEEP_INTERVAL", "0").start().await;
    fill(db, &broker.database_url).await;
    broker
}

impl TestBroker {
    async fn files_by(&self, token: &str, query: &str) -> (StatusCode, Value) {
        answer(self.http.get(format!("{}/v2/files.json?{query}", self.base)).bearer_auth(token)).await
    }

    /// A list that is asked for on a connection of its own. To drop it is to hang up.
    async fn asked(&self, token: &str, query: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.server.address).await.unwrap();
        let request = format!("GET /v2/files.json?{query} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// Waits until so many connections to the database are in use as wanted.
    async fn until_in_use(&self, is_wanted: impl Fn(u32) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let in_use = self.server.broker.gauges(OffsetDateTime::now_utc()).await.in_use;
            if is_wanted(in_use) {
                return;
            }
            assert!(Instant::now() < deadline, "{in_use} connections are in use");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn until_listed(&self, token: &str, query: &str) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let (status, body) = self.files_by(token, query).await;
            if status == 200 {
                return body;
            }
            assert!(status == 429 && Instant::now() < deadline, "{status} {body}");
        }
    }
}

/// Searches that Postgres works on.
async fn searches(url: &str) -> i64 {
    let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE '%strpos(lower%' \
        AND pid <> pg_backend_pid()";
    count(url, sql).await
}

async fn one_actors_searches_keep_nobody_else_waiting(db: Db) {
    let broker = started(db).await;
    let greedy = broker.new_token("one", 7, "files:read").await;
    let mut asked = JoinSet::new();
    for _ in 0..ASKED_AT_ONCE + 8 {
        let request = broker.http.get(format!("{}/v2/files.json?{NOWHERE}", broker.base)).bearer_auth(&greedy);
        asked.spawn(async move {
            let answer = request.send().await.unwrap();
            let retry_after = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().parse::<u64>().unwrap());
            (answer.status(), retry_after, answer.json::<Value>().await.unwrap())
        });
    }
    for _ in 0..8 {
        let (status, retry_after, body) = asked.join_next().await.unwrap().unwrap();
        assert_eq!(status, 429, "{body}");
        assert!(retry_after.unwrap() > 0 && body["errors"]["limit"].is_array(), "{body}");
    }
    let told = metrics::text(broker.server.broker.gauges(OffsetDateTime::now_utc()).await).unwrap();
    assert!(!told.contains("dropslip_limited_total{limit=\"lists\"} 0\n"), "{told}");

    // Whoever else asks is answered meanwhile: another tenant, and a colleague.
    for (tenant, user) in [("two", 7), ("one", 8)] {
        let token = broker.new_token(tenant, user, "files:read").await;
        for query in ["", "orderBy=createdAt&orderMode=desc"] {
            let (status, page) = broker.files_by(&token, query).await;
            assert_eq!((status, &page["pagination"]["records"]), (StatusCode::OK, &json!(MANY)), "{page}");
        }
        let (status, page) = broker.files_by(&token, "q=note&skipAggregation=true").await;
        assert_eq!((status, page["files"].as_array().unwrap().len()), (StatusCode::OK, 50), "{page}");
    }
    // The greedy one too, with what is no search.
    let (status, page) = broker.files_by(&greedy, "").await;
    assert_eq!((status, &page["pagination"]["records"]), (StatusCode::OK, &json!(MANY)), "{page}");

    asked.shutdown().await;
    let page = broker.until_listed(&greedy, "q=note&skipAggregation=true").await;
    assert_eq!(page["files"].as_array().unwrap().len(), 50, "{page}");
    broker.until_in_use(|in_use| in_use == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_actors_searches_keep_nobody_else_waiting_on_sqlite() {
    one_actors_searches_keep_nobody_else_waiting(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_actors_searches_keep_nobody_else_waiting_on_postgres() {
    one_actors_searches_keep_nobody_else_waiting(Db::Postgres).await;
}

async fn whoever_hangs_up_stops_the_search(db: Db) {
    let broker = started(db).await;
    let (one, two) = (broker.new_token("one", 7, "files:read").await, broker.new_token("two", 7, "files:read").await);
    let began = Instant::now();
    let mut is_shown = false;
    while !is_shown {
        assert!(began.elapsed() < DEADLINE, "a search that was hung up on ends no sooner than another that began before it");
        // The same search by another, who stays. On a slow machine it may end by itself too soon to show anything.
        let mut stays = JoinSet::new();
        let request = broker.http.get(format!("{}/v2/files.json?{NOWHERE}", broker.base)).bearer_auth(&two);
        stays.spawn(async move { request.send().await.unwrap().status() });
        broker.until_in_use(|in_use| in_use > 0).await;
        let goes = broker.asked(&one, NOWHERE).await;
        broker.until_in_use(|in_use| in_use != 1).await;
        drop(goes);
        broker.until_in_use(|in_use| in_use < 2).await;
        let searching = if db == Db::Postgres { searches(&broker.database_url).await } else { 1 };
        is_shown = searching == 1 && stays.try_join_next().is_none();
        stays.shutdown().await;
        broker.until_in_use(|in_use| in_use == 0).await;
    }
    // So does whoever waits: of these one is under way, and the others leave the queue.
    let waiting = join_all((0..ASKED_AT_ONCE).map(|_| broker.asked(&one, NOWHERE))).await;
    drop(waiting);
    broker.until_listed(&one, "q=note&skipAggregation=true").await;
    broker.until_in_use(|in_use| in_use == 0).await;
    if db == Db::Postgres {
        assert_eq!(searches(&broker.database_url).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_hangs_up_stops_the_search_on_sqlite() {
    whoever_hangs_up_stops_the_search(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_hangs_up_stops_the_search_on_postgres() {
    whoever_hangs_up_stops_the_search(Db::Postgres).await;
}

async fn a_late_count_tells_how_many_there_are_at_least(db: Db) {
    let broker = started(db).await;
    let token = broker.new_token("one", 7, "files:read").await;
    for (query, page, least) in [("q=note", 1, 51), ("q=note&page=3", 3, 151), ("q=note&pageOffset=1&per_page=70", 2, 141)] {
        let (status, body) = broker.files_by(&token, query).await;
        assert_eq!(status, 200, "{body}");
        let (pages, meta) = (&body["pagination"], &body["meta"]["page"]);
        assert_eq!((&pages["records"], &meta["count"]), (&json!(least), &json!(least)), "{body}");
        assert_eq!((&pages["hasMorePages"], &meta["hasMore"]), (&json!(true), &json!(true)), "{body}");
        assert_eq!((&pages["pages"], &meta["pages"], &pages["page"]), (&json!(page + 1), &json!(page + 1), &json!(page)), "{body}");
    }
    // In time it is the right one, of what is no search and of a search among few.
    let few = broker.new_token("few", 7, "files:read").await;
    for (token, query, records) in
        [(&token, "", MANY), (&token, "page=2", MANY), (&few, "q=note&pageSize=10", FEW), (&few, "q=note&pageSize=7", FEW)]
    {
        let (status, body) = broker.files_by(token, query).await;
        assert_eq!((status, &body["pagination"]["records"]), (StatusCode::OK, &json!(records)), "{body}");
        assert_eq!((&body["meta"]["page"]["count"], &body["pagination"]["hasMorePages"]), (&json!(records), &json!(true)), "{body}");
    }
    // What was late was stopped.
    broker.until_in_use(|in_use| in_use == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_count_tells_how_many_there_are_at_least_on_sqlite() {
    a_late_count_tells_how_many_there_are_at_least(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_count_tells_how_many_there_are_at_least_on_postgres() {
    a_late_count_tells_how_many_there_are_at_least(Db::Postgres).await;
}

/// Whoever goes on with a connection whose statement was stopped finds what there is.
async fn what_was_stopped_works_for_the_next(db: Db) {
    let broker = started(db).await;
    let database = Database::open(&broker.database_url).await.unwrap();
    let tasks = (0..4_u64).map(|task| {
        let database = database.clone();
        tokio::spawn(async move {
            let (tenant, types): (Tenant, _) = (if task % 2 == 0 { "one" } else { "two" }.parse().unwrap(), TypeLimit::default());
            let search = Selection { name_holds: Some("zzz".to_owned()), ..Selection::newest() };
            let all = Selection::newest();
            let slow = Selected { reach: Reach { tenant: &tenant, maker: None, types: &types }, ticket: None, selection: &search };
            let quick = Selected { selection: &all, ..slow };
            for round in 0..50 {
                let held: Holding = Arc::new(());
                let left = tokio::time::timeout(
                    Duration::from_millis((round * 7 + task) % 20),
                    database.select_files(&slow, &Start::Skip(0), 10, &held),
                );
                assert!(left.await.is_err(), "it is slow");
                let files = database.select_files(&quick, &Start::Skip(0), 10, &held).await.unwrap();
                assert!(files.len() == 10 && files.iter().all(|file| file.tenant == tenant), "{files:?}");
                assert_eq!(database.count_files(&quick, 100_000, &held).await.unwrap() as usize, MANY);
                // Held for as long as the statement, and no longer.
                let deadline = Instant::now() + DEADLINE;
                while Arc::strong_count(&held) > 1 {
                    assert!(Instant::now() < deadline, "it is not stopped");
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    assert_eq!(database.load().in_use, 0);
    if db == Db::Postgres {
        assert_eq!(searches(&broker.database_url).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stopped_works_for_the_next_on_sqlite() {
    what_was_stopped_works_for_the_next(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stopped_works_for_the_next_on_postgres() {
    what_was_stopped_works_for_the_next(Db::Postgres).await;
}
