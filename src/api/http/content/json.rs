//! JSON with a file as base64 in a member.
//!
//! Here only the ends of texts are looked for. All that is not inside of the file's text is kept, and parsed as the JSON that it is, with
//! an empty text for the file: once when the file begins, so that what is wrong before it is known in time, and once at the end.

use axum::body::{Body, Bytes};
use axum::http::Request;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::bounds::{Left, Limits};
use super::encoded::Encoded;
use super::source::Source;
use super::{ContentReader, Fault, Machine, Piece, Queue, invalid};
use crate::api::http::body::{object, or_empty, readable};
use crate::domain::text::{self, NotText};

impl ContentReader {
    /// A JSON object whose member of one of these names is a file in base64; complaints about it go by the first.
    ///
    /// # Errors
    /// It is compressed, or longer than it may be by its `Content-Length`.
    pub(in crate::api) fn json(request: Request<Body>, names: &'static [&'static str], limits: Limits) -> Result<Self, Fault> {
        let source = Source::new(request, limits, limits.base64())?;
        Ok(Self::of(source, Json::new(names, limits)))
    }
}

/// Where in the JSON the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Between,
    Text,
    /// Behind a backslash of a text.
    Escape,
    Content,
}

pub(super) struct Json {
    /// All but the inside of the file's text.
    kept: Vec<u8>,
    place: Place,
    depth: usize,
    /// Where the last text of the object itself begins in `kept`.
    text_at: usize,
    /// Whether the value that comes next is the file's.
    is_next: bool,
    /// Of the file's text: an escape until it is whole.
    escape: Vec<u8>,
    /// How many members were handed out.
    told: usize,
    content: Encoded,
    left: Left,
}

impl Json {
    pub(super) fn new(names: &'static [&'static str], limits: Limits) -> Self {
        Self {
            kept: Vec::new(),
            place: Place::Between,
            depth: 0,
            text_at: 0,
            is_next: false,
            escape: Vec::new(),
            told: 0,
            content: Encoded::new(names),
            left: Left::of(limits),
        }
    }

    /// One byte that is not inside of the file's text.
    fn keep(&mut self, byte: u8, queue: &mut Queue) -> Result<(), Fault> {
        self.left.beside(1)?;
        self.kept.push(byte);
        if self.kept.len() == 4 && text::utf8(&self.kept) == Err(NotText::Utf16) {
            return Err(invalid("body", "must be JSON in UTF-8, but is UTF-16"));
        }
        match (self.place, byte) {
            (Place::Escape, _) => self.place = Place::Text,
            (Place::Text, b'\\') => self.place = Place::Escape,
            (Place::Text, b'"') => self.place = Place::Between,
            (Place::Between, b'"') if self.is_next => {
                self.place = Place::Content;
                self.is_next = false;
                self.content.once()?;
                self.tell(b"\"}", queue)?;
                self.content.begin(queue)?;
            }
            (Place::Between, b'"') => {
                self.place = Place::Text;
                if self.depth == 1 {
                    self.text_at = self.kept.len() - 1;
                }
            }
            (Place::Between, b':') if self.depth == 1 => self.is_next = self.is_content(),
            (Place::Between, b'{' | b'[') => {
                self.depth += 1;
                self.is_next = false;
            }
            (Place::Between, b'}' | b']') => {
                self.depth = self.depth.saturating_sub(1);
                self.is_next = false;
            }
            (Place::Between, b',') => self.is_next = false,
            _ => {}
        }
        Ok(())
    }

    /// Whether the name before the colon that came is the file's.
    fn is_content(&self) -> bool {
        let name = self.kept.get(self.text_at..self.kept.len() - 1).unwrap_or_default();
        let name = text::json(name).ok().and_then(|name| serde_json::from_str::<String>(&name).ok());
        name.is_some_and(|name| self.content.is_called(&name))
    }

    /// Some of the file's text, up to its end; what follows it.
    fn content<'a>(&mut self, bytes: &'a [u8], queue: &mut Queue) -> Result<&'a [u8], Fault> {
        let mut rest = bytes;
        while let Some(first) = rest.first() {
            if !self.escape.is_empty() || *first == b'\\' {
                self.escape.push(*first);
                rest = rest.get(1..).unwrap_or_default();
                self.escaped(queue)?;
                continue;
            }
            let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).unwrap_or(rest.len());
            let (text, behind) = rest.split_at(end);
            self.content.take(text, &mut self.left, queue)?;
            match behind.first() {
                Some(b'"') => {
                    self.content.end(&mut self.left, queue)?;
                    self.place = Place::Between;
                    self.left.beside(1)?;
                    self.kept.push(b'"');
                    return Ok(behind.get(1..).unwrap_or_default());
                }
                Some(0..=0x1f) => return Err(invalid("body", "must be JSON, but is not inside of its file's text")),
                _ => rest = behind,
            }
        }
        Ok(rest)
    }

    /// An escape of the file's text, if it is whole.
    fn escaped(&mut self, queue: &mut Queue) -> Result<(), Fault> {
        let is_whole = match self.escape.get(1) {
            None => false,
            Some(b'u') => self.escape.len() == 6,
            Some(_) => true,
        };
        if is_whole {
            let text = [&b"\""[..], &self.escape, b"\""].concat();
            // Half of a character is none of base64 either.
            let character: String = serde_json::from_slice(&text).map_err(|_| self.content.invalid(super::base64::NOT_BASE64))?;
            self.escape.clear();
            self.content.take(character.as_bytes(), &mut self.left, queue)?;
        }
        Ok(())
    }

    /// Hands out the members that are new, of what was kept and what would end it here.
    fn tell(&mut self, end: &[u8], queue: &mut Queue) -> Result<(), Fault> {
        let whole = [&self.kept[..], end].concat();
        let text = readable(&whole.into()).map_err(Fault::Invalid)?;
        let Members(members) = object(or_empty(&text)).map_err(Fault::Invalid)?;
        let new = members.into_iter().skip(self.told);
        for (name, value) in new {
            self.told += 1;
            let is_content = self.content.is_called(&name);
            let value = match value {
                Value::String(value) if !is_content => value,
                Value::Number(value) if !is_content => value.to_string(),
                Value::Bool(value) if !is_content => value.to_string(),
                Value::String(_) | Value::Null => continue,
                _ if is_content => return Err(self.content.invalid("must be a text in base64")),
                _ => continue,
            };
            queue.push_back(Piece::Field { name, value });
        }
        Ok(())
    }
}

impl Machine for Json {
    fn take(&mut self, bytes: Bytes, queue: &mut Queue) -> Result<(), Fault> {
        let mut rest = &bytes[..];
        while let Some((first, behind)) = rest.split_first() {
            if self.place == Place::Content {
                rest = self.content(rest, queue)?;
            } else {
                self.keep(*first, queue)?;
                rest = behind;
            }
        }
        Ok(())
    }

    fn end(&mut self, queue: &mut Queue) -> Result<(), Fault> {
        self.tell(b"", queue)
    }
}

/// The members of an object in their order, each at most once.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let (mut members, mut names) = (Vec::new(), std::collections::HashSet::new());
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if !names.insert(name.clone()) {
                        return Err(serde::de::Error::custom("a member is there twice"));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}
