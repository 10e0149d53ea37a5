//! What the operating system knows of this process, under the names that every exporter uses. Nothing where there is no `/proc`.

use std::fmt;
use std::fs;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::kinds::one;

/// `/proc` counts processor time in these, on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// When this was asked for the first time, close to the start of the process: in seconds since 1970.
static STARTED: LazyLock<f64> = LazyLock::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()));

/// Notes the time; called when the program starts to serve.
pub(super) fn started() {
    LazyLock::force(&STARTED);
}

pub(super) fn encode(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    one(encoder, "process_start_time_seconds", "When the process started to serve, in seconds since 1970.", &*STARTED)?;
    if let Some(seconds) = processor_seconds() {
        let mut cpu = encoder.encode_descriptor(
            "process_cpu_seconds",
            "Processor time that the process has used, in seconds.",
            None,
            MetricType::Counter,
        )?;
        cpu.encode_counter::<NoLabelSet, _, f64>(&seconds, None)?;
    }
    if let Some(bytes) = status_kilobytes("VmRSS:") {
        one(encoder, "process_resident_memory_bytes", "Memory that the process holds, in bytes.", &(bytes * 1024.0))?;
    }
    if let Some(bytes) = status_kilobytes("VmSize:") {
        one(encoder, "process_virtual_memory_bytes", "Addresses that the process has, in bytes.", &(bytes * 1024.0))?;
    }
    if let Some(threads) = status_kilobytes("Threads:") {
        one(encoder, "process_threads", "Threads of the process.", &threads)?;
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        let open = u32::try_from(open.count()).unwrap_or(u32::MAX);
        one(encoder, "process_open_fds", "Open files and connections of the process.", &f64::from(open))?;
    }
    if let Some(most) = most_files() {
        one(encoder, "process_max_fds", "Most files and connections that it may have open.", &most)?;
    }
    Ok(())
}

fn processor_seconds() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The name stands in brackets and may hold anything; user and system time are the 14th and 15th fields.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / TICKS_PER_SECOND)
}

/// The number behind a word of `/proc/self/status`.
fn status_kilobytes(word: &str) -> Option<f64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    text.lines().find_map(|line| line.strip_prefix(word))?.split_whitespace().next()?.parse().ok()
}

fn most_files() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    text.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_finds_itself() {
        assert!(processor_seconds().is_some_and(|seconds| seconds >= 0.0));
        assert!(status_kilobytes("VmRSS:").is_some_and(|kilobytes| kilobytes > 100.0));
        assert!(status_kilobytes("Threads:").is_some_and(|threads| threads >= 1.0));
        assert!(most_files().is_some_and(|most| most >= 64.0));
    }
}
