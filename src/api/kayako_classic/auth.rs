//! Who has signed a call; or who asks by an access token, as in every dialect.

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use time::OffsetDateTime;

use super::request::Arguments;
use crate::api::http::auth::{address, admitted, holder};
use crate::api::http::body::read_body;
use crate::api::http::{AppState, Fault};
use crate::domain::Caller;
use crate::tokens::SignedCall;

const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// The names of what every call carries.
pub(super) const CREDENTIALS: [&str; 3] = ["apikey", "salt", "signature"];

/// What every call carries.
pub(super) struct Credentials<'a> {
    apikey: &'a str,
    salt: &'a str,
    signature: &'a str,
}

impl<'a> Credentials<'a> {
    /// Those that a call carries, if it carries all of them.
    ///
    /// # Errors
    /// When one of them says two things.
    pub(super) fn of(arguments: &'a Arguments) -> Result<Option<Self>, Fault> {
        let [apikey, salt, signature] = CREDENTIALS.map(|name| arguments.one(name));
        let whole = apikey?.zip(salt?).zip(signature?);
        Ok(whole.map(|((apikey, salt), signature)| Self { apikey, salt, signature }))
    }

    /// The signature as bytes. Some clients do not escape it, so that a plus comes as a space.
    fn signature(&self) -> Vec<u8> {
        LENIENT.decode(self.signature.trim_ascii_end().replace(' ', "+")).unwrap_or_default()
    }

    /// What is judged of them.
    #[cfg(any(test, fuzzing))]
    pub(super) fn judged(&self) -> (Vec<Cow<'a, str>>, Vec<u8>) {
        (self.salts(), self.signature())
    }

    /// The salt in every way in which it may have been meant.
    fn salts(&self) -> Vec<Cow<'a, str>> {
        if self.salt.is_empty() {
            return Vec::new();
        }
        let unescaped = self.salt.contains(' ').then(|| self.salt.replace(' ', "+").into());
        std::iter::once(self.salt.into()).chain(unescaped).collect()
    }
}

/// Who has signed a call that says this.
pub(super) async fn signer(credentials: &Credentials<'_>, parts: &Parts, state: &AppState) -> Result<Caller, Fault> {
    let (salts, signature) = (credentials.salts(), credentials.signature());
    let said: Vec<&[u8]> = salts.iter().map(|salt| salt.as_bytes()).collect();
    let call = SignedCall { name: credentials.apikey, said: &said, signature: &signature };
    let known = state.tokens.signer(&call, address(parts), OffsetDateTime::now_utc()).await?;
    admitted(known.ok_or(Fault::Unauthenticated)?, parts, state)
}

/// Who asks by an access token, where the call says nothing of a pair.
pub(super) async fn bearer(parts: &Parts, state: &AppState) -> Result<Option<Caller>, Fault> {
    let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::trim_start);
    // Others are for a server before this one.
    let is_bearer = header.and_then(|header| header.get(..7)).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer "));
    if is_bearer { Ok(Some(holder(parts, state).await?.caller)) } else { Ok(None) }
}

/// Who has signed a request that carries nothing but what is said of it, in the query or in a short form. A handler that forgets it cannot
/// name whose files it works on, so it does not compile.
pub(super) struct Signed {
    pub(super) caller: Caller,
    pub(super) parts: Parts,
}

impl FromRequest<AppState> for Signed {
    type Rejection = Fault;

    async fn from_request(request: Request<Body>, state: &AppState) -> Result<Self, Fault> {
        let (parts, body) = request.into_parts();
        let mut arguments = Arguments::of(parts.uri.query().unwrap_or_default().as_bytes())?;
        if Credentials::of(&arguments)?.is_none()
            && let Some(caller) = bearer(&parts, state).await?
        {
            arguments.agree_with(parts.uri.path())?;
            return Ok(Self { caller, parts });
        }
        if Credentials::of(&arguments)?.is_none() {
            arguments.add_all(&read_body(Request::from_parts(parts.clone(), body)).await?)?;
        }
        let credentials = Credentials::of(&arguments)?.ok_or(Fault::Unauthenticated)?;
        let caller = signer(&credentials, &parts, state).await?;
        arguments.agree_with(parts.uri.path())?;
        Ok(Self { caller, parts })
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD as BASE64;

    use super::*;

    #[test]
    fn signatures_are_read_escaped_or_not() {
        let bytes = [0xfb, 0xef, 0xff, 0x01];
        let text = BASE64.encode(bytes);
        assert_eq!(text, "++//AQ==");
        for sent in ["++//AQ==", "%2B%2B%2F%2FAQ%3D%3D", "++//AQ", "%2B%2B//AQ%3D%3D%0A"] {
            let arguments = Arguments::of(format!("apikey=a&salt=1&signature={sent}").as_bytes()).unwrap();
            assert_eq!(Credentials::of(&arguments).unwrap().unwrap().signature(), bytes, "{sent}");
        }
    }

    #[test]
    fn all_three_must_be_there_and_say_one_thing() {
        let of = |query: &str| Credentials::of(&Arguments::of(query.as_bytes()).unwrap()).map(|found| found.is_some());
        assert!(of("apikey=a&salt=1&signature=b").unwrap() && of("signature=b&salt=1&x=y&apikey=a&salt=1").unwrap());
        for lacking in ["", "apikey=a&salt=1", "salt=1&signature=b", "apikey=a&signature=b"] {
            assert!(!of(lacking).unwrap(), "{lacking}");
        }
        assert!(of("apikey=a&salt=1&signature=b&salt=2").is_err());
    }

    #[test]
    fn a_salt_may_hold_a_plus_that_nobody_escaped() {
        let salts = |salt: &'static str| Credentials { apikey: "", salt, signature: "" }.salts();
        assert_eq!(salts("-17"), ["-17"]);
        assert_eq!(salts("a b="), ["a b=", "a+b="]);
        assert!(salts("").is_empty());
    }
}
