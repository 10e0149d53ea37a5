//! A body that is the file.

use axum::body::{Body, Bytes};
use axum::http::{Request, header};

use super::bounds::{Left, Limits};
use super::disposition::Named;
use super::headers::{CONTENT_MD5, text};
use super::source::Source;
use super::{ContentReader, Fault, FileHead, Machine, Piece, Queue};

impl ContentReader {
    /// A body that is one file, which the headers of the request describe.
    ///
    /// # Errors
    /// It is compressed, or longer than it may be by its `Content-Length`.
    pub(in crate::api) fn raw(request: Request<Body>, limits: Limits) -> Result<Self, Fault> {
        let headers = request.headers();
        let named = headers.get(header::CONTENT_DISPOSITION).map(|value| Named::in_header(value.as_bytes())).unwrap_or_default();
        let (declared_type, md5) = (text(headers, &header::CONTENT_TYPE), text(headers, &CONTENT_MD5));
        let source = Source::new(request, limits, limits.plain())?;
        let size = source.length();
        if size.is_some_and(|size| size > limits.content) {
            return Err(Fault::BodyTooLarge);
        }
        let head = FileHead { field: named.name, name: named.file_name, declared_type, size, md5 };
        Ok(Self::of(source, Raw { head: Some(head), left: Left::of(limits) }))
    }
}

struct Raw {
    /// Until the file has begun.
    head: Option<FileHead>,
    left: Left,
}

impl Raw {
    fn begin(&mut self, queue: &mut Queue) {
        queue.extend(self.head.take().map(Piece::File));
    }
}

impl Machine for Raw {
    fn take(&mut self, bytes: Bytes, queue: &mut Queue) -> Result<(), Fault> {
        self.begin(queue);
        self.left.content(bytes.len())?;
        queue.push_back(Piece::Bytes(bytes));
        Ok(())
    }

    fn end(&mut self, queue: &mut Queue) -> Result<(), Fault> {
        self.begin(queue);
        queue.push_back(Piece::FileEnd);
        Ok(())
    }
}
