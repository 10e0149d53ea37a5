//! Forms whose files go to the disk as they come, and never through memory.
//!
//! `s3s` gathers a form's whole file before it asks whether the policy allows it. So it is handed the same form with a file of as many
//! zeros, which all are one static piece of memory, while the bytes themselves are written into the folder for new objects.
//!
//! - **`s3s` alone judges.** The fields are written down anew for it: what was understood of the request here is what it judges.
//! - **It asks for nothing of the file before the signature is good,** and for no more once the file is larger than the policy allows.
//!   What it does not ask for is neither read nor written.
//! - **What is before the file is bounded,** in number and size. What comes after it is not read, as S3 ignores it.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::{HeaderValue, Method, Request, header};
use futures_util::{Stream, StreamExt as _, stream};
use multer::{Field, Multipart};
use s3s::dto::StreamingBlob;
use s3s::{S3Result, s3_error};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;

use super::staged::Staged;
use crate::random;

/// Most bytes of all fields before the file, with all that is around them.
pub(super) const MOST_FIELD_BYTES: usize = 256 * 1024;

/// Most parts of a form up to its file.
pub(super) const MOST_PARTS: usize = 64;

/// Beyond [`MOST_FIELD_BYTES`], the piece of the body in which the file begins.
const ONE_PIECE: usize = 64 * 1024;

/// How much is read back at once.
const READ_AT_ONCE: usize = 64 * 1024;

/// What `s3s` is shown instead of the file.
static ZEROS: [u8; 256 * 1024] = [0; 256 * 1024];

/// The file of a form, for whoever puts it into its place. It is gone with the last of its handles.
#[derive(Clone)]
pub(super) struct Arrived {
    staged: Arc<Staged>,
    /// Whether the disk refused some of it.
    is_broken: Arc<AtomicBool>,
}

impl Arrived {
    /// Its bytes, once all of them have come.
    pub(super) async fn bytes(&self) -> S3Result<StreamingBlob> {
        if self.is_broken.load(Ordering::Relaxed) {
            return Err(s3_error!(InternalError, "The file could not be written."));
        }
        let file = File::open(self.staged.object()).await.map_err(|error| s3_error!(error, InternalError))?;
        Ok(StreamingBlob::wrap(ReaderStream::with_capacity(file, READ_AT_ONCE)))
    }
}

/// Reads a form's fields and makes it one whose file is on its way to the disk; any other request stays as it is.
///
/// What cannot be read becomes a form of nothing, which `s3s` refuses in its own words.
pub(super) async fn on_its_way(root: &Path, request: Request<Body>) -> Request<Body> {
    let mut types = request.headers().get_all(header::CONTENT_TYPE).iter();
    let (Some(content_type), None) = (types.next(), types.next()) else { return request };
    let is_form = content_type.as_bytes().get(..10).is_some_and(|start| start.eq_ignore_ascii_case(b"multipart/"));
    if !is_form || request.method() != Method::POST {
        return request;
    }
    let boundary = content_type.to_str().ok().and_then(|content_type| multer::parse_boundary(content_type).ok());
    let (mut head, body) = request.into_parts();
    let form = match boundary {
        Some(boundary) => fields(body.into_data_stream(), boundary).await,
        None => None,
    };
    let Some((fields, file)) = form else { return Request::from_parts(head, Body::empty()) };
    // A name of its own, which is in none of the fields.
    let boundary = hex::encode(random::bytes::<16>());
    let Ok(content_type) = HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}")) else {
        return Request::from_parts(head, Body::empty());
    };
    head.headers.insert(header::CONTENT_TYPE, content_type);
    let arriving = Arrived { staged: Arc::new(Staged::new(root)), is_broken: Arc::default() };
    head.extensions.insert(arriving.clone());
    let coming = Coming {
        shown: Some(written(&fields, &boundary)),
        end: format!("\r\n--{boundary}--\r\n").into(),
        from: Some(file),
        to: None,
        arriving,
        owed: 0,
    };
    let body = Body::from_stream(stream::try_unfold(Some(coming), |coming| async move {
        match coming {
            Some(coming) => coming.next().await.map(Some),
            None => Ok(None),
        }
    }));
    Request::from_parts(head, body)
}

/// A field's name and bytes.
type Named = (String, Vec<u8>);

/// The fields before the file, and the file; `None` of what is no form or too much of one.
async fn fields(body: BodyDataStream, boundary: String) -> Option<(Vec<Named>, Field<'static>)> {
    let left = Arc::new(AtomicUsize::new(MOST_FIELD_BYTES + ONE_PIECE));
    let mut form = Multipart::new(Bounded { body, left: left.clone(), rests: false }, boundary);
    let mut fields = Vec::new();
    for _ in 0..MOST_PARTS {
        let mut field = form.next_field().await.ok()??;
        let name = field.name().filter(|name| !name.chars().any(|c| c.is_control() || c == '"' || c == '\\'))?.to_owned();
        if name.eq_ignore_ascii_case("file") {
            left.store(usize::MAX, Ordering::Relaxed);
            return Some((fields, field));
        }
        let mut value = Vec::new();
        while let Some(piece) = field.chunk().await.ok()? {
            value.extend_from_slice(&piece);
        }
        fields.push((name, value));
    }
    None
}

/// The beginning of a form, up to the first byte of its file.
fn written(fields: &[Named], boundary: &str) -> Bytes {
    let mut text = Vec::new();
    for (name, value) in fields {
        text.extend_from_slice(format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").as_bytes());
        text.extend_from_slice(value);
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(format!("--{boundary}\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n").as_bytes());
    text.into()
}

/// A body that ends in a failure when there is more of it than may be left. Between two pieces it rests: who reads it takes all that
/// comes without a rest into memory.
struct Bounded {
    body: BodyDataStream,
    left: Arc<AtomicUsize>,
    rests: bool,
}

impl Stream for Bounded {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.rests) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let next = std::task::ready!(self.body.poll_next_unpin(context));
        self.rests = true;
        let Some(Ok(piece)) = &next else { return Poll::Ready(next) };
        let left = self.left.load(Ordering::Relaxed);
        if left != usize::MAX {
            let Some(left) = left.checked_sub(piece.len()) else {
                return Poll::Ready(Some(Err(axum::Error::new("the fields before the file are too much"))));
            };
            self.left.store(left, Ordering::Relaxed);
        }
        Poll::Ready(next)
    }
}

/// A form on its way: what `s3s` is shown of it, and where its file goes.
struct Coming {
    /// The fields, until they were shown.
    shown: Option<Bytes>,
    end: Bytes,
    from: Option<Field<'static>>,
    to: Option<File>,
    arriving: Arrived,
    /// Bytes that were written and not shown.
    owed: usize,
}

impl Coming {
    /// The next piece to show; nothing comes after the end.
    async fn next(mut self) -> std::io::Result<(Bytes, Option<Self>)> {
        if let Some(fields) = self.shown.take() {
            return Ok((fields, Some(self)));
        }
        while self.owed < ZEROS.len()
            && let Some(from) = &mut self.from
        {
            let piece = from.chunk().await.map_err(std::io::Error::other)?;
            // Once the disk is full, the rest is still read: whoever sends it would not hear an answer meanwhile.
            if !self.arriving.is_broken.load(Ordering::Relaxed)
                && let Err(error) = self.write(piece.as_ref()).await
            {
                tracing::warn!(%error, "the file of a form could not be written");
                self.arriving.is_broken.store(true, Ordering::Relaxed);
            }
            match piece {
                Some(piece) => self.owed += piece.len(),
                None => self.from = None,
            }
        }
        let shown = self.owed.min(ZEROS.len());
        if shown == 0 {
            return Ok((self.end, None));
        }
        self.owed -= shown;
        Ok((Bytes::from_static(&ZEROS).slice(..shown), Some(self)))
    }

    /// Writes a piece, or waits for all that was written at the end.
    async fn write(&mut self, piece: Option<&Bytes>) -> std::io::Result<()> {
        if self.to.is_none() {
            // Whoever hangs up meanwhile does not leave a file behind: the last handle goes when it is made.
            let staged = self.arriving.staged.clone();
            let made = tokio::task::spawn_blocking(move || staged.create().map(|file| (file, staged)));
            self.to = Some(File::from_std(made.await??.0));
        }
        let Some(to) = &mut self.to else { return Ok(()) };
        match piece {
            Some(piece) => to.write_all(piece).await,
            None => to.flush().await,
        }
    }
}
