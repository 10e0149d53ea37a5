//! A form that makes an attachment, from its body to the broker, whoever turns out to have signed it.
//!
//! Its fields come in any order, and old clients put what proves who they are behind the file. Until then nobody knows whose the bytes are:
//! the first of them are held in memory, and what is longer goes to a key without a record.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use time::OffsetDateTime;

use super::auth::{Credentials, signer};
use super::held::{Held, MOST_OF_BODY};
use super::pace::Pace;
use super::paths::{CONTROLLER, named};
use super::request::Arguments;
use super::settings::ClassicSettings;
use crate::api::http::auth::address;
use crate::api::http::content::{ContentReader, Limits, Piece};
use crate::api::http::field_errors::FieldErrors;
use crate::api::http::{AppState, Fault};
use crate::broker::{Known, Receiving, Unsigned};
use crate::domain::{Caller, FileName};

/// The field that is the file.
pub(super) const CONTENTS: &[&str] = &["contents"];

/// Where attachments are made, as a path is looked up.
pub(super) const ATTACHMENTS: &str = "Tickets/TicketAttachment";

/// A form that was read to its end, and who has signed it.
pub(super) struct Incoming {
    pub(super) caller: Caller,
    pub(super) arguments: Arguments,
    /// The file whose bytes came; it is still to be judged and claimed.
    pub(super) receiving: Option<Receiving>,
}

/// The same while it is read.
struct Reading<'a> {
    state: &'a AppState,
    parts: &'a Parts,
    arguments: Arguments,
    caller: Option<Caller>,
    contents: Contents,
    pace: Pace,
}

/// The bytes so far.
enum Contents {
    Nothing,
    Held(Held),
    Unsigned(Box<Unsigned>),
    Received(Box<Receiving>),
}

impl Incoming {
    /// Reads a form.
    ///
    /// # Errors
    /// When nobody has signed it, nobody could take it, or its bytes cannot be taken; nothing is left of it then.
    pub(super) async fn read(state: &AppState, parts: &Parts, body: Body) -> Result<Self, Fault> {
        if is_multipart(&parts.headers) {
            return Err(Fault::Invalid(FieldErrors::one("body", "must be a form of the type application/x-www-form-urlencoded")));
        }
        let most = state.broker.max_received();
        let arguments = Arguments::of(parts.uri.query().unwrap_or_default());
        // A path in the URL counts, wherever else it stands.
        arguments.agree_with(parts.uri.path())?;
        let request = Request::from_parts(parts.clone(), body);
        let reader = ContentReader::form(request, CONTENTS, Limits::of(most)).map_err(|fault| fault.of_content(most))?;
        let mut reading = Reading { state, parts, arguments, caller: None, contents: Contents::Nothing, pace: Pace::Free };
        reading.sign().await?;
        reading.to_its_end(reader).await.map_err(|fault| fault.of_content(most))
    }
}

impl Reading<'_> {
    async fn to_its_end(mut self, mut reader: ContentReader) -> Result<Incoming, Fault> {
        let size = |piece: &Option<Piece>| if let Some(Piece::Bytes(bytes)) = piece { bytes.len() as u64 } else { 0 };
        while let Some(piece) = self.pace.keep(reader.next(), size).await? {
            match piece {
                Piece::Field { name, value } => {
                    self.arguments.add(name, value);
                    self.sign().await?;
                }
                Piece::Bytes(bytes) => self.take(bytes).await?,
                Piece::File(_) | Piece::FileEnd => {}
            }
        }
        let caller = self.caller.ok_or(Fault::Unauthenticated)?;
        // What came behind may say something else.
        Credentials::of(&self.arguments)?;
        self.arguments.agree_with(self.parts.uri.path())?;
        let receiving = if let Contents::Received(receiving) = self.contents { Some(*receiving) } else { None };
        Ok(Incoming { caller, arguments: self.arguments, receiving })
    }

    /// Asks who has signed it, once all is there that tells; what came until then is the signer's from now on.
    async fn sign(&mut self) -> Result<(), Fault> {
        if self.caller.is_some() {
            return Ok(());
        }
        let Some(credentials) = Credentials::of(&self.arguments)? else { return Ok(()) };
        let caller = signer(&credentials, self.parts, self.state).await?;
        let contents = std::mem::replace(&mut self.contents, Contents::Nothing);
        self.pace = Pace::Free;
        match contents {
            Contents::Held(mut held) => {
                let mut receiving = self.receiving(&caller).await?;
                for bytes in held.pieces() {
                    receiving.write(bytes).await?;
                }
                self.contents = Contents::Received(Box::new(receiving));
            }
            Contents::Unsigned(unsigned) => {
                self.state.broker.may_attach(&caller)?;
                let receiving = unsigned.signed(&caller, self.known()?).await?;
                self.contents = Contents::Received(Box::new(receiving));
            }
            other => self.contents = other,
        }
        self.caller = Some(caller);
        Ok(())
    }

    async fn take(&mut self, bytes: Bytes) -> Result<(), Fault> {
        if matches!(self.contents, Contents::Nothing) {
            self.contents = match &self.caller {
                Some(caller) => Contents::Received(Box::new(self.receiving(caller).await?)),
                None => {
                    self.pace = Pace::held();
                    Contents::Held(ClassicSettings::of(self.state).memory().held(address(self.parts)))
                }
            };
        }
        match &mut self.contents {
            Contents::Held(held) if held.size() + bytes.len() > MOST_OF_BODY => {
                let settings = ClassicSettings::of(self.state);
                let (from, now) = (address(self.parts), OffsetDateTime::now_utc());
                let mut unsigned = self.state.broker.receive_unsigned(&settings.file_type, from, now).await?;
                self.pace = Pace::measured();
                for bytes in held.pieces().into_iter().chain([bytes]) {
                    unsigned.write(bytes).await?;
                }
                self.contents = Contents::Unsigned(Box::new(unsigned));
            }
            Contents::Held(held) => {
                held.push(bytes)
                    .map_err(|_| Fault::Unavailable("bytes of unknown senders take all the memory that they may".to_owned()))?;
            }
            Contents::Unsigned(unsigned) => unsigned.write(bytes).await?,
            Contents::Received(receiving) => receiving.write(bytes).await?,
            Contents::Nothing => {}
        }
        Ok(())
    }

    /// A file of this caller's is about to come.
    async fn receiving(&self, caller: &Caller) -> Result<Receiving, Fault> {
        self.state.broker.may_attach(caller)?;
        // Nobody's bytes are taken for a call that makes no attachment.
        if let Some(controller) = self.arguments.one(CONTROLLER)?
            && named(controller).as_deref() != Some(ATTACHMENTS)
        {
            return Err(Fault::NotFound);
        }
        let known = self.known()?;
        let file_type = &ClassicSettings::of(self.state).file_type;
        let mut receiving = self.state.broker.receive(caller, file_type, OffsetDateTime::now_utc()).await?;
        receiving.begin(known).await?;
        Ok(receiving)
    }

    /// What is known of the file so far.
    fn known(&self) -> Result<Known, Fault> {
        let name = self.arguments.one("filename")?.filter(|name| !name.trim().is_empty());
        Ok(Known { name: name.map(FileName::sanitized), declared_type: None, size: None })
    }
}

fn is_multipart(headers: &HeaderMap) -> bool {
    let named = headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes().trim_ascii_start().to_ascii_lowercase());
    named.is_some_and(|named| named.starts_with(b"multipart/"))
}
