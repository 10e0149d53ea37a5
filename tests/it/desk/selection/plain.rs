//! What a list should have, in plain Rust over the objects that are answered.

use std::cmp::Ordering;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub const FIELDS: [&str; 20] = [
    "id",
    "filename",
    "mimeType",
    "size",
    "type",
    "disposition",
    "state",
    "pixelWidth",
    "pixelHeight",
    "createdAt",
    "updatedAt",
    "deletedAt",
    "createdBy",
    "createdBy.type",
    "updatedBy",
    "updatedBy.type",
    "deletedBy",
    "deletedBy.type",
    "customer",
    "customer.type",
];

pub fn is_instant(field: &str) -> bool {
    field.ends_with("At")
}

pub fn member<'a>(file: &'a Value, field: &str) -> &'a Value {
    let (first, second) = field.split_once('.').unwrap_or((field, ""));
    let value = &file[first];
    if value.is_object() { &value[if second.is_empty() { "id" } else { second }] } else { value }
}

/// `None` where one of them is nothing.
fn compared(field: &str, left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) if is_instant(field) => {
            let instant = |text: &str| OffsetDateTime::parse(text, &Rfc3339).unwrap();
            Some(instant(left).cmp(&instant(right)))
        }
        (Value::String(left), Value::String(right)) => Some(left.as_bytes().cmp(right.as_bytes())),
        (Value::Number(left), Value::Number(right)) => Some(left.as_i64().unwrap().cmp(&right.as_i64().unwrap())),
        _ => None,
    }
}

fn equal(field: &str, left: &Value, right: &Value) -> bool {
    left.is_null() && right.is_null() || compared(field, left, right) == Some(Ordering::Equal)
}

fn field_matches(file: &Value, field: &str, wanted: &Value) -> bool {
    let value = member(file, field);
    let Value::Object(operators) = wanted else { return equal(field, value, wanted) };
    operators.iter().all(|(operator, operand)| {
        let order = compared(field, value, operand);
        match operator.as_str() {
            "$eq" => equal(field, value, operand),
            "$ne" => !equal(field, value, operand),
            "$lt" => order == Some(Ordering::Less),
            "$lte" => order.is_some_and(Ordering::is_le),
            "$gt" => order == Some(Ordering::Greater),
            "$gte" => order.is_some_and(Ordering::is_ge),
            "$in" => operand.as_array().unwrap().iter().any(|one| equal(field, value, one)),
            "$nin" => !operand.as_array().unwrap().iter().any(|one| equal(field, value, one)),
            "$and" => operand.as_array().unwrap().iter().all(|one| field_matches(file, field, one)),
            "$or" => operand.as_array().unwrap().iter().any(|one| field_matches(file, field, one)),
            other => panic!("{other}"),
        }
    })
}

fn matches(file: &Value, filter: &Value) -> bool {
    filter.as_object().unwrap().iter().all(|(name, inner)| match name.as_str() {
        "$and" => inner.as_array().unwrap().iter().all(|one| matches(file, one)),
        "$or" => inner.as_array().unwrap().iter().any(|one| matches(file, one)),
        field => field_matches(file, field, inner),
    })
}

pub fn expected<'a>(files: &'a [Value], filter: &Value, by: &str, descending: bool) -> Vec<&'a Value> {
    let words = filter.to_string();
    let any_state = [words.as_str(), by].iter().any(|text| ["state", "deletedAt", "deletedBy"].iter().any(|word| text.contains(word)));
    let mut chosen: Vec<_> = files.iter().filter(|file| (any_state || file["state"] == "active") && matches(file, filter)).collect();
    chosen.sort_by(|one, other| {
        let (left, right) = (member(one, by), member(other, by));
        let absent_first = left.is_null().cmp(&right.is_null()).reverse();
        let order = absent_first.then(compared(by, left, right).unwrap_or(Ordering::Equal));
        order.then(one["id"].as_i64().cmp(&other["id"].as_i64()))
    });
    if descending {
        chosen.reverse();
    }
    chosen
}
