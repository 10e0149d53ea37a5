//! What is wrong with a file of the operator's that may hold secrets.

/// What and in which line, but never what stands there: it may be a secret, also where none belongs.
#[must_use]
pub fn toml_failure(text: &str, error: &toml::de::Error) -> String {
    // The error as a whole prints the line.
    let line = |at: usize| text.get(..at).unwrap_or(text).matches('\n').count() + 1;
    let place = error.span().map(|span| format!("line {}: ", line(span.start))).unwrap_or_default();
    let bare = |found: &str| found.split(['`', '"', ':']).next().unwrap_or_default().trim_end().to_owned();
    match error.message().rsplit_once(", expected ") {
        // What was expected stands in this program, what was found in the file.
        Some((found, expected)) => format!("{place}{}, expected {expected}", bare(found)),
        None if error.message().starts_with("duplicate key") => format!("{place}duplicate key"),
        None => format!("{place}{}", error.message()),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[expect(dead_code, reason = "it is there to be complained about")]
        number: u8,
    }

    #[test]
    fn what_and_where_is_told_and_not_what_stands_there() {
        for (text, said) in [
            ("\nhunter2 = 1", "line 2: unknown field, expected `number`"),
            ("\"a, expected hunter2\" = 1", "line 1: unknown field, expected `number`"),
            ("number = \"hunter2, expected hunter2\"", "line 1: invalid type, expected u8"),
            ("number = 1\nnumber = 2", "line 2: duplicate key"),
            ("# hunter2", "line 1: missing field `number`"),
            ("number = hunter2", "line 1: string values must be quoted, expected literal string"),
        ] {
            let error = toml::from_str::<File>(text).err().unwrap();
            assert_eq!(toml_failure(text, &error), said, "{text}");
        }
        let both = "hunter2 = 1\nhunter2 = 2";
        assert_eq!(toml_failure(both, &toml::from_str::<toml::Table>(both).err().unwrap()), "line 2: duplicate key");
    }
}
