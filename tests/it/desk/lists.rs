//! `GET /v2/files.json`: whose files it lists, in which order, and that a walk from page to page misses and repeats none.

use dropslip::domain::{Actor, ActorKind, Caller, Scopes, TypeLimit};
use dropslip::tokens::Tokens;
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::harness::{Bed, Db, Setup, TestBroker, answer, error_fields, new_file, slip};

impl TestBroker {
    async fn list(&self, token: &str, query: &str) -> (StatusCode, Value) {
        answer(self.http.get(format!("{}/v2/files.json{query}", self.base)).bearer_auth(token)).await
    }

    async fn token_of(&self, tenant: &str, actor: Actor, scopes: &str) -> String {
        let scopes: Scopes = scopes.parse().unwrap();
        let caller = Caller { actor, tenant: tenant.parse().unwrap(), scopes, types: TypeLimit::default(), dialect: None };
        Tokens::new(self.database.clone(), None).create(&caller, OffsetDateTime::now_utc()).await.unwrap().1.reveal().to_owned()
    }

    /// An active file of the token's owner.
    async fn active_file(&self, token: &str) -> i64 {
        let post = self.http.post(format!("{}/v2/files/ref.json", self.base)).bearer_auth(token);
        let (status, body) = answer(post.body(new_file("note.txt", "text/plain").to_string())).await;
        assert_eq!(status, 201, "{body}");
        let slip = slip(body);
        self.drop_bytes(&slip, b"Hello").await;
        let patch = self.http.patch(format!("{}/v2/files/{}.json", self.base, slip.id)).bearer_auth(token);
        assert_eq!(answer(patch).await.0, 200);
        slip.id
    }

    async fn active_files(&self, token: &str, count: usize) -> Vec<i64> {
        let mut ids = join_all((0..count).map(|_| self.active_file(token))).await;
        ids.sort_unstable();
        ids.reverse();
        ids
    }
}

fn ids(page: &Value) -> Vec<i64> {
    page["files"].as_array().unwrap().iter().map(|file| file["id"].as_i64().unwrap()).collect()
}

/// Every page from the first on; between two of them `meanwhile` happens.
async fn walk(broker: &TestBroker, token: &str, size: usize, meanwhile: impl AsyncFn()) -> Vec<i64> {
    let (mut met, mut query) = (Vec::new(), format!("?pageSize={size}"));
    loop {
        let (status, page) = broker.list(token, &query).await;
        assert_eq!(status, 200, "{page}");
        let (found, cursor) = (ids(&page), page["meta"]["page"]["nextCursor"].as_str());
        assert_eq!(page["meta"]["page"]["hasMore"], json!(cursor.is_some()), "{page}");
        assert_eq!(page["pagination"]["hasMorePages"], json!(cursor.is_some()), "{page}");
        met.extend(&found);
        let Some(cursor) = cursor else { return met };
        assert_eq!(found.len(), size, "only the last page may be short");
        query = format!("?cursor={cursor}&pageSize={size}");
        meanwhile().await;
    }
}

async fn a_walk_meets_each_file_once_while_new_ones_come(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let token = broker.token.clone();
    let there = broker.active_files(&token, 11).await;
    // What is not active is not listed.
    broker.text_slip().await;
    let new = async || {
        broker.active_file(&token).await;
    };
    assert_eq!(walk(&broker, &token, 3, new).await, there);
    let more = walk(&broker, &token, 7, async || {}).await;
    assert_eq!((more.len(), &more[more.len() - 11..]), (14, there.as_slice()));
    assert!(more.is_sorted_by(|one, next| one > next), "{more:?}");
    // A page that ends exactly at the last file says so.
    assert_eq!(walk(&broker, &token, 14, async || panic!("there is no second page")).await, more);
    let (_, page) = broker.list(&token, "").await;
    let (_, one) = broker.read(more[0]).await;
    assert_eq!(page["files"][0], one["file"], "the object is that of reading one file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_meets_each_file_once_while_new_ones_come_on_sqlite() {
    a_walk_meets_each_file_once_while_new_ones_come(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_meets_each_file_once_while_new_ones_come_on_postgres() {
    a_walk_meets_each_file_once_while_new_ones_come(Db::Postgres).await;
}

async fn lists_show_what_one_may_read(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let all = "files:read,files:write";
    let (users, customers) = (|id| Actor { id, kind: ActorKind::Users }, |id| Actor { id, kind: ActorKind::Customers });
    let owners = [("one", users(7)), ("one", users(8)), ("one", customers(7)), ("one", customers(8)), ("two", users(7))];
    let tokens = join_all(owners.map(|(tenant, actor)| broker.token_of(tenant, actor, all))).await;
    let mut made = Vec::new();
    for token in &tokens {
        made.push(broker.active_files(token, 2).await);
    }
    let mut of_one = made[..4].concat();
    of_one.sort_unstable();
    of_one.reverse();
    // Users work on the same files, customers reach their own only, tenants are strangers.
    let expected = [of_one.clone(), of_one, made[2].clone(), made[3].clone(), made[4].clone()];
    for (token, expected) in tokens.iter().zip(&expected) {
        assert_eq!(walk(&broker, token, 1, async || {}).await, *expected);
        assert_eq!(walk(&broker, token, 50, async || {}).await, *expected);
    }
    // A cursor is a place in a list and no key to it.
    let (_, page) = broker.list(&tokens[0], "?pageSize=1").await;
    let (first, cursor) = (ids(&page)[0], page["meta"]["page"]["nextCursor"].as_str().unwrap());
    for (token, expected) in tokens.iter().zip(&expected) {
        let (status, page) = broker.list(token, &format!("?cursor={cursor}")).await;
        let below: Vec<_> = expected.iter().copied().filter(|id| *id < first).collect();
        assert_eq!((status.as_u16(), ids(&page)), (200, below), "{page}");
    }
    let stranger = broker.token_of("three", users(7), all).await;
    assert_eq!(ids(&broker.list(&stranger, "").await.1), Vec::<i64>::new());

    let writer = broker.token_of("one", users(7), "files:write").await;
    assert_eq!(broker.list(&writer, "").await.0, 403);
    assert_eq!(broker.list("dslip_nobody", "").await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_show_what_one_may_read_on_sqlite() {
    lists_show_what_one_may_read(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_show_what_one_may_read_on_postgres() {
    lists_show_what_one_may_read(Db::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_has_50_files_or_as_many_as_asked_for_up_to_100() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let token = broker.token.clone();
    let there = broker.active_files(&token, 102).await;
    let queries = [
        ("", 50),
        ("?", 50),
        ("?pageSize=1", 1),
        ("?pageSize=100", 100),
        ("?pageSize=101", 100),
        ("?pageSize=99999999999999999999999", 100),
        ("?includes=all&fields=id,name&aggregate=x&pagesize=2&%ff=%", 50),
    ];
    for (query, size) in queries {
        for prefix in ["/v2", "/desk/api/v2"] {
            let (status, page) = answer(broker.request("GET", &format!("{prefix}/files.json{query}"))).await;
            assert_eq!((status.as_u16(), ids(&page).as_slice()), (200, &there[..size]), "{query}");
            assert_eq!((&page["pagination"]["pageSize"], &page["meta"]["page"]["pageSize"]), (&json!(size), &json!(size)), "{query}");
            assert_eq!(page["meta"]["page"]["hasMore"], true);
        }
    }
}

#[tokio::test]
async fn a_bad_cursor_or_page_size_is_named() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let token = broker.token.clone();
    let bad = [
        ("?cursor=1", vec!["cursor"]),
        ("?cursor=AQAAAAAAAAAA", vec!["cursor"]),
        ("?cursor=AgAAAAAAAAAp", vec!["cursor"]),
        ("?cursor=%00%ff", vec!["cursor"]),
        ("?cursor=AQAAAAAAAAAp&cursor=AQAAAAAAAAAp", vec!["cursor"]),
        ("?pageSize=0", vec!["pageSize"]),
        ("?pageSize=", vec!["pageSize"]),
        ("?pageSize=-1", vec!["pageSize"]),
        ("?pageSize=1.5", vec!["pageSize"]),
        ("?pageSize=5&pageSize=5", vec!["pageSize"]),
        ("?pageSize=many&cursor=none", vec!["cursor", "pageSize"]),
    ];
    for (query, fields) in bad {
        let (status, body) = broker.list(&token, query).await;
        assert_eq!((status.as_u16(), error_fields(&body)), (400, fields.into_iter().map(ToOwned::to_owned).collect()), "{query}");
    }
    for nothing in ["?cursor=AQAAAAAAAAAp", "?cursor=&q=&filter=&orderBy=&orderMode=", "?skipAggregation=True", "?skipAggregation=FALSE"] {
        let (status, page) = broker.list(&token, nothing).await;
        assert_eq!((status.as_u16(), &page["files"]), (200, &json!([])), "{nothing}");
    }
}
