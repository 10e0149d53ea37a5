//! What must be true of what Uppy sends; see `crate::fuzzing`.

use super::fields::field_name;
use super::multipart::{claimed, number, numbers};
use super::request::{Described, new_file, new_file_of_query, upload_token_terms};
use crate::api::http::body::{object, readable};
use crate::api::http::field_errors::FieldErrors;
use crate::api::http::fuzzing;
use crate::api::http::query::Query;
use crate::domain::NewFile;
use crate::domain::fuzzing::clean;
use crate::tokens::MOST_UPLOAD_TYPES;

const FIELDS: [&str; 7] = ["filename", "type", "mimeType", "fileType", "size", "disposition", "checksumSHA256"];

/// Whatever the token is for, nothing else is asked for.
pub(crate) fn query(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let query = Query::parsed(&text);
    allowed(|types| new_file_of_query(&query, types));
}

/// Numbers of parts are those of S3 and not too many, in a path, a query and the list that says what makes up the file.
pub(crate) fn parts(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let is_part = |number: &u32| (1..=10_000).contains(number);
    match number(&text) {
        // Leading zeros are the same number to S3 too.
        Ok(one) => assert!(is_part(&one) && text.trim_start_matches('0') == one.to_string(), "{text:?} is {one}"),
        Err(errors) => said_well(&errors, &["partNumber"]),
    }
    for query in [Query::parsed(&text), Query::parsed(&format!("partNumbers={text}"))] {
        match numbers(&query) {
            Ok(numbers) => assert!((1..=100).contains(&numbers.len()) && numbers.iter().all(is_part), "{numbers:?}"),
            Err(errors) => said_well(&errors, &["partNumber", "partNumbers"]),
        }
    }
    let list = |bytes: &[u8]| match claimed(bytes) {
        Ok(parts) => {
            assert!(parts.iter().all(|(number, _)| is_part(number)), "{parts:?}");
            Some(parts)
        }
        Err(errors) => {
            said_well(&errors, &["parts", "partNumber"]);
            None
        }
    };
    if let Some(parts) = list(bytes) {
        let again: Vec<_> = parts.iter().map(|(number, etag)| serde_json::json!({"PartNumber": number, "ETag": etag})).collect();
        assert_eq!(list(serde_json::json!({"parts": again}).to_string().as_bytes()), Some(parts), "written down again it is another");
    }
    // An entity tag is any text: what is not hostile to JSON comes as it is.
    let one = serde_json::json!({"parts": [{"PartNumber": bytes.len(), "ETag": text}]}).to_string();
    let number = u32::try_from(bytes.len()).ok().filter(is_part);
    assert_eq!(list(one.as_bytes()), number.map(|number| vec![(number, text.into_owned())]));
}

/// The same from JSON; and wishes for tokens.
pub(crate) fn body(bytes: &[u8]) {
    let Ok(bytes) = readable(&bytes.to_vec().into()).map_err(|errors| said_well(&errors, &["body"])) else { return };
    let bytes = &*bytes;
    allowed(|types| {
        let described: Described = object(bytes)?;
        new_file(described, types)
    });
    match upload_token_terms(bytes) {
        Ok(wish) => {
            assert!((1..=MOST_UPLOAD_TYPES).contains(&wish.types.len()), "{:?}", wish.types);
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

fn said_well(errors: &FieldErrors, fields: &[&str]) {
    fuzzing::said_well(&errors.spelled(field_name), fields);
}
