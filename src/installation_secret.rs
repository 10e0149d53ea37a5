//! The installation secret: what signs all that is kept nowhere, such as upload tokens and keys in links.
//!
//! Nothing is signed with the secret itself. Each purpose has a key of its own, derived by HKDF-SHA256 (RFC 5869) with the purpose as its
//! label, so what was signed for one is never good for another. A new purpose is a new variant of [`Purpose`].

use std::fmt;
use std::str::FromStr;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

/// The shortest secret, in characters: 32 random letters and digits are more than anybody guesses.
const SHORTEST_SECRET: usize = 32;

/// Most secrets at the same time.
const MOST_SECRETS: usize = 16;

/// Bytes of a secret's public name.
pub const NAME_BYTES: usize = 4;

/// Bytes of a proof.
pub const MAC_BYTES: usize = 32;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Rights to upload, for clients that can send nothing but a URL.
    UploadTokens,
    /// Rights to download one file.
    Links,
    /// Everything that a token may, for some hours.
    Sessions,
    /// Names that tell what belongs together, and open nothing.
    Groups,
    /// Numbers of customers who have no token.
    Anonymous,
    /// Secrets that go with tokens, for clients that sign each call.
    SignedCalls,
}

impl Purpose {
    /// What the key is derived with: never the same for two purposes, and never changed.
    fn label(self) -> &'static [u8] {
        match self {
            Self::UploadTokens => b"dropslip upload tokens",
            Self::Links => b"dropslip keys in links",
            Self::Sessions => b"dropslip sessions",
            Self::Groups => b"dropslip groups",
            Self::Anonymous => b"dropslip anonymous customers",
            Self::SignedCalls => b"dropslip signed calls",
        }
    }

    /// Whether a secret in the database will do. Whoever reads a copy of the database can sign with that one, so what gives more than
    /// one upload or one file needs a secret that lies elsewhere.
    fn is_signed_from_the_database(self) -> bool {
        match self {
            Self::UploadTokens | Self::Links | Self::Groups | Self::Anonymous => true,
            Self::Sessions | Self::SignedCalls => false,
        }
    }
}

/// Where an installation has its secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The setting of that name says it, or names the file that does.
    Setting(&'static str),
    /// A file of its own in the data folder of the embedded mode.
    DataFolder,
    /// The database, where all brokers find it, and so does whoever reads a copy of it.
    Database,
}

impl Source {
    /// Whether a secret that lies there does for that purpose.
    #[must_use]
    pub fn may_sign(self, purpose: Purpose) -> bool {
        self != Self::Database || purpose.is_signed_from_the_database()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Setting(name) => name,
            Self::DataFolder => "a file in DROPSLIP_DATA_DIR",
            Self::Database => "the database",
        })
    }
}

/// One or several secrets: the first one signs, all of them verify.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets(Vec<String>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl FromStr for Secrets {
    type Err = String;

    /// Reads secrets with commas, blanks or line ends between them. No complaint repeats one.
    fn from_str(text: &str) -> Result<Self, String> {
        let secrets: Vec<String> =
            text.split([',', ' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()).map(ToOwned::to_owned).collect();
        if secrets.is_empty() || secrets.len() > MOST_SECRETS {
            return Err(format!("must be 1 to {MOST_SECRETS} secrets, separated by commas"));
        }
        if secrets.iter().any(|secret| secret.len() < SHORTEST_SECRET || !secret.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(format!(
                "must be secrets of {SHORTEST_SECRET} or more visible ASCII characters each, such as of ‘openssl rand -hex 32’"
            ));
        }
        let mut names: Vec<_> = secrets.iter().map(|secret| name_of(secret)).collect();
        names.sort_unstable();
        names.dedup();
        if names.len() < secrets.len() {
            return Err("must not hold the same secret twice".to_owned());
        }
        Ok(Self(secrets))
    }
}

/// The secret of this installation, and where it lies.
#[derive(Debug, Clone)]
pub struct InstallationSecret {
    secrets: Secrets,
    source: Source,
    /// The one of them that the database has too, where it was moved out of there.
    in_database: Option<String>,
}

impl InstallationSecret {
    /// These secrets, which come from there.
    #[must_use]
    pub fn new(secrets: Secrets, source: Source) -> Self {
        Self { secrets, source, in_database: None }
    }

    /// The same where the database has this one: it signs no more than it did there, wherever else it stands.
    #[must_use]
    pub fn moved_out_of_the_database(self, secret: String) -> Self {
        Self { in_database: Some(secret), ..self }
    }

    /// Where it lies.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// The public names of the secrets: the one that signs comes first.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.secrets.0.iter().map(|secret| hex::encode(name_of(secret))).collect()
    }

    /// The keys for a purpose; `None` where every secret lies too open for it.
    #[must_use]
    pub fn keys(&self, purpose: Purpose) -> Option<Keys> {
        let lies_too_open = |secret: &String| !purpose.is_signed_from_the_database() && self.in_database.as_ref() == Some(secret);
        let secrets = self.secrets.0.iter().filter(|secret| !lies_too_open(secret));
        let keys: Vec<_> = secrets.map(|secret| (name_of(secret), derived(secret, purpose))).collect();
        (self.source.may_sign(purpose) && !keys.is_empty()).then_some(Keys(keys))
    }

    /// The secrets themselves as keys. So the version before signed keys in links, and those are still to be verified.
    #[must_use]
    pub fn as_keys_of_before(&self) -> Keys {
        Keys(self.secrets.0.iter().map(|secret| (name_of(secret), keyed(secret.as_bytes()))).collect())
    }
}

/// The keys for one purpose, one of each secret: the first one signs, all of them verify. Cheap to copy, and never printed.
#[derive(Clone)]
pub struct Keys(Vec<([u8; NAME_BYTES], Hmac<Sha256>)>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}

impl Keys {
    /// The public name of the secret that signs.
    #[must_use]
    pub fn name(&self) -> [u8; NAME_BYTES] {
        self.0.first().map(|(name, _)| *name).unwrap_or_default()
    }

    /// The proof that whoever has the first secret said this.
    #[must_use]
    pub fn sign(&self, said: &[&[u8]]) -> [u8; MAC_BYTES] {
        self.0.first().map(|(_, key)| mac(key, said)).unwrap_or_default()
    }

    /// The same of each secret, the one that signs first.
    pub fn sign_by_each(&self, said: &[&[u8]]) -> impl Iterator<Item = [u8; MAC_BYTES]> {
        self.0.iter().map(|(_, key)| mac(key, said))
    }

    /// Whether that proves this, by any of the secrets.
    #[must_use]
    pub fn verify(&self, said: &[&[u8]], proof: &[u8]) -> bool {
        self.0.iter().fold(Choice::from(0), |proven, (_, key)| proven | mac(key, said).ct_eq(proof)).into()
    }

    /// The same by the secret of that public name alone.
    #[must_use]
    pub fn verify_named(&self, name: [u8; NAME_BYTES], said: &[&[u8]], proof: &[u8]) -> bool {
        let named = self.0.iter().find(|(known, _)| *known == name);
        named.is_some_and(|(_, key)| mac(key, said).ct_eq(proof).into())
    }
}

/// A secret's public name: a part of each key in a link, and what the log calls it.
fn name_of(secret: &str) -> [u8; NAME_BYTES] {
    let hash = Sha256::new().chain_update(b"dropslip proxyKey id\0").chain_update(secret).finalize();
    std::array::from_fn(|place| hash[place])
}

#[expect(clippy::expect_used, reason = "HKDF-SHA256 gives up to 8160 bytes")]
fn derived(secret: &str, purpose: Purpose) -> Hmac<Sha256> {
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(None, secret.as_bytes()).expand(purpose.label(), &mut key).expect("HKDF-SHA256 gives up to 8160 bytes");
    keyed(&key)
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of every length")
}

fn mac(key: &Hmac<Sha256>, said: &[&[u8]]) -> [u8; MAC_BYTES] {
    let mut mac = key.clone();
    for piece in said {
        mac.update(piece);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "0123456789abcdef0123456789abcdef";
    const NEW: &str = "fedcba9876543210fedcba9876543210";

    fn secret(text: &str, source: Source) -> InstallationSecret {
        InstallationSecret::new(text.parse().unwrap(), source)
    }

    fn keys(text: &str, purpose: Purpose) -> Keys {
        secret(text, Source::Database).keys(purpose).unwrap()
    }

    #[test]
    fn bad_secrets_are_refused_without_being_repeated() {
        for bad in ["", " , ", "short", &format!("{OLD},{OLD}"), &format!("{OLD}ü"), &vec![OLD; 17].join(",")] {
            let why = bad.parse::<Secrets>().unwrap_err();
            assert!(!why.contains(OLD) && !why.contains("short"), "{why}");
        }
        let two: Secrets = format!("{NEW}\n{OLD}\n").parse().unwrap();
        assert_eq!(format!("{two:?}"), "Secrets(2)");
    }

    #[test]
    fn what_is_signed_for_one_purpose_is_good_for_no_other() {
        let (uploads, links) = (keys(OLD, Purpose::UploadTokens), keys(OLD, Purpose::Links));
        let proof = uploads.sign(&[b"said"]);
        assert!(uploads.verify(&[b"said"], &proof) && uploads.verify(&[b"sa", b"id"], &proof));
        assert!(!uploads.verify(&[b"sai"], &proof) && !uploads.verify(&[b"said"], &proof[1..]));
        let undivided = secret(OLD, Source::DataFolder).as_keys_of_before();
        assert!(!links.verify(&[b"said"], &proof) && !undivided.verify(&[b"said"], &proof));
    }

    /// What other programs derive, such as `openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt key:… -kdfopt info:… HKDF`.
    #[test]
    fn keys_are_derived_as_the_standard_says() {
        let key = hex::decode(DERIVED).unwrap();
        assert_eq!(keys(OLD, Purpose::UploadTokens).sign(&[b"said"]), mac(&keyed(&key), &[b"said"]));
    }

    const DERIVED: &str = "97feb80d88f8ccead253e2dd5e8e5335f29ed9ab60624941680a1be5b1bb55af";

    #[test]
    fn the_first_secret_signs_and_all_verify() {
        let [old, both, new] = [OLD, &format!("{NEW},{OLD}"), NEW].map(|text| keys(text, Purpose::UploadTokens));
        let proof = old.sign(&[b"said"]);
        assert!(both.verify(&[b"said"], &proof) && !new.verify(&[b"said"], &proof));
        assert_eq!(both.sign(&[b"said"]), new.sign(&[b"said"]));
        assert!(both.verify_named(old.name(), &[b"said"], &proof));
        assert!(!both.verify_named(new.name(), &[b"said"], &proof) && !new.verify_named(old.name(), &[b"said"], &proof));
    }

    #[test]
    fn a_secret_in_the_database_signs_links_and_upload_tokens_only() {
        for source in [Source::Setting("DROPSLIP_SECRETS"), Source::DataFolder, Source::Database] {
            let secret = secret(OLD, source);
            let signs = [Purpose::UploadTokens, Purpose::Links, Purpose::Sessions, Purpose::SignedCalls];
            let signs = signs.map(|purpose| secret.keys(purpose).is_some());
            assert_eq!(signs, [true, true, source != Source::Database, source != Source::Database], "{source}");
        }
    }

    #[test]
    fn what_was_moved_out_of_the_database_signs_no_more_than_it_did_there() {
        let moved = |text: &str| secret(text, Source::Setting("DROPSLIP_SECRETS")).moved_out_of_the_database(OLD.to_owned());
        let both = moved(&format!("{OLD},{NEW}"));
        let new = secret(NEW, Source::DataFolder).keys(Purpose::SignedCalls).unwrap();
        assert_eq!(both.keys(Purpose::SignedCalls).unwrap().sign(&[b"said"]), new.sign(&[b"said"]));
        let old = secret(OLD, Source::DataFolder).keys(Purpose::SignedCalls).unwrap();
        assert!(!both.keys(Purpose::SignedCalls).unwrap().verify(&[b"said"], &old.sign(&[b"said"])));
        assert!(moved(OLD).keys(Purpose::Sessions).is_none() && moved(OLD).keys(Purpose::Links).is_some());
    }

    #[test]
    fn nothing_prints_a_secret() {
        let secret = secret(OLD, Source::Database);
        let printed = format!("{secret:?} {:?} {}", secret.keys(Purpose::Links), secret.source());
        assert!(!printed.contains(OLD) && printed.contains("the database"), "{printed}");
    }
}
