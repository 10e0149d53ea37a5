//! Taking away what a run wrote, however it ended.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::timeout;

use super::{Probe, Report, Status};
use crate::bucket::probe::Versioning;

const CHECK: &str = "clean-up";

const ADVICE: &str = "delete them by hand, or let a lifecycle rule do it";

/// How long all of it may take.
const CLEAN_UP_TIMEOUT: Duration = Duration::from_mins(1);

/// How often is looked again: what was sent last may arrive while it is being deleted.
const ROUNDS: usize = 3;

/// How many keys are named one by one.
const SHOWN: usize = 2;

pub(super) async fn clean_up(probe: &Probe, report: &mut Report) {
    if timeout(CLEAN_UP_TIMEOUT, delete_all(probe, report)).await.is_err() {
        let found =
            format!("not done after {} s: something may be left under {} and {}", CLEAN_UP_TIMEOUT.as_secs(), probe.staging, probe.sealed);
        report.advise(CHECK, Status::Warning, found, ADVICE);
    }
}

async fn delete_all(probe: &Probe, report: &mut Report) {
    let mut left: BTreeSet<String> = probe.keys().into_iter().collect();
    for _ in 0..ROUNDS {
        for prefix in [&probe.staging, &probe.sealed] {
            for (key, upload_id) in probe.bucket.open_uploads(prefix).await.unwrap_or_default() {
                let _ = probe.bucket.abort_upload(&key, &upload_id).await;
            }
            let listed = probe.bucket.list(prefix, None).await.unwrap_or_default();
            left.extend(listed);
        }
        let keys: Vec<String> = left.iter().filter(|key| !key.is_empty()).cloned().collect();
        left.clear();
        for key in keys {
            // Where nothing is, nothing is left, whatever the store says to a deletion.
            if probe.bucket.delete(&key).await.is_err() && !matches!(probe.bucket.head(&key).await, Ok(None)) {
                left.insert(key);
            }
        }
        if left.is_empty() && nothing_is_listed(probe).await {
            break;
        }
    }
    let versions = old_versions(probe).await;
    if left.is_empty() && versions == 0 {
        return report.ok(CHECK, "nothing is left of this check");
    }
    let shown: Vec<&str> = left.iter().take(SHOWN).map(String::as_str).collect();
    let more = left.len().saturating_sub(SHOWN);
    let found = match (left.len(), more) {
        (0, _) => format!("old versions of {versions} objects or more are left under {} and files/", probe.staging),
        (_, 0) => format!("cannot be deleted: {}", shown.join(", ")),
        _ => format!("cannot be deleted: {} and {more} more under {} and {}", shown.join(", "), probe.staging, probe.sealed),
    };
    report.advise(CHECK, Status::Warning, found, ADVICE);
}

/// Of how many objects there are old versions that cannot be deleted.
async fn old_versions(probe: &Probe) -> usize {
    if !matches!(probe.bucket.versioning().await, Ok(Versioning::Enabled | Versioning::Suspended)) {
        return 0;
    }
    let own = [probe.staging.clone(), probe.sealed.clone()];
    let elsewhere = probe.keys().into_iter().filter(|key| !key.is_empty() && !own.iter().any(|prefix| key.starts_with(prefix)));
    let mut left = 0;
    for prefix in own.iter().cloned().chain(elsewhere) {
        left += probe.bucket.delete_versions(&prefix).await.unwrap_or(1);
    }
    left
}

async fn nothing_is_listed(probe: &Probe) -> bool {
    for prefix in [&probe.staging, &probe.sealed] {
        // Who may not list has done all that can be done.
        if probe.bucket.list(prefix, None).await.is_ok_and(|listed| !listed.is_empty()) {
            return false;
        }
    }
    true
}
