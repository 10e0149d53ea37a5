//! What signs upload tokens and links: where the installation secret lies, and what is made of it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use time::OffsetDateTime;

use crate::config::{Config, LinkMode, SecretSetting, Storage};
use crate::database::Database;
use crate::installation_secret::{InstallationSecret, Secrets, Source};
use crate::proxy_key::ProxyKeys;
use crate::random;
use crate::secret_file;

/// The secret's file in the data folder of the embedded mode.
pub(super) const FILE: &str = "installation-secret";

/// What the version before called it, when nothing but links was signed with it.
pub(super) const FILE_BEFORE: &str = "proxy-key";

/// What the database calls the secret and the moment from which on it signs; the migration knows this name too.
const NAME: &str = "installation secret";

/// Most bytes of a file of secrets.
const LARGEST: usize = 64 * 1024;

/// What signs, as it is configured now.
pub(super) struct Signing {
    pub(super) secret: InstallationSecret,
    /// Nothing where links need a token.
    pub(super) links: Option<ProxyKeys>,
    /// Why they do.
    pub(super) why_no_keys: Option<String>,
}

/// Reads what signs; a secret that is nowhere yet is made.
///
/// # Errors
/// When a secret cannot be read, is none, or cannot be kept.
pub(super) async fn signing(config: &Config, database: &Database) -> anyhow::Result<Signing> {
    let set = set(config)?;
    let why_no_keys = why_no_keys(config, &set);
    let secret = match set {
        Set::To(secret) => match database.find_shared_key(NAME).await.context("the installation secret")? {
            // Whoever has a copy of the database has that one, also where it is listed now.
            Some(known) => secret.moved_out_of_the_database(hex::encode(known)),
            None => secret,
        },
        Set::Nothing | Set::Emptied(_) => match &config.storage {
            Storage::Embedded { data_dir, .. } => in_data_folder(data_dir)?,
            Storage::Bucket { .. } => in_database(database).await.context("the installation secret")?,
        },
    };
    let lifetime = config.proxy_key_lifetime.try_into().context("DROPSLIP_PROXY_KEY_LIFETIME")?;
    let links = if why_no_keys.is_none() { ProxyKeys::new(&secret, lifetime) } else { None };
    Ok(Signing { secret, links, why_no_keys })
}

/// When this installation first signed with its secret: now, unless it has before. From then on nothing is made by older means.
///
/// # Errors
/// When the database cannot say.
pub(super) async fn first_signed_at(database: &Database, now: OffsetDateTime) -> anyhow::Result<OffsetDateTime> {
    database.first_time(NAME, now).await.context("the installation secret")
}

/// Where the secret of a broker that starts now would lie.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where it comes from.
    pub source: Source,
    /// Whether everybody on this machine can read the file that the operator has named.
    pub is_readable: bool,
    /// Why links to files have no keys, if they have none.
    pub why_no_keys: Option<String>,
}

/// Where the secret lies, without making one.
///
/// # Errors
/// When what is set cannot be read, or holds something else.
pub fn find_secret(config: &Config) -> anyhow::Result<Found> {
    let set = set(config)?;
    let why_no_keys = why_no_keys(config, &set);
    let source = match (&set, &config.storage) {
        (Set::To(secret), _) => secret.source(),
        (_, Storage::Embedded { .. }) => Source::DataFolder,
        (_, Storage::Bucket { .. }) => Source::Database,
    };
    let is_readable = matches!(&config.secret, Some(SecretSetting::File { path, .. }) if secret_file::anybody_reads(path));
    Ok(Found { source, is_readable, why_no_keys })
}

/// The file that has the secret of the embedded mode, if it is there.
#[must_use]
pub fn secret_in_data_folder(config: &Config) -> Option<PathBuf> {
    match &config.storage {
        Storage::Embedded { data_dir, .. } => Some(data_dir.join(FILE)).filter(|path| path.exists()),
        Storage::Bucket { .. } => None,
    }
}

/// What the settings say.
enum Set {
    Nothing,
    /// The file that this setting names is empty. That ends all that was signed by what was in it, and takes the keys out of links.
    Emptied(&'static str),
    To(InstallationSecret),
}

fn set(config: &Config) -> anyhow::Result<Set> {
    match &config.secret {
        None => Ok(Set::Nothing),
        Some(SecretSetting::Secrets { name, secrets }) => Ok(Set::To(InstallationSecret::new(secrets.clone(), Source::Setting(name)))),
        Some(SecretSetting::File { name, path }) => {
            let named = || format!("{name}: {}", path.display());
            let text = secret_file::read_trusted_text(path, LARGEST).with_context(named)?;
            if text.trim().is_empty() {
                return Ok(Set::Emptied(name));
            }
            Ok(Set::To(InstallationSecret::new(parsed(&text).with_context(named)?, Source::Setting(name))))
        }
    }
}

fn why_no_keys(config: &Config, set: &Set) -> Option<String> {
    match set {
        _ if config.links == LinkMode::Token => Some("DROPSLIP_LINKS is token".to_owned()),
        Set::Emptied(name) => Some(format!("the file of {name} is empty")),
        Set::Nothing | Set::To(_) => None,
    }
}

fn parsed(text: &str) -> anyhow::Result<Secrets> {
    text.parse().map_err(anyhow::Error::msg)
}

fn in_data_folder(data_dir: &Path) -> anyhow::Result<InstallationSecret> {
    let path = data_dir.join(FILE);
    let named = || path.display().to_string();
    // What the version before signed links with signs on, so that those links work.
    secret_file::rename_first(&data_dir.join(FILE_BEFORE), &path).with_context(named)?;
    let text = secret_file::read_or_create(&path, || hex::encode(random::bytes::<32>())).with_context(named)?;
    Ok(InstallationSecret::new(parsed(&text).with_context(named)?, Source::DataFolder))
}

async fn in_database(database: &Database) -> anyhow::Result<InstallationSecret> {
    let secret = match database.find_shared_key(NAME).await? {
        Some(secret) => secret,
        None => database.shared_key(NAME, random::bytes()).await?,
    };
    Ok(InstallationSecret::new(parsed(&hex::encode(secret))?, Source::Database))
}
