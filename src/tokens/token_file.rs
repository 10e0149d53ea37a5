//! Tokens that the operator keeps in a file, as hashes: what stands there is good, and what is taken out ends within seconds.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use toml::Spanned;

use super::token::LOOKUP_CHARS;
use super::{Holder, Proof};
use crate::domain::{Actor, ActorKind, Caller, Scopes, Tenant, TypeLimit, text, toml_failure};
use crate::secret_file;

/// Most bytes of the file.
const LARGEST: usize = 1024 * 1024;

/// The first bytes of a token's hash: what upload tokens made from it are called after.
type Start = [u8; LOOKUP_CHARS / 2];

/// What a file says.
#[derive(Default)]
pub struct Entries {
    holders: HashMap<Start, Holder>,
}

impl Entries {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it, with the line; never what stands there, which may be a token by mistake.
    pub fn read(path: &Path) -> Result<Self, String> {
        Self::of(&secret_file::read_trusted(path, LARGEST).map_err(|error| error.to_string())?)
    }

    pub(super) fn of(bytes: &[u8]) -> Result<Self, String> {
        let text = text::utf8(bytes).map_err(|why| format!("it {why}"))?;
        let line = |at: usize| text.get(..at).unwrap_or(text).matches('\n').count() + 1;
        let file: File = toml::from_str(text).map_err(|error| toml_failure(text, &error))?;
        let mut entries = Self::default();
        for entry in file.token {
            let at = line(entry.sha256.span().start);
            let Entry { name: Name(_), sha256, user: User(user), kind, tenant, scopes, file_types, expires_at } = entry;
            let Sha256Of(hash) = sha256.into_inner();
            let start = *hash.first_chunk().ok_or("a hash is too short")?;
            let holder = Holder {
                proof: Proof::Stored { lookup: hex::encode::<Start>(start).into(), secret_sha256: hash.as_slice().into() },
                caller: Caller {
                    actor: Actor { id: user, kind: kind.0 },
                    tenant: tenant.0,
                    scopes: scopes.map_or_else(Scopes::all, |scopes| scopes.0),
                    types: file_types.map(|types| types.0).unwrap_or_default(),
                    dialect: None,
                },
                expires_at: expires_at.map(|at| at.0),
            };
            if entries.holders.insert(start, holder).is_some() {
                return Err(format!("line {at}: this token stands there twice"));
            }
        }
        Ok(entries)
    }

    /// The token whose hash begins like that.
    pub(super) fn by_hash(&self, sha256: &[u8; 32]) -> Option<&Holder> {
        self.holders.get(sha256.first_chunk::<{ LOOKUP_CHARS / 2 }>()?)
    }

    /// How many there are, for a person.
    #[must_use]
    pub fn described(&self, now: OffsetDateTime) -> String {
        let expired = self.holders.values().filter(|holder| holder.has_ended(now)).count();
        format!("{} tokens, {expired} of them expired", self.holders.len())
    }
}

/// A file of tokens, read again when it changes.
pub struct TokenFile {
    path: PathBuf,
    entries: RwLock<Arc<Entries>>,
    last: Mutex<Last>,
}

/// What was read last, and what was wrong with it.
#[derive(Default)]
struct Last {
    sha256: Option<[u8; 32]>,
    failure: Option<String>,
}

impl fmt::Debug for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenFile({})", self.path.display())
    }
}

impl TokenFile {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(path: PathBuf) -> Result<Self, String> {
        let file = Self { path, entries: RwLock::default(), last: Mutex::default() };
        file.reload()?;
        if secret_file::anybody_reads(&file.path) {
            tracing::warn!(file = %file.path.display(), "everybody on this machine can read the hashes of tokens (chmod o-r)");
        }
        Ok(file)
    }

    /// Reads the file again. When something is wrong with it, everything stays as it was; that is logged once.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn reload(&self) -> Result<(), String> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let read = secret_file::read_trusted(&self.path, LARGEST).map_err(|error| error.to_string());
        // By its content: changes within the same second, and files that were put in another's place, have no other mark.
        let sha256: Option<[u8; 32]> = read.as_ref().ok().map(|bytes| Sha256::digest(bytes).into());
        if sha256.is_some() && sha256 == last.sha256 {
            return last.failure.clone().map_or(Ok(()), Err);
        }
        match read.and_then(|bytes| Entries::of(&bytes)) {
            Ok(entries) => {
                tracing::info!(file = %self.path.display(), tokens = entries.holders.len(), "the file of tokens is read");
                *self.entries.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(entries);
                *last = Last { sha256, failure: None };
                Ok(())
            }
            Err(why) => {
                if last.failure.as_ref() != Some(&why) {
                    tracing::error!(file = %self.path.display(), why, "the file of tokens cannot be used; the tokens that are known stay");
                }
                *last = Last { sha256, failure: Some(why.clone()) };
                Err(why)
            }
        }
    }

    /// The token whose hash begins like that; who presents it has still to prove it.
    pub(super) fn by_hash(&self, sha256: &[u8; 32]) -> Option<Holder> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).by_hash(sha256).cloned()
    }

    /// The same by what upload tokens call it.
    pub(super) fn by_lookup(&self, lookup: &str) -> Option<Holder> {
        let mut start = Start::default();
        hex::decode_to_slice(lookup, &mut start).ok()?;
        self.entries.read().unwrap_or_else(PoisonError::into_inner).holders.get(&start).cloned()
    }
}

// ---- the file ----

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    token: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// For the operator alone.
    name: Name,
    sha256: Spanned<Sha256Of>,
    user: User,
    #[serde(rename = "type", default = "users")]
    kind: Parsed<ActorKind>,
    #[serde(default = "default_tenant")]
    tenant: Parsed<Tenant>,
    scopes: Option<Parsed<Scopes>>,
    file_types: Option<Parsed<TypeLimit>>,
    expires_at: Option<At>,
}

fn users() -> Parsed<ActorKind> {
    Parsed(ActorKind::Users)
}

fn default_tenant() -> Parsed<Tenant> {
    Parsed(Tenant::default())
}

#[derive(Deserialize)]
struct Name(#[expect(dead_code, reason = "it is for who reads the file")] String);

/// The number of an actor, as JWTs may name it too.
struct User(i64);

impl<'de> Deserialize<'de> for User {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = i64::deserialize(deserializer)?;
        if id > 0 { Ok(Self(id)) } else { Err(D::Error::custom("user must be a whole number from 1 up")) }
    }
}

/// 64 hexadecimal digits.
struct Sha256Of([u8; 32]);

impl<'de> Deserialize<'de> for Sha256Of {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut hash = [0; 32];
        // Nothing of the text is repeated: it may be the token itself.
        let read = hex::decode_to_slice(text, &mut hash);
        read.map(|()| Self(hash))
            .map_err(|_| D::Error::custom("sha256 must be 64 hexadecimal digits, as `dropslip token hash` prints them"))
    }
}

/// What a text stands for, or a list of texts.
struct Parsed<T>(T);

impl<'de, T: FromStr<Err = String>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = String;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
                Ok(text.to_owned())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<String, A::Error> {
                let mut words: Vec<String> = Vec::new();
                while let Some(word) = list.next_element()? {
                    words.push(word);
                }
                Ok(words.join(","))
            }
        }
        deserializer.deserialize_any(Words)?.parse().map(Self).map_err(D::Error::custom)
    }
}

/// An instant, as TOML writes it or as text.
struct At(OffsetDateTime);

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match toml::Value::deserialize(deserializer)? {
            toml::Value::Datetime(at) => at.to_string(),
            toml::Value::String(text) => text,
            _ => String::new(),
        };
        let read = OffsetDateTime::parse(&text, &Rfc3339);
        read.map(Self).map_err(|_| D::Error::custom("must be an instant such as 2027-01-31T00:00:00Z"))
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05 UTC);

    fn failure(text: &str) -> String {
        Entries::of(text.as_bytes()).err().unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn an_entry_says_all_that_a_token_of_the_database_does() {
        let hash = "ab".repeat(32);
        let text = format!(
            "[[token]]\nname = \"one\"\nsha256 = \"{hash}\"\nuser = 7\ntype = \"customers\"\ntenant = \"acme\"\nscopes = [\"files:read\", \"files:write\"]\n\
             file_types = \"image, attachment\"\nexpires_at = 2026-01-02T03:04:05Z\n\n[[token]]\nname = \"two\"\nsha256 = \"{}\"\nuser = 8\n",
            "0C".repeat(32)
        );
        let entries = Entries::of(text.as_bytes()).unwrap();
        assert_eq!(entries.described(NOW), "2 tokens, 1 of them expired");
        let one = &entries.holders[&[0xab; 8]];
        assert_eq!(one.expires_at, Some(NOW));
        let caller = &one.caller;
        assert_eq!((caller.actor, caller.tenant.as_str()), (Actor { id: 7, kind: ActorKind::Customers }, "acme"));
        assert_eq!((caller.scopes.to_string().as_str(), caller.types.to_string().as_str()), ("files:read,files:write", "image,attachment"));
        let two = &entries.holders[&[0x0c; 8]].caller;
        assert_eq!(
            (two.actor.kind, two.tenant.as_str(), two.scopes, two.types.names()),
            (ActorKind::Users, "default", Scopes::all(), None)
        );
        assert_eq!(Entries::of(b"").unwrap().described(NOW), "0 tokens, 0 of them expired");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_without_what_stands_there() {
        let entry = |rest: &str| format!("# tokens\n[[token]]\nname = \"a\"\nuser = 1\nsha256 = \"{}\"\n{rest}\n", "ab".repeat(32));
        let cases = [
            (entry("scopes = \"files:all\""), "line 6: ", "must be one of"),
            (entry("scopes = []"), "line 6: ", "at least one scope"),
            (entry("type = \"robots\""), "line 6: ", "must be one of"),
            (entry("tenant = \"a b\""), "line 6: ", "must be 1 to 64"),
            (entry("file_types = [\"Image\"]"), "line 6: ", "names of file types"),
            (entry("file_types = 3"), "line 6: ", "a text or a list of texts"),
            (entry("expires_at = 2026-01-02T03:04:05"), "line 6: ", "must be an instant"),
            (entry("expires_at = 2026-01-02"), "line 6: ", "must be an instant"),
            (entry("secret = \"x\""), "line 6: ", "unknown field"),
            ("[[token]]\nname = \"a\"\nuser = 1\n".to_owned(), "line 1: ", "sha256"),
            (entry("").replace("user = 1", "user = 0"), "line 4: ", "from 1 up"),
            (entry("").replace("user = 1", "user = -3"), "line 4: ", "from 1 up"),
            (entry("").replace("user = 1", "user = 9223372036854775808"), "line 4: ", ""),
            ("[[tokens]]\n".to_owned(), "line 1: ", "unknown field"),
            ("[[token]]\nname = [\n".to_owned(), "line ", ""),
            (entry(&entry("")), "line 10: ", "twice"),
        ];
        for (text, line, said) in cases {
            let failure = failure(&text);
            assert!(failure.starts_with(line) && failure.contains(said), "{failure:?} for {text}");
        }
        for by_mistake in
            ["sha256 = \"dslip_0123_hunter2\"", "user = \"dslip_0123_hunter2\"", "dslip_0123_hunter2 = 1", "tenant = \"hunter2 \""]
        {
            let failure = failure(&format!("[[token]]\nname = \"a\"\n\n{by_mistake}\n"));
            assert!(failure.starts_with("line 4: ") && !failure.contains("hunter2"), "{failure}");
        }
    }

    #[test]
    fn a_file_that_breaks_keeps_what_was_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.toml");
        let hash = [0xab; 32];
        std::fs::write(&path, format!("[[token]]\nname = \"a\"\nuser = 1\nsha256 = \"{}\"\n", hex::encode(hash))).unwrap();
        let file = TokenFile::open(path.clone()).unwrap();
        assert!(file.by_hash(&hash).is_some() && file.by_lookup("abababababababab").is_some());
        for broken in ["[[token]]\n", "\0"] {
            std::fs::write(&path, broken).unwrap();
            assert!(file.reload().is_err() && file.reload().is_err(), "it is no better when it is looked at again");
            assert!(file.by_hash(&hash).is_some());
        }
        std::fs::remove_file(&path).unwrap();
        assert!(file.reload().is_err() && file.by_hash(&hash).is_some());
        std::fs::write(&path, "# nobody\n").unwrap();
        file.reload().unwrap();
        assert!(file.by_hash(&hash).is_none() && file.by_lookup("abababababababab").is_none());
        assert!(TokenFile::open(folder.path().join("none")).is_err());
    }
}
