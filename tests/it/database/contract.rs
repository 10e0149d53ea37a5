//! What the database promises, on both engines: one set of tests, run on each.

use dropslip::database::{
    Activation, Database, DatabaseError, Doomed, Holding, Idempotency, Lease, NewRow, NewToken, OpenUpload, Reissued, Waiting,
};
use dropslip::domain::{
    Actor, ActorKind, Caller, Disposition, Evidence, File, FileId, FileName, FileState, Grant, Multipart, NewFile, Origin, Pixels, Scopes,
    Sealed, SealedKey, TypeLimit, Verdict,
};
use tempfile::TempDir;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::harness::{Db, database};

const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05.123456 UTC);

struct Fixture {
    database: Database,
    url: String,
    _folder: TempDir,
}

async fn fixture(db: Db) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let url = database(db, &folder).await;
    Fixture { database: Database::open(&url).await.unwrap(), url, _folder: folder }
}

/// For who stays until the answer.
fn nothing() -> Holding {
    std::sync::Arc::new(())
}

fn caller(tenant: &str) -> Caller {
    Caller {
        actor: Actor { id: 5, kind: ActorKind::Customers },
        tenant: tenant.parse().unwrap(),
        scopes: Scopes::all(),
        types: TypeLimit::default(),
        dialect: None,
    }
}

async fn insert(database: &Database, tenant: &str, staging_key: &str) -> File {
    insert_row(database, tenant, staging_key, None, None).await.unwrap()
}

async fn insert_once(database: &Database, staging_key: &str, once: &Idempotency<'_>) -> Option<File> {
    insert_row(database, "one", staging_key, None, Some(once)).await
}

async fn insert_in_parts(database: &Database, staging_key: &str) -> File {
    let multipart = Multipart { upload_id: None, part_size: Some(5 << 20) };
    insert_row(database, "one", staging_key, Some(multipart), None).await.unwrap()
}

async fn insert_row(
    database: &Database,
    tenant: &str,
    staging_key: &str,
    multipart: Option<Multipart>,
    once: Option<&Idempotency<'_>>,
) -> Option<File> {
    try_insert(database, tenant, staging_key, multipart, once, &new_file(), 5).await.unwrap()
}

fn new_file() -> NewFile {
    NewFile {
        type_name: "attachment".to_owned(),
        name: FileName::sanitized("Größe 'x' \"y\".txt"),
        declared_type: Some("text/plain".parse().unwrap()),
        disposition: Disposition::AttachmentInline,
        size: Some(5),
        checksum_sha256: Some("LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=".parse().unwrap()),
        multipart: None,
    }
}

async fn try_insert(
    database: &Database,
    tenant: &str,
    staging_key: &str,
    multipart: Option<Multipart>,
    once: Option<&Idempotency<'_>>,
    new: &NewFile,
    min_size: u64,
) -> Result<Option<File>, DatabaseError> {
    let content_type = "text/plain; charset=utf-8".parse().unwrap();
    let grant = Grant { content_type, min_size, max_size: 1 << 40 };
    let caller = &caller(tenant);
    let (created_at, expires_at) = (NOW, NOW + Duration::HOUR);
    let row = NewRow { new, grant: &grant, caller, staging_key: &staging_key.parse().unwrap(), multipart, created_at, expires_at };
    database.insert_file(&row, once).await.map(|file| file.map(|file| *file))
}

fn evidence() -> Evidence {
    let pixels = Some(Pixels { width: 640, height: 480 });
    Evidence { detected: Some("image/png".parse().unwrap()), verdict: Verdict::Relabeled, decided: "image/png".parse().unwrap(), pixels }
}

fn sealed(key: &str, evidence: &Evidence) -> Activation {
    Activation {
        sealed: Sealed { key: key.parse().unwrap(), size: 7, etag: "abc".to_owned(), evidence: evidence.clone() },
        actor: Actor { id: 6, kind: ActorKind::Users },
        origin: Origin::Request(Actor { id: 6, kind: ActorKind::Users }.into()),
        at: NOW + Duration::MINUTE,
        keep_until: None,
        late_uploads: Duration::HOUR,
    }
}

/// Takes every doomed key on, which is for the end of a test.
async fn doomed(database: &Database) -> Vec<String> {
    let mut keys = leased(database, NOW + Duration::WEEK, 100).await;
    keys.sort();
    keys
}

async fn leased(database: &Database, at: OffsetDateTime, limit: u32) -> Vec<String> {
    let leased = database.lease_doomed(at, Lease::of(Duration::MINUTE, at), limit).await.unwrap();
    leased.into_iter().map(|doomed| doomed.key).collect()
}

async fn a_record_reads_back_as_it_was_written(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let written = insert(&database, "one", "temp/a").await;
    assert_eq!(written.state(), FileState::Temp);
    assert_eq!((written.created_at, written.expires_at), (NOW, NOW + Duration::HOUR));
    assert_eq!((written.grant.max_size, written.size()), (1 << 40, 0));
    assert_eq!(written.created_by, Actor { id: 5, kind: ActorKind::Customers });
    assert_eq!(written.name.as_str(), "Größe 'x' \"y\".txt");
    assert_eq!(database.find_file(&written.tenant, written.id).await.unwrap(), Some(written));
}

async fn a_tenant_sees_its_own_files_only(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let file = insert(&database, "one", "temp/a").await;
    assert_eq!(database.find_file(&"two".parse().unwrap(), file.id).await.unwrap(), None);
    assert_eq!(database.find_file(&file.tenant, FileId(file.id.0 + 1)).await.unwrap(), None);
    database.doom("files/a", NOW, false).await.unwrap();
    let foreign = File { tenant: "two".parse().unwrap(), ..file.clone() };
    assert_eq!(database.activate(&foreign, &sealed("files/a", &evidence())).await.unwrap(), None);
    assert!(database.activate(&file, &sealed("files/a", &evidence())).await.unwrap().is_some());
}

async fn numbers_are_never_used_twice_and_rise(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let mut last = FileId(0);
    for number in 0..20 {
        let file = insert(&database, "one", &format!("temp/{number}")).await;
        assert!(file.id > last);
        last = file.id;
    }
}

async fn activation_claims_the_sealed_key_and_dooms_the_staging_key(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let file = insert(&database, "one", "temp/a").await;
    database.doom("files/a", NOW + Duration::MINUTE, false).await.unwrap();
    let active = database.activate(&file, &sealed("files/a", &evidence())).await.unwrap().unwrap();
    assert_eq!((active.state(), active.size(), active.etag()), (FileState::Active, 7, Some("abc")));
    assert_eq!((active.sealed_key().map(SealedKey::as_str), active.updated_by.id, active.created_by.id), (Some("files/a"), 6, 5));
    assert_eq!((active.evidence(), active.content_type().essence()), (Some(&evidence()), "image/png"));
    assert_eq!((active.created_at, active.updated_at), (NOW, NOW + Duration::MINUTE));
    assert_eq!(doomed(&database).await, ["temp/a"]);
    assert_eq!(database.find_file(&file.tenant, file.id).await.unwrap(), Some(active));
}

async fn activation_happens_once_or_not_at_all(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let file = insert(&database, "one", "temp/a").await;
    assert_eq!(database.activate(&file, &sealed("files/never-doomed", &evidence())).await.unwrap(), None, "its object may be gone");
    assert_eq!(database.find_file(&file.tenant, file.id).await.unwrap(), Some(file.clone()), "nothing of it stays");

    let keys: Vec<_> = (0..8).map(|number| format!("files/{number}")).collect();
    for key in &keys {
        database.doom(key, NOW, false).await.unwrap();
    }
    let tries = keys.iter().map(|key| {
        let (database, file) = (database.clone(), file.clone());
        async move { database.activate(&file, &sealed(key, &evidence())).await.unwrap() }
    });
    let won: Vec<_> = futures_util::future::join_all(tries).await.into_iter().flatten().collect();
    assert_eq!(won.len(), 1, "one of eight wins");
    let left = doomed(&database).await;
    assert!(!left.contains(&won[0].sealed_key().unwrap().to_string()), "the winner's object is nobody else's to delete");
    assert_eq!(left.len(), 7 + 1, "the losers' copies and the staging key are doomed: {left:?}");
}

async fn a_key_doomed_twice_keeps_the_later_time(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    database.doom("temp/a", NOW + Duration::HOUR, false).await.unwrap();
    database.doom("temp/a", NOW, false).await.unwrap();
    database.doom("temp/b", NOW, false).await.unwrap();
    let due = |at| leased(&database, at, 10);
    assert_eq!(due(NOW + Duration::MINUTE).await, ["temp/b"]);
    assert_eq!(due(NOW + Duration::MINUTE).await, Vec::<String>::new(), "it is leased");
    assert_eq!(due(NOW + Duration::minutes(2)).await, ["temp/b"], "the lease has run out");
    database.forget_doomed(&["temp/b".to_owned(), "temp/never".to_owned()]).await.unwrap();
    assert_eq!(due(NOW + Duration::HOUR).await, ["temp/a"]);
}

async fn a_key_that_a_sweeper_took_on_cannot_be_claimed(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let file = insert(&database, "one", "temp/a").await;
    database.doom("files/a", NOW, false).await.unwrap();
    assert_eq!(leased(&database, NOW, 10).await, ["files/a"]);
    assert_eq!(database.activate(&file, &sealed("files/a", &evidence())).await.unwrap(), None, "its object may be gone");
    assert_eq!(database.find_file(&file.tenant, file.id).await.unwrap(), Some(file));
}

async fn sweepers_share_the_doomed_list(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    for number in 0..40 {
        database.doom(&format!("temp/{number:02}"), NOW, false).await.unwrap();
    }
    let taken = futures_util::future::join_all((0..8).map(|_| leased(&database, NOW, 10))).await;
    let mut all: Vec<_> = taken.into_iter().flatten().collect();
    let total = all.len();
    assert!(total >= 10, "{total} were taken on at once");
    all.sort();
    all.dedup();
    assert_eq!(all.len(), total, "no key was taken twice");
    let rest = leased(&database, NOW, 100).await;
    assert_eq!(all.len() + rest.len(), 40, "and none was lost");
}

async fn expired_temp_files_are_found_and_forgotten_once(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let file = insert(&database, "one", "temp/a").await;
    assert_eq!(database.expired_files(NOW + Duration::HOUR, None, 10).await.unwrap(), []);
    let late = NOW + Duration::HOUR + Duration::SECOND;
    assert_eq!(database.expired_files(late, None, 10).await.unwrap(), std::slice::from_ref(&file));
    assert_eq!(database.expired_files(late, Some((file.expires_at, file.id)), 10).await.unwrap(), [], "none after the last");
    assert_eq!(database.waiting(late, late, late).await.unwrap(), Waiting { expired_files: 1, due_objects: 0, purgeable_files: 0 });
    let other_key = File { staging_key: "temp/b".parse().unwrap(), ..file.clone() };
    assert!(!database.discard_temp_file(&other_key, NOW, None, NOW).await.unwrap(), "it was re-issued");
    let tries = futures_util::future::join_all((0..6).map(|_| database.discard_temp_file(&file, NOW, None, NOW))).await;
    assert_eq!(tries.into_iter().filter(|gone| *gone.as_ref().unwrap()).count(), 1);
    assert_eq!(database.find_file(&file.tenant, file.id).await.unwrap(), None);
    assert_eq!(doomed(&database).await, ["temp/a"]);
}

async fn a_reissued_file_has_the_new_key_and_dooms_the_old(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let file = insert(&database, "one", "temp/a").await;
    let caller = caller("one");
    let new = Reissued {
        staging_key: &"temp/b".parse().unwrap(),
        expires_at: NOW + Duration::HOUR * 2,
        caller: &caller,
        at: NOW + Duration::MINUTE,
        old_doomed_until: NOW + Duration::HOUR,
    };
    let tries = futures_util::future::join_all((0..6).map(|_| database.reissue(&file, &new))).await;
    let won: Vec<_> = tries.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(won.len(), 1, "one of six wins");
    assert_eq!((won[0].staging_key.as_str(), won[0].expires_at), ("temp/b", NOW + Duration::HOUR * 2));
    database.doom("files/a", NOW, false).await.unwrap();
    assert_eq!(database.activate(&file, &sealed("files/a", &evidence())).await.unwrap(), None, "the old upload is nobody's");
    assert_eq!(doomed(&database).await, ["files/a", "temp/a"]);
}

/// What is written together is told apart: numbers, Idempotency-Keys and failures are each caller's own.
async fn records_written_together_are_each_their_own(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let once = [7, 8].map(|number| Idempotency { key: "k", request_sha256: [number; 32] });
    let tries = (0..700_u64).map(|number| {
        let (database, once) = (database.clone(), once);
        async move {
            let key = format!("temp/{number:03}");
            let once = match number {
                100 | 600 => Some(&once[0]),
                300 => Some(&once[1]),
                _ => None,
            };
            // Every 50th holds what the database refuses: fewest bytes above most.
            let min_size = if number % 50 == 49 { 1 << 41 } else { 5 };
            (number, try_insert(&database, "one", &key, None, once, &new_file(), min_size).await)
        }
    });
    let all = futures_util::future::join_all(tries).await;
    let (mut ids, mut refused, mut taken) = (Vec::new(), 0, 0);
    for (number, written) in all {
        match written {
            Ok(Some(file)) => {
                assert_eq!(file.staging_key.as_str(), format!("temp/{number:03}"));
                assert_eq!(database.find_file(&file.tenant, file.id).await.unwrap().as_ref(), Some(&file));
                ids.push(file.id);
            }
            Ok(None) => {
                assert!([100, 300, 600].contains(&number), "{number} had no key");
                taken += 1;
            }
            Err(DatabaseError::Broken(_)) => {
                assert_eq!(number % 50, 49, "{number} failed for another's sake");
                refused += 1;
            }
            Err(other) => panic!("{number}: {other}"),
        }
    }
    assert_eq!((ids.len(), refused, taken), (700 - 14 - 2, 14, 2));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 700 - 14 - 2, "no number was given twice");
}

async fn an_upload_in_parts_is_named_once_and_doomed_with_its_key(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let file = insert_in_parts(&database, "temp/a").await;
    assert_eq!(file.multipart, Some(Multipart { upload_id: None, part_size: Some(5 << 20) }));
    let names = ["u0", "u1", "u2", "u3"];
    let tries = futures_util::future::join_all(names.map(|name| database.begin_upload(&file, name))).await;
    let begun: Vec<_> = tries.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(begun.len(), 1, "one of four wins");
    let name = begun[0].multipart.clone().unwrap().upload_id.unwrap();
    assert_eq!(database.find_file(&file.tenant, file.id).await.unwrap().as_ref(), Some(&begun[0]));

    let caller = caller("one");
    let at = NOW + Duration::MINUTE;
    let new =
        Reissued { staging_key: &"temp/b".parse().unwrap(), expires_at: NOW + Duration::HOUR, caller: &caller, at, old_doomed_until: NOW };
    assert_eq!(database.reissue(&file, &new).await.unwrap(), None, "it did not know the upload that it would leave behind");
    let again = database.reissue(&begun[0], &new).await.unwrap().unwrap();
    assert_eq!(again.multipart, file.multipart, "a new key has no upload yet");
    let again = database.begin_upload(&again, "u9").await.unwrap().unwrap();
    assert!(database.discard_temp_file(&again, NOW, None, NOW).await.unwrap());

    database.doom("files/a", NOW, true).await.unwrap();
    database.doom("files/a", NOW, false).await.unwrap();
    database.doom("files/b", NOW, false).await.unwrap();
    let mut left = database.lease_doomed(NOW, Lease::of(Duration::MINUTE, NOW), 10).await.unwrap();
    left.sort_by(|one, other| one.key.cmp(&other.key));
    let expected = [
        ("files/a", OpenUpload::Unknown),
        ("files/b", OpenUpload::None),
        ("temp/a", OpenUpload::Named(name)),
        ("temp/b", OpenUpload::Named("u9".to_owned())),
    ];
    assert_eq!(left, expected.map(|(key, upload)| Doomed { key: key.to_owned(), upload }));
}

async fn a_slip_that_is_used_lives_longer_and_never_shorter(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let file = insert_in_parts(&database, "temp/a").await;
    let later = database.extend_slip(&file, NOW + Duration::DAY).await.unwrap().unwrap();
    assert_eq!(later.expires_at, NOW + Duration::DAY);
    assert_eq!(database.extend_slip(&file, NOW + Duration::HOUR).await.unwrap().unwrap().expires_at, NOW + Duration::DAY);
    assert!(!database.discard_temp_file(&file, NOW, None, NOW).await.unwrap(), "whoever saw the earlier end must look again");
    database.doom("files/a", NOW, false).await.unwrap();
    let active = database.activate(&later, &sealed("files/a", &evidence())).await.unwrap().unwrap();
    assert_eq!(active.multipart.unwrap().upload_id, None, "a sealed file has no open upload");
    assert_eq!(database.extend_slip(&later, NOW + Duration::WEEK).await.unwrap(), None);
}

async fn an_idempotency_key_makes_one_file(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let once = Idempotency { key: "k", request_sha256: [1; 32] };
    let tries = (0..6).map(|number| {
        let (database, once) = (database.clone(), &once);
        async move { insert_once(&database, &format!("temp/{number}"), once).await }
    });
    let made: Vec<_> = futures_util::future::join_all(tries).await.into_iter().flatten().collect();
    assert_eq!(made.len(), 1);
    let used = database.find_idempotency_key(&caller("one"), "k").await.unwrap().unwrap();
    assert_eq!((used.file_id, used.request_sha256.as_slice(), used.created_at), (made[0].id, &[1; 32][..], NOW));
    assert_eq!(database.find_idempotency_key(&caller("two"), "k").await.unwrap(), None, "keys are the caller's own");
    assert_eq!(database.forget_idempotency_keys(NOW, 10).await.unwrap(), 0);
    assert_eq!(database.forget_idempotency_keys(NOW + Duration::SECOND, 10).await.unwrap(), 1);
}

async fn forgetting_a_file_forgets_its_idempotency_key(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let file = insert_once(&database, "temp/a", &Idempotency { key: "k", request_sha256: [1; 32] }).await.unwrap();
    assert!(database.discard_temp_file(&file, NOW, None, NOW).await.unwrap());
    assert_eq!(database.find_idempotency_key(&caller("one"), "k").await.unwrap(), None);
}

async fn tokens_read_back_and_end(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let types: TypeLimit = "image,attachment".parse().unwrap();
    let caller = Caller { scopes: "files:read".parse().unwrap(), types, ..caller("one") };
    let token = NewToken { lookup: "0123456789abcdef", secret_sha256: [9; 32], caller: &caller, expires_at: Some(NOW), created_at: NOW };
    let id = database.insert_token(&token).await.unwrap();
    let row = database.find_token("0123456789abcdef").await.unwrap().unwrap();
    assert_eq!((row.id, row.secret_sha256.as_slice(), &row.caller, row.revoked_at), (id, &[9; 32][..], &caller, None));
    assert_eq!(row.expires_at, Some(NOW));
    let unlimited = Caller { types: TypeLimit::default(), ..caller.clone() };
    let other = NewToken { lookup: "00000000deadbeef", caller: &unlimited, expires_at: None, ..token };
    database.insert_token(&other).await.unwrap();
    let row = database.find_token("00000000deadbeef").await.unwrap().unwrap();
    assert_eq!((&row.caller, row.expires_at), (&unlimited, None));
    assert!(database.find_token("fedcba9876543210").await.unwrap().is_none());

    assert!(database.revoke_token(id, NOW + Duration::MINUTE).await.unwrap());
    assert!(!database.revoke_token(id, NOW + Duration::HOUR).await.unwrap(), "only once");
    assert_eq!(database.list_tokens().await.unwrap()[0].revoked_at, Some(NOW + Duration::MINUTE));
    assert!(matches!(database.insert_token(&token).await, Err(DatabaseError::Broken(_))), "a public half stands for one token");
}

async fn a_shared_key_is_made_once(db: Db) {
    let Fixture { database, url, _folder } = fixture(db).await;
    let other = Database::open(&url).await.unwrap();
    let asked = futures_util::future::join_all(
        (0..8).map(|n| if n % 2 == 0 { database.shared_key("k", [n; 32]) } else { other.shared_key("k", [n; 32]) }),
    );
    let keys: Vec<_> = asked.await.into_iter().map(Result::unwrap).collect();
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    assert_eq!(database.shared_key("another", [9; 32]).await.unwrap(), [9; 32]);
}

async fn opening_again_keeps_everything(db: Db) {
    let Fixture { database, url, _folder } = fixture(db).await;
    let file = insert(&database, "one", "temp/a").await;
    database.close().await;
    let opened = futures_util::future::join_all((0..4).map(|_| Database::open(&url))).await;
    for database in opened {
        let database = database.unwrap();
        database.ping().await.unwrap();
        assert_eq!(database.find_file(&file.tenant, file.id).await.unwrap(), Some(file.clone()));
    }
}

on_both_engines!(
    a_record_reads_back_as_it_was_written,
    a_tenant_sees_its_own_files_only,
    numbers_are_never_used_twice_and_rise,
    activation_claims_the_sealed_key_and_dooms_the_staging_key,
    activation_happens_once_or_not_at_all,
    a_key_doomed_twice_keeps_the_later_time,
    a_key_that_a_sweeper_took_on_cannot_be_claimed,
    sweepers_share_the_doomed_list,
    expired_temp_files_are_found_and_forgotten_once,
    a_reissued_file_has_the_new_key_and_dooms_the_old,
    records_written_together_are_each_their_own,
    an_upload_in_parts_is_named_once_and_doomed_with_its_key,
    a_slip_that_is_used_lives_longer_and_never_shorter,
    an_idempotency_key_makes_one_file,
    forgetting_a_file_forgets_its_idempotency_key,
    tokens_read_back_and_end,
    a_shared_key_is_made_once,
    opening_again_keeps_everything,
);

#[tokio::test]
async fn a_database_that_is_not_there_is_told_at_the_start() {
    for url in ["postgres://nobody@127.0.0.1:1/none", "sqlite:/proc/dropslip.db"] {
        let error = Database::open(url).await.unwrap_err();
        assert!(matches!(error, DatabaseError::Unavailable(_)), "{url}: {error}");
    }
}

#[tokio::test]
async fn a_database_prints_no_password() {
    let folder = tempfile::tempdir().unwrap();
    let url = database(Db::Postgres, &folder).await;
    let separator = if url.contains('?') { '&' } else { '?' };
    // The test server asks for none.
    let database = Database::open(&format!("{url}{separator}password=hunter2")).await.unwrap();
    let tokens = dropslip::tokens::Tokens::new(database.clone(), None);
    let printed = format!("{database:?} {tokens:?}");
    assert!(printed.contains("Postgres") && !printed.contains("hunter2"), "{printed}");
}

mod deleting;
mod discarding;
mod holding;
mod keeping;
mod tickets;
