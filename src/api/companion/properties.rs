//! What must be true of what Uppy sends; see `crate::properties`.

use super::multipart::claimed;
use super::request::{Described, new_file, new_file_of_query, token_wish};
use crate::api::body::object;
use crate::api::properties::said_well;
use crate::api::query::Query;
use crate::domain::properties::clean;
use crate::domain::{FieldErrors, NewFile};
use crate::tokens::MOST_TYPES;

const FIELDS: [&str; 7] = ["filename", "type", "mimeType", "fileType", "size", "disposition", "checksumSHA256"];

/// Whatever the token is for, nothing else is asked for.
pub(crate) fn query(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let query = Query::parsed(&text);
    allowed(|types| new_file_of_query(&query, types));
}

/// The same from JSON; and lists of parts, and wishes for tokens.
pub(crate) fn body(bytes: &[u8]) {
    allowed(|types| {
        let described: Described = object(bytes)?;
        new_file(described, types)
    });
    match claimed(bytes) {
        Ok(parts) => assert!(parts.iter().all(|(number, _)| (1..=10_000).contains(number)), "{parts:?}"),
        Err(errors) => said_well(&errors, &["parts", "partNumber"]),
    }
    match token_wish(bytes) {
        Ok(wish) => {
            assert!((1..=MOST_TYPES).contains(&wish.types.len()), "{:?}", wish.types);
            assert!(wish.types.windows(2).all(|two| two[0] < two[1]), "{:?} has one twice", wish.types);
            assert!((1..=86_400).contains(&wish.life.whole_seconds()), "{}", wish.life);
        }
        Err(errors) => said_well(&errors, &["body", "types", "seconds"]),
    }
}

fn allowed(read: impl Fn(Option<&[String]>) -> Result<NewFile, FieldErrors>) {
    let two = ["attachment".to_owned(), "image".to_owned()];
    for types in [None, two.get(..1), Some(&two[..])] {
        match read(types) {
            Ok(new) => {
                clean(&new.name);
                assert!(types.is_none_or(|types| types.contains(&new.type_name)), "{} is not allowed", new.type_name);
                assert!(new.multipart.is_none());
            }
            Err(errors) => said_well(&errors, &[&FIELDS[..], &["body"]].concat()),
        }
    }
}
