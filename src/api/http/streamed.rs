//! Answers that have the bytes of files in them, as base64: written while they are read from the bucket, nothing of them kept.

use std::collections::VecDeque;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderValue, Method, Response};
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};

use super::base64_text::{self, Encoder};
use super::downloads::places::Link;
use super::fault::Fault;
use super::state::AppState;
use crate::broker::{BrokerError, ObjectBody};
use crate::domain::File;

/// A part of an answer.
pub(in crate::api) enum Segment {
    Text(Bytes),
    /// The letters of its bytes.
    Content(Box<File>),
}

/// An answer in the making: its text, with gaps where files are read into it.
#[derive(Default)]
pub(in crate::api) struct Streamed {
    segments: Vec<Segment>,
    text: String,
    length: u64,
}

impl Streamed {
    pub(in crate::api) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// The bytes of a file, as base64.
    pub(in crate::api) fn content(&mut self, file: &File) {
        self.end_text();
        self.length += base64_text::length(file.size());
        self.segments.push(Segment::Content(Box::new(file.clone())));
    }

    fn end_text(&mut self) {
        self.length += self.text.len() as u64;
        self.segments.push(Segment::Text(std::mem::take(&mut self.text).into()));
    }

    /// All text so far.
    pub(in crate::api) fn texts(&self) -> Vec<&[u8]> {
        let texts = self.segments.iter().filter_map(|segment| if let Segment::Text(text) = segment { Some(text.as_ref()) } else { None });
        texts.chain([self.text.as_bytes()]).collect()
    }

    /// All of it, where no file is in it.
    pub(in crate::api) fn into_text(self) -> String {
        self.text
    }

    /// What it is made of, to be a part of a longer one.
    pub(in crate::api) fn into_segments(mut self) -> Vec<Segment> {
        self.end_text();
        self.segments
    }

    /// The answer. What cannot even begin is a fault; when something fails in the middle, the connection breaks: an answer that arrives
    /// whole has everything.
    pub(in crate::api) async fn answer(
        self,
        state: &AppState,
        link: Link,
        request: &Parts,
        content_type: &'static str,
    ) -> Result<Response<Body>, Fault> {
        let length = self.length + self.text.len() as u64;
        let mut response = Response::new(Body::empty());
        if request.method != Method::HEAD {
            let segments = stream::iter(self.into_segments()).map(Ok);
            *response.body_mut() = body(state, link, &request.extensions, segments).await?;
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        Ok(response)
    }
}

/// What an answer of these segments consists of: they are asked for as they are sent. Up to the first file nothing is sent, so that what
/// cannot even begin is a fault.
pub(in crate::api) async fn body(
    state: &AppState,
    link: Link,
    extensions: &Extensions,
    segments: impl Stream<Item = Result<Segment, BrokerError>> + Send + 'static,
) -> Result<Body, Fault> {
    let (mut segments, mut texts) = (segments.boxed(), VecDeque::new());
    while let Some(segment) = segments.try_next().await? {
        match segment {
            Segment::Text(text) => texts.push_back(text),
            Segment::Content(first) => {
                let place = state.downloads.place(link, extensions)?;
                let opened = state.broker.read_download(&first, None).await?;
                let reading = Some((opened, Encoder::default()));
                let sending = Sending { state: state.clone(), texts, segments, reading };
                return Ok(place.body(sent(sending)));
            }
        }
    }
    Ok(Body::from(Vec::from(texts).concat()))
}

/// The same of segments that are texts alone, which may be many.
pub(in crate::api) fn text_body(state: &AppState, segments: impl Stream<Item = Result<Segment, BrokerError>> + Send + 'static) -> Body {
    let sending = Sending { state: state.clone(), texts: VecDeque::new(), segments: segments.boxed(), reading: None };
    Body::from_stream(sent(sending))
}

fn sent(sending: Sending) -> impl Stream<Item = Result<Bytes, BrokerError>> {
    stream::try_unfold(sending, |mut sending| async move {
        let piece = sending.next().await.inspect_err(|error| tracing::warn!(%error, "an answer with files in it was cut off"))?;
        Ok::<_, BrokerError>(piece.map(|piece| (piece, sending)))
    })
}

/// What is still to be sent.
struct Sending {
    state: AppState,
    /// What stands before the file that is read.
    texts: VecDeque<Bytes>,
    segments: BoxStream<'static, Result<Segment, BrokerError>>,
    reading: Option<(ObjectBody, Encoder)>,
}

impl Sending {
    async fn next(&mut self) -> Result<Option<Bytes>, BrokerError> {
        loop {
            let piece = if let Some(text) = self.texts.pop_front() {
                text
            } else if let Some((mut body, mut encoder)) = self.reading.take() {
                match body.next().await? {
                    Some(bytes) => {
                        let text = encoder.encode(&bytes);
                        self.reading = Some((body, encoder));
                        text
                    }
                    None => encoder.end(),
                }
            } else {
                match self.segments.try_next().await? {
                    None => return Ok(None),
                    Some(Segment::Text(text)) => text,
                    Some(Segment::Content(file)) => {
                        self.reading = Some((self.state.broker.read_download(&file, None).await?, Encoder::default()));
                        continue;
                    }
                }
            };
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
    }
}
