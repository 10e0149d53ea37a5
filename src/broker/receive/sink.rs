//! Where the bytes of one upload go: into a buffer, and from there to its sealed key, whole or in parts.

use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest as _, Md5};
use sha2::Sha256;
use time::OffsetDateTime;
use tokio::task::JoinHandle;

use super::super::{Broker, BrokerError};
use crate::bucket::{BucketError, SealedAs};
use crate::domain::image_header::Pieces;
use crate::domain::{Part, SealedKey};
use crate::failpoint;

/// Bytes of a buffer, of a part, and of the largest object that is written whole.
pub(super) const BUFFER: usize = 8 << 20;

/// A buffer grows from this size on: most files are small.
const FIRST_BUFFER: usize = 64 << 10;

/// How many first bytes are kept of what goes in parts: as many as any judgement asks for.
const START: usize = 256 << 10;

/// What a part's object is served as where nobody says otherwise: every download does.
const PLAINEST: &str = "application/octet-stream";

pub(super) struct Sink {
    key: SealedKey,
    doomed_until: OffsetDateTime,
    filling: Vec<u8>,
    size: u64,
    md5: Md5,
    sha256: Sha256,
    upload: Option<Upload>,
    /// A write was begun whose end nobody has seen: the object may still come to be.
    pub(super) is_unsure: bool,
    /// There may be an object.
    pub(super) is_written: bool,
}

/// An upload in parts.
struct Upload {
    id: String,
    start: Vec<u8>,
    sent: Vec<Part>,
    sending: Option<JoinHandle<Result<Part, BucketError>>>,
}

impl Sink {
    pub(super) fn new(key: SealedKey, doomed_until: OffsetDateTime) -> Self {
        let (md5, sha256) = (Md5::new(), Sha256::new());
        Self { key, doomed_until, filling: Vec::new(), size: 0, md5, sha256, upload: None, is_unsure: false, is_written: false }
    }

    /// Bytes that came.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Whether all that came is in the buffer.
    pub(super) fn is_whole(&self) -> bool {
        self.upload.is_none()
    }

    pub(super) fn is_full(&self) -> bool {
        self.filling.len() >= BUFFER
    }

    /// Takes as many bytes as there is room for.
    pub(super) fn fill(&mut self, bytes: &mut Bytes) {
        let piece = bytes.split_to(bytes.len().min(BUFFER.saturating_sub(self.filling.len())));
        let needed = self.filling.len() + piece.len();
        if needed > self.filling.capacity() {
            let wished = (self.filling.capacity() * 2).max(FIRST_BUFFER).max(needed).min(BUFFER);
            self.filling.reserve_exact(wished - self.filling.len());
        }
        self.filling.extend_from_slice(&piece);
        self.md5.update(&piece);
        self.sha256.update(&piece);
        self.size += piece.len() as u64;
    }

    /// What an upload of `size` bytes shows that is whole in the buffer so far; `None` where more is needed.
    pub(super) fn known(&self, size: u64) -> Option<Pieces> {
        pieces(&self.filling, size)
    }

    /// The first bytes, at most `wanted`, of what went in parts.
    pub(super) fn start(&self, wanted: u64) -> Vec<u8> {
        let start = self.upload.as_ref().map_or(&[][..], |upload| &upload.start);
        start.iter().take(usize::try_from(wanted).unwrap_or(usize::MAX)).copied().collect()
    }

    /// MD5 and SHA-256 of all that came.
    pub(super) fn digests(&self) -> ([u8; 16], [u8; 32]) {
        (self.md5.clone().finalize().into(), self.sha256.clone().finalize().into())
    }

    /// Sends the buffer as a part, once the one before has arrived.
    pub(super) async fn send(&mut self, broker: &Arc<Broker>) -> Result<(), BrokerError> {
        if self.upload.is_none() {
            self.begin(broker).await?;
        }
        let filled = Bytes::from(std::mem::take(&mut self.filling));
        let Some(upload) = &mut self.upload else { return Err(BrokerError::Changing) };
        upload.settle(&mut self.is_unsure).await?;
        let number = u32::try_from(upload.sent.len() + 1).unwrap_or(u32::MAX);
        let (broker, key, id) = (broker.clone(), self.key.clone(), upload.id.clone());
        upload.sending = Some(tokio::spawn(async move { broker.bucket.put_part(&key, &id, number, filled).await }));
        Ok(())
    }

    /// Begins an upload in parts. Should this process end here, the doomed list says that there may be one.
    async fn begin(&mut self, broker: &Arc<Broker>) -> Result<(), BrokerError> {
        broker.database.doom(self.key.as_str(), self.doomed_until, true).await?;
        self.is_unsure = true;
        let id = broker.bucket.begin_upload(self.key.as_str(), PLAINEST, Some("attachment")).await?;
        failpoint::reach("receive: upload begun");
        let start = self.filling.iter().take(START).copied().collect();
        self.upload = Some(Upload { id: id.clone(), start, sent: Vec::new(), sending: None });
        self.is_unsure = false;
        broker.database.name_upload(&self.key, &id).await?;
        failpoint::reach("receive: upload named");
        Ok(())
    }

    /// Writes what is whole in the buffer; answers its entity tag where the store tells it.
    pub(super) async fn put(&mut self, broker: &Arc<Broker>, sealed_as: &SealedAs<'_>) -> Result<Option<String>, BrokerError> {
        (self.is_unsure, self.is_written) = (true, true);
        let tag = broker.bucket.put_sealed(sealed_as, Bytes::from(std::mem::take(&mut self.filling))).await?;
        self.is_unsure = false;
        Ok(tag)
    }

    /// Sends the last part and puts all of them together.
    pub(super) async fn put_together(&mut self, broker: &Arc<Broker>) -> Result<(), BrokerError> {
        self.send(broker).await?;
        let Some(upload) = &mut self.upload else { return Err(BrokerError::Changing) };
        upload.settle(&mut self.is_unsure).await?;
        (self.is_unsure, self.is_written) = (true, true);
        broker.bucket.put_together(&self.key, &upload.id, &upload.sent).await?;
        self.is_unsure = false;
        Ok(())
    }

    /// Waits for the part that is under way; the name of the upload that is to be ended, if one was begun.
    pub(super) async fn settled(&mut self) -> Option<&str> {
        let upload = self.upload.as_mut()?;
        // What became of it is in `is_unsure`.
        let _ = upload.settle(&mut self.is_unsure).await;
        Some(&upload.id)
    }
}

impl Upload {
    /// Waits for the part that is under way.
    async fn settle(&mut self, is_unsure: &mut bool) -> Result<(), BrokerError> {
        let Some(sending) = &mut self.sending else { return Ok(()) };
        let sent = sending.await;
        self.sending = None;
        let part = sent.map_err(|error| BucketError::Unavailable(error.to_string())).and_then(|part| part);
        let part = part.inspect_err(|_| *is_unsure = true)?;
        self.sent.push(part);
        failpoint::reach("receive: part written");
        Ok(())
    }
}

/// The first bytes of what is still whole in memory, with more of it where an image's size needs that; `None` where that is not in memory.
fn pieces(start: &[u8], size: u64) -> Option<Pieces> {
    let mut upload = Pieces::new(start.to_vec(), size);
    while let Some(range) = upload.wanted() {
        let bytes = start.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)?.to_vec();
        upload.add(range.start, bytes);
    }
    Some(upload)
}
