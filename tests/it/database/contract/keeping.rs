//! Files that end by themselves: once, when their time has come, and never while somebody holds them.

use dropslip::database::{Activation, Attached, Changed, Database};
use dropslip::domain::{Actor, ActorKind, File, FileId, FileState, TicketId};
use futures_util::future::join_all;
use time::{Duration, OffsetDateTime};

use super::{Fixture, NOW, caller, evidence, fixture, insert, sealed};
use crate::harness::{Db, execute};

const TICKET: TicketId = TicketId(7);
const ENDS: OffsetDateTime = NOW.saturating_add(Duration::HOUR);

/// An active file that ends at that time.
async fn kept(database: &Database, number: usize, until: OffsetDateTime) -> File {
    let file = insert(database, "one", &format!("temp/{number:04}")).await;
    let key = format!("files/{number:04}");
    database.doom(&key, NOW, false).await.unwrap();
    let activation = Activation { keep_until: Some(until), ..sealed(&key, &evidence()) };
    database.activate(&file, &activation).await.unwrap().unwrap()
}

async fn found(database: &Database, id: FileId) -> File {
    database.find_file(&"one".parse().unwrap(), id).await.unwrap().unwrap()
}

async fn attach(database: &Database, files: &[FileId]) -> Attached {
    let one = caller("one");
    database.attach(&one.tenant, TICKET.into(), files, 1000, one.actor, NOW).await.unwrap()
}

fn ids(files: &[File]) -> Vec<FileId> {
    let mut ids: Vec<_> = files.iter().map(|file| file.id).collect();
    ids.sort_unstable();
    ids
}

async fn files_end_in_the_order_of_their_time_and_not_before(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let mut files = Vec::new();
    for number in 0..5_u8 {
        // The last one made ends first.
        files.push(kept(&database, number.into(), ENDS - Duration::seconds(number.into())).await);
    }
    let forever = insert(&database, "one", "temp/forever").await;
    database.doom("files/forever", NOW, false).await.unwrap();
    let forever = database.activate(&forever, &sealed("files/forever", &evidence())).await.unwrap().unwrap();
    assert_eq!((files[0].keep_until, forever.keep_until), (Some(ENDS), None));

    let first = ENDS - Duration::seconds(4);
    assert_eq!(database.end_files(first - Duration::MICROSECOND, 10).await.unwrap(), (0, Vec::new()));
    let (due, ended) = database.end_files(first, 10).await.unwrap();
    assert_eq!((due, ids(&ended)), (1, vec![files[4].id]), "at that time, not after it");
    assert_eq!(ended[0].state(), FileState::Deleted);
    let deletion = ended[0].deletion().unwrap();
    assert_eq!((deletion.at, deletion.by), (first, files[4].created_by));
    let (due, ended) = database.end_files(ENDS, 3).await.unwrap();
    assert_eq!((due, ids(&ended)), (3, vec![files[1].id, files[2].id, files[3].id]), "as many as asked for, the earliest first");
    let (due, ended) = database.end_files(ENDS, 3).await.unwrap();
    assert_eq!((due, ids(&ended)), (1, vec![files[0].id]));
    assert_eq!(database.end_files(ENDS + Duration::WEEK, 3).await.unwrap(), (0, Vec::new()));
    assert_eq!(found(&database, forever.id).await.state(), FileState::Active);
}

async fn who_holds_or_restores_a_file_takes_its_end_away(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let (held, ended) = (kept(&database, 1, ENDS).await, kept(&database, 2, ENDS).await);
    assert_eq!(attach(&database, &[held.id]).await, Attached::All);
    assert_eq!(found(&database, held.id).await.keep_until, None);
    assert_eq!(ids(&database.end_files(ENDS, 10).await.unwrap().1), [ended.id]);
    assert_eq!(attach(&database, &[ended.id]).await, Attached::Gone(ended.id));
    let deleted = found(&database, ended.id).await;
    let by = Actor { id: 9, kind: ActorKind::Users };
    let Changed::Done(restored) = database.restore_file(&deleted, by, ENDS).await.unwrap() else { panic!("it can be restored") };
    assert_eq!((restored.state(), restored.keep_until), (FileState::Active, None));
    assert_eq!(database.end_files(ENDS + Duration::WEEK, 10).await.unwrap(), (0, Vec::new()), "for good");
}

/// A broker of the version before attaches, and leaves the time as it is.
async fn what_an_older_broker_attached_stays_for_good(db: Db) {
    let Fixture { database, url, _folder } = fixture(db).await;
    let (held, free) = (kept(&database, 1, ENDS).await, kept(&database, 2, ENDS).await);
    let insert = "INSERT INTO ticket_files (tenant, ticket_id, file_id, added_at, added_by_id, added_by_kind) \
         SELECT tenant, 7, id, created_at, 1, 'users' FROM files WHERE id = ";
    execute(&url, &format!("{insert}{}", held.id.0)).await;
    let (due, ended) = database.end_files(ENDS, 10).await.unwrap();
    assert_eq!((due, ids(&ended)), (2, vec![free.id]));
    let held = found(&database, held.id).await;
    assert_eq!((held.state(), held.keep_until), (FileState::Active, None), "no sweep looks at it again");
    assert_eq!(database.end_files(ENDS, 10).await.unwrap(), (0, Vec::new()));
}

async fn a_file_is_attached_or_ends_and_never_both(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let (mut attached, mut ended) = (0, 0);
    for round in 0..40 {
        let mut files = Vec::new();
        for number in 0..4 {
            files.push(kept(&database, round * 4 + number, ENDS).await);
        }
        let holding = files.iter().rev().map(async |file| (file.id, attach(&database, &[file.id]).await));
        let sweeping = (0..3).map(async |_| database.end_files(ENDS, 2).await.unwrap().1);
        // Now the one begins first, now the other.
        let (held, swept) = if round % 2 == 0 {
            tokio::join!(join_all(holding), join_all(sweeping))
        } else {
            let (swept, held) = tokio::join!(join_all(sweeping), join_all(holding));
            (held, swept)
        };
        let swept: Vec<_> = swept.iter().flatten().map(|file| file.id).collect();
        for (id, outcome) in held {
            let is_held = outcome == Attached::All;
            assert!(is_held || outcome == Attached::Gone(id), "{outcome:?}");
            assert_eq!(swept.iter().filter(|ended| **ended == id).count(), usize::from(!is_held), "round {round}: one of them wins");
            let state = if is_held { FileState::Active } else { FileState::Deleted };
            assert_eq!(found(&database, id).await.state(), state, "round {round}");
            assert_eq!(database.is_attached(&"one".parse().unwrap(), TICKET, id).await.unwrap(), is_held, "round {round}");
            (attached, ended) = (attached + usize::from(is_held), ended + usize::from(!is_held));
        }
        assert_eq!(database.end_files(ENDS, 10).await.unwrap(), (0, Vec::new()), "round {round}: nobody is left over");
    }
    assert!(attached > 0 && ended > 0, "no race: {attached} attached, {ended} ended");
}

on_both_engines!(
    files_end_in_the_order_of_their_time_and_not_before,
    who_holds_or_restores_a_file_takes_its_end_away,
    what_an_older_broker_attached_stays_for_good,
    a_file_is_attached_or_ends_and_never_both,
);

/// Whoever works on a row keeps no sweeper waiting.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_passes_over_what_somebody_works_on() {
    use sqlx::Connection as _;
    let Fixture { database, url, _folder } = fixture(Db::Postgres).await;
    let (busy, free) = (kept(&database, 1, ENDS).await, kept(&database, 2, ENDS).await);
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    sqlx::query("SELECT id FROM files WHERE id = $1 FOR UPDATE").bind(busy.id.0).execute(&mut *transaction).await.unwrap();
    assert_eq!(ids(&database.end_files(ENDS, 10).await.unwrap().1), [free.id]);
    transaction.rollback().await.unwrap();
    assert_eq!(ids(&database.end_files(ENDS, 10).await.unwrap().1), [busy.id]);
}
