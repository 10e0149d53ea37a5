//! SQLite's file is taken away or replaced under a running broker: what is written to it would be lost, so nothing is acknowledged.

use std::fs;
use std::time::Duration;

use super::away::assert_away;
use super::world::{World, granted};
use crate::harness::Db;

const BOUND: Duration = Duration::from_secs(10);

const ELSEWHERE: (u16, &str) = (503, "the database file was removed or replaced: put it back, or restart the broker\n");

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_on_a_database_file_that_was_removed_or_replaced() {
    let mut world = World::new(Db::Sqlite).await;
    let program = world.start(None).await;
    let (database, aside) = (world.folder.path().join("test.db"), world.folder.path().join("aside.db"));
    for replaced in [false, true] {
        let case = if replaced { "replaced" } else { "removed" };
        let (slip, _) = world.uploaded(&program, "kept").await;
        world.assert_ready(&program, case).await;
        fs::rename(&database, &aside).unwrap();
        if replaced {
            fs::copy(&aside, &database).unwrap();
        }
        world.becomes(&program, ELSEWHERE, case).await;
        assert_away(&world.authorize(&program, "kept", None).await.unwrap(), BOUND, case);
        assert_away(&world.reissue(&program, slip.id).await.unwrap(), BOUND, case);
        assert_away(&world.confirm(&program, slip.id).await.unwrap(), BOUND, case);
        assert_eq!(database.exists(), replaced, "nobody makes another one in its place");

        // The file itself is as it was.
        fs::rename(&aside, &database).unwrap();
        world.assert_ready(&program, case).await;
        granted(world.reissue(&program, slip.id).await);
        let (kept, kept_bytes) = world.uploaded(&program, "kept").await;
        assert_eq!(world.confirm(&program, kept.id).await.unwrap().status, 200, "{case}");
        world.must_keep(kept.id, &kept_bytes);
        world.must_lose(slip.id);
    }
    drop(program);
    world.sweep_and_audit("put back").await;
}
