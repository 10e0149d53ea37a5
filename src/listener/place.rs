//! A connection's place: held as long as the connection, busy as long as a request of it is under way.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::Response;
use hyper::body::{Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::places::{Entry, Id, Places};
use crate::domain::Address;

/// How long a connection is idle at least before it is closed for one of another address: a request may be on its way.
const GRACE: Duration = Duration::from_millis(500);

/// All places of a server.
pub(super) struct Shared {
    held: Mutex<Holders>,
    /// Whoever waits for a place should look again. One waits at a time.
    changed: Notify,
}

struct Holders {
    places: Places,
    /// How each is woken to look whether it has to go.
    woken: HashMap<Id, Arc<Notify>>,
}

impl Shared {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { held: Mutex::new(Holders { places: Places::new(most), woken: HashMap::new() }), changed: Notify::new() })
    }

    /// A place for a connection from there; `None` when its address has too many already. Waits for as long as all are busy.
    pub(super) async fn enter(self: &Arc<Self>, address: Option<Address>) -> Option<Arc<Place>> {
        loop {
            // A change before the wait below is not missed: `changed` keeps it.
            match self.look(address) {
                Entry::Place(id) => return Some(Arc::new(self.place(id))),
                Entry::Refused => return None,
                Entry::Wait(_) => self.changed.notified().await,
            }
        }
    }

    fn look(&self, address: Option<Address>) -> Entry {
        let mut held = self.held();
        let entry = held.places.enter(address);
        if let Entry::Wait(Some(id)) = entry
            && let Some(woken) = held.woken.get(&id)
        {
            woken.notify_one();
        }
        entry
    }

    fn place(self: &Arc<Self>, id: Id) -> Place {
        let woken = Arc::new(Notify::new());
        self.held().woken.insert(id, woken.clone());
        let (requests, is_busy, idle_since) = (AtomicUsize::new(0), AtomicBool::new(false), Mutex::new(Instant::now()));
        Place { shared: self.clone(), id, woken, requests, is_busy, idle_since }
    }

    fn held(&self) -> MutexGuard<'_, Holders> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one connection, given back when it is dropped.
pub(super) struct Place {
    shared: Arc<Shared>,
    id: Id,
    woken: Arc<Notify>,
    /// Requests that are not answered, or whose answers are not handed over to the last byte.
    requests: AtomicUsize,
    is_busy: AtomicBool,
    idle_since: Mutex<Instant>,
}

impl Place {
    /// A request begins, which keeps the place until all of its answer is sent.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if !self.is_busy.swap(true, Ordering::Relaxed) && self.shared.held().places.busy(self.id) {
            self.shared.changed.notify_one();
        }
        UnderWay(self.clone())
    }

    /// All that was handed over so far is sent.
    pub(super) fn flushed(&self) {
        if self.requests.load(Ordering::Relaxed) == 0 && self.is_busy.swap(false, Ordering::Relaxed) {
            *self.idle_since() = Instant::now();
            if self.shared.held().places.idle(self.id) {
                self.shared.changed.notify_one();
            }
        }
    }

    /// Ends when the connection has to make room for another.
    pub(super) async fn has_to_go(&self) {
        loop {
            self.woken.notified().await;
            // The lock is free again before anybody waits.
            let asked = self.shared.held().places.has_to_go(self.id);
            let Some(at_once) = asked else { continue };
            if at_once {
                return;
            }
            let grace_ends = *self.idle_since() + GRACE;
            tokio::time::sleep_until(grace_ends).await;
            // A request may have come meanwhile, or a place have become free.
            let asked = self.shared.held().places.has_to_go(self.id);
            if asked.is_some() {
                return;
            }
        }
    }

    fn idle_since(&self) -> MutexGuard<'_, Instant> {
        self.idle_since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.shared.held();
        held.places.leave(self.id);
        held.woken.remove(&self.id);
        drop(held);
        self.shared.changed.notify_one();
    }
}

/// A request under way.
pub(super) struct UnderWay(Arc<Place>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

impl UnderWay {
    /// The answer, which is under way until its body was handed over.
    pub(super) fn until_answered(self, response: Response<Body>) -> Response<Body> {
        response.map(|body| Body::new(Answer { body, _under_way: self }))
    }
}

struct Answer {
    body: Body,
    _under_way: UnderWay,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
