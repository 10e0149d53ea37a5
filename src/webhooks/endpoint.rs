//! The endpoints, as `DROPSLIP_WEBHOOKS_FILE` lists them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use subtle::ConstantTimeEq as _;
use url::Url;

use super::target::allowed_url;
use crate::domain::web::without_query;
use crate::domain::wording::one_of;
use crate::domain::{Action, Subscription, Tenant, toml_failure};

/// More endpoints than this are a mistake: each event is written once for each.
const MOST_ENDPOINTS: usize = 100;

/// Standard Webhooks: bytes of a secret.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// How many secrets an endpoint may have: the new one, and old ones that receivers still know.
const MOST_SECRETS: usize = 4;

/// Who is sent events.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// What the command line and the log call it.
    pub name: String,
    /// Where events go.
    pub url: Url,
    /// What signs them; each makes a signature, so that secrets can be changed one after the other.
    pub secrets: Vec<Secret>,
    /// Which it wants.
    pub subscription: Subscription,
    /// Whether its host may be inside: a private, link-local or otherwise special address.
    pub allow_private: bool,
}

impl Endpoint {
    /// Its URL as it may be printed: in the query may be somebody's secret.
    #[must_use]
    pub fn shown_url(&self) -> String {
        without_query(&self.url)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, secrets, subscription, allow_private, .. } = self;
        let mut shown = f.debug_struct("Endpoint");
        shown.field("name", name).field("url", &self.shown_url()).field("secrets", &secrets.len());
        shown.field("subscription", subscription).field("allow_private", allow_private).finish()
    }
}

/// A key of HMAC-SHA256; it is never shown.
#[derive(Clone)]
pub struct Secret(pub(super) Vec<u8>);

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    endpoint: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    url: String,
    secrets: Vec<String>,
    #[serde(default)]
    types: Vec<String>,
    #[serde(default)]
    tenants: Vec<String>,
    #[serde(default)]
    allow_private: bool,
}

/// Reads the list of endpoints.
///
/// # Errors
/// What is wrong, with the line or the endpoint's name, and never with a secret.
pub fn parse(text: &str) -> Result<Vec<Endpoint>, String> {
    let document: Document = toml::from_str(text).map_err(|error| toml_failure(text, &error))?;
    if document.endpoint.len() > MOST_ENDPOINTS {
        return Err(format!("must be {MOST_ENDPOINTS} endpoints or fewer"));
    }
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for (number, entry) in document.endpoint.into_iter().enumerate() {
        let plain = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if !(1..=64).contains(&entry.name.len()) || !plain(&entry.name) {
            return Err(format!("endpoint {}: name: must be 1 to 64 letters, digits, '-', '_' or '.'", number + 1));
        }
        let name = entry.name.clone();
        if endpoints.iter().any(|other| other.name == name) {
            return Err(format!("{name}: name: another endpoint has it already"));
        }
        endpoints.push(endpoint(entry).map_err(|why| format!("{name}: {why}"))?);
    }
    Ok(endpoints)
}

fn endpoint(entry: Entry) -> Result<Endpoint, String> {
    let Entry { name, url, secrets, types, tenants, allow_private } = entry;
    let url = allowed_url(&url, allow_private).map_err(|why| format!("url: {why}"))?;
    if !(1..=MOST_SECRETS).contains(&secrets.len()) {
        return Err(format!("secrets: must be 1 to {MOST_SECRETS}"));
    }
    let secrets = secrets.iter().map(|text| secret(text)).collect::<Result<_, _>>().map_err(|why| format!("secrets: {why}"))?;
    let types = types.iter().map(|text| event_type(text)).collect::<Result<_, _>>().map_err(|why| format!("types: {why}"))?;
    let tenants = tenants.iter().map(|text| text.parse::<Tenant>()).collect::<Result<_, _>>().map_err(|why| format!("tenants: {why}"))?;
    let subscription = Subscription { endpoint: name.clone(), tenants, types };
    Ok(Endpoint { name, url, secrets, subscription, allow_private })
}

fn event_type(text: &str) -> Result<Action, String> {
    let known = text.parse().ok().filter(|action| Action::EVENTS.contains(action));
    known.ok_or_else(|| one_of(Action::EVENTS.map(Action::as_str)))
}

fn secret(text: &str) -> Result<Secret, String> {
    let bytes = text.strip_prefix("whsec_").and_then(|rest| BASE64.decode(rest).ok());
    let good = bytes.filter(|bytes| SECRET_BYTES.contains(&bytes.len()));
    good.map(Secret).ok_or_else(|| "must each be whsec_ and the base64 of 24 to 64 random bytes".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn one(lines: &str) -> Result<Vec<Endpoint>, String> {
        parse(&format!("[[endpoint]]\nname = \"desk\"\nurl = \"https://example.com/hook\"\nsecrets = [\"{SECRET}\"]\n{lines}"))
    }

    #[test]
    fn an_endpoint_reads_as_written() {
        let endpoint = &one("types = [\"file.deleted\"]\ntenants = [\"acme\"]").unwrap()[0];
        assert_eq!((endpoint.name.as_str(), endpoint.url.as_str(), endpoint.secrets[0].0.len()), ("desk", "https://example.com/hook", 24));
        assert!(
            endpoint.subscription.wants_of(Action::Deleted, &"acme".parse().unwrap()) && !endpoint.subscription.wants(Action::Activated)
        );
        assert!(!format!("{endpoint:?}").contains("77, 242"), "secrets are not printed");
        let entry = format!("[[endpoint]]\nname = \"desk\"\nurl = \"https://example.com/hook?key=hunter2\"\nsecrets = [\"{SECRET}\"]");
        let printed = format!("{:?}", parse(&entry).unwrap());
        assert!(printed.contains("https://example.com/hook?***") && !printed.contains("hunter2"), "{printed}");
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn every_complaint_tells_where_and_never_a_secret() {
        for (lines, said) in [
            ("typess = []", "line 5"),
            ("hunter2 = []", "line 5: unknown field, expected"),
            ("types = [\"file.renamed\"]", "desk: types: must be one of"),
            ("tenants = [\"a b\"]", "desk: tenants: "),
            ("[[endpoint]]\nname = \"desk\"\nurl = \"https://example.com\"\nsecrets = []", "desk: name: another"),
            ("[[endpoint]]\nname = \"a b\"\nurl = \"https://example.com\"\nsecrets = []", "endpoint 2: name: "),
            ("[[endpoint]]\nname = \"b\"\nurl = \"http://example.com\"\nsecrets = []", "b: url: must be https"),
            ("[[endpoint]]\nname = \"b\"\nurl = \"https://example.com\"\nsecrets = []", "b: secrets: must be 1"),
            ("[[endpoint]]\nname = \"b\"\nurl = \"https://example.com\"\nsecrets = [\"hunter2\"]", "b: secrets: must each"),
            ("[[endpoint]]\nname = \"b\"\nurl = \"https://example.com\"\nsecrets = \"hunter2\"", "line 8"),
            ("[[endpoint]]\nname = \"b\"\nurl = \"https://example.com\"\nsecrets = [hunter2]", "line 8"),
        ] {
            let error = one(lines).unwrap_err();
            assert!(error.starts_with(said), "{lines} gives {error}");
            assert!(!error.contains("hunter2") && !error.contains(SECRET), "{error}");
        }
    }
}
