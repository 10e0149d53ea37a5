//! The names of types: which are one type, and in which container its files are kept.

use std::collections::HashMap;
use std::sync::LazyLock;

/// One type a line: canonical name, container, other names. Its head says where they come from.
const TABLE: &str = include_str!("names.tsv");

/// What a file of some type is inside: the words of the table.
pub(super) const CONTAINERS: [&str; 16] =
    ["asf", "gzip", "isobmff", "jp2", "matroska", "ogg", "ole", "png", "rar", "riff", "sfnt", "sqlite", "text", "tiff", "xml", "zip"];

/// One type and its names.
pub(super) struct Name {
    spellings: Vec<&'static str>,
    container: Option<&'static str>,
}

impl Name {
    /// The name that this program prefers.
    pub(super) fn canonical(&self) -> &'static str {
        self.spellings.first().copied().unwrap_or_default()
    }

    /// All of its names, the preferred one first.
    pub(super) fn spellings(&self) -> impl Iterator<Item = &'static str> {
        self.spellings.iter().copied()
    }

    /// Whether this is one of its names.
    pub(super) fn is_spelled(&self, name: &str) -> bool {
        self.spellings.contains(&name)
    }

    /// The container of its files, where one is known.
    pub(super) fn container(&self) -> Option<&'static str> {
        self.container
    }
}

/// Every type that has several names or a container.
pub(super) struct Names {
    types: Vec<Name>,
    by_spelling: HashMap<&'static str, usize>,
}

impl Names {
    /// The type with this name.
    pub(super) fn of(&self, name: &str) -> Option<&Name> {
        self.types.get(*self.by_spelling.get(name)?)
    }
}

/// The table, read once.
pub(super) fn names() -> &'static Names {
    static NAMES: LazyLock<Names> = LazyLock::new(|| {
        let mut names = Names { types: Vec::new(), by_spelling: HashMap::new() };
        for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
            let mut columns = line.split('\t');
            let Some(canonical) = columns.next().filter(|name| !name.is_empty()) else { continue };
            let container = columns.next().filter(|word| CONTAINERS.contains(word));
            let spellings: Vec<_> = std::iter::once(canonical).chain(columns.next().unwrap_or_default().split(' ')).collect();
            names.by_spelling.extend(spellings.iter().map(|spelling| (*spelling, names.types.len())));
            names.types.push(Name { spellings: spellings.into_iter().filter(|spelling| !spelling.is_empty()).collect(), container });
        }
        names
    });
    &NAMES
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::domain::MediaType;

    #[test]
    fn every_name_belongs_to_one_type_and_every_line_says_something() {
        let mut seen = HashSet::new();
        for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
            let [canonical, container, others] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
            assert!(container == "-" || CONTAINERS.contains(&container), "{line}");
            assert!(container != "-" || !others.is_empty(), "{line} says nothing");
            for name in std::iter::once(canonical).chain(others.split(' ').filter(|name| !name.is_empty())) {
                assert!(seen.insert(name), "{name} stands twice");
                assert_eq!(name.parse::<MediaType>().unwrap().to_string(), name);
            }
        }
        assert!(seen.len() > 500);
    }
}
