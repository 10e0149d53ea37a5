//! What every answer has around its data.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::auth::Asking;
use super::case::Case;
use super::file::{Member, Showing};
use crate::api::http::body::json as answer;
use crate::api::http::downloads::places::Link;
use crate::api::http::rendering::JSON;
use crate::api::http::streamed::Streamed;
use crate::api::http::{AppState, Fault};
use crate::domain::File;

/// The header that says what changes need beside the session that was just begun.
const CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");

/// An answer: `members` are what stands beside `status`, such as `data` and `resource`. Whoever logged in is told his session.
pub(super) fn enveloped(asking: &Asking, case: Case, status: StatusCode, members: Map<String, Value>) -> Response<Body> {
    let mut body = Map::new();
    body.insert("status".to_owned(), json!(status.as_u16()));
    body.extend(members);
    if let Some(session) = session_id(asking) {
        body.insert("session_id".to_owned(), session.into());
    }
    let mut response = answer(status, &case.spell(body.into()));
    told(asking, &mut response);
    response
}

/// The member `session_id` of whoever logged in, for answers that are written piece by piece.
pub(super) fn session_id(asking: &Asking) -> Option<&str> {
    asking.began.as_ref().map(crate::tokens::NewSession::reveal)
}

/// The header that belongs to it.
pub(super) fn told(asking: &Asking, response: &mut Response<Body>) {
    let proof = asking.began.as_ref().and_then(crate::tokens::NewSession::reveal_proof_for_changes);
    if let Some(proof) = proof.and_then(|proof| HeaderValue::from_str(proof).ok()) {
        response.headers_mut().insert(CSRF_TOKEN, proof);
    }
}

/// Writes a file, each member as `case` spells it, and its bytes among them.
pub(super) fn push_file(text: &mut Streamed, file: &File, showing: &Showing<'_>, case: Case) {
    text.push("{");
    for (place, (member, value)) in showing.members(file).into_iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        text.push(&format!("{comma}\"{}\":", case.name(member)));
        match value {
            Member::Value(value) => text.push(&value.to_string()),
            Member::Content => {
                text.push("\"");
                text.content(file);
                text.push("\"");
            }
        }
    }
    text.push("}");
}

/// The answer that was written piece by piece.
pub(super) async fn streamed(text: Streamed, state: &AppState, link: Link, request: &Parts) -> Result<Response<Body>, Fault> {
    let mut response = text.answer(state, link, request, JSON).await?;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response.headers_mut().insert(VARY, HeaderValue::from_static("authorization, x-session-id, x-options"));
    Ok(response)
}
