//! What must be true of what brokers and stores answer to a client; see `crate::fuzzing`.

use std::collections::BTreeSet;

use serde::Deserialize;
use url::Url;

use super::desk::{complaints, parsed};
use super::failure::{Failure, shortened};
use super::object_store::said;
use super::slip::{Arrived, Cut, NEVER_SENT, Params, SignedPart, Slip, Way};

#[derive(Deserialize)]
struct Signed {
    parts: Vec<SignedPart>,
}

/// Whatever a broker answers, a request to the store is an ordinary one, and parts are those of the file; what is said is short.
pub(crate) fn answer(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(slip) = is_told_without_its_words(parsed::<Slip>(&text)) {
        // Only that it comes to an end.
        let _ = slip.has_expired();
        match &slip.way {
            Way::Form { url, params } => {
                plain(url);
                harmless(params);
            }
            Way::Put { url, headers } => {
                plain(url);
                harmless(headers);
            }
            Way::Parts { part_size, part_count } => {
                for size in [0, 1, 5 << 20, *part_size, part_size.saturating_mul(*part_count), u64::MAX] {
                    whole(Cut::new(*part_size, *part_count, size), size);
                }
            }
        }
    }
    if let Ok(Signed { parts }) = is_told_without_its_words(parsed::<Signed>(&text)) {
        for part in &parts {
            plain(&part.url);
            harmless(&part.headers);
        }
    }
    if let Ok(arrived) = is_told_without_its_words(parsed::<Arrived>(&text)) {
        let sum = arrived.parts.iter().fold(0_u64, |sum, part| sum.saturating_add(part.size));
        for size in [sum, arrived.part_size.saturating_mul(arrived.part_count)] {
            if let Some(cut) = Cut::new(arrived.part_size, arrived.part_count, size) {
                let missing: BTreeSet<u32> = cut.missing(&arrived.parts).into_iter().collect();
                assert!(missing.iter().all(|number| (1..=cut.count).contains(number)), "{missing:?} of {}", cut.count);
                let there = arrived.parts.iter().filter(|part| (1..=cut.count).contains(&part.part_number));
                assert!(there.filter(|part| part.size == cut.length(part.part_number)).all(|part| !missing.contains(&part.part_number)));
            }
        }
    }
    for short in [complaints(&text), Some(shortened(&said(&text)))].into_iter().flatten() {
        assert!(!short.is_empty() && short.chars().count() <= 301 && !short.contains(['\n', '\r']), "{short:?}");
    }
}

/// What could not be read is a message of one line with no more of it than the name of what is missing.
fn is_told_without_its_words<T>(read: Result<T, Failure>) -> Result<T, ()> {
    read.map_err(|failure| {
        let Failure::BrokerNonsense(why) = failure else { panic!("{failure}") };
        assert!(why.starts_with("missing field `") || why == "it is not the JSON that was expected", "{why:?}");
        assert!(why.len() < 100, "{why:?}");
    })
}

fn plain(url: &Url) {
    assert!(matches!(url.scheme(), "http" | "https") && url.has_host(), "{url}");
    assert!(url.username().is_empty() && url.password().is_none(), "{url}");
}

fn harmless(params: &Params) {
    if let Ok(headers) = params.headers() {
        assert_eq!(headers.len(), params.0.len());
        assert!(NEVER_SENT.iter().all(|name| !headers.contains_key(name)), "{headers:?}");
    }
}

/// The parts of a cut are the file, without a gap.
fn whole(cut: Option<Cut>, size: u64) {
    let Some(cut) = cut else { return };
    assert!((1..=10_000).contains(&cut.count));
    let mut end = 0;
    for number in 1..=cut.count {
        let range = cut.range(number);
        assert!(range.start == end && range.end > range.start && cut.length(number) == range.end - range.start, "{cut:?} {number}");
        end = range.end;
    }
    assert_eq!(end, size, "{cut:?}");
    assert_eq!(cut.missing(&[]).len(), usize::try_from(cut.count).unwrap_or_default());
}
