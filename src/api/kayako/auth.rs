//! Who asks: a token, a session made with one, or where it is allowed nothing but a fingerprint.

use axum::extract::FromRequestParts;
use axum::http::Method;
use axum::http::request::Parts;
use time::OffsetDateTime;

use super::credentials::{Credentials, uuid};
use super::settings::KayakoSettings;
use crate::api::http::auth::{address, admitted, holder_of};
use crate::api::http::{AppState, Fault};
use crate::domain::{Caller, Scope, Scopes, TypeLimit};
use crate::tokens::{Guard, NewSession};

/// What begins a session that needs no proof for changes, and what proves one.
const CSRF: &str = "x-csrf";
const CSRF_TOKEN: &str = "x-csrf-token";

/// Who asks. A handler that forgets it cannot name whose files it works on, so it does not compile.
pub(super) struct Asking {
    pub(super) caller: Caller,
    /// What tells that things belong to this caller, without the `s:` before it.
    pub(super) group: String,
    /// The session that this request began: every Basic one does, where sessions can be made.
    pub(super) began: Option<NewSession>,
    /// Whether it is nobody known, who may create and read nothing.
    pub(super) is_anonymous: bool,
}

impl Asking {
    /// Passes whoever may read at all.
    ///
    /// # Errors
    /// For an anonymous customer.
    pub(super) fn reads(&self) -> Result<&Self, Fault> {
        if self.is_anonymous { Err(Fault::Forbidden(Scope::FilesRead)) } else { Ok(self) }
    }
}

impl FromRequestParts<AppState> for Asking {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Fault> {
        let credentials = Credentials::of(&parts.headers, parts.uri.query().unwrap_or_default())?;
        match (&credentials.token, &credentials.session, &credentials.fingerprint) {
            (Some(token), session, _) => by_token(token, session.as_deref(), credentials.is_basic, parts, state).await,
            (None, Some(session), _) => by_session(session, parts, state).await,
            (None, None, Some(fingerprint)) => by_fingerprint(fingerprint, parts, state),
            (None, None, None) => Err(Fault::Unauthenticated),
        }
    }
}

/// Clients that have logged in may send both from then on; then both are good, and the same caller's.
async fn by_token(token: &str, session: Option<&str>, is_basic: bool, parts: &Parts, state: &AppState) -> Result<Asking, Fault> {
    let holder = holder_of(token, parts, state).await?;
    if let Some(session) = session {
        let known = state.tokens.session(session, None, address(parts), OffsetDateTime::now_utc()).await?;
        if known.ok_or(Fault::UnknownSession)?.caller != (Caller { dialect: None, ..holder.caller.clone() }) {
            return Err(Fault::Contradiction(vec!["Authorization".to_owned(), "X-Session-ID".to_owned()]));
        }
    }
    let group = state.tokens.group(&holder.caller.tenant, holder.caller.actor);
    let is_open = parts.headers.get(CSRF).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"false"));
    let guard = if is_open { Guard::Open } else { Guard::Guarded };
    let began = is_basic.then(|| state.tokens.log_in(&holder, guard, OffsetDateTime::now_utc())).flatten();
    Ok(Asking { caller: holder.caller, group, began, is_anonymous: false })
}

async fn by_session(session: &str, parts: &Parts, state: &AppState) -> Result<Asking, Fault> {
    let mut proofs = parts.headers.get_all(CSRF_TOKEN).iter();
    let proof = proofs.next().filter(|_| proofs.next().is_none()).and_then(|value| value.to_str().ok());
    let known = state.tokens.session(session, proof, address(parts), OffsetDateTime::now_utc()).await?;
    let session = known.ok_or(Fault::UnknownSession)?;
    let caller = admitted(session.caller, parts, state)?;
    let changes = ![Method::GET, Method::HEAD, Method::OPTIONS].contains(&parts.method);
    if changes && !session.may_change {
        return Err(Fault::CsrfFailed);
    }
    Ok(Asking { caller, group: session.group, began: None, is_anonymous: false })
}

fn by_fingerprint(fingerprint: &str, parts: &Parts, state: &AppState) -> Result<Asking, Fault> {
    let settings = KayakoSettings::of(state);
    let (Some(tenant), Some(name)) = (settings.fingerprints.clone(), uuid(fingerprint)) else { return Err(Fault::Unauthenticated) };
    let actor = state.tokens.anonymous(&tenant, &name).ok_or(Fault::Unauthenticated)?;
    let types = TypeLimit::to([settings.file_type.to_string()]);
    let caller = Caller { actor, tenant, scopes: Scopes::only(Scope::FilesWrite), types, dialect: None };
    let caller = admitted(caller, parts, state)?;
    let group = state.tokens.group(&caller.tenant, actor);
    Ok(Asking { caller, group, began: None, is_anonymous: true })
}
