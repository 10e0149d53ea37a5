//! Places for bytes of which nobody knows yet whose they are.
//!
//! Anybody can send them. So there are few places, one address has half of them at most, and nobody waits for one: whoever comes too late
//! is told so before a byte of theirs is kept.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::Address;

/// All places.
#[derive(Debug)]
pub(super) struct UnsignedPlaces {
    most: usize,
    /// Whose those are that are taken, where that is known.
    taken: Arc<Mutex<Vec<Option<Address>>>>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct UnsignedPlace {
    taken: Arc<Mutex<Vec<Option<Address>>>>,
    from: Option<Address>,
}

impl UnsignedPlaces {
    pub(super) fn new(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// A place for somebody; many people may be behind an address that is not known, so it has no share.
    pub(super) fn take(&self, from: Option<Address>) -> Option<UnsignedPlace> {
        let share = (self.most / 2).max(1);
        let mut taken = locked(&self.taken);
        let theirs = if from.is_some() { taken.iter().filter(|other| **other == from).count() } else { 0 };
        if taken.len() >= self.most || theirs >= share {
            return None;
        }
        taken.push(from);
        drop(taken);
        Some(UnsignedPlace { taken: self.taken.clone(), from })
    }
}

impl Drop for UnsignedPlace {
    fn drop(&mut self) {
        let mut taken = locked(&self.taken);
        if let Some(place) = taken.iter().position(|other| *other == self.from) {
            taken.swap_remove(place);
        }
    }
}

fn locked(taken: &Mutex<Vec<Option<Address>>>) -> MutexGuard<'_, Vec<Option<Address>>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn address(last: u8) -> Address {
        IpAddr::from([192, 0, 2, last]).into()
    }

    #[test]
    fn one_address_has_half_of_the_places_and_whoever_leaves_makes_room() {
        let places = UnsignedPlaces::new(4);
        let (one, two) = (places.take(Some(address(1))).unwrap(), places.take(Some(address(1))).unwrap());
        assert!(places.take(Some(address(1))).is_none(), "half is the most");
        let three = places.take(Some(address(2))).unwrap();
        drop(one);
        let _again = places.take(Some(address(1))).unwrap();
        let _unknown = places.take(None).unwrap();
        assert!(places.take(Some(address(3))).is_none() && places.take(None).is_none(), "all are taken");
        drop((two, three));
        let _more = [places.take(Some(address(1))).unwrap(), places.take(Some(address(3))).unwrap()];
        assert!(places.take(Some(address(4))).is_none());
    }

    #[test]
    fn an_address_that_is_not_known_has_no_share_and_a_single_place_is_anybodys() {
        let places = UnsignedPlaces::new(4);
        let all: Vec<_> = (0..4).map(|_| places.take(None).unwrap()).collect();
        assert!(places.take(None).is_none() && places.take(Some(address(1))).is_none());
        drop(all);
        let places = UnsignedPlaces::new(1);
        let one = places.take(Some(address(1))).unwrap();
        assert!(places.take(Some(address(2))).is_none());
        drop(one);
        assert!(places.take(Some(address(2))).is_some());
    }
}
