//! Credentials that dialects share: an access token or a JWT, as Bearer or as the user of Basic.

use std::borrow::Cow;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use time::OffsetDateTime;

use super::fault::Fault;
use super::state::AppState;
use crate::domain::{Address, Caller};
use crate::tokens::Holder;

/// Who asks by an access token or a JWT; with what can make upload tokens.
pub(in crate::api) async fn holder(parts: &Parts, state: &AppState) -> Result<Holder, Fault> {
    holder_of(&presented(&parts.headers).ok_or(Fault::Unauthenticated)?, parts, state).await
}

/// The same by this token, wherever the request has it.
pub(in crate::api) async fn holder_of(token: &str, parts: &Parts, state: &AppState) -> Result<Holder, Fault> {
    let known = state.tokens.authenticate(token, address(parts), OffsetDateTime::now_utc()).await?;
    let mut holder = known.ok_or(Fault::Unauthenticated)?;
    holder.caller = admitted(holder.caller, parts, state)?;
    Ok(holder)
}

/// The dialect of a request, as the router says it.
#[derive(Debug, Clone, Copy)]
pub(in crate::api) struct SpokenIn(pub(in crate::api) &'static str);

/// Whoever is known, as one who asks in this dialect, and not too often.
pub(in crate::api) fn admitted(caller: Caller, parts: &Parts, state: &AppState) -> Result<Caller, Fault> {
    let caller = Caller { dialect: parts.extensions.get::<SpokenIn>().map(|spoken| spoken.0), ..caller };
    state.broker.admit(&caller)?;
    Ok(caller)
}

/// Whom the request comes from, where that is known.
pub(in crate::api) fn address(parts: &Parts) -> Option<Address> {
    parts.extensions.get().copied()
}

/// The token that a request carries, if it is one: two credentials leave open who is asking.
pub(in crate::api) fn presented(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    presented_token(value.to_str().ok()?)
}

/// The token in `Bearer TOKEN` or `Basic base64(TOKEN:anything)`.
pub(in crate::api) fn presented_token(header: &str) -> Option<Cow<'_, str>> {
    let (scheme, rest) = header.trim().split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.into());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = String::from_utf8(BASE64.decode(rest).ok()?).ok()?;
        return decoded.split_once(':').map(|(user, _)| user.to_owned().into());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_and_basic_carry_the_same_token() {
        assert_eq!(presented_token("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(presented_token("bearer   abc ").as_deref(), Some("abc"));
        assert_eq!(presented_token(&format!("Basic {}", BASE64.encode("abc:any:thing"))).as_deref(), Some("abc"));
    }

    #[test]
    fn anything_else_carries_none() {
        for bad in ["", "Bearer", "abc", "Digest abc", "Basic ???", "Basic YWJj"] {
            assert_eq!(presented_token(bad), None, "{bad}");
        }
    }
}
