//! What must be true of the file of settings; see `crate::fuzzing`.

use std::path::Path;

use super::given::Given;
use super::{Config, SETTINGS};
use crate::domain::fuzzing::long_words;

/// Never shown, as a whole.
const SECRETS: [&str; 4] = ["jwt_secret", "notifications_token", "proxy_keys", "secrets"];

/// A file that is no TOML is complained about without what stands in it; one that is, without its secrets; what is described reads again.
pub(crate) fn file(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(table) = toml::from_str::<toml::Table>(&text) else {
        let complaint = read(&text).err().unwrap_or_default();
        assert!(complaint.len() < 300 && !complaint.chars().any(char::is_control), "{complaint:?}");
        assert!(long_words(&text).all(|word| !complaint.contains(word)), "{complaint:?}");
        return;
    };
    let secrets = || SECRETS.iter().filter_map(|key| table.get(*key)?.as_str()).flat_map(long_words);
    // What stands elsewhere too is no secret.
    let plain: Vec<String> = table.iter().filter(|(key, _)| !SECRETS.contains(&key.as_str())).map(|(_, value)| value.to_string()).collect();
    let is_kept = |shown: &str| secrets().all(|word| !shown.contains(word) || plain.iter().any(|text| text.contains(word)));
    match read(&text) {
        Err(complaints) => {
            assert!(!complaints.is_empty());
            assert!(is_kept(&complaints) || table.keys().any(|key| SETTINGS.iter().all(|setting| setting.key != key)), "{complaints}");
        }
        Ok(described) => {
            assert!(is_kept(&described), "{described}");
            let shown: Result<toml::Table, _> = toml::from_str(&described);
            assert!(shown.is_ok(), "{described}");
            if SECRETS.iter().all(|key| !table.contains_key(*key)) && !table.contains_key("database_url") {
                let again = read(&described).map(|text| without_sources(&text));
                assert_eq!(again.as_deref(), Ok(without_sources(&described).as_str()));
            }
        }
    }
}

fn without_sources(described: &str) -> String {
    described.lines().map(|line| line.rsplit_once(" # ").map_or(line, |(setting, _)| setting)).collect::<Vec<_>>().join("\n")
}

fn read(text: &str) -> Result<String, String> {
    let mut given = Given::default();
    given.read_text(text, Path::new("dropslip.toml"));
    Config::of(given).map(|config| config.describe()).map_err(|error| error.to_string())
}
