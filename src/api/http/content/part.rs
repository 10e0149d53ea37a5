//! One part of a form: what its headers say, and its bytes as they are stored.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, header};

use super::base64::{Decoder, NOT_BASE64};
use super::bounds::MOST_HEADER_BYTES;
use super::disposition::Named;
use super::headers::{CONTENT_MD5, text};
use super::{Fault, FileHead, invalid, not_whole};

const CONTENT_TRANSFER_ENCODING: HeaderName = HeaderName::from_static("content-transfer-encoding");

/// What the headers of a part say.
pub(super) struct Part {
    named: Named,
    declared_type: Option<String>,
    md5: Option<String>,
    /// How many bytes must still come, as they are written.
    owed: Option<u64>,
    decoder: Option<Decoder>,
    /// What complaints are about.
    called: &'static str,
}

impl Part {
    pub(super) fn new(headers: &HeaderMap, called: &'static str) -> Result<Self, Fault> {
        if header_bytes(headers) > MOST_HEADER_BYTES {
            return Err(Fault::BodyTooLarge);
        }
        let named = headers.get(header::CONTENT_DISPOSITION).map(|value| Named::in_part(value.as_bytes())).unwrap_or_default();
        if named == Named::default() {
            return Err(invalid("body", "must have a name or a file name in each part of the form"));
        }
        let owed = match headers.get(header::CONTENT_LENGTH) {
            None => None,
            Some(length) => {
                let number = length.to_str().ok().and_then(|length| length.trim().parse().ok());
                Some(number.ok_or_else(|| invalid(called, "must have a whole number as the Content-Length of a part"))?)
            }
        };
        let decoder = match text(headers, &CONTENT_TRANSFER_ENCODING).map(|name| name.to_ascii_lowercase()).as_deref() {
            None | Some("binary" | "8bit" | "7bit") => None,
            Some("base64") => Some(Decoder::default()),
            Some(_) => return Err(invalid(called, "must have base64, binary, 8bit or 7bit as the Content-Transfer-Encoding of a part")),
        };
        Ok(Self { named, declared_type: text(headers, &header::CONTENT_TYPE), md5: text(headers, &CONTENT_MD5), owed, decoder, called })
    }

    pub(super) fn is_file(&self) -> bool {
        self.named.file_name.is_some()
    }

    /// Whether it is what browsers send of an input that no file was chosen for, if no bytes follow.
    pub(super) fn is_nameless(&self) -> bool {
        self.named.file_name.as_deref() == Some("")
    }

    /// The name of the field.
    pub(super) fn name(&self) -> &str {
        self.named.name.as_deref().unwrap_or_default()
    }

    pub(super) fn head(&self) -> FileHead {
        FileHead {
            field: self.named.name.clone(),
            name: self.named.file_name.clone().filter(|name| !name.is_empty()),
            declared_type: self.declared_type.clone(),
            size: self.owed.filter(|_| self.decoder.is_none()),
            md5: self.md5.clone(),
        }
    }

    /// What the next bytes of it come to.
    pub(super) fn take(&mut self, bytes: Bytes) -> Result<Bytes, Fault> {
        if let Some(owed) = &mut self.owed {
            let left = owed.checked_sub(bytes.len() as u64);
            *owed = left.ok_or_else(|| invalid(self.called, "must not be longer than the Content-Length of its part"))?;
        }
        match &mut self.decoder {
            None => Ok(bytes),
            Some(decoder) => decoder.take(&bytes).map(Into::into).map_err(|_| invalid(self.called, NOT_BASE64)),
        }
    }

    /// What its end comes to.
    pub(super) fn end(&mut self) -> Result<Bytes, Fault> {
        if self.owed.is_some_and(|owed| owed > 0) {
            return Err(invalid(self.called, "must not be shorter than the Content-Length of its part"));
        }
        let Some(decoder) = &mut self.decoder else { return Ok(Bytes::new()) };
        decoder.end().map(Into::into).map_err(|_| invalid(self.called, NOT_BASE64))
    }
}

/// How many bytes the headers are as they were written, about.
pub(super) fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

/// A boundary by the content type of a form.
pub(super) fn boundary(headers: &HeaderMap) -> Result<String, Fault> {
    let parsed = text(headers, &header::CONTENT_TYPE).and_then(|content_type| multer::parse_boundary(content_type).ok());
    parsed
        .filter(|boundary| (1..=200).contains(&boundary.len()))
        .ok_or_else(|| invalid("body", "must be a form whose content type names its boundary"))
}

/// What `multer` could not read.
pub(super) fn unreadable(error: &multer::Error) -> Fault {
    match error {
        multer::Error::IncompleteStream | multer::Error::IncompleteFieldData { .. } => not_whole(),
        _ => invalid("body", "must be a form whose parts have headers that can be read"),
    }
}
