//! The end of what came through the broker: all of it becomes active, or none does.

use time::Duration;

use super::super::tickets::{AttachError, MOST_ON_TICKET};
use super::super::{BrokerError, too_often};
use super::Receiving;
use crate::database::{Activation, Claimed};
use crate::domain::{File, TicketPlace};
use crate::failpoint;
use crate::metrics::{self, Step};

impl Receiving {
    /// Makes all files active that came, each until `keep` after now; `None` for ever.
    ///
    /// To be run to its end when the client hangs up.
    ///
    /// # Errors
    /// [`BrokerError::TooLate`], and when the database fails: all of it is given up then, unless it was done all the same.
    pub async fn claim(mut self, keep: Option<Duration>) -> Result<Vec<File>, BrokerError> {
        let activations = self.activations(keep)?;
        let files: Vec<_> = self.arrived.iter().map(|(arriving, _)| &arriving.file).zip(&activations).collect();
        let active = self.broker.database.activate_all(&files).await?.ok_or(BrokerError::Changing)?;
        self.claimed().await;
        Ok(active)
    }

    /// Makes all files active that came and puts them on a ticket, in one transaction.
    ///
    /// To be run to its end when the client hangs up.
    ///
    /// # Errors
    /// [`AttachError::TooMany`] when the ticket has as many files as it may; as for [`Receiving::claim`] and [`Broker::may_attach`]
    /// otherwise. All of it is given up then.
    ///
    /// [`Broker::may_attach`]: super::super::Broker::may_attach
    pub async fn claim_on(mut self, place: TicketPlace) -> Result<Vec<File>, AttachError> {
        self.broker.may_attach(&self.caller)?;
        let activations = self.activations(None)?;
        let files: Vec<_> = self.arrived.iter().map(|(arriving, _)| &arriving.file).zip(&activations).collect();
        let active = match self.broker.database.activate_on(&files, place, MOST_ON_TICKET).await? {
            Claimed::All(active) => active,
            Claimed::Outdated => return Err(BrokerError::Changing.into()),
            Claimed::TooMany => return Err(AttachError::TooMany(MOST_ON_TICKET)),
            Claimed::TooOften(wait) => return Err(too_often(wait).into()),
        };
        self.claimed().await;
        Ok(active)
    }

    /// What each file becomes active with.
    fn activations(&self, keep: Option<Duration>) -> Result<Vec<Activation>, BrokerError> {
        let at = self.at()?;
        let activations = self.arrived.iter().map(|(_, sealed)| Activation {
            sealed: sealed.clone(),
            actor: self.caller.actor,
            origin: self.caller.origin(),
            at,
            keep_until: keep.map(|keep| at + keep),
            late_uploads: self.broker.grace,
        });
        Ok(activations.collect())
    }

    /// All files are active: nothing is to be given up any more.
    async fn claimed(&mut self) {
        failpoint::reach("receive: claimed");
        for (arriving, _) in std::mem::take(&mut self.arrived) {
            let file = &arriving.file;
            metrics::file(Step::Confirmed, &file.type_name);
            tracing::info!(file.id = %file.id, size_bytes = arriving.sink.size(), "file received");
            if let Err(error) = self.broker.limits.release(&self.broker.database, &file.staging_key).await {
                tracing::warn!(file.id = %file.id, %error, "the bytes of a file stay reserved until its slip would have ended");
            }
        }
    }
}
