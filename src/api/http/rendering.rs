//! How a dialect says a fault: status, media type, body and challenges.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};

use super::fault::{Fault, RETRY_AFTER_SECONDS};

/// The media type of JSON.
pub(in crate::api) const JSON: &str = "application/json";

/// The challenge for a token.
pub(in crate::api) const BEARER: &str = "Bearer realm=\"dropslip\"";

/// The challenge for a token as the user of a password.
pub(in crate::api) const BASIC: &str = "Basic realm=\"dropslip\"";

/// How a dialect says its faults. Headers that are HTTP's own, such as `Retry-After`, are the same in all.
pub(in crate::api) struct Rendering {
    /// The status: [`Fault::status`], unless the dialect has another for some.
    pub(in crate::api) status: fn(&Fault) -> StatusCode,
    /// The media type of every body.
    pub(in crate::api) content_type: &'static str,
    /// The body.
    pub(in crate::api) body: fn(&Fault) -> Vec<u8>,
    /// What is offered with a 401, a `WWW-Authenticate` each.
    pub(in crate::api) challenges: &'static [&'static str],
    /// What else every answer carries, whether it is a fault or not.
    pub(in crate::api) finish: fn(&mut Response<Body>, Option<&Fault>),
}

impl Rendering {
    /// Says the fault of a response, if it has one.
    pub(in crate::api) fn apply(&self, response: &mut Response<Body>) {
        let fault = response.extensions().get::<Arc<Fault>>().cloned();
        if let Some(fault) = &fault {
            self.say(fault, response);
        }
        (self.finish)(response, fault.as_deref());
    }

    fn say(&self, fault: &Fault, response: &mut Response<Body>) {
        *response.status_mut() = (self.status)(fault);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        match fault {
            Fault::Unauthenticated => {
                for challenge in self.challenges {
                    headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
                }
            }
            Fault::LimitExceeded(exceeded) => drop(headers.insert(header::RETRY_AFTER, HeaderValue::from(exceeded.retry_after_seconds))),
            // What would be read (RFC 9110, section 15.5.16).
            Fault::Coded(_) => drop(headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))),
            Fault::RangeNotSatisfiable(size) => {
                drop(HeaderValue::from_str(&format!("bytes */{size}")).map(|value| headers.insert(header::CONTENT_RANGE, value)));
            }
            Fault::Unavailable(_) => drop(headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS))),
            _ => {}
        }
        headers.remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from((self.body)(fault));
    }
}

/// An answer that carries nothing but what it is about.
pub(in crate::api) fn nothing_else(_: &mut Response<Body>, _: Option<&Fault>) {}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::*;

    #[test]
    fn a_dialect_says_status_type_body_and_challenges() {
        let rendering = Rendering {
            status: |fault| if matches!(fault, Fault::NotUploaded) { StatusCode::NOT_FOUND } else { fault.status() },
            content_type: "text/xml",
            body: |_| b"<no/>".to_vec(),
            challenges: &[BASIC, BEARER],
            finish: nothing_else,
        };
        let said = |fault: Fault| {
            let mut response = fault.into_response();
            rendering.apply(&mut response);
            response
        };
        let refused = said(Fault::Unauthenticated);
        assert_eq!(refused.headers().get_all(header::WWW_AUTHENTICATE).iter().collect::<Vec<_>>(), [BASIC, BEARER]);
        assert_eq!((refused.status(), &refused.headers()[header::CONTENT_TYPE]), (StatusCode::UNAUTHORIZED, &"text/xml".parse().unwrap()));
        assert_eq!(said(Fault::NotUploaded).status(), StatusCode::NOT_FOUND);
        assert_eq!(said(Fault::RangeNotSatisfiable(7)).headers()[header::CONTENT_RANGE], "bytes */7");
        assert!(!said(Fault::NotFound).headers().contains_key(header::WWW_AUTHENTICATE));
        let mut good = StatusCode::OK.into_response();
        rendering.apply(&mut good);
        assert_eq!((good.status(), good.headers().get(header::CONTENT_TYPE)), (StatusCode::OK, None));
    }
}
