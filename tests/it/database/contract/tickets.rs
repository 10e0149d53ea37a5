//! Files on tickets: all or none, as many as there may be, and gone with the file.

use dropslip::database::{Attached, Database, Selected};
use dropslip::domain::{Actor, Caller, FileId, Position, Reach, Selection, Start, TicketId, TypeLimit};
use sqlx::Connection as _;

use super::{Fixture, NOW, caller, evidence, fixture, insert, nothing, sealed};
use crate::harness::Db;

const TICKET: TicketId = TicketId(7);

async fn active(database: &Database, tenant: &str, name: &str) -> FileId {
    let file = insert(database, tenant, &format!("temp/{name}")).await;
    let key = format!("files/{name}");
    database.doom(&key, NOW, false).await.unwrap();
    database.activate(&file, &sealed(&key, &evidence())).await.unwrap().unwrap().id
}

async fn listed(database: &Database, tenant: &str) -> Vec<FileId> {
    let caller = caller(tenant);
    let ids = on_ticket(database, &caller, None, &TypeLimit::default(), &Start::Skip(0)).await;
    for id in &ids {
        assert!(database.is_attached(&caller.tenant, TICKET, *id).await.unwrap());
    }
    ids
}

async fn on_ticket(database: &Database, caller: &Caller, maker: Option<Actor>, types: &TypeLimit, start: &Start) -> Vec<FileId> {
    let selection = Selection::newest();
    let selected = Selected { reach: Reach { tenant: &caller.tenant, maker, types }, ticket: Some(TICKET), selection: &selection };
    let files = database.select_files(&selected, start, 100, &nothing()).await.unwrap();
    if *start == Start::Skip(0) {
        assert_eq!(database.count_files(&selected, 1000, &nothing()).await.unwrap() as usize, files.len());
    }
    files.iter().map(|file| file.id).collect()
}

async fn files_are_attached_all_or_none(db: Db) {
    let Fixture { database, url, _folder } = fixture(db).await;
    let (one, two) = (caller("one"), caller("two"));
    let (a, b, c) = (active(&database, "one", "a").await, active(&database, "one", "b").await, active(&database, "one", "c").await);
    let temp = insert(&database, "one", "temp/t").await.id;
    let theirs = active(&database, "two", "x").await;
    let attach = async |ids: &[FileId]| database.attach(&one.tenant, TICKET.into(), ids, 2, one.actor, NOW).await.unwrap();
    for gone in [temp, theirs, FileId(999)] {
        assert_eq!(attach(&[a, gone, b]).await, Attached::Gone(gone));
        assert_eq!(listed(&database, "one").await, []);
    }
    assert_eq!(attach(&[a, b]).await, Attached::All);
    assert_eq!(attach(&[b, a]).await, Attached::All, "again");
    assert_eq!(attach(&[c]).await, Attached::TooMany);
    assert_eq!(listed(&database, "one").await, [b, a]);
    // The same number of another tenant's is another ticket.
    assert_eq!(database.attach(&two.tenant, TICKET.into(), &[theirs], 2, two.actor, NOW).await.unwrap(), Attached::All);
    assert_eq!((listed(&database, "one").await, listed(&database, "two").await), (vec![b, a], vec![theirs]));
    // Of one maker, its own.
    let listed_by = async |maker, types: &TypeLimit, start| on_ticket(&database, &one, maker, types, &start).await;
    let another = Actor { id: one.actor.id + 1, ..one.actor };
    let all = TypeLimit::default();
    assert_eq!(listed_by(Some(one.actor), &all, Start::Skip(1)).await, [a]);
    assert_eq!(listed_by(Some(another), &all, Start::Skip(0)).await, []);
    assert_eq!(listed_by(None, &all, Start::After(Position { id: b, value: None })).await, [a]);
    let other_types = TypeLimit::to(["other".to_owned()]);
    assert_eq!(listed_by(None, &other_types, Start::Skip(0)).await, []);
    assert_eq!(listed_by(Some(one.actor), &other_types, Start::Skip(0)).await, []);

    let detach = async |id: FileId| database.detach(&one.tenant, TICKET, id, one.actor, NOW).await.unwrap();
    assert!(detach(b).await);
    assert!(!detach(b).await && !detach(theirs).await);
    // What is forgotten is on no ticket.
    let delete = format!("DELETE FROM files WHERE id = {}", a.0);
    match db {
        Db::Sqlite => {
            let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
            sqlx::raw_sql(sqlx::AssertSqlSafe(delete)).execute(&mut connection).await.unwrap();
        }
        Db::Postgres => {
            let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
            sqlx::raw_sql(sqlx::AssertSqlSafe(delete)).execute(&mut connection).await.unwrap();
        }
    }
    assert!(!database.is_attached(&one.tenant, TICKET, a).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_attached_all_or_none_on_sqlite() {
    files_are_attached_all_or_none(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_attached_all_or_none_on_postgres() {
    files_are_attached_all_or_none(Db::Postgres).await;
}

/// The last place of a ticket is given away once, however many want it.
async fn a_ticket_is_filled_once(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let one = caller("one");
    let mut ids = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        ids.push(active(&database, "one", name).await);
    }
    let attach = async |id: &FileId| database.attach(&one.tenant, TICKET.into(), &[*id], 2, one.actor, NOW).await.unwrap();
    assert_eq!(attach(&ids[0]).await, Attached::All);
    let outcomes = futures_util::future::join_all(ids[1..].iter().map(|id| Box::pin(attach(id)))).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Attached::All).count(), 1, "{outcomes:?}");
    assert_eq!(listed(&database, "one").await.len(), 2);
    assert_eq!(attach(&ids[0]).await, Attached::All, "what is on it already");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_filled_once_on_sqlite() {
    a_ticket_is_filled_once(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_filled_once_on_postgres() {
    a_ticket_is_filled_once(Db::Postgres).await;
}
