//! Many callers, one commit: temp records that wait at the same time are written together.
//!
//! A durable commit costs a flush of the disk, whatever is in it. So callers hand their records to a writer, which takes those that
//! wait, writes them in one transaction and then tells each caller. Whoever comes alone is written at once and waits for nobody.
//!
//! - What is answered is durable, and each record's number is that of its own row.
//! - The queue is bounded: who finds it full for too long, or waits in it for too long, gets the error that the database is not available.
//! - A batch that the database refuses is written again in halves, so that it fails nobody but the caller it is about.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::error::DatabaseError;
use super::idempotency::OwnedIdempotency;
use super::statement::ACQUIRE_TIMEOUT;
use crate::domain::{File, FileId};
use crate::metrics;

/// How many records wait at most; beyond that their callers do.
const QUEUE: usize = 4096;

/// How many records one transaction takes at most.
const BATCH: usize = 512;

/// So many are written at once. Of more, half wait for the next transaction: while the disk works for the one half, the processors
/// work for the other.
const FEW: usize = 32;

/// What a caller hands over.
pub(super) struct Waiting {
    pub(super) file: Box<File>,
    pub(super) once: Option<OwnedIdempotency>,
    since: Instant,
    answer: oneshot::Sender<Written>,
}

/// The record with its number, durable; `None` when its Idempotency-Key stands for another file already.
type Written = Result<Option<Box<File>>, DatabaseError>;

/// The way to the writers.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Waiting>,
    batches: Arc<AtomicU64>,
    closing: CancellationToken,
}

/// Writes one batch in one transaction: the number of each record, or `None` when one of the Idempotency-Keys is taken.
pub(super) trait WriteBatch: Send + 'static {
    fn write(&mut self, batch: &[Waiting]) -> impl Future<Output = Result<Option<Vec<i64>>, sqlx::Error>> + Send;
}

impl Writer {
    /// Starts a writer for each target on one queue; they end with the last handle to it, or when it is closed.
    pub(super) fn start<const N: usize>(targets: [impl WriteBatch; N]) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (queue, closing) = (Arc::new(Mutex::new(receiver)), CancellationToken::new());
        let batches = Arc::<AtomicU64>::default();
        for mut target in targets {
            let (queue, closing, batches) = (queue.clone(), closing.clone(), batches.clone());
            tokio::spawn(async move {
                while let Some(Some(batch)) = closing.run_until_cancelled(next_batch(&queue)).await {
                    batches.fetch_add(1, Ordering::Relaxed);
                    settle(&mut target, batch).await;
                }
            });
        }
        Self { queue: sender, batches, closing }
    }

    /// How many batches were begun: who sees it grow is not alone.
    pub(super) fn batches(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }

    /// How many records wait now.
    pub(super) fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Ends the writers after what is under way; who waits still gets the error that the database is away.
    pub(super) fn close(&self) {
        self.closing.cancel();
    }

    /// Has a record written; once it returns, it is durable.
    pub(super) async fn write(&self, file: Box<File>, once: Option<OwnedIdempotency>) -> Written {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { file, once, since: Instant::now(), answer };
        // A timer for each record would cost more than the queue.
        match self.queue.try_send(waiting) {
            Ok(()) => {}
            Err(TrySendError::Full(waiting)) => {
                let sent = tokio::time::timeout(ACQUIRE_TIMEOUT, self.queue.send(waiting)).await;
                sent.map_err(|_| too_late())?.map_err(|_| DatabaseError::Unavailable(sqlx::Error::PoolClosed))?;
            }
            Err(TrySendError::Closed(_)) => return Err(DatabaseError::Unavailable(sqlx::Error::PoolClosed)),
        }
        answered.await.unwrap_or(Err(DatabaseError::Unavailable(sqlx::Error::PoolClosed)))
    }
}

fn too_late() -> DatabaseError {
    DatabaseError::Unavailable(sqlx::Error::PoolTimedOut)
}

/// Who waits, once somebody does.
async fn next_batch(queue: &Mutex<mpsc::Receiver<Waiting>>) -> Option<Vec<Waiting>> {
    let mut queue = queue.lock().await;
    let mut batch = vec![queue.recv().await?];
    // Whose requests have arrived already shall come along. Who is alone waits for one turn of the runtime, microseconds.
    tokio::task::yield_now().await;
    let limit = (queue.len() / 2).clamp(FEW, BATCH);
    batch.reserve(limit.min(queue.len()));
    while batch.len() < limit
        && let Ok(waiting) = queue.try_recv()
    {
        batch.push(waiting);
    }
    Some(batch)
}

/// Writes what still wants to be written, and answers everybody. Each try ends in time, so nobody waits without end.
async fn settle(target: &mut impl WriteBatch, batch: Vec<Waiting>) {
    let mut wanted = Vec::with_capacity(batch.len());
    for waiting in batch {
        let queued = waiting.since.elapsed();
        metrics::queued(queued);
        if queued > ACQUIRE_TIMEOUT {
            let _ = waiting.answer.send(Err(too_late()));
        } else if !waiting.answer.is_closed() {
            // Whose caller has gone away needs no record.
            wanted.push(waiting);
        }
    }
    let mut batch = wanted;
    if batch.is_empty() {
        return;
    }
    metrics::batch(batch.len());
    match target.write(&batch).await.map_err(DatabaseError::from) {
        Ok(Some(ids)) if ids.len() == batch.len() => {
            for (mut waiting, id) in batch.into_iter().zip(ids) {
                waiting.file.id = FileId(id);
                let _ = waiting.answer.send(Ok(Some(waiting.file)));
            }
        }
        // The database is away for all of them.
        Err(DatabaseError::Unavailable(error)) => {
            let why = error.to_string();
            answer_all(batch, || Err(DatabaseError::Unavailable(sqlx::Error::Io(std::io::Error::other(why.clone())))));
        }
        Err(error @ DatabaseError::Broken(_)) if batch.len() == 1 => answer_all(batch, || Err(DatabaseError::Broken(error.to_string()))),
        Err(DatabaseError::Pooled) => answer_all(batch, || Err(DatabaseError::Pooled)),
        Ok(_) if batch.len() == 1 => answer_all(batch, || Ok(None)),
        // One of them is at fault: halving finds it at the cost of a few commits more, whoever the others are.
        Ok(_) | Err(DatabaseError::Broken(_)) => {
            let second = batch.split_off(batch.len() / 2);
            Box::pin(settle(target, batch)).await;
            Box::pin(settle(target, second)).await;
        }
    }
}

fn answer_all(batch: Vec<Waiting>, answer: impl Fn() -> Written) {
    for waiting in batch {
        let _ = waiting.answer.send(answer());
    }
}
