//! Keys of objects: one grammar for those that forms may write and those that only the broker writes.
//!
//! `temp/` or `files/`, then up to 64 letters, digits and dashes. What a slip or a confirmation names is made of time and of
//! randomness. `dropslip check` writes in a folder of each run's own, so that a broker that hears of such an object knows it for none
//! of its uploads. The staging key of what comes through the broker says so: no form names it, and nothing is ever written there.

use std::fmt;
use std::str::FromStr;

use time::OffsetDateTime;

/// Longer than every key without its prefix. Nobody can have got a longer one from here.
const LONGEST: usize = 64;

/// What the staging key of a file begins with that comes through the broker.
const THROUGH_BROKER: &str = "temp/received-";

/// What stands between the folder of a check and a name in it.
const SLASH: char = '/';

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-'
}

/// The part behind the prefix is one name, or a check's folder and a name in it.
fn is_key(text: &str, prefix: &str) -> bool {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(is_of_name);
    text.strip_prefix(prefix).is_some_and(|rest| {
        rest.len() <= LONGEST
            && match rest.split_once(SLASH) {
                Some((folder, name)) => is_name(folder) && is_name(name),
                None => is_name(rest),
            }
    })
}

/// A name that nobody can guess. It rises with time, for the index's sake.
fn fresh(prefix: &str, at: OffsetDateTime, random: [u8; 16]) -> String {
    let millis = at.unix_timestamp() * 1000 + i64::from(at.millisecond());
    format!("{prefix}{millis:012x}-{:032x}", u128::from_be_bytes(random))
}

fn folder_of_check(prefix: &str, run: [u8; 8]) -> String {
    format!("{prefix}check-{:016x}{SLASH}", u64::from_be_bytes(run))
}

macro_rules! object_key {
    ($(#[$doc:meta])+ $name:ident, $prefix:literal) => {
        $(#[$doc])+
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name(String);

        impl $name {
            /// What each of them begins with, and nothing else in the bucket.
            pub const PREFIX: &'static str = $prefix;

            /// A fresh key that rises with time and that nobody can guess.
            #[must_use]
            pub fn fresh(at: OffsetDateTime, random: [u8; 16]) -> Self {
                Self(fresh(Self::PREFIX, at, random))
            }

            /// A key of one run of `dropslip check`; what cannot stand in a key becomes a dash.
            #[must_use]
            pub fn of_check(run: [u8; 8], name: &str) -> Self {
                let name: String = name.chars().map(|c| if is_of_name(c) { c } else { '-' }).collect();
                Self(format!("{}{name}", Self::folder_of_check(run)))
            }

            /// What all keys of one run of `dropslip check` begin with.
            #[must_use]
            pub fn folder_of_check(run: [u8; 8]) -> String {
                folder_of_check(Self::PREFIX, run)
            }

            /// Whether `dropslip check` made it.
            #[must_use]
            pub fn is_of_check(&self) -> bool {
                self.0.trim_start_matches(Self::PREFIX).contains(SLASH)
            }

            /// The key as S3 and the database have it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::try_from(text.to_owned())
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                if is_key(&text, Self::PREFIX) { Ok(Self(text)) } else { Err(concat!("must be a key below ", $prefix).to_owned()) }
            }
        }

        impl From<$name> for String {
            fn from(key: $name) -> Self {
                key.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

object_key! {
    /// The key that a form may write.
    ///
    /// Whoever holds the form may write it until the form dies, so nothing that lies there is believed.
    StagingKey, "temp/"
}

object_key! {
    /// The key that only the broker may write: no form names it.
    SealedKey, "files/"
}

impl StagingKey {
    /// A fresh key for a record whose bytes come through the broker: it stands where that of a form would.
    ///
    /// Brokers of older versions find nothing there, and so they never confirm such a record.
    #[must_use]
    pub fn of_received(at: OffsetDateTime, random: [u8; 16]) -> Self {
        Self(fresh(THROUGH_BROKER, at, random))
    }

    /// Whether the bytes come through the broker.
    #[must_use]
    pub fn is_of_received(&self) -> bool {
        self.0.starts_with(THROUGH_BROKER)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_fresh_key_is_made_of_time_and_randomness() {
        let at = datetime!(2026-01-02 03:04:05.678 UTC);
        let random = [0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
        let (staging, sealed) = (StagingKey::fresh(at, random), SealedKey::fresh(at, random));
        assert_eq!(staging.as_str(), "temp/019b7ca98f2e-00112233445566778899aabbccddeeff");
        assert_eq!(sealed.as_str(), "files/019b7ca98f2e-00112233445566778899aabbccddeeff");
        assert_eq!(staging.as_str().parse(), Ok(staging));
        assert_eq!(sealed.as_str().parse(), Ok(sealed));
    }

    #[test]
    fn what_comes_through_the_broker_has_a_key_that_no_slip_has() {
        let (at, random) = (datetime!(2026-01-02 03:04:05.678 UTC), [0xab; 16]);
        let key = StagingKey::of_received(at, random);
        assert_eq!(key.as_str(), format!("temp/received-019b7ca98f2e-{}", "ab".repeat(16)));
        assert_eq!(key.as_str().parse(), Ok(key.clone()));
        assert!(key.is_of_received() && !key.is_of_check() && !StagingKey::fresh(at, random).is_of_received());
    }

    #[test]
    fn later_keys_sort_behind_earlier_ones() {
        let of = |at| StagingKey::fresh(at, [0xff; 16]).to_string();
        assert!(of(datetime!(2026-01-02 03:04:05 UTC)) < of(datetime!(2026-01-02 03:04:05.001 UTC)));
    }

    #[test]
    fn neither_kind_is_taken_for_the_other() {
        assert!("temp/a".parse::<StagingKey>().is_ok() && "files/a".parse::<SealedKey>().is_ok());
        assert!("files/a".parse::<StagingKey>().is_err() && "temp/a".parse::<SealedKey>().is_err());
    }

    #[test]
    fn only_the_grammar_is_taken() {
        for good in ["temp/a", "temp/0123-nobodys", &format!("temp/{}", "a".repeat(64))] {
            assert!(good.parse::<StagingKey>().is_ok_and(|key| !key.is_of_check()), "{good}");
        }
        let long = format!("temp/{}", "a".repeat(65));
        for bad in [
            "",
            "temp",
            "temp/",
            "/temp/a",
            "Temp/a",
            "temp/a b",
            "temp/\u{fc}",
            "temp/a\0",
            "temp/../files/x",
            "temp//a",
            "temp/a/",
            "temp/a/b/c",
            &long,
        ] {
            assert!(bad.parse::<StagingKey>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_a_check_writes_is_known_for_it() {
        let run = [1; 8];
        let key = StagingKey::of_check(run, "copied as \u{fc}");
        assert_eq!(key.as_str(), "temp/check-0101010101010101/copied-as--");
        assert!(key.is_of_check() && key.as_str().starts_with(&StagingKey::folder_of_check(run)));
        assert_eq!(key.as_str().parse(), Ok(key));
        assert_eq!(SealedKey::of_check(run, "form").as_str(), "files/check-0101010101010101/form");
    }
}
