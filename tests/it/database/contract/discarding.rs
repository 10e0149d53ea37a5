//! Many temp files forgotten at once: exactly those that are still as they were seen, however many sweepers are at it.

use std::collections::BTreeSet;

use dropslip::database::{Database, Idempotency, Lease, OpenUpload, Reissued};
use dropslip::domain::{File, FileId, FileState};
use time::Duration;

use super::{Fixture, NOW, caller, doomed, evidence, fixture, insert, insert_in_parts, insert_once, leased, sealed};
use crate::harness::Db;

/// How long after a form's end its bytes may still arrive.
const LATE: Duration = Duration::HOUR;

async fn many(database: &Database, count: usize) -> Vec<File> {
    let inserts = (0..count).map(async |number| insert(database, "one", &format!("temp/{number:04}")).await);
    let mut files = futures_util::future::join_all(inserts).await;
    files.sort_by_key(|file| file.id);
    files
}

async fn discarded(database: &Database, files: &[File]) -> BTreeSet<FileId> {
    let gone = database.discard_temp_files(&files.iter().collect::<Vec<_>>(), LATE, NOW).await.unwrap();
    let ids: BTreeSet<_> = gone.iter().copied().collect();
    assert_eq!(ids.len(), gone.len(), "none is told twice");
    ids
}

async fn only_what_is_still_as_it_was_seen_is_forgotten(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let caller = caller("one");
    let mut files = many(&database, 6).await;
    let in_parts = insert_in_parts(&database, "temp/parts").await;
    files.push(database.begin_upload(&in_parts, "u1").await.unwrap().unwrap());
    let [plain, active, reissued, extended, once, gone, _parts] = files.as_slice() else { panic!("{files:?}") };
    // Since a sweeper saw them: one was confirmed, one re-issued, one extended, one discarded by another.
    database.doom("files/a", NOW, false).await.unwrap();
    database.activate(active, &sealed("files/a", &evidence())).await.unwrap().unwrap();
    let (expires_at, at) = (NOW + Duration::HOUR * 2, NOW + Duration::MINUTE);
    let new =
        Reissued { staging_key: &"temp/new".parse().unwrap(), expires_at, caller: &caller, at, old_doomed_until: NOW + Duration::WEEK };
    database.reissue(reissued, &new).await.unwrap().unwrap();
    database.extend_slip(extended, NOW + Duration::DAY).await.unwrap().unwrap();
    assert!(database.discard_temp_file(gone, NOW, None, NOW).await.unwrap());
    let keys = doomed(&database).await;
    assert_eq!(keys.len(), 3, "the staging keys of the first, second and fourth change");
    database.forget_doomed(&keys).await.unwrap();

    let expected: BTreeSet<_> = [plain, once, files.last().unwrap()].map(|file| file.id).into();
    assert_eq!(discarded(&database, &files).await, expected);
    assert_eq!(discarded(&database, &files).await, BTreeSet::new(), "once is enough");
    for file in &files {
        let state = database.find_file(&file.tenant, file.id).await.unwrap().map(|file| file.state());
        let left = match file.id {
            id if id == active.id => Some(FileState::Active),
            id if id == reissued.id || id == extended.id => Some(FileState::Temp),
            _ => None,
        };
        assert_eq!(state, left, "{file:?}");
    }
    // Their keys are due when the last byte may have arrived, with the upload that may be open on them.
    let due = plain.expires_at + LATE;
    assert_eq!(leased(&database, due - Duration::SECOND, 10).await, Vec::<String>::new());
    let keys = database.lease_doomed(due, Lease::of(Duration::MINUTE, due), 10).await.unwrap();
    let uploads: BTreeSet<_> = keys.into_iter().map(|doomed| (doomed.key, format!("{:?}", doomed.upload))).collect();
    let named = |key: &str, upload: OpenUpload| (key.to_owned(), format!("{upload:?}"));
    let expected = [
        named(plain.staging_key.as_str(), OpenUpload::None),
        named(once.staging_key.as_str(), OpenUpload::None),
        named("temp/parts", OpenUpload::Named("u1".to_owned())),
    ];
    assert_eq!(uploads, expected.into());
}

async fn sweepers_at_once_forget_each_file_once(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let files = many(&database, 300).await;
    let confirmed = &files[100..130];
    for file in confirmed {
        database.doom(&format!("files/{}", file.id), NOW, false).await.unwrap();
    }
    // Six sweepers on the same files, every other one from the end, in batches that overlap; confirmations between them.
    let sweepers = (0..6_usize).map(async |number| {
        let mut files = files.clone();
        if number % 2 == 1 {
            files.reverse();
        }
        let mut gone = Vec::new();
        for batch in files.chunks(70 + number) {
            gone.extend(discarded(&database, batch).await);
        }
        gone
    });
    let confirmations = confirmed.iter().map(async |file| {
        let active = database.activate(file, &sealed(&format!("files/{}", file.id), &evidence())).await.unwrap();
        active.map(|file| file.id)
    });
    let (gone, active) =
        futures_util::future::join(futures_util::future::join_all(sweepers), futures_util::future::join_all(confirmations)).await;
    let (gone, active): (Vec<_>, Vec<_>) = (gone.concat(), active.into_iter().flatten().collect());
    assert!(!gone.is_empty() && !active.is_empty(), "{} were forgotten and {} confirmed", gone.len(), active.len());
    // What one passed over because another was at work on it is left to the next sweep.
    let rest = discarded(&database, &files).await;
    let mut all: Vec<_> = gone.into_iter().chain(active.iter().copied()).chain(rest).collect();
    all.sort();
    assert_eq!(all, files.iter().map(|file| file.id).collect::<Vec<_>>(), "each file became active or was forgotten, once");
    let keys = leased(&database, NOW + Duration::WEEK, 1000).await;
    assert_eq!(keys.iter().filter(|key| key.starts_with("temp/")).count(), 300, "and each staging key is doomed");
    assert_eq!(keys.len(), 300 + confirmed.len() - active.len(), "with the copies that nobody claimed");
}

async fn idempotency_keys_are_forgotten_bit_by_bit(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    for number in 0..7 {
        let key = format!("k{number}");
        insert_once(&database, &format!("temp/{number}"), &Idempotency { key: &key, request_sha256: [1; 32] }).await.unwrap();
    }
    let caller = caller("one");
    database.forget_idempotency_key(&caller, "k3", NOW - Duration::SECOND).await.unwrap();
    assert!(database.find_idempotency_key(&caller, "k3").await.unwrap().is_some(), "it is younger");
    database.forget_idempotency_key(&caller, "k3", NOW).await.unwrap();
    assert!(database.find_idempotency_key(&caller, "k3").await.unwrap().is_none());
    assert!(database.find_idempotency_key(&caller, "k4").await.unwrap().is_some(), "it is another");
    assert_eq!(database.forget_idempotency_keys(NOW, 4).await.unwrap(), 0);
    let later = NOW + Duration::SECOND;
    let counts = [4, 2, 0];
    for count in counts {
        assert_eq!(database.forget_idempotency_keys(later, 4).await.unwrap(), count);
    }
}

on_both_engines!(
    only_what_is_still_as_it_was_seen_is_forgotten,
    sweepers_at_once_forget_each_file_once,
    idempotency_keys_are_forgotten_bit_by_bit,
);
