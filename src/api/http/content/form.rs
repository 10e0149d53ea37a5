//! Urlencoded forms with a file as base64 in a field.

use axum::body::{Body, Bytes};
use axum::http::Request;
use url::form_urlencoded;

use super::bounds::{Left, Limits};
use super::encoded::Encoded;
use super::source::Source;
use super::{ContentReader, Fault, Machine, Piece, Queue};

impl ContentReader {
    /// A urlencoded form whose field of one of these names is a file in base64; complaints about it go by the first.
    ///
    /// # Errors
    /// It is compressed, or longer than it may be by its `Content-Length`.
    pub(in crate::api) fn form(request: Request<Body>, names: &'static [&'static str], limits: Limits) -> Result<Self, Fault> {
        let source = Source::new(request, limits, limits.escaped())?;
        Ok(Self::of(source, Form::new(names, limits)))
    }
}

pub(super) struct Form {
    /// The field that is read, as it came; of the file nothing.
    field: Vec<u8>,
    /// Of the file: a percent sign and what follows, until it is whole.
    escape: Vec<u8>,
    is_name: bool,
    is_content: bool,
    content: Encoded,
    left: Left,
}

impl Form {
    pub(super) fn new(names: &'static [&'static str], limits: Limits) -> Self {
        let (field, escape) = (Vec::new(), Vec::new());
        Self { field, escape, is_name: true, is_content: false, content: Encoded::new(names), left: Left::of(limits) }
    }

    /// Some of the file. A plus is a space in forms, and a space is a plus here: base64 has no spaces.
    fn content(&mut self, text: &[u8], queue: &mut Queue) -> Result<(), Fault> {
        let mut plain = Vec::with_capacity(text.len());
        for byte in text {
            if *byte != b'%' && self.escape.is_empty() {
                plain.push(if *byte == b' ' { b'+' } else { *byte });
                continue;
            }
            self.escape.push(*byte);
            if let [_, high, low] = self.escape[..] {
                let mut one = [0];
                // A broken escape stands for itself, which is no base64.
                hex::decode_to_slice([high, low], &mut one).map_err(|_| self.content.invalid(super::base64::NOT_BASE64))?;
                plain.push(if one == *b" " { b'+' } else { one[0] });
                self.escape.clear();
            }
        }
        self.content.take(&plain, &mut self.left, queue)
    }

    /// The name is complete: whether what follows is the file.
    fn named(&mut self, queue: &mut Queue) -> Result<(), Fault> {
        self.is_name = false;
        let name = form_urlencoded::parse(&self.field).next().map(|(name, _)| name.into_owned()).unwrap_or_default();
        self.is_content = self.content.is_called(&name);
        if self.is_content { self.content.begin(queue) } else { Ok(()) }
    }

    /// The field is complete.
    fn complete(&mut self, queue: &mut Queue) -> Result<(), Fault> {
        if self.is_name && !self.field.is_empty() {
            self.named(queue)?;
        }
        if self.is_content {
            if !self.escape.is_empty() {
                return Err(self.content.invalid(super::base64::NOT_BASE64));
            }
            self.content.end(&mut self.left, queue)?;
        } else {
            let fields = form_urlencoded::parse(&self.field).into_owned();
            queue.extend(fields.map(|(name, value)| Piece::Field { name, value }));
        }
        self.field.clear();
        (self.is_name, self.is_content) = (true, false);
        Ok(())
    }
}

impl Machine for Form {
    fn take(&mut self, bytes: Bytes, queue: &mut Queue) -> Result<(), Fault> {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let ends = |byte: &u8| *byte == b'&' || (self.is_name && *byte == b'=');
            let end = rest.iter().position(ends).unwrap_or(rest.len());
            let (text, behind) = rest.split_at(end);
            if self.is_content {
                self.content(text, queue)?;
            } else {
                self.left.beside(text.len())?;
                self.field.extend_from_slice(text);
            }
            rest = behind.get(1..).unwrap_or_default();
            match behind.first() {
                Some(b'=') => {
                    self.named(queue)?;
                    self.field.push(b'=');
                    self.left.beside(1)?;
                }
                Some(_) => {
                    self.left.beside(1)?;
                    self.complete(queue)?;
                }
                None => {}
            }
        }
        Ok(())
    }

    fn end(&mut self, queue: &mut Queue) -> Result<(), Fault> {
        self.complete(queue)
    }
}
