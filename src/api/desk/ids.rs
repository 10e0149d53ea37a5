//! Lists of files' numbers: in the query as `ids=1,2,3`, in a body as a list.

use serde_json::Value;
use utoipa::openapi::{Array, Object, Type};

use crate::api::http::body::whole;
use crate::api::http::field_errors::FieldErrors;
use crate::api::http::query::Query;
use crate::domain::FileId;

/// Most numbers of one request.
pub(super) const MOST_IDS: usize = 100;

/// What `ids` in a query looks like.
pub(super) const IDS_PATTERN: &str = "^[0-9]{1,18}(,[0-9]{1,18}){0,99}$";

/// The numbers in `ids` and `id`, each once, in their order; `None` when neither is there.
pub(super) fn ids_in(query: &Query) -> Result<Option<Vec<FileId>>, FieldErrors> {
    let mut given = query.members().iter().filter(|(name, _)| name == "ids" || name == "id").peekable();
    if given.peek().is_none() {
        return Ok(None);
    }
    let words = given.flat_map(|(_, value)| value.split(',')).map(str::trim);
    let number = |word: &str| word.bytes().all(|b| b.is_ascii_digit()).then(|| word.parse().ok())?;
    // One more than may be: a request of a million commas is not looked at to its end.
    let numbers: Option<Vec<i64>> = words.take(MOST_IDS + 1).map(number).collect();
    numbers.as_deref().and_then(distinct).map(Some).ok_or_else(|| FieldErrors::one("ids", complaint("commas between them")))
}

/// The numbers in the member `ids` of a body.
pub(super) fn ids_of(value: Option<&Value>) -> Result<Vec<FileId>, FieldErrors> {
    let numbers = value.and_then(Value::as_array).filter(|numbers| numbers.len() <= MOST_IDS);
    let number = |value: &Value| whole(value).and_then(|number| i64::try_from(number).ok());
    let numbers: Option<Vec<i64>> = numbers.and_then(|numbers| numbers.iter().map(number).collect());
    numbers.as_deref().and_then(distinct).ok_or_else(|| FieldErrors::one("ids", complaint("in a list")))
}

fn complaint(how: &str) -> String {
    format!("must be 1 to {MOST_IDS} whole numbers, {how}")
}

fn distinct(numbers: &[i64]) -> Option<Vec<FileId>> {
    let mut distinct = Vec::with_capacity(numbers.len());
    for id in numbers.iter().copied().map(FileId) {
        if !distinct.contains(&id) {
            distinct.push(id);
        }
    }
    (1..=MOST_IDS).contains(&numbers.len()).then_some(distinct)
}

/// The schema of [`ids_of`].
pub(super) fn ids_schema() -> Array {
    let number = Object::builder().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(i64::MAX));
    Array::builder().items(number).min_items(Some(1)).max_items(Some(MOST_IDS)).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_whole_numbers_each_once_and_not_too_many() {
        let read = |text: &str| ids_in(&Query::parsed(text)).map(|ids| ids.map(|ids| ids.into_iter().map(|id| id.0).collect::<Vec<_>>()));
        assert_eq!(read("page=1"), Ok(None));
        assert_eq!(read("ids=3,1,3&id=2&ids=1,%204"), Ok(Some(vec![3, 1, 2, 4])));
        assert_eq!(read("ids=0,9223372036854775807"), Ok(Some(vec![0, i64::MAX])));
        let hundred = vec!["7"; 100].join(",");
        assert_eq!(read(&format!("ids={hundred}")), Ok(Some(vec![7])));
        for bad in ["ids=", "ids=,", "ids=1,", "ids=-1", "ids=1.0", "ids=a", "ids=1;2", "ids=9223372036854775808", "id="] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read(&format!("ids={hundred},7")).is_err() && read(&format!("ids={hundred}&id=7")).is_err());
    }
}
