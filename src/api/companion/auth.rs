//! Who uploads: an upload token in the path, or what every dialect takes.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use time::OffsetDateTime;

use crate::api::http::auth::{address, admitted, holder};
use crate::api::http::{AppState, Fault};
use crate::domain::Caller;
use crate::tokens::Holder;

/// The path's name for an upload token.
pub(super) const UPLOAD_TOKEN: &str = "upload_token";

/// Who uploads: by an upload token in the path where the route has one, by an access token elsewhere.
pub(super) struct Uploader(pub(super) Caller);

impl FromRequestParts<AppState> for Uploader {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Fault> {
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| Fault::NotFound)?;
        let Some((_, token)) = params.iter().find(|(name, _)| *name == UPLOAD_TOKEN) else {
            return Ok(Self(holder(parts, state).await?.caller));
        };
        let known = state.tokens.authenticate_upload(token, address(parts), OffsetDateTime::now_utc()).await?;
        Ok(Self(admitted(known.ok_or(Fault::Unauthenticated)?, parts, state)?))
    }
}

/// Who makes upload tokens: by an access token or a JWT alone.
pub(super) struct Maker(pub(super) Holder);

impl FromRequestParts<AppState> for Maker {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Fault> {
        Ok(Self(holder(parts, state).await?))
    }
}
