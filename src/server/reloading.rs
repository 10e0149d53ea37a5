//! What is read again while requests go on, without a restart.

use super::{Server, read_file_types};
use crate::config::Config;

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
        ]
    }

    fn reload_file_types(&self, config: &Config) -> anyhow::Result<String> {
        let file_types = read_file_types(config.policies.as_deref())?.with_max_request(self.max_request);
        let names: Vec<&str> = file_types.iter().map(|rule| rule.name.as_str()).collect();
        let names = names.join(", ");
        self.broker.replace_file_types(file_types);
        Ok(names)
    }
}
