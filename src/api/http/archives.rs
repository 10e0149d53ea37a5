//! Files as one ZIP archive, made while it is sent.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Response};

use super::downloads::places::{Link, What};
use super::downloads::{header, of_unknown_length};
use super::fault::Fault;
use super::state::AppState;
use crate::broker::{BrokerError, FileArchive};

/// An archive, saved as `name`, whose characters may stand in a header as they are. When something fails in the middle, the connection
/// breaks: an archive that arrives whole has everything.
pub(in crate::api) async fn answer_archive(
    state: &AppState,
    link: Link,
    mut archive: FileArchive,
    name: &str,
    request: &Parts,
) -> Result<Response<Body>, Fault> {
    let mut response = Response::new(of_unknown_length());
    if request.method != Method::HEAD {
        let ticket = if let What::Archive(ticket) = link.what { Some(ticket.0) } else { None };
        let place = state.downloads.place(link, &request.extensions)?;
        // What cannot even begin is answered, and not broken off.
        let first = archive.next().await?;
        let pieces = futures_util::stream::try_unfold((first, archive), move |(first, mut archive)| async move {
            let next = match first {
                Some(first) => Ok(Some(first)),
                None => archive.next().await,
            };
            let piece = next.inspect_err(|error| tracing::warn!(ticket.id = ticket, %error, "an archive was cut off"))?;
            Ok::<_, BrokerError>(piece.map(|piece| (piece, (None, archive))))
        });
        *response.body_mut() = place.body(pieces);
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    headers.insert(CONTENT_DISPOSITION, header(&format!("attachment; filename=\"{name}\""))?);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    Ok(response)
}
