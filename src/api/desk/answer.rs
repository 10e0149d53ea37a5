//! What Desk's clients are answered: slips and file objects.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::broker::{Arrived, InParts, SignedPart, Slip};
use crate::domain::{Actor, Evidence, File, FileState, Part};

/// Microseconds, always six digits: what Desk's own answers have.
const TIMESTAMP: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
const SECONDS: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SlipBody {
    /// `POST`: a form for `url`. `PUT`: the bytes go to `url`, with `headers`. `MULTIPART`: parts are signed one by one.
    method: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    params: Texts,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Texts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part_count: Option<u64>,
    expires_at: String,
    file: FileBody,
}

/// Parts that were signed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SignedPartsBody {
    parts: Vec<SignedPartBody>,
    expires_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SignedPartBody {
    part_number: u32,
    method: &'static str,
    url: String,
    headers: Texts,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

/// What arrived of a file in parts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ArrivedBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    part_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part_count: Option<u64>,
    parts: Vec<ArrivedPartBody>,
    expires_at: String,
    file: FileBody,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArrivedPartBody {
    part_number: u32,
    size: u64,
    etag: String,
}

#[derive(Serialize)]
pub(super) struct Envelope {
    pub(super) file: FileBody,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileBody {
    id: i64,
    mime_type: String,
    filename: String,
    #[serde(rename = "fileName")]
    file_name: String,
    size: u64,
    disposition: &'static str,
    r#type: String,
    state: &'static str,
    #[serde(rename = "URL", skip_serializing_if = "Option::is_none")]
    url: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pixel_width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pixel_height: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<EvidenceBody>,
    created_at: String,
    updated_at: String,
    created_by: ActorBody,
    updated_by: ActorBody,
}

/// What was declared, granted, detected and decided: all that an auditor asks about one upload.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EvidenceBody {
    declared_type: Option<String>,
    granted_type: String,
    detected_type: Option<String>,
    decided_type: String,
    served_type: String,
    verdict: &'static str,
    size_range: [u64; 2],
    #[serde(rename = "checksumSHA256")]
    checksum_sha256: Option<String>,
    etag: Option<String>,
}

#[derive(Serialize)]
pub(super) struct ActorBody {
    id: i64,
    r#type: &'static str,
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

impl SlipBody {
    pub(super) fn new(file: &File, slip: Slip) -> Self {
        let body = Self {
            method: "MULTIPART",
            url: None,
            params: Texts(Vec::new()),
            headers: None,
            part_size: None,
            part_count: None,
            expires_at: seconds(slip.expires_at()),
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
        let expires_at = signed.first().map(|part| seconds(part.put.expires_at)).unwrap_or_default();
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

impl ArrivedBody {
    pub(super) fn new(arrived: Arrived) -> Self {
        let Arrived { file, slip, parts, .. } = arrived;
        let parts = parts.into_iter().map(|Part { number, size, etag }| ArrivedPartBody {
            part_number: number,
            size,
            etag: etag.trim_matches('"').to_owned(),
        });
        Self {
            part_size: slip.part_size,
            part_count: slip.part_count,
            parts: parts.collect(),
            expires_at: seconds(slip.expires_at),
            file: FileBody::new(&file),
        }
    }
}

fn seconds(at: OffsetDateTime) -> String {
    at.format(SECONDS).unwrap_or_default()
}

impl EvidenceBody {
    pub(super) fn new(file: &File, evidence: &Evidence) -> Self {
        Self {
            declared_type: file.declared_type.as_ref().map(ToString::to_string),
            granted_type: file.granted_type.to_string(),
            detected_type: evidence.detected.as_ref().map(ToString::to_string),
            decided_type: evidence.decided.to_string(),
            served_type: evidence.decided.as_served().to_string(),
            verdict: evidence.verdict.as_str(),
            size_range: [file.min_size, file.max_size],
            checksum_sha256: file.checksum_sha256.as_ref().map(|checksum| checksum.as_base64().to_owned()),
            etag: file.etag.clone(),
        }
    }
}

impl FileBody {
    pub(super) fn new(file: &File) -> Self {
        let instant = |at: OffsetDateTime| at.format(TIMESTAMP).unwrap_or_default();
        let actor = |actor: Actor| ActorBody { id: actor.id, r#type: actor.kind.as_str() };
        let name = file.name.as_str().to_owned();
        let pixels = file.evidence.as_ref().and_then(|evidence| evidence.pixels);
        Self {
            id: file.id.0,
            mime_type: file.content_type().to_string(),
            filename: name.clone(),
            file_name: name,
            size: file.size,
            disposition: file.disposition.as_str(),
            r#type: file.type_name.clone(),
            state: file.state.as_str(),
            url: (file.state != FileState::Temp).then_some(""),
            pixel_width: pixels.map(|pixels| pixels.width),
            pixel_height: pixels.map(|pixels| pixels.height),
            evidence: file.evidence.as_ref().map(|evidence| EvidenceBody::new(file, evidence)),
            created_at: instant(file.created_at),
            updated_at: instant(file.updated_at),
            created_by: actor(file.created_by),
            updated_by: actor(file.updated_by),
        }
    }
}
