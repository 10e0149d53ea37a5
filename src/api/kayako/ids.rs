//! Numbers of files: one in a path, several in a query.

use super::request::Arguments;
use crate::api::http::Fault;
use crate::api::http::field_errors::FieldErrors;
use crate::domain::FileId;

/// What a query calls them.
const IDS: &str = "ids";

/// The same where each has a member of its own.
const LISTED: &str = "ids[]";

/// Most numbers of one request.
pub(super) const MOST_IDS: usize = 1000;

/// The last segment of a path, with or without `.json`; what is no number of a file is no file.
pub(super) fn id_of(segment: &str) -> Result<FileId, Fault> {
    number(segment.strip_suffix(".json").unwrap_or(segment)).ok_or(Fault::NotFound)
}

fn number(digits: &str) -> Option<FileId> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok().map(FileId))?
}

/// The numbers in `ids` and `ids[]`, each of which may be there once.
pub(super) fn ids_in(arguments: &Arguments) -> Result<Vec<FileId>, Fault> {
    let mut given = arguments.all(IDS).chain(arguments.all(LISTED)).map(str::trim).filter(|value| !value.is_empty()).peekable();
    if given.peek().is_none() {
        return Err(Fault::Invalid(FieldErrors::one(IDS, "must be set")));
    }
    // One more than may be: a request of a million commas is not looked at to its end.
    let numbers: Option<Vec<_>> = given.flat_map(|value| value.split(',')).take(MOST_IDS + 1).map(|word| number(word.trim())).collect();
    let refused = || Fault::Invalid(FieldErrors::one(IDS, format!("must be 1 to {MOST_IDS} whole numbers, commas between them")));
    let numbers = numbers.filter(|numbers| numbers.len() <= MOST_IDS).ok_or_else(refused)?;
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() < numbers.len() {
        return Err(Fault::Contradiction(vec![IDS.to_owned()]));
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<i64>, String> {
        ids_in(&Arguments::parsed(text)).map(|ids| ids.into_iter().map(|id| id.0).collect()).map_err(|fault| format!("{fault:?}"))
    }

    #[test]
    fn ids_are_whole_numbers_each_once_and_not_too_many() {
        assert_eq!(read("ids=3,1&x=2"), Ok(vec![3, 1]));
        assert_eq!(read("ids[]=3&ids%5B%5D=1,%202&ids=4&ids="), Ok(vec![4, 3, 1, 2]));
        let list = |most: usize| (1..=most).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
        assert_eq!(read(&format!("ids={}", list(1000))).unwrap().len(), 1000);
        for absent in ["", "ids=", "ids[]=", "id=1"] {
            assert!(read(absent).unwrap_err().contains("must be set"), "{absent}");
        }
        for twice in ["ids=1,1", "ids=1&ids[]=1", "ids=1,2,01"] {
            assert!(read(twice).unwrap_err().starts_with("Contradiction"), "{twice}");
        }
        for bad in ["ids=,", "ids=1,", "ids=-1", "ids=1.0", "ids=a", "ids=1;2", "ids=9223372036854775808", &format!("ids={}", list(1001))] {
            assert!(read(bad).unwrap_err().contains("must be 1 to 1000"), "{bad}");
        }
    }

    #[test]
    fn what_is_no_number_is_no_file() {
        assert_eq!((id_of("17").unwrap(), id_of("17.json").unwrap()), (FileId(17), FileId(17)));
        for bad in ["", ".json", "x", "-1", "+1", "1.0", "1.json.json", "9223372036854775808"] {
            assert!(matches!(id_of(bad), Err(Fault::NotFound)), "{bad}");
        }
    }
}
