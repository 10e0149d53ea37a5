//! Bytes that came before it is known whose they are, in memory as long as they are few.
//!
//! Anybody can send such bytes, so all of them together have a bound, and those of one address a share of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;

use crate::domain::Address;

/// Most bytes of one body.
pub(super) const MOST_OF_BODY: usize = 1 << 20;

/// Most bytes of all.
const MOST: usize = 16 << 20;

/// Most bytes of one address. Where it is not known whose they are, as behind a proxy that nobody named, there is no such share.
const MOST_OF_ADDRESS: usize = MOST / 4;

/// What all bodies hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<Option<Address>, usize>,
}

/// There is no room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// The bytes of one body; dropping them gives the room back.
#[derive(Debug)]
pub(super) struct Held {
    memory: Memory,
    from: Option<Address>,
    /// One after the other: pieces may be as small as their sender likes, and each would take memory of its own.
    bytes: Vec<u8>,
    /// What is taken for it.
    size: usize,
}

impl Memory {
    pub(super) fn held(&self, from: Option<Address>) -> Held {
        Held { memory: self.clone(), from, bytes: Vec::new(), size: 0 }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Bytes of the body so far.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Takes more bytes.
    ///
    /// # Errors
    /// When there is no room for them.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let mut taken = self.memory.taken();
        let of_address = taken.by_address.get(&self.from).copied().unwrap_or_default();
        let has_share = self.from.is_some();
        if taken.all + bytes.len() > MOST || (has_share && of_address + bytes.len() > MOST_OF_ADDRESS) {
            return Err(Full);
        }
        taken.all += bytes.len();
        taken.by_address.insert(self.from, of_address + bytes.len());
        drop(taken);
        self.size += bytes.len();
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// The bytes. Their room stays taken until this is dropped.
    pub(super) fn bytes(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes).into()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut taken = self.memory.taken();
        taken.all -= self.size;
        let of_address = taken.by_address.get(&self.from).copied().unwrap_or_default().saturating_sub(self.size);
        if of_address == 0 {
            taken.by_address.remove(&self.from);
        } else {
            taken.by_address.insert(self.from, of_address);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    #[test]
    fn all_bodies_have_a_bound_and_those_of_an_address_a_share_of_it() {
        let memory = Memory::default();
        let piece = vec![0; MOST_OF_BODY];
        let from = |number: u8| Some(Address::from(IpAddr::from(Ipv4Addr::new(10, 0, 0, number))));
        let mut held: Vec<Held> = Vec::new();
        for number in 0..4 {
            for _ in 0..4 {
                let mut body = memory.held(from(number));
                assert_eq!(body.push(&piece), Ok(()));
                held.push(body);
            }
            assert_eq!(memory.held(from(number)).push(b"x"), Err(Full), "its share is taken");
        }
        assert_eq!(memory.held(from(9)).push(b"x"), Err(Full), "all is taken");
        held.remove(0);
        assert_eq!(memory.held(from(9)).push(&piece), Ok(()));
        drop(held);
        let unknown: Vec<Held> = (0..16).map(|_| memory.held(None)).collect();
        let taken_by_unknown = unknown.into_iter().map(|mut body| body.push(&piece).map(|()| body)).collect::<Result<Vec<_>, _>>();
        assert!(taken_by_unknown.is_ok_and(|all| all.len() == 16), "who is not told apart has no share");
        let taken = memory.taken();
        assert!(taken.all == 0 && taken.by_address.is_empty(), "{taken:?}");
    }
}
