//! What dialects share about downloads: links to files, and how their bytes are answered.
//!
//! Either a redirect to a presigned URL of the store's, or the bytes themselves. A redirect has no entity tag: a browser that asked
//! whether its copy of it is still good would get a yes, and go where nothing is answered any more.

pub(in crate::api) mod places;
mod settings;

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::header::{
    ACCEPT_RANGES, AUTHORIZATION, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    ETAG, LOCATION, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Response, StatusCode};
use time::OffsetDateTime;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::{Object, Type};

use super::auth::holder;
use super::conditions::{is_known, may_be, wanted};
use super::fault::Fault;
use super::field_errors::FieldErrors;
use super::file_paths::FilePaths;
use super::query::Query;
use super::state::AppState;
use crate::broker::{BucketError, Offered, Reader};
use crate::domain::byte_range::ByteRange;
use crate::domain::{Caller, Disposition, File, FileId, Scope};
use crate::proxy_key::ProxyKeys;
use places::{Link, What};
pub use settings::Downloads;

/// What a query calls a key in a link.
pub(in crate::api) const PROXY_KEY: &str = "proxyKey";

/// What a browser says that it asks for: `image`, `video`, or `empty` for a script.
const SEC_FETCH_DEST: &str = "sec-fetch-dest";

/// What is sent from here could have been written by anybody: should a browser show it, then as a page of nobody that can do nothing.
const NOTHING_RUNS: &str =
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox";

/// Makes the links of one answer, all of them with the same keys; none for who may not read files.
pub(in crate::api) struct Links<'a> {
    /// Where files are, for whoever may have them.
    paths: Option<FilePaths>,
    keys: Option<(Arc<ProxyKeys>, OffsetDateTime)>,
    public_url: &'a str,
}

impl<'a> Links<'a> {
    pub(in crate::api) fn new(state: &'a AppState, caller: &Caller, now: OffsetDateTime) -> Self {
        let keys = state.downloads.keys();
        let paths = state.files.filter(|_| caller.scopes.contains(Scope::FilesRead));
        Self { paths, keys: keys.map(|keys| (keys.clone(), keys.issue_time(now))), public_url: &state.public_url }
    }

    /// Links to nothing in particular, for examples.
    pub(in crate::api) fn of_example(paths: FilePaths) -> Self {
        Self { paths: Some(paths), keys: None, public_url: "https://uploads.example.com" }
    }

    /// The key of a file's link, and the link; without keys, one that needs a token. `None` where there may be no link.
    pub(in crate::api) fn to(&self, file: &File) -> Option<(String, String)> {
        let url = format!("{}{}", self.public_url, (self.paths?.download)(file.id));
        let Some((keys, issued_at)) = &self.keys else { return Some((String::new(), url)) };
        let key = keys.seal(&file.tenant, file.id, *issued_at);
        let url = format!("{url}?{PROXY_KEY}={key}");
        Some((key, url))
    }
}

impl FromRequestParts<AppState> for Reader {
    type Rejection = Fault;

    /// By a token where there is one; else by the link's key. What is wrong with a key is not said.
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Fault> {
        let key = Query::of(parts).at_most_one(PROXY_KEY).map_err(|_| Fault::Unauthenticated)?;
        let Some(key) = key.filter(|_| !parts.headers.contains_key(AUTHORIZATION)) else {
            return Ok(Self::Caller(holder(parts, state).await?.caller));
        };
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| Fault::NotFound)?;
        let id = params.iter().find(|(name, _)| *name == "id").and_then(|(_, id)| id.parse().ok()).ok_or(Fault::Unauthenticated)?;
        let keys = state.downloads.keys().ok_or(Fault::Unauthenticated)?;
        let tenant = keys.open(&key, FileId(id), OffsetDateTime::now_utc());
        tenant.map(Self::Link).ok_or(Fault::Unauthenticated)
    }
}

/// What a download is wished to be: shown, saved, or as the file was described.
pub(in crate::api) struct AskedDisposition(Option<Disposition>);

impl AskedDisposition {
    /// To be saved, whatever its uploader wanted.
    pub(in crate::api) const SAVED: Self = Self(Some(Disposition::Attachment));
}

impl<S: Send + Sync> FromRequestParts<S> for AskedDisposition {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fault> {
        let wished = Query::of(parts).at_most_one("disposition").map_err(Fault::Invalid)?;
        match wished.as_deref() {
            None => Ok(Self(None)),
            Some("inline") => Ok(Self(Some(Disposition::AttachmentInline))),
            Some("attachment") => Ok(Self(Some(Disposition::Attachment))),
            Some(_) => Err(Fault::Invalid(FieldErrors::one("disposition", "must be one of ‘inline, attachment’"))),
        }
    }
}

impl utoipa::IntoParams for AskedDisposition {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let parameter = |name: &str, place, description: &str, schema: Object| {
            Parameter::builder().name(name).parameter_in(place).description(Some(description)).schema(Some(schema)).build()
        };
        let text = || Object::builder().schema_type(Type::String).build();
        let wish = Object::builder().schema_type(Type::String).enum_values(Some(["inline", "attachment"])).build();
        let shown = "`inline` shows what is safe to show: raster images, sound, film, plain text. Everything else is saved. At most once.";
        vec![
            parameter("disposition", ParameterIn::Query, shown, wish),
            parameter("If-None-Match", ParameterIn::Header, "Entity tags of what you have: `evidence.etag` in quotes.", text()),
            parameter(
                "Range",
                ParameterIn::Header,
                "One range of bytes; several are ignored. Only where the broker sends the bytes.",
                text(),
            ),
        ]
    }
}

/// A file's bytes, or where they are, as the headers ask for it.
pub(in crate::api) async fn answer(
    state: &AppState,
    reader: &Reader,
    file: &File,
    AskedDisposition(wished): AskedDisposition,
    request: &Parts,
) -> Result<Response<Body>, Fault> {
    let (method, asked) = (&request.method, &request.headers);
    let etag = format!("\"{}\"", file.etag().unwrap_or_default());
    let mut response = Response::new(Body::empty());
    // A token is a part of what was asked: another one may be answered otherwise.
    response.headers_mut().insert(VARY, HeaderValue::from_static("authorization"));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // To be kept, and asked about each time: a file that was deleted is gone.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    let offered = Offered::new(file, wished);
    if state.downloads.proxied && !may_be(asked, &etag) {
        return Err(Fault::PreconditionFailed);
    }
    if is_known(asked, &etag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response.headers_mut().insert(ETAG, header(&etag)?);
        if state.downloads.proxied {
            // The bytes are the same; how they are shown may have been changed since.
            response.headers_mut().insert(CONTENT_DISPOSITION, header(&offered.content_disposition)?);
            *response.body_mut() = of_unknown_length();
        }
        return Ok(response);
    }
    if state.downloads.proxied {
        return proxied(state, reader, file, &offered, request, response).await;
    }
    let now = OffsetDateTime::now_utc();
    let presigned = state.broker.presign_download(file, &offered, method == Method::HEAD, state.downloads.url_lifetime, now).await?;
    // Chromium answers a HEAD from the kept redirect of a GET, and the method is a part of the signature. Elements only ever GET.
    response.headers_mut().append(VARY, HeaderValue::from_static(SEC_FETCH_DEST));
    let kept = if asked.get(SEC_FETCH_DEST).is_some_and(|wanted| wanted == "empty") {
        HeaderValue::from_static("no-store")
    } else {
        // Whoever follows a kept redirect must still have half of the URL's life to begin in.
        header(&format!("private, max-age={}", (presigned.expires_at - now).whole_seconds().max(0) / 2))?
    };
    response.headers_mut().insert(CACHE_CONTROL, kept);
    response.headers_mut().insert(LOCATION, header(&presigned.url)?);
    *response.status_mut() = StatusCode::FOUND;
    Ok(response)
}

/// The bytes, through the broker.
async fn proxied(
    state: &AppState,
    reader: &Reader,
    file: &File,
    offered: &Offered,
    request: &Parts,
    mut response: Response<Body>,
) -> Result<Response<Body>, Fault> {
    let (method, asked) = (&request.method, &request.headers);
    let etag = format!("\"{}\"", file.etag().unwrap_or_default());
    let part = match wanted(method, asked, &etag, file.size()) {
        ByteRange::Whole => None,
        ByteRange::Part(first, last) => Some((first, last)),
        ByteRange::Unsatisfiable => return Err(Fault::RangeNotSatisfiable(file.size())),
    };
    let headers = response.headers_mut();
    headers.insert(ETAG, header(&etag)?);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_TYPE, header(&offered.content_type)?);
    headers.insert(CONTENT_DISPOSITION, header(&offered.content_disposition)?);
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(NOTHING_RUNS));
    let length = part.map_or(file.size(), |(first, last)| last + 1 - first);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if let Some((first, last)) = part {
        headers.insert(CONTENT_RANGE, header(&format!("bytes {first}-{last}/{}", file.size()))?);
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    if method != Method::HEAD && length > 0 {
        let actor = if let Reader::Caller(caller) = reader { Some(caller.actor) } else { None };
        let link = Link { tenant: file.tenant.clone(), actor, what: What::File(file.id) };
        let place = state.downloads.place(link, &request.extensions)?;
        let body = state.broker.read_download(file, part).await?;
        let id = file.id;
        *response.body_mut() = place.body(futures_util::stream::try_unfold(body, move |mut body| async move {
            let piece = body.next().await.inspect_err(|error| tracing::warn!(file.id = %id, %error, "a download was cut off"))?;
            Ok::<_, BucketError>(piece.map(|piece| (piece, body)))
        }));
    }
    Ok(response)
}

/// Nothing, without a length: that of an absent body is the one that is there otherwise (RFC 9110, section 8.6).
pub(in crate::api) fn of_unknown_length() -> Body {
    Body::from_stream(futures_util::stream::empty::<Result<Bytes, Infallible>>())
}

pub(in crate::api) fn header(text: &str) -> Result<HeaderValue, Fault> {
    HeaderValue::from_str(text).map_err(|_| Fault::Internal("an answer that is no header".to_owned()))
}
