//! The composition root: a configuration becomes a running broker.

mod clock;
mod configured;
mod handles;
mod policies;
mod privacy;
mod reload;
mod signing;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::{self, AppState};
use crate::broker::{Broker, Rules};
use crate::bucket::{Bucket, BucketOptions};
use crate::bucket_events;
use crate::config::{Config, Storage};
use crate::database::Database;
use crate::domain::multipart::MAX_PART_SIZE;
use crate::domain::{FileTypes, UploadMethod};
use crate::embedded_s3::{self, FolderLock};
use crate::installation_secret::Purpose;
use crate::limits::Limits;
use crate::listener::{self, Bounds};
use crate::metrics;
use crate::secret_file;
use crate::sweeper;
use crate::tokens::{Token, Tokens};
use crate::webhooks::Webhooks;

pub use configured::{endpoints, queue_options};
pub use handles::Needed;
pub use policies::SHIPPED_POLICIES;
use policies::read_file_types;
pub use privacy::mend;
pub use reload::Reloaded;
pub use signing::{Found, find_secret, secret_in_data_folder};

/// A broker that listens.
pub struct Server {
    /// Where the broker listens.
    pub address: SocketAddr,
    /// Where browsers reach it, without a slash at the end.
    pub public_url: String,
    /// Where forms go.
    pub form_url: String,
    /// The use cases it serves.
    pub broker: Arc<Broker>,
    /// Where the embedded store listens, if it runs.
    pub embedded_s3: Option<SocketAddr>,
    /// Where metrics are told, if anywhere.
    pub admin: Option<SocketAddr>,
    /// The token of the embedded mode.
    pub development_token: Option<Token>,
    /// Whether `/` is the upload page.
    pub has_page: bool,
    drain_delay: Duration,
    max_request: u64,
    stopping: CancellationToken,
    /// Everybody who may call: what comes from files and addresses can be read again at any time.
    pub tokens: Tokens,
    state: AppState,
    webhooks: Arc<Webhooks>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    database: Database,
}

/// What the operator's address may cost: tools ask it, and few of them. No shares by address: only the operator gets at it.
const ADMIN_BOUNDS: Bounds = Bounds { connections: 32, buffer_bytes: 16 * 1024 };

/// What the embedded mode adds.
struct Embedded {
    address: SocketAddr,
    token: Option<Token>,
    options: BucketOptions,
    task: Option<JoinHandle<()>>,
}

impl Server {
    /// Opens database and bucket and starts to listen.
    ///
    /// # Errors
    /// With the reason, when a port is taken, a policy file is broken, database or bucket cannot be reached, or the embedded mode
    /// would be open to other machines.
    pub async fn start(config: &Config) -> anyhow::Result<Self> {
        refuse_open_development_token(config)?;
        privacy::mend_all(config).await;
        let listener = bind(config.listen, "DROPSLIP_LISTEN").await?;
        let address = listener.local_addr()?;
        let admin_listener = match config.operating.admin_listen {
            Some(address) => Some(bind(address, "DROPSLIP_ADMIN_LISTEN").await?),
            None => None,
        };
        metrics::started();
        let public_url = config
            .public_url
            .as_ref()
            .map_or_else(|| format!("http://{}", reachable(address)), |url| url.as_str().trim_end_matches('/').to_owned());
        if config.public_url.is_none() && address.ip().is_unspecified() {
            tracing::warn!(
                "what names this broker, such as links to files, leads to {public_url}, which is this machine alone: set DROPSLIP_PUBLIC_URL"
            );
        }
        let mut origins = own_origins(address, &public_url);
        origins.extend(config.cors_origins.iter().cloned());

        let (stopping, stop) = (CancellationToken::new(), CancellationToken::new());
        // The embedded store, and what is told of it all, outlive the broker's last request.
        let stop_rest = CancellationToken::new();
        let Opened { database, broker, form_url, embedded } = open(config, &origins, Alone::Required, stop_rest.clone()).await?;
        sweeper::count_reserved(&broker).await.context("the bytes of living forms could not be counted")?;
        let development_token = embedded.as_ref().and_then(|embedded| embedded.token.clone());
        let signing = signing::signing(config, &database).await?;
        configured::log_signing(&signing);
        let first_signed_at = signing::first_signed_at(&database, OffsetDateTime::now_utc()).await?;
        let tokens = configured::tokens(config, database.clone(), development_token.clone()).await?;
        let tokens = tokens.signing(signing.secret.keys(Purpose::UploadTokens), first_signed_at);
        let notifications = configured::bucket_events_secret(config)?;
        let state = AppState::from(api::Parts {
            broker: broker.clone(),
            tokens: tokens.clone(),
            public_url: public_url.as_str().into(),
            notifications,
            downloads: configured::downloads(config, signing.links)?,
            stopping: stopping.clone(),
        });
        let admin = admin_listener.as_ref().map(TcpListener::local_addr).transpose()?;
        let telling = admin_listener
            .map(|listener| tokio::spawn(listener::serve(listener, api::admin::router(state.clone()), ADMIN_BOUNDS, stop_rest.clone())));
        let form_origin = url::Url::parse(&form_url).context("DROPSLIP_S3_PUBLIC_ENDPOINT")?.origin().ascii_serialization();
        let router = api::router(state.clone(), &origins, config.upload_page.then_some(&form_origin));
        let sweeping = tokio::spawn(sweeper::run(broker.clone(), config.sweep_interval, stop.clone()));
        let naming = tokio::spawn(sweeper::fill_search_names(broker.clone(), stop.clone()));
        let watching = tokio::spawn(clock::watch(stop.clone()));
        let mut working = vec![sweeping, naming, watching, tokio::spawn(tokens.clone().watch(stop.clone()))];
        let webhooks =
            Webhooks::new(database.clone(), endpoints(config)?, config.events.webhooks_retry.clone()).context("DROPSLIP_WEBHOOKS_FILE")?;
        let webhooks = Arc::new(webhooks);
        working.push(tokio::spawn(webhooks.clone().run(stop.clone())));
        if let Some(queue) = configured::queue(config).await? {
            working.push(tokio::spawn(bucket_events::run(broker.clone(), queue, stop.clone())));
        }
        let (ending, proxies) = (stop.clone(), config.operating.trusted_proxies.clone());
        let bounds = Bounds { connections: config.operating.max_connections, buffer_bytes: 64 * 1024 };
        let serving = tokio::spawn(async move {
            // Workers talk to the embedded store too, and end what is under way.
            tokio::join!(listener::serve_by_address(listener, router, bounds, proxies, ending.clone()), ended(working, ending));
            stop_rest.cancel();
        });
        let embedded_s3 = embedded.as_ref().map(|embedded| embedded.address);
        let tasks = std::iter::once(serving).chain(embedded.and_then(|embedded| embedded.task)).chain(telling).collect();
        let has_page = config.upload_page;
        let max_request = max_request(config, broker.method());
        Ok(Self {
            address,
            public_url,
            form_url,
            broker,
            embedded_s3,
            admin,
            development_token,
            has_page,
            drain_delay: config.operating.drain_delay,
            max_request,
            stopping,
            tokens,
            state,
            webhooks,
            stop,
            tasks,
            database,
        })
    }

    /// Has `/readyz` say that it stops. Requests are taken as before, for as long as the answer says: until the balancers know.
    #[must_use]
    pub fn announce_stop(&self) -> Duration {
        self.stopping.cancel();
        self.drain_delay
    }

    /// Stops taking requests, lets those under way end, and closes the database.
    pub async fn stop(self) {
        self.stopping.cancel();
        self.stop.cancel();
        for task in self.tasks {
            let _ = task.await;
        }
        self.database.close().await;
    }
}

/// Waits for workers to end after `stop`, as long as for requests. Who is cut off has done no harm: what it did is done again.
async fn ended(working: Vec<JoinHandle<()>>, stop: CancellationToken) {
    stop.cancelled().await;
    let deadline = tokio::time::Instant::now() + listener::DRAIN;
    for mut work in working {
        if tokio::time::timeout_at(deadline, &mut work).await.is_err() {
            tracing::warn!(seconds = listener::DRAIN.as_secs(), "work in the background was cut off: it did not end in time");
            work.abort();
            let _ = work.await;
        }
    }
}

/// The broker alone, for commands that work beside or without a running `serve`; an embedded store ends with `stop`.
///
/// # Errors
/// With the reason, like [`Server::start`].
pub async fn broker(config: &Config, stop: CancellationToken) -> anyhow::Result<Arc<Broker>> {
    Ok(open(config, &[], Alone::Optional, stop).await?.broker)
}

/// Database, bucket and rules, put together.
struct Opened {
    database: Database,
    broker: Arc<Broker>,
    form_url: String,
    embedded: Option<Embedded>,
}

/// Whether a process must be the only one that runs the embedded store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Alone {
    Required,
    /// One that runs already is used instead.
    Optional,
}

async fn open(config: &Config, origins: &[String], alone: Alone, stop_store: CancellationToken) -> anyhow::Result<Opened> {
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
    let grace = config.sweep_grace.try_into().context("DROPSLIP_SWEEP_GRACE")?;
    let method = method(config.s3_method, &bucket).await.context("DROPSLIP_S3_METHOD")?;
    let rules = Rules {
        storage: identity,
        file_types: file_types.with_max_request(max_request(config, method)),
        limits: Limits::new(config.actor_limit, config.tenant_limit),
        grace,
        events_retention: config.events.retention.try_into().context("DROPSLIP_EVENTS_RETENTION")?,
        audit_retention: config.audit_retention.map(TryInto::try_into).transpose().context("DROPSLIP_AUDIT_RETENTION")?,
        deleted_retention: config.deleted_retention.try_into().context("DROPSLIP_DELETED_RETENTION")?,
        method,
        multipart_threshold: config.multipart_threshold,
        part_size: config.part_size,
    };
    let broker = Arc::new(Broker::new(database.clone(), bucket, rules));
    Ok(Opened { database, broker, form_url, embedded })
}

/// How the configured bucket is reached and what a database knows it by; an embedded store runs for as long as `stop` lets it.
///
/// # Errors
/// With the reason, when an embedded store cannot start or would be open to other machines.
pub async fn bucket_options(config: &Config, stop: CancellationToken) -> anyhow::Result<(BucketOptions, String)> {
    refuse_open_development_token(config)?;
    let public_url = config.public_url.as_ref().map_or_else(|| format!("http://{}", config.listen), ToString::to_string);
    let mut origins = own_origins(config.listen, &public_url);
    origins.extend(config.cors_origins.iter().cloned());
    let (options, _) = storage(config, &origins, Alone::Optional, stop).await?;
    Ok((options, identity(&config.storage)?))
}

/// The origins whose pages a bucket must let in: the configured ones, and that of the broker where browsers are told of it.
#[must_use]
pub fn page_origins(config: &Config) -> Vec<String> {
    let own = config.public_url.as_ref().map(|url| url.origin().ascii_serialization());
    let mut origins: Vec<String> = Vec::new();
    for origin in own.into_iter().chain(config.cors_origins.iter().cloned()) {
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    origins
}

async fn storage(
    config: &Config,
    origins: &[String],
    alone: Alone,
    stop: CancellationToken,
) -> anyhow::Result<(BucketOptions, Option<Embedded>)> {
    match &config.storage {
        Storage::Embedded { .. } => {
            let embedded = start_embedded(config, origins, alone, stop).await?;
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

fn max_request(config: &Config, method: UploadMethod) -> u64 {
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

fn refuse_open_development_token(config: &Config) -> anyhow::Result<()> {
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

async fn bind(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("{setting}: cannot listen on {address}"))
}

async fn start_embedded(config: &Config, origins: &[String], alone: Alone, stop: CancellationToken) -> anyhow::Result<Embedded> {
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

/// The development token: made once, kept in a file.
fn kept_token(data_dir: &Path) -> anyhow::Result<Token> {
    let path = data_dir.join(DEVELOPMENT_TOKEN_FILE);
    let text = secret_file::read_or_create(&path, || Token::generate().reveal().to_owned())?;
    Token::parse(&text).with_context(|| format!("{} holds no token; delete it to get a new one", path.display()))
}

/// The development token's file in the data folder.
pub const DEVELOPMENT_TOKEN_FILE: &str = "development-token";

/// Where this machine reaches what listens on `address`: a wildcard is no destination.
#[must_use]
pub fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], address.port())),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, address.port())),
        other => other,
    }
}

/// The origins of the broker's own pages: its public one and, on loopback, every name that a person may type for it.
fn own_origins(address: SocketAddr, public_url: &str) -> Vec<String> {
    let mut origins: Vec<String> = url::Url::parse(public_url).map(|url| url.origin().ascii_serialization()).into_iter().collect();
    if address.ip().is_loopback() {
        let port = address.port();
        origins.extend([format!("http://127.0.0.1:{port}"), format!("http://localhost:{port}"), format!("http://[::1]:{port}")]);
    }
    origins.dedup();
    origins
}
