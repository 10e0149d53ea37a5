//! A form that makes an attachment, from its body to the broker, whoever turns out to have signed it.
//!
//! Its fields come in any order, and old clients put what proves who they are behind the file. Until then nobody knows whose the bytes are:
//! the first of them are held in memory, and what is longer goes to a key without a record.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use time::OffsetDateTime;

use super::auth::{CREDENTIALS, Credentials, bearer, signer};
use super::held::{Held, MOST_OF_BODY};
use super::pace::Pace;
use super::paths::{CONTROLLER, Call};
use super::request::Arguments;
use super::settings::ClassicSettings;
use crate::api::http::auth::address;
use crate::api::http::content::{ContentReader, Limits, Piece};
use crate::api::http::field_errors::FieldErrors;
use crate::api::http::{AppState, Fault};
use crate::broker::{BrokerError, Known, Receiving, Unsigned};
use crate::domain::{Caller, Field, FileName};

/// The field that is the file.
pub(super) const CONTENTS: &[&str] = &["contents"];

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
        let arguments = Arguments::of(parts.uri.query().unwrap_or_default().as_bytes())?;
        // A path in the URL counts, wherever else it stands.
        arguments.agree_with(parts.uri.path())?;
        let request = Request::from_parts(parts.clone(), body);
        let reader = ContentReader::form(request, CONTENTS, Limits::of(most)).map_err(|fault| fault.of_content(most))?;
        let mut reading = Reading { state, parts, arguments, caller: None, contents: Contents::Nothing, pace: Pace::held() };
        reading.sign().await?;
        if reading.caller.is_none() {
            reading.caller = bearer(parts, state).await?;
            reading.pace = if reading.caller.is_some() { Pace::Free } else { Pace::held() };
        }
        reading.whole(reader).await.map_err(|fault| fault.of_content(most))
    }
}

impl Reading<'_> {
    async fn whole(mut self, mut reader: ContentReader) -> Result<Incoming, Fault> {
        let size = |piece: &Option<Piece>| if let Some(Piece::Bytes(bytes)) = piece { bytes.len() as u64 } else { 0 };
        while let Some(piece) = self.pace.keep(reader.next(), size).await? {
            match piece {
                Piece::Field { name, value } => {
                    let (tells_who, tells_where) = (CREDENTIALS.contains(&name.as_str()), name == CONTROLLER);
                    self.arguments.add(name, value)?;
                    if tells_where {
                        self.call()?;
                    }
                    if tells_who {
                        self.sign().await?;
                    }
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
                receiving.write(held.bytes()).await?;
                self.contents = Contents::Received(Box::new(receiving));
            }
            Contents::Unsigned(unsigned) => {
                self.makes_attachment()?;
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
            self.makes_attachment()?;
            self.contents = match &self.caller {
                Some(caller) => Contents::Received(Box::new(self.receiving(caller).await?)),
                None => Contents::Held(ClassicSettings::of(self.state).memory().held(address(self.parts))),
            };
        }
        match &mut self.contents {
            Contents::Held(held) if held.size() + bytes.len() > MOST_OF_BODY => {
                let settings = ClassicSettings::of(self.state);
                let (from, now) = (address(self.parts), OffsetDateTime::now_utc());
                let begun = self.state.broker.receive_unsigned(&settings.file_type, from, now).await;
                let mut unsigned = begun.map_err(no_type_of_the_clients)?;
                self.pace = Pace::measured();
                unsigned.write(held.bytes()).await?;
                unsigned.write(bytes).await?;
                self.contents = Contents::Unsigned(Box::new(unsigned));
            }
            Contents::Held(held) => {
                held.push(&bytes)
                    .map_err(|_| Fault::Unavailable("bytes of unknown senders take all the memory that they may".to_owned()))?;
            }
            Contents::Unsigned(unsigned) => unsigned.write(bytes).await?,
            Contents::Received(receiving) => receiving.write(bytes).await?,
            Contents::Nothing => {}
        }
        Ok(())
    }

    /// What the path in the body asks for, as far as it is there.
    ///
    /// # Errors
    /// When nothing is there.
    fn call(&self) -> Result<Option<Call>, Fault> {
        self.arguments.one(CONTROLLER)?.map(|path| Call::named(path).ok_or(Fault::NotFound)).transpose()
    }

    /// Nobody's bytes are taken for a call that makes no attachment.
    fn makes_attachment(&self) -> Result<(), Fault> {
        if self.call()?.is_none_or(|call| call == Call::Attach) { Ok(()) } else { Err(Fault::NotFound) }
    }

    /// A file of this caller's is about to come.
    async fn receiving(&self, caller: &Caller) -> Result<Receiving, Fault> {
        self.makes_attachment()?;
        self.state.broker.may_attach(caller)?;
        let known = self.known()?;
        let file_type = &ClassicSettings::of(self.state).file_type;
        let begun = self.state.broker.receive(caller, file_type, OffsetDateTime::now_utc()).await;
        let mut receiving = begun.map_err(no_type_of_the_clients)?;
        receiving.begin(known).await?;
        Ok(receiving)
    }

    /// What is known of the file so far.
    fn known(&self) -> Result<Known, Fault> {
        let name = self.arguments.one("filename")?.filter(|name| !name.trim().is_empty());
        // Four letters are three bytes, or fewer.
        let length = self.parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let at_most = length.map(|letters| letters / 4 * 3 + 3);
        Ok(Known { name: name.map(FileName::sanitized), at_most, ..Known::default() })
    }
}

/// The file type is a setting's, and no client has named it.
fn no_type_of_the_clients(error: BrokerError) -> Fault {
    match Fault::from(error) {
        Fault::Invalid(errors) if errors.is_about(Field::FileType) => {
            Fault::Unavailable("the file type of DROPSLIP_CLASSIC_FILE_TYPE is not among the rules".to_owned())
        }
        other => other,
    }
}

fn is_multipart(headers: &HeaderMap) -> bool {
    let named = headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes().trim_ascii_start().to_ascii_lowercase());
    named.is_some_and(|named| named.starts_with(b"multipart/"))
}
