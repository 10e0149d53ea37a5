//! Many callers, one commit: temp records that wait at the same time are written together.
//!
//! A durable commit costs a flush of the disk, whatever is in it. So callers hand their records to a writer, which takes all that
//! wait, writes them in one transaction and then tells each caller. Whoever comes alone is written at once and waits for nobody.
//!
//! - What is told is durable, and each record's number is that of its own row.
//! - The queue is bounded: who finds it full for too long is told that the database is not available.
//! - A batch that the database refuses is written again in halves, so that it fails nobody but the caller it is about.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};

use super::reissuing::OwnedIdempotency;
use super::{PATIENCE, StoreError};
use crate::domain::File;

/// How many records wait at most; beyond that their callers do.
const QUEUE: usize = 4096;

/// How many records one transaction takes at most.
const BATCH: usize = 512;

/// What a caller hands over.
pub(super) struct Waiting {
    pub(super) file: File,
    pub(super) once: Option<OwnedIdempotency>,
    answer: oneshot::Sender<Written>,
}

/// The number of a record that is durable; `None` when its Idempotency-Key stands for another file already.
type Written = Result<Option<i64>, StoreError>;

/// The way to the writers.
#[derive(Debug, Clone)]
pub(super) struct Writer(mpsc::Sender<Waiting>);

/// Writes one batch in one transaction: the number of each record, or `None` when one of the Idempotency-Keys is taken.
pub(super) trait WriteBatch: Send + Sync + 'static {
    fn write(&self, batch: &[Waiting]) -> impl Future<Output = Result<Option<Vec<i64>>, sqlx::Error>> + Send;
}

impl Writer {
    /// Starts so many writers on one queue; they end with the last handle to it.
    pub(super) fn start(target: impl WriteBatch, writers: usize) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (queue, target) = (Arc::new(Mutex::new(receiver)), Arc::new(target));
        for _ in 0..writers {
            let (queue, target) = (queue.clone(), target.clone());
            tokio::spawn(async move {
                while let Some(batch) = next_batch(&queue).await {
                    settle(&*target, batch).await;
                }
            });
        }
        Self(sender)
    }

    /// Has a record written; once it returns, it is durable.
    pub(super) async fn write(&self, file: File, once: Option<OwnedIdempotency>) -> Written {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { file, once, answer };
        let sent = tokio::time::timeout(PATIENCE, self.0.send(waiting)).await;
        match sent {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(StoreError::Unavailable(sqlx::Error::PoolClosed)),
            Err(_) => return Err(StoreError::Unavailable(sqlx::Error::PoolTimedOut)),
        }
        match tokio::time::timeout(PATIENCE + super::ANSWER_TIMEOUT, answered).await {
            Ok(Ok(written)) => written,
            Ok(Err(_)) => Err(StoreError::Unavailable(sqlx::Error::PoolClosed)),
            Err(_) => Err(StoreError::Unavailable(sqlx::Error::PoolTimedOut)),
        }
    }
}

/// Everything that waits, once something does.
async fn next_batch(queue: &Mutex<mpsc::Receiver<Waiting>>) -> Option<Vec<Waiting>> {
    let mut queue = queue.lock().await;
    let mut batch = Vec::new();
    let taken = queue.recv_many(&mut batch, BATCH).await;
    (taken > 0).then_some(batch)
}

async fn settle(target: &impl WriteBatch, mut batch: Vec<Waiting>) {
    // Whose caller has gone away needs no record.
    batch.retain(|waiting| !waiting.answer.is_closed());
    if batch.is_empty() {
        return;
    }
    match target.write(&batch).await.map_err(StoreError::from) {
        Ok(Some(ids)) if ids.len() == batch.len() => {
            for (waiting, id) in batch.into_iter().zip(ids) {
                let _ = waiting.answer.send(Ok(Some(id)));
            }
        }
        // The database is away for all of them.
        Err(StoreError::Unavailable(error)) => {
            let why = error.to_string();
            answer_all(batch, || Err(StoreError::Unavailable(sqlx::Error::Io(std::io::Error::other(why.clone())))));
        }
        Err(error @ StoreError::Broken(_)) if batch.len() == 1 => answer_all(batch, || Err(StoreError::Broken(error.to_string()))),
        Ok(_) if batch.len() == 1 => answer_all(batch, || Ok(None)),
        // One of them is at fault: halving finds it at the cost of a few commits more, whoever the others are.
        Ok(_) | Err(StoreError::Broken(_)) => {
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
