//! Names of members in three spellings: `more_info`, `moreInfo`, `MoreInfo`. Values are never changed.

use serde_json::Value;

/// How names are spelled in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Case {
    /// `more_info`.
    #[default]
    Snake,
    /// `moreInfo`.
    Camel,
    /// `MoreInfo`.
    Pascal,
}

impl Case {
    /// That of the argument `_case`; without one, or with a word that nobody knows, the usual one.
    pub(super) fn named(word: Option<&str>) -> Self {
        match word.map(str::to_ascii_lowercase).as_deref() {
            Some("camel") => Self::Camel,
            Some("pascal") => Self::Pascal,
            _ => Self::Snake,
        }
    }

    /// A name that is written in snake case, in this one.
    pub(super) fn name(self, snake: &str) -> String {
        if self == Self::Snake {
            return snake.to_owned();
        }
        let start = snake.find(|c| c != '_').unwrap_or(snake.len());
        let (marks, words) = snake.split_at(start);
        let mut name = marks.to_owned();
        for (place, word) in words.split('_').enumerate() {
            let mut letters = word.chars();
            match letters.next() {
                Some(first) if place > 0 || self == Self::Pascal => {
                    name.push(first.to_ascii_uppercase());
                    name.push_str(letters.as_str());
                }
                _ => name.push_str(word),
            }
        }
        name
    }

    /// Spells the names of all members, however deep.
    pub(super) fn spell(self, value: Value) -> Value {
        match value {
            _ if self == Self::Snake => value,
            Value::Object(members) => members.into_iter().map(|(name, value)| (self.name(&name), self.spell(value))).collect(),
            Value::Array(items) => items.into_iter().map(|item| self.spell(item)).collect(),
            other => other,
        }
    }
}

/// A name that came in any of the three, in snake case. Brackets and leading marks stay.
pub(super) fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len());
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            if snake.ends_with(|before: char| before.is_ascii_alphanumeric()) {
                snake.push('_');
            }
            snake.push(letter.to_ascii_lowercase());
        } else {
            snake.push(letter);
        }
    }
    snake
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_spelled_and_values_are_not() {
        let value = json!({"more_info": "a_b", "data": [{"resource_type": {"x_y": null}}], "id": 1});
        assert_eq!(Case::Camel.spell(value.clone()), json!({"moreInfo": "a_b", "data": [{"resourceType": {"xY": null}}], "id": 1}));
        assert_eq!(Case::Pascal.spell(value.clone()), json!({"MoreInfo": "a_b", "Data": [{"ResourceType": {"XY": null}}], "Id": 1}));
        assert_eq!(Case::Snake.spell(value.clone()), value);
        assert_eq!(
            [Some("Camel"), Some("pascal"), Some("x"), None].map(Case::named),
            [Case::Camel, Case::Pascal, Case::Snake, Case::Snake]
        );
    }

    #[test]
    fn names_of_requests_are_understood_in_each() {
        for name in ["_session_id", "_sessionId", "_SessionId"] {
            assert_eq!(snake(name), "_session_id");
        }
        assert_eq!(["ids[]", "Name", "content_type", "contentType"].map(snake), ["ids[]", "name", "content_type", "content_type"]);
    }
}
