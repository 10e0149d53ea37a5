//! How much memory there is, and whether uploads through the broker fit into it.

use std::path::{Path, PathBuf};

use super::configured::dialects;
use crate::broker::{MEMORY_OF_UPLOAD, places_for_uploads};
use crate::config::Config;

/// Where cgroups of version 2 are.
const CGROUPS: &str = "/sys/fs/cgroup";

/// Warns when the buffers of all uploads through the broker may be more than half of the memory there is.
pub fn warn_of_uploads(config: &Config) {
    let buffers = uploads(config) * MEMORY_OF_UPLOAD;
    let Some(memory) = available().filter(|memory| buffers > memory / 2) else { return };
    let (buffers_mib, memory_mib) = (buffers >> 20, memory >> 20);
    tracing::warn!(
        buffers_mib,
        memory_mib,
        "uploads through the broker may need {buffers_mib} MiB for their buffers, and there are {memory_mib} MiB of memory in all. \
         Give it more, or lower DROPSLIP_MAX_PROXIED_UPLOADS and DROPSLIP_UNSIGNED_UPLOADS"
    );
}

/// How many uploads may come through the broker at the same time, with these settings.
pub(super) fn uploads(config: &Config) -> u64 {
    let Ok(dialects) = dialects(config) else { return 0 };
    let known = if dialects.take_bytes() { places(config) } else { 0 };
    let unsigned = if dialects.take_unsigned() { config.unsigned_uploads } else { 0 };
    known + u64::from(unsigned)
}

fn places(config: &Config) -> u64 {
    places_for_uploads(usize::try_from(config.max_proxied_uploads).unwrap_or(usize::MAX)) as u64
}

/// Bytes of memory that this process may use; `None` where the system does not say.
fn available() -> Option<u64> {
    let read = |path: PathBuf| std::fs::read_to_string(path).ok();
    let own = read("/proc/self/cgroup".into());
    let folders = own.as_deref().and_then(cgroup).into_iter().flat_map(Path::ancestors);
    let limits = folders.filter_map(|folder| limit(&read(Path::new(CGROUPS).join(folder).join("memory.max"))?));
    limits.chain(read("/proc/meminfo".into()).as_deref().and_then(total)).min()
}

/// The process's cgroup of version 2, below the folder of all: each above it may have a limit too.
fn cgroup(own: &str) -> Option<&Path> {
    own.lines().find_map(|line| line.strip_prefix("0::/")).map(Path::new)
}

/// What a `memory.max` says, where it is a limit.
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// All memory of the machine.
fn total(meminfo: &str) -> Option<u64> {
    let said = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    said.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_and_no_word() {
        assert_eq!(limit("536870912\n"), Some(512 << 20));
        for none in ["max\n", "", "-1", "lots"] {
            assert_eq!(limit(none), None, "{none:?}");
        }
    }

    #[test]
    fn the_own_cgroup_is_that_of_version_2() {
        assert_eq!(cgroup("0::/system.slice/dropslip.service\n"), Some(Path::new("system.slice/dropslip.service")));
        assert_eq!(cgroup("12:memory:/docker/ab\n0::/\n"), Some(Path::new("")));
        assert_eq!(cgroup("12:memory:/docker/ab\n"), None);
        let folders: Vec<_> = Path::new("system.slice/dropslip.service").ancestors().collect();
        assert_eq!(folders, [Path::new("system.slice/dropslip.service"), Path::new("system.slice"), Path::new("")]);
    }

    #[test]
    fn all_memory_is_told_in_kibibytes() {
        assert_eq!(total("MemTotal:       16318480 kB\nMemFree:  1 kB\n"), Some(16_318_480 * 1024));
        for none in ["MemFree: 1 kB\n", "MemTotal: x kB\n", "MemTotal: 5 MB\n", "MemTotal: 18446744073709551615 kB\n"] {
            assert_eq!(total(none), None, "{none:?}");
        }
    }

    #[test]
    fn uploads_have_places_only_where_a_dialect_takes_bytes() {
        let configured = |dialects: &str| {
            let settings = [("DROPSLIP_DIALECTS", dialects), ("DROPSLIP_MAX_PROXIED_UPLOADS", "8")];
            Config::from_parts(None, settings.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap()
        };
        assert_eq!(uploads(&configured("desk,companion")), 0);
        assert_eq!(uploads(&configured("kayako")), 10, "two are kept for other tenants");
        assert_eq!(uploads(&configured("all")), 14, "four are for those whom nobody knows yet");
    }
}
