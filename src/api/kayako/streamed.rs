//! Answers that have the bytes of files in them: written while they are read from the bucket, nothing of them kept.

use std::vec::IntoIter;

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Response};

use super::base64_text::{self, Encoder};
use super::file::{Member, Showing, tag_part};
use crate::api::http::downloads::places::Link;
use crate::api::http::rendering::JSON;
use crate::api::http::{AppState, Fault};
use crate::broker::{BrokerError, ObjectBody};
use crate::domain::File;

/// A part of an answer.
enum Segment {
    Text(Bytes),
    /// The letters of its bytes.
    Content(Box<File>),
}

/// An answer in the making: its text, with gaps where files are read into it.
#[derive(Default)]
pub(super) struct Streamed {
    segments: Vec<Segment>,
    text: String,
    length: u64,
}

impl Streamed {
    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// A file, each member under what `name` makes of its own.
    pub(super) fn file(&mut self, file: &File, showing: &Showing<'_>, name: impl Fn(&str) -> String) {
        self.push("{");
        for (place, (member, value)) in showing.members(file).into_iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            self.push(&format!("{comma}\"{}\":", name(member)));
            match value {
                Member::Value(value) => self.push(&value.to_string()),
                Member::Content => {
                    self.push("\"");
                    self.end_text();
                    self.length += base64_text::length(file.size());
                    self.segments.push(Segment::Content(Box::new(file.clone())));
                    self.push("\"");
                }
            }
        }
        self.push("}");
    }

    fn end_text(&mut self) {
        self.length += self.text.len() as u64;
        self.segments.push(Segment::Text(std::mem::take(&mut self.text).into()));
    }

    /// Stands for the whole text; what is read into it is named by the rest of an entity tag.
    pub(super) fn tag(&self) -> String {
        let texts = self.segments.iter().filter_map(|segment| if let Segment::Text(text) = segment { Some(text.as_ref()) } else { None });
        tag_part(&texts.chain([self.text.as_bytes()]).collect::<Vec<_>>())
    }

    /// The answer. What cannot even begin is a fault; when something fails in the middle, the connection breaks: an answer that arrives
    /// whole has everything.
    pub(super) async fn answer(mut self, state: &AppState, link: Link, request: &Parts) -> Result<Response<Body>, Fault> {
        self.end_text();
        let mut response = Response::new(Body::empty());
        if request.method != Method::HEAD {
            *response.body_mut() = self.body(state, link, request).await?;
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(self.length));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        headers.insert(VARY, HeaderValue::from_static("authorization, x-session-id, x-options"));
        Ok(response)
    }

    async fn body(&mut self, state: &AppState, link: Link, request: &Parts) -> Result<Body, Fault> {
        let segments = std::mem::take(&mut self.segments);
        let first = segments.iter().find_map(|segment| if let Segment::Content(file) = segment { Some(file) } else { None });
        let Some(first) = first else {
            let texts = segments.into_iter().filter_map(|segment| if let Segment::Text(text) = segment { Some(text) } else { None });
            return Ok(Body::from(texts.collect::<Vec<_>>().concat()));
        };
        let place = state.downloads.place(link, &request.extensions)?;
        let opened = Some(state.broker.read_download(first, None).await?);
        let sending = Sending { state: state.clone(), segments: segments.into_iter(), opened, reading: None };
        Ok(place.body(futures_util::stream::try_unfold(sending, |mut sending| async move {
            let piece = sending.next().await.inspect_err(|error| tracing::warn!(%error, "an answer with files in it was cut off"))?;
            Ok::<_, BrokerError>(piece.map(|piece| (piece, sending)))
        })))
    }
}

/// What is still to be sent.
struct Sending {
    state: AppState,
    segments: IntoIter<Segment>,
    /// The first file, which was opened before the answer began.
    opened: Option<ObjectBody>,
    reading: Option<(ObjectBody, Encoder)>,
}

impl Sending {
    async fn next(&mut self) -> Result<Option<Bytes>, BrokerError> {
        loop {
            let piece = match self.reading.take() {
                Some((mut body, mut encoder)) => match body.next().await? {
                    Some(bytes) => {
                        let text = encoder.encode(&bytes);
                        self.reading = Some((body, encoder));
                        text
                    }
                    None => encoder.end(),
                },
                None => match self.segments.next() {
                    None => return Ok(None),
                    Some(Segment::Text(text)) => text,
                    Some(Segment::Content(file)) => {
                        let body = match self.opened.take() {
                            Some(body) => body,
                            None => self.state.broker.read_download(&file, None).await?,
                        };
                        self.reading = Some((body, Encoder::default()));
                        continue;
                    }
                },
            };
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
    }
}
