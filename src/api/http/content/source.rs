//! The body as it comes from the client: bounded in bytes and in the time without any.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::{Request, header};
use tokio::time::Sleep;

use super::bounds::{Limits, MOST_PIECE_BYTES};
use super::{Fault, not_whole};
use crate::api::http::body::coding;

/// A body, of which nothing is read before it is asked for.
pub(super) struct Source {
    body: Body,
    limits: Limits,
    /// How many bytes may still come.
    left: u64,
    /// How many must still come, where a header says so.
    owed: Option<u64>,
    /// What came and was not handed out.
    rest: Bytes,
    /// Runs while nothing comes.
    idle: Option<Pin<Box<Sleep>>>,
}

impl Source {
    /// The body of a request, of so many bytes or fewer.
    ///
    /// # Errors
    /// It is compressed, or longer by its own words.
    pub(super) fn new(request: Request<Body>, limits: Limits, most: u64) -> Result<Self, Fault> {
        if let Some(coding) = coding(request.headers())
            && !request.body().is_end_stream()
        {
            return Err(Fault::Coded(coding));
        }
        let said = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let owed = said.or_else(|| request.body().size_hint().exact());
        if owed.is_some_and(|length| length > most) {
            return Err(Fault::BodyTooLarge);
        }
        Ok(Self { body: request.into_body(), limits, left: most, owed, rest: Bytes::new(), idle: None })
    }

    /// How long it is, where that is known before the first byte.
    pub(super) fn length(&self) -> Option<u64> {
        self.owed
    }

    /// The next bytes, up to [`MOST_PIECE_BYTES`]; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        poll_fn(|context| self.poll_next(MOST_PIECE_BYTES, context)).await
    }

    /// The same, of so many bytes or fewer.
    pub(super) fn poll_next(&mut self, most: usize, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Fault>> {
        while self.rest.is_empty() {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
                let idle = self.limits.idle;
                let timer = self.idle.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
                ready!(timer.as_mut().poll(context));
                return Poll::Ready(Err(Fault::TooSlow));
            };
            match frame {
                None if self.owed.is_some_and(|owed| owed > 0) => return Poll::Ready(Err(not_whole())),
                None => return Poll::Ready(Ok(None)),
                Some(Err(_)) => return Poll::Ready(Err(not_whole())),
                // What is no data are trailers, which nobody asked for.
                Some(Ok(frame)) => self.rest = frame.into_data().unwrap_or_default(),
            }
            if !self.rest.is_empty() {
                self.idle = None;
                self.took(self.rest.len() as u64)?;
            }
        }
        let piece = self.rest.split_to(self.rest.len().min(most).min(MOST_PIECE_BYTES));
        Poll::Ready(Ok(Some(piece)))
    }

    fn took(&mut self, bytes: u64) -> Result<(), Fault> {
        self.left = self.left.checked_sub(bytes).ok_or(Fault::BodyTooLarge)?;
        if let Some(owed) = &mut self.owed {
            *owed = owed.checked_sub(bytes).ok_or_else(not_whole)?;
        }
        Ok(())
    }
}
