//! The embedded mode: a store inside the process, for one person at one machine.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, bail};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::addresses::{bind, reachable};
use crate::bucket::BucketOptions;
use crate::config::{Config, Storage};
use crate::embedded_s3::{self, FolderLock};
use crate::listener;
use crate::secret_file;
use crate::tokens::Token;

/// What the embedded mode adds.
pub(super) struct Embedded {
    pub(super) address: SocketAddr,
    pub(super) token: Option<Token>,
    pub(super) options: BucketOptions,
    pub(super) task: Option<JoinHandle<()>>,
}

/// Whether a process must be the only one that runs the embedded store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Alone {
    Required,
    /// One that runs already is used instead.
    Optional,
}

/// Anybody at this machine can have the development token, so nobody else may reach it.
pub(super) fn refuse_open_development_token(config: &Config) -> anyhow::Result<()> {
    let Storage::Embedded { development_token: true, listen, .. } = config.storage else { return Ok(()) };
    for (setting, address) in [("DROPSLIP_LISTEN", config.listen), ("DROPSLIP_EMBEDDED_S3_LISTEN", listen)] {
        if address.ip().is_loopback() {
            continue;
        }
        bail!(
            "{setting}: {address} can be reached from other machines, where the development token must not be. Listen on 127.0.0.1, \
             or set DROPSLIP_S3_BUCKET, or set DROPSLIP_DEVELOPMENT_TOKEN=false and use tokens of `dropslip token create`"
        );
    }
    Ok(())
}

pub(super) async fn start(config: &Config, origins: &[String], alone: Alone, stop: CancellationToken) -> anyhow::Result<Embedded> {
    let Storage::Embedded { listen, region, public_endpoint, data_dir, development_token } = &config.storage else {
        bail!("no embedded store is configured");
    };
    let in_data_dir = || format!("DROPSLIP_DATA_DIR: {}", data_dir.display());
    let (listener, address, lock) = match embedded_s3::lock(data_dir).with_context(in_data_dir)? {
        FolderLock::Ours(mut lock) => {
            let listener = bind(*listen, "DROPSLIP_EMBEDDED_S3_LISTEN").await?;
            let address = listener.local_addr()?;
            lock.tell(address).with_context(in_data_dir)?;
            (Some(listener), address, Some(lock))
        }
        FolderLock::Theirs(address) if alone == Alone::Optional => (None, address, None),
        FolderLock::Theirs(address) => {
            bail!("DROPSLIP_DATA_DIR: another dropslip serves {} already, its store on {address}", data_dir.display())
        }
    };
    let credentials = embedded_s3::credentials(data_dir).with_context(in_data_dir)?;
    let token = if *development_token { Some(kept_token(data_dir).with_context(in_data_dir)?) } else { None };
    let options = BucketOptions {
        name: embedded_s3::BUCKET.to_owned(),
        region: Some(region.clone().unwrap_or_else(|| "us-east-1".to_owned())),
        endpoint: Some(format!("http://{}", reachable(address))),
        public_endpoint: public_endpoint.clone(),
        path_style: true,
        copy_in_parts_above: config.copy_in_parts_above,
        credentials: Some(credentials.clone()),
    };
    let task = match listener {
        Some(listener) => {
            let router = embedded_s3::router(data_dir, &credentials, origins).with_context(in_data_dir)?;
            Some(tokio::spawn(async move {
                // Held for as long as this store may write.
                let _lock = lock;
                listener::serve(listener, router, embedded_s3::BOUNDS, stop).await;
            }))
        }
        None => None,
    };
    Ok(Embedded { address, token, options, task })
}

/// The development token that an embedded broker here takes, if one was ever made.
pub(super) fn development_token(config: &Config) -> anyhow::Result<Option<Token>> {
    match &config.storage {
        Storage::Embedded { development_token: true, data_dir, .. } if data_dir.join(DEVELOPMENT_TOKEN_FILE).exists() => {
            kept_token(data_dir).map(Some)
        }
        _ => Ok(None),
    }
}

/// The development token: made once, kept in a file.
fn kept_token(data_dir: &Path) -> anyhow::Result<Token> {
    let path = data_dir.join(DEVELOPMENT_TOKEN_FILE);
    let text = secret_file::read_or_create(&path, || Token::generate().reveal().to_owned())?;
    Token::parse(&text).with_context(|| format!("{} holds no token; delete it to get a new one", path.display()))
}

/// The development token's file in the data folder.
pub const DEVELOPMENT_TOKEN_FILE: &str = "development-token";
