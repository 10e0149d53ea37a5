//! A token's text taken apart: nothing in it is proven yet.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// The longest name of a key that is looked for.
const LONGEST_KEY_ID: usize = 512;

/// `typ` of tokens that say who somebody is; of others, such as those that end a session, the same issuer may make some too.
const TYPES: [&str; 2] = ["jwt", "at+jwt"];

/// A JWS in its compact form.
pub(super) struct Compact<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    /// What the signature is of.
    pub(super) signed: &'a str,
    pub(super) signature: &'a str,
    payload: &'a str,
}

impl<'a> Compact<'a> {
    /// Reads `header.payload.signature`.
    pub(super) fn parse(text: &'a str) -> Result<Self, &'static str> {
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err("it has not three parts");
        };
        if signature.is_empty() {
            return Err("it has no signature");
        }
        let signed = text.get(..header.len() + 1 + payload.len()).unwrap_or_default();
        let header = object(header)?;
        // What an extension demands cannot be passed over, and none is known here.
        if header.contains_key("crit") || header.contains_key("b64") {
            return Err("its header demands an extension");
        }
        let algorithm = header.get("alg").and_then(Value::as_str).and_then(|name| name.parse().ok());
        let key_id = match header.get("kid") {
            None => None,
            Some(Value::String(id)) if id.len() <= LONGEST_KEY_ID => Some(id.clone()),
            Some(_) => return Err("its kid is no short text"),
        };
        let is_access = |typ: &Value| {
            let typ = typ.as_str().unwrap_or_default().to_ascii_lowercase();
            TYPES.contains(&typ.strip_prefix("application/").unwrap_or(&typ))
        };
        if !header.get("typ").is_none_or(is_access) {
            return Err("its typ is that of another kind of token");
        }
        Ok(Self { algorithm: algorithm.ok_or("its algorithm is not known")?, key_id, signed, signature, payload })
    }

    /// What it claims; to be believed only after its signature was looked at.
    pub(super) fn claims(&self) -> Result<Map<String, Value>, &'static str> {
        object(self.payload)
    }
}

/// Base64url without padding, of a JSON object in which no name comes twice, at whatever depth.
fn object(part: &str) -> Result<Map<String, Value>, &'static str> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| "a part of it is not base64url")?;
    match serde_json::from_slice(&json) {
        Ok(Unambiguous(Value::Object(object))) => Ok(object),
        _ => Err("a part of it is no JSON object, or names a member twice"),
    }
}

/// A value in which no object has a name twice: readers differ in which of two they take. How deep it may be is bounded by the
/// parser, which counts each level.
struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Values).map(Self)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Unambiguous(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unambiguous(value))) = members.next_entry::<String, Unambiguous>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a name comes twice"));
            }
        }
        Ok(object.into())
    }
}
