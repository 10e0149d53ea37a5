//! Faults: whatever breaks at whatever step, no acknowledged record is lost, every active file keeps its exact bytes, and after
//! one sweep nothing else is left.

pub mod away;
pub mod brokers;
pub mod bucket_away;
pub mod clock;
pub mod closed_pipes;
pub mod connections;
mod crowd;
#[cfg(feature = "failpoints")]
mod death;
mod full_disk;
pub mod hammer;
pub mod handles;
mod other_file;
#[cfg(feature = "failpoints")]
mod parts;
mod postgres;
pub mod power;
pub mod proxy;
mod receiving;
mod receiving_clients;
mod s3;
mod stopping;
mod unsigned;
pub mod use_cases;
pub mod world;

use futures_util::{StreamExt as _, stream};

/// Runs every case, that many at the same time, and fails when any did: each has said why.
async fn all<F: Future<Output = ()> + Send + 'static>(cases: Vec<F>, at_once: usize) {
    let total = cases.len();
    assert!(total > 0);
    let ended = stream::iter(cases).map(tokio::spawn).buffer_unordered(at_once).collect::<Vec<_>>().await;
    let failed = ended.iter().filter(|ended| ended.is_err()).count();
    assert_eq!(failed, 0, "of {total} cases");
}
