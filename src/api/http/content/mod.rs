//! Request bodies that carry files: read only as they are asked for, in constant memory.
//!
//! A body is a row of pieces: fields, and files with their bytes. Who takes them decides when the next byte is read from the socket.
//! Raw bodies, JSON and forms with base64 are machines that are fed what came and have no IO; forms of parts are read by `multer`.

use axum::body::Body;
use axum::http::Request;

use super::Fault;

mod base64;
mod bounds;
mod disposition;
mod encoded;
mod form;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod headers;
mod json;
mod md5;
mod multipart;
mod part;
mod piece;
mod raw;
mod source;
#[cfg(test)]
mod tests;

pub(in crate::api) use bounds::Limits;
pub(in crate::api) use md5::md5;
pub(in crate::api) use piece::{FileHead, Piece};

use multipart::Multipart;
use part::boundary;
use piece::{Machine, Queue, invalid, not_whole};
use source::Source;

/// A body that carries files, one piece after the other.
pub(in crate::api) struct ContentReader {
    queue: Queue,
    state: State,
}

enum State {
    Fed(Source, Box<dyn Machine + Send>),
    Multipart(Box<Multipart>),
    /// It goes on to fail once the pieces before the failure were taken.
    Failing(Fault),
    Failed,
    Ended,
}

impl ContentReader {
    /// A form of parts. Complaints about its files are about what they are `called`.
    ///
    /// # Errors
    /// It is compressed, names no boundary, or is longer than it may be by its `Content-Length`.
    pub(in crate::api) fn multipart(request: Request<Body>, called: &'static str, limits: Limits) -> Result<Self, Fault> {
        let boundary = boundary(request.headers())?;
        let source = Source::new(request, limits, limits.plain())?;
        Ok(Self { queue: Queue::new(), state: State::Multipart(Box::new(Multipart::new(source, boundary, called, limits))) })
    }

    fn of(source: Source, machine: impl Machine + Send + 'static) -> Self {
        Self { queue: Queue::new(), state: State::Fed(source, Box::new(machine)) }
    }

    /// The next piece; `None` once the whole body was read. Nothing is read before it is called, and little more than it needs.
    ///
    /// # Errors
    /// The body is none of its kind, too long, too slow, or did not arrive whole. Nothing comes after that.
    pub(in crate::api) async fn next(&mut self) -> Result<Option<Piece>, Fault> {
        loop {
            if let Some(piece) = self.queue.pop_front() {
                return Ok(Some(piece));
            }
            let read = match &mut self.state {
                State::Fed(source, machine) => match source.next().await {
                    Ok(Some(bytes)) => machine.take(bytes, &mut self.queue).map(|()| true),
                    Ok(None) => machine.end(&mut self.queue).map(|()| false),
                    Err(fault) => Err(fault),
                },
                State::Multipart(form) => form.read(&mut self.queue).await,
                State::Ended => return Ok(None),
                State::Failing(_) | State::Failed => match std::mem::replace(&mut self.state, State::Failed) {
                    State::Failing(fault) => return Err(fault),
                    _ => return Err(not_whole()),
                },
            };
            match read {
                Ok(true) => {}
                Ok(false) => self.state = State::Ended,
                Err(fault) => self.state = State::Failing(fault),
            }
        }
    }
}
