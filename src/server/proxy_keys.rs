//! Where the secrets of keys in links come from.

use anyhow::Context as _;

use crate::config::{Config, Storage};
use crate::proxy_key::{ProxyKeys, Secrets};
use crate::random;
use crate::secret_file;

/// The secret's file in the data folder of the embedded mode.
pub(super) const FILE: &str = "proxy-key";

/// Most bytes of a file of secrets.
const LARGEST: usize = 64 * 1024;

/// The configured secrets; with the embedded store one that is made and kept beside it; `None` for a bucket without any, and where the
/// operator has emptied the file of secrets, which ends all links.
///
/// # Errors
/// When a file of secrets cannot be read, or holds something else.
pub(super) fn proxy_keys(config: &Config) -> anyhow::Result<Option<ProxyKeys>> {
    let lifetime = config.downloads.proxy_key_lifetime.try_into().context("DROPSLIP_PROXY_KEY_LIFETIME")?;
    Ok(secrets(config)?.map(|secrets| ProxyKeys::new(&secrets, lifetime)))
}

/// Where the secrets come from, for a person, or why they cannot be read; `None` when there are none.
///
/// # Errors
/// When a file of secrets cannot be read, or holds something else.
pub fn proxy_keys_source(config: &Config) -> anyhow::Result<Option<&'static str>> {
    if secrets(config)?.is_none() {
        return Ok(None);
    }
    Ok(match (&config.downloads.proxy_keys, &config.downloads.proxy_keys_file, &config.storage) {
        (Some(_), ..) => Some("DROPSLIP_PROXY_KEYS"),
        (_, Some(_), _) => Some("DROPSLIP_PROXY_KEYS_FILE"),
        (.., Storage::Embedded { .. }) => Some("a file in DROPSLIP_DATA_DIR"),
        _ => None,
    })
}

fn secrets(config: &Config) -> anyhow::Result<Option<Secrets>> {
    if let Some(secrets) = &config.downloads.proxy_keys {
        return Ok(Some(secrets.clone()));
    }
    let parsed = |text: &str| text.parse::<Secrets>().map_err(|why| anyhow::anyhow!(why));
    if let Some(path) = &config.downloads.proxy_keys_file {
        let named = || format!("DROPSLIP_PROXY_KEYS_FILE: {}", path.display());
        let text = secret_file::read_trusted_text(path, LARGEST).with_context(named)?;
        return if text.trim().is_empty() { Ok(None) } else { parsed(&text).with_context(named).map(Some) };
    }
    let Storage::Embedded { data_dir, .. } = &config.storage else { return Ok(None) };
    let path = data_dir.join(FILE);
    let named = || path.display().to_string();
    let text = secret_file::read_or_create(&path, || hex::encode(random::bytes::<32>())).with_context(named)?;
    parsed(&text).with_context(named).map(Some)
}
