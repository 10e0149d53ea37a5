//! The filter of a list: Desk's JSON, such as `{"createdAt":{"$gt":"2026-05-01T00:00:00Z"}}`.
//!
//! Every complaint names its place, such as `filter.$or[1].size.$gt`, and all come at once.

use time::{Duration, OffsetDateTime, UtcOffset};

use super::attributes::{attribute_named, attribute_names};
use super::filter_json::Json;
use crate::api::http::body::not_json;
use crate::api::http::field_errors::FieldErrors;
use crate::api::http::instants::parse_instant;
use crate::domain::selection::{Comparison, Kind, Value};
use crate::domain::text::{whole_characters, without_mark};
use crate::domain::wording::one_of;
use crate::domain::{Attribute, Condition};

/// The longest filter, in bytes.
const MOST_BYTES: usize = 8 * 1024;

/// How deep `$and` and `$or` may stand in each other.
const MOST_DEPTH: usize = 8;

/// Most values in a filter, those in lists included.
const MOST_VALUES: usize = 200;

/// Most complaints about one filter.
const MOST_COMPLAINTS: usize = 20;

/// Most characters of a name that is repeated in a complaint.
const MOST_SHOWN: usize = 40;

const OPERATORS: [&str; 10] = ["$eq", "$ne", "$lt", "$lte", "$gt", "$gte", "$in", "$nin", "$and", "$or"];

/// Reads a filter.
pub(super) fn parse_filter(text: &str) -> Result<Condition, FieldErrors> {
    let fault = |message: &str| Err(FieldErrors::one("filter", message));
    if text.len() > MOST_BYTES {
        return fault(&format!("must be {MOST_BYTES} bytes or shorter"));
    }
    let json: Json = match serde_json::from_str(&whole_characters(without_mark(text))) {
        Ok(json) => json,
        Err(error) => return fault(not_json(&error).messages().next().unwrap_or("must be JSON")),
    };
    let mut reader = Reader { errors: FieldErrors::new(), complaints: 0, values: 0 };
    let condition = reader.object(&json, "filter", 0);
    reader.errors.or_ok(condition)
}

struct Reader {
    errors: FieldErrors,
    complaints: usize,
    values: usize,
}

impl Reader {
    /// Notes a complaint; what is answered is never looked at.
    fn refuse(&mut self, place: &str, message: impl Into<String>) -> Condition {
        // Each may be much longer than what it is about, and all of them go into the answer and the log.
        if self.complaints < MOST_COMPLAINTS {
            self.complaints += 1;
            self.errors.add(place, message);
        }
        Condition::none()
    }

    /// Counts a value, or what stands where one could.
    fn is_in_bounds(&mut self, place: &str) -> bool {
        self.values += 1;
        if self.values == MOST_VALUES + 1 {
            self.refuse(place, format!("must be one of {MOST_VALUES} values of the filter or fewer"));
        }
        self.values <= MOST_VALUES
    }

    /// `{"size": ..., "$or": [...]}`: all of it must be true.
    fn object(&mut self, json: &Json, place: &str, depth: usize) -> Condition {
        let Json::Object(members) = json else { return self.refuse(place, "must be an object") };
        // A condition to the database too, which takes only so many.
        if members.is_empty() && depth > 0 && !self.is_in_bounds(place) {
            return Condition::none();
        }
        let conditions = members.iter().map(|(name, inner)| {
            let at = format!("{place}.{}", shown(name));
            match name.as_str() {
                "$and" | "$or" => self.list(name, inner, &at, depth, &mut |reader, one, at, depth| reader.object(one, at, depth)),
                _ if name.starts_with('$') => self.refuse(&at, format!("{} or a field here", one_of(["$and", "$or"]))),
                _ => self.member(name, inner, &at, depth),
            }
        });
        one_or_all(conditions.collect())
    }

    /// A field, or an actor whose fields are named one by one: `{"createdBy": {"id": 5}}`.
    fn member(&mut self, name: &str, json: &Json, place: &str, depth: usize) -> Condition {
        let Some(field) = attribute_named(name) else { return self.refuse(place, one_of(attribute_names())) };
        let is_actor = attribute_named(&format!("{name}.id")).is_some();
        let members = match json {
            Json::Object(members) if is_actor && !members.is_empty() && !members.iter().any(|(key, _)| key.starts_with('$')) => members,
            _ => return self.field(field, json, place, depth),
        };
        let conditions = members.iter().map(|(key, inner)| {
            let at = format!("{place}.{}", shown(key));
            match attribute_named(&format!("{name}.{key}")) {
                Some(field) => self.field(field, inner, &at, depth),
                None => self.refuse(&at, one_of(["id", "type"])),
            }
        });
        one_or_all(conditions.collect())
    }

    /// A value that the field must have, or operators.
    fn field(&mut self, field: Attribute, json: &Json, place: &str, depth: usize) -> Condition {
        match json {
            Json::Object(operators) if operators.is_empty() => self.refuse(place, one_of(OPERATORS)),
            Json::Object(operators) => self.operators(field, operators, place, depth),
            Json::List(_) => self.refuse(place, "must be one value; lists go with $in"),
            value => self.equal(field, value, place),
        }
    }

    fn operators(&mut self, field: Attribute, operators: &[(String, Json)], place: &str, depth: usize) -> Condition {
        let conditions = operators.iter().map(|(operator, json)| {
            let at = format!("{place}.{}", shown(operator));
            match operator.as_str() {
                "$eq" => self.equal(field, json, &at),
                "$ne" => match self.equal(field, json, &at) {
                    Condition::In(field, values) => Condition::NotIn(field, values),
                    refused => refused,
                },
                "$in" => Condition::In(field, self.several(field, json, &at)),
                "$nin" => Condition::NotIn(field, self.several(field, json, &at)),
                "$lt" => self.compare(field, Comparison::Less, json, &at),
                "$lte" => self.compare(field, Comparison::LessOrEqual, json, &at),
                "$gt" => self.compare(field, Comparison::Greater, json, &at),
                "$gte" => self.compare(field, Comparison::GreaterOrEqual, json, &at),
                "$and" | "$or" => self.list(operator, json, &at, depth, &mut |reader, one, at, depth| reader.field(field, one, at, depth)),
                _ => self.refuse(&at, one_of(OPERATORS)),
            }
        });
        one_or_all(conditions.collect())
    }

    /// What `$and` and `$or` hold, each read by `read`.
    fn list(
        &mut self,
        operator: &str,
        json: &Json,
        place: &str,
        depth: usize,
        read: &mut dyn FnMut(&mut Self, &Json, &str, usize) -> Condition,
    ) -> Condition {
        if depth >= MOST_DEPTH {
            return self.refuse(place, format!("must not stand deeper than {MOST_DEPTH} others"));
        }
        let several = match json {
            Json::List(several) if (1..=MOST_VALUES).contains(&several.len()) => several,
            _ => return self.refuse(place, format!("must be a list of 1 to {MOST_VALUES}")),
        };
        let read = several.iter().enumerate().map(|(number, one)| read(self, one, &format!("{place}[{number}]"), depth + 1));
        let conditions = read.collect();
        if operator == "$or" { Condition::Any(conditions) } else { Condition::All(conditions) }
    }

    fn equal(&mut self, field: Attribute, json: &Json, place: &str) -> Condition {
        match self.value(field, json, place) {
            Some(value) => Condition::In(field, value.exact()),
            None => Condition::none(),
        }
    }

    fn several(&mut self, field: Attribute, json: &Json, place: &str) -> Vec<Option<Value>> {
        let Json::List(several) = json else {
            self.refuse(place, "must be a list of values");
            return Vec::new();
        };
        if several.is_empty() && !self.is_in_bounds(place) {
            return Vec::new();
        }
        let read = several.iter().take(MOST_VALUES + 1).enumerate();
        let read = read.filter_map(|(number, one)| self.value(field, one, &format!("{place}[{number}]")));
        read.flat_map(Given::exact).collect()
    }

    fn compare(&mut self, field: Attribute, comparison: Comparison, json: &Json, place: &str) -> Condition {
        match self.value(field, json, place) {
            Some(Given::Exact(Some(value))) => Condition::Compare(field, comparison, value),
            Some(Given::Exact(None)) => self.refuse(place, "must not be null"),
            // Nothing lies between two microseconds, so that what is less than the instant is not greater than the one before it.
            Some(Given::JustAfter(before)) => match comparison {
                Comparison::Less | Comparison::LessOrEqual => Condition::Compare(field, Comparison::LessOrEqual, Value::Instant(before)),
                Comparison::Greater | Comparison::GreaterOrEqual => Condition::Compare(field, Comparison::Greater, Value::Instant(before)),
            },
            None => Condition::none(),
        }
    }

    /// A value of the field's kind; `None` when it was refused.
    fn value(&mut self, field: Attribute, json: &Json, place: &str) -> Option<Given> {
        if !self.is_in_bounds(place) {
            return None;
        }
        let value = match json {
            Json::Null => Ok(Given::Exact(None)),
            json => match field.kind() {
                Kind::Number => number(json).map(|number| Given::Exact(Some(Value::Number(number)))),
                Kind::Text => text(json).map(|text| Given::Exact(Some(Value::Text(text.to_owned())))),
                Kind::Word => word(field, json).map(|word| Given::Exact(Some(Value::Text(word.to_owned())))),
                Kind::Instant => instant(json),
            },
        };
        value.map_err(|why| self.refuse(place, why)).ok()
    }
}

/// A value as a client gives it.
enum Given {
    /// One that a file may have, or none.
    Exact(Option<Value>),
    /// An instant between this microsecond and the next, which no file has.
    JustAfter(OffsetDateTime),
}

impl Given {
    /// What may be equal to it: one value, or none whatever.
    fn exact(self) -> Vec<Option<Value>> {
        match self {
            Self::Exact(value) => vec![value],
            Self::JustAfter(_) => Vec::new(),
        }
    }
}

fn one_or_all(mut conditions: Vec<Condition>) -> Condition {
    match conditions.len() {
        1 => conditions.remove(0),
        _ => Condition::All(conditions),
    }
}

/// A name that anybody may have made up, in a complaint.
fn shown(name: &str) -> String {
    let mut short: String = name.chars().take(MOST_SHOWN).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    short
}

fn number(json: &Json) -> Result<i64, String> {
    if let Json::Whole(number) = json { Ok(*number) } else { Err("must be a whole number of at most 64 bits".to_owned()) }
}

fn text(json: &Json) -> Result<&str, String> {
    let Json::Text(text) = json else { return Err("must be a text".to_owned()) };
    if text.contains('\0') { Err("must be a text without NUL".to_owned()) } else { Ok(text) }
}

fn word(field: Attribute, json: &Json) -> Result<&'static str, String> {
    let known = field.words();
    let given = known.iter().find(|word| matches!(json, Json::Text(text) if text == **word));
    given.copied().ok_or_else(|| one_of(known.iter().copied()))
}

fn instant(json: &Json) -> Result<Given, String> {
    let parsed = if let Json::Text(text) = json { parse_instant(text) } else { None };
    let at = parsed.and_then(|at| at.checked_to_offset(UtcOffset::UTC));
    let Some(at) = at else { return Err(no_instant()) };
    let beyond = at.nanosecond() % 1000;
    Ok(if beyond == 0 { Given::Exact(Some(Value::Instant(at))) } else { Given::JustAfter(at - Duration::nanoseconds(beyond.into())) })
}

fn no_instant() -> String {
    "must be an instant such as 2026-05-01T00:00:00Z".to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::fields::field_name;
    use super::*;

    fn refusal(filter: &str) -> Vec<(String, String)> {
        let errors = parse_filter(filter).unwrap_err();
        errors
            .spelled(field_name)
            .by_name()
            .iter()
            .flat_map(|(field, messages)| messages.iter().map(|message| (field.clone(), message.clone())))
            .collect()
    }

    #[test]
    fn what_is_empty_counts_and_complaints_end_somewhere() {
        let nested =
            |one: &str| (0..6).fold("{}".to_owned(), |inner, _| format!(r#"{{"$and":[{inner}{}]}}"#, format!(",{one}").repeat(150)));
        for text in [nested("{}"), nested(r#"{"id":{"$in":[]}}"#).replace(' ', "")] {
            let refused = parse_filter(&text).unwrap_err().spelled(field_name).to_string();
            assert!(refused.contains("values of the filter or fewer") || refused.contains("bytes or shorter"), "{refused}");
        }
        let several = format!(r#"{{"$and":[{}]}}"#, vec!["{}"; MOST_VALUES].join(","));
        assert!(parse_filter(&several).is_ok());
        let wrong = format!("{{{}}}", vec![r#""a":1"#; 1000].join(","));
        let refused = parse_filter(&wrong).unwrap_err();
        assert_eq!(refused.spelled(field_name).by_name()["filter.a"].len(), MOST_COMPLAINTS);
    }

    #[test]
    fn every_complaint_names_its_place() {
        for (filter, place) in [
            ("", "filter"),
            ("{", "filter"),
            ("[]", "filter"),
            ("5", "filter"),
            (r#"{"nonsense":5}"#, "filter.nonsense"),
            (r#"{"staging_key":"x"}"#, "filter.staging_key"),
            (r#"{"$nor":[]}"#, "filter.$nor"),
            (r#"{"$gt":5}"#, "filter.$gt"),
            (r#"{"size":{"$gte2":5}}"#, "filter.size.$gte2"),
            (r#"{"size":{}}"#, "filter.size"),
            (r#"{"size":[5]}"#, "filter.size"),
            (r#"{"size":"5"}"#, "filter.size"),
            (r#"{"size":5.5}"#, "filter.size"),
            (r#"{"size":1e30}"#, "filter.size"),
            (r#"{"size":{"$lt":null}}"#, "filter.size.$lt"),
            (r#"{"size":{"$in":5}}"#, "filter.size.$in"),
            (r#"{"size":{"$in":[5,"x"]}}"#, "filter.size.$in[1]"),
            (r#"{"size":{"$eq":{"$gt":5}}}"#, "filter.size.$eq"),
            (r#"{"createdAt":{"$gt":"yesterday"}}"#, "filter.createdAt.$gt"),
            (r#"{"createdAt":{"$gt":5}}"#, "filter.createdAt.$gt"),
            (r#"{"createdAt":"9999-12-31T23:59:59-23:59"}"#, "filter.createdAt"),
            (r#"{"state":"gone"}"#, "filter.state"),
            (r#"{"filename":"\u0000"}"#, "filter.filename"),
            (r#"{"createdBy":{"id":5,"name":"x"}}"#, "filter.createdBy.name"),
            (r#"{"createdBy":{"type":"robots"}}"#, "filter.createdBy.type"),
            (r#"{"$or":{}}"#, "filter.$or"),
            (r#"{"$or":[]}"#, "filter.$or"),
            (r#"{"$or":[{"size":1},{"size":{"$gt":"x"}}]}"#, "filter.$or[1].size.$gt"),
            (r#"{"$and":[{"$or":[5]}]}"#, "filter.$and[0].$or[0]"),
            (r#"{"size":{"$or":[{"$lt":1},{"$gt":true}]}}"#, "filter.size.$or[1].$gt"),
        ] {
            let refused = refusal(filter);
            assert_eq!(refused.len(), 1, "{filter}: {refused:?}");
            assert_eq!(refused[0].0, place, "{filter}: {refused:?}");
        }
        let all = refusal(r#"{"size":"x","$or":[{"state":1},{"nonsense":1}]}"#);
        let places: Vec<_> = all.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(places, ["filter.$or[0].state", "filter.$or[1].nonsense", "filter.size"]);
    }

    #[test]
    fn references_are_taken_as_they_are_answered() {
        let customer = parse_filter(r#"{"customer":{"id":7,"type":"customers"}}"#).unwrap();
        let is = |field, value| Condition::In(field, vec![Some(value)]);
        let customers = || is(Attribute::CustomerType, Value::Text("customers".to_owned()));
        assert_eq!(customer, Condition::All(vec![is(Attribute::Customer, Value::Number(7)), customers()]));
        for filter in [r#"{"customer.type":{"$eq":"customers"}}"#, r#"{"customer":{"type":{"$in":["customers"]}}}"#] {
            assert_eq!(parse_filter(filter), Ok(customers()), "{filter}");
        }
        assert_eq!(refusal(r#"{"customer":{"type":"x"}}"#), [("filter.customer.type".to_owned(), one_of(["users", "customers"]))]);
        assert_eq!(refusal(r#"{"customer":{"name":"x"}}"#), [("filter.customer.name".to_owned(), one_of(["id", "type"]))]);
    }

    #[test]
    fn the_last_instant_of_other_languages_is_a_bound() {
        let last = parse_instant("9999-12-31T23:59:59.999999Z").unwrap();
        let compare = |comparison| Condition::Compare(Attribute::CreatedAt, comparison, Value::Instant(last));
        for (operator, comparison) in [("$lt", Comparison::LessOrEqual), ("$gte", Comparison::Greater)] {
            let filter = format!(r#"{{"createdAt":{{"{operator}":"9999-12-31T23:59:59.9999999Z"}}}}"#);
            assert_eq!(parse_filter(&filter), Ok(compare(comparison)));
        }
    }

    #[test]
    fn members_of_the_same_name_all_count() {
        let twice = parse_filter(r#"{"size":{"$gt":1,"$gt":5},"size":{"$lt":9}}"#).unwrap();
        let compare = |comparison, size| Condition::Compare(Attribute::Size, comparison, Value::Number(size));
        let first = Condition::All(vec![compare(Comparison::Greater, 1), compare(Comparison::Greater, 5)]);
        assert_eq!(twice, Condition::All(vec![first, compare(Comparison::Less, 9)]));
        assert_eq!(parse_filter(r#"{"size":17.0}"#), parse_filter(r#"{"size":17}"#));
    }

    #[test]
    fn filters_are_bounded() {
        let nested = |depth: usize| format!("{}{}{}", r#"{"$and":["#.repeat(depth), r#"{"size":1}"#, "]}".repeat(depth));
        assert!(parse_filter(&nested(MOST_DEPTH)).is_ok());
        assert!(refusal(&nested(MOST_DEPTH + 1))[0].0.ends_with("[0].$and"));
        assert_eq!(refusal(&nested(1000))[0].0, "filter");
        let many = |count: usize| format!(r#"{{"size":{{"$in":[{}]}}}}"#, vec!["1"; count].join(","));
        assert!(parse_filter(&many(MOST_VALUES)).is_ok());
        assert_eq!(refusal(&many(MOST_VALUES + 1)), refusal(&many(MOST_VALUES + 500)));
        assert_eq!(refusal(&format!(r#"{{"filename":"{}"}}"#, "x".repeat(MOST_BYTES)))[0].0, "filter");
        let long = refusal(&format!(r#"{{"{}":1}}"#, "é".repeat(1000)));
        assert_eq!(long[0].0, format!("filter.{}…", "é".repeat(MOST_SHOWN)));
    }

    #[test]
    fn what_is_finer_than_a_microsecond_is_compared_as_it_is() {
        let at = |micros: i64| Value::Instant(OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000).unwrap());
        let read = |operator: &str| parse_filter(&format!(r#"{{"createdAt":{{"{operator}":"1970-01-01T00:00:00.0000015Z"}}}}"#)).unwrap();
        let compare = |comparison, micros| Condition::Compare(Attribute::CreatedAt, comparison, at(micros));
        assert_eq!(read("$lt"), compare(Comparison::LessOrEqual, 1));
        assert_eq!(read("$lte"), compare(Comparison::LessOrEqual, 1));
        assert_eq!(read("$gt"), compare(Comparison::Greater, 1));
        assert_eq!(read("$gte"), compare(Comparison::Greater, 1));
        assert_eq!(read("$eq"), Condition::In(Attribute::CreatedAt, vec![]));
        assert_eq!(read("$ne"), Condition::NotIn(Attribute::CreatedAt, vec![]));
        let other_zone = parse_filter(r#"{"createdAt":"1970-01-01T02:00:00.000001+02:00"}"#).unwrap();
        assert_eq!(other_zone, Condition::In(Attribute::CreatedAt, vec![Some(at(1))]));
    }
}
