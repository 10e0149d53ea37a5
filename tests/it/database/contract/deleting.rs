//! Deleting, restoring, describing and purging: each happens once or not at all, whoever is at it besides.

use dropslip::database::{Changed, Database, DatabaseError, Idempotency, Selected, Waiting};
use dropslip::domain::{
    Actor, ActorKind, Deletion, Disposition, File, FileId, FileName, FileState, Reach, Selection, Start, State, TypeLimit,
};
use futures_util::future::join_all;
use time::{Duration, OffsetDateTime};

use super::{Fixture, NOW, doomed, evidence, fixture, insert, insert_once, leased, nothing, sealed};
use crate::harness::Db;

const LATER: OffsetDateTime = NOW.saturating_add(Duration::DAY);

fn by(id: i64) -> Deletion {
    Deletion { at: LATER, by: Actor { id, kind: ActorKind::Users } }
}

async fn active(database: &Database, number: usize) -> File {
    let file = insert(database, "one", &format!("temp/{number:04}")).await;
    activated(database, &file).await
}

async fn activated(database: &Database, file: &File) -> File {
    let key = format!("files/{:04}", file.id.0);
    database.doom(&key, NOW, false).await.unwrap();
    database.activate(file, &sealed(&key, &evidence())).await.unwrap().unwrap()
}

/// What a change made of a file; `None` where it made nothing, as the file was not as it was seen.
fn changed(outcome: Result<Changed, DatabaseError>) -> Option<File> {
    match outcome.unwrap() {
        Changed::Done(file) => Some(*file),
        Changed::Outdated => None,
        Changed::TooOften(wait) => panic!("only in {wait:?}"),
    }
}

/// All files of the tenant that lists show.
async fn listed(database: &Database, file: &File) -> Vec<File> {
    let (types, selection) = (TypeLimit::default(), Selection::newest());
    let selected = Selected { reach: Reach { tenant: &file.tenant, maker: None, types: &types }, ticket: None, selection: &selection };
    database.select_files(&selected, &Start::Skip(0), 10, &nothing()).await.unwrap()
}

async fn a_deleted_file_is_the_same_file_and_comes_back_as_it_was(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let temp = insert(&database, "one", "temp/t").await;
    let file = active(&database, 1).await;
    assert_eq!(database.delete_file(&temp, &by(9), None).await.unwrap(), None, "a temp file has nothing that could be kept");
    let deleted = database.delete_file(&file, &by(9), None).await.unwrap().unwrap();
    let kept = file.sealed().unwrap().clone();
    assert_eq!(deleted, File { state: State::Deleted(kept, by(9)), ..file.clone() });
    assert_eq!(database.find_file(&file.tenant, file.id).await.unwrap(), Some(deleted.clone()));
    assert_eq!(database.delete_file(&file, &by(10), None).await.unwrap(), None, "once");
    assert_eq!(listed(&database, &file).await, [], "lists hide it");
    assert!(database.owned_keys(&[file.sealed_key().unwrap().to_string()]).await.unwrap().len() == 1, "its object is owned");

    let foreign = File { tenant: "two".parse().unwrap(), ..deleted.clone() };
    assert_eq!(changed(database.restore_file(&foreign, foreign.created_by, NOW).await), None);
    assert_eq!(database.delete_file(&foreign, &by(9), None).await.unwrap(), None);
    assert_eq!(changed(database.restore_file(&deleted, deleted.created_by, NOW).await), Some(file.clone()));
    assert_eq!(changed(database.restore_file(&deleted, deleted.created_by, NOW).await), None, "once");
    assert_eq!(listed(&database, &file).await, [file]);
}

async fn of_many_who_delete_or_restore_one_does(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let file = active(&database, 1).await;
    let deletions: Vec<_> = (1..=8).map(by).collect();
    let won: Vec<File> =
        join_all(deletions.iter().map(|by| database.delete_file(&file, by, None))).await.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(won.len(), 1);
    let found = database.find_file(&file.tenant, file.id).await.unwrap().unwrap();
    assert_eq!(found.deletion(), won[0].deletion());
    let won = join_all((0..8).map(|_| database.restore_file(&found, found.created_by, NOW))).await.into_iter().filter_map(changed).count();
    assert_eq!(won, 1);
}

async fn a_file_is_described_anew_if_it_is_as_it_was_seen(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let file = active(&database, 1).await;
    let who = Actor { id: 77, kind: ActorKind::Customers };
    let wished = File { name: FileName::sanitized("ünï 'code'.txt"), disposition: Disposition::Attachment, ..file.clone() };
    let described = changed(database.describe(&file, &wished, who, LATER).await).unwrap();
    assert_eq!(described, File { updated_at: LATER, updated_by: who, ..wished.clone() });
    assert_eq!(changed(database.describe(&file, &wished, who, LATER).await), None, "it has another name since");
    let deleted = database.delete_file(&described, &by(9), None).await.unwrap().unwrap();
    assert_eq!(changed(database.describe(&deleted, &file, who, LATER).await), None, "a deleted file stays as it is");
    // In the step that makes it active, too.
    let temp = insert(&database, "one", "temp/named").await;
    let named = activated(&database, &File { name: FileName::sanitized("new.txt"), ..temp.clone() }).await;
    assert_eq!((named.name.as_str(), named.id), ("new.txt", temp.id));
}

async fn purging_takes_what_was_deleted_long_ago_and_dooms_its_object(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let once = insert_once(&database, "temp/once", &Idempotency { key: "k", request_sha256: [1; 32] }).await.unwrap();
    let mut files = vec![activated(&database, &once).await];
    for number in 1..6 {
        files.push(active(&database, number).await);
    }
    let temp = insert(&database, "one", "temp/t").await;
    assert_eq!(doomed(&database).await.len(), 6, "the staging keys");
    for (number, file) in files.iter().enumerate().take(5) {
        let at = LATER + Duration::seconds(i64::try_from(number).unwrap());
        database.delete_file(file, &Deletion { at, ..by(9) }, None).await.unwrap().unwrap();
    }
    let ids = |files: &[File]| files.iter().map(|file| file.id).collect::<std::collections::BTreeSet<FileId>>();
    let until = LATER + Duration::seconds(3);
    let now = LATER + Duration::WEEK;
    let micro = Duration::MICROSECOND;
    assert_eq!(database.purge_files(LATER - micro, now, 10).await.unwrap(), []);
    let waiting = database.waiting(NOW, NOW, until).await.unwrap();
    assert_eq!(waiting, Waiting { expired_files: 0, due_objects: waiting.due_objects, purgeable_files: 4 });
    assert_eq!(ids(&database.purge_files(until, now, 3).await.unwrap()), ids(&files[..3]), "those that were deleted first");
    let gone = database.purge_files(until, now, 3).await.unwrap();
    assert_eq!((ids(&gone), gone[0].state(), gone[0].deletion().unwrap().by.id), (ids(&files[3..4]), FileState::Deleted, 9));
    assert_eq!(database.purge_files(until, now, 3).await.unwrap(), []);

    assert_eq!(leased(&database, now - micro, 100).await.len(), 6, "only the staging keys, whose lease is over");
    let mut due = leased(&database, now, 100).await;
    due.sort();
    let keys: Vec<_> = files[..4].iter().map(|file| file.sealed_key().unwrap().to_string()).collect();
    assert_eq!(due, keys);
    for file in &files[..4] {
        assert_eq!(database.find_file(&file.tenant, file.id).await.unwrap(), None);
        assert_eq!(changed(database.restore_file(file, file.created_by, NOW).await), None);
    }
    assert_eq!(database.find_idempotency_key(&super::caller("one"), "k").await.unwrap(), None);
    assert!(changed(database.restore_file(&files[4], files[4].created_by, NOW).await).is_some(), "its time has not come");
    assert!(database.find_file(&temp.tenant, temp.id).await.unwrap().is_some());
}

async fn each_file_is_restored_or_purged_and_never_both(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let mut files = Vec::new();
    for number in 0..120 {
        let file = active(&database, number).await;
        files.push(database.delete_file(&file, &by(9), None).await.unwrap().unwrap());
    }
    let purging = (0..4).map(async |_| {
        let mut gone = Vec::new();
        for _ in 0..12 {
            gone.extend(database.purge_files(LATER, LATER, 7).await.unwrap().into_iter().map(|file| file.id));
        }
        gone
    });
    let restoring =
        files.iter().rev().take(60).map(async |file| changed(database.restore_file(file, file.created_by, NOW).await).map(|file| file.id));
    let (purged, restored) = futures_util::future::join(join_all(purging), join_all(restoring)).await;
    let rest = database.purge_files(LATER, LATER, 1000).await.unwrap();
    let restored: Vec<_> = restored.into_iter().flatten().collect();
    assert!(!restored.is_empty() && !purged.concat().is_empty(), "{} were restored", restored.len());
    let mut all: Vec<_> = purged.concat().into_iter().chain(restored.iter().copied()).chain(rest.iter().map(|file| file.id)).collect();
    all.sort();
    assert_eq!(all, files.iter().map(|file| file.id).collect::<Vec<_>>());
    let doomed = leased(&database, LATER, 1000).await;
    for file in &files {
        let key = &file.sealed_key().unwrap().to_string();
        assert_eq!(doomed.contains(key), !restored.contains(&file.id), "{key}");
    }
}

on_both_engines!(
    a_deleted_file_is_the_same_file_and_comes_back_as_it_was,
    of_many_who_delete_or_restore_one_does,
    a_file_is_described_anew_if_it_is_as_it_was_seen,
    purging_takes_what_was_deleted_long_ago_and_dooms_its_object,
    each_file_is_restored_or_purged_and_never_both,
);
