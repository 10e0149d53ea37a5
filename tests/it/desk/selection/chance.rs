//! Filters by chance, about values that some file has.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::plain::{FIELDS, is_instant, member};

/// Chance that can be repeated.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    pub fn of<'a, T>(&mut self, several: &'a [T]) -> &'a T {
        &several[self.below(several.len())]
    }
}

fn operand(dice: &mut Dice, files: &[Value], field: &str) -> Value {
    let value = member(dice.of(files), field).clone();
    match (&value, dice.below(6)) {
        (Value::Null, _) => member(dice.of(files), field).clone(),
        (Value::Number(number), 0) => json!(number.as_i64().unwrap() + 1),
        (Value::String(_), 0) if field == "filename" => json!(dice.of(&["", "b", "Ü", "'; DROP TABLE files; --", "%", "\u{10ffff}"])),
        (Value::String(text), 0) if is_instant(field) => json!(text.replace('Z', &format!("{}Z", dice.of(&["5", "000", "999"])))),
        (Value::String(text), 1) if is_instant(field) => {
            let offset = time::UtcOffset::from_hms(5, 30, 0).unwrap();
            json!(OffsetDateTime::parse(text, &Rfc3339).unwrap().to_offset(offset).format(&Rfc3339).unwrap())
        }
        _ => value,
    }
}

fn term(dice: &mut Dice, files: &[Value], field: &str) -> Value {
    if dice.below(5) == 0 {
        return operand(dice, files, field);
    }
    let mut operators = Map::new();
    for _ in 0..=dice.below(2) {
        let operator = *dice.of(&["$eq", "$ne", "$lt", "$lte", "$gt", "$gte", "$in", "$nin", "$or"]);
        let value = match operator {
            "$in" | "$nin" => json!((0..dice.below(4)).map(|_| operand(dice, files, field)).collect::<Vec<_>>()),
            "$or" => json!((0..=dice.below(2)).map(|_| operand(dice, files, field)).collect::<Vec<_>>()),
            "$eq" | "$ne" => operand(dice, files, field),
            // Less than nothing is refused.
            _ => match operand(dice, files, field) {
                Value::Null => continue,
                value => value,
            },
        };
        operators.insert(operator.to_owned(), value);
    }
    if operators.is_empty() { Value::Null } else { operators.into() }
}

pub fn filter(dice: &mut Dice, files: &[Value], depth: usize) -> Value {
    let mut members = Map::new();
    for _ in 0..dice.below(3) + usize::from(depth > 0) {
        if depth < 3 && dice.below(3) == 0 {
            let inner = (0..=dice.below(2)).map(|_| filter(dice, files, depth + 1)).collect::<Vec<_>>();
            members.insert((*dice.of(&["$and", "$or"])).to_owned(), json!(inner));
        } else {
            let field = *dice.of(&FIELDS);
            members.insert(field.to_owned(), term(dice, files, field));
        }
    }
    members.into()
}
