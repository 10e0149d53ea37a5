//! Which broker, and with what token.

use std::path::Path;

use anyhow::{Context as _, bail};
use reqwest::header::HeaderValue;

use crate::config::ClientEnvironment;
use crate::domain::web::{is_this_machine, web_url};
use crate::secret_file;

const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";

/// Where `dropslip serve` keeps the token of its embedded mode, seen from the folder it was started in.
const DEVELOPMENT_TOKEN: &str = "data/development-token";

/// A broker and the token for it.
pub(super) struct Target {
    /// Without a slash at the end.
    server: String,
    /// `Bearer` and the token; marked as sensitive, so that it prints as nothing.
    pub(super) authorization: HeaderValue,
    this_machine: bool,
    /// Where the token comes from, for people whose token is not accepted.
    pub(super) token_origin: String,
}

impl Target {
    /// Asks the options first, then the environment, then the files of a broker on this machine.
    pub(super) fn find(server: Option<&str>, token_file: Option<&Path>, environment: ClientEnvironment) -> anyhow::Result<Self> {
        let (text, named) = match (server, &environment.server) {
            (Some(text), _) => (text, "--server"),
            (None, Some(text)) => (text.as_str(), "DROPSLIP_SERVER"),
            (None, None) => (DEFAULT_SERVER, "the default server"),
        };
        let server = web_url(text).map_err(anyhow::Error::msg).with_context(|| named.to_owned())?;
        let this_machine = is_this_machine(&server);
        let (token, token_origin) = token(token_file, environment.token, this_machine)?;
        let authorization = bearer(&token).with_context(|| token_origin.clone())?;
        Ok(Self { server: server.as_str().trim_end_matches('/').to_owned(), authorization, this_machine, token_origin })
    }

    /// The address of something at the broker.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server)
    }

    /// Whether nothing that is sent to the broker leaves this machine.
    pub(super) fn is_this_machine(&self) -> bool {
        self.this_machine
    }

    /// The broker's address, for messages.
    pub(super) fn server(&self) -> &str {
        &self.server
    }
}

/// The token, and where it comes from.
fn token(file: Option<&Path>, from_environment: Option<String>, this_machine: bool) -> anyhow::Result<(String, String)> {
    let read = |path: &Path| secret_file::read_text(path).with_context(|| format!("the token file {}", path.display()));
    if let Some(path) = file {
        return Ok((read(path)?, path.display().to_string()));
    }
    if let Some(token) = from_environment {
        return Ok((token, "DROPSLIP_TOKEN".to_owned()));
    }
    // Elsewhere it is worth nothing and nobody's business.
    if this_machine && Path::new(DEVELOPMENT_TOKEN).exists() {
        return Ok((read(Path::new(DEVELOPMENT_TOKEN))?, DEVELOPMENT_TOKEN.to_owned()));
    }
    bail!("there is no token: set DROPSLIP_TOKEN, or name a file that holds one with --token-file")
}

fn bearer(token: &str) -> anyhow::Result<HeaderValue> {
    let token = token.trim();
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        // The complaint does not repeat it.
        bail!("holds no token: one is letters, digits and signs without spaces");
    }
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word_and_never_shown() {
        assert_eq!(format!("{:?}", bearer(" dslip_1_2\n").unwrap()), "Sensitive");
        for bad in ["", "\n", "two words", "dsl\u{ef}p"] {
            let complaint = format!("{:#}", bearer(bad).unwrap_err());
            assert!(bad.trim().is_empty() || !complaint.contains(bad), "{complaint}");
        }
    }

    #[test]
    fn a_named_token_file_wins_over_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "from-file\n").unwrap();
        assert_eq!(token(Some(&path), Some("from-env".to_owned()), true).unwrap().0, "from-file\n");
        assert_eq!(token(None, Some("from-env".to_owned()), true).unwrap().1, "DROPSLIP_TOKEN");
        assert!(token(Some(&folder.path().join("none")), Some("from-env".to_owned()), true).is_err());
    }
}
