//! What a proven token says: whose it is, for how long, and what that person may do here.

use serde_json::{Map, Value};
use time::{Duration, OffsetDateTime};

use super::Verified;
use super::options::{ClaimNames, ClaimPath, Options};
use crate::domain::caller::MOST_TYPES;
use crate::domain::{Actor, ActorKind, Caller, Scopes, Tenant, TypeLimit};

/// Most scopes that are looked at: the rest of a token of 8 KiB cannot be long anyway.
const MOST_SCOPES: usize = 1000;

type Claims = Map<String, Value>;

/// Looks at everything a token claims; `Err` says what is wrong with it, without what it says.
pub(super) fn verified(claims: &Claims, options: &Options, now: OffsetDateTime) -> Result<Verified, &'static str> {
    if claims.get("iss").and_then(Value::as_str) != Some(&options.issuer) {
        return Err("its iss is another issuer's");
    }
    let for_us = match claims.get("aud") {
        Some(Value::String(audience)) => *audience == options.audience,
        Some(Value::Array(audiences)) => {
            audiences.iter().all(Value::is_string) && audiences.iter().any(|audience| audience.as_str() == Some(&options.audience))
        }
        _ => false,
    };
    if !for_us {
        return Err("its aud is another audience");
    }
    let expires_at = living(claims, options, now)?;
    Ok(Verified { caller: caller(claims, &options.claims)?, expires_at })
}

/// When it ends, if it has begun and has not ended.
fn living(claims: &Claims, options: &Options, now: OffsetDateTime) -> Result<OffsetDateTime, &'static str> {
    let leeway = Duration::try_from(options.leeway).unwrap_or(Duration::ZERO);
    let expires_at = instant(claims, "exp")?.ok_or("it has no exp")?;
    if now >= expires_at.saturating_add(leeway) {
        return Err("it has expired");
    }
    let latest = now.saturating_add(leeway);
    if instant(claims, "nbf")?.is_some_and(|begins_at| begins_at > latest) {
        return Err("it is not good yet (nbf)");
    }
    let issued_at = instant(claims, "iat")?;
    if issued_at.is_some_and(|issued_at| issued_at > latest) {
        return Err("it was issued in the future (iat)");
    }
    if issued_at.is_some_and(|issued_at| issued_at > expires_at) {
        return Err("it was issued after its end");
    }
    let longest = Duration::try_from(options.max_lifetime).unwrap_or(Duration::MAX);
    // Who does not say when it was issued is believed that it was just now.
    if !longest.is_zero() && expires_at - issued_at.unwrap_or(now) > longest {
        return Err("it lives longer than DROPSLIP_JWT_MAX_LIFETIME");
    }
    Ok(expires_at)
}

/// Seconds since 1970, with or without a fraction; RFC 7519 section 2.
fn instant(claims: &Claims, name: &str) -> Result<Option<OffsetDateTime>, &'static str> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = match value.as_i64() {
        Some(whole) => Some(Duration::seconds(whole)),
        None => value.as_f64().and_then(Duration::checked_seconds_f64),
    };
    let at = seconds.and_then(|seconds| OffsetDateTime::UNIX_EPOCH.checked_add(seconds));
    at.map(Some).ok_or("one of its times is none")
}

fn caller(claims: &Claims, names: &ClaimNames) -> Result<Caller, &'static str> {
    let id = names.actor.of(claims).and_then(actor_id).ok_or("its actor is no whole number from 1 up")?;
    let kind = match &names.actor_type {
        None => ActorKind::Users,
        Some(path) => {
            let kind = path.of(claims).and_then(Value::as_str).and_then(|kind| kind.parse().ok());
            kind.ok_or("its kind of actor is neither users nor customers")?
        }
    };
    let tenant = match (names.tenant.of(claims), &names.default_tenant) {
        (Some(Value::String(tenant)), _) => tenant.parse().map_err(|_| "its tenant is no name of one")?,
        // Many issuers number theirs.
        (Some(Value::Number(tenant)), _) if tenant.is_u64() => tenant.to_string().parse().map_err(|_| "its tenant is no name of one")?,
        (None, Some(default)) => Tenant::clone(default),
        (Some(_), _) => return Err("its tenant is neither a text nor a whole number"),
        (None, None) => return Err("it names no tenant, and DROPSLIP_JWT_TENANT is not set"),
    };
    let types = match names.file_types.of(claims) {
        None => TypeLimit::default(),
        Some(value) => {
            let types = words(value).filter(|types| types.len() <= MOST_TYPES).ok_or("its file types are no short list of texts")?;
            TypeLimit::to(types.into_iter().map(ToOwned::to_owned))
        }
    };
    Ok(Caller { actor: Actor { id, kind }, tenant, scopes: scopes(claims, names)?, types, dialect: None })
}

/// A whole number, or the same as text, as `sub` must be. Each number has one spelling.
fn actor_id(value: &Value) -> Option<i64> {
    let id = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) if text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0') => text.parse().ok(),
        _ => None,
    };
    id.filter(|id| *id > 0)
}

/// Scopes that mean nothing here are other programs'; who has none that does may do nothing.
fn scopes(claims: &Claims, names: &ClaimNames) -> Result<Scopes, &'static str> {
    let Some(value) = names.scope.of(claims) else { return Ok(Scopes::default()) };
    let words = words(value).filter(|words| words.len() <= MOST_SCOPES).ok_or("its scopes are no list of texts")?;
    let meaning = |word: &str| match &names.scope_names {
        Some(names) => names.meaning(word),
        None => word.parse().ok().map(Scopes::only),
    };
    Ok(words.into_iter().filter_map(meaning).fold(Scopes::default(), Scopes::and))
}

/// A list of texts, or one text with spaces between; RFC 8693 section 4.2.
fn words(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(text.split(' ').filter(|word| !word.is_empty()).collect()),
        Value::Array(words) => words.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

impl ClaimPath {
    /// The claim of this very name (names may be URLs), or else what the way leads to.
    fn of<'a>(&self, claims: &'a Claims) -> Option<&'a Value> {
        if let Some(value) = claims.get(&self.0) {
            return Some(value);
        }
        let mut steps = self.0.split('.');
        let first = claims.get(steps.next()?)?;
        steps.try_fold(first, |value, step| value.as_object()?.get(step))
    }
}
