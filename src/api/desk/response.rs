//! What Desk's clients are answered: slips and file objects.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa::openapi::{Object, Type};

use crate::api::http::AppState;
use crate::api::http::body::json;
use crate::api::http::downloads::Links;
use crate::api::http::instants::{Micros, Seconds};
use crate::broker::{Arrived, InParts, SignedPart, Slip};
use crate::domain::file::ChecksumSha256;
use crate::domain::{Actor, ActorKind, Caller, Disposition, Evidence, File, FileState, Part, SealedKey, Verdict};

/// A slip: what to upload with, and the file that it will become.
#[derive(Serialize, ToSchema)]
#[schema(as = Slip)]
#[serde(rename_all = "camelCase")]
pub(super) struct SlipBody<'a> {
    /// `POST`: a form for `url`. `PUT`: the bytes go to `url`, with `headers`. `MULTIPART`: parts are signed one by one.
    #[schema(schema_with = methods)]
    method: &'static str,
    /// Where the bytes go, without a token. Absent with `MULTIPART`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "uri")]
    url: Option<String>,
    /// With `POST`, the fields of a `multipart/form-data` form: send every one with its value unchanged, then the bytes as the last
    /// field, `file`. Else empty.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    params: Texts,
    /// With `PUT`, the headers to send exactly so. Else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = std::collections::BTreeMap<String, String>, required = false)]
    headers: Option<Texts>,
    /// With `MULTIPART`, bytes of every part but the last. Else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    part_size: Option<u64>,
    /// With `MULTIPART`, how many parts. Else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    part_count: Option<u64>,
    /// When the store stops taking the form or the bytes, UTC. Signing parts moves it on.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Seconds,
    file: FileBody<'a>,
}

/// Parts that were signed.
#[derive(Serialize, ToSchema)]
#[schema(as = SignedParts)]
#[serde(rename_all = "camelCase")]
pub(super) struct SignedPartsBody {
    parts: Vec<SignedPartBody>,
    /// When the store stops taking them, UTC.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Seconds,
}

/// Where the bytes of one part go.
#[derive(Serialize, ToSchema)]
#[schema(as = SignedPart)]
#[serde(rename_all = "camelCase")]
struct SignedPartBody {
    /// From 1.
    #[schema(minimum = 1)]
    part_number: u32,
    /// Always `PUT`.
    method: &'static str,
    /// Where the bytes go, without a token.
    #[schema(format = "uri")]
    url: String,
    /// The headers to send exactly so.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    headers: Texts,
    /// Exact number of bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    size: Option<u64>,
}

/// What arrived of a file in parts.
#[derive(Serialize, ToSchema)]
#[schema(as = ArrivedParts)]
#[serde(rename_all = "camelCase")]
pub(super) struct ArrivedBody<'a> {
    /// Bytes of every part but the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    part_size: Option<u64>,
    /// How many parts there will be.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    part_count: Option<u64>,
    /// Those that are there, by number.
    parts: Vec<ArrivedPartBody>,
    /// When the broker forgets the file, unless parts are asked for before, UTC.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Seconds,
    file: FileBody<'a>,
}

/// One part that arrived.
#[derive(Serialize, ToSchema)]
#[schema(as = ArrivedPart)]
#[serde(rename_all = "camelCase")]
struct ArrivedPartBody {
    /// From 1.
    #[schema(minimum = 1)]
    part_number: u32,
    /// Bytes.
    size: u64,
    /// Entity tag, without quotes; empty from a store that tells none.
    etag: String,
}

/// One file, wrapped.
#[derive(Serialize, ToSchema)]
#[schema(as = FileAnswer)]
pub(super) struct Envelope<'a> {
    pub(super) file: FileBody<'a>,
}

/// One uploaded content and its record.
#[derive(Serialize, ToSchema)]
#[schema(as = File)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileBody<'a> {
    /// Its number; never reused.
    #[schema(minimum = 1)]
    id: i64,
    /// The granted content type while `temp`, the decided one once active.
    mime_type: String,
    /// Its name, cleaned: one path component of 1 to 255 bytes.
    filename: &'a str,
    /// The same as `filename`.
    #[serde(rename = "fileName")]
    file_name: &'a str,
    /// Bytes that landed; 0 while `temp`.
    size: u64,
    /// Listed below a message, or shown inside it.
    #[schema(schema_with = dispositions)]
    disposition: &'static str,
    /// The name of the file type it was granted under.
    r#type: &'a str,
    /// `temp`: a slip was issued. `active`: what arrived was looked at and sealed. `deleted`: it was, and can be restored until it is purged.
    #[schema(schema_with = states)]
    state: &'static str,
    /// Always empty; absent while `temp`.
    #[serde(rename = "URL", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    url: Option<&'static str>,
    /// Where the bytes are, for a person or a page: it needs no token while its `proxyKey` is good, or, without one, a token. Empty unless
    /// `active`, and for a token without `files:read`.
    #[serde(rename = "downloadURL")]
    download_url: String,
    /// What opens `downloadURL` to whoever has it, for a time. Empty where that is, and where this installation has no secret for it.
    proxy_key: String,
    /// The sealed object's key in the bucket, for whoever has the bucket's own credentials. Empty where `downloadURL` is.
    s3_path: &'a str,
    /// Width of an image in pixels, where its header says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pixel_width: Option<u32>,
    /// Height of an image in pixels, where its header says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pixel_height: Option<u32>,
    /// Absent while `temp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    evidence: Option<EvidenceBody<'a>>,
    /// When the slip was issued, UTC, with microseconds.
    #[schema(value_type = String, format = DateTime)]
    created_at: Micros,
    /// When its content or description last changed, UTC, with microseconds. Deleting and restoring do not move it.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Micros,
    /// Whose token asked for the slip.
    created_by: ActorBody,
    /// Whose token changed it last.
    updated_by: ActorBody,
    /// Whose file it is, where a customer's token asked for the slip; else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    customer: Option<ActorBody>,
    /// When it was deleted, UTC, with microseconds; absent unless it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, required = false)]
    deleted_at: Option<Micros>,
    /// Whose token deleted it; absent unless it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    deleted_by: Option<ActorBody>,
}

/// What was declared, granted, detected and decided: all that an auditor asks about one upload.
#[derive(Serialize, ToSchema)]
#[schema(as = Evidence)]
#[serde(rename_all = "camelCase")]
pub(super) struct EvidenceBody<'a> {
    /// The content type that the request declared; null when it was blank.
    #[schema(required)]
    declared_type: Option<String>,
    /// The content type that the form demanded.
    granted_type: String,
    /// The content type that the first bytes show; null where they show none.
    #[schema(required)]
    detected_type: Option<String>,
    /// The content type of the file from now on.
    decided_type: String,
    /// The content type that the sealed object is stored with.
    served_type: String,
    /// `relabeled`: the bytes were something else than granted. `trusted`: the file type says not to look.
    #[schema(schema_with = verdicts)]
    verdict: &'static str,
    /// Fewest and most bytes that the form took.
    size_range: [u64; 2],
    /// Base64 of the SHA-256 that was declared; null when none was.
    #[serde(rename = "checksumSHA256")]
    #[schema(required)]
    checksum_sha256: Option<&'a str>,
    /// The sealed object's entity tag, without quotes.
    #[schema(required)]
    etag: Option<&'a str>,
}

/// A person or program.
#[derive(Serialize, ToSchema)]
#[schema(as = Actor)]
pub(super) struct ActorBody {
    id: i64,
    /// What kind of number that is.
    #[schema(schema_with = actor_kinds)]
    r#type: &'static str,
}

impl ActorBody {
    pub(super) fn of(kind: &'static str, id: i64) -> Self {
        Self { id, r#type: kind }
    }
}

fn dispositions() -> Object {
    words(Disposition::ALL.map(Disposition::as_str))
}

fn states() -> Object {
    words([FileState::Temp, FileState::Active, FileState::Deleted].map(FileState::as_str))
}

fn verdicts() -> Object {
    words([Verdict::Matches, Verdict::Relabeled, Verdict::Trusted].map(Verdict::as_str))
}

fn actor_kinds() -> Object {
    words([ActorKind::Users, ActorKind::Customers].map(ActorKind::as_str))
}

/// The schema of a text that is one of these words.
pub(super) fn words<const N: usize>(words: [&'static str; N]) -> Object {
    Object::builder().schema_type(Type::String).enum_values(Some(words)).build()
}

fn methods() -> Object {
    words(["POST", "PUT", "MULTIPART"])
}

/// A form's fields or a request's headers as one object, in the order in which they are best sent.
struct Texts(Vec<(&'static str, String)>);

impl Serialize for Texts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (field, value) in &self.0 {
            map.serialize_entry(field, value)?;
        }
        map.end()
    }
}

impl<'a> SlipBody<'a> {
    pub(super) fn new(file: &'a File, slip: Slip) -> Self {
        let body = Self {
            method: "MULTIPART",
            url: None,
            params: Texts(Vec::new()),
            headers: None,
            part_size: None,
            part_count: None,
            expires_at: Seconds(slip.expires_at()),
            file: FileBody::new(file),
        };
        match slip {
            Slip::Form(post) => Self { method: "POST", url: Some(post.url), params: Texts(post.fields), ..body },
            Slip::Put(put) => Self { method: "PUT", url: Some(put.url), headers: Some(Texts(put.headers)), ..body },
            Slip::Parts(InParts { part_size, part_count, .. }) => Self { part_size, part_count, ..body },
        }
    }
}

impl SignedPartsBody {
    pub(super) fn new(signed: Vec<SignedPart>) -> Self {
        let expires_at = Seconds(signed.first().map_or(OffsetDateTime::UNIX_EPOCH, |part| part.put.expires_at));
        let parts = signed.into_iter().map(|SignedPart { number, size, put }| SignedPartBody {
            part_number: number,
            method: "PUT",
            url: put.url,
            headers: Texts(put.headers),
            size,
        });
        Self { parts: parts.collect(), expires_at }
    }
}

impl<'a> ArrivedBody<'a> {
    pub(super) fn new(arrived: &'a Arrived) -> Self {
        let Arrived { file, slip, parts, .. } = arrived;
        let parts = parts.iter().map(|Part { number, size, etag }| ArrivedPartBody {
            part_number: *number,
            size: *size,
            etag: etag.trim_matches('"').to_owned(),
        });
        Self {
            part_size: slip.part_size,
            part_count: slip.part_count,
            parts: parts.collect(),
            expires_at: Seconds(slip.expires_at),
            file: FileBody::new(file),
        }
    }
}

impl<'a> EvidenceBody<'a> {
    pub(super) fn new(file: &'a File, evidence: &'a Evidence) -> Self {
        Self {
            declared_type: file.declared_type.as_ref().map(ToString::to_string),
            granted_type: file.grant.content_type.to_string(),
            detected_type: evidence.detected.as_ref().map(ToString::to_string),
            decided_type: evidence.decided.to_string(),
            served_type: evidence.decided.as_served().to_string(),
            verdict: evidence.verdict.as_str(),
            size_range: [file.grant.min_size, file.grant.max_size],
            checksum_sha256: file.checksum_sha256.as_ref().map(ChecksumSha256::as_base64),
            etag: file.etag(),
        }
    }
}

impl<'a> FileBody<'a> {
    pub(super) fn new(file: &'a File) -> Self {
        let actor = |actor: Actor| ActorBody { id: actor.id, r#type: actor.kind.as_str() };
        let pixels = file.pixels();
        Self {
            id: file.id.0,
            mime_type: file.content_type().to_string(),
            filename: file.name.as_str(),
            file_name: file.name.as_str(),
            size: file.size(),
            disposition: file.disposition.as_str(),
            r#type: &file.type_name,
            state: file.state().as_str(),
            url: (file.state() != FileState::Temp).then_some(""),
            download_url: String::new(),
            proxy_key: String::new(),
            s3_path: "",
            pixel_width: pixels.map(|pixels| pixels.width),
            pixel_height: pixels.map(|pixels| pixels.height),
            evidence: file.evidence().map(|evidence| EvidenceBody::new(file, evidence)),
            created_at: Micros(file.created_at),
            updated_at: Micros(file.updated_at),
            created_by: actor(file.created_by),
            updated_by: actor(file.updated_by),
            customer: file.customer().map(actor),
            deleted_at: file.deletion().map(|deletion| Micros(deletion.at)),
            deleted_by: file.deletion().map(|deletion| actor(deletion.by)),
        }
    }

    /// The same with what leads to the bytes, where there are any to be had and whoever asks may have them.
    pub(super) fn linked(mut self, file: &'a File, links: &Links<'_>) -> Self {
        if file.state() == FileState::Active
            && let Some(link) = links.to(file)
        {
            (self.proxy_key, self.download_url) = link;
            self.s3_path = file.sealed_key().map_or("", SealedKey::as_str);
        }
        self
    }
}

/// One file as an answer.
pub(super) fn one(state: &AppState, caller: &Caller, file: &File) -> Response<Body> {
    let links = Links::new(state, caller, OffsetDateTime::now_utc());
    json(StatusCode::OK, &Envelope { file: FileBody::new(file).linked(file, &links) })
}
