//! Request bodies that carry files: read only as they are asked for, in constant memory.
//!
//! A body is a row of pieces: fields, and files with their bytes. Who takes them decides when the next byte is read from the socket.
//! Raw bodies, JSON and forms with base64 are machines that are fed what came and have no IO; forms of parts are read by `multer`.

use std::collections::VecDeque;

use axum::body::Bytes;

use super::Fault;
use super::field_errors::FieldErrors;

mod base64;
mod bounds;
mod disposition;
mod encoded;
mod form;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod json;
mod md5;
mod multipart;
mod part;
mod raw;
mod source;
#[cfg(test)]
mod tests;

pub(in crate::api) use bounds::Limits;
pub(in crate::api) use md5::md5;

use multipart::Multipart;
use source::Source;

/// One thing that a body holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) enum Piece {
    /// A field that is no file.
    Field { name: String, value: String },
    /// A file begins. Its bytes follow, then its end.
    File(FileHead),
    /// Some bytes of the file that began; never none, up to 64 KiB.
    Bytes(Bytes),
    /// The file is complete.
    FileEnd,
}

/// What is said of a file before its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::api) struct FileHead {
    /// The field that it is the value of.
    pub(in crate::api) field: Option<String>,
    /// Its name as it was sent: paths and odd characters are for `FileName::sanitized`.
    pub(in crate::api) name: Option<String>,
    /// Its content type as it was sent.
    pub(in crate::api) declared_type: Option<String>,
    /// How many bytes it has as it is stored, where a header says so.
    pub(in crate::api) size: Option<u64>,
    /// Its MD5 as it was written, for [`md5`].
    pub(in crate::api) md5: Option<String>,
}

/// Pieces that were read and not asked for yet.
type Queue = VecDeque<Piece>;

/// What makes pieces of bytes, however they are cut. What it leaves in the queue when it fails came before the failure.
trait Machine {
    fn take(&mut self, bytes: Bytes, queue: &mut Queue) -> Result<(), Fault>;

    fn end(&mut self, queue: &mut Queue) -> Result<(), Fault>;
}

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

/// A body that broke off, or whose length is not what it says.
fn not_whole() -> Fault {
    invalid("body", "must arrive whole")
}

fn invalid(name: &str, message: &str) -> Fault {
    Fault::Invalid(FieldErrors::one(name, message))
}
