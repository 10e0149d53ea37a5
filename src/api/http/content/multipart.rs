//! Forms of parts, as browsers and most libraries send files: read by `multer`, behind a stream that bounds what it keeps.
//!
//! `multer` takes all that comes without a pause, and looks for the end of a part's headers without bound. The stream below rests
//! before it reads, so that what is in memory is looked at first, and fails once there was too much without an end of headers.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::Bytes;
use futures_util::Stream;

use super::bounds::{Left, Limits, MOST_FILES, MOST_HEADER_BYTES, MOST_PIECE_BYTES};
use super::part::{Part, header_bytes, unreadable};
use super::source::Source;
use super::{Fault, Piece, Queue, invalid};

/// What stands around each part beside its boundary: hyphens and line ends.
const AROUND_A_PART: usize = 8;

/// A form on its way.
pub(super) struct Multipart {
    form: multer::Multipart<'static>,
    shared: Arc<Mutex<Shared>>,
    /// The part that is read.
    current: Option<(multer::Field<'static>, Part)>,
    /// Whether the file of the part has begun.
    has_begun: bool,
    /// The value of a field so far.
    value: Vec<u8>,
    files: usize,
    around: usize,
    left: Left,
    called: &'static str,
}

impl Multipart {
    pub(super) fn new(source: Source, boundary: String, called: &'static str, limits: Limits) -> Self {
        let shared = Arc::new(Mutex::new(Shared { source, failure: None, room: None, rests: 1 }));
        Self {
            around: boundary.len() + AROUND_A_PART,
            form: multer::Multipart::new(Bounded(shared.clone()), boundary),
            shared,
            current: None,
            has_begun: false,
            value: Vec::new(),
            files: 0,
            left: Left::of(limits),
            called,
        }
    }

    /// Reads a little; whether there may be more.
    pub(super) async fn read(&mut self, queue: &mut Queue) -> Result<bool, Fault> {
        let Some((field, part)) = &mut self.current else { return self.begin().await };
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).rest(None);
        match field.chunk().await {
            Ok(Some(bytes)) if part.is_file() => {
                if !bytes.is_empty() {
                    begin_file(&mut self.has_begun, &mut self.files, part, self.called, queue)?;
                    let stored = part.take(bytes)?;
                    self.left.content(stored.len())?;
                    push(stored, queue);
                }
                Ok(true)
            }
            Ok(Some(bytes)) => {
                let stored = part.take(bytes)?;
                self.left.beside(stored.len())?;
                self.value.extend_from_slice(&stored);
                Ok(true)
            }
            Ok(None) => self.end(queue).map(|()| true),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// The next part, if there is one.
    async fn begin(&mut self) -> Result<bool, Fault> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).rest(Some(MOST_HEADER_BYTES));
        match self.form.next_field().await {
            Ok(Some(field)) => {
                self.left.beside(header_bytes(field.headers()) + self.around)?;
                let part = Part::new(field.headers(), self.called)?;
                self.current = Some((field, part));
                Ok(true)
            }
            Ok(None) => self.drain().await,
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// The part is complete.
    fn end(&mut self, queue: &mut Queue) -> Result<(), Fault> {
        let Some((_, mut part)) = self.current.take() else { return Ok(()) };
        let last = part.end()?;
        if part.is_file() {
            // Nothing was chosen in a browser.
            if self.has_begun || !part.is_nameless() {
                begin_file(&mut self.has_begun, &mut self.files, &part, self.called, queue)?;
                self.left.content(last.len())?;
                push(last, queue);
                queue.push_back(Piece::FileEnd);
            }
            self.has_begun = false;
            return Ok(());
        }
        self.left.beside(last.len())?;
        self.value.extend_from_slice(&last);
        let value = String::from_utf8(std::mem::take(&mut self.value)).map_err(|_| invalid("body", "must have fields in UTF-8"))?;
        queue.push_back(Piece::Field { name: part.name().to_owned(), value });
        Ok(())
    }

    /// What follows the last boundary means nothing; but it must arrive, and may not be much.
    async fn drain(&mut self) -> Result<bool, Fault> {
        let shared = self.shared.clone();
        let next = std::future::poll_fn(move |context| {
            shared.lock().unwrap_or_else(PoisonError::into_inner).source.poll_next(MOST_PIECE_BYTES, context)
        });
        match next.await? {
            Some(bytes) => self.left.beside(bytes.len()).map(|()| true),
            None => Ok(false),
        }
    }

    fn failed(&self, error: &multer::Error) -> Fault {
        let failure = self.shared.lock().unwrap_or_else(PoisonError::into_inner).failure.take();
        failure.unwrap_or_else(|| unreadable(error))
    }
}

fn begin_file(has_begun: &mut bool, files: &mut usize, part: &Part, called: &str, queue: &mut Queue) -> Result<(), Fault> {
    if *has_begun {
        return Ok(());
    }
    *has_begun = true;
    *files += 1;
    if *files > MOST_FILES {
        return Err(invalid(called, &format!("must be {MOST_FILES} files or fewer in one request")));
    }
    queue.push_back(Piece::File(part.head()));
    Ok(())
}

/// Bytes in pieces of the longest length or less; `multer` may join what was cut.
fn push(mut bytes: Bytes, queue: &mut Queue) {
    while !bytes.is_empty() {
        queue.push_back(Piece::Bytes(bytes.split_to(bytes.len().min(MOST_PIECE_BYTES))));
    }
}

/// The body, for `multer` and for whoever bounds it.
struct Shared {
    source: Source,
    /// Why the body failed.
    failure: Option<Fault>,
    /// How many bytes may come before headers end, while they are looked for.
    room: Option<usize>,
    /// How often it pauses before it reads.
    rests: u8,
}

impl Shared {
    fn rest(&mut self, room: Option<usize>) {
        self.rests = 1;
        self.room = room;
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Fault>> {
        if let Some(left) = self.rests.checked_sub(1) {
            self.rests = left;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.room == Some(0) {
            return Poll::Ready(Err(Fault::BodyTooLarge));
        }
        let next = ready!(self.source.poll_next(self.room.unwrap_or(MOST_PIECE_BYTES), context));
        // Twice: while it looks for the first boundary, `multer` asks once more before it looks at what came.
        self.rests = 2;
        if let (Some(room), Ok(Some(bytes))) = (&mut self.room, &next) {
            *room -= bytes.len();
        }
        Poll::Ready(next)
    }
}

struct Bounded(Arc<Mutex<Shared>>);

/// What `multer` is told of a failure, whose reason is kept beside it.
#[derive(Debug, thiserror::Error)]
#[error("the body failed")]
struct Failed;

impl Stream for Bounded {
    type Item = Result<Bytes, Failed>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match ready!(shared.poll_next(context)) {
            Ok(bytes) => Poll::Ready(bytes.map(Ok)),
            Err(fault) => {
                shared.failure = Some(fault);
                Poll::Ready(Some(Err(Failed)))
            }
        }
    }
}
