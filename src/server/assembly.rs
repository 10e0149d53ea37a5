//! Database, bucket and rules, put together: a broker that nobody asks yet.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use tokio_util::sync::CancellationToken;

use super::addresses::origins;
use super::configured::endpoints;
use super::embedded::{self, Alone, Embedded, refuse_open_development_token};
use super::policies::read_file_types;
use crate::broker::{Broker, Rules};
use crate::bucket::{Bucket, BucketOptions};
use crate::config::{Config, Storage};
use crate::database::Database;
use crate::domain::multipart::MAX_PART_SIZE;
use crate::domain::{FileTypes, UploadMethod};
use crate::embedded_s3;
use crate::limits::Limits;

/// The broker alone, for commands that work beside or without a running `serve`; an embedded store ends with `stop`.
///
/// # Errors
/// With the reason, like [`super::Server::start`].
pub async fn broker(config: &Config, stop: CancellationToken) -> anyhow::Result<Arc<Broker>> {
    Ok(open(config, &[], Alone::Optional, stop).await?.broker)
}

/// Database, bucket and rules, put together.
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) broker: Arc<Broker>,
    pub(super) form_url: String,
    pub(super) embedded: Option<Embedded>,
}

pub(super) async fn open(config: &Config, origins: &[String], alone: Alone, stop_store: CancellationToken) -> anyhow::Result<Opened> {
    let file_types = file_types(config)?;
    let database = Database::open(config.database_url.reveal()).await.context(config.database_url.setting())?;
    database.subscribe(endpoints(config)?.into_iter().map(|endpoint| endpoint.subscription).collect());
    let (options, embedded) = Box::pin(storage(config, origins, alone, stop_store)).await?;
    let identity = identity(&config.storage)?;
    let bucket = Bucket::open(options).await.context("DROPSLIP_S3_BUCKET")?;
    // In another bucket no upload would be found, and a sweep would forget them all.
    let bound = database.bind_storage(&identity).await.context(config.database_url.setting())?;
    if bound != identity {
        bail!(
            "{}: this database is about {bound}, not {identity}. Set DROPSLIP_S3_BUCKET as it was, or use another database; \
             if the objects were moved, correct the row of its table ‘storage’",
            config.database_url.setting()
        );
    }
    let form_url = bucket.form_url().to_owned();
    let method = method(config.s3_method, &bucket).await.context("DROPSLIP_S3_METHOD")?;
    let rules = rules(config, identity, file_types, method)?;
    let broker = Arc::new(Broker::new(database.clone(), bucket, rules));
    Ok(Opened { database, broker, form_url, embedded })
}

fn rules(config: &Config, identity: String, file_types: FileTypes, method: UploadMethod) -> anyhow::Result<Rules> {
    Ok(Rules {
        storage: identity,
        file_types: file_types.with_max_request(max_request(config, method)),
        limits: Limits::new(config.actor_limit, config.tenant_limit),
        grace: config.sweep_grace.try_into().context("DROPSLIP_SWEEP_GRACE")?,
        events_retention: config.events_retention.try_into().context("DROPSLIP_EVENTS_RETENTION")?,
        audit_retention: config.audit_retention.map(TryInto::try_into).transpose().context("DROPSLIP_AUDIT_RETENTION")?,
        deleted_retention: config.deleted_retention.try_into().context("DROPSLIP_DELETED_RETENTION")?,
        method,
        multipart_threshold: config.multipart_threshold,
        part_size: config.part_size,
        max_received: config.max_proxied_bytes,
        max_uploads: usize::try_from(config.max_proxied_uploads)?,
        max_unsigned: usize::try_from(config.unsigned_uploads)?,
    })
}

/// How the configured bucket is reached and what a database knows it by; an embedded store runs for as long as `stop` lets it.
///
/// # Errors
/// With the reason, when an embedded store cannot start or would be open to other machines.
pub async fn bucket_options(config: &Config, stop: CancellationToken) -> anyhow::Result<(BucketOptions, String)> {
    refuse_open_development_token(config)?;
    let public_url = config.public_url.as_ref().map_or_else(|| format!("http://{}", config.listen), ToString::to_string);
    let origins = origins(config, config.listen, &public_url);
    let (options, _) = storage(config, &origins, Alone::Optional, stop).await?;
    Ok((options, identity(&config.storage)?))
}

async fn storage(
    config: &Config,
    origins: &[String],
    alone: Alone,
    stop: CancellationToken,
) -> anyhow::Result<(BucketOptions, Option<Embedded>)> {
    match &config.storage {
        Storage::Embedded { .. } => {
            let embedded = embedded::start(config, origins, alone, stop).await?;
            Ok((embedded.options.clone(), Some(embedded)))
        }
        Storage::Bucket { name, region, endpoint, public_endpoint, path_style } => {
            let options = BucketOptions {
                name: name.clone(),
                region: region.clone(),
                endpoint: endpoint.clone(),
                public_endpoint: public_endpoint.clone(),
                path_style: *path_style,
                copy_in_parts_above: config.copy_in_parts_above,
                credentials: None,
            };
            Ok((options, None))
        }
    }
}

/// What the database is bound to.
fn identity(storage: &Storage) -> anyhow::Result<String> {
    Ok(match storage {
        Storage::Embedded { data_dir, .. } => format!("embedded store {}", embedded_s3::identity(data_dir).context("DROPSLIP_DATA_DIR")?),
        Storage::Bucket { name, .. } => format!("bucket {name}"),
    })
}

/// The configured file types, with what the configured store takes in one request.
///
/// # Errors
/// With file, line and key of the first that is broken.
pub fn file_types(config: &Config) -> anyhow::Result<FileTypes> {
    let method = if config.s3_method == Some(UploadMethod::Put) { UploadMethod::Put } else { UploadMethod::Post };
    Ok(read_file_types(config.policies.as_deref())?.with_max_request(max_request(config, method)))
}

pub(super) fn max_request(config: &Config, method: UploadMethod) -> u64 {
    match (&config.storage, method) {
        (Storage::Embedded { .. }, UploadMethod::Post) => embedded_s3::MAX_POST_BYTES,
        _ => MAX_PART_SIZE,
    }
}

/// The configured method, or what the store knows.
async fn method(configured: Option<UploadMethod>, bucket: &Bucket) -> anyhow::Result<UploadMethod> {
    if let Some(method) = configured {
        return Ok(method);
    }
    let method = if bucket.takes_forms().await? { UploadMethod::Post } else { UploadMethod::Put };
    tracing::info!(?method, "asked the store whether it takes forms");
    Ok(method)
}
