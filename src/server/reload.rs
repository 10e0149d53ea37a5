//! What is read again while requests go on, without a restart.

use anyhow::Context as _;

use super::policies::read_file_types;
use super::{Server, configured, endpoints, signing};
use crate::config::Config;
use crate::tokens::Signing;

/// What came of reading one thing again.
#[derive(Debug)]
pub struct Reloaded {
    /// What was read.
    pub what: &'static str,
    /// What is in force now; or why the old one still is.
    pub outcome: anyhow::Result<String>,
}

impl Server {
    /// Reads again what can be replaced under way. Each thing is replaced as a whole or, when anything is wrong with it, left as it is.
    pub async fn reload(&self, config: &Config) -> Vec<Reloaded> {
        let tokens = self.tokens.reload().await.map(|()| "as their files and addresses say".to_owned());
        vec![
            Reloaded { what: "file types", outcome: self.reload_file_types(config) },
            Reloaded { what: "tokens", outcome: tokens.map_err(anyhow::Error::msg) },
            Reloaded { what: "installation secret", outcome: self.reload_signing(config).await },
            Reloaded { what: "webhooks", outcome: self.reload_webhooks(config) },
        ]
    }

    fn reload_file_types(&self, config: &Config) -> anyhow::Result<String> {
        let file_types = read_file_types(config.policies.as_deref())?.with_max_request(self.max_request);
        configured::judge_dialects(config, &self.dialects, &file_types)?;
        let names: Vec<&str> = file_types.iter().map(|rule| rule.name.as_str()).collect();
        let names = names.join(", ");
        self.broker.replace_file_types(file_types);
        Ok(names)
    }

    async fn reload_signing(&self, config: &Config) -> anyhow::Result<String> {
        let signing = signing::signing(config, &self.database).await?;
        let names = signing.secret.names();
        self.tokens.sign_with(Signing::of(&signing.secret));
        self.state.downloads.replace_keys(signing.links);
        let verify = names.iter().skip(1).fold(String::new(), |list, name| format!("{list}, {name} verifies"));
        let first = names.first().map(String::as_str).unwrap_or_default();
        let no_keys = signing.why_no_keys.map(|why| format!("; no keys in links: {why}")).unwrap_or_default();
        Ok(format!("{first} signs{verify}, from {}{no_keys}", signing.secret.source()))
    }

    fn reload_webhooks(&self, config: &Config) -> anyhow::Result<String> {
        let endpoints = endpoints(config)?;
        let subscriptions: Vec<_> = endpoints.iter().map(|endpoint| endpoint.subscription.clone()).collect();
        let names: Vec<&str> = subscriptions.iter().map(|subscription| subscription.endpoint.as_str()).collect();
        let now = if names.is_empty() { "no endpoint".to_owned() } else { names.join(", ") };
        self.webhooks.replace(endpoints).context("DROPSLIP_WEBHOOKS_FILE")?;
        self.database.subscribe(subscriptions);
        Ok(now)
    }
}
