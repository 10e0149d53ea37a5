//! Bytes that come through the broker, for clients that cannot send them to the bucket: the broker is its own client then.
//!
//! # The promise
//! - Nobody but the broker can write where the bytes go, so nothing has to be copied: the object is sealed from the beginning.
//! - Before the first byte goes out, its key is on the doomed list and a temp record stands for it, unless nobody knows yet whose it is
//!   (`unsigned`): then it has none until that is known. Nothing else confirms that record: to everybody else there is no such file until
//!   it is claimed.
//! - Two buffers for each upload, however many bytes come. Whoever writes waits while there is no room.
//! - Dropping a [`Receiving`] gives all of it up. After a crash the sweeper does.

mod abandon;
mod claim;
mod sink;
mod unsigned;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use time::{Duration, OffsetDateTime};
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use super::judge::Judged;
use super::{Broker, BrokerError, allowed};
use crate::bucket::{BucketError, LONGEST_COPY};
use crate::database::{NewForm, NewRow};
use crate::domain::evidence::bytes_wanted;
use crate::domain::file::{ChecksumSha256, Landed};
use crate::domain::{
    Caller, Complaints, Disposition, Evidence, Field, File, FileName, FileType, Grant, MediaType, NewFile, PartSizes, Scope, Sealed,
    SealedKey, StagingKey,
};
use crate::failpoint;
use crate::fair::Permit;
use crate::field_names;
use crate::metrics::{self, Step};
use crate::random;
use sink::Sink;

pub use unsigned::Unsigned;

/// Bytes of the two buffers of an upload: one is filled while the other is sent.
pub const MEMORY_OF_UPLOAD: u64 = 2 * sink::BUFFER as u64;

/// The name of a file while nobody knows its own.
const UNNAMED: &str = "upload";

/// How long after the end of its slip the store may still be at work on an upload: its last parts, then all of it put together.
/// Before that no sweeper takes its key on, or an object would come to be that nobody knows of.
const LATEST_WRITE: Duration = Duration::minutes(15);
const _: () = assert!(LATEST_WRITE.whole_seconds().cast_unsigned() > 2 * LONGEST_COPY.as_secs());

/// What is known of a file before its bytes come.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Its name.
    pub name: Option<FileName>,
    /// The content type that its sender declares.
    pub declared_type: Option<MediaType>,
    /// Its bytes.
    pub size: Option<u64>,
    /// No more bytes than these will come, as its sender cannot send more.
    pub at_most: Option<u64>,
}

/// What is known of it after they came.
#[derive(Debug, Clone)]
pub struct Described {
    /// Its name.
    pub name: FileName,
    /// The content type that its sender declares.
    pub declared_type: Option<MediaType>,
    /// The MD5 that its bytes must have.
    pub md5: Option<[u8; 16]>,
}

/// Files that come through the broker together: all of them become active, or none does.
///
/// [`Receiving::begin`], [`Receiving::write`] as often as bytes come, [`Receiving::end`]; the same for the next file; [`Receiving::claim`], or
/// [`Receiving::claim_on`] where they are for a ticket.
pub struct Receiving {
    broker: Arc<Broker>,
    caller: Caller,
    type_name: String,
    lifetime: Duration,
    now: OffsetDateTime,
    began: Instant,
    /// Its record is being written, to the end whatever becomes of the client.
    beginning: Option<JoinHandle<Result<Arriving, BrokerError>>>,
    current: Option<Arriving>,
    arrived: Vec<(Arriving, Sealed)>,
    permit: Option<Permit>,
}

/// A file whose record is to be written.
struct Wanted {
    new: NewFile,
    grant: Grant,
    known: Known,
    most: u64,
    bytes: u64,
    at: OffsetDateTime,
    expires_at: OffsetDateTime,
}

/// A file whose bytes come, or came.
struct Arriving {
    /// Its record, and once its bytes came what it is to be.
    file: File,
    key: SealedKey,
    known: Known,
    /// Most bytes that its rule takes.
    most: u64,
    sink: Sink,
}

impl Broker {
    /// A place for files of that type which come through the broker.
    ///
    /// # Errors
    /// [`BrokerError::Busy`] when there is none, [`BrokerError::Invalid`] and [`BrokerError::ForbiddenType`] as for
    /// [`Broker::authorize`].
    pub async fn receive(self: &Arc<Self>, caller: &Caller, type_name: &str, now: OffsetDateTime) -> Result<Receiving, BrokerError> {
        allowed(caller, Scope::FilesWrite)?;
        let lifetime = self.file_types.load().get(type_name).map_err(BrokerError::Invalid)?.slip_lifetime;
        may_upload(caller, type_name)?;
        let permit = Some(self.may_receive(caller).await?);
        let (broker, caller, type_name) = (self.clone(), caller.clone(), type_name.to_owned());
        let (began, beginning, current, arrived) = (Instant::now(), None, None, Vec::new());
        Ok(Receiving { broker, caller, type_name, lifetime, now, began, beginning, current, arrived, permit })
    }
}

impl Receiving {
    /// The next file: what is known of it is judged, and its record is written.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] with every complaint when its rule does not take what is known; as for [`Broker::authorize`] otherwise.
    pub async fn begin(&mut self, known: Known) -> Result<(), BrokerError> {
        let wanted = self.wanted(known)?;
        let (broker, caller) = (self.broker.clone(), self.caller.clone());
        let beginning = tokio::spawn(async move { Box::pin(broker.arriving(&caller, wanted)).await }.in_current_span());
        let begun = self.beginning.insert(beginning).await;
        self.beginning = None;
        self.current = Some(begun.map_err(|error| BucketError::Unavailable(error.to_string()))??);
        Ok(())
    }

    /// What the record is to be of a file of which that is known.
    fn wanted(&self, known: Known) -> Result<Wanted, BrokerError> {
        let (at, broker) = (self.at()?, &self.broker);
        let most = self.most()?;
        if known.size.is_some_and(|size| size > broker.max_received) {
            return Err(BrokerError::TooLarge);
        }
        let (new, grant) = match &known.name {
            Some(name) => {
                let new = self.new_file(name.clone(), known.declared_type.clone(), known.size)?;
                let grant = broker.granted(&self.caller, &new)?.grant;
                (new, grant)
            }
            None if known.size.is_some_and(|size| size > most) => return Err(too_many(most)),
            None => {
                let new = self.new_file(FileName::sanitized(UNNAMED), None, known.size)?;
                (new, Grant { content_type: MediaType::octet_stream(), min_size: 0, max_size: most })
            }
        };
        let bytes = known.size.unwrap_or(most.min(broker.max_received).min(known.at_most.unwrap_or(u64::MAX)));
        Ok(Wanted { new, grant, known, most, bytes, at, expires_at: self.now + self.lifetime })
    }

    /// More bytes of the file that was begun.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] when these are more than its rule takes, or its first bytes are not what was declared;
    /// [`BrokerError::TooLarge`], [`BrokerError::TooLate`], and when bucket or database fail. All of it is to be given up then.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), BrokerError> {
        self.at()?;
        let Some(arriving) = &mut self.current else { return Err(BrokerError::NotFound) };
        self.broker.has_room(arriving.sink.size() + bytes.len() as u64, arriving.most)?;
        if arriving.sink.is_whole() && arriving.sink.overflows(bytes.len()) {
            arriving.sink.fill(&mut bytes);
            metrics::file(Step::Arrived, &arriving.file.type_name);
            self.broker.judge_beginning(arriving)?;
        }
        arriving.sink.write(&self.broker, bytes).await
    }

    /// The file that was begun has no more bytes: it is judged as what it is described as now, and written to its end.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] when its rule does not take it; [`BrokerError::Refused`] when its bytes are not what was declared. All
    /// of it is to be given up then.
    pub async fn end(&mut self, described: Described) -> Result<(), BrokerError> {
        self.at()?;
        let Some(arriving) = &self.current else { return Err(BrokerError::NotFound) };
        let size = arriving.sink.size();
        if let Some(promised) = arriving.known.size.filter(|promised| *promised != size) {
            return Err(BrokerError::Invalid(Complaints::one(Field::Size, format!("must be {promised}, but {size} bytes came"))));
        }
        let new = self.new_file(described.name, described.declared_type, Some(size))?;
        let grant = self.broker.granted(&self.caller, &new)?.grant;
        let Some(arriving) = &mut self.current else { return Err(BrokerError::NotFound) };
        if arriving.sink.is_whole() {
            metrics::file(Step::Arrived, &arriving.file.type_name);
        }
        let (md5, sha256) = arriving.sink.digests();
        if described.md5.is_some_and(|wanted| wanted != md5) {
            return Err(BrokerError::Refused(Complaints::one(Field::Checksum, "must be the checksum of the bytes that came")));
        }
        let NewFile { name, declared_type, disposition, .. } = new;
        let checksum_sha256 = Some(ChecksumSha256::of(sha256));
        arriving.file = File { name, disposition, declared_type, grant, checksum_sha256, ..arriving.file.clone() };
        let sealed = Box::pin(self.broker.sealed(arriving)).await?;
        failpoint::reach("receive: object written");
        self.arrived.extend(self.current.take().map(|arriving| (arriving, sealed)));
        Ok(())
    }

    /// Now, unless it took longer than a slip lives.
    fn at(&self) -> Result<OffsetDateTime, BrokerError> {
        let elapsed = self.began.elapsed();
        if elapsed < self.lifetime { Ok(self.now + elapsed) } else { Err(BrokerError::TooLate) }
    }

    fn most(&self) -> Result<u64, BrokerError> {
        self.broker.file_types.load().get(&self.type_name).map(|rule| rule.max_size).map_err(BrokerError::Invalid)
    }

    /// What a slip would be asked for with. However large it is, the broker can send it in parts.
    fn new_file(&self, name: FileName, declared_type: Option<MediaType>, size: Option<u64>) -> Result<NewFile, BrokerError> {
        let file_types = self.broker.file_types.load();
        let rule = file_types.get(&self.type_name).map_err(BrokerError::Invalid)?;
        let (type_name, disposition) = (self.type_name.clone(), usual_disposition(rule));
        Ok(NewFile { type_name, name, declared_type, disposition, size, checksum_sha256: None, multipart: Some(PartSizes::Granted) })
    }
}

impl Broker {
    /// The record for a file whose bytes are about to come, with its bytes reserved and its key doomed.
    async fn arriving(self: &Arc<Self>, caller: &Caller, wanted: Wanted) -> Result<Arriving, BrokerError> {
        let sink = Sink::new(SealedKey::fresh(wanted.at, random::bytes()), self.doomed_until(wanted.expires_at));
        match self.recorded(caller, &wanted, Some(&sink)).await {
            Ok(file) => Ok(Arriving { file, key: sink.key().clone(), known: wanted.known, most: wanted.most, sink }),
            Err(error) => {
                // Nothing was written to that key. Where a record was written all the same, the sweeper forgets it.
                self.database.forget_doomed(&[sink.key().to_string()]).await?;
                Err(error)
            }
        }
    }

    /// How long a key is left alone whose bytes come within a slip that ends then.
    fn doomed_until(&self, expires_at: OffsetDateTime) -> OffsetDateTime {
        expires_at + self.grace + LATEST_WRITE
    }

    /// The record of a file, with its bytes reserved; before it the key of that sink is doomed, where it is not yet.
    async fn recorded(&self, caller: &Caller, wanted: &Wanted, sink: Option<&Sink>) -> Result<File, BrokerError> {
        let Wanted { new, grant, bytes, at, expires_at, .. } = wanted;
        let (bytes, at, expires_at) = (*bytes, *at, *expires_at);
        let staging_key = StagingKey::of_received(at, random::bytes());
        let form = NewForm { staging_key: &staging_key, tenant: &caller.tenant, actor: caller.actor, bytes, ends_at: expires_at };
        self.limits.slip(&self.database, caller, &form, at).await?.map_err(BrokerError::LimitExceeded)?;
        let row = NewRow { new, grant, caller, staging_key: &staging_key, multipart: None, created_at: at, expires_at };
        let inserted = async {
            if let Some(sink) = sink {
                sink.doom(self).await?;
                failpoint::reach("receive: doomed");
            }
            let file = self.database.insert_file(&row, None).await?.ok_or(BrokerError::Changing)?;
            failpoint::reach("receive: record written");
            Ok(*file)
        };
        match inserted.await {
            Ok(file) => {
                metrics::file(Step::Issued, &file.type_name);
                Ok(file)
            }
            Err(error) => {
                self.limits.release(&self.database, &staging_key).await?;
                Err(error)
            }
        }
    }

    /// Whether so many bytes of one file may come.
    fn has_room(&self, size: u64, most: u64) -> Result<(), BrokerError> {
        if size > most {
            return Err(too_many(most));
        }
        if size > self.max_received { Err(BrokerError::TooLarge) } else { Ok(()) }
    }

    /// Refuses at once what its first bytes show to be something else, where the name is known by then.
    fn judge_beginning(&self, arriving: &Arriving) -> Result<(), BrokerError> {
        if arriving.known.name.is_none() {
            return Ok(());
        }
        // What an image's size needs may stand further behind: then the end will tell.
        let Some(upload) = arriving.sink.known(u64::MAX) else { return Ok(()) };
        match self.weighed(&arriving.file, &upload)? {
            Judged::Refused(complaints) => Err(refused(&arriving.file, complaints)),
            Judged::Good(_) | Judged::Changed => Ok(()),
        }
    }

    /// Writes the rest, and judges what all of it is; what fits into one buffer is judged before anything is written.
    async fn sealed(self: &Arc<Self>, arriving: &mut Arriving) -> Result<Sealed, BrokerError> {
        let Arriving { file, key, sink, .. } = arriving;
        let size = sink.size();
        if sink.is_whole() {
            let upload = sink.known(size).ok_or(BrokerError::Changing)?;
            let evidence = good(file, self.weighed(file, &upload)?)?;
            let content_type = evidence.decided.as_served().to_string();
            let content_disposition = file.name.content_disposition(file.disposition, &evidence.decided);
            let tag = sink.put(self, content_type, content_disposition).await?;
            let etag = match tag {
                Some(etag) => etag,
                None => self.seen(key, size).await?.etag,
            };
            return Ok(Sealed { key: key.clone(), size, etag, evidence });
        }
        let wanted = bytes_wanted(&file.grant.content_type, self.sniff(file));
        sink.put_together(self).await?;
        let landed = self.seen(key, size).await?;
        let judged = self.judge_bytes(file, key.as_str(), &landed, Some(sink.start(wanted))).await?;
        let evidence = good(file, judged)?;
        Ok(Sealed { key: key.clone(), size, etag: landed.etag, evidence })
    }

    /// The object as the store has it.
    async fn seen(&self, key: &SealedKey, size: u64) -> Result<Landed, BrokerError> {
        let landed = self.bucket.head(key.as_str()).await?;
        landed.filter(|landed| landed.size == size).ok_or(BrokerError::Changing)
    }
}

/// Whether the caller may send files of that type.
fn may_upload(caller: &Caller, type_name: &str) -> Result<(), BrokerError> {
    if caller.types.allows(type_name) { Ok(()) } else { Err(BrokerError::ForbiddenType(type_name.to_owned())) }
}

fn good(file: &File, judged: Judged) -> Result<Evidence, BrokerError> {
    match judged {
        Judged::Good(evidence) => Ok(evidence),
        Judged::Refused(complaints) => Err(refused(file, complaints)),
        Judged::Changed => Err(BrokerError::Changing),
    }
}

fn refused(file: &File, complaints: Complaints) -> BrokerError {
    metrics::rejected(&file.type_name, complaints.iter().map(|(field, _)| field_names::name(field)));
    BrokerError::Refused(complaints)
}

fn too_many(most: u64) -> BrokerError {
    BrokerError::Invalid(Complaints::one(Field::Size, format!("must be {most} or lower")))
}

/// Saved where the rule takes that, else what it takes first.
fn usual_disposition(rule: &FileType) -> Disposition {
    let usual = Disposition::default();
    if rule.dispositions.contains(&usual) { usual } else { rule.dispositions.first().copied().unwrap_or(usual) }
}
