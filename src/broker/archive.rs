//! Files as one ZIP archive, made while it is read.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};

use super::list::{Page, PageWanted};
use super::{Broker, BrokerError};
use crate::bucket::{BucketError, ObjectBody};
use crate::domain::{Caller, File, Selection, Start, TicketId};
use crate::zip::Archive;

/// How many records are read at once for an archive.
const ARCHIVE_PAGE: u32 = 100;

/// Files on their way into one archive: the records to come, a piece of one file, and the directory to be.
pub struct FileArchive {
    broker: Arc<Broker>,
    next: Option<File>,
    files: BoxStream<'static, Result<File, BrokerError>>,
    current: Option<ObjectBody>,
    archive: Archive,
    ended: bool,
}

impl Broker {
    /// These files as one archive; `None` when there are none. Whoever names them has asked whether the caller may read them.
    ///
    /// # Errors
    /// When the first of them cannot be found.
    pub async fn archive(
        self: Arc<Self>,
        files: impl Stream<Item = Result<File, BrokerError>> + Send + 'static,
    ) -> Result<Option<FileArchive>, BrokerError> {
        let mut files = files.boxed();
        let Some(first) = files.try_next().await? else { return Ok(None) };
        let archive = FileArchive { broker: self, next: Some(first), files, current: None, archive: Archive::default(), ended: false };
        Ok(Some(archive))
    }

    /// All files of a selection that the caller may read, read page by page as they are asked for; with a ticket, those attached to it.
    pub fn every(
        self: &Arc<Self>,
        caller: Caller,
        ticket: Option<TicketId>,
        selection: Selection,
    ) -> impl Stream<Item = Result<File, BrokerError>> + Send + 'static + use<> {
        let broker = self.clone();
        let pages = stream::try_unfold(Some(Start::Skip(0)), move |start| {
            let (broker, caller, selection) = (broker.clone(), caller.clone(), selection.clone());
            async move {
                let Some(start) = start else { return Ok::<_, BrokerError>(None) };
                let wanted = PageWanted { selection, start, size: ARCHIVE_PAGE, counted: false };
                let Page { files, next, .. } = broker.page(&caller, ticket, &wanted).await?;
                Ok(Some((stream::iter(files.into_iter().map(Ok)), next.map(Start::After))))
            }
        });
        pages.try_flatten()
    }
}

impl FileArchive {
    /// The next piece; `None` after the last one.
    ///
    /// # Errors
    /// When the object store stops in the middle, or a file is gone meanwhile.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BrokerError> {
        if let Some(body) = &mut self.current {
            if let Some(bytes) = body.next().await? {
                return Ok(Some(self.archive.bytes(&bytes).into()));
            }
            self.current = None;
            let tail = self.archive.end().ok_or_else(|| BucketError::Unavailable("it sent other bytes than there are".to_owned()))?;
            return Ok(Some(tail.into()));
        }
        if self.ended {
            return Ok(None);
        }
        let next = match self.next.take() {
            Some(file) => Some(file),
            None => self.files.try_next().await?,
        };
        let Some(file) = next else {
            self.ended = true;
            return Ok(Some(self.archive.finish().into()));
        };
        self.current = Some(self.broker.read_download(&file, None).await?);
        Ok(Some(self.archive.begin(file.name.as_str(), file.created_at, file.size()).into()))
    }
}
