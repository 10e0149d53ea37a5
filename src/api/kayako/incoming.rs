//! The files of one request, from its body to the broker, and what else is said of them.

use axum::http::HeaderMap;

use super::request::{Arguments, same};
use super::way::{CONTENT, Way};
use crate::api::http::Fault;
use crate::api::http::content::{ContentReader, FileHead, Piece, decoded, md5};
use crate::api::http::field_errors::FieldErrors;
use crate::broker::{Described, Known, Receiving};
use crate::domain::media_type::declared_type;
use crate::domain::{FileName, MediaType};

const NAME: &str = "name";
const FILENAME: &str = "_filename";
const MD5: &str = "_md5";
const CONTENT_TYPE: &str = "content_type";
const FIELD: &str = "content";
const MUST_BE_SET: &str = "must be set";

/// What is known of the files of a request before their bytes, and what comes to be known.
pub(super) struct Incoming {
    way: Way,
    /// What the query calls the file.
    filename: Option<String>,
    /// Of each file, in their order.
    md5: Vec<[u8; 16]>,
    name: Option<String>,
    content_type: Option<String>,
    /// A form of parts may have the one file as a field, in base64, as forms of the other kind do.
    content: Option<String>,
    files: usize,
    /// The file whose bytes came: what is said behind them may be about it.
    waiting: Option<FileHead>,
    /// Bytes of it.
    size: u64,
}

impl Incoming {
    /// What the query says.
    ///
    /// # Errors
    /// When it says two things, or a checksum that is none.
    pub(super) fn new(way: Way, arguments: &Arguments, headers: &HeaderMap) -> Result<Self, Fault> {
        let filename = arguments.one(FILENAME)?.filter(|name| !name.is_empty()).map(ToOwned::to_owned);
        let words = arguments.all(MD5).chain(arguments.all("_md5[]")).flat_map(|list| list.split(','));
        let mut sums = Vec::new();
        for word in words.map(str::trim).filter(|word| !word.is_empty()) {
            sums.push(checksum(word)?);
        }
        // Where the body is not the file, the header's is still that of the one file which it holds: no client means the base64 text.
        let header = headers.get("content-md5").and_then(|value| value.to_str().ok()).filter(|_| [Way::Json, Way::Form].contains(&way));
        if let Some(header) = header {
            let sum = checksum(header.trim())?;
            if sums.first().is_some_and(|said| *said != sum) {
                return Err(Fault::Contradiction(vec!["Content-MD5".to_owned(), MD5.to_owned()]));
            }
            sums = vec![sum];
        }
        Ok(Self { way, filename, md5: sums, name: None, content_type: None, content: None, files: 0, waiting: None, size: 0 })
    }

    /// Takes all files of a body; they are still to be claimed.
    pub(super) async fn take(mut self, mut reader: ContentReader, mut receiving: Receiving) -> Result<Receiving, Fault> {
        while let Some(piece) = reader.next().await? {
            match piece {
                Piece::Field { name, value } => self.field(&name, value),
                Piece::File(head) => {
                    self.end(&mut receiving).await?;
                    self.begin(head, &mut receiving).await?;
                }
                Piece::Bytes(bytes) => {
                    self.size += bytes.len() as u64;
                    let written = receiving.write(bytes).await;
                    written.map_err(|error| self.about(error.into()))?;
                }
                Piece::FileEnd => {}
            }
        }
        self.end(&mut receiving).await?;
        if let Some(content) = self.content.take().filter(|_| self.files == 0) {
            let bytes = decoded(&content).map_err(|why| Fault::Invalid(FieldErrors::one(FIELD, why)))?;
            self.begin(FileHead::default(), &mut receiving).await?;
            self.size = bytes.len() as u64;
            let written = receiving.write(bytes.into()).await;
            written.map_err(|error| self.about(error.into()))?;
            self.end(&mut receiving).await?;
        }
        if self.files == 0 {
            return Err(self.nothing());
        }
        if self.md5.len() > self.files {
            return Err(Fault::Invalid(FieldErrors::one(MD5, format!("must be one for each file, and there are {}", self.files))));
        }
        Ok(receiving)
    }

    fn field(&mut self, name: &str, value: String) {
        match super::case::snake(name).as_str() {
            NAME if !value.is_empty() => self.name = Some(value),
            CONTENT_TYPE if !value.is_empty() => self.content_type = Some(value),
            FIELD if !value.is_empty() => self.content = Some(value),
            _ => {}
        }
    }

    async fn begin(&mut self, head: FileHead, receiving: &mut Receiving) -> Result<(), Fault> {
        let name = match self.named(&head) {
            Ok(name) => Some(name),
            // It may still come.
            Err(Fault::Invalid(_)) if self.way != Way::Raw => None,
            Err(fault) => return Err(fault),
        };
        let known = Known { name, declared_type: self.declared(&head), size: head.size, at_most: None };
        self.size = 0;
        let begun = receiving.begin(known).await;
        begun.map_err(|error| self.about(error.into()))?;
        self.waiting = Some(head);
        Ok(())
    }

    /// The end of the file whose bytes came, if there is one.
    async fn end(&mut self, receiving: &mut Receiving) -> Result<(), Fault> {
        let Some(head) = self.waiting.take() else { return Ok(()) };
        let name = self.named(&head);
        if self.size == 0 && [Way::Json, Way::Form].contains(&self.way) {
            let mut errors = FieldErrors::one("content", MUST_BE_SET);
            if let Err(Fault::Invalid(more)) = name {
                errors.merge(more);
            }
            return Err(Fault::Invalid(errors));
        }
        let said = head.md5.as_deref().map(checksum).transpose()?;
        let asked = self.md5.get(self.files).copied();
        if let (Some(said), Some(asked)) = (said, asked)
            && said != asked
        {
            return Err(Fault::Contradiction(vec!["Content-MD5".to_owned(), MD5.to_owned()]));
        }
        let described = Described { name: name?, declared_type: self.declared(&head), md5: said.or(asked) };
        let ended = receiving.end(described).await;
        ended.map_err(|error| self.about(error.into()))?;
        self.files += 1;
        Ok(())
    }

    /// What the file is called: by its own header, by the query, or by a field.
    fn named(&self, head: &FileHead) -> Result<FileName, Fault> {
        let (own, asked) = (head.name.as_deref().filter(|name| !name.is_empty()), self.filename.as_deref());
        let name = match self.way {
            Way::Raw => same(own.into_iter().chain(asked), || vec!["Content-Disposition".to_owned(), FILENAME.to_owned()])?,
            Way::Json | Way::Form => same(self.name.as_deref().into_iter().chain(asked), || vec![NAME.to_owned(), FILENAME.to_owned()])?,
            // A form of one file may say its name in a field, as those of other kinds do.
            Way::Parts if self.files == 0 => self.name.as_deref().or(own),
            Way::Parts => own,
        };
        let name = name.ok_or_else(|| Fault::Invalid(FieldErrors::one(NAME, MUST_BE_SET)))?;
        Ok(FileName::sanitized(name))
    }

    /// What a client says of the type is a hint: what is no type says nothing.
    fn declared(&self, head: &FileHead) -> Option<MediaType> {
        let said = head.declared_type.as_deref().or(self.content_type.as_deref())?;
        declared_type(said).ok().flatten()
    }

    /// Which of several files a refusal is about.
    fn about(&self, fault: Fault) -> Fault {
        match fault {
            Fault::Invalid(errors) if self.way == Way::Parts => Fault::Invalid(errors.of_file(self.files)),
            Fault::Refused(errors) if self.way == Way::Parts => Fault::Refused(errors.of_file(self.files)),
            other => other,
        }
    }

    /// The body had no file.
    fn nothing(&self) -> Fault {
        if self.way == Way::Parts {
            return Fault::Invalid(FieldErrors::one("files", MUST_BE_SET));
        }
        let mut errors = FieldErrors::new();
        if self.name.is_none() && self.filename.is_none() {
            errors.add(NAME, MUST_BE_SET);
        }
        errors.add(CONTENT.first().copied().unwrap_or_default(), MUST_BE_SET);
        Fault::Invalid(errors)
    }
}

fn checksum(text: &str) -> Result<[u8; 16], Fault> {
    // A plus in a query is read as a space.
    let text = text.replace(' ', "+");
    md5(&text).ok_or_else(|| Fault::Invalid(FieldErrors::one(MD5, "must be an MD5 in hex or base64")))
}
