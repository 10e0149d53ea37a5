//! The HTTP server below broker and embedded store: hyper, with bounds on what a connection may cost.

mod place;
mod places;
mod stream;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::header::{DATE, Entry};
use axum::http::{HeaderName, HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::Service;
use tower::util::MapRequest;

use crate::domain::{Address, TrustedProxies};
use place::{Place, Shared};
use stream::Impatient;

/// How long a client may take to send its request line and headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// What one server's connections may cost.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Connections at the same time. Of those beyond, each takes the place of the one that is idle the longest, or waits.
    pub connections: u32,
    /// Bytes read at once; request line and headers must fit into it.
    pub buffer_bytes: usize,
}

/// How long requests under way may take to end after a stop was asked for.
pub const DRAIN: Duration = Duration::from_secs(30);

/// How long to wait when the process has no file handles left for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where proxies say for whom they ask.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// How long a client may take none of the bytes that are sent to it.
const WRITE_TIMEOUT: Duration = Duration::from_mins(1);

/// How many bytes the kernel keeps of what is sent beyond those that are on their way. It would keep megabytes for a slow client, and
/// what a client takes shows only as fast as that empties.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 * 1024;

/// Ends the connection that a request came on; each request carries one as an extension.
#[derive(Debug, Clone, Default)]
pub struct HangUp(CancellationToken);

impl HangUp {
    /// Ends it now, in the middle of an answer.
    pub fn hang_up(&self) {
        self.0.cancel();
    }

    /// Whether somebody has.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// Serves connections within `bounds` until `stop`, then lets requests under way end.
///
/// At the bound, a new connection takes the place of the one that is idle the longest: between two requests, or with no whole head sent
/// yet. While a request is under way on each, it waits in the kernel's queue until one is answered.
pub async fn serve<S>(listener: TcpListener, service: S, bounds: Bounds, stop: CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    Box::pin(run(listener, service, bounds, None, stop)).await;
}

/// The same with a share of the connections for each address, so that none can have them all; requests get their [`Address`] as an
/// extension, where it is known.
pub async fn serve_by_address<S>(listener: TcpListener, service: S, bounds: Bounds, proxies: TrustedProxies, stop: CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    Box::pin(run(listener, service, bounds, Some(Arc::new(proxies)), stop)).await;
}

async fn run<S>(listener: TcpListener, service: S, bounds: Bounds, proxies: Option<Arc<TrustedProxies>>, stop: CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let places = Shared::new(bounds.connections as usize);
    let mut connections = http1::Builder::new();
    connections.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(bounds.buffer_bytes);
    let graceful = GracefulShutdown::new();
    loop {
        let next = async {
            let (stream, peer) = listener.accept().await?;
            let address = proxies.as_ref().and_then(|proxies| proxies.of_connection(peer.ip()));
            Ok::<_, std::io::Error>((stream, peer, places.enter(address).await))
        };
        let accepted = tokio::select! {
            next = next => next,
            () = stop.cancelled() => break,
        };
        let (stream, peer, place) = match accepted {
            Ok((stream, peer, Some(place))) => (stream, peer, place),
            Ok((_, peer, None)) => {
                tracing::debug!(address = %peer.ip(), "a connection was closed: requests are under way on all of its address's share");
                continue;
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Answers are small and wanted at once.
        let _ = stream.set_nodelay(true);
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
        let hang_up = HangUp::default();
        let asked = hang_up.clone();
        let service = MapRequest::new(service.clone(), move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(asked.clone());
            request
        });
        let flushed = place.clone();
        let stream = Impatient::new(stream, WRITE_TIMEOUT, move || flushed.flushed());
        let service = Counted { service: TowerToHyperService::new(service), place: place.clone(), peer, proxies: proxies.clone() };
        let watched = graceful.watch(connections.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            let mut watched = pin!(watched);
            tokio::select! {
                // A request that has just arrived is seen first, and keeps the place.
                biased;
                ended = &mut watched => if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                },
                () = hang_up.0.cancelled() => {}
                () = place.has_to_go() => tracing::debug!("an idle connection was closed to make room for another"),
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!(seconds = DRAIN.as_secs(), "requests were cut off: they did not end in time");
    }
}

/// A service whose requests keep their connection's place, and know their address.
struct Counted<S> {
    service: TowerToHyperService<S>,
    place: Arc<Place>,
    peer: SocketAddr,
    proxies: Option<Arc<TrustedProxies>>,
}

impl<S> Counted<S> {
    fn address<B>(&self, request: &Request<B>) -> Option<Address> {
        let lines = request.headers().get_all(FORWARDED_FOR);
        self.proxies.as_ref()?.of_request(self.peer.ip(), lines.iter().map(axum::http::HeaderValue::as_bytes))
    }
}

impl<S> hyper::service::Service<Request<Incoming>> for Counted<S>
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let under_way = self.place.begin();
        if let Some(address) = self.address(&request) {
            request.extensions_mut().insert(address);
        }
        let answered = self.service.call(request);
        Box::pin(async move {
            let mut answer = answered.await?;
            // hyper would write the one that it remembers, until the clock is beyond it: for an hour, after it went back by one.
            if let Entry::Vacant(date) = answer.headers_mut().entry(DATE)
                && let Ok(now) = HeaderValue::try_from(httpdate::fmt_http_date(SystemTime::now()))
            {
                date.insert(now);
            }
            Ok(under_way.until_answered(answer))
        })
    }
}
