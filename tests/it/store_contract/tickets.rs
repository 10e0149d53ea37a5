//! Files on tickets: all or none, as many as there may be, and gone with the file.

use dropslip::domain::{FileId, Position, Start, TicketId, TypeLimit};
use dropslip::store::{Attached, Store};
use sqlx::Connection as _;

use super::{Fixture, NOW, caller, evidence, fixture, insert, sealed};
use crate::harness::Db;

const TICKET: TicketId = TicketId(7);

async fn active(store: &Store, tenant: &str, name: &str) -> FileId {
    let file = insert(store, tenant, &format!("temp/{name}")).await;
    let key = format!("files/{name}");
    store.doom(&key, NOW, false).await.unwrap();
    store.activate(&file, &sealed(&key, &evidence())).await.unwrap().unwrap().id
}

async fn listed(store: &Store, tenant: &str) -> Vec<FileId> {
    let caller = caller(tenant);
    let files = store.ticket_files(&caller.tenant, TICKET, None, &TypeLimit::default(), &Start::Skip(0), 100).await.unwrap();
    let ids: Vec<_> = files.iter().map(|file| file.id).collect();
    for file in &files {
        assert!(store.is_attached(&caller.tenant, TICKET, file.id).await.unwrap());
    }
    ids
}

async fn files_are_attached_all_or_none(db: Db) {
    let Fixture { store, url, _folder } = fixture(db).await;
    let (one, two) = (caller("one"), caller("two"));
    let (a, b, c) = (active(&store, "one", "a").await, active(&store, "one", "b").await, active(&store, "one", "c").await);
    let temp = insert(&store, "one", "temp/t").await.id;
    let theirs = active(&store, "two", "x").await;
    let attach = async |ids: &[FileId]| store.attach(&one.tenant, TICKET, ids, 2, one.actor, NOW).await.unwrap();
    for gone in [temp, theirs, FileId(999)] {
        assert_eq!(attach(&[a, gone, b]).await, Attached::Gone(gone));
        assert_eq!(listed(&store, "one").await, []);
    }
    assert_eq!(attach(&[a, b]).await, Attached::All);
    assert_eq!(attach(&[b, a]).await, Attached::All, "again");
    assert_eq!(attach(&[c]).await, Attached::TooMany);
    assert_eq!(listed(&store, "one").await, [b, a]);
    // The same number of another tenant's is another ticket.
    assert_eq!(store.attach(&two.tenant, TICKET, &[theirs], 2, two.actor, NOW).await.unwrap(), Attached::All);
    assert_eq!((listed(&store, "one").await, listed(&store, "two").await), (vec![b, a], vec![theirs]));
    // Of customers, their own.
    let own = store.ticket_files(&one.tenant, TICKET, Some(one.actor.id), &TypeLimit::default(), &Start::Skip(0), 1).await.unwrap();
    assert_eq!(own.iter().map(|file| file.id).collect::<Vec<_>>(), [b]);
    assert!(
        store
            .ticket_files(&one.tenant, TICKET, Some(one.actor.id + 1), &TypeLimit::default(), &Start::Skip(0), 1)
            .await
            .unwrap()
            .is_empty()
    );
    let below = store
        .ticket_files(&one.tenant, TICKET, None, &TypeLimit::default(), &Start::After(Position { id: b, value: None }), 100)
        .await
        .unwrap();
    assert_eq!(below.iter().map(|file| file.id).collect::<Vec<_>>(), [a]);

    let other_types = TypeLimit::to(["other".to_owned()]);
    assert!(store.ticket_files(&one.tenant, TICKET, None, &other_types, &Start::Skip(0), 100).await.unwrap().is_empty());
    assert!(store.ticket_files(&one.tenant, TICKET, Some(one.actor.id), &other_types, &Start::Skip(0), 100).await.unwrap().is_empty());

    let detach = async |id: FileId| store.detach(&one.tenant, TICKET, id, one.actor, NOW).await.unwrap();
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
    assert!(!store.is_attached(&one.tenant, TICKET, a).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_attached_all_or_none_on_sqlite() {
    files_are_attached_all_or_none(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_attached_all_or_none_on_postgres() {
    files_are_attached_all_or_none(Db::Postgres).await;
}
