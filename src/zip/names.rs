//! Names of files in an archive: unlike on every system, and leading nowhere.

use std::collections::{HashMap, HashSet};

use unicode_normalization::UnicodeNormalization as _;

/// Names that Windows takes for devices, whatever their ending.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// Longest name, in bytes: what common file systems take.
const LONGEST_NAME: usize = 255;

/// Longest ending that is kept when a name is cut, in bytes with its dot.
const LONGEST_ENDING: usize = 32;

/// The names of an archive: one path component each, none twice, also where case does not count.
#[derive(Default)]
pub(super) struct Names {
    taken: HashSet<String>,
    /// The number to try next.
    next: HashMap<String, u64>,
}

impl Names {
    pub(super) fn fresh(&mut self, name: &str) -> String {
        let name = safe(name);
        let same = folded(&name);
        if self.taken.insert(same.clone()) {
            return name;
        }
        let (stem, ending) = parted(&name);
        let number = self.next.entry(same).or_insert(2);
        loop {
            let other = fitting(stem, &format!(" ({number}){ending}"));
            *number += 1;
            if self.taken.insert(folded(&other)) {
                return other;
            }
        }
    }
}

/// What is the same of names that some system takes for one: by large letters and then small ones, each by itself, as there are small ones
/// that have one large one; and however letters and their accents are put together.
fn folded(name: &str) -> String {
    name.nfc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfc().collect()
}

/// A name that leads nowhere else and that every system can write: files are called by others.
fn safe(name: &str) -> String {
    let plain = |c: char| if c.is_control() || r#"/\<>:"|?*"#.contains(c) { '_' } else { c };
    let cleaned: String = name.chars().map(plain).collect();
    let kept = cleaned.trim_end_matches(['.', ' ']);
    let stem = kept.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix).is_some_and(|rest| rest.chars().count() == 1 && rest.chars().all(|c| "0123456789¹²³".contains(c)))
    };
    let is_device = DEVICES.contains(&stem.as_str()) || numbered("com") || numbered("lpt");
    let (stem, ending) = parted(kept);
    if kept.is_empty() || is_device { fitting(&format!("_{stem}"), ending) } else { fitting(stem, ending) }
}

/// A name and its ending.
fn parted(name: &str) -> (&str, &str) {
    let dot = name.rfind('.').filter(|dot| *dot > 0 && name.len() - dot <= LONGEST_ENDING);
    dot.map_or((name, ""), |dot| name.split_at(dot))
}

/// Both together, the first one cut between characters where that is too long.
fn fitting(stem: &str, ending: &str) -> String {
    let room = LONGEST_NAME.saturating_sub(ending.len());
    let kept = stem.get(..stem.floor_char_boundary(room)).unwrap_or_default();
    // What ends in a dot or a blank is called otherwise by some systems.
    let kept = if ending.is_empty() { kept.trim_end_matches(['.', ' ']) } else { kept };
    format!("{kept}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_and_lead_nowhere() {
        let mut names = Names::default();
        for (name, fresh) in [
            ("a.txt", "a.txt"),
            ("a.txt", "a (2).txt"),
            ("A.TXT", "A (3).TXT"),
            ("a (2).txt", "a (2) (2).txt"),
            ("a.tar.gz", "a.tar.gz"),
            ("a.tar.gz", "a.tar (2).gz"),
            (".profile", ".profile"),
            (".profile", ".profile (2)"),
            ("README", "README"),
            ("readme", "readme (2)"),
            ("grüße.txt", "grüße.txt"),
            ("GRÜSSE.txt", "GRÜSSE (2).txt"),
            ("GRÜßE.TXT", "GRÜßE (3).TXT"),
            ("οδος.txt", "οδος.txt"),
            ("ΟΔΟΣ.txt", "ΟΔΟΣ (2).txt"),
            ("\u{e9}.txt", "\u{e9}.txt"),
            ("e\u{301}.txt", "e\u{301} (2).txt"),
            ("../../etc/passwd", ".._.._etc_passwd"),
            (r"C:\windows\system32", "C__windows_system32"),
            ("..", "_"),
            ("/", "_ (2)"),
            ("", "_ (3)"),
            ("con", "_con"),
            ("COM1.txt", "_COM1.txt"),
            ("console.txt", "console.txt"),
            ("com10.txt", "com10.txt"),
            ("say \"hi\"?.txt", "say _hi__.txt"),
            ("a.txt. ", "a (4).txt"),
        ] {
            assert_eq!(names.fresh(name), fresh, "{name:?}");
        }
        let many: Vec<String> = (0..10_000).map(|_| names.fresh("same.bin")).collect();
        assert_eq!(many[9_999], "same (10000).bin");
    }
}
