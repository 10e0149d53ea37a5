//! Where the bytes of one upload go: into a buffer, and from there to its sealed key, whole or in parts.

use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest as _, Md5};
use sha2::Sha256;
use time::OffsetDateTime;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

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
    /// What the store is asked for at the moment, one thing at a time. It goes to its end when nobody waits for it any more: whoever gives
    /// all of it up must know what came of it.
    asked: Option<JoinHandle<Result<Done, BrokerError>>>,
    /// The store was asked for something whose end nobody has seen: an object or an upload may still come to be.
    pub(super) is_unsure: bool,
    /// There may be an object.
    pub(super) is_written: bool,
}

/// An upload in parts.
struct Upload {
    id: String,
    /// There may be another on the same key, whose name nobody heard.
    may_have_twin: bool,
    start: Vec<u8>,
    sent: Vec<Part>,
}

/// What the store has done.
enum Done {
    /// It has begun an upload of that name; the second try, if the first may have begun one too.
    Begun(String, bool),
    /// It has one more part.
    Sent(Part),
    /// It has the object; its entity tag where the store told it.
    Written(Option<String>),
}

impl Sink {
    pub(super) fn new(key: SealedKey, doomed_until: OffsetDateTime) -> Self {
        let (filling, upload, asked) = (Vec::new(), None, None);
        let (md5, sha256) = (Md5::new(), Sha256::new());
        Self { key, doomed_until, filling, size: 0, md5, sha256, upload, asked, is_unsure: false, is_written: false }
    }

    /// Where they go.
    pub(super) fn key(&self) -> &SealedKey {
        &self.key
    }

    /// Puts the key on the doomed list, before anything is written there.
    pub(super) async fn doom(&self, broker: &Broker) -> Result<(), BrokerError> {
        Ok(broker.database.doom(self.key.as_str(), self.doomed_until, false).await?)
    }

    /// Bytes that came.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Whether all that came is in the buffer.
    pub(super) fn is_whole(&self) -> bool {
        self.upload.is_none()
    }

    /// Whether the buffer is to be sent before all of so many more bytes are in it.
    pub(super) fn overflows(&self, more: usize) -> bool {
        self.filling.len() + more > BUFFER
    }

    /// Takes bytes, and sends each buffer that is full once there are more.
    pub(super) async fn write(&mut self, broker: &Arc<Broker>, mut bytes: Bytes) -> Result<(), BrokerError> {
        while !bytes.is_empty() {
            if self.filling.len() >= BUFFER {
                self.send(broker).await?;
            }
            self.fill(&mut bytes);
        }
        Ok(())
    }

    /// Takes as many bytes as there is room for.
    pub(super) fn fill(&mut self, bytes: &mut Bytes) {
        let piece = bytes.split_to(bytes.len().min(BUFFER.saturating_sub(self.filling.len())));
        let needed = self.filling.len() + piece.len();
        if needed > self.filling.capacity() {
            // While another buffer is sent there is no room for an old and a new one: to grow is to have both for a moment.
            let first = if self.is_whole() { FIRST_BUFFER } else { BUFFER };
            let wished = (self.filling.capacity() * 2).max(first).max(needed).min(BUFFER);
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
            self.ask(begun(broker.clone(), self.key.clone(), self.doomed_until));
        }
        self.settle().await?;
        let Some(upload) = &self.upload else { return Err(BrokerError::Changing) };
        let number = u32::try_from(upload.sent.len() + 1).unwrap_or(u32::MAX);
        let (broker, key, id) = (broker.clone(), self.key.clone(), upload.id.clone());
        let filled = Bytes::from(std::mem::take(&mut self.filling));
        self.ask(async move { Ok(Done::Sent(broker.bucket.put_part(&key, &id, number, filled).await?)) });
        Ok(())
    }

    /// Writes what is whole in the buffer; answers its entity tag where the store tells it.
    pub(super) async fn put(
        &mut self,
        broker: &Arc<Broker>,
        content_type: String,
        content_disposition: String,
    ) -> Result<Option<String>, BrokerError> {
        let (broker, key, bytes) = (broker.clone(), self.key.clone(), Bytes::from(std::mem::take(&mut self.filling)));
        self.is_written = true;
        self.ask(async move {
            let sealed_as = SealedAs { key: &key, content_type: &content_type, content_disposition: &content_disposition };
            Ok(Done::Written(broker.bucket.put_sealed(&sealed_as, bytes).await?))
        });
        self.settle().await
    }

    /// Sends the last part and puts all of them together.
    pub(super) async fn put_together(&mut self, broker: &Arc<Broker>) -> Result<(), BrokerError> {
        self.send(broker).await?;
        self.settle().await?;
        let Some(upload) = &self.upload else { return Err(BrokerError::Changing) };
        let (broker, key, id, sent) = (broker.clone(), self.key.clone(), upload.id.clone(), upload.sent.clone());
        let may_have_twin = upload.may_have_twin;
        self.is_written = true;
        self.ask(async move {
            broker.bucket.put_together(&key, &id, &sent).await?;
            if may_have_twin {
                // Once the key is claimed no sweeper looks for it any more.
                broker.end_twins(&key).await?;
            }
            Ok(Done::Written(None))
        });
        self.settle().await?;
        Ok(())
    }

    /// Whether there may be an upload on the same key whose name nobody heard.
    pub(super) fn may_have_twin(&self) -> bool {
        self.upload.as_ref().is_some_and(|upload| upload.may_have_twin)
    }

    /// Waits for what the store is asked for; the name of the upload that is to be ended, if one was begun.
    pub(super) async fn settled(&mut self) -> Option<&str> {
        // What became of it is in `is_unsure`.
        let _ = self.settle().await;
        self.upload.as_ref().map(|upload| upload.id.as_str())
    }

    fn ask(&mut self, work: impl Future<Output = Result<Done, BrokerError>> + Send + 'static) {
        self.is_unsure = true;
        self.asked = Some(tokio::spawn(work.in_current_span()));
    }

    /// Waits for what the store is asked for; of an object that is written, its entity tag where the store told it.
    async fn settle(&mut self) -> Result<Option<String>, BrokerError> {
        let Some(asked) = &mut self.asked else { return Ok(None) };
        let ended = asked.await;
        self.asked = None;
        let done = ended.map_err(|error| BucketError::Unavailable(error.to_string()))??;
        self.is_unsure = false;
        match done {
            Done::Begun(id, may_have_twin) => {
                let start = self.filling.iter().take(START).copied().collect();
                self.upload = Some(Upload { id, may_have_twin, start, sent: Vec::new() });
                Ok(None)
            }
            Done::Sent(part) => {
                self.upload.as_mut().ok_or(BrokerError::Changing)?.sent.push(part);
                failpoint::reach("receive: part written");
                Ok(None)
            }
            Done::Written(tag) => Ok(tag),
        }
    }
}

/// Begins an upload in parts. Should this process end here, the doomed list says that there may be one.
async fn begun(broker: Arc<Broker>, key: SealedKey, doomed_until: OffsetDateTime) -> Result<Done, BrokerError> {
    broker.database.doom(key.as_str(), doomed_until, true).await?;
    let begin = || broker.bucket.begin_upload_once(&key, PLAINEST, "attachment");
    let (id, may_have_twin) = match begin().await {
        Ok(id) => (id, false),
        Err(error) => {
            tracing::warn!(%error, "an upload in parts was not begun; another try");
            (begin().await?, true)
        }
    };
    failpoint::reach("receive: upload begun");
    if let Err(error) = broker.database.name_upload(&key, &id).await {
        // Nobody will know its name.
        broker.bucket.abort_upload(key.as_str(), &id).await?;
        return Err(error.into());
    }
    failpoint::reach("receive: upload named");
    Ok(Done::Begun(id, may_have_twin))
}

impl Broker {
    /// Ends what else was begun on a key whose upload is put together.
    pub(super) async fn end_twins(&self, key: &SealedKey) -> Result<(), BucketError> {
        match self.bucket.abort_uploads_on(key.as_str()).await {
            // A store that lists no uploads has none that could be found.
            Err(BucketError::Refused(_)) => Ok(()),
            ended => ended,
        }
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
