//! Who asks: a token as Bearer, or as the user of Basic.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::api::http::auth::holder;
use crate::api::http::{AppState, Fault};
use crate::domain::Caller;

/// Who asks. A handler that forgets it cannot name whose files it works on, so it does not compile.
pub(super) struct Authenticated(pub(super) Caller);

impl FromRequestParts<AppState> for Authenticated {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Fault> {
        Ok(Self(holder(parts, state).await?.caller))
    }
}
