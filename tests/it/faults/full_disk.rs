//! A disk is full, SQLite's or the embedded store's: what needs room is refused in shape, and nothing that was acknowledged is lost.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dropslip::domain::{FileId, sqlite_url};
use dropslip::embedded_s3::BUCKET;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::away::assert_away;
use super::world::{World, granted, number_of};
use crate::harness::{Bed, count, execute, from_servers, unique};
use crate::upload::multipart::{content, in_parts, large};

const BOUND: Duration = Duration::from_secs(10);

/// A file system of that size on `path`; gone when dropped.
pub struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    pub fn mount(path: &'a Path, size: &str) -> Self {
        Self::run(path, &format!("size={size}"));
        Self(path)
    }

    pub fn grow(&self, size: &str) {
        Self::run(self.0, &format!("remount,size={size}"));
    }

    fn run(path: &Path, options: &str) {
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(path).output().unwrap();
        assert!(
            output.status.success(),
            "this test mounts a small tmpfs to fill it up, which takes root (in a container: the capability SYS_ADMIN): {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

pub fn fill(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_slips_and_loses_none_that_was_given() {
    let mount_point = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(mount_point.path(), "1m");
    let database = mount_point.path().join("test.db");
    let mut world = World::at(&sqlite_url(&database)).await;
    let program = world.start(None).await;
    let mut uploads = Vec::new();
    for _ in 0..20 {
        uploads.push(world.uploaded(&program, "kept").await);
    }

    let mut told = Vec::new();
    let mut refused = 0;
    // What a refused one had taken already may be room enough for the next one, which needs less.
    while refused < 10 {
        let answer = world.authorize(&program, "kept", None).await.unwrap();
        if answer.status == 201 {
            told.push(granted(Ok(answer)).id);
            assert!(told.len() < 5_000, "the disk does not fill up");
            continue;
        }
        if refused == 0 {
            fill(&mount_point.path().join("rest"));
        }
        assert_away(&answer, BOUND, "full");
        refused += 1;
    }
    assert!(told.len() > 10, "it filled up before anything happened");
    world.stays_without_writes(&program, "no slip can be written").await;
    assert_away(&world.authorize(&program, "kept", None).await.unwrap(), BOUND, "still full");
    for (slip, _) in &uploads {
        let answer = world.confirm(&program, slip.id).await.unwrap();
        if answer.status != 200 {
            assert_away(&answer, BOUND, "full, confirming");
            refused += 1;
        }
    }
    assert!(refused > 10, "no confirmation was refused");
    let once = world.authorize(&program, "kept", Some("once")).await.unwrap();
    assert!(once.status == 201 || once.status == 503, "{once:?}");
    let read = world.ask(&program, "GET", &format!("/v2/files/{}.json", told[0]), None, &serde_json::Value::Null).await.unwrap();
    assert_eq!(read.status, 200, "what is there can be read: {read:?}");

    disk.grow("32m");
    world.assert_ready(&program, "there is room again").await;
    let after = granted(world.authorize(&program, "kept", Some("once")).await);
    drop(program);
    let program = world.start(None).await;
    for id in told.iter().chain([&after.id]) {
        let file = world.database.find_file(&"default".parse().unwrap(), FileId(*id)).await.unwrap();
        assert!(file.is_some(), "slip {id} was answered and is gone");
        world.must_lose(*id);
    }
    let pool = sqlx::SqlitePool::connect(&sqlite_url(&database)).await.unwrap();
    let records: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM files").fetch_one(&pool).await.unwrap();
    assert_eq!(usize::try_from(records).unwrap(), told.len() + 1 + uploads.len(), "one record for each slip that was given, and no other");
    let integrity: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&pool).await.unwrap();
    assert_eq!(integrity, "ok");
    pool.close().await;

    world.assert_ready(&program, "free again").await;
    for (slip, bytes) in uploads {
        assert_eq!(world.confirm(&program, slip.id).await.unwrap().status, 200);
        world.must_keep(slip.id, &bytes);
    }
    world.sweep_and_audit("the disk was full").await;
    drop((program, world, disk));
}

/// The tables have a disk of their own, so that only they cannot grow: without room for its journal, Postgres stops as a whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_postgres_refuses_slips_until_there_is_room() {
    let mount_point = tempfile::tempdir().unwrap();
    std::fs::set_permissions(mount_point.path(), Permissions::from_mode(0o755)).unwrap();
    let disk = SmallDisk::mount(mount_point.path(), "64m");
    let server = from_servers("TEST_POSTGRES_URL");
    let theirs = std::fs::metadata(format!("/proc/{}", from_servers("TEST_POSTGRES_PID"))).unwrap();
    chown(mount_point.path(), Some(theirs.uid()), Some(theirs.gid())).unwrap();
    let name = unique("full_");
    execute(&server, &format!("CREATE TABLESPACE {name} LOCATION '{}'", mount_point.path().display())).await;
    execute(&server, &format!("CREATE DATABASE {name} TABLESPACE {name}")).await;
    let (base, _) = server.rsplit_once('/').unwrap();
    let world = World::at(&format!("{base}/{name}")).await;
    let program = world.start(None).await;
    world.assert_ready(&program, "there is room").await;
    fill(&mount_point.path().join("rest"));

    let (mut told, mut refused) = (Vec::new(), 0);
    while refused < 10 {
        let answer = world.authorize(&program, "kept", None).await.unwrap();
        if answer.status == 201 {
            told.push(granted(Ok(answer)).id);
            assert!(told.len() < 5_000, "the disk does not fill up");
        } else {
            assert_away(&answer, BOUND, "full");
            refused += 1;
        }
    }
    world.stays_without_writes(&program, "no slip can be written").await;
    assert_away(&world.authorize(&program, "kept", None).await.unwrap(), BOUND, "still full");

    disk.grow("128m");
    world.assert_ready(&program, "there is room again").await;
    told.push(granted(world.authorize(&program, "kept", None).await).id);
    let records = count(&world.database_url, "SELECT COUNT(*) FROM files").await;
    assert_eq!(usize::try_from(records).unwrap(), told.len(), "one record for each slip that was given, and no other");
    drop((program, world));
    execute(&server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
    execute(&server, &format!("DROP TABLESPACE {name}")).await;
    drop(disk);
}

/// Signing parts lets a slip live longer: a change that answers its row is as durable as one that does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_keeps_every_longer_life_that_was_told() {
    let mount_point = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(mount_point.path(), "4m");
    let database = sqlite_url(&mount_point.path().join("test.db"));
    let world = World::at(&database).await;
    let program = world.start(None).await;
    let mut slips = Vec::new();
    for number in 0..30 {
        slips.push(number_of(&world.ask_for_parts(&program, 10, &number.to_string()).await.unwrap()));
    }
    let pool = sqlx::SqlitePool::connect(&database).await.unwrap();
    // So little of their life is left that each is given more.
    let soon = OffsetDateTime::now_utc().unix_timestamp() * 1_000_000 + 60_000_000;
    sqlx::query("UPDATE files SET expires_at = $1").bind(soon).execute(&pool).await.unwrap();
    let (first, mut refused) = (slips[..5].to_vec(), 0);
    for id in slips {
        if id == first[4] {
            fill(&mount_point.path().join("rest"));
        }
        let answer = world.ask(&program, "POST", &format!("/v2/files/{id}/parts.json"), None, &json!({"partNumbers": [1]})).await.unwrap();
        if answer.status != 200 {
            assert!(!first[..4].contains(&id), "there was room for slip {id}: {answer:?}");
            assert_away(&answer, BOUND, "full");
            refused += 1;
            continue;
        }
        let told = OffsetDateTime::parse(answer.body["expiresAt"].as_str().unwrap(), &Rfc3339).unwrap().unix_timestamp();
        let kept: i64 = sqlx::query_scalar("SELECT expires_at FROM files WHERE id = $1").bind(id).fetch_one(&pool).await.unwrap();
        assert!(kept / 1_000_000 >= told, "slip {id} was told to live until {told} and does until {kept}");
    }
    assert!(refused > 0, "the disk was not full");
    pool.close().await;
    drop((program, world, disk));
}

/// The embedded store's own disk: what it cannot keep it refuses, and what it kept it keeps.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_bytes_at_the_embedded_store_and_loses_none_that_it_took() {
    const LARGE: usize = 3 << 20;
    let broker = in_parts(Bed::Embedded).start().await;
    let bucket = broker.folder.path().join("bucket");
    let disk = SmallDisk::mount(&bucket, "24m");
    std::fs::create_dir(bucket.join(BUCKET)).unwrap();
    let kept = broker.active_note("kept").await;
    let waiting = broker.text_slip().await;
    broker.drop_bytes(&waiting, &content(LARGE)).await;
    let refused = broker.text_slip().await;
    let (parted, _) = broker.start_parts(&large(11 << 20)).await;
    let parts = broker.sign_parts(parted, &[1, 2, 3]).await;
    let whole = content(11 << 20);
    assert_eq!(broker.put_part(&parts[0], &whole).await, 200);
    let objects = broker.objects().await;
    fill(&bucket.join("rest"));

    // By form, by PUT of a part, and by the copy that seals.
    let (status, answer) = broker.post_form(&refused.url, &refused.params, Some(&content(LARGE))).await;
    assert!(status.is_server_error(), "{status} {answer}");
    let (status, body) = broker.confirm(refused.id).await;
    assert_eq!(status, 409, "a refused upload leaves nothing: {body}");
    assert!(broker.put_part(&parts[1], &whole).await.is_server_error());
    let (status, body) = broker.confirm(parted).await;
    assert_eq!(status, 409, "a part is missing: {body}");
    let (status, body) = broker.confirm(waiting.id).await;
    assert_eq!(status, 503, "there is no room for the copy: {body}");
    assert_eq!(broker.read(waiting.id).await.1["file"]["state"], "temp");
    assert_eq!(broker.read(kept).await.1["file"]["state"], "active");
    assert_eq!(broker.objects().await, objects, "what was there is there, and no half of anything else");

    disk.grow("64m");
    for slip in [&refused, &waiting] {
        if slip.id == refused.id {
            broker.drop_bytes(slip, &content(LARGE)).await;
        }
        let (status, body) = broker.confirm(slip.id).await;
        assert_eq!((status.as_u16(), &body["file"]["size"]), (200, &json!(LARGE)), "{body}");
    }
    for part in &parts[1..] {
        assert_eq!(broker.put_part(part, &whole).await, 200);
    }
    let (status, body) = broker.confirm(parted).await;
    assert_eq!((status.as_u16(), &body["file"]["size"]), (200, &json!(whole.len())), "{body}");
    let sealed =
        broker.database.find_file(&"default".parse().unwrap(), FileId(parted)).await.unwrap().unwrap().sealed_key().unwrap().to_string();
    assert!(broker.bytes_of(&sealed).await == whole, "other bytes than were sent");
    let audit = broker.server.broker.reconcile().await.unwrap();
    assert!(audit.is_clean() && audit.files == 4, "{audit:?}");
    drop((broker, disk));
}
