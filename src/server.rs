//! The composition root: a configuration becomes a running broker.

mod addresses;
mod assembly;
mod clock;
mod configured;
mod embedded;
mod handles;
mod memory;
mod policies;
mod privacy;
mod reload;
mod signing;
mod workers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::{self, AppState, Dialects};
use crate::broker::Broker;
use crate::config::Config;
use crate::database::Database;
use crate::installation_secret::Purpose;
use crate::listener::{self, Bounds};
use crate::metrics;
use crate::proxy_key::ProxyKeys;
use crate::sweeper;
use crate::tokens::{Signing, Token, Tokens};
use crate::webhooks::Webhooks;

use addresses::{bind, origins, public_url};
pub use addresses::{page_origins, reachable};
use assembly::{Opened, max_request, open};
pub use assembly::{broker, bucket_options, file_types};
pub use configured::{dialects, endpoints, queue_options};
pub use embedded::DEVELOPMENT_TOKEN_FILE;
use embedded::{Alone, refuse_open_development_token};
pub use handles::Needed;
pub use memory::warn_of_uploads;
pub use policies::SHIPPED_POLICIES;
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
    /// Where metrics are served, if anywhere.
    pub admin: Option<SocketAddr>,
    /// The token of the embedded mode.
    pub development_token: Option<Token>,
    /// Whether `/` is the upload page.
    pub has_page: bool,
    /// The dialects that it speaks.
    pub dialects: Dialects,
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

impl Server {
    /// Opens database and bucket and starts to listen.
    ///
    /// # Errors
    /// With the reason, when a port is taken, a policy file is broken, database or bucket cannot be reached, or the embedded mode
    /// would be open to other machines.
    pub async fn start(config: &Config) -> anyhow::Result<Self> {
        refuse_open_development_token(config)?;
        let dialects = dialects(config)?;
        privacy::mend_all(config).await;
        let listener = bind(config.listen, "DROPSLIP_LISTEN").await?;
        let address = listener.local_addr()?;
        let admin_listener = match config.admin_listen {
            Some(address) => Some(bind(address, "DROPSLIP_ADMIN_LISTEN").await?),
            None => None,
        };
        let admin = admin_listener.as_ref().map(TcpListener::local_addr).transpose()?;
        metrics::started();
        let public_url = public_url(config, address);
        if config.public_url.is_none() && address.ip().is_unspecified() {
            tracing::warn!(
                "what names this broker, such as links to files, leads to {public_url}, which is this machine alone: set DROPSLIP_PUBLIC_URL"
            );
        }
        let origins = origins(config, address, &public_url);

        let (stopping, stop) = (CancellationToken::new(), CancellationToken::new());
        // The embedded store, and the metrics of it all, outlive the broker's last request.
        let stop_rest = CancellationToken::new();
        let Opened { database, broker, form_url, embedded } = open(config, &origins, Alone::Required, stop_rest.clone()).await?;
        sweeper::count_reserved(&broker).await.context("the bytes of living forms could not be counted")?;
        let development_token = embedded.as_ref().and_then(|embedded| embedded.token.clone());
        configured::judge_dialects(config, &dialects, &broker.file_types())?;
        let (tokens, links) = tokens(config, &database, development_token.clone()).await?;
        configured::log_sessions(&dialects, tokens.makes_sessions());
        configured::log_signed_calls(&dialects, tokens.takes_signed_calls());
        let state = AppState::from(api::Parts {
            broker: broker.clone(),
            tokens: tokens.clone(),
            public_url: public_url.as_str().into(),
            files: dialects.files(),
            notifications: configured::bucket_events_secret(config)?,
            settings: configured::dialect_settings(config),
            downloads: configured::downloads(config, links)?,
            stopping: stopping.clone(),
        });
        let webhooks =
            Webhooks::new(database.clone(), endpoints(config)?, config.webhooks_retry.clone()).context("DROPSLIP_WEBHOOKS_FILE")?;
        let webhooks = Arc::new(webhooks);
        let working = workers::start(config, &broker, &tokens, &webhooks, &stop).await?;

        let admin_router = api::admin::router(state.clone());
        let admin_serving = admin_listener.map(|listener| listener::serve(listener, admin_router, ADMIN_BOUNDS, stop_rest.clone()));
        let form_origin = url::Url::parse(&form_url).context("DROPSLIP_S3_PUBLIC_ENDPOINT")?.origin().ascii_serialization();
        let router = api::router(state.clone(), &dialects, &origins, config.page.then_some(&form_origin));
        let (ending, proxies) = (stop.clone(), config.trusted_proxies.clone().unwrap_or_default());
        let bounds = Bounds { connections: config.max_connections, buffer_bytes: 64 * 1024 };
        let serving = tokio::spawn(async move {
            // Workers talk to the embedded store too, and end what is under way.
            tokio::join!(listener::serve_by_address(listener, router, bounds, proxies, ending.clone()), workers::ended(working, ending));
            stop_rest.cancel();
        });
        let embedded_s3 = embedded.as_ref().map(|embedded| embedded.address);
        let rest = embedded.and_then(|embedded| embedded.task).into_iter().chain(admin_serving.map(tokio::spawn));
        Ok(Self {
            address,
            public_url,
            form_url,
            max_request: max_request(config, broker.method()),
            broker,
            embedded_s3,
            admin,
            development_token,
            has_page: config.page,
            dialects,
            drain_delay: config.drain_delay,
            stopping,
            tokens,
            state,
            webhooks,
            stop,
            tasks: std::iter::once(serving).chain(rest).collect(),
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

/// Everybody who has a token that is kept here, with what makes pairs of keys, for a command beside the broker.
///
/// # Errors
/// When the secret lies where it may make none, or what is configured cannot be read.
pub async fn holders(config: &Config, database: &Database) -> anyhow::Result<Tokens> {
    if !find_secret(config)?.source.may_sign(Purpose::SignedCalls) {
        bail!(
            "the installation secret lies in the database, and who reads that could make pairs too: set DROPSLIP_SECRETS or \
             DROPSLIP_SECRETS_FILE, the same as for the brokers"
        );
    }
    let signing = signing::signing(config, database).await?;
    let tokens = Tokens::new(database.clone(), embedded::development_token(config)?).and(configured::token_file(config)?, None);
    Ok(tokens.signing(Signing::of(&signing.secret), OffsetDateTime::UNIX_EPOCH))
}

/// Everybody who may call, and the keys of links, by the installation secret.
async fn tokens(config: &Config, database: &Database, development: Option<Token>) -> anyhow::Result<(Tokens, Option<ProxyKeys>)> {
    let signing = signing::signing(config, database).await?;
    configured::log_signing(&signing);
    let first_signed_at = signing::first_signed_at(database, OffsetDateTime::now_utc()).await?;
    let tokens = configured::tokens(config, database.clone(), development).await?;
    Ok((tokens.signing(Signing::of(&signing.secret), first_signed_at), signing.links))
}
