//! What the configuration names, opened: who may call, where events go and come from, how files are downloaded.

use anyhow::{Context as _, bail};

use super::signing::Signing;
use crate::api::{self, BucketEventsSecret, ClassicSettings, DialectSettings, Dialects, Downloads, KayakoSettings};
use crate::bucket::bucket_events::{Queue, QueueOptions};
use crate::config::{Config, DownloadMode, NotificationsToken, Storage};
use crate::database::Database;
use crate::domain::FileTypes;
use crate::installation_secret::Source;
use crate::jwt::{KeySource, Verifier};
use crate::proxy_key::ProxyKeys;
use crate::secret_file;
use crate::tokens::{Token, TokenFile, Tokens};
use crate::webhooks::{self, Endpoint};

/// Most bytes of a list of endpoints.
const LARGEST_LIST: usize = 1024 * 1024;

/// The configured dialects.
///
/// # Errors
/// With the name that no dialect has, and those that there are.
pub fn dialects(config: &Config) -> anyhow::Result<Dialects> {
    api::dialects(&config.dialects).map_err(anyhow::Error::msg).context("DROPSLIP_DIALECTS")
}

/// What is configured of single dialects.
pub(super) fn dialect_settings(config: &Config) -> DialectSettings {
    let kayako = KayakoSettings {
        file_type: file_type_or_usual(config.kayako_file_type.as_ref()).into(),
        file_lifetime: Some(config.kayako_file_lifetime).filter(|lifetime| !lifetime.is_zero()),
        content_max: config.kayako_content_max,
        fingerprints: config.kayako_fingerprints.then(|| config.kayako_tenant.clone()),
    };
    let classic = ClassicSettings::new(file_type_or_usual(config.classic_file_type.as_ref()));
    DialectSettings::default().with(kayako).with(classic)
}

/// What a dialect that is on needs is there.
///
/// # Errors
/// With the setting that names something else.
pub(super) fn judge_dialects(config: &Config, dialects: &Dialects, file_types: &FileTypes) -> anyhow::Result<()> {
    let settings = [
        ("kayako", "DROPSLIP_KAYAKO_FILE_TYPE", &config.kayako_file_type),
        ("kayako-classic", "DROPSLIP_CLASSIC_FILE_TYPE", &config.classic_file_type),
    ];
    for (dialect, setting, file_type) in settings {
        let (name, is_on) = (file_type_or_usual(file_type.as_ref()), dialects.names().any(|name| name == dialect));
        if !is_on || file_types.iter().any(|rule| rule.name == name) {
            continue;
        }
        if file_type.is_some() {
            bail!("{setting}: there is no file type ‘{name}’");
        }
        // Who has rules of their own and asked for nothing of this dialect is not kept from starting.
        tracing::warn!("nothing can be created through the dialect {dialect}: there is no file type ‘{name}’. Set {setting}");
    }
    Ok(())
}

fn file_type_or_usual(set: Option<&String>) -> &str {
    set.map_or("attachment", String::as_str)
}

/// Says where clients log in and no session comes of it.
pub(super) fn log_sessions(dialects: &Dialects, can_be_made: bool) {
    for dialect in dialects.with_sessions().filter(|_| !can_be_made) {
        tracing::warn!(
            dialect,
            "a log-in begins no session: who reads the database could forge one. Set DROPSLIP_SECRETS or DROPSLIP_SECRETS_FILE"
        );
    }
}

/// Says where clients sign their calls and none can be good.
pub(super) fn log_signed_calls(dialects: &Dialects, are_taken: bool) {
    for dialect in dialects.with_signed_calls().filter(|_| !are_taken) {
        tracing::warn!(
            dialect,
            "no signed call is good: who reads the database could make pairs of keys. Set DROPSLIP_SECRETS or DROPSLIP_SECRETS_FILE"
        );
    }
}

pub(super) fn downloads(config: &Config, links: Option<ProxyKeys>) -> anyhow::Result<Downloads> {
    let url_lifetime = config.download_url_lifetime.try_into().context("DROPSLIP_DOWNLOAD_URL_LIFETIME")?;
    Ok(Downloads::new(links, config.downloads == DownloadMode::Proxy, url_lifetime, config.max_downloads))
}

/// Says where the secret comes from and what it does not sign.
pub(super) fn log_signing(signing: &Signing) {
    let (source, name) = (signing.secret.source(), signing.secret.names().into_iter().next());
    tracing::info!(%source, secret = name, "the installation secret signs upload tokens and keys in links");
    if source == Source::Database {
        tracing::warn!(
            "who reads the database or a copy of it can forge upload tokens and links: set DROPSLIP_SECRETS or DROPSLIP_SECRETS_FILE, \
             the same for all brokers"
        );
    }
    if let Some(why) = &signing.why_no_keys {
        tracing::warn!(why, "links to files have no keys, so each needs a token");
    }
}

/// Everybody who may call, by all that is configured.
pub(super) async fn tokens(config: &Config, database: Database, development: Option<Token>) -> anyhow::Result<Tokens> {
    let file = token_file(config)?;
    let jwt = match &config.jwt {
        None => None,
        Some(options) => {
            let named = || match &options.keys {
                KeySource::Secret(_) => "DROPSLIP_JWT_SECRET".to_owned(),
                KeySource::SecretFile(path) => format!("DROPSLIP_JWT_SECRET_FILE: {}", path.display()),
                KeySource::File(path) => format!("DROPSLIP_JWT_JWKS: {}", path.display()),
                KeySource::Url(_) => "DROPSLIP_JWT_JWKS".to_owned(),
            };
            Some(Verifier::open(options.clone()).await.map_err(anyhow::Error::msg).with_context(named)?)
        }
    };
    Ok(Tokens::new(database, development).and(file, jwt))
}

/// The file of tokens, if there is one.
pub(super) fn token_file(config: &Config) -> anyhow::Result<Option<TokenFile>> {
    let Some(path) = &config.tokens_file else { return Ok(None) };
    let named = || format!("DROPSLIP_TOKENS_FILE: {}", path.display());
    Ok(Some(TokenFile::open(path.clone()).map_err(anyhow::Error::msg).with_context(named)?))
}

/// Who is sent events.
///
/// # Errors
/// With what is wrong with the file, and where.
pub fn endpoints(config: &Config) -> anyhow::Result<Vec<Endpoint>> {
    let Some(path) = &config.webhooks_file else { return Ok(Vec::new()) };
    let in_file = || format!("DROPSLIP_WEBHOOKS_FILE: {}", path.display());
    let text = secret_file::read_trusted_text(path, LARGEST_LIST).with_context(in_file)?;
    webhooks::parse(&text).map_err(anyhow::Error::msg).with_context(in_file)
}

pub(super) fn bucket_events_secret(config: &Config) -> anyhow::Result<Option<BucketEventsSecret>> {
    let token = config.notifications_secret.as_ref().map(NotificationsToken::read).transpose();
    let token = token.map_err(anyhow::Error::msg).context("DROPSLIP_NOTIFICATIONS_TOKEN_FILE")?;
    Ok(token.map(|token| BucketEventsSecret::new(&token)))
}

/// Where the queue of the bucket's notifications is.
///
/// # Errors
/// When there is a queue and no bucket that could put anything into it.
pub fn queue_options(config: &Config) -> anyhow::Result<Option<QueueOptions>> {
    let Some(url) = config.notifications_sqs.clone() else { return Ok(None) };
    let Storage::Bucket { region, .. } = &config.storage else {
        bail!("DROPSLIP_NOTIFICATIONS_SQS: has no effect without DROPSLIP_S3_BUCKET: the embedded store sends no notifications");
    };
    Ok(Some(QueueOptions { url, region: region.clone() }))
}

/// The queue of the bucket's notifications.
pub(super) async fn queue(config: &Config) -> anyhow::Result<Option<Queue>> {
    let Some(options) = queue_options(config)? else { return Ok(None) };
    Ok(Some(Box::pin(Queue::open(&options)).await.context("DROPSLIP_NOTIFICATIONS_SQS")?))
}
