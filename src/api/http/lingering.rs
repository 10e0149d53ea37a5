//! Bodies that are refused before they were read to their end.
//!
//! Who closes a connection while bytes come in resets it, and a client that is still sending then never reads why it was refused. So
//! the rest of such a body is read and thrown away beside the answer, within bounds.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, header};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use tokio::runtime::Handle;

/// How long the rest is read at most.
const LONGEST: Duration = Duration::from_secs(15);

/// How many bytes of it.
const MOST: u64 = 2 << 30;

/// A body whose rest is thrown away when it is dropped.
struct Lingering {
    body: Option<Body>,
    /// Its sender waits for a word before it sends: an answer is one.
    waits: bool,
}

/// The same request, whose body is read to its end when nobody does.
pub(in crate::api) fn lingering(request: Request<Body>) -> Request<Body> {
    if request.body().is_end_stream() {
        return request;
    }
    let waits = request.headers().contains_key(header::EXPECT);
    request.map(|body| Body::new(Lingering { body: Some(body), waits }))
}

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.waits = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| !self.waits && !body.is_end_stream());
        if let (Some(mut rest), Ok(runtime)) = (rest, Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(LONGEST, async move {
                let mut bytes = 0;
                while let Some(Ok(frame)) = rest.frame().await {
                    bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                    if bytes > MOST {
                        return;
                    }
                }
            }));
        }
    }
}
