//! Who holds the places of a server's connections, and who gives one up: the bookkeeping alone, without sockets or time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::Address;

/// The least share of an address: browsers open six connections and more.
const LEAST_SHARE: usize = 8;

/// One of so many parts of all places is the share of an address.
const SHARES: usize = 4;

/// A connection that has a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Id(u64);

/// What becomes of a connection that comes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// It has a place.
    Place(Id),
    /// It has to wait until something changes, such as the end of the connection that is asked to go for it now.
    Wait(Option<Id>),
    /// All places of its address's share are busy.
    Refused,
}

/// The places of one server. Connections begin idle.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    share: usize,
    next_id: u64,
    /// Counts moments of becoming idle: the smaller, the longer ago.
    next_turn: u64,
    held: HashMap<Id, Held>,
    /// Idle connections, the longest idle first.
    idle: BTreeMap<u64, Id>,
    addresses: HashMap<Address, OfAddress>,
    /// Who was asked to go for the one that waits, one at a time; and whether at once.
    asked: Option<(Id, bool)>,
}

#[derive(Debug)]
struct Held {
    address: Option<Address>,
    /// The moment of becoming idle; `None` while a request is under way.
    idle: Option<u64>,
}

#[derive(Debug, Default)]
struct OfAddress {
    places: usize,
    idle: BTreeSet<u64>,
}

impl Places {
    pub(super) fn new(most: usize) -> Self {
        let share = (most / SHARES).max(LEAST_SHARE);
        // One that leaves nothing for others protects nobody.
        let share = if share < most { share } else { usize::MAX };
        let (held, idle, addresses) = (HashMap::new(), BTreeMap::new(), HashMap::new());
        Self { most, share, next_id: 0, next_turn: 0, held, idle, addresses, asked: None }
    }

    /// A connection comes; who has to wait comes again after each change.
    pub(super) fn enter(&mut self, address: Option<Address>) -> Entry {
        let own = address.and_then(|address| self.addresses.get(&address)).filter(|own| own.places >= self.share);
        let longest_idle = match own {
            Some(own) => match own.idle.first() {
                Some(turn) => Some(turn),
                None => return Entry::Refused,
            },
            None if self.held.len() < self.most => return Entry::Place(self.hold(address)),
            None => self.idle.keys().next(),
        };
        if self.asked.is_some() {
            return Entry::Wait(None);
        }
        // Who waits for a place of its own address's share holds up others, who have no part in that.
        let at_once = own.is_some();
        let id = longest_idle.and_then(|turn| self.idle.get(turn)).copied();
        self.asked = id.map(|id| (id, at_once));
        Entry::Wait(id)
    }

    fn hold(&mut self, address: Option<Address>) -> Id {
        // Whoever was asked to go need not any more.
        self.asked = None;
        let id = Id(self.next_id);
        self.next_id += 1;
        self.held.insert(id, Held { address, idle: None });
        if let Some(address) = address {
            self.addresses.entry(address).or_default().places += 1;
        }
        self.idle(id);
        id
    }

    /// A request of that connection begins; whether somebody who waits should look again.
    pub(super) fn busy(&mut self, id: Id) -> bool {
        let Some(held) = self.held.get_mut(&id) else { return false };
        if let Some(turn) = held.idle.take() {
            self.idle.remove(&turn);
            if let Some(own) = held.address.and_then(|address| self.addresses.get_mut(&address)) {
                own.idle.remove(&turn);
            }
        }
        let was_asked = self.has_to_go(id).is_some();
        if was_asked {
            self.asked = None;
        }
        was_asked
    }

    /// It is answered, to the last byte; whether somebody who waits should look again.
    pub(super) fn idle(&mut self, id: Id) -> bool {
        let Some(held) = self.held.get_mut(&id) else { return false };
        if held.idle.is_none() {
            let turn = self.next_turn;
            self.next_turn += 1;
            held.idle = Some(turn);
            self.idle.insert(turn, id);
            if let Some(own) = held.address.and_then(|address| self.addresses.get_mut(&address)) {
                own.idle.insert(turn);
            }
        }
        self.held.len() >= self.most
    }

    /// Whether it has to go, that is, it was asked and is still idle and needed; and whether at once.
    pub(super) fn has_to_go(&self, id: Id) -> Option<bool> {
        self.asked.filter(|(asked, _)| *asked == id).map(|(_, at_once)| at_once)
    }

    pub(super) fn leave(&mut self, id: Id) {
        self.busy(id);
        let Some(address) = self.held.remove(&id).and_then(|held| held.address) else { return };
        if let Some(own) = self.addresses.get_mut(&address) {
            own.places -= 1;
            if own.places == 0 {
                self.addresses.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "what `enter` takes")]
    fn address(number: u8) -> Option<Address> {
        Some(std::net::IpAddr::from(Ipv4Addr::new(203, 0, 113, number)).into())
    }

    impl Places {
        fn placed(&mut self, address: Option<Address>) -> Id {
            match self.enter(address) {
                Entry::Place(id) => id,
                other => panic!("{other:?}"),
            }
        }

        fn is_empty(&self) -> bool {
            self.held.is_empty() && self.idle.is_empty() && self.addresses.is_empty() && self.asked.is_none()
        }
    }

    #[test]
    fn at_the_bound_the_longest_idle_goes_and_none_that_is_answered() {
        let mut places = Places::new(3);
        let [first, second, third] = [(); 3].map(|()| places.placed(None));
        places.busy(first);
        assert_eq!(places.enter(None), Entry::Wait(Some(second)));
        assert_eq!(places.enter(None), Entry::Wait(None), "one goes for one");
        assert_eq!((places.has_to_go(second), places.has_to_go(third)), (Some(false), None));
        places.leave(second);
        let fourth = places.placed(None);
        // After a request a connection is the one that was idle last.
        places.idle(first);
        assert_eq!(places.enter(None), Entry::Wait(Some(third)));
        places.leave(third);
        places.placed(None);
        assert_eq!(places.enter(None), Entry::Wait(Some(fourth)));
    }

    #[test]
    fn one_whose_request_came_meanwhile_stays_and_the_next_goes() {
        let mut places = Places::new(2);
        let [first, second] = [(); 2].map(|()| places.placed(None));
        assert_eq!(places.enter(None), Entry::Wait(Some(first)));
        assert!(places.busy(first), "who waits looks again");
        assert_eq!(places.has_to_go(first), None);
        assert_eq!(places.enter(None), Entry::Wait(Some(second)));
        assert!(places.busy(second));
        assert_eq!(places.enter(None), Entry::Wait(None), "all are busy");
        assert!(places.idle(second), "who waits looks again");
        assert_eq!(places.enter(None), Entry::Wait(Some(second)));
        // Another has left by itself: nobody has to go.
        places.leave(first);
        places.placed(None);
        assert_eq!(places.has_to_go(second), None);
    }

    #[test]
    fn an_address_gives_up_its_own_places_beyond_its_share() {
        let mut places = Places::new(40);
        let others = [(); 30].map(|()| places.placed(None));
        let own: Vec<_> = (0..10).map(|_| places.placed(address(1))).collect();
        assert_eq!(places.enter(address(1)), Entry::Wait(Some(own[0])), "not the longest idle of all");
        assert_eq!(places.has_to_go(own[0]), Some(true));
        places.leave(own[0]);
        let last = places.placed(address(1));
        for id in own[1..].iter().chain([&last]) {
            places.busy(*id);
        }
        assert_eq!(places.enter(address(1)), Entry::Refused, "all of its share are busy");
        assert_eq!(places.enter(address(2)), Entry::Wait(Some(others[0])), "another address has its own share");
        places.leave(others[0]);
        places.placed(address(2));
        places.leave(last);
        places.placed(address(1));
    }

    #[test]
    fn a_share_is_a_quarter_and_never_less_than_a_browser_needs() {
        for (most, share) in [(9, 8), (32, 8), (40, 10), (900, 225)] {
            let mut places = Places::new(most);
            let ids: Vec<_> = (0..share).map(|_| places.placed(address(1))).collect();
            for id in &ids {
                places.busy(*id);
            }
            assert_eq!(places.enter(address(1)), Entry::Refused, "{most}");
            for id in ids {
                places.leave(id);
            }
            assert!(places.is_empty(), "{most}: nothing is kept of who is gone");
        }
        let mut few = Places::new(LEAST_SHARE);
        for _ in 0..LEAST_SHARE {
            let id = few.placed(address(1));
            few.busy(id);
        }
        assert_eq!(few.enter(address(1)), Entry::Wait(None), "so few places are not shared out");
    }
}
