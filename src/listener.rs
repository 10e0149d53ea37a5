//! The HTTP server below broker and embedded store: hyper, with bounds on what a connection may cost.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;
use tower::Service;
use tower::util::MapRequest;

/// How long a client may take to send its request line and headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// What one server's connections may cost.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Connections at the same time.
    pub connections: u32,
    /// Bytes read at once; request line and headers must fit into it.
    pub buffer_bytes: usize,
}

/// How long requests under way may take to end after a stop was asked for.
pub const DRAIN: Duration = Duration::from_secs(30);

/// How long to wait when the process has no file handles left for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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
/// A connection beyond that waits in the kernel's queue until another ends.
pub async fn serve<S>(listener: TcpListener, service: S, bounds: Bounds, stop: CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let places = Arc::new(Semaphore::new(bounds.connections as usize));
    let mut connections = http1::Builder::new();
    connections.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(bounds.buffer_bytes);
    let graceful = GracefulShutdown::new();
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = stop.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
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
        let told = hang_up.clone();
        let service = MapRequest::new(service.clone(), move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(told.clone());
            request
        });
        let stream = TokioIo::new(Impatient::new(stream, WRITE_TIMEOUT));
        let watched = graceful.watch(connections.serve_connection(stream, TowerToHyperService::new(service)));
        tokio::spawn(async move {
            let _place = place;
            tokio::select! {
                ended = watched => if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                },
                () = hang_up.0.cancelled() => {}
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!(seconds = DRAIN.as_secs(), "requests were cut off: they did not end in time");
    }
}

/// A stream that ends when nobody takes what is written to it: what waits for its room would be held for ever.
struct Impatient<S> {
    stream: S,
    patience: Duration,
    /// Set while a write waits.
    ends: Option<Pin<Box<Sleep>>>,
}

impl<S: Unpin> Impatient<S> {
    fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, ends: None }
    }

    /// What became of a write, or the end of patience with it.
    fn judged<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.ends = None;
            return written;
        }
        let patience = self.patience;
        let ends = self.ends.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ends.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judged(context, written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.judged(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.judged(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up_and_one_that_reads_is_not() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut ours = Impatient::new(ours, Duration::from_millis(500));
        let reading = tokio::spawn(async move {
            let mut taken = [0; 256];
            theirs.read_exact(&mut taken).await.unwrap();
            // Still there, and reading no more.
            theirs
        });
        ours.write_all(&[1; 256]).await.unwrap();
        let theirs = reading.await.unwrap();
        let error = ours.write_all(&[2; 256]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(theirs);
    }
}
