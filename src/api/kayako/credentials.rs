//! Which credentials a request carries, not yet judged.

use std::fmt;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::request::{Arguments, agreed};
use crate::api::http::Fault;
use crate::tokens::looks_like_token;

/// What a request carries; printed without it.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Credentials {
    /// An access token or a JWT.
    pub(super) token: Option<String>,
    /// Whether it came as Basic, which is how clients log in.
    pub(super) is_basic: bool,
    pub(super) session: Option<String>,
    pub(super) fingerprint: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("is_basic", &self.is_basic).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Reads headers and query. Cookies are not read: a browser sends them for whoever asks it to.
    ///
    /// # Errors
    /// When two credentials leave open who is asking, or the same one says two things.
    pub(super) fn of(headers: &HeaderMap, query: &str) -> Result<Self, Fault> {
        let arguments = Arguments::parsed(query);
        let mut credentials = Self {
            session: agreed(headers, "X-Session-ID", &arguments, "_session_id")?,
            fingerprint: agreed(headers, "X-Fingerprint-ID", &arguments, "_fingerprint_id")?,
            ..Self::default()
        };
        let mut values = headers.get_all(AUTHORIZATION).iter();
        if let Some(value) = values.next() {
            if values.next().is_some() {
                return Err(Fault::Unauthenticated);
            }
            let (token, is_basic) = value.to_str().ok().and_then(authorization).ok_or(Fault::Unauthenticated)?;
            (credentials.token, credentials.is_basic) = (Some(token), is_basic);
        }
        if let Some(token) = arguments.one("access_token")?
            && *credentials.token.get_or_insert_with(|| token.to_owned()) != token
        {
            return Err(Fault::Contradiction(vec!["Authorization".to_owned(), "access_token".to_owned()]));
        }
        Ok(credentials)
    }
}

/// The token in `Bearer TOKEN`, `Basic base64(address:TOKEN)` or `Basic base64(TOKEN:anything)`, and whether it is Basic. Two tokens are none.
pub(super) fn authorization(header: &str) -> Option<(String, bool)> {
    let (scheme, rest) = header.trim().split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some((rest.to_owned(), false));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64.decode(rest).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    match (looks_like_token(user), looks_like_token(password)) {
        (true, true) => None,
        (true, false) => Some((user.to_owned(), true)),
        // What looks like none is judged all the same: it counts as a bad one.
        (false, _) => Some((password.to_owned(), true)),
    }
}

/// The bytes of a UUID.
pub(super) fn uuid(text: &str) -> Option<[u8; 16]> {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    let mut bytes = [0; 16];
    (lengths == [8, 4, 4, 4, 12]).then_some(())?;
    hex::decode_to_slice(text.replace('-', ""), &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "dslip_0123456789abcdef_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn basic(text: &str) -> Option<(String, bool)> {
        authorization(&format!("Basic {}", BASE64.encode(text)))
    }

    #[test]
    fn the_token_is_found_on_either_side_and_two_are_none() {
        let found = Some((TOKEN.to_owned(), true));
        assert_eq!(basic(&format!("me@example.com:{TOKEN}")), found);
        assert_eq!(basic(&format!("first.middle.last:{TOKEN}")), found);
        assert_eq!((basic(&format!("{TOKEN}:x")), basic(&format!("{TOKEN}:"))), (found.clone(), found));
        assert_eq!(basic(&format!("{TOKEN}:{TOKEN}")), None);
        assert_eq!(basic(&format!("{TOKEN}:eyJh.eyJi.c")), None);
        assert_eq!(basic("me@example.com:eyJh.eyJi.c"), Some(("eyJh.eyJi.c".to_owned(), true)));
        assert_eq!(authorization(&format!("bearer  {TOKEN} ")), Some((TOKEN.to_owned(), false)));
        for bad in ["", "Basic", "Basic ???", "Basic YWJj", "Digest x"] {
            assert_eq!(authorization(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_uuid_is_one_whatever_the_case() {
        let lower = uuid("0a0a0a0a-1b1b-4c4c-8d8d-0123456789ab");
        assert!(lower.is_some() && lower == uuid("0A0A0A0A-1B1B-4C4C-8D8D-0123456789AB"));
        for bad in ["", "0a0a0a0a1b1b4c4c8d8d0123456789ab", "0a0a0a0a-1b1b-4c4c-8d8d-0123456789ag", "----"] {
            assert_eq!(uuid(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_same_in_two_places_is_the_same_or_refused() {
        let mut headers = HeaderMap::new();
        headers.insert("x-session-id", "a".parse().unwrap());
        assert_eq!(Credentials::of(&headers, "_sessionId=a").unwrap().session.as_deref(), Some("a"));
        assert!(matches!(Credentials::of(&headers, "_session_id=b"), Err(Fault::Contradiction(_))));
        headers.insert(AUTHORIZATION, "Bearer t".parse().unwrap());
        assert_eq!(Credentials::of(&headers, "access_token=t").unwrap().token.as_deref(), Some("t"));
        assert!(matches!(Credentials::of(&headers, "access_token=u"), Err(Fault::Contradiction(_))));
        headers.append(AUTHORIZATION, "Bearer t".parse().unwrap());
        assert!(matches!(Credentials::of(&headers, ""), Err(Fault::Unauthenticated)));
    }
}
