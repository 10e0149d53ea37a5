//! Places for downloads through the broker, shared out by link and by client address.
//!
//! Each one holds a connection to the client and one to the store for as long as the client reads. So none is given to who has its share
//! already, and while all are taken, whoever reads too slowly loses its place to the next who comes. On a broker with free places everybody
//! may be as slow as they like.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::Extensions;
use futures_util::{Stream, TryStreamExt as _};

use crate::api::http::fault::Fault;
use crate::domain::{Actor, Address, FileId, Tenant, TicketId};
use crate::limits::Exceeded;
use crate::listener::HangUp;

/// Nobody has more than one in so many of the places,
const SHARE: usize = 4;

/// or than this, where there are few.
const SMALLEST_SHARE: usize = 4;

/// Bytes that a reader takes at least in each second while all places are taken.
const LEAST_RATE: u64 = 16 * 1024;

/// Seconds over which that is measured.
const MEASURED: usize = 10;

/// How long the store may take for a piece before the time until then says nothing about the reader.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Pieces are handed over in so many bytes, so that a reader at the least rate asks for the next one within seconds.
const PIECE: usize = 32 * 1024;

/// When another try may help whoever holds its share, in seconds: one of its own downloads must end first.
const SHARE_RETRY_AFTER: u64 = 5;

/// Whose downloads are counted together: one file or ticket, by a token of one actor or by links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) struct Link {
    pub(in crate::api) tenant: Tenant,
    /// `None` for a link with a key: whoever it was passed on to.
    pub(in crate::api) actor: Option<Actor>,
    pub(in crate::api) what: What,
}

/// What is downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum What {
    File(FileId),
    Archive(TicketId),
    /// Files in the answer that lists them.
    List,
}

/// The connection that a download goes to.
#[derive(Debug, Clone, Default)]
pub(in crate::api) struct Connection {
    /// Whose it is, where that is known.
    address: Option<Address>,
    /// Ends it. Without this a slow reader cannot be cut off.
    hang_up: Option<HangUp>,
}

impl Connection {
    /// What the listener says about a request.
    pub(in crate::api) fn of(extensions: &Extensions) -> Self {
        Self { address: extensions.get().copied(), hang_up: extensions.get().cloned() }
    }
}

/// All places.
#[derive(Debug)]
pub(in crate::api) struct Places {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    by_number: HashMap<u64, Holder>,
}

#[derive(Debug)]
struct Holder {
    link: Link,
    connection: Connection,
    meter: Arc<Mutex<Meter>>,
}

/// Why there is no place.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::api) enum Full {
    /// The caller holds its share of this already.
    Share(&'static str),
    /// All are taken by readers that are fast enough, or came a moment ago.
    All,
}

impl From<Full> for Fault {
    fn from(full: Full) -> Self {
        match full {
            Full::Share(what) => Self::LimitExceeded(Exceeded { what, retry_after_seconds: SHARE_RETRY_AFTER }),
            Full::All => Self::Unavailable("there are as many downloads as DROPSLIP_MAX_DOWNLOADS allows".to_owned()),
        }
    }
}

impl Places {
    pub(in crate::api) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default() })
    }

    /// A place, free or that of the slowest reader, which is cut off.
    pub(in crate::api) fn take(self: &Arc<Self>, link: Link, connection: Connection, now: Instant) -> Result<Place, Full> {
        let share = (self.most / SHARE).max(SMALLEST_SHARE);
        let mut taken = locked(&self.taken);
        if share < self.most {
            let count = |is: &dyn Fn(&Holder) -> bool| taken.by_number.values().filter(|holder| is(holder)).count();
            if count(&|holder| holder.link == link) >= share {
                return Err(Full::Share("downloads of this at the same time"));
            }
            if connection.address.is_some() && count(&|holder| holder.connection.address == connection.address) >= share {
                return Err(Full::Share("downloads from your address at the same time"));
            }
        }
        if taken.by_number.len() >= self.most {
            let slow = taken.by_number.iter().filter(|(_, holder)| holder.connection.hang_up.is_some());
            let slow = slow.filter_map(|(number, holder)| Some((*number, locked(&holder.meter).too_few(now)?)));
            let slowest = slow.min_by_key(|(_, bytes)| *bytes).map(|(number, _)| number).ok_or(Full::All)?;
            if let Some(Holder { connection: Connection { hang_up: Some(hang_up), .. }, .. }) = taken.by_number.remove(&slowest) {
                tracing::info!("a download was cut off: all places were taken, and its client took less than 16 KiB in a second");
                hang_up.hang_up();
            }
        }
        let number = taken.next;
        taken.next += 1;
        let meter = Arc::new(Mutex::new(Meter::new(now)));
        taken.by_number.insert(number, Holder { link, connection, meter: meter.clone() });
        drop(taken);
        Ok(Place { places: self.clone(), number, meter })
    }
}

/// The right to send bytes, until it is dropped.
#[derive(Debug)]
pub(in crate::api) struct Place {
    places: Arc<Places>,
    number: u64,
    meter: Arc<Mutex<Meter>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        locked(&self.places.taken).by_number.remove(&self.number);
    }
}

impl Place {
    /// These pieces as a body that holds the place.
    ///
    /// Nothing is read ahead: a piece is asked for when the client has room for it, and when it hangs up all of this is dropped. An
    /// error ends the connection before the promised length, so that nobody takes the beginning for the whole.
    pub(in crate::api) fn body<E>(self, pieces: impl Stream<Item = Result<Bytes, E>> + Send + 'static) -> Body
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let sending = (Box::pin(pieces), Bytes::new(), self);
        Body::from_stream(futures_util::stream::try_unfold(sending, |(mut pieces, mut piece, place)| async move {
            if piece.is_empty() {
                locked(&place.meter).asks(Instant::now());
                match pieces.try_next().await? {
                    Some(next) => piece = next,
                    None => return Ok(None),
                }
            }
            let handed = piece.split_to(piece.len().min(PIECE));
            locked(&place.meter).hands(handed.len(), Instant::now());
            Ok::<_, E>(Some((handed, (pieces, piece, place))))
        }))
    }
}

/// How much a reader took of late.
#[derive(Debug)]
struct Meter {
    began: Instant,
    /// Bytes of each of the last seconds, the one that runs among them.
    seconds: [u64; MEASURED + 1],
    second: u64,
    /// Since when the store is waited for, which is no matter of the reader's.
    asked: Option<Instant>,
}

impl Meter {
    fn new(now: Instant) -> Self {
        Self { began: now, seconds: [0; MEASURED + 1], second: 0, asked: Some(now) }
    }

    /// The reader has room for more.
    fn asks(&mut self, now: Instant) {
        self.asked = Some(now);
    }

    /// So many bytes are on their way to it.
    fn hands(&mut self, bytes: usize, now: Instant) {
        if self.asked.take().is_some_and(|asked| now.saturating_duration_since(asked) > STORE_PAUSE) {
            *self = Self { asked: None, ..Self::new(now) };
        }
        self.pass(now);
        let second = self.second;
        *self.of(second) += bytes as u64;
    }

    /// What it took in the last seconds, if that is less than the least.
    fn too_few(&mut self, now: Instant) -> Option<u64> {
        self.pass(now);
        if self.asked.is_some() || self.second < MEASURED as u64 {
            return None;
        }
        let bytes = self.seconds.iter().sum();
        (bytes < LEAST_RATE * MEASURED as u64).then_some(bytes)
    }

    /// Forgets the seconds that are longer ago.
    fn pass(&mut self, now: Instant) {
        let second = now.saturating_duration_since(self.began).as_secs();
        if second.saturating_sub(self.second) > MEASURED as u64 {
            self.seconds = [0; MEASURED + 1];
            self.second = second;
        }
        while self.second < second {
            self.second += 1;
            let next = self.second;
            *self.of(next) = 0;
        }
    }

    fn of(&mut self, second: u64) -> &mut u64 {
        let [first, rest @ ..] = &mut self.seconds;
        let place = usize::try_from(second % (MEASURED as u64 + 1)).unwrap_or_default();
        place.checked_sub(1).and_then(|place| rest.get_mut(place)).unwrap_or(first)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn link(file: i64) -> Link {
        Link { tenant: "default".parse().unwrap(), actor: None, what: What::File(FileId(file)) }
    }

    fn connection(address: Option<u8>) -> Connection {
        Connection { address: address.map(|last| IpAddr::from([192, 0, 2, last]).into()), hang_up: Some(HangUp::default()) }
    }

    fn seconds(of: u64) -> Duration {
        Duration::from_secs(of)
    }

    #[test]
    fn no_link_and_no_address_has_more_than_its_share() {
        let (places, now) = (Places::new(100), Instant::now());
        let mut held: Vec<_> = (0..25).map(|_| places.take(link(1), connection(None), now).unwrap()).collect();
        assert_eq!(places.take(link(1), connection(None), now).unwrap_err(), Full::Share("downloads of this at the same time"));
        held.extend((0..25).map(|file| places.take(link(100 + file), connection(Some(1)), now).unwrap()));
        let refused = places.take(link(200), connection(Some(1)), now).unwrap_err();
        assert_eq!(refused, Full::Share("downloads from your address at the same time"));
        held.push(places.take(link(200), connection(Some(2)), now).unwrap());
        // Addresses that are not known are not the same one, and an archive is not a file.
        held.extend((0..26).map(|file| places.take(link(300 + file), connection(None), now).unwrap()));
        held.push(places.take(Link { what: What::Archive(TicketId(1)), ..link(1) }, connection(None), now).unwrap());
        held.remove(0);
        assert!(places.take(link(1), connection(None), now).is_ok(), "one of its own has ended");
    }

    #[test]
    fn few_places_are_for_whoever_comes() {
        let (places, now) = (Places::new(2), Instant::now());
        let _held = [(); 2].map(|()| places.take(link(1), connection(Some(1)), now).unwrap());
        assert_eq!(places.take(link(1), connection(Some(1)), now).unwrap_err(), Full::All);
    }

    #[test]
    fn the_slowest_reader_loses_its_place_once_all_are_taken() {
        let (places, start) = (Places::new(3), Instant::now());
        let connections = [(); 3].map(|()| connection(None));
        let take = |file: i64, connection: &Connection| places.take(link(file), connection.clone(), start).unwrap();
        let held = [take(1, &connections[0]), take(2, &connections[1]), take(3, &connections[2])];
        for second in 0..30 {
            let now = start + seconds(second);
            for (place, rate) in held.iter().zip([17 * 1024, 2 * 1024, 1024]) {
                let mut meter = locked(&place.meter);
                meter.asks(now);
                meter.hands(rate, now);
            }
            if second < 10 {
                assert_eq!(places.take(link(4), connection(None), now).unwrap_err(), Full::All, "after {second} s");
            }
        }
        let late = start + seconds(30);
        let cut = || connections.each_ref().map(|connection| connection.hang_up.as_ref().unwrap().is_asked());
        assert_eq!(cut(), [false; 3], "nobody came");
        let fourth = places.take(link(4), connection(None), late).unwrap();
        assert_eq!(cut(), [false, false, true]);
        let fifth = places.take(link(5), connection(None), late).unwrap();
        assert_eq!(cut(), [false, true, true]);
        assert_eq!(places.take(link(6), connection(None), late).unwrap_err(), Full::All, "the others are fast, or new");
        // What was cut off gives back nothing that is another's by now.
        drop(held);
        let _free = places.take(link(6), connection(None), late).unwrap();
        assert_eq!(places.take(link(7), connection(None), late).unwrap_err(), Full::All);
        drop((fourth, fifth));
    }

    #[test]
    fn a_slow_store_is_not_the_readers_fault() {
        let start = Instant::now();
        let mut meter = Meter::new(start);
        assert_eq!(meter.too_few(start + seconds(60)), None, "the store has said nothing yet");
        meter.hands(PIECE, start + seconds(60));
        assert_eq!(meter.too_few(start + seconds(61)), None);
        assert_eq!(meter.too_few(start + seconds(70)), Some(PIECE as u64));
        meter.asks(start + seconds(70));
        assert_eq!(meter.too_few(start + seconds(79)), None);
        meter.hands(PIECE, start + seconds(79));
        assert_eq!(meter.too_few(start + seconds(80)), None, "it is measured anew");
        assert_eq!(meter.too_few(start + seconds(500)), Some(0));
    }
}
