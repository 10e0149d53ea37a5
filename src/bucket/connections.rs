//! How many connections to the store are in use at the same time.
//!
//! The SDK opens one for each request that finds none idle, without a bound: a store that stalls would use up all file handles of the
//! process. So each request holds a permit until its answer was read to the end or dropped. Who waits for one, waits within the bound of
//! time that its request has anyway. Downloads are not among them: they hold a connection for as long as a client reads, and have places of
//! their own.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use aws_config::retry::ErrorKind;
use aws_sdk_s3::config::{ConfigBag, HttpClient, RuntimeComponents, SharedHttpClient};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most requests to a store at the same time.
pub const REQUESTS_AT_ONCE: usize = 256;

/// Most of them to the store of this process, which has connections for uploads too.
pub(super) const REQUESTS_TO_OWN_STORE: usize = 64;

/// The SDK's own client: connections of all that share it are kept together.
pub(super) fn unbounded() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = ConnectorBuilder::default().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        connector.build()
    })
}

/// A client whose requests share so many permits.
#[derive(Debug)]
pub(super) struct Bounded {
    client: SharedHttpClient,
    permits: Arc<Semaphore>,
}

impl Bounded {
    pub(super) fn new(client: SharedHttpClient, at_once: usize) -> Self {
        Self { client, permits: Arc::new(Semaphore::new(at_once)) }
    }
}

impl HttpClient for Bounded {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let connector = self.client.http_connector(settings, components);
        SharedHttpConnector::new(BoundedConnector { connector, permits: self.permits.clone() })
    }

    fn validate_base_client_config(&self, components: &RuntimeComponentsBuilder, config: &ConfigBag) -> Result<(), BoxError> {
        HttpClient::validate_base_client_config(&self.client, components, config)
    }

    fn validate_final_config(&self, components: &RuntimeComponents, config: &ConfigBag) -> Result<(), BoxError> {
        HttpClient::validate_final_config(&self.client, components, config)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.client.connector_metadata()
    }
}

#[derive(Debug)]
struct BoundedConnector {
    connector: SharedHttpConnector,
    permits: Arc<Semaphore>,
}

impl HttpConnector for BoundedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (connector, permits) = (self.connector.clone(), self.permits.clone());
        HttpConnectorFuture::new(async move {
            let closed = |error| ConnectorError::other(Box::new(error), Some(ErrorKind::TransientError));
            let permit = permits.acquire_owned().await.map_err(closed)?;
            let mut answer = connector.call(request).await?;
            let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
            *answer.body_mut() = SdkBody::from_body_1_x(Held { body, permit: Some(permit) }.released_at_the_end());
            Ok(answer)
        })
    }
}

/// An answer that holds its permit until it was read.
struct Held {
    body: SdkBody,
    permit: Option<OwnedSemaphorePermit>,
}

impl Held {
    fn released_at_the_end(mut self) -> Self {
        if self.body.is_end_stream() {
            self.permit = None;
        }
        self
    }
}

impl Body for Held {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.permit = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        Body::size_hint(&self.body)
    }
}
