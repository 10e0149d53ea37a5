//! Fetching keys: bounded in time and size, and from nowhere but where the operator says.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::options::KeySource;
use crate::domain::web::{innermost, is_this_machine, without_query};
use crate::secret_file;

/// Most bytes of a set of keys; the usual has two thousand.
const LARGEST: usize = 256 * 1024;

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a whole fetch may take: a request may wait for it.
const FETCH_TIMEOUT: Duration = Duration::from_secs(8);

/// Where keys come from, ready to be asked.
pub(super) enum Source {
    /// It is in the configuration and never changes.
    Fixed(Vec<u8>),
    File(PathBuf),
    Address {
        http: reqwest::Client,
        url: Url,
    },
}

impl Source {
    pub(super) fn new(keys: &KeySource) -> Result<Self, String> {
        Ok(match keys {
            KeySource::Secret(secret) => Self::Fixed(secret.as_bytes().to_vec()),
            KeySource::SecretFile(path) | KeySource::File(path) => Self::File(path.clone()),
            KeySource::Url(url) => Self::Address { http: client(url)?, url: url.clone() },
        })
    }

    /// Whether it may be away for no fault of the operator's.
    pub(super) fn is_remote(&self) -> bool {
        matches!(self, Self::Address { .. })
    }

    pub(super) fn can_change(&self) -> bool {
        !matches!(self, Self::Fixed(_))
    }

    /// What it holds now.
    pub(super) async fn read(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::Fixed(bytes) => Ok(bytes.clone()),
            Self::File(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || secret_file::read_trusted(&path, LARGEST)).await;
                read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
            }
            Self::Address { http, url } => {
                let fetched = tokio::time::timeout(FETCH_TIMEOUT, fetch(http, url)).await;
                fetched.unwrap_or_else(|_| Err(format!("no whole answer within {} seconds", FETCH_TIMEOUT.as_secs())))
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(_) => f.write_str("the configuration"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Address { url, .. } => f.write_str(&without_query(url)),
        }
    }
}

fn client(url: &Url) -> Result<reqwest::Client, String> {
    // No redirect is followed: it could lead to where nothing protects the answer.
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("dropslip/", env!("CARGO_PKG_VERSION")));
    let builder = if is_this_machine(url) { builder.no_proxy() } else { builder.https_only(true) };
    builder.build().map_err(|error| innermost(&error))
}

async fn fetch(http: &reqwest::Client, url: &Url) -> Result<Vec<u8>, String> {
    let request = http.get(url.clone()).header("accept", "application/jwk-set+json, application/json");
    let mut answer = request.send().await.map_err(|error| innermost(&error.without_url()))?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(format!("it answers {}", answer.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| innermost(&error.without_url()))? {
        if body.len() + chunk.len() > LARGEST {
            return Err(format!("it is larger than {LARGEST} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
