//! The keys that tokens may be signed with, and which one a token means.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use super::compact::Compact;
use super::options::{Algorithms, KeySource, Secret};
use crate::domain::text;

/// Most keys of a set: whoever has more has something else.
const MOST_KEYS: usize = 100;

/// How many bits an RSA key must and may have.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The longest public exponent, in bytes: larger ones only cost time.
const LONGEST_EXPONENT: usize = 8;

/// Why no key is the one that a token means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// There may be one by now.
    Unknown,
    /// The key of that name is for other algorithms.
    OtherAlgorithm,
    /// More than one would do.
    Ambiguous,
    /// The signature is by no key that is known, and the token does not say by which it is: there may be one by now.
    Unnamed,
    /// The signature is not by the key of that name.
    Forged,
}

impl Missing {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "nobody knows its key",
            Self::OtherAlgorithm => "its key is for other algorithms",
            Self::Ambiguous => "more than one key fits: it must name one (kid)",
            Self::Unnamed | Self::Forged => "its signature is not by that key",
        }
    }

    /// Whether keys that are fetched anew may have it.
    pub(super) fn may_have_come(self) -> bool {
        matches!(self, Self::Unknown | Self::Unnamed)
    }
}

/// A key, and what it may be used for.
#[derive(PartialEq, Eq)]
pub(super) struct Key {
    id: Option<String>,
    /// Never by what a token says.
    algorithms: Vec<Algorithm>,
    material: Material,
}

/// What a key is made of, decoded.
#[derive(PartialEq, Eq)]
enum Material {
    Secret(Secret),
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point, or the 32 bytes of Ed25519.
    Curve(AlgorithmFamily, Vec<u8>),
}

impl Key {
    /// Whether the token's signature is by this key, with the algorithm that [`KeySet::find`] has looked at.
    fn signed(&self, token: &Compact<'_>) -> bool {
        let key = match &self.material {
            Material::Secret(secret) => DecodingKey::from_secret(secret.as_bytes()),
            Material::Rsa { n, e } => DecodingKey::from_rsa_raw_components(n, e),
            Material::Curve(AlgorithmFamily::Ed, point) => DecodingKey::from_ed_der(point),
            Material::Curve(_, point) => DecodingKey::from_ec_der(point),
        };
        jsonwebtoken::crypto::verify(token.signature, token.signed.as_bytes(), &key, token.algorithm).unwrap_or(false)
    }

    fn is_secret(&self) -> bool {
        matches!(self.material, Material::Secret(_))
    }

    fn described(&self) -> String {
        let algorithms: Vec<_> = self.algorithms.iter().map(|algorithm| format!("{algorithm:?}")).collect();
        let id = self.id.as_deref().map(|id| format!(" ‘{}’", shown(id))).unwrap_or_default();
        format!("{}{id}", algorithms.join("/"))
    }
}

/// A name from outside, for a line of text.
fn shown(name: &str) -> String {
    name.chars().take(64).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}

/// All keys of an issuer; `None` until they were read once.
#[derive(Default, PartialEq, Eq)]
pub(super) struct KeySet(Option<Vec<Key>>);

/// What is wrong with a set of which nothing is of use.
pub(super) const NO_KEY: &str =
    "it holds no key that can be used: public keys for signatures, of RSA (2048 bits and up), P-256, P-384 or Ed25519";

impl KeySet {
    /// Reads what the source holds. Keys that are of no use here are passed over, as RFC 7517 section 5 demands: a set may be empty,
    /// and is so when its issuer takes back the last key.
    pub(super) fn read(source: &KeySource, bytes: &[u8], allowed: &Algorithms) -> Result<Self, String> {
        let text = text::utf8(bytes).map_err(|why| format!("it {why}"))?;
        if matches!(source, KeySource::Secret(_) | KeySource::SecretFile(_)) {
            let material = Material::Secret(text.trim_end_matches(['\r', '\n']).parse()?);
            return Ok(Self(Some(vec![Key { id: None, algorithms: vec![Algorithm::HS256], material }])));
        }
        let Jwks { keys } = serde_json::from_str(text).map_err(|_| "it is no JSON object with a list of ‘keys’")?;
        if keys.len() > MOST_KEYS {
            return Err(format!("it holds more than {MOST_KEYS} keys"));
        }
        Ok(Self(Some(keys.into_iter().filter_map(|key| usable(key, allowed)).collect())))
    }

    /// Whether nobody knows yet which keys there are.
    pub(super) fn is_unread(&self) -> bool {
        self.0.is_none()
    }

    /// Whether it was read, and nothing can be signed with it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.as_ref().is_some_and(Vec::is_empty)
    }

    fn keys(&self) -> &[Key] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Whether the token is signed with the one key that it can be signed with.
    pub(super) fn prove(&self, token: &Compact<'_>) -> Result<(), Missing> {
        match self.find(token)?.signed(token) {
            true => Ok(()),
            false if token.key_id.is_none() => Err(Missing::Unnamed),
            false => Err(Missing::Forged),
        }
    }

    /// The one key that a token can be signed with, however often it is listed and by whichever names.
    fn find(&self, token: &Compact<'_>) -> Result<&Key, Missing> {
        let named = |key: &&Key| key.is_secret() || token.key_id.is_none() || token.key_id == key.id;
        let mut fitting = self.keys().iter().filter(named).filter(|key| key.algorithms.contains(&token.algorithm));
        match fitting.next() {
            Some(key) if fitting.all(|other| other.material == key.material) => Ok(key),
            Some(_) => Err(Missing::Ambiguous),
            None if token.key_id.is_some() && self.keys().iter().any(|key| named(&key)) => Err(Missing::OtherAlgorithm),
            None => Err(Missing::Unknown),
        }
    }

    pub(super) fn described(&self) -> String {
        let keys: Vec<_> = self.keys().iter().map(Key::described).collect();
        if keys.is_empty() { "none".to_owned() } else { keys.join(", ") }
    }
}

/// A set of keys, each as it stands there: one that cannot be read must not hide the others.
#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Value>,
}

/// The members of a key that mean something here; RFC 7517 section 4, RFC 7518 section 6, RFC 8037.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// A public key for signatures; `None` for all others. Secrets (`oct`) are none: a set is public.
fn usable(key: Value, allowed: &Algorithms) -> Option<Key> {
    let key: Jwk = serde_json::from_value(key).ok()?;
    let for_signatures = key.r#use.as_ref().is_none_or(|purpose| purpose == "sig")
        && key.key_ops.as_ref().is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
    if !for_signatures {
        return None;
    }
    let part = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_ref()?).ok();
    let (all, material): (&[Algorithm], Material) = match (key.kty.as_str(), key.crv.as_deref()) {
        ("RSA", _) => {
            let (n, e) = (part(&key.n)?, part(&key.e)?);
            let bits = n
                .iter()
                .position(|byte| *byte != 0)
                .map_or(0, |zeros| (n.len() - zeros) * 8 - n.get(zeros).map_or(0, |first| first.leading_zeros() as usize));
            if !RSA_BITS.contains(&bits) || e.len() > LONGEST_EXPONENT {
                return None;
            }
            (AlgorithmFamily::Rsa.algorithms(), Material::Rsa { n, e })
        }
        ("EC", Some("P-256")) => (&[Algorithm::ES256], point(&part(&key.x)?, &part(&key.y)?, 32)?),
        ("EC", Some("P-384")) => (&[Algorithm::ES384], point(&part(&key.x)?, &part(&key.y)?, 48)?),
        ("OKP", Some("Ed25519")) => {
            let x = part(&key.x).filter(|x| x.len() == 32)?;
            (&[Algorithm::EdDSA], Material::Curve(AlgorithmFamily::Ed, x))
        }
        _ => return None,
    };
    // A key that names its algorithm is for no other.
    let named = |algorithm: &Algorithm| key.alg.as_ref().is_none_or(|name| name.parse().is_ok_and(|named: Algorithm| named == *algorithm));
    let algorithms: Vec<Algorithm> = all.iter().copied().filter(|algorithm| named(algorithm) && allowed.contains(*algorithm)).collect();
    (!algorithms.is_empty()).then_some(Key { id: key.kid, algorithms, material })
}

fn point(x: &[u8], y: &[u8], side: usize) -> Option<Material> {
    let fits = x.len() == side && y.len() == side;
    fits.then(|| Material::Curve(AlgorithmFamily::Ec, [&[4], x, y].concat()))
}
