//! What is sent because somebody asks for it, and not by a worker.

use std::time::Instant;

use time::OffsetDateTime;

use super::{AT_ONCE, Answer, LEASE, Sent, Webhooks};
use crate::database::{DatabaseError, Lease, Outcome};
use crate::domain::event::instant;
use crate::failpoint;
use crate::random;

impl Webhooks {
    /// Sends what is due by `now` once, and what becomes due by that.
    ///
    /// # Errors
    /// When the database fails; what was sent by then stays sent.
    pub async fn deliver_now(&self, now: OffsetDateTime) -> Result<Sent, DatabaseError> {
        let leases_from = self.database.clock().await?;
        self.deliver_by(now, leases_from).await
    }

    /// The same as if it was `now` on each clock, also that of the database.
    ///
    /// # Errors
    /// Like [`Webhooks::deliver_now`].
    pub async fn deliver_due(&self, now: OffsetDateTime) -> Result<Sent, DatabaseError> {
        self.deliver_by(now, now).await
    }

    async fn deliver_by(&self, now: OffsetDateTime, leases_from: OffsetDateTime) -> Result<Sent, DatabaseError> {
        let started = Instant::now();
        let clock = || now + started.elapsed();
        let mut sent = Sent::default();
        for target in self.targets().iter() {
            self.look_whether_gone(target).await;
            loop {
                let lease = Lease::of(LEASE, leases_from + started.elapsed());
                let most = u32::try_from(AT_ONCE).unwrap_or(1);
                // Due now, not later: what failed is not tried again in the same turn.
                let leased = self.database.lease_events(&target.endpoint.name, now, lease, most).await?;
                if leased.is_empty() {
                    break;
                }
                failpoint::reach("event: leased");
                let settled = leased.into_iter().map(|event| self.deliver(target, event, lease, &clock));
                for settled in futures_util::future::join_all(settled).await {
                    match settled?.0 {
                        Outcome::Delivered => sent.delivered += 1,
                        Outcome::Later(_) => sent.deferred += 1,
                        Outcome::Dead => sent.dead += 1,
                    }
                }
            }
        }
        Ok(sent)
    }

    /// Sends an event of the type `dropslip.test`, which is in no outbox and is not tried again; `None` without such an endpoint.
    pub async fn test(&self, name: &str, now: OffsetDateTime) -> Option<Answer> {
        let targets = self.targets();
        let target = targets.iter().find(|target| target.endpoint.name == name)?;
        let payload = serde_json::json!({"type": "dropslip.test", "timestamp": instant(now), "data": {"endpoint": name}}).to_string();
        Some(target.send(&format!("evt_test{}", hex::encode(random::bytes::<10>())), payload, now).await)
    }
}
