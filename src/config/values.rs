//! What a setting's text stands for; every complaint tells what would do.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::domain::UploadMethod;
use crate::domain::multipart::{MAX_PART_SIZE, MIN_PART_SIZE};
use crate::domain::web::{origin, web_url};

/// Where a setting's value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Environment,
    File(PathBuf),
    Default,
}

#[derive(Clone)]
pub(super) struct Value {
    pub(super) text: String,
    pub(super) source: Source,
}

/// Without the text, which may be a secret.
impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.source.fmt(f)
    }
}

/// A value of the TOML file in the spelling of the environment.
pub(super) fn as_text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(_) | toml::Value::Boolean(_) => Some(value.to_string()),
        toml::Value::Array(items) => items.iter().map(|item| item.as_str()).collect::<Option<Vec<_>>>().map(|items| items.join(",")),
        _ => None,
    }
}

/// The text as a string of a TOML file, on one line and with nothing in it that a terminal or a reader would take for something else.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\'' => quoted.push(c),
            // What Rust would not show as it is: controls, marks without a letter, turns of direction.
            _ if c.escape_debug().len() > 1 => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(c));
            }
            _ => quoted.push(c),
        }
    }
    quoted + "\""
}

pub(super) fn filled(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("must not be blank".to_owned()) } else { Ok(text.to_owned()) }
}

pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    filled(text).map(PathBuf::from)
}

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(format!("must be true or false, not ‘{text}’")),
    }
}

pub(super) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("must be an address and a port such as 127.0.0.1:8080, not ‘{text}’"))
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let longest = Duration::from_hours(30 * 24);
    let parsed = if text == "0" { Some(Duration::ZERO) } else { humantime::parse_duration(text).ok() };
    parsed.filter(|duration| *duration <= longest).ok_or_else(|| format!("must be a time such as 30s or 1h, at most 30 days, not ‘{text}’"))
}

/// Ten years are more than anybody has to keep what was thrown away, and no instant goes out of range by them.
pub(super) fn retention(text: &str) -> Result<Duration, String> {
    let longest = Duration::from_hours(3_650 * 24);
    let parsed = if text == "0" { Some(Duration::ZERO) } else { humantime::parse_duration(text).ok() };
    parsed.filter(|time| *time <= longest).ok_or_else(|| format!("must be a time such as 30d or 12h, at most 3650 days, not ‘{text}’"))
}

/// Answers to clients that come late are read from the audit log, and whoever looks into it expects to find a month.
pub(super) fn audit_retention(text: &str) -> Result<Duration, String> {
    let long = retention(text).ok().filter(|time| *time >= Duration::from_hours(30 * 24));
    long.ok_or_else(|| format!("must be a time from 30d to 3650d, not ‘{text}’"))
}

pub(super) fn drain_delay(text: &str) -> Result<Duration, String> {
    let short = duration(text).ok().filter(|delay| *delay <= Duration::from_mins(5));
    short.ok_or_else(|| format!("must be a time such as 5s, at most 5 minutes, not ‘{text}’"))
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    let parsed = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    parsed.ok_or_else(|| format!("must be a number from 0 to 1, such as 0.05, not ‘{text}’"))
}

pub(super) fn whole_number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("must be a whole number, not ‘{text}’"))
}

pub(super) fn connections(text: &str) -> Result<u32, String> {
    whole_number(text).ok().filter(|number| (1..=1_000_000).contains(number)).ok_or_else(|| format!("must be 1 to 1000000, not ‘{text}’"))
}

pub(super) fn byte_size(text: &str) -> Result<u64, String> {
    let parsed = text.parse::<bytesize::ByteSize>().map(|size| size.as_u64());
    parsed.map_err(|_| format!("must be a number of bytes or a size such as 10 GiB, not ‘{text}’"))
}

fn bounded(text: &str, least: u64, most: u64, bounds: &str) -> Result<u64, String> {
    let size = byte_size(text)?;
    if (least..=most).contains(&size) { Ok(size) } else { Err(format!("must be {bounds}, not ‘{text}’")) }
}

/// Beyond it, parts of 8 MiB would be more than S3 puts together.
pub(super) fn proxied(text: &str) -> Result<u64, String> {
    bounded(text, 1, 64 << 30, "1 byte to 64 GiB")
}

pub(super) fn proxied_uploads(text: &str) -> Result<u32, String> {
    whole_number(text).ok().filter(|number| (1..=1000).contains(number)).ok_or_else(|| format!("must be 1 to 1000, not ‘{text}’"))
}

pub(super) fn part_size(text: &str) -> Result<u64, String> {
    bounded(text, MIN_PART_SIZE, MAX_PART_SIZE, "5 MiB to 5 GiB")
}

pub(super) fn copied_at_once(text: &str) -> Result<u64, String> {
    bounded(text, MIN_PART_SIZE, MAX_PART_SIZE, "5 MiB to 5 GiB, the most that S3 copies at once")
}

pub(super) fn upload_method(text: &str) -> Result<Option<UploadMethod>, String> {
    match text {
        "post" => Ok(Some(UploadMethod::Post)),
        "put" => Ok(Some(UploadMethod::Put)),
        "auto" => Ok(None),
        _ => Err(format!("must be post, put or auto, not ‘{text}’")),
    }
}

pub(super) fn endpoint(text: &str) -> Result<String, String> {
    Ok(web_url(text)?.as_str().trim_end_matches('/').to_owned())
}

pub(super) fn bucket_name(text: &str) -> Result<String, String> {
    let fits = (3..=63).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b));
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!("must be the name of a bucket, 3 to 63 lower-case letters, digits, '-', '.' and '_', not ‘{text}’"))
    }
}

pub(super) fn origins(text: &str) -> Result<Vec<String>, String> {
    text.split([',', ' ']).filter(|word| !word.is_empty()).map(origin).collect()
}

pub(super) fn log_filter(text: &str) -> Result<String, String> {
    let parsed: Result<tracing_subscriber::EnvFilter, _> = text.parse();
    parsed.map(|_| text.to_owned()).map_err(|error| format!("must be a filter such as info or dropslip=debug: {error}"))
}

pub(super) fn log_format(text: &str) -> Result<Option<bool>, String> {
    match text {
        "auto" => Ok(None),
        "json" => Ok(Some(true)),
        "text" => Ok(Some(false)),
        _ => Err(format!("must be text, json or auto, not ‘{text}’")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_reads_back_from_toml_as_it_was(text in any::<String>()) {
            let line = format!("a = {} # b", quoted(&text));
            prop_assert!(!line.contains(['\n', '\r']));
            let table: toml::Table = toml::from_str(&line).unwrap();
            prop_assert_eq!(table["a"].as_str(), Some(text.as_str()));
        }
    }

    #[test]
    fn marks_that_stand_on_letters_and_quotes_read_back_too() {
        for text in ["e\u{301}", "it's \"so\" \\", "\0\u{7f}\u{9b}\u{202e}\u{1f4c1}", "line\nline\ttab"] {
            let table: toml::Table = toml::from_str(&format!("a = {}", quoted(text))).unwrap();
            assert_eq!(table["a"].as_str(), Some(text));
        }
    }

    #[test]
    fn the_audit_log_is_kept_for_a_month_at_least() {
        assert_eq!(audit_retention("30d"), Ok(Duration::from_hours(30 * 24)));
        assert_eq!(audit_retention("3650d"), Ok(Duration::from_hours(3650 * 24)));
        for bad in ["0", "29d", "29d 23h 59m", "3651d", "soon"] {
            assert_eq!(audit_retention(bad), Err(format!("must be a time from 30d to 3650d, not ‘{bad}’")));
        }
    }
}
