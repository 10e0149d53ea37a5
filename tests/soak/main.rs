//! Chaos on Postgres and SeaweedFS, and then the reckoning: database, bucket and what clients were told must agree.
//!
//! Random clients ask for slips, upload, overwrite, re-issue, retry and confirm at brokers that are killed and started again at
//! random. Run it with `make soak`; `SOAK_SECONDS` is how long (600 unless told), `SOAK_SEED` repeats a run's choices.

#![expect(clippy::unwrap_used, reason = "a soak that cannot go on has failed")]
#![expect(unreachable_pub, reason = "the harness is shared with the integration tests")]
#![expect(clippy::disallowed_methods, reason = "the addresses of the test servers come in the environment")]
#![expect(dead_code, reason = "the integration tests use more of the harness")]

#[path = "../it/harness.rs"]
mod harness;
#[path = "../it/process.rs"]
mod process;

mod client;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use client::{Client, Reckoning};
use dropslip::domain::FileId;
use harness::{Db, database, from_servers, s3_client, short_lived, unique};
use process::{Serving, run, text};
use tokio::sync::RwLock;

const BROKERS: usize = 3;
const CLIENTS: usize = 8;

/// A small generator: a soak must be repeatable, not unpredictable.
pub struct Dice(AtomicU64);

impl Dice {
    /// One that rolls the same for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// 0 to `sides` - 1 (SplitMix64).
    pub fn roll(&self, sides: u64) -> u64 {
        let state = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

#[tokio::main]
#[expect(clippy::too_many_lines, reason = "one story from start to reckoning")]
async fn main() {
    let (seconds, seed) = (setting("SOAK_SECONDS", 600), setting("SOAK_SEED", 1));
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    // Long enough for a slow moment, and short enough that many expire during the soak.
    std::fs::write(folder.path().join("policies/short.toml"), short_lived("8s", 100_000)).unwrap();
    let endpoint = from_servers("TEST_SEAWEEDFS_URL");
    let (key, secret) = (from_servers("AWS_ACCESS_KEY_ID"), from_servers("AWS_SECRET_ACCESS_KEY"));
    let (bucket, s3) = (unique("soak-"), s3_client(&endpoint, &key, &secret));
    s3.create_bucket().bucket(&bucket).send().await.unwrap();
    let settings: Vec<(String, String)> = [
        ("DROPSLIP_LISTEN", "127.0.0.1:0".to_owned()),
        ("DROPSLIP_DATABASE_URL", database(Db::Postgres, &folder).await),
        ("DROPSLIP_S3_ENDPOINT", endpoint),
        ("DROPSLIP_S3_BUCKET", bucket.clone()),
        ("DROPSLIP_POLICIES", folder.path().join("policies").display().to_string()),
        ("DROPSLIP_SWEEP_INTERVAL", "1s".to_owned()),
        ("DROPSLIP_SWEEP_GRACE", "4s".to_owned()),
        ("DROPSLIP_LOG", "off".to_owned()),
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_SECRET_ACCESS_KEY", secret),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec();
    let borrowed: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let start = || Serving::start(folder.path(), &borrowed, "forms go to");
    let mut running: Vec<Serving> = (0..BROKERS).map(|_| start()).collect();
    let urls = Arc::new(RwLock::new(running.iter().map(|broker| broker.url().to_owned()).collect::<Vec<_>>()));
    let token = text(&run(folder.path(), &borrowed, &["token", "create", "--user", "1"]).stdout).trim().to_owned();

    println!("soak: {seconds} s, seed {seed}, {CLIENTS} clients, {BROKERS} brokers");
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> =
        (0..CLIENTS as u64).map(|number| tokio::spawn(Client::new(number, seed, token.clone(), urls.clone()).work(over.clone()))).collect();
    let dice = Dice::new(seed ^ 0xdead);
    let (ends, mut kills) = (Instant::now() + Duration::from_secs(seconds), 0_u64);
    while Instant::now() < ends {
        tokio::time::sleep(Duration::from_millis(500 + dice.roll(2_500))).await;
        let victim = usize::try_from(dice.roll(BROKERS as u64)).unwrap();
        // Dropping it is kill -9.
        drop(running.remove(victim));
        running.insert(victim, tokio::task::block_in_place(start));
        urls.write().await[victim] = running[victim].url().to_owned();
        kills += 1;
    }
    over.store(true, Ordering::Relaxed);
    let mut reckonings = Vec::new();
    for client in clients {
        reckonings.push(client.await.unwrap());
    }

    // Everything that was not confirmed expires, and the sweepers come to rest.
    let deadline = Instant::now() + Duration::from_secs(180);
    let operate = |arguments: &[&str]| text(&run(folder.path(), &borrowed, arguments).stdout);
    while !operate(&["sweep", "--dry-run"]).starts_with("waiting: 0 expired temp files, 0 doomed objects")
        || Instant::now() + Duration::from_secs(160) < deadline
    {
        assert!(Instant::now() < deadline, "the sweepers do not come to rest: {}", operate(&["sweep", "--dry-run"]));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let audit = operate(&["audit"]);
    print!("{audit}");

    let database = dropslip::database::Database::open(&settings[1].1).await.unwrap();
    let (mut active, mut lost, mut forged) = (0, 0, 0);
    for told in reckonings.iter().flat_map(|reckoning| &reckoning.told) {
        let Some(acknowledged) = &told.active else { continue };
        active += 1;
        let found = database.find_file(&"default".parse().unwrap(), FileId(told.id)).await.unwrap();
        let Some(key) = found.as_ref().and_then(|file| file.sealed_key.as_ref()) else {
            println!("lost: {} was told to be active and is not", told.id);
            lost += 1;
            continue;
        };
        let bytes = s3.get_object().bucket(&bucket).key(key).send().await.unwrap().body.collect().await.unwrap().to_vec();
        let sent = told.versions.iter().any(|version| version.as_bytes() == bytes);
        if !sent || acknowledged["size"] != bytes.len() {
            println!("forged: {} does not hold what its client sent", told.id);
            forged += 1;
        }
    }
    let sum = |count: fn(&Reckoning) -> u64| reckonings.iter().map(count).sum::<u64>();
    println!(
        "soak: {} files, {active} told to be active, {} requests, {} of them failed and were retried, {kills} kills",
        sum(|reckoning| reckoning.told.len() as u64),
        sum(|reckoning| reckoning.requests),
        sum(|reckoning| reckoning.failures),
    );
    let clean = audit.trim_end().ends_with(": 0 lost, 0 forged, 0 orphaned") && (lost, forged) == (0, 0);
    println!("{lost} lost, {forged} forged, {} orphaned", if clean { "0" } else { "see above:" });
    assert!(clean, "seed {seed}");
}
