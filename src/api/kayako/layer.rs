//! What every request of this dialect goes through: how its answer is spelled, and whether the client takes it.

use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, header};
use axum::middleware::Next;
use axum::response::IntoResponse as _;

use super::case::Case;
use super::errors::Told;
use super::paths::is_content;
use super::request::Arguments;
use crate::api::http::lingering::lingering;
use crate::api::http::{Fault, PublicUrl};

/// Handlers find the [`Case`] as an extension of the request, refusals as one of the answer.
pub(super) async fn answered(mut request: Request<Body>, next: Next) -> Response<Body> {
    let arguments = Arguments::parsed(request.uri().query().unwrap_or_default());
    let case = Case::named(arguments.all("_case").next());
    let public_url = request.extensions().get::<PublicUrl>().map(|url| url.0.clone()).unwrap_or_default();
    let is_script = request.headers().contains_key("x-requested-with");
    request.extensions_mut().insert(case);
    let takes = is_content(request.uri().path()) || takes_json(request.headers());
    let mut response = if takes { next.run(lingering(request)).await } else { Fault::NotAcceptable.into_response() };
    response.extensions_mut().insert(Told { case, is_script, public_url });
    response
}

/// Whether `Accept` allows JSON; a missing or empty one does.
fn takes_json(headers: &HeaderMap) -> bool {
    let mut ranges = headers.get_all(header::ACCEPT).iter().flat_map(|list| list.as_bytes().split(|b| *b == b',')).peekable();
    let mut is_empty = true;
    let takes = ranges.any(|range| {
        let range = String::from_utf8_lossy(range).to_ascii_lowercase();
        let mut words = range.split(';').map(str::trim);
        let name = words.next().unwrap_or_default();
        is_empty = is_empty && name.is_empty();
        let refused = words.any(|word| word.strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok()) == Some(0.0));
        ["application/json", "application/*", "*/*", "*"].contains(&name) && !refused
    });
    takes || is_empty
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_taken_where_accept_allows_it() {
        let takes = |accept: &str| takes_json(&[(header::ACCEPT, accept.parse().unwrap())].into_iter().collect());
        for good in [
            "",
            "*/*",
            "application/json",
            "Application/JSON; charset=utf-8",
            "text/html, */*;q=0.1",
            "application/*",
            "x/y,application/json;q=0.5",
        ] {
            assert!(takes(good), "{good}");
        }
        for bad in ["text/html", "application/xml, text/*", "application/json;q=0", "image/png,*/*; q=0.0"] {
            assert!(!takes(bad), "{bad}");
        }
        assert!(takes_json(&HeaderMap::new()));
    }
}
