//! Permits that many ask for and few have at a time, shared out round robin: to one tenant after the other, and within a tenant to one actor
//! after the other.
//!
//! # The promise
//! - However many one actor asks for, its next one comes after the first of everybody else who waits, and of those that are given out at a
//!   time it never has all, where [`Bounds`] say so.
//! - What one actor holds and waits for is bounded, and so is what waits for one tenant. All that wait are bounded by the connections of
//!   the HTTP server, each of which waits for one permit at a time.
//! - Whoever goes away in the middle, which is to drop the future or the permit, leaves nothing behind.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::domain::{Actor, Tenant};

/// How many permits there are, and how many one may have or wait for.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Permits at the same time.
    pub at_once: usize,
    /// Those of one tenant; what is left is for others.
    pub of_tenant: usize,
    /// Those of one actor.
    pub of_actor: usize,
    /// What one actor has and waits for.
    pub asked_by_actor: usize,
    /// What waits for one tenant.
    pub waiting_of_tenant: usize,
    /// How long somebody waits.
    pub patience: Duration,
}

/// Why somebody gets no permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The actor or its tenant asks for too many at the same time.
    TooMany,
    /// None was free in time.
    TimedOut,
}

/// Permits for tenants and their actors.
#[derive(Debug, Clone)]
pub struct FairPermits {
    bounds: Bounds,
    queue: Arc<Mutex<Queue>>,
}

/// The right to do something, until it is dropped.
#[derive(Debug)]
pub struct Permit {
    queue: Arc<Mutex<Queue>>,
    tenant: Tenant,
    actor: Actor,
    number: u64,
    /// Counts for its actor alone.
    lent: bool,
}

/// Those who have a permit, and those who wait for one.
#[derive(Debug)]
struct Queue {
    bounds: Bounds,
    granted: usize,
    /// Of the one who asked last.
    number: u64,
    /// Only those who have a permit or wait for one.
    tenants: HashMap<Tenant, OfTenant>,
    /// Tenants for whom somebody waits; the next one first.
    round: VecDeque<Tenant>,
}

#[derive(Debug, Default)]
struct OfTenant {
    granted: usize,
    waiting: usize,
    actors: HashMap<Actor, OfActor>,
    /// Actors who wait; the next one first.
    round: VecDeque<Actor>,
}

#[derive(Debug, Default)]
struct OfActor {
    granted: usize,
    waiting: VecDeque<(u64, oneshot::Sender<()>)>,
}

impl FairPermits {
    /// Permits within `bounds`.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let (tenants, round) = (HashMap::new(), VecDeque::new());
        Self { bounds, queue: Arc::new(Mutex::new(Queue { bounds, granted: 0, number: 0, tenants, round })) }
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// At once when the actor or its tenant has and waits for too many, and after [`Bounds::patience`].
    pub async fn acquire(&self, tenant: &Tenant, actor: &Actor) -> Result<Permit, Refused> {
        let (permit, granted) = self.ask(tenant, actor)?;
        match tokio::time::timeout(self.bounds.patience, granted).await {
            Ok(Ok(())) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Refused::TimedOut),
        }
    }

    /// Whether so many are granted to the actor or its tenant that it gets another only when one of those ends.
    #[must_use]
    pub fn is_share_taken(&self, tenant: &Tenant, actor: &Actor) -> bool {
        let queue = locked(&self.queue);
        queue.tenants.get(tenant).is_some_and(|of_tenant| {
            let of_actor = of_tenant.actors.get(actor).map_or(0, |of_actor| of_actor.granted);
            of_tenant.granted >= self.bounds.of_tenant || of_actor >= self.bounds.of_actor
        })
    }

    /// A permit that is good as soon as the other half says so. It leaves the queue when it is dropped before.
    fn ask(&self, tenant: &Tenant, actor: &Actor) -> Result<(Permit, oneshot::Receiver<()>), Refused> {
        let mut queue = locked(&self.queue);
        let (tell, granted) = oneshot::channel();
        let number = queue.join(tenant, actor, tell)?;
        queue.grant();
        drop(queue);
        Ok((Permit { queue: self.queue.clone(), tenant: tenant.clone(), actor: *actor, number, lent: false }, granted))
    }
}

impl Permit {
    /// Leaves its place to others, while its actor has one less until this is dropped.
    pub fn lend(&mut self) {
        if !self.lent {
            self.lent = true;
            let mut queue = locked(&self.queue);
            queue.lend(&self.tenant);
            queue.grant();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut queue = locked(&self.queue);
        queue.leave(self);
        queue.grant();
    }
}

fn locked(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queue {
    /// Puts somebody at the end of their actor's line.
    fn join(&mut self, tenant: &Tenant, actor: &Actor, tell: oneshot::Sender<()>) -> Result<u64, Refused> {
        let Bounds { asked_by_actor, waiting_of_tenant, .. } = self.bounds;
        if let Some(of_tenant) = self.tenants.get(tenant) {
            let asked = of_tenant.actors.get(actor).map_or(0, |of_actor| of_actor.granted + of_actor.waiting.len());
            if asked >= asked_by_actor || of_tenant.waiting >= waiting_of_tenant {
                return Err(Refused::TooMany);
            }
        }
        self.number += 1;
        let of_tenant = self.tenants.entry(tenant.clone()).or_default();
        if of_tenant.waiting == 0 {
            self.round.push_back(tenant.clone());
        }
        of_tenant.waiting += 1;
        let of_actor = of_tenant.actors.entry(*actor).or_default();
        if of_actor.waiting.is_empty() {
            of_tenant.round.push_back(*actor);
        }
        of_actor.waiting.push_back((self.number, tell));
        Ok(self.number)
    }

    /// Gives what is free to those who are next.
    fn grant(&mut self) {
        while self.granted < self.bounds.at_once && self.grant_one() {}
    }

    /// Whether there was somebody who may have one.
    fn grant_one(&mut self) -> bool {
        let bounds = self.bounds;
        for place in 0..self.round.len() {
            let Some(tenant) = self.round.get(place) else { break };
            let Some(of_tenant) = self.tenants.get_mut(tenant) else { continue };
            let Some(tell) = of_tenant.grant(bounds) else { continue };
            self.granted += 1;
            // To the end of the line, if more of its own wait.
            let waits_on = of_tenant.waiting > 0;
            if let Some(tenant) = self.round.remove(place).filter(|_| waits_on) {
                self.round.push_back(tenant);
            }
            // Whoever does not listen any more is about to drop its permit.
            let _ = tell.send(());
            return true;
        }
        false
    }

    /// A permit of that tenant counts for its actor alone from now on.
    fn lend(&mut self, tenant: &Tenant) {
        if let Some(of_tenant) = self.tenants.get_mut(tenant) {
            of_tenant.granted -= 1;
            self.granted -= 1;
        }
    }

    /// Takes somebody out, who waits or has a permit.
    fn leave(&mut self, permit: &Permit) {
        let Permit { tenant, actor, number, lent, .. } = permit;
        let Some(of_tenant) = self.tenants.get_mut(tenant) else { return };
        let Some(of_actor) = of_tenant.actors.get_mut(actor) else { return };
        if let Some(place) = of_actor.waiting.iter().position(|(waiting, _)| waiting == number) {
            of_actor.waiting.remove(place);
            if of_actor.waiting.is_empty() {
                remove(&mut of_tenant.round, actor);
            }
            of_tenant.waiting -= 1;
            if of_tenant.waiting == 0 {
                remove(&mut self.round, tenant);
            }
        } else {
            of_actor.granted -= 1;
            if !lent {
                of_tenant.granted -= 1;
                self.granted -= 1;
            }
        }
        if of_actor.granted == 0 && of_actor.waiting.is_empty() {
            of_tenant.actors.remove(actor);
        }
        if of_tenant.actors.is_empty() {
            self.tenants.remove(tenant);
        }
    }
}

impl OfTenant {
    /// Takes the next one out of its line, if the tenant and one of its actors may have one more.
    fn grant(&mut self, bounds: Bounds) -> Option<oneshot::Sender<()>> {
        if self.granted >= bounds.of_tenant {
            return None;
        }
        let may = |actor: &Actor| self.actors.get(actor).is_some_and(|of_actor| of_actor.granted < bounds.of_actor);
        let place = self.round.iter().position(may)?;
        let actor = self.round.remove(place)?;
        let of_actor = self.actors.get_mut(&actor)?;
        let (_, tell) = of_actor.waiting.pop_front()?;
        of_actor.granted += 1;
        self.granted += 1;
        self.waiting -= 1;
        if !of_actor.waiting.is_empty() {
            self.round.push_back(actor);
        }
        Some(tell)
    }
}

fn remove<K: Eq + Hash>(round: &mut VecDeque<K>, one: &K) {
    if let Some(place) = round.iter().position(|other| other == one) {
        round.remove(place);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;
    use crate::domain::ActorKind;

    const BOUNDS: Bounds =
        Bounds { at_once: 1, of_tenant: 1, of_actor: 1, asked_by_actor: 4, waiting_of_tenant: 6, patience: Duration::from_mins(1) };

    fn tenant(name: &str) -> Tenant {
        name.parse().unwrap()
    }

    fn actor(id: i64) -> Actor {
        Actor { id, kind: ActorKind::Users }
    }

    /// Somebody who asked.
    struct Asked {
        who: &'static str,
        permit: Permit,
        granted: oneshot::Receiver<()>,
    }

    fn ask(permits: &FairPermits, who: &'static str) -> Result<Asked, Refused> {
        let (name, id) = who.split_once('/').unwrap();
        let (permit, granted) = permits.ask(&tenant(name), &actor(id.parse().unwrap()))?;
        Ok(Asked { who, permit, granted })
    }

    fn all(permits: &FairPermits, who: &[&'static str]) -> Vec<Asked> {
        who.iter().map(|who| ask(permits, who).unwrap()).collect()
    }

    /// Those who have a permit now, taken out.
    fn granted(asked: &mut Vec<Asked>) -> Vec<Asked> {
        asked.extract_if(.., |one| one.granted.try_recv() == Ok(())).collect()
    }

    /// In which order they get one, each given back before the next.
    fn order(mut asked: Vec<Asked>) -> Vec<&'static str> {
        let mut order = Vec::new();
        while !asked.is_empty() {
            let now = granted(&mut asked);
            assert!(!now.is_empty(), "nobody goes on: {:?}", asked.iter().map(|one| one.who).collect::<Vec<_>>());
            order.extend(now.iter().map(|one| one.who));
        }
        order
    }

    fn is_empty(permits: &FairPermits) -> bool {
        let queue = locked(&permits.queue);
        queue.granted == 0 && queue.tenants.is_empty() && queue.round.is_empty()
    }

    #[test]
    fn tenants_are_served_round_robin_and_so_are_the_actors_of_one() {
        let permits = FairPermits::new(BOUNDS);
        let asked = all(&permits, &["a/1", "a/1", "a/1", "a/1", "a/2", "b/1", "b/1", "c/1"]);
        assert_eq!(order(asked), ["a/1", "a/1", "b/1", "c/1", "a/2", "b/1", "a/1", "a/1"]);
        assert!(is_empty(&permits));
    }

    #[test]
    fn nobody_has_all_of_them() {
        let permits = FairPermits::new(Bounds { at_once: 4, of_tenant: 3, of_actor: 2, ..BOUNDS });
        let mut asked = all(&permits, &["a/1", "a/1", "a/1", "a/2", "a/2", "b/1", "b/1"]);
        let now = granted(&mut asked);
        assert_eq!(now.iter().map(|one| one.who).collect::<Vec<_>>(), ["a/1", "a/1", "a/2", "b/1"]);
        // The place of the other tenant goes to that tenant: the first has as many as it may.
        let (theirs, _held): (Vec<_>, Vec<_>) = now.into_iter().partition(|one| one.who == "b/1");
        drop(theirs);
        assert_eq!(granted(&mut asked).iter().map(|one| one.who).collect::<Vec<_>>(), ["b/1"]);
    }

    #[test]
    fn a_place_that_is_lent_is_for_all_but_its_actor() {
        let permits = FairPermits::new(BOUNDS);
        let mut asked = all(&permits, &["a/1", "a/1", "a/2", "b/1"]);
        let mut lent = granted(&mut asked);
        lent[0].permit.lend();
        lent[0].permit.lend();
        assert_eq!(granted(&mut asked).iter().map(|one| one.who).collect::<Vec<_>>(), ["a/2"]);
        assert_eq!(granted(&mut asked).iter().map(|one| one.who).collect::<Vec<_>>(), ["b/1"]);
        assert_eq!(granted(&mut asked).len(), 0, "its own next one waits until it is dropped");
        drop(lent);
        assert_eq!(order(asked), ["a/1"]);
        assert!(is_empty(&permits));
    }

    #[test]
    fn what_an_actor_asks_for_is_bounded_and_what_waits_for_a_tenant() {
        let permits = FairPermits::new(BOUNDS);
        let mut asked = all(&permits, &["a/1", "a/1", "a/1", "a/1"]);
        assert_eq!(ask(&permits, "a/1").err(), Some(Refused::TooMany));
        asked.extend(all(&permits, &["a/2", "a/2", "a/2"]));
        assert_eq!(ask(&permits, "a/3").err(), Some(Refused::TooMany), "six wait for the tenant");
        asked.push(ask(&permits, "b/3").unwrap());
        // One that ended makes room, and so does one that went away.
        drop(granted(&mut asked));
        asked.push(ask(&permits, "a/1").unwrap());
        assert_eq!(ask(&permits, "a/1").err(), Some(Refused::TooMany));
        drop(asked.pop());
        asked.push(ask(&permits, "a/1").unwrap());
        drop(asked);
        assert!(is_empty(&permits));
    }

    #[test]
    fn whoever_goes_away_leaves_the_queue_at_once_wherever_it_stands() {
        let permits = FairPermits::new(BOUNDS);
        let mut asked = all(&permits, &["a/1", "a/1", "b/1", "b/2", "c/1"]);
        // Out of the middle, with others of its own before and behind it, and the only one of its tenant.
        drop(asked.remove(2));
        drop(asked.pop());
        assert_eq!(
            asked.iter_mut().map(|one| one.granted.try_recv()).collect::<Vec<_>>(),
            [Ok(()), Err(TryRecvError::Empty), Err(TryRecvError::Empty)]
        );
        // One that has its permit already, and has not looked yet.
        drop(asked.remove(0));
        let Asked { permit, granted, .. } = asked.pop().unwrap();
        drop(granted);
        drop(permit);
        assert_eq!(order(asked), ["a/1"]);
        assert!(is_empty(&permits));
    }

    #[tokio::test]
    async fn whoever_waits_too_long_or_is_dropped_is_gone() {
        let permits = FairPermits::new(Bounds { patience: Duration::from_millis(20), ..BOUNDS });
        let (one, other) = ((tenant("a"), actor(1)), (tenant("b"), actor(1)));
        let held = permits.acquire(&one.0, &one.1).await.unwrap();
        assert_eq!(permits.acquire(&other.0, &other.1).await.err(), Some(Refused::TimedOut));
        let dropped = tokio::time::timeout(Duration::from_millis(1), permits.acquire(&other.0, &other.1)).await;
        assert!(dropped.is_err());
        let waiting = tokio::spawn({
            let permits = permits.clone();
            async move { permits.acquire(&other.0, &other.1).await.map(drop) }
        });
        tokio::task::yield_now().await;
        drop(held);
        waiting.await.unwrap().unwrap();
        assert!(is_empty(&permits));
    }
}
