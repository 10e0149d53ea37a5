//! How far files came, by their types.
//!
//! The types are those of the rules, which the operator writes, never what a caller asks for; and there is a bound to how many are counted each by itself
//! in the life of a process. A name keeps its place for ever, so that its counts only grow, also over reloads.

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::kinds::{Counter, Exported as _, Label as _};
use super::{Step, add};

/// How many types are counted each by itself. To look for one among them is a part of issuing a slip.
const MOST: usize = 32;

/// The label of all others, and files whose type is in no rule: no type can be called that.
const OTHERS: &str = "_other";

/// Which type has which place; the places are taken in their order.
static PLACES: [OnceLock<Box<str>>; MOST] = [const { OnceLock::new() }; MOST];

/// Held by who gives places away.
static GIVING: Mutex<()> = Mutex::new(());

/// The last row is that of all others.
static FILES: [[Counter; Step::ALL.len()]; MOST + 1] = [const { [const { Counter::new() }; Step::ALL.len()] }; MOST + 1];

/// These are the types of the rules now: from here on each is counted by itself, as long as there are places.
pub fn file_types<'a>(names: impl Iterator<Item = &'a str>) {
    let _giving = GIVING.lock().unwrap_or_else(PoisonError::into_inner);
    for name in names {
        if place_of(name).is_none()
            && let Some(free) = PLACES.iter().find(|place| place.get().is_none())
        {
            let _ = free.set(name.into());
        }
    }
}

/// A file of that type, or an upload of one, came so far.
pub fn file(step: Step, type_name: &str) {
    if let Some(steps) = FILES.get(place_of(type_name).unwrap_or(MOST)) {
        add(steps, step, 1);
    }
}

fn place_of(name: &str) -> Option<usize> {
    PLACES.iter().map_while(OnceLock::get).position(|known| **known == *name)
}

pub(super) fn encode(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let names = PLACES.iter().map_while(OnceLock::get).map(AsRef::as_ref);
    let rows = names.zip(&FILES).chain(FILES.last().map(|others| (OTHERS, others)));
    let mut encoder = encoder.encode_descriptor("dropslip_files", "Files and uploads by how far they came.", None, MetricType::Counter)?;
    for (name, steps) in rows {
        for (step, counter) in Step::ALL.iter().zip(steps) {
            counter.encode(&mut encoder.encode_family(&[(Step::KEY, step.text()), ("type", name)])?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_keeps_its_place_and_there_is_a_bound() {
        let names: Vec<String> = (0..2 * MOST).map(|number| format!("type-{number}")).collect();
        file_types(names.iter().take(2).map(String::as_str));
        let places = [place_of("type-0"), place_of("type-1")];
        assert!(places.iter().all(Option::is_some) && places[0] != places[1]);
        // Others come, and the first ones are in no rule any more.
        for _ in 0..2 {
            file_types(names.iter().skip(2).map(String::as_str));
            assert_eq!([place_of("type-0"), place_of("type-1")], places);
        }
        assert!(names.iter().filter(|name| place_of(name).is_some()).count() <= MOST);
        assert_eq!(place_of("type-63"), None);
        let others = || {
            let text = crate::metrics::text(crate::metrics::Gauges::default()).unwrap();
            let line =
                text.lines().find_map(|line| line.strip_prefix("dropslip_files_total{step=\"issued\",type=\"_other\"} ")).map(str::parse);
            line.unwrap().unwrap()
        };
        let before: f64 = others();
        file(Step::Issued, "type-63");
        file(Step::Issued, "nobody-wrote-a-rule-for-it");
        assert!(others() >= before + 2.0);
    }
}
